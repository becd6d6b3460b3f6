//! A group: the batches that share one change of the tables, and one sync.
//!
//! Each batch is judged against what is stored and what earlier batches of the group bring, and is
//! then staged as a whole or refused as a whole. Owns the judging and the staging. Does not apply:
//! that is the writer's.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::damage::Damage;
use super::heads::Heads;
use super::keys;
use super::payloads::{split_number, write_log};
use super::sweep::Sweep;
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

/// A change on its way. Its key lies in the group's bytes, and behind it what the payload begins with.
struct Staged {
    space: Space,
    key: usize,
    head: usize,
    end: usize,
    /// The rest of the payload; `None` deletes.
    rest: Option<Bytes>,
}

/// What is committed together.
#[derive(Default)]
pub(super) struct Group {
    /// In the order of staging; of one key the last one counts.
    staged: Vec<Staged>,
    /// Keys and what payloads begin with, one after the other: one allocation for all.
    bytes: Vec<u8>,
    /// The place of the entity that is being staged.
    place: Vec<u8>,
    batches: usize,
    payload_bytes: usize,
    /// An owner changed, or a constant was set: that must not be lost in a power cut, or the same
    /// epoch would be given out twice.
    pub(super) must_sync: bool,
    /// The last log record staged.
    pub(super) newest: Option<Newest>,
}

impl Group {
    pub(super) fn is_full(&self) -> bool {
        self.batches >= BATCHES_MAX || self.payload_bytes >= BYTES_MAX
    }

    /// Stages a batch as a whole, or says why not.
    pub(super) fn add(&mut self, known: &mut Known, tables: &Tables, damage: &Damage, batch: &Batch) -> Result<(), CommitError> {
        let ends = judge(known, tables, damage, batch)?;
        let mut place = std::mem::take(&mut self.place);
        for (entity, end) in ends {
            place.clear();
            keys::write_place(&mut place, batch.shard, entity);
            known.heads.set_end(&place, end);
        }
        for write in &batch.writes {
            place.clear();
            keys::write_place(&mut place, batch.shard, &write.entity.0);
            self.stage(known, batch.shard, &place, write);
        }
        self.place = place;
        self.batches += 1;
        self.payload_bytes += limits::batch_bytes(batch);
        Ok(())
    }

    /// Stages a shard's next epoch.
    pub(super) fn acquire(&mut self, known: &mut Known, tables: &Tables, shard: ShardId) -> Result<Epoch, CommitError> {
        let next = known.epoch(tables, shard)? + 1;
        self.put(Space::Meta, &[&keys::epoch(shard)], &[next], Bytes::new());
        self.must_sync = true;
        known.epochs.insert(shard, next);
        Ok(Epoch(next))
    }

    fn stage(&mut self, known: &mut Known, shard: ShardId, place: &[u8], write: &Write) {
        let end = write.expected_seq + write.log.len() as u64;
        if !write.log.is_empty() {
            self.begin(Space::Log, &[place, &end.to_be_bytes()]);
            let rest = write_log(&mut self.bytes, &write.log);
            self.finish(Some(rest.unwrap_or_default()));
            self.newest = Some(Newest { shard, entity: write.entity.clone(), seq: end });
        }
        if let Some(state) = &write.snapshot {
            self.put(Space::Snapshot, &[place], &[end], state.clone());
        }
        for answer in &write.answers {
            self.put(Space::Answer, &[place, &answer.key], &[end, answer.at_ms], answer.value.clone());
            if known.heads.must_mark(place, answer.at_ms) {
                self.mark(answer.at_ms, shard, &write.entity);
            }
        }
        if !write.log.is_empty() && write.snapshot.is_none() && write.answers.is_empty() {
            self.put(Space::Head, &[place], &[end], Bytes::new());
        }
        let live = [&shard.0.to_be_bytes(), &*write.entity.0];
        match write.live {
            Some(true) => self.put(Space::Live, &live, &[], Bytes::new()),
            Some(false) => self.delete(Space::Live, &live),
            None => {}
        }
        for change in &write.index {
            match change {
                IndexChange::Put { key, value } => self.put(Space::Index, &[key], &[], value.clone()),
                IndexChange::Delete { key } => self.delete(Space::Index, &[key]),
            }
        }
    }

