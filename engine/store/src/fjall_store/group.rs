//! A group: the batches that share one change of the tables, and one sync.
//!
//! Each batch is judged against what is stored and what earlier batches of the group bring, and is
//! then staged as a whole or refused as a whole. Owns the judging and the staging. Does not apply:
//! that is the writer's.

use std::collections::HashMap;

use bytes::Bytes;

use super::damage::Damage;
use super::heads::Heads;
use super::keys;
use super::reader;
use super::tables::{Change, Tables};
use crate::record::Space;
use crate::{Batch, CommitError, EntityKey, Epoch, IndexChange, ReadError, ShardId, Write, limits};

/// Batches of a group. Beyond some 64 the sync is no longer what a group costs; more would only make
/// the first ones wait for the last.
const BATCHES_MAX: usize = 512;

/// Bytes of a group, the last batch not counted: what a disk takes in some 20 ms.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the writer knows about the stored records. Always ahead of the tables by the open group; if
/// that one fails, the store is done for, so it is never wrong.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) heads: Heads,
    epochs: HashMap<ShardId, u64>,
}

/// The end of the log that was written last. What the journal holds is a prefix of what was written,
/// so a store that has this has everything before it.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) shard: ShardId,
    pub(super) entity: EntityKey,
    pub(super) seq: u64,
}

/// A value on its way: a number (or nothing) and bytes behind it; `None` deletes.
type Staged = Option<(Option<u64>, Bytes)>;

/// What is committed together.
#[derive(Default)]
pub(super) struct Group {
    /// Log records: no two of a group have the same key.
    log: Vec<(Vec<u8>, Bytes)>,
    /// All else: the last one of a key counts, so that a head is written once per group.
    latest: HashMap<(Space, Vec<u8>), Staged>,
    batches: usize,
    bytes: usize,
    /// An owner changed, or a constant was set: that must not be lost in a power cut, or the same
    /// epoch would be given out twice.
    pub(super) must_sync: bool,
    /// The last log record staged.
    pub(super) newest: Option<Newest>,
}

impl Group {
    pub(super) fn is_full(&self) -> bool {
        self.batches >= BATCHES_MAX || self.bytes >= BYTES_MAX
    }

    /// Stages a batch as a whole, or says why not.
    pub(super) fn add(&mut self, known: &mut Known, tables: &Tables, damage: &Damage, batch: &Batch) -> Result<(), CommitError> {
        let ends = judge(known, tables, damage, batch)?;
        for write in &batch.writes {
            self.stage(batch.shard, write);
        }
        for (key, seq) in ends {
            known.heads.set(key, seq);
        }
        self.batches += 1;
        self.bytes += limits::batch_bytes(batch);
        Ok(())
    }

    /// Stages a shard's next epoch.
    pub(super) fn acquire(&mut self, known: &mut Known, tables: &Tables, shard: ShardId) -> Result<Epoch, CommitError> {
        let next = known.epoch(tables, shard)? + 1;
        self.put(Space::Meta, keys::epoch(shard), Some(next), Bytes::new());
        self.must_sync = true;
        known.epochs.insert(shard, next);
        Ok(Epoch(next))
    }

    fn stage(&mut self, shard: ShardId, write: &Write) {
        let owned = keys::owned(shard, &write.entity);
        let key = keys::entity(shard, &write.entity);
        let end = write.expected_seq + write.log.len() as u64;
        let numbers = write.expected_seq + 1..;
        self.log.extend(numbers.zip(&write.log).map(|(seq, record)| (keys::log(&owned, seq), record.clone())));
        if let Some(state) = &write.snapshot {
            self.put(Space::Snapshot, key.clone(), Some(end), state.clone());
        }
        match write.live {
            Some(true) => self.put(Space::Live, key.clone(), None, Bytes::new()),
            Some(false) => self.delete(Space::Live, key.clone()),
            None => {}
        }
        if !write.log.is_empty() {
            self.put(Space::Head, key, Some(end), Bytes::new());
            self.newest = Some(Newest { shard, entity: write.entity.clone(), seq: end });
        }
        for answer in &write.answers {
            let key = keys::answer(&owned, &answer.key);
            self.put(Space::AnswerTime, keys::answer_time(answer.at_ms, &key), None, Bytes::new());
            self.put(Space::Answer, key, Some(answer.at_ms), answer.value.clone());
        }
        for change in &write.index {
            match change {
                IndexChange::Put { key, value } => {
                    self.put(Space::Index, key.to_vec(), None, value.clone());
                }
                IndexChange::Delete { key } => self.delete(Space::Index, key.to_vec()),
            }
        }
    }

