//! What has come from whom: parcels that come twice are known again, and that some are missing is noticed.

use std::collections::BTreeMap;

use jono_points::{Rule, is_broken};
use jono_store::NodeId;

use super::envelope::Stamp;

/// Senders that are remembered. Those that are gone are not forgotten at once, since what they sent may come late; their
/// numbers are the smallest.
const SENDERS_MAX: usize = 1_024;

/// The last parcel of every sender: which way, which number.
#[derive(Debug, Default)]
pub(crate) struct Incoming(BTreeMap<NodeId, (u64, u64)>);

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
    pub(crate) fn take(&mut self, stamp: Stamp) -> Arrival {
        let Stamp { from, way, number, .. } = stamp;
        let last = self.0.insert(from, (way, number));
        if self.0.len() > SENDERS_MAX {
            self.0.pop_first();
        }
        match last {
            Some(last) if (way, number) <= last && !is_broken(Rule::ParcelsAreTakenOnce) => {
                self.0.insert(from, last);
                Arrival::Again
            }
            Some((last_way, last)) if way == last_way && number == last + 1 => Arrival::Next,
            Some(_) if is_broken(Rule::GapsAreNoticed) => Arrival::Next,
            // Another way is opened when the one before was cut, with whatever was on it.
            Some(_) => Arrival::AfterGap,
            None if number == 1 => Arrival::Next,
            None => Arrival::AfterGap,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(from: u32, way: u64, number: u64) -> Stamp {
        Stamp { from: NodeId(from), log: 1, way, number }
    }

    #[test]
    fn each_parcel_is_taken_once_and_holes_are_seen() {
        let mut incoming = Incoming::default();
        assert_eq!(incoming.take(stamp(1, 1, 1)), Arrival::Next);
        assert_eq!(incoming.take(stamp(1, 1, 1)), Arrival::Again);
        assert_eq!(incoming.take(stamp(2, 1, 2)), Arrival::AfterGap, "the first is missing");
        assert_eq!(incoming.take(stamp(1, 1, 4)), Arrival::AfterGap);
        assert_eq!(incoming.take(stamp(1, 1, 3)), Arrival::Again, "late is as good as lost: what it said was told again");
        assert_eq!(incoming.take(stamp(1, 1, 5)), Arrival::Next);
    }

    #[test]
    fn a_way_that_was_opened_anew_begins_behind_a_gap() {
        let mut incoming = Incoming::default();
        assert_eq!(incoming.take(stamp(1, 1, 1)), Arrival::Next);
        assert_eq!(incoming.take(stamp(1, 2, 1)), Arrival::AfterGap);
        assert_eq!(incoming.take(stamp(1, 1, 2)), Arrival::Again, "what was on the old way is told again on the new one");
        assert_eq!(incoming.take(stamp(1, 2, 2)), Arrival::Next);
    }

    #[test]
    fn only_so_many_senders_are_remembered() {
        let mut incoming = Incoming::default();
        (1..=2 * SENDERS_MAX as u32).for_each(|from| assert_eq!(incoming.take(stamp(from, 1, 1)), Arrival::Next));
        assert_eq!(incoming.0.len(), SENDERS_MAX);
        assert_eq!(incoming.take(stamp(2 * SENDERS_MAX as u32, 1, 1)), Arrival::Again);
    }
}
