//! For how long this process may serve what it owns.
//!
//! The epochs of the store make sure that a process which has lost a shard unnoticed writes nothing. The tenure makes
//! sure that it does not go on answering either: a process of several serves only while its last confirmed beat is fresh, by
//! its own clock, and the others wait longer than that before they take over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jono_domain::time::Time;
use jono_points::{Rule, is_broken};
use jono_store::{Epoch, ShardId};

/// Shared by whoever serves and whoever beats.
#[derive(Debug)]
pub(crate) struct Tenure {
    until: AtomicU64,
    /// Something was turned away since it had run out: what turned it away is not as it was.
    was_missed: AtomicBool,
    /// Shards that the store says are another owner's.
    fenced: Mutex<Vec<(ShardId, Epoch)>>,
}

impl Tenure {
    fn new(until: u64) -> Arc<Self> {
        Arc::new(Self { until: AtomicU64::new(until), was_missed: AtomicBool::new(false), fenced: Mutex::default() })
    }

    /// Of a process that is alone with its store: for ever.
    pub(crate) fn for_ever() -> Arc<Self> {
        Self::new(u64::MAX)
    }

    /// Of a process among others: not yet.
    pub(crate) fn not_yet() -> Arc<Self> {
        Self::new(0)
    }

    /// Until that moment of this process's own clock.
    pub(crate) fn extend(&self, until: Time) {
        self.until.store(until.0, Ordering::SeqCst);
    }

    /// May it serve at this moment?
    pub(crate) fn holds(&self, now: Time) -> bool {
        let until = self.until.load(Ordering::SeqCst);
        until == u64::MAX || now.0 < until || (until > 0 && is_broken(Rule::TenureIsAsked))
    }

    /// As [`Tenure::holds`], asked by one who gives up what it has if it does not: whoever beats will hear of that, also if
    /// it was only for a moment.
    pub(crate) fn holds_or_misses(&self, now: Time) -> bool {
        let holds = self.holds(now);
        if !holds {
            self.was_missed.store(true, Ordering::SeqCst);
        }
        holds
    }

    /// Has anybody given up anything since the last look?
    pub(crate) fn take_missed(&self) -> bool {
        self.was_missed.swap(false, Ordering::SeqCst)
    }

    /// The store has refused what was written under that epoch.
    pub(crate) fn fence(&self, shard: ShardId, epoch: Epoch) {
        let mut fenced = self.fenced.lock().unwrap_or_else(PoisonError::into_inner);
        // At most one for each shard: the epoch before it is of no interest.
        fenced.retain(|(other, _)| *other != shard);
        fenced.push((shard, epoch));
    }

    /// What was fenced since the last look.
    pub(crate) fn take_fenced(&self) -> Vec<(ShardId, Epoch)> {
        std::mem::take(&mut *self.fenced.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_it_was_missed_for_a_moment_is_heard_of_afterwards() {
        let tenure = Tenure::not_yet();
        tenure.extend(Time(10));
        assert!(tenure.holds_or_misses(Time(9)) && !tenure.take_missed());
        assert!(!tenure.holds_or_misses(Time(10)));
        tenure.extend(Time(20));
        assert!(tenure.holds_or_misses(Time(11)));
        assert!(tenure.take_missed());
        assert!(!tenure.take_missed(), "once");
    }

    #[test]
    fn each_shard_is_fenced_under_its_last_epoch() {
        let tenure = Tenure::for_ever();
        for (shard, epoch) in [(1, 1), (2, 1), (1, 3)] {
            tenure.fence(ShardId(shard), Epoch(epoch));
        }
        assert_eq!(tenure.take_fenced(), [(ShardId(2), Epoch(1)), (ShardId(1), Epoch(3))]);
        assert_eq!(tenure.take_fenced(), []);
    }
}
