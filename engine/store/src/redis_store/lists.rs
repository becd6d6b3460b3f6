//! What goes over all shards: scanning lists, forgetting answers, constants.
//!
//! Each shard has its part of every list, so that a commit stays in one slot. A scan asks every shard for a few entries, merges, and asks
//! again where the merged page reaches behind what a shard has shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::batch::MOMENT_MAX;
use super::call::{Call, Kind};
use super::failure::Failure;
use super::keys::{self, Keys};
use super::script;
use super::servers::Servers;
use super::{sealed, value};
use crate::{CommitError, ReadError, ShardId, limits};

/// Entries that every shard is asked for at first, besides its share of the page.
const ASK_MIN: usize = 4;

/// How often a page is read again because some of it went while it was read.
const SCAN_ATTEMPTS_MAX: usize = 3;

/// Lists and answers of all shards.
#[derive(Clone)]
pub(super) struct Lists {
    pub(super) servers: Arc<Servers>,
    pub(super) keys: Keys,
}

/// What a scan knows of one shard.
struct Part {
    shard: ShardId,
    /// From where to ask on, as ZRANGEBYLEX has it.
    from: Vec<u8>,
    /// The last key that it has shown.
    last: Option<Bytes>,
    is_done: bool,
}

impl Lists {
    /// The shards that were ever acquired; only they hold anything.
    async fn shards(&self) -> Result<Vec<ShardId>, Failure> {
        let mut command = redis::cmd("GET");
        command.arg(self.keys.common("shards"));
        let call = Call { command, script: None, kind: Kind::Read };
        let bits = value::bytes(self.servers.call(Keys::common_slot(), 0, &call).await?).unwrap_or_default();
        let is_set = |shard: &u16| bits[usize::from(shard / 8)] & (0x80 >> (shard % 8)) != 0;
        let count = u16::try_from(bits.len() * 8).unwrap_or(u16::MAX);
        Ok((0..count).filter(is_set).map(ShardId).collect())
    }

    /// Notes that a shard is going to hold something.
    pub(super) async fn note_shard(&self, shard: ShardId) -> Result<(), Failure> {
        let mut command = redis::cmd("SETBIT");
        command.arg(self.keys.common("shards")).arg(shard.0).arg(1);
        let call = Call { command, script: None, kind: Kind::Commit };
        self.servers.call(Keys::common_slot(), usize::from(shard.0), &call).await.map(drop)
    }

    /// Keys first, from every shard; then the values of those that are on the page. What goes in between is looked for again.
    pub(super) async fn scan(&self, prefix: Bytes, after: Option<Bytes>, limit: usize) -> Result<Vec<(Bytes, Bytes)>, ReadError> {
        if prefix.len() > limits::INDEX_KEY_BYTES_MAX || limit == 0 {
            return Ok(Vec::new());
        }
        let to = end_of(&prefix);
        let from = match after {
            Some(after) if after >= prefix => [b"(", &*after].concat(),
            _ if prefix.is_empty() => b"-".to_vec(),
            _ => [b"[", &*prefix].concat(),
        };
        let mut attempts = SCAN_ATTEMPTS_MAX;
        loop {
            attempts -= 1;
            let keys = self.keys_on_page(&from, &to, limit).await?;
            let wanted = keys.len();
            let entries = self.values(keys).await?;
            if entries.len() == wanted || attempts == 0 {
                return Ok(entries);
            }
        }
    }

    /// The first `limit` keys of all shards, each with its shard.
    async fn keys_on_page(&self, from: &[u8], to: &[u8], limit: usize) -> Result<BTreeMap<Bytes, ShardId>, ReadError> {
        let shards = self.shards().await.map_err(read_error)?;
        let part = |shard: &ShardId| Part { shard: *shard, from: from.to_vec(), last: None, is_done: false };
        let mut parts: Vec<Part> = shards.iter().map(part).collect();
        let mut found = BTreeMap::new();
        let mut ask = (2 * limit / shards.len().max(1) + ASK_MIN).min(limit);
        loop {
            // Where the page ends, for now: whoever may have something before that is asked.
            let page_end: Option<&Bytes> = found.keys().nth(limit - 1);
            let may_have =
                |part: &&mut Part| !part.is_done && (part.last.is_none() || page_end.is_none() || part.last.as_ref() < page_end);
            let open: Vec<&mut Part> = parts.iter_mut().filter(may_have).collect();
            if open.is_empty() {
                break;
            }
            self.ask(open, to, ask, &mut found).await?;
            ask = (4 * ask).min(limit);
        }
        Ok(found.into_iter().take(limit).collect())
    }

