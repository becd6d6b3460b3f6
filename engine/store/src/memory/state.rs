//! The records of a [`MemoryStore`](super::MemoryStore), and what happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use jono_points::{Rule, is_broken};

use crate::{Answer, Batch, CommitError, EntityKey, Epoch, IndexChange, Loaded, LogRange, ShardId, Write};

/// Everything that is stored.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    epochs: BTreeMap<ShardId, u64>,
    entities: BTreeMap<(ShardId, EntityKey), Entity>,
    answers_by_time: BTreeSet<(u64, ShardId, EntityKey, Bytes)>,
    index: BTreeMap<Bytes, Bytes>,
    constants: BTreeMap<&'static str, Bytes>,
}

#[derive(Clone, Debug, Default)]
struct Entity {
    log: Vec<Bytes>,
    snapshot: Option<(u64, Bytes)>,
    live: bool,
    answers: BTreeMap<Bytes, Answer>,
}

impl Entity {
    fn seq(&self) -> u64 {
        self.log.len() as u64
    }

    /// The records after number `seq`.
    fn log_after(&self, seq: u64) -> impl Iterator<Item = (u64, Bytes)> {
        let skipped = usize::try_from(seq).unwrap_or(usize::MAX);
        self.log.iter().cloned().enumerate().skip(skipped).map(|(at, record)| (at as u64 + 1, record))
    }

    fn loaded(&self) -> Loaded {
        let included = self.snapshot.as_ref().map_or(0, |(seq, _)| *seq);
        Loaded {
            seq: self.seq(),
            snapshot: self.snapshot.clone(),
            tail: self.log_after(included).collect(),
            answers: self.answers.values().cloned().collect(),
        }
    }
}

impl State {
    pub(super) fn acquire(&mut self, shard: ShardId) -> Epoch {
        let epoch = self.epochs.entry(shard).or_default();
        *epoch += 1;
        Epoch(*epoch)
    }

    pub(super) fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.judge(batch)?;
        for write in &batch.writes {
            self.apply(batch.shard, write);
        }
        Ok(())
    }

    fn judge(&self, batch: &Batch) -> Result<(), CommitError> {
        let current = self.epochs.get(&batch.shard).copied().unwrap_or(0);
        let is_fenced = current == 0 || batch.epoch != Epoch(current);
        if is_fenced && !is_broken(Rule::FencedWritesFail) {
            return Err(CommitError::Fenced { current: Epoch(current) });
        }
        let mut ends: BTreeMap<&EntityKey, u64> = BTreeMap::new();
        for write in &batch.writes {
            let stored = || self.entities.get(&(batch.shard, write.entity.clone())).map_or(0, Entity::seq);
            let end = ends.entry(&write.entity).or_insert_with(stored);
            if *end != write.expected_seq {
                return Err(CommitError::Conflict { entity: write.entity.clone(), actual_seq: *end });
            }
            *end += write.log.len() as u64;
        }
        Ok(())
    }

    fn apply(&mut self, shard: ShardId, write: &Write) {
        let entity = self.entities.entry((shard, write.entity.clone())).or_default();
        entity.log.extend(write.log.iter().cloned());
        if let Some(snapshot) = &write.snapshot {
            entity.snapshot = Some((entity.seq(), snapshot.clone()));
        }
        if let Some(live) = write.live {
            entity.live = live;
        }
        for answer in &write.answers {
            let place = |at_ms| (at_ms, shard, write.entity.clone(), answer.key.clone());
            if let Some(old) = entity.answers.insert(answer.key.clone(), answer.clone()) {
                self.answers_by_time.remove(&place(old.at_ms));
            }
            self.answers_by_time.insert(place(answer.at_ms));
        }
        for change in &write.index {
            match change {
                IndexChange::Put { key, value } => {
                    self.index.insert(key.clone(), value.clone());
                }
                IndexChange::Delete { key } => {
                    self.index.remove(key);
                }
            }
        }
    }

    pub(super) fn load(&self, shard: ShardId, entity: &EntityKey) -> Loaded {
        self.entities.get(&(shard, entity.clone())).map(Entity::loaded).unwrap_or_default()
    }

    pub(super) fn load_live(&self, shard: ShardId, after: Option<&EntityKey>, limit: usize) -> Vec<(EntityKey, Loaded)> {
        let from = match after {
            Some(key) => Bound::Excluded((shard, key.clone())),
            None => Bound::Included((shard, EntityKey(Bytes::new()))),
        };
        self.entities
            .range((from, Bound::Unbounded))
            .take_while(|((of, _), _)| *of == shard)
            .filter(|(_, entity)| entity.live)
            .take(limit)
            .map(|((_, key), entity)| (key.clone(), entity.loaded()))
            .collect()
    }

    pub(super) fn read_log(&self, shard: ShardId, entity: &EntityKey, range: LogRange, limit: usize) -> Vec<(u64, Bytes)> {
        let Some(entity) = self.entities.get(&(shard, entity.clone())) else {
            return Vec::new();
        };
        match range {
            LogRange::After(seq) => entity.log_after(seq).take(limit).collect(),
            LogRange::Before(seq) => {
                let last = seq.saturating_sub(1).min(entity.seq());
                let first = last.saturating_sub(limit as u64);
                entity.log_after(first).take((last - first) as usize).collect()
            }
        }
    }

    pub(super) fn scan(&self, prefix: &Bytes, after: Option<&Bytes>, limit: usize) -> Vec<(Bytes, Bytes)> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.index
            .range::<Bytes, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    pub(super) fn forget_answers(&mut self, before_ms: u64, limit: usize) -> usize {
        let mut gone = 0;
        while gone < limit {
            let Some((at_ms, shard, entity, key)) = self.answers_by_time.pop_first() else {
                break;
            };
            if at_ms >= before_ms {
                self.answers_by_time.insert((at_ms, shard, entity, key));
                break;
            }
            if let Some(entity) = self.entities.get_mut(&(shard, entity)) {
                entity.answers.remove(&key);
            }
            gone += 1;
        }
        gone
    }

    pub(super) fn constant(&mut self, name: &'static str, default: Bytes) -> Bytes {
        self.constants.entry(name).or_insert(default).clone()
    }
}