    /// Marks that an entity has answers of this moment or later ones.
    pub(super) fn mark(&mut self, at_ms: u64, shard: ShardId, entity: &EntityKey) {
        let key = keys::answer_time(at_ms, shard, entity);
        self.put(Space::AnswerTime, &[&key], &[], Bytes::new());
    }

    /// Stages the record of these numbers and `rest` under the concatenated key.
    pub(super) fn put(&mut self, space: Space, key: &[&[u8]], numbers: &[u64], rest: Bytes) {
        self.begin(space, key);
        for number in numbers {
            self.bytes.extend_from_slice(&number.to_be_bytes());
        }
        self.finish(Some(rest));
    }

    pub(super) fn delete(&mut self, space: Space, key: &[&[u8]]) {
        self.begin(space, key);
        self.finish(None);
    }

    fn begin(&mut self, space: Space, key: &[&[u8]]) {
        let start = self.bytes.len();
        for part in key {
            self.bytes.extend_from_slice(part);
        }
        let head = self.bytes.len();
        self.staged.push(Staged { space, key: start, head, end: head, rest: None });
    }

    /// Everything since [`begin`](Self::begin) is what the payload begins with.
    fn finish(&mut self, rest: Option<Bytes>) {
        let end = self.bytes.len();
        if let Some(staged) = self.staged.last_mut() {
            (staged.end, staged.rest) = (end, rest);
        }
    }

    /// Changes, of which some may be of the same key.
    pub(super) fn len(&self) -> usize {
        self.staged.len()
    }

    /// Writes everything staged into a change of the tables, in the order of the tables: then what is
    /// inserted next lies beside what was inserted last.
    pub(super) fn fill(mut self, change: &mut Change<'_>) {
        let bytes = &self.bytes;
        let place = |staged: &Staged| (staged.space, &bytes[staged.key..staged.head]);
        // Stable, so that the last one of a key is the one that was staged last.
        self.staged.sort_by(|one, other| place(one).cmp(&place(other)));
        for (at, staged) in self.staged.iter().enumerate() {
            let (space, key) = place(staged);
            if self.staged.get(at + 1).is_some_and(|next| place(next) == (space, key)) {
                continue;
            }
            match &staged.rest {
                Some(rest) => change.put(space, key, [&bytes[staged.head..staged.end], rest]),
                None => change.delete(space, key),
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
                let (epoch, _) = split_number(&payload).ok_or_else(|| CommitError::Unavailable("the epoch is damaged".into()))?;
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
fn judge<'a>(
    known: &mut Known,
    tables: &Tables,
    damage: &Damage,
    batch: &'a Batch,
) -> Result<BTreeMap<&'a [u8], u64>, CommitError> {
    let current = known.epoch(tables, batch.shard)?;
    if current == 0 || batch.epoch != Epoch(current) {
        return Err(CommitError::Fenced { current: Epoch(current) });
    }
    let mut ends: BTreeMap<&[u8], u64> = BTreeMap::new();
    let mut place = Vec::new();
    for write in &batch.writes {
        if damage.contains(&write.entity) {
            return Err(CommitError::Unavailable("the entity is damaged".into()));
        }
        let end = match ends.get(&*write.entity.0) {
            Some(end) => *end,
            None => {
                place.clear();
                keys::write_place(&mut place, batch.shard, &write.entity.0);
                match known.heads.end(&place) {
                    Some(end) => end,
                    None => stored_head(tables, damage, &place, &write.entity)?,
                }
            }
        };
        if end != write.expected_seq {
            return Err(CommitError::Conflict { entity: write.entity.clone(), actual_seq: end });
        }
        ends.insert(&write.entity.0, end + write.log.len() as u64);
    }
    Ok(ends)
}

fn stored_head(tables: &Tables, damage: &Damage, place: &[u8], entity: &EntityKey) -> Result<u64, CommitError> {
    let head = Sweep::for_one(&tables.view()).head(place);
    head.inspect_err(|error| {
        if let ReadError::Corrupt(what) = error {
            damage.quarantine(entity, what);
        }
    })
    .map_err(unreadable)
}

/// What must be read for a commit does not read: nothing was applied.
pub(super) fn unreadable(error: ReadError) -> CommitError {
    CommitError::Unavailable(error.to_string())
}
