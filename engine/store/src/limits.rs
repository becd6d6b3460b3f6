//! What may be put into a store, and into a box: one set of limits for every store, so that a batch that one store
//! takes is not refused by another.
//!
//! Owns the figures and the check. Does not know where anything is kept.

use crate::{Batch, CommitError, EntityKey, IndexChange, Write};

/// Bytes of an entity's name. A kind and an id need some 20; the rest is room. It is a part of the
/// key of every log record, so it is paid for with each.
pub const ENTITY_KEY_BYTES_MAX: usize = 128;

/// Bytes of the key of an answer: a hash of author and request key needs 32.
pub const ANSWER_KEY_BYTES_MAX: usize = 64;

/// Bytes of a key of an ordered list: organisation, list, sort value and id need some 100.
pub const INDEX_KEY_BYTES_MAX: usize = 512;

/// Bytes of all keys and values of one batch. A shard commits what a few milliseconds brought; a
/// larger batch would hold the writer, and every other shard, for longer than a request may take.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Entries that one call of [`scan`](crate::Store::scan), [`read_log`](crate::Store::read_log),
/// [`load_live`](crate::Store::load_live) or [`forget_answers`](crate::Store::forget_answers)
/// handles, whatever was asked for. It bounds the memory of one call.
pub const PAGE_MAX: usize = 10_000;

/// Parcels of one [box](crate::Exchange::send). A process that has not read for so long is dead, or lost in work.
pub const BOX_PARCELS_MAX: usize = 100_000;

/// Bytes of the parcels of one box: a few seconds of everything that one process can work off, and little enough that
/// some dozen of boxes nobody reads do not fill a server.
pub const BOX_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Refuses what is over a limit, or has an empty key. Nothing of such a batch is applied, and trying
/// again does not help: it is a mistake of the caller, answered rather than a panic.
pub fn check(batch: &Batch) -> Result<(), CommitError> {
    let refuse = |what: &str| Err(CommitError::Unavailable(format!("not storable: {what}")));
    for write in &batch.writes {
        if !is_entity_key(&write.entity) {
            return refuse("an entity key is empty or too long");
        }
        if write.answers.iter().any(|answer| !within(answer.key.len(), ANSWER_KEY_BYTES_MAX)) {
            return refuse("the key of an answer is empty or too long");
        }
        let bad_index = write.index.iter().any(|change| match change {
            IndexChange::Put { key, .. } | IndexChange::Delete { key } => !within(key.len(), INDEX_KEY_BYTES_MAX),
        });
        if bad_index {
            return refuse("a key of a list is empty or too long");
        }
        // The number of the last record must fit, and leave the largest one unused.
        if write.expected_seq.checked_add(write.log.len() as u64 + 1).is_none() {
            return refuse("the log is full");
        }
    }
    if batch_bytes(batch) > BATCH_BYTES_MAX {
        return refuse("the batch is too large");
    }
    Ok(())
}

/// Whether an entity of this name can be stored.
#[must_use]
pub fn is_entity_key(entity: &EntityKey) -> bool {
    within(entity.0.len(), ENTITY_KEY_BYTES_MAX)
}

/// Bytes of all keys and values of a batch, roughly what it takes in memory and on the disk.
#[must_use]
pub fn batch_bytes(batch: &Batch) -> usize {
    batch.writes.iter().map(write_bytes).sum()
}

fn write_bytes(write: &Write) -> usize {
    let log: usize = write.log.iter().map(|record| write.entity.0.len() + record.len()).sum();
    let answers: usize =
        write.answers.iter().map(|answer| 2 * (write.entity.0.len() + answer.key.len()) + answer.value.len()).sum();
    let index: usize = write
        .index
        .iter()
        .map(|change| match change {
            IndexChange::Put { key, value } => key.len() + value.len(),
            IndexChange::Delete { key } => key.len(),
        })
        .sum();
    let snapshot = write.snapshot.as_ref().map_or(0, |state| state.len());
    write.entity.0.len() + log + snapshot + answers + index
}

fn within(len: usize, max: usize) -> bool {
    (1..=max).contains(&len)
}
