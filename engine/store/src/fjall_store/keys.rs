//! Where a record is kept: the bytes of its key.
//!
//! ```text
//! place                    shard (u16), spread (u16), length of the entity (u8), entity
//! heads, snapshots         place
//! log                      place, number of the write's last record (u64)
//! answers                  place, key of the answer
//! answers_by_time          at_ms (u64), shard (u16), entity
//! live                     shard (u16), entity
//! index                    as the engine gave it
//! meta                     "e" and shard (u16): epoch; "c" and name: constant; "f": format
//! ```
//!
//! Numbers are big endian, so that the order of the bytes is the order of the numbers. The shard
//! comes first, so that a shard's records lie together and no shard can reach another's. The spread
//! is of the entity's own bytes: fjall keeps the first four bytes of a key beside the pointer to it,
//! so nearly every comparison on the way to a record is decided without looking further. The length
//! before the entity keeps one entity's range free of another whose name begins alike. Live entities
//! are read in the order of their names, so their marks have no spread.

use bytes::Bytes;

use crate::{EntityKey, ShardId, record};

/// Key of the stored version of the format.
pub(super) const FORMAT: &[u8] = b"f";

/// Appends what the keys of all that belongs to an entity begin with.
pub(super) fn write_place(out: &mut Vec<u8>, shard: ShardId, entity: &[u8]) {
    let spread = record::spread(entity);
    out.extend_from_slice(&shard.0.to_be_bytes());
    out.extend_from_slice(&spread.to_be_bytes());
    // Entities are at most 128 bytes long; nothing longer gets here.
    out.push(entity.len() as u8);
    out.extend_from_slice(entity);
}

/// What the keys of all that belongs to an entity begin with.
pub(super) fn place(shard: ShardId, entity: &EntityKey) -> Vec<u8> {
    let mut place = Vec::with_capacity(5 + entity.0.len() + 8);
    write_place(&mut place, shard, &entity.0);
    place
}

/// Key in log of the write that ends with this number, or of the first one after it.
pub(super) fn log(place: &[u8], seq: u64) -> Vec<u8> {
    [place, &seq.to_be_bytes()].concat()
}

/// The number in a key of the log.
pub(super) fn seq_of(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|seq| u64::from_be_bytes(*seq))
}

/// Key in live.
pub(super) fn live(shard: ShardId, entity: &EntityKey) -> Vec<u8> {
    [&shard.0.to_be_bytes(), &*entity.0].concat()
}

/// The entity of a key in live.
pub(super) fn live_of(key: &[u8]) -> Option<(ShardId, EntityKey)> {
    let (shard, entity) = key.split_first_chunk()?;
    Some((ShardId(u16::from_be_bytes(*shard)), EntityKey(Bytes::copy_from_slice(entity))))
}

/// Key in answers_by_time.
pub(super) fn answer_time(at_ms: u64, shard: ShardId, entity: &EntityKey) -> Vec<u8> {
    [&at_ms.to_be_bytes(), &shard.0.to_be_bytes()[..], &*entity.0].concat()
}

/// Moment and entity of a key in answers_by_time.
pub(super) fn answer_time_of(key: &[u8]) -> Option<(u64, ShardId, EntityKey)> {
    let (at_ms, rest) = key.split_first_chunk()?;
    let (shard, entity) = live_of(rest)?;
    Some((u64::from_be_bytes(*at_ms), shard, entity))
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
        assert_eq!(live(shard, &name), b"\x01\x02Cab");
        assert_eq!(live_of(b"\x01\x02Cab"), Some((shard, name.clone())));
        let place = place(shard, &name);
        assert_eq!(place, b"\x01\x02\xb0\x19\x03Cab");
        assert_eq!(log(&place, 0x0304), b"\x01\x02\xb0\x19\x03Cab\x00\x00\x00\x00\x00\x00\x03\x04");
        assert_eq!(seq_of(&log(&place, 77)), Some(77));
        assert_eq!(answer_time_of(&answer_time(9, shard, &name)), Some((9, shard, name)));
    }

    #[test]
    fn no_entity_lies_in_the_range_of_another() {
        let short = place(ShardId(1), &EntityKey(Bytes::from_static(b"a")));
        let long = place(ShardId(1), &EntityKey(Bytes::from_static(b"a\0\0\0\0\0\0\0\x01")));
        assert!(!long.starts_with(&short));
    }
}