    async fn ask(
        &self,
        mut parts: Vec<&mut Part>,
        to: &[u8],
        count: usize,
        found: &mut BTreeMap<Bytes, ShardId>,
    ) -> Result<(), ReadError> {
        let question = |part: &&mut Part| {
            let keys = self.keys.shard(part.shard);
            let mut command = redis::cmd("ZRANGEBYLEX");
            command.arg(keys.of_shard("lists")).arg(&part.from).arg(to).arg("LIMIT").arg(0).arg(count);
            (keys.slot, Call { command, script: None, kind: Kind::Read })
        };
        let answers = self.servers.read_all(parts.iter().map(question).collect()).await.map_err(read_error)?;
        for (part, answer) in parts.iter_mut().zip(answers) {
            let shape = || ReadError::Unavailable(value::misshapen("a scan"));
            let keys = value::list(answer).ok_or_else(shape)?;
            part.is_done = keys.len() < count;
            for key in keys {
                let key = Bytes::from(value::bytes(key).ok_or_else(shape)?);
                part.last = Some(key.clone());
                part.from = [b"(", &*key].concat();
                found.insert(key, part.shard);
            }
        }
        Ok(())
    }

    /// The entries of these keys; those that have gone meanwhile are left out.
    async fn values(&self, keys: BTreeMap<Bytes, ShardId>) -> Result<Vec<(Bytes, Bytes)>, ReadError> {
        let mut by_shard: BTreeMap<ShardId, Vec<&Bytes>> = BTreeMap::new();
        for (key, shard) in &keys {
            by_shard.entry(*shard).or_default().push(key);
        }
        let question = |(shard, wanted): (&ShardId, &Vec<&Bytes>)| {
            let keys = self.keys.shard(*shard);
            let mut command = redis::cmd("HMGET");
            command.arg(keys.of_shard("entries"));
            for key in wanted {
                command.arg(&***key);
            }
            (keys.slot, Call { command, script: None, kind: Kind::Read })
        };
        let answers = self.servers.read_all(by_shard.iter().map(question).collect()).await.map_err(read_error)?;
        let mut sealed: BTreeMap<&Bytes, Vec<u8>> = BTreeMap::new();
        for ((shard, wanted), answer) in by_shard.iter().zip(answers) {
            let values = value::list(answer).ok_or_else(|| ReadError::Unavailable(value::misshapen("a scan")))?;
            for (key, value) in wanted.iter().zip(values) {
                let value = match value::bytes(value) {
                    Some(value) => Some(value),
                    None => self.entry(*shard, key).await?,
                };
                if let Some(value) = value {
                    sealed.insert(key, value);
                }
            }
        }
        let open = |(key, sealed): (&Bytes, Vec<u8>)| Ok((key.clone(), sealed::open_entry(key, sealed)?));
        sealed.into_iter().map(open).collect()
    }

    /// One entry whose value was not found: it has gone, it came again, or it is damaged.
    async fn entry(&self, shard: ShardId, key: &Bytes) -> Result<Option<Vec<u8>>, ReadError> {
        let keys = self.keys.shard(shard);
        let mut command = script::ENTRY.on(&[keys.of_shard("lists"), keys.of_shard("entries")]);
        command.arg(&**key);
        let call = Call::read(&script::ENTRY, command);
        let answer = self.servers.call(keys.slot, usize::from(shard.0), &call).await.map_err(read_error)?;
        let [score, value] = value::parts(answer).ok_or_else(|| ReadError::Unavailable(value::misshapen("an entry")))?;
        match (score, value::bytes(value)) {
            (redis::Value::Nil, _) => Ok(None),
            (_, Some(value)) => Ok(Some(value)),
            (_, None) => Err(ReadError::Corrupt("index: the entry is missing".into())),
        }
    }

