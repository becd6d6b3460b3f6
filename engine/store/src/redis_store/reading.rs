//! Entities and their logs as they are read back: checked record by record. Nothing that does not read is delivered, nor a log with a
//! hole.

use std::sync::Arc;

use bytes::Bytes;
use redis::Value;

use super::call::{Call, Kind};
use super::core::Core;
use super::failure::Failure;
use super::keys::ShardKeys;
use super::limits::LOAD_MAX;
use super::script;
use super::sealed::{self, LogSeal};
use super::value::{self, misshapen};
use crate::{Answer, EntityKey, Loaded, LogRange, ReadError, ShardId, limits};

/// Numbers inside scripts are exact up to here; no log is so long.
const NUMBER_MAX: u64 = 1 << 53;

/// Reads what belongs to a shard.
pub(super) struct Reader(Arc<Core>);

impl Reader {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        Self(Arc::clone(core))
    }

    pub(super) async fn load(&self, shard: ShardId, entity: EntityKey) -> Result<Loaded, ReadError> {
        if !limits::is_entity_key(&entity) {
            return Ok(Loaded::default());
        }
        let found = self.find(shard, std::slice::from_ref(&entity)).await?.pop();
        loaded(shard, &entity, found.ok_or_else(|| ReadError::Unavailable(misshapen("an entity")))?)
    }

    /// Damaged entities are left out: they must not keep their shard from starting.
    pub(super) async fn load_live(
        &self,
        shard: ShardId,
        mut after: Option<EntityKey>,
        limit: usize,
    ) -> Result<Vec<(EntityKey, Loaded)>, ReadError> {
        let mut page = Vec::new();
        while page.len() < limit {
            let names = self.live(shard, after.as_ref(), (limit - page.len()).min(LOAD_MAX)).await?;
            let Some(last) = names.last() else { break };
            after = Some(last.clone());
            let found = self.find(shard, &names).await?;
            for (entity, found) in names.into_iter().zip(found) {
                let has_head = has_head(&found);
                match loaded(shard, &entity, found) {
                    Ok(loaded) if has_head => page.push((entity, loaded)),
                    Ok(_) => report(&entity, "it is marked as live, but was never written"),
                    Err(ReadError::Corrupt(what)) => report(&entity, &what),
                    Err(error @ ReadError::Unavailable(_)) => return Err(error),
                }
            }
        }
        Ok(page)
    }

    pub(super) async fn read_log(
        &self,
        shard: ShardId,
        entity: EntityKey,
        range: LogRange,
        limit: usize,
    ) -> Result<Vec<(u64, Bytes)>, ReadError> {
        if !limits::is_entity_key(&entity) {
            return Ok(Vec::new());
        }
        let keys = self.settled(shard).await?;
        let mut command = script::LOG.on(&[keys.of_shard("heads"), keys.log(&entity)]);
        let (side, number) = match range {
            LogRange::After(seq) => ("after", seq),
            LogRange::Before(seq) => ("before", seq),
        };
        command.arg(&*entity.0).arg(side).arg(number.min(NUMBER_MAX)).arg(limit);
        let found = self.call(&keys, shard, &Call::read(&script::LOG, command)).await?;
        log(shard, &entity, range, limit, found)
    }

    /// What the load script finds of these entities.
    async fn find(&self, shard: ShardId, entities: &[EntityKey]) -> Result<Vec<Value>, ReadError> {
        let keys = self.settled(shard).await?;
        let own = [keys.of_shard("heads"), keys.of_shard("snapshots")];
        let each = entities.iter().flat_map(|entity| [keys.log(entity), keys.answers(entity)]);
        let touched: Vec<Vec<u8>> = own.into_iter().chain(each).collect();
        let mut command = script::LOAD.on(&touched);
        for entity in entities {
            command.arg(&*entity.0);
        }
        let found = self.call(&keys, shard, &Call::read(&script::LOAD, command)).await?;
        let found = value::list(found).filter(|found| found.len() == entities.len());
        found.ok_or_else(|| ReadError::Unavailable(misshapen("entities")))
    }

    /// Names of live entities.
    async fn live(&self, shard: ShardId, after: Option<&EntityKey>, limit: usize) -> Result<Vec<EntityKey>, ReadError> {
        let keys = self.settled(shard).await?;
        let from = after.map_or_else(|| b"-".to_vec(), |after| [b"(", &*after.0].concat());
        let mut command = redis::cmd("ZRANGEBYLEX");
        command.arg(keys.of_shard("live")).arg(from).arg("+").arg("LIMIT").arg(0).arg(limit);
        let call = Call { command, script: None, kind: Kind::Read };
        let names = value::list(self.call(&keys, shard, &call).await?).unwrap_or_default();
        Ok(names.into_iter().filter_map(value::bytes).map(|name| EntityKey(name.into())).collect())
    }

    async fn call(&self, keys: &ShardKeys, shard: ShardId, call: &Call) -> Result<Value, ReadError> {
        let answer = self.0.servers.call(keys.slot, usize::from(shard.0), call).await;
        answer.map_err(|failure: Failure| ReadError::Unavailable(failure.into_why()))
    }

    /// The keys of a shard in which nothing is uncertain.
    async fn settled(&self, shard: ShardId) -> Result<ShardKeys, ReadError> {
        if let Some(lane) = self.0.lane(shard) {
            lane.settle().await?;
        }
        Ok(self.0.keys.shard(shard))
    }
}

