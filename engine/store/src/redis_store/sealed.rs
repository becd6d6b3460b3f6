//! The records inside Redis's values: sealed and opened. The keys in the checksums are those of the embedded store.

use bytes::Bytes;

use crate::record::{self, Space};
use crate::{EntityKey, Epoch, ReadError, ShardId};

/// What the checksum of an entity's head and snapshot is over.
fn entity_key(shard: ShardId, entity: &EntityKey) -> Vec<u8> {
    [&shard.0.to_be_bytes(), &*entity.0].concat()
}

/// What the checksums of an entity's log records and answers begin with.
fn owned_key(shard: ShardId, entity: &EntityKey) -> Vec<u8> {
    let len = entity.0.len() as u16;
    [&shard.0.to_be_bytes(), &len.to_be_bytes(), &*entity.0].concat()
}

pub(super) fn seal_head(shard: ShardId, entity: &EntityKey, seq: u64) -> Vec<u8> {
    record::seal(Space::Head, &entity_key(shard, entity), [&seq.to_be_bytes(), &[]])
}

pub(super) fn open_head(shard: ShardId, entity: &EntityKey, sealed: &[u8]) -> Result<u64, ReadError> {
    number(Space::Head, record::open(Space::Head, &entity_key(shard, entity), sealed)?)
}

pub(super) fn seal_snapshot(shard: ShardId, entity: &EntityKey, seq: u64, state: &[u8]) -> Vec<u8> {
    record::seal(Space::Snapshot, &entity_key(shard, entity), [&seq.to_be_bytes(), state])
}

pub(super) fn open_snapshot(shard: ShardId, entity: &EntityKey, sealed: Vec<u8>) -> Result<(u64, Bytes), ReadError> {
    numbered(Space::Snapshot, &entity_key(shard, entity), sealed)
}

/// Seals log records of one entity one after the other.
pub(super) struct LogSeal(Vec<u8>);

impl LogSeal {
    pub(super) fn new(shard: ShardId, entity: &EntityKey) -> Self {
        Self(owned_key(shard, entity))
    }

    fn key(&self, seq: u64) -> Vec<u8> {
        [&*self.0, &seq.to_be_bytes()].concat()
    }

    pub(super) fn seal(&self, seq: u64, payload: &[u8]) -> Vec<u8> {
        record::seal(Space::Log, &self.key(seq), [payload, &[]])
    }

    pub(super) fn open(&self, seq: u64, sealed: Vec<u8>) -> Result<Bytes, ReadError> {
        payload(Space::Log, &self.key(seq), sealed)
    }
}

pub(super) fn seal_answer(shard: ShardId, entity: &EntityKey, key: &[u8], at_ms: u64, value: &[u8]) -> Vec<u8> {
    record::seal(Space::Answer, &[&owned_key(shard, entity), key].concat(), [&at_ms.to_be_bytes(), value])
}

pub(super) fn open_answer(shard: ShardId, entity: &EntityKey, key: &[u8], sealed: Vec<u8>) -> Result<(u64, Bytes), ReadError> {
    numbered(Space::Answer, &[&owned_key(shard, entity), key].concat(), sealed)
}

pub(super) fn seal_entry(key: &[u8], value: &[u8]) -> Vec<u8> {
    record::seal(Space::Index, key, [value, &[]])
}

pub(super) fn open_entry(key: &[u8], sealed: Vec<u8>) -> Result<Bytes, ReadError> {
    payload(Space::Index, key, sealed)
}

fn epoch_key(shard: ShardId) -> Vec<u8> {
    [b"e".as_slice(), &shard.0.to_be_bytes()].concat()
}

pub(super) fn seal_epoch(shard: ShardId, epoch: Epoch) -> Vec<u8> {
    record::seal(Space::Meta, &epoch_key(shard), [&epoch.0.to_be_bytes(), &[]])
}

/// No record is epoch 0: nobody has ever owned the shard.
pub(super) fn open_epoch(shard: ShardId, sealed: &[u8]) -> Result<Epoch, ReadError> {
    if sealed.is_empty() {
        return Ok(Epoch(0));
    }
    number(Space::Meta, record::open(Space::Meta, &epoch_key(shard), sealed)?).map(Epoch)
}

fn constant_key(name: &str) -> Vec<u8> {
    [b"c", name.as_bytes()].concat()
}

pub(super) fn seal_constant(name: &str, value: &[u8]) -> Vec<u8> {
    record::seal(Space::Meta, &constant_key(name), [value, &[]])
}

pub(super) fn open_constant(name: &str, sealed: Vec<u8>) -> Result<Bytes, ReadError> {
    payload(Space::Meta, &constant_key(name), sealed)
}

/// The payload of a record, without copying it.
fn payload(space: Space, key: &[u8], sealed: Vec<u8>) -> Result<Bytes, ReadError> {
    let len = record::open(space, key, &sealed)?.len();
    let all = Bytes::from(sealed);
    Ok(all.slice(all.len() - len..))
}

/// A payload that begins with a number, and the rest.
fn numbered(space: Space, key: &[u8], sealed: Vec<u8>) -> Result<(u64, Bytes), ReadError> {
    let payload = payload(space, key, sealed)?;
    let (number, rest) = payload.split_first_chunk().ok_or_else(|| misshapen(space))?;
    Ok((u64::from_be_bytes(*number), payload.slice_ref(rest)))
}

fn number(space: Space, payload: &[u8]) -> Result<u64, ReadError> {
    payload.try_into().map(u64::from_be_bytes).map_err(|_| misshapen(space))
}

fn misshapen(space: Space) -> ReadError {
    ReadError::Corrupt(format!("{}: the record has the wrong length", space.name()))
}