    /// The oldest of all shards, as if they were one.
    pub(super) async fn forget(&self, before_ms: u64, limit: usize) -> Result<usize, CommitError> {
        let unavailable = |failure: Failure| CommitError::Unavailable(failure.into_why());
        let before = before_ms.min(MOMENT_MAX);
        let shards = self.shards().await.map_err(unavailable)?;
        let question = |shard: &ShardId| {
            let keys = self.keys.shard(*shard);
            let mut command = redis::cmd("ZRANGEBYSCORE");
            command.arg(keys.of_shard("moments")).arg("-inf").arg(format!("({before}")).arg("WITHSCORES");
            command.arg("LIMIT").arg(0).arg(limit);
            (keys.slot, Call { command, script: None, kind: Kind::Read })
        };
        let answers = self.servers.read_all(shards.iter().map(question).collect()).await.map_err(unavailable)?;
        let mut oldest = Vec::new();
        for (shard, answer) in shards.into_iter().zip(answers) {
            let shape = || CommitError::Unavailable(value::misshapen("moments"));
            for (member, moment) in moments(answer).ok_or_else(shape)? {
                oldest.push((moment, shard, member));
            }
        }
        oldest.sort_unstable_by(|one, other| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal));
        let mut by_shard: BTreeMap<ShardId, Vec<Vec<u8>>> = BTreeMap::new();
        for (_, shard, member) in oldest.into_iter().take(limit) {
            by_shard.entry(shard).or_default().push(member);
        }
        let mut gone = 0;
        for (shard, members) in by_shard {
            gone += self.forget_in(shard, before, &members).await?;
        }
        Ok(gone)
    }

    async fn forget_in(&self, shard: ShardId, before: u64, members: &[Vec<u8>]) -> Result<usize, CommitError> {
        let keys = self.keys.shard(shard);
        let mut gone = 0;
        for piece in members.chunks(super::limits::ARGUMENTS_MAX) {
            let mut touched = vec![keys.of_shard("moments")];
            let mut arguments: Vec<&[u8]> = Vec::new();
            for member in piece {
                // A member that names nothing is damaged; it goes, and takes nothing with it.
                let (entity, key) = keys::answer_of(member).unwrap_or_else(|| (crate::EntityKey(Bytes::new()), b""));
                touched.push(keys.answers(&entity));
                arguments.extend([&**member, key]);
            }
            let mut command = script::FORGET.on(&touched);
            command.arg(before);
            for argument in arguments {
                command.arg(argument);
            }
            let call = Call::commit(&script::FORGET, command);
            let answer = self.servers.call(keys.slot, usize::from(shard.0), &call).await.map_err(commit_error)?;
            gone += value::number(answer).unwrap_or(0) as usize;
        }
        Ok(gone)
    }

    pub(super) async fn constant(&self, name: &'static str, default: Bytes) -> Result<Bytes, CommitError> {
        let mut command = script::CONSTANT.on(&[self.keys.common("constants")]);
        command.arg(name).arg(sealed::seal_constant(name, &default));
        let call = Call::commit(&script::CONSTANT, command);
        let stored = self.servers.call(Keys::common_slot(), 0, &call).await.map_err(commit_error)?;
        let stored = value::bytes(stored).ok_or_else(|| CommitError::Unknown(value::misshapen("a constant")))?;
        sealed::open_constant(name, stored).map_err(|damage| CommitError::Unavailable(damage.to_string()))
    }
}

fn read_error(failure: Failure) -> ReadError {
    ReadError::Unavailable(failure.into_why())
}

/// What a failed call means to whoever wanted to change something.
pub(super) fn commit_error(failure: Failure) -> CommitError {
    match failure {
        Failure::Refused(why) => CommitError::Unavailable(why),
        Failure::Lost(why) | Failure::Silent(why) => CommitError::Unknown(why),
    }
}

/// The end of the keys that begin like this, as ZRANGEBYLEX has it.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    match prefix.iter().rposition(|byte| *byte != u8::MAX) {
        Some(place) => {
            let mut end = [b"(", &prefix[..=place]].concat();
            end[place + 1] += 1;
            end
        }
        None => b"+".to_vec(),
    }
}

/// Members and scores. RESP3 nests them and has scores as numbers.
fn moments(answer: redis::Value) -> Option<Vec<(Vec<u8>, f64)>> {
    let mut found = Vec::new();
    for pair in value::list(answer)? {
        let [member, score] = value::parts(pair)?;
        let score = match score {
            redis::Value::Double(score) => score,
            other => value::text(other)?.parse().ok()?,
        };
        found.push((value::bytes(member)?, score));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_before_the_next_one() {
        assert_eq!(end_of(b""), b"+");
        assert_eq!(end_of(b"ab"), b"(ac");
        assert_eq!(end_of(b"a\xFF\xFF"), b"(b");
        assert_eq!(end_of(b"\xFF"), b"+");
    }
}
