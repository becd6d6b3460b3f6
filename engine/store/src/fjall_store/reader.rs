//! What is read from the tables. Runs on the reader threads and in the start check.

use bytes::Bytes;

use super::damage::Damage;
use super::keys;
use super::sweep::Sweep;
use super::tables::{Tables, View, read_error, unseal};
use crate::record::Space;
use crate::{EntityKey, Loaded, LogRange, ReadError, ShardId, limits};

/// Live entities that the start check has in memory at a time.
const CHECKED_AT_ONCE: usize = 1024;

/// What a reader thread works with.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) tables: &'a Tables,
    pub(super) damage: &'a Damage,
}

impl Reader<'_> {
    pub(super) fn load(&self, shard: ShardId, entity: &EntityKey) -> Result<Loaded, ReadError> {
        if !limits::is_entity_key(entity) {
            return Ok(Loaded::default());
        }
        let view = self.tables.view();
        let loaded = if self.damage.contains(entity) {
            Err(ReadError::Corrupt("in quarantine".into()))
        } else {
            Sweep::for_one(&view).load(&keys::place(shard, entity))
        };
        self.note(entity, &loaded);
        loaded
    }

    fn note(&self, entity: &EntityKey, loaded: &Result<Loaded, ReadError>) {
        if let Err(ReadError::Corrupt(what)) = loaded {
            self.damage.quarantine(entity, what);
        }
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
        let from = after.map_or_else(|| prefix.to_vec(), |after| after_key(keys::live(shard, after)));
        let mut marks = view.keys(Space::Live, &prefix, from);
        let mut page = Vec::new();
        while page.len() < limit {
            let marked: Result<Vec<_>, _> = marks.by_ref().take(limit - page.len()).collect();
            let mut entities: Vec<_> = marked?.iter().filter_map(|key| keys::live_of(key)).collect();
            if entities.is_empty() {
                break;
            }
            entities.retain(|(_, entity)| !self.damage.contains(entity));
            let mut loaded: Vec<_> = entities.iter().map(|_| None).collect();
            Sweep::each(&view, &entities, |position, found| loaded[position] = Some(found));
            for ((_, entity), found) in entities.into_iter().zip(loaded.into_iter().flatten()) {
                self.note(&entity, &found);
                match found {
                    Ok(loaded) => page.push((entity, loaded)),
                    Err(ReadError::Corrupt(_)) => {}
                    Err(error @ ReadError::Unavailable(_)) => return Err(error),
                }
            }
        }
        Ok(page)
    }

    /// The start check: of each live entity, its mark, and all that [`load`](Self::load) reads.
    pub(super) fn check(&self) -> Result<(), ReadError> {
        let view = self.tables.view();
        let mut marks = view.entries(Space::Live, &[]);
        loop {
            let mut entities = Vec::with_capacity(CHECKED_AT_ONCE);
            for entry in marks.by_ref().take(CHECKED_AT_ONCE) {
                let (key, sealed) = entry.into_inner().map_err(read_error)?;
                let Some((shard, entity)) = keys::live_of(&key) else {
                    return Err(ReadError::Corrupt("the mark of a live entity has no key".into()));
                };
                match unseal(Space::Live, &key, &sealed) {
                    Ok(_) => entities.push((shard, entity)),
                    Err(error) => self.note(&entity, &Err(error)),
                }
            }
            if entities.is_empty() {
                return Ok(());
            }
            let mut outcome = Ok(());
            Sweep::each(&view, &entities, |position, found| {
                self.note(&entities[position].1, &found);
                if let Err(error @ ReadError::Unavailable(_)) = found {
                    outcome = Err(error);
                }
            });
            outcome?;
        }
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
        let (mut sweep, place) = (Sweep::for_one(&view), keys::place(shard, entity));
        let end = sweep.head(&place)?;
        let limit = limit as u64;
        let (after, last) = match range {
            LogRange::After(seq) => (seq, end.min(seq.saturating_add(limit))),
            LogRange::Before(seq) => {
                let last = seq.saturating_sub(1).min(end);
                (last.saturating_sub(limit), last)
            }
        };
        sweep.log(&place, after, last)
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

/// The number of the entity's last record.
pub(super) fn head(view: &View<'_>, shard: ShardId, entity: &EntityKey) -> Result<u64, ReadError> {
    Sweep::for_one(view).head(&keys::place(shard, entity))
}

/// The key right behind this one. One that is longer than any stored key may be cut: what is stored
/// still lies on the same side of it.
fn after_key(mut key: Vec<u8>) -> Vec<u8> {
    key.truncate(2 * limits::INDEX_KEY_BYTES_MAX);
    key.push(0);
    key
}