/// Says once more what is damaged: it is left out, and nobody else will say it.
fn report(entity: &EntityKey, what: &str) {
    let entity = entity.0.escape_ascii().to_string();
    tracing::error!(entity, what, "stored entity is damaged and left out");
}

/// An entity out of the load script's answer.
fn loaded(shard: ShardId, entity: &EntityKey, found: Value) -> Result<Loaded, ReadError> {
    let shape = || ReadError::Unavailable(misshapen("an entity"));
    let [head, snapshot, log, answers] = value::parts(found).ok_or_else(shape)?;
    let seq = value::bytes(head).map(|head| sealed::open_head(shard, entity, &head)).transpose()?;
    let snapshot = value::bytes(snapshot).map(|sealed| sealed::open_snapshot(shard, entity, sealed)).transpose()?;
    let included = snapshot.as_ref().map_or(0, |(seq, _)| *seq);
    let tail = records(shard, entity, included + 1, log)?;
    let end = included + tail.len() as u64;
    if seq.unwrap_or(0) != end {
        return Err(ReadError::Corrupt(format!("the log ends at {end}, the head says {}", seq.unwrap_or(0))));
    }
    let answers = self::answers(shard, entity, answers)?;
    if seq.is_none() && (snapshot.is_some() || !answers.is_empty()) {
        return Err(ReadError::Corrupt("the head is missing".into()));
    }
    Ok(Loaded { seq: end, snapshot, tail, answers })
}

/// Whether the load script found a head: what was ever written has one.
fn has_head(found: &Value) -> bool {
    matches!(found, Value::Array(parts) if matches!(parts.first(), Some(Value::BulkString(_))))
}

/// The log records that a list holds from this number on.
fn records(shard: ShardId, entity: &EntityKey, first: u64, list: Value) -> Result<Vec<(u64, Bytes)>, ReadError> {
    let seal = LogSeal::new(shard, entity);
    let shape = || ReadError::Unavailable(misshapen("a log"));
    let list = value::list(list).ok_or_else(shape)?;
    let open = |(seq, sealed)| Ok((seq, seal.open(seq, value::bytes(sealed).ok_or_else(shape)?)?));
    (first..).zip(list).map(open).collect()
}

/// Answers in the order of their keys, as every store gives them.
fn answers(shard: ShardId, entity: &EntityKey, fields: Value) -> Result<Vec<Answer>, ReadError> {
    let shape = || ReadError::Unavailable(misshapen("answers"));
    let mut answers = Vec::new();
    for (key, sealed) in value::pairs(fields).ok_or_else(shape)? {
        let (key, sealed) = (value::bytes(key).ok_or_else(shape)?, value::bytes(sealed).ok_or_else(shape)?);
        let (at_ms, value) = sealed::open_answer(shard, entity, &key, sealed)?;
        answers.push(Answer { key: key.into(), at_ms, value });
    }
    answers.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(answers)
}

/// A part of a log out of the log script's answer.
fn log(shard: ShardId, entity: &EntityKey, range: LogRange, limit: usize, found: Value) -> Result<Vec<(u64, Bytes)>, ReadError> {
    let shape = || ReadError::Unavailable(misshapen("a part of a log"));
    let [head, after, list] = value::parts(found).ok_or_else(shape)?;
    let end = value::bytes(head).map_or(Ok(0), |head| sealed::open_head(shard, entity, &head))?;
    // Where the script began: behind this record.
    let after = value::number(after).ok_or_else(shape)?;
    let records = records(shard, entity, after + 1, list)?;
    let (first, last) = match range {
        LogRange::After(seq) => (seq, end.min(seq.saturating_add(limit as u64))),
        LogRange::Before(seq) => {
            let last = seq.saturating_sub(1).min(end);
            (last.saturating_sub(limit as u64), last)
        }
    };
    let wanted = last.saturating_sub(first);
    if records.len() as u64 != wanted || (wanted > 0 && after != first) {
        return Err(ReadError::Corrupt(format!("log: {} of {wanted} records are there, up to {end}", records.len())));
    }
    Ok(records)
}
