//! Where a record is kept in Redis.
//!
//! ```text
//! <prefix>:{s<shard>}:own          hash: epoch; writer and number of the last commit, and both once more as a check
//! <prefix>:{s<shard>}:heads        hash: entity -> number of its last record
//! <prefix>:{s<shard>}:snapshots    hash: entity -> number and state
//! <prefix>:{s<shard>}:live         sorted set of entities, all with score 0: in the order of their bytes
//! <prefix>:{s<shard>}:log:<entity>      list: record n at place n - 1
//! <prefix>:{s<shard>}:answers:<entity>  hash: key -> moment and answer
//! <prefix>:{s<shard>}:moments      sorted set of answers by moment: length of the entity (u16), entity, key
//! <prefix>:{s<shard>}:lists        sorted set of the keys of list entries, all with score 0
//! <prefix>:{s<shard>}:entries      hash: key of a list entry -> value
//! <prefix>:{members}:shards        bits: the shards that were ever acquired
//! <prefix>:{members}:constants     hash
//! ```
//!
//! All of a shard is in one slot, so that one script may touch it. An entity has one key of its own, its log, and a second one while
//! answers are remembered; everything else is in hashes of the shard, since each key costs Redis some 100 bytes more than a field.
//!
//! Logs are lists and not streams: a stream takes 2.4 times the memory at 8 records of 200 bytes, 1.4 times at 64 (it allocates its
//! blocks in advance), and what a stream would refuse (a record that is not the next) the commit script refuses by the head.
//!
//! Every value but `writer`, `number` and `check` has the frame of [`crate::record`] around it. The checksums are over the same keys as in the
//! embedded store, so a record found in another place is as corrupt as a torn one.

use bytes::Bytes;

use super::address::slot;
use crate::{EntityKey, ShardId};

/// The tag of what belongs to no shard: members, owners, constants.
const MEMBERS: &str = "members";

/// The keys of one system.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

/// The keys of one shard.
#[derive(Clone, Debug)]
pub(super) struct ShardKeys {
    start: String,
    /// Where they are in a cluster.
    pub(super) slot: usize,
}

impl Keys {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(super) fn shard(&self, shard: ShardId) -> ShardKeys {
        let tag = format!("s{}", shard.0);
        ShardKeys { start: format!("{}:{{{tag}}}:", self.prefix), slot: slot(&tag) }
    }

    /// A key that belongs to no shard.
    pub(super) fn common(&self, name: &str) -> Vec<u8> {
        format!("{}:{{{MEMBERS}}}:{name}", self.prefix).into_bytes()
    }

    /// Where such keys are in a cluster.
    pub(super) fn common_slot() -> usize {
        slot(MEMBERS)
    }

    /// A key of a member's box, and where it is in a cluster.
    pub(super) fn of_box(&self, node: u32, name: &str) -> (Vec<u8>, usize) {
        let tag = format!("n{node}");
        (format!("{}:{{{tag}}}:{name}", self.prefix).into_bytes(), slot(&tag))
    }
}

impl ShardKeys {
    /// A key of the whole shard.
    pub(super) fn of_shard(&self, name: &str) -> Vec<u8> {
        [self.start.as_bytes(), name.as_bytes()].concat()
    }

    pub(super) fn log(&self, entity: &EntityKey) -> Vec<u8> {
        [self.start.as_bytes(), b"log:", &entity.0].concat()
    }

    pub(super) fn answers(&self, entity: &EntityKey) -> Vec<u8> {
        [self.start.as_bytes(), b"answers:", &entity.0].concat()
    }
}

/// An answer's member among the moments.
pub(super) fn moment(entity: &EntityKey, key: &[u8]) -> Vec<u8> {
    // Entities are at most 128 bytes long; nothing longer gets here.
    [&(entity.0.len() as u16).to_be_bytes(), &*entity.0, key].concat()
}

/// Entity and key of a member of the moments.
pub(super) fn answer_of(moment: &[u8]) -> Option<(EntityKey, &[u8])> {
    let (len, rest) = moment.split_first_chunk()?;
    let (entity, key) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    Some((EntityKey(Bytes::copy_from_slice(entity)), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_shard_share_a_tag() {
        let keys = Keys::new("jono".into()).shard(ShardId(17));
        assert_eq!(keys.of_shard("heads"), b"jono:{s17}:heads");
        let entity = EntityKey(Bytes::from_static(b"C\0}{"));
        assert_eq!(keys.log(&entity), b"jono:{s17}:log:C\0}{");
        assert_eq!(keys.slot, slot("s17"));
    }

    #[test]
    fn moments_come_apart_again() {
        let entity = EntityKey(Bytes::from_static(b"ab"));
        let moment = moment(&entity, b"key");
        assert_eq!(moment, b"\0\x02abkey");
        assert_eq!(answer_of(&moment), Some((entity, &b"key"[..])));
        assert_eq!(answer_of(b"\0\x09abkey"), None);
    }
}
