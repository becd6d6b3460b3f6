//! Where a record is kept: the bytes of its key.
//!
//! ```text
//! heads, snapshots, live   shard (u16), entity
//! log                      shard (u16), length of the entity (u16), entity, seq (u64)
//! answers                  shard (u16), length of the entity (u16), entity, key of the answer
//! answers_by_time          at_ms (u64), then as in answers
//! index                    as the engine gave it
//! meta                     "e" and shard (u16): epoch; "c" and name: constant; "f": format
//! ```
//!
//! Numbers are big endian, so that the order of the bytes is the order of the numbers. The length
//! before the entity keeps one entity's range free of another whose name begins alike. The shard
//! comes first, so that a shard's records lie together and no shard can reach another's.

use bytes::Bytes;

use crate::{EntityKey, ShardId};

/// Key of the stored version of the format.
pub(super) const FORMAT: &[u8] = b"f";

/// Key in heads, snapshots and live.
pub(super) fn entity(shard: ShardId, entity: &EntityKey) -> Vec<u8> {
    [&shard.0.to_be_bytes(), &*entity.0].concat()
}

/// The entity of a key of the live marks.
pub(super) fn entity_of(key: &[u8]) -> Option<(ShardId, EntityKey)> {
    let (shard, entity) = key.split_first_chunk()?;
    Some((ShardId(u16::from_be_bytes(*shard)), EntityKey(Bytes::copy_from_slice(entity))))
}

/// What all of an entity's keys in log, or in answers, begin with.
pub(super) fn owned(shard: ShardId, entity: &EntityKey) -> Vec<u8> {
    // Entities are at most 128 bytes long; nothing longer gets here.
    let len = entity.0.len() as u16;
    [&shard.0.to_be_bytes(), &len.to_be_bytes(), &*entity.0].concat()
}

/// Key in log; `owned` as [`owned`] gave it.
pub(super) fn log(owned: &[u8], seq: u64) -> Vec<u8> {
    [owned, &seq.to_be_bytes()].concat()
}

/// The number in a key of the log.
pub(super) fn seq_of(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|seq| u64::from_be_bytes(*seq))
}

/// Key in answers; `owned` as [`owned`] gave it.
pub(super) fn answer(owned: &[u8], key: &[u8]) -> Vec<u8> {
    [owned, key].concat()
}

/// Key in answers_by_time; `answer` as [`answer`] gave it.
pub(super) fn answer_time(at_ms: u64, answer: &[u8]) -> Vec<u8> {
    [&at_ms.to_be_bytes(), answer].concat()
}

/// Moment and key in answers of a key in answers_by_time.
pub(super) fn answer_of(key: &[u8]) -> Option<(u64, &[u8])> {
    key.split_first_chunk().map(|(at_ms, answer)| (u64::from_be_bytes(*at_ms), answer))
}

/// Key of a shard's epoch in meta.
pub(super) fn epoch(shard: ShardId) -> Vec<u8> {
    [b"e".as_slice(), &shard.0.to_be_bytes()].concat()
}

/// Key of a constant in meta.
pub(super) fn constant(name: &str) -> Vec<u8> {
    [b"c", name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_apart_again() {
        let name = EntityKey(Bytes::from_static(b"Cab"));
        let shard = ShardId(0x0102);
        assert_eq!(entity(shard, &name), b"\x01\x02Cab");
        assert_eq!(entity_of(b"\x01\x02Cab"), Some((shard, name.clone())));
        let owned = owned(shard, &name);
        assert_eq!(log(&owned, 0x0304), b"\x01\x02\x00\x03Cab\x00\x00\x00\x00\x00\x00\x03\x04");
        assert_eq!(seq_of(&log(&owned, 77)), Some(77));
        let answer = answer(&owned, b"key");
        assert_eq!(answer, b"\x01\x02\x00\x03Cabkey");
        assert_eq!(answer_of(&answer_time(9, &answer)), Some((9, &*answer)));
    }

    #[test]
    fn no_entity_lies_in_the_range_of_another() {
        let short = owned(ShardId(1), &EntityKey(Bytes::from_static(b"a")));
        let long = owned(ShardId(1), &EntityKey(Bytes::from_static(b"a\0\0\0\0\0\0\0\x01")));
        assert!(!long.starts_with(&short));
    }
}
