//! Entities brought together from the tables, one or many. Never gives out a record that does not
//! read, nor a log that has a hole or ends elsewhere than it should.

use bytes::Bytes;

use super::cursor::Cursor;
use super::keys;
use super::payloads::{read_answer, read_head, read_log, read_snapshot};
use super::tables::View;
use crate::record::Space;
use crate::{Answer, EntityKey, Loaded, ReadError, ShardId, limits};

/// A way through the tables. Entities must be asked for in the order of their places.
pub(super) struct Sweep<'a> {
    view: &'a View<'a>,
    heads: Cursor<'a>,
    snapshots: Cursor<'a>,
    answers: Cursor<'a>,
    log: Cursor<'a>,
    is_for_one: bool,
}

impl<'a> Sweep<'a> {
    /// For one entity: what is looked up there is not looked for from there on.
    pub(super) fn for_one(view: &'a View<'a>) -> Self {
        Self { is_for_one: true, ..Self::new(view) }
    }

    fn new(view: &'a View<'a>) -> Self {
        let cursor = |space| Cursor::new(view, space);
        Self {
            view,
            heads: cursor(Space::Head),
            snapshots: cursor(Space::Snapshot),
            answers: cursor(Space::Answer),
            log: cursor(Space::Log),
            is_for_one: false,
        }
    }

    /// Loads all of these; gives out each with its position, in whatever order is fastest.
    pub(super) fn each(
        view: &'a View<'a>,
        entities: &[(ShardId, EntityKey)],
        mut each: impl FnMut(usize, Result<Loaded, ReadError>),
    ) {
        let place = |(position, (shard, entity)): (usize, &(ShardId, EntityKey))| (keys::place(*shard, entity), position);
        let mut places: Vec<_> = entities.iter().enumerate().map(place).collect();
        places.sort_unstable();
        let mut sweep = Self::new(view);
        for (place, position) in places {
            each(position, sweep.load(&place));
        }
    }

    /// All that belongs to the entity of this place.
    pub(super) fn load(&mut self, place: &[u8]) -> Result<Loaded, ReadError> {
        let (head, snapshot) = self.ends(place)?;
        let included = snapshot.as_ref().map_or(0, |(seq, _)| *seq);
        let (answered, answers) = self.answers(place)?;
        let seq = head.max(included).max(answered);
        let tail = self.tail(place, included, seq)?;
        Ok(Loaded { seq, snapshot, tail, answers })
    }

    /// The number of the entity's last record.
    pub(super) fn head(&mut self, place: &[u8]) -> Result<u64, ReadError> {
        let (head, snapshot) = self.ends(place)?;
        let (answered, _) = self.answers(place)?;
        Ok(snapshot.map_or(0, |(seq, _)| seq).max(head).max(answered))
    }

    fn ends(&mut self, place: &[u8]) -> Result<(u64, Option<(u64, Bytes)>), ReadError> {
        let (head, snapshot) = if self.is_for_one {
            (self.view.get(Space::Head, place)?, self.view.get(Space::Snapshot, place)?)
        } else {
            (self.heads.get(place)?, self.snapshots.get(place)?)
        };
        let head = head.as_ref().map(read_head).transpose()?.unwrap_or(0);
        Ok((head, snapshot.as_ref().map(read_snapshot).transpose()?))
    }

    /// The answers, and the greatest end that they know of.
    fn answers(&mut self, place: &[u8]) -> Result<(u64, Vec<Answer>), ReadError> {
        let (mut answered, mut answers) = (0, Vec::new());
        self.answers.seek(place)?;
        while let Some((key, payload)) = self.answers.entry(place) {
            let key = Bytes::copy_from_slice(&key[place.len()..]);
            let (end, at_ms, value) = read_answer(&payload?)?;
            answered = answered.max(end);
            answers.push(Answer { key, at_ms, value });
            self.answers.step()?;
        }
        Ok((answered, answers))
    }

    /// The records after number `included`, of which the last one must be number `end`.
    fn tail(&mut self, place: &[u8], included: u64, end: u64) -> Result<Vec<(u64, Bytes)>, ReadError> {
        // From the last one that the snapshot includes, so that its being there is seen too.
        self.log.seek(&keys::log(place, included))?;
        if included > 0 && self.log.key(place).and_then(|key| keys::seq_of(key)) != Some(included) {
            return Err(missing(included));
        }
        if included > 0 {
            self.log.step()?;
        }
        let mut tail = Vec::new();
        let last = self.records(place, included, u64::MAX, &mut tail)?;
        if last != end {
            return Err(ReadError::Corrupt(format!("the log ends at {last}, not at {end}")));
        }
        Ok(tail)
    }

    /// The records after `after` up to `last`: all of them, or an error.
    pub(super) fn log(&mut self, place: &[u8], after: u64, last: u64) -> Result<Vec<(u64, Bytes)>, ReadError> {
        let Some(wanted) = last.checked_sub(after).filter(|wanted| *wanted > 0) else {
            return Ok(Vec::new());
        };
        let mut records = Vec::with_capacity(wanted.min(limits::PAGE_MAX as u64) as usize);
        self.log.seek(&keys::log(place, after + 1))?;
        let found = self.records(place, after, last, &mut records)?;
        if found < last {
            return Err(missing(found + 1));
        }
        Ok(records)
    }

    /// Reads on from number `after` while there are records up to `last`, without a hole; says how far
    /// it came.
    fn records(&mut self, place: &[u8], after: u64, last: u64, records: &mut Vec<(u64, Bytes)>) -> Result<u64, ReadError> {
        let mut found = after;
        while found < last
            && let Some((key, payload)) = self.log.entry(place)
        {
            let end = keys::seq_of(key).unwrap_or(0);
            let wanted = |seq: u64| seq > after && seq <= last;
            let first = read_log(&payload?, end, |seq, record| {
                if wanted(seq) {
                    records.push((seq, record));
                }
            })?;
            // Only the first one may begin before what is wanted.
            if first > found + 1 || (first <= found && found > after) {
                return Err(missing(found + 1));
            }
            found = end;
            self.log.step()?;
        }
        Ok(found)
    }
}

fn missing(seq: u64) -> ReadError {
    ReadError::Corrupt(format!("log: record {seq} is missing"))
}
