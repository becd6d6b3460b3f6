//! What is read from the tables, checked on the way. Runs on the reader threads and in the start
//! check. Never delivers a record that does not read, nor a log with a hole.

use bytes::Bytes;

use super::damage::Damage;
use super::keys;
use super::tables::{Tables, View};
use crate::record::Space;
use crate::{Answer, EntityKey, Loaded, LogRange, ReadError, ShardId, limits};

/// What a reader thread works with.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) tables: &'a Tables,
    pub(super) damage: &'a Damage,
}

impl Reader<'_> {
    pub(super) fn load(&self, shard: ShardId, entity: &EntityKey) -> Result<Loaded, ReadError> {
        self.load_from(&self.tables.view(), shard, entity)
    }

    fn load_from(&self, view: &View<'_>, shard: ShardId, entity: &EntityKey) -> Result<Loaded, ReadError> {
        if self.damage.contains(entity) {
            return Err(ReadError::Corrupt("in quarantine".into()));
        }
        let loaded = load(view, shard, entity);
        if let Err(ReadError::Corrupt(what)) = &loaded {
            self.damage.quarantine(entity, what);
        }
        loaded
    }

    /// Damaged entities are left out: they must not keep their shard from starting.
    pub(super) fn load_live(
        &self,
        shard: ShardId,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<(EntityKey, Loaded)>, ReadError> {
        let view = self.tables.view();
        let prefix = shard.0.to_be_bytes();
        let from = after.map_or_else(|| prefix.to_vec(), |after| after_key(keys::entity(shard, after)));
        let mut page = Vec::new();
        for key in view.keys(Space::Live, &prefix, from) {
            if page.len() >= limit {
                break;
            }
            let key = key?;
            let Some((_, entity)) = keys::entity_of(&key) else {
                continue;
            };
            match self.load_from(&view, shard, &entity) {
                Ok(loaded) => page.push((entity, loaded)),
                Err(ReadError::Corrupt(_)) => {}
                Err(error @ ReadError::Unavailable(_)) => return Err(error),
            }
        }
        Ok(page)
    }

    pub(super) fn read_log(
        &self,
        shard: ShardId,
        entity: &EntityKey,
        range: LogRange,
        limit: usize,
    ) -> Result<Vec<(u64, Bytes)>, ReadError> {
        if !limits::is_entity_key(entity) {
            return Ok(Vec::new());
        }
        if self.damage.contains(entity) {
            return Err(ReadError::Corrupt("in quarantine".into()));
        }
        let view = self.tables.view();
        let end = head(&view, shard, entity)?;
        let limit = limit as u64;
        let (after, last) = match range {
            LogRange::After(seq) => (seq, end.min(seq.saturating_add(limit))),
            LogRange::Before(seq) => {
                let last = seq.saturating_sub(1).min(end);
                (last.saturating_sub(limit), last)
            }
        };
        log(&view, shard, entity, after, last)
    }

    pub(super) fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Bytes, Bytes)>, ReadError> {
        if prefix.len() > limits::INDEX_KEY_BYTES_MAX {
            return Ok(Vec::new());
        }
        let from = match after {
            Some(after) if after >= prefix => after_key(after.to_vec()),
            _ => prefix.to_vec(),
        };
        let view = self.tables.view();
        let entries = view.range(Space::Index, prefix, from).take(limit);
        entries.map(|entry| entry.map(|(key, value)| (Bytes::copy_from_slice(&key), value))).collect()
    }
}

/// Whether an entity can be brought back: all that [`Reader::load`] reads but the answers, and that
/// the log ends where the head says.
pub(super) fn check(view: &View<'_>, shard: ShardId, entity: &EntityKey) -> Result<(), ReadError> {
    let end = head(view, shard, entity)?;
    let owned = keys::owned(shard, entity);
    let last = view.last_key(Space::Log, keys::log(&owned, 0), keys::log(&owned, u64::MAX))?;
    let last = last.and_then(|key| keys::seq_of(&key)).unwrap_or(0);
    if last != end {
        return Err(ReadError::Corrupt(format!("the log ends at {last}, the head says {end}")));
    }
    let included = snapshot(view, shard, entity, end)?.map_or(0, |(seq, _)| seq);
    log(view, shard, entity, included, end).map(drop)
}

