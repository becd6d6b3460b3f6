//! A batch as the commit script takes it.
//!
//! What several writes of a batch do to one place is worked out here, so that the script writes each place once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::keys::{self, Keys};
use super::limits;
use super::sealed::{self, LogSeal};
use crate::{Batch, CommitError, EntityKey, IndexChange, ShardId, Write};

/// Moments are scores of a sorted set, which are exact up to here; later ones (after the year 285 000) count as this one.
pub(super) const MOMENT_MAX: u64 = 1 << 53;

/// What the script is called with, but for writer and number.
pub(super) struct Prepared {
    pub(super) shard: ShardId,
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) epoch: Vec<u8>,
    pub(super) heads: Vec<(EntityKey, Vec<u8>)>,
    operations: Vec<Operation>,
    /// The writes contradict each other: this is the answer if everything else is in order.
    pub(super) contradiction: Option<CommitError>,
}

struct Operation {
    command: &'static str,
    /// The number of its key in the script's keys, from 1.
    key: usize,
    arguments: Vec<Bytes>,
}

impl Prepared {
    /// The operations, flat: command, key, number of arguments, arguments.
    pub(super) fn arguments(&self, mut add: impl FnMut(&[u8])) {
        for Operation { command, key, arguments } in &self.operations {
            add(command.as_bytes());
            add(key.to_string().as_bytes());
            add(arguments.len().to_string().as_bytes());
            arguments.iter().for_each(|argument| add(argument));
        }
    }
}

/// Works a batch out.
pub(super) fn prepare(keys: &Keys, batch: &Batch) -> Prepared {
    let shard_keys = keys.shard(batch.shard);
    let own = [shard_keys.of_shard("own"), shard_keys.of_shard("heads")];
    let (entities, contradiction) = entities(batch);
    // In the order of the writes: the first that is wrong is the one to name.
    let mut heads: Vec<(EntityKey, Vec<u8>)> = Vec::with_capacity(entities.len());
    let mut named = BTreeSet::new();
    for entity in batch.writes.iter().map(|write| &write.entity) {
        if let Some((first, _)) = entities.get(entity).filter(|_| named.insert(entity)) {
            heads.push((entity.clone(), sealed::seal_head(batch.shard, entity, *first)));
        }
    }
    let mut prepared = Prepared {
        shard: batch.shard,
        keys: own.to_vec(),
        epoch: sealed::seal_epoch(batch.shard, batch.epoch),
        heads,
        operations: Vec::new(),
        contradiction,
    };
    if prepared.contradiction.is_none() {
        let mut plan = Plan { shard: batch.shard, shard_keys, prepared: &mut prepared };
        plan.heads(&entities);
        plan.logs(&batch.writes);
        plan.snapshots(&batch.writes);
        plan.live(&batch.writes);
        plan.answers(&batch.writes);
        plan.lists(&batch.writes);
    }
    prepared
}

/// Of each entity the number before the batch and after it; and the first write that does not follow the one before it.
#[allow(clippy::type_complexity)]
fn entities(batch: &Batch) -> (BTreeMap<&EntityKey, (u64, u64)>, Option<CommitError>) {
    let mut entities: BTreeMap<&EntityKey, (u64, u64)> = BTreeMap::new();
    for write in &batch.writes {
        let (_, end) = entities.entry(&write.entity).or_insert((write.expected_seq, write.expected_seq));
        if *end != write.expected_seq {
            let contradiction = CommitError::Conflict { entity: write.entity.clone(), actual_seq: *end };
            return (entities, Some(contradiction));
        }
        *end += write.log.len() as u64;
    }
    (entities, None)
}

/// The operations being collected.
struct Plan<'a> {
    shard: ShardId,
    shard_keys: keys::ShardKeys,
    prepared: &'a mut Prepared,
}

