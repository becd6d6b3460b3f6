//! What has come from whom: parcels that come twice are known again, and that some are missing is noticed.

use std::collections::HashMap;

use jono_store::NodeId;

/// The last parcel of every sender.
#[derive(Debug, Default)]
pub(crate) struct Incoming(HashMap<NodeId, u64>);

/// How a parcel stands to what came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is the next.
    Next,
    /// It has come before.
    Again,
    /// It is to be taken, but parcels before it are missing.
    AfterGap,
}

impl Incoming {
    pub(crate) fn take(&mut self, from: NodeId, number: u64) -> Arrival {
        let last = self.0.entry(from).or_insert(0);
        if number <= *last {
            return Arrival::Again;
        }
        let is_next = number == *last + 1;
        *last = number;
        if is_next { Arrival::Next } else { Arrival::AfterGap }
    }

    pub(crate) fn forget(&mut self, gone: NodeId) {
        self.0.remove(&gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parcel_is_taken_once_and_holes_are_seen() {
        let (one, two) = (NodeId(1), NodeId(2));
        let mut incoming = Incoming::default();
        assert_eq!(incoming.take(one, 1), Arrival::Next);
        assert_eq!(incoming.take(one, 1), Arrival::Again);
        assert_eq!(incoming.take(two, 2), Arrival::AfterGap, "the first is missing");
        assert_eq!(incoming.take(one, 4), Arrival::AfterGap);
        assert_eq!(incoming.take(one, 3), Arrival::Again, "late is as good as lost: what it said was told again");
        assert_eq!(incoming.take(one, 5), Arrival::Next);
    }
}