fn load(view: &View<'_>, shard: ShardId, entity: &EntityKey) -> Result<Loaded, ReadError> {
    if !limits::is_entity_key(entity) {
        return Ok(Loaded::default());
    }
    let seq = head(view, shard, entity)?;
    let snapshot = snapshot(view, shard, entity, seq)?;
    let included = snapshot.as_ref().map_or(0, |(seq, _)| *seq);
    let tail = log(view, shard, entity, included, seq)?;
    let answers = answers(view, shard, entity)?;
    Ok(Loaded { seq, snapshot, tail, answers })
}

/// The number of the entity's last record.
pub(super) fn head(view: &View<'_>, shard: ShardId, entity: &EntityKey) -> Result<u64, ReadError> {
    match view.get(Space::Head, &keys::entity(shard, entity))? {
        Some(payload) => {
            let number = (&*payload).try_into().map_err(|_| misshapen(Space::Head))?;
            Ok(u64::from_be_bytes(number))
        }
        None => Ok(0),
    }
}

fn snapshot(view: &View<'_>, shard: ShardId, entity: &EntityKey, end: u64) -> Result<Option<(u64, Bytes)>, ReadError> {
    let Some(payload) = view.get(Space::Snapshot, &keys::entity(shard, entity))? else {
        return Ok(None);
    };
    let (seq, state) = split_number(&payload).ok_or_else(|| misshapen(Space::Snapshot))?;
    if seq > end {
        return Err(ReadError::Corrupt(format!("the snapshot is of {seq}, the head says {end}")));
    }
    Ok(Some((seq, state)))
}

/// The records after `after` up to `last`: all of them, or an error.
fn log(view: &View<'_>, shard: ShardId, entity: &EntityKey, after: u64, last: u64) -> Result<Vec<(u64, Bytes)>, ReadError> {
    let Some(wanted) = last.checked_sub(after).filter(|wanted| *wanted > 0) else {
        return Ok(Vec::new());
    };
    let owned = keys::owned(shard, entity);
    let mut records = Vec::with_capacity(wanted.min(limits::PAGE_MAX as u64) as usize);
    let mut next = after + 1;
    for entry in view.range(Space::Log, &owned, keys::log(&owned, next)) {
        let (key, record) = entry?;
        if keys::seq_of(&key) != Some(next) {
            break;
        }
        records.push((next, record));
        if next == last {
            return Ok(records);
        }
        next += 1;
    }
    Err(ReadError::Corrupt(format!("log: record {next} is missing")))
}

fn answers(view: &View<'_>, shard: ShardId, entity: &EntityKey) -> Result<Vec<Answer>, ReadError> {
    let owned = keys::owned(shard, entity);
    let entries = view.range(Space::Answer, &owned, owned.clone());
    entries
        .map(|entry| {
            let (key, payload) = entry?;
            let (at_ms, value) = split_number(&payload).ok_or_else(|| misshapen(Space::Answer))?;
            Ok(Answer { key: Bytes::copy_from_slice(&key[owned.len()..]), at_ms, value })
        })
        .collect()
}

/// The number that a payload begins with, and the rest.
pub(super) fn split_number(payload: &Bytes) -> Option<(u64, Bytes)> {
    let (number, rest) = payload.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), payload.slice_ref(rest)))
}

/// The key right behind this one. One that is longer than any stored key may be cut: what is stored
/// still lies on the same side of it.
fn after_key(mut key: Vec<u8>) -> Vec<u8> {
    key.truncate(2 * limits::INDEX_KEY_BYTES_MAX);
    key.push(0);
    key
}

fn misshapen(space: Space) -> ReadError {
    ReadError::Corrupt(format!("{}: of a wrong length", space.name()))
}