    pub(super) fn put(&mut self, space: Space, key: Vec<u8>, number: Option<u64>, value: Bytes) {
        self.latest.insert((space, key), Some((number, value)));
    }

    pub(super) fn delete(&mut self, space: Space, key: Vec<u8>) {
        self.latest.insert((space, key), None);
    }

    /// Records that change.
    pub(super) fn len(&self) -> usize {
        self.log.len() + self.latest.len()
    }

    /// Writes everything staged into a change of the tables.
    pub(super) fn fill(self, change: &mut Change<'_>) {
        for (key, record) in &self.log {
            change.put(Space::Log, key, [&[], record]);
        }
        for ((space, key), staged) in &self.latest {
            match staged {
                Some((Some(number), value)) => change.put(*space, key, [&number.to_be_bytes(), value]),
                Some((None, value)) => change.put(*space, key, [&[], value]),
                None => change.delete(*space, key),
            }
        }
    }
}

impl Known {
    /// The epoch of a shard, 0 when nobody has ever owned it.
    fn epoch(&mut self, tables: &Tables, shard: ShardId) -> Result<u64, CommitError> {
        if let Some(epoch) = self.epochs.get(&shard) {
            return Ok(*epoch);
        }
        let stored = tables.view().get(Space::Meta, &keys::epoch(shard)).map_err(unreadable)?;
        let epoch = match stored {
            Some(payload) => {
                let (epoch, _) =
                    reader::split_number(&payload).ok_or_else(|| CommitError::Unavailable("the epoch is damaged".into()))?;
                epoch
            }
            None => 0,
        };
        self.epochs.insert(shard, epoch);
        Ok(epoch)
    }
}

/// Where the logs of a batch's entities would end, or why the batch is refused. Changes nothing that
/// is not stored anyway.
fn judge(known: &mut Known, tables: &Tables, damage: &Damage, batch: &Batch) -> Result<HashMap<Vec<u8>, u64>, CommitError> {
    let current = known.epoch(tables, batch.shard)?;
    if current == 0 || batch.epoch != Epoch(current) {
        return Err(CommitError::Fenced { current: Epoch(current) });
    }
    let mut ends: HashMap<Vec<u8>, u64> = HashMap::with_capacity(batch.writes.len());
    for write in &batch.writes {
        if damage.contains(&write.entity) {
            return Err(CommitError::Unavailable("the entity is damaged".into()));
        }
        let key = keys::entity(batch.shard, &write.entity);
        let end = match ends.get(&key).copied().or_else(|| known.heads.get(&key)) {
            Some(end) => end,
            None => {
                let head = reader::head(&tables.view(), batch.shard, &write.entity);
                head.inspect_err(|error| {
                    if let ReadError::Corrupt(what) = error {
                        damage.quarantine(&write.entity, what);
                    }
                })
                .map_err(unreadable)?
            }
        };
        if end != write.expected_seq {
            return Err(CommitError::Conflict { entity: write.entity.clone(), actual_seq: end });
        }
        ends.insert(key, end + write.log.len() as u64);
    }
    Ok(ends)
}

/// What must be read for a commit does not read: nothing was applied.
pub(super) fn unreadable(error: ReadError) -> CommitError {
    CommitError::Unavailable(error.to_string())
}