impl Plan<'_> {
    /// Adds an operation, in pieces that Lua can pass; `step` arguments stay together.
    fn add(&mut self, command: &'static str, key: Vec<u8>, arguments: &[Bytes], step: usize) {
        if arguments.is_empty() {
            return;
        }
        self.prepared.keys.push(key);
        let key = self.prepared.keys.len();
        for piece in arguments.chunks(limits::ARGUMENTS_MAX / step * step) {
            self.prepared.operations.push(Operation { command, key, arguments: piece.to_vec() });
        }
    }

    fn heads(&mut self, entities: &BTreeMap<&EntityKey, (u64, u64)>) {
        // Also the head of an entity without records, so that one which is there can be told from one which is lost.
        let changed = entities.iter().filter(|(_, (first, end))| end > first || *end == 0);
        let pairs = changed.flat_map(|(entity, (_, end))| [entity.0.clone(), sealed::seal_head(self.shard, entity, *end).into()]);
        let arguments: Vec<Bytes> = pairs.collect();
        for piece in arguments.chunks(limits::ARGUMENTS_MAX) {
            self.prepared.operations.push(Operation { command: "HSET", key: 2, arguments: piece.to_vec() });
        }
    }

    fn logs(&mut self, writes: &[Write]) {
        let mut logs: BTreeMap<&EntityKey, Vec<Bytes>> = BTreeMap::new();
        for write in writes {
            let seal = LogSeal::new(self.shard, &write.entity);
            let records = (write.expected_seq + 1..).zip(&write.log).map(|(seq, record)| seal.seal(seq, record).into());
            logs.entry(&write.entity).or_default().extend(records);
        }
        for (entity, records) in logs {
            self.add("RPUSH", self.shard_keys.log(entity), &records, 1);
        }
    }

    fn snapshots(&mut self, writes: &[Write]) {
        let mut newest: BTreeMap<&EntityKey, Bytes> = BTreeMap::new();
        for write in writes {
            if let Some(state) = &write.snapshot {
                let seq = write.expected_seq + write.log.len() as u64;
                newest.insert(&write.entity, sealed::seal_snapshot(self.shard, &write.entity, seq, state).into());
            }
        }
        let pairs: Vec<Bytes> = newest.into_iter().flat_map(|(entity, state)| [entity.0.clone(), state]).collect();
        self.add("HSET", self.shard_keys.of_shard("snapshots"), &pairs, 2);
    }

    fn live(&mut self, writes: &[Write]) {
        let marks: BTreeMap<&EntityKey, bool> = writes.iter().filter_map(|write| Some((&write.entity, write.live?))).collect();
        let with = |live: bool| marks.iter().filter(move |(_, mark)| **mark == live).map(|(entity, _)| entity.0.clone());
        let set: Vec<Bytes> = with(true).flat_map(|entity| [Bytes::from_static(b"0"), entity]).collect();
        let cleared: Vec<Bytes> = with(false).collect();
        self.add("ZADD", self.shard_keys.of_shard("live"), &set, 2);
        self.add("ZREM", self.shard_keys.of_shard("live"), &cleared, 1);
    }

    fn answers(&mut self, writes: &[Write]) {
        let mut newest: BTreeMap<&EntityKey, BTreeMap<&Bytes, (u64, Bytes)>> = BTreeMap::new();
        for write in writes {
            for answer in &write.answers {
                let sealed = sealed::seal_answer(self.shard, &write.entity, &answer.key, answer.at_ms, &answer.value);
                newest.entry(&write.entity).or_default().insert(&answer.key, (answer.at_ms, sealed.into()));
            }
        }
        let mut moments = Vec::new();
        for (entity, answers) in newest {
            let mut pairs = Vec::new();
            for (key, (at_ms, sealed)) in answers {
                moments.push(Bytes::from(at_ms.min(MOMENT_MAX).to_string()));
                moments.push(keys::moment(entity, key).into());
                pairs.extend([key.clone(), sealed]);
            }
            self.add("HSET", self.shard_keys.answers(entity), &pairs, 2);
        }
        self.add("ZADD", self.shard_keys.of_shard("moments"), &moments, 2);
    }

    fn lists(&mut self, writes: &[Write]) {
        let mut last: BTreeMap<&Bytes, Option<Bytes>> = BTreeMap::new();
        for change in writes.iter().flat_map(|write| &write.index) {
            match change {
                IndexChange::Put { key, value } => last.insert(key, Some(sealed::seal_entry(key, value).into())),
                IndexChange::Delete { key } => last.insert(key, None),
            };
        }
        let mut order = Vec::new();
        let mut entries = Vec::new();
        let mut gone = Vec::new();
        for (key, value) in last {
            match value {
                Some(value) => {
                    order.extend([Bytes::from_static(b"0"), key.clone()]);
                    entries.extend([key.clone(), value]);
                }
                None => gone.push(key.clone()),
            }
        }
        let [lists, values] = ["lists", "entries"].map(|name| self.shard_keys.of_shard(name));
        self.add("ZADD", lists.clone(), &order, 2);
        self.add("HSET", values.clone(), &entries, 2);
        self.add("ZREM", lists, &gone, 1);
        self.add("HDEL", values, &gone, 1);
    }
}
