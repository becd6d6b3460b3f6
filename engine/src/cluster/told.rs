//! What entities told others once: kept for a while, to be told again when the others' shard gets another owner, whose
//! predecessor may have died with it.

use std::collections::VecDeque;

use bytes::Bytes;
use jono_domain::time::Time;
use jono_store::ShardId;

use super::limits::{TOLD_KEPT_MAX, TOLD_KEPT_MS};

/// What was told lately, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Told(VecDeque<(Time, ShardId, Bytes)>);

impl Told {
    pub(crate) fn keep(&mut self, shard: ShardId, item: Bytes, now: Time) {
        while self.0.front().is_some_and(|(at, ..)| now.since_ms(*at) > TOLD_KEPT_MS) || self.0.len() >= TOLD_KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((now, shard, item));
    }

    /// What was told to entities of these shards, in order.
    pub(crate) fn again(&self, holds: impl Fn(ShardId) -> bool, now: Time) -> Vec<(ShardId, Bytes)> {
        let young = self.0.iter().filter(|(at, ..)| now.since_ms(*at) <= TOLD_KEPT_MS);
        young.filter(|(_, shard, _)| holds(*shard)).map(|(_, shard, item)| (*shard, item.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_lately_is_told_again_in_order() {
        let mut told = Told::default();
        for number in 0..4u8 {
            told.keep(ShardId(u16::from(number % 2)), Bytes::from(vec![number]), Time(u64::from(number) * 10));
        }
        let again =
            |now| told.again(|shard| shard == ShardId(1), Time(now)).into_iter().map(|(_, item)| item[0]).collect::<Vec<_>>();
        assert_eq!(again(40), [1, 3]);
        assert_eq!(again(15 + TOLD_KEPT_MS), [3]);
        assert_eq!(again(100 + TOLD_KEPT_MS), []);
    }
}
