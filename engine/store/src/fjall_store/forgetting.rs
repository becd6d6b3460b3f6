//! Old answers, forgotten the oldest first.
//!
//! An answer has no mark of its own: an entity has one, of its oldest answer. So to give an answer
//! usually costs one record, and to forget looks at all answers of an entity that has old ones. An
//! entity may have more marks than it needs, since the writer does not remember all of them.

use std::collections::{BTreeMap, BinaryHeap};

use bytes::Bytes;

use super::cursor::Cursor;
use super::group::Group;
use super::heads::Heads;
use super::keys;
use super::payloads::{read_answer, read_head, read_snapshot};
use super::tables::View;
use crate::record::Space;
use crate::{EntityKey, ReadError, ShardId, limits};

/// An entity whose mark came up.
#[derive(Default)]
struct Opened {
    /// The oldest of its answers that stay.
    stays_ms: Option<u64>,
    /// The greatest end that one of the answers that go knows of.
    end: u64,
}

impl Opened {
    fn keep(&mut self, at_ms: u64) {
        self.stays_ms = Some(self.stays_ms.map_or(at_ms, |oldest| oldest.min(at_ms)));
    }
}

/// An answer that is old: when it was given, whose it is, where, and the end it knows of. In the order
/// in which answers go.
type Old = (u64, (ShardId, EntityKey), Vec<u8>, u64);

/// Stages that the oldest answers given before this moment go, at most `limit`; says how many. What
/// is staged already must be stored.
pub(super) fn forget(
    view: &View<'_>,
    group: &mut Group,
    heads: &mut Heads,
    before_ms: u64,
    limit: usize,
) -> Result<usize, ReadError> {
    let mut opened: BTreeMap<(ShardId, EntityKey), Opened> = BTreeMap::new();
    let mut oldest: BinaryHeap<Old> = BinaryHeap::new();
    let mut marks = Vec::new();
    for key in view.keys(Space::AnswerTime, &[], Vec::new()).take(limits::PAGE_MAX) {
        let key = key?;
        let Some((at_ms, shard, entity)) = keys::answer_time_of(&key) else {
            break;
        };
        let owner = (shard, entity);
        let goes_first = |(newest_ms, of, ..): &Old| (*newest_ms, of) <= (at_ms, &owner);
        if at_ms >= before_ms || (oldest.len() >= limit && oldest.peek().is_none_or(goes_first)) {
            break;
        }
        marks.push(key);
        if opened.contains_key(&owner) {
            continue;
        }
        let found = look_up(view, &owner, at_ms, before_ms, &mut oldest)?;
        opened.insert(owner, found);
        while oldest.len() > limit
            && let Some((at_ms, owner, ..)) = oldest.pop()
        {
            opened.entry(owner).or_default().keep(at_ms);
        }
    }
    for (_, owner, _, end) in &oldest {
        let opened = opened.entry(owner.clone()).or_default();
        opened.end = opened.end.max(*end);
    }
    for ((shard, entity), opened) in &mut opened {
        let place = keys::place(*shard, entity);
        if opened.end <= end_beside_answers(view, &place)? {
            opened.end = 0;
        }
    }
    // Everything is read: nothing is staged in part. Old marks go before new ones come, since the last
    // change of a key counts.
    let gone = oldest.len();
    oldest.iter().for_each(|(_, _, key, _)| group.delete(Space::Answer, &[key]));
    marks.iter().for_each(|mark| group.delete(Space::AnswerTime, &[mark]));
    for ((shard, entity), opened) in opened {
        let place = keys::place(shard, &entity);
        heads.set_mark(&place, opened.stays_ms);
        if let Some(at_ms) = opened.stays_ms {
            group.mark(at_ms, shard, &entity);
        }
        if opened.end > 0 {
            group.put(Space::Head, &[&place], &[opened.end], Bytes::new());
        }
    }
    Ok(gone)
}

/// Adds the entity's old answers. One that does not read is not kept any longer than what is marked;
/// its entity is reported when it is loaded.
fn look_up(
    view: &View<'_>,
    owner: &(ShardId, EntityKey),
    marked_ms: u64,
    before_ms: u64,
    oldest: &mut BinaryHeap<Old>,
) -> Result<Opened, ReadError> {
    let mut opened = Opened::default();
    let place = keys::place(owner.0, &owner.1);
    let mut answers = Cursor::new(view, Space::Answer);
    answers.seek(&place)?;
    while let Some((key, payload)) = answers.entry(&place) {
        let answer = payload.and_then(|payload| read_answer(&payload));
        let (end, at_ms) = answer.map_or((0, marked_ms), |(end, at_ms, _)| (end, at_ms));
        if at_ms < before_ms {
            oldest.push((at_ms, owner.clone(), key.to_vec(), end));
        } else {
            opened.keep(at_ms);
        }
        answers.step()?;
    }
    Ok(opened)
}

/// The end that head and snapshot know of. Of a damaged entity it does not matter.
fn end_beside_answers(view: &View<'_>, place: &[u8]) -> Result<u64, ReadError> {
    let (head, snapshot) = match (view.get(Space::Head, place), view.get(Space::Snapshot, place)) {
        (Err(error @ ReadError::Unavailable(_)), _) | (_, Err(error @ ReadError::Unavailable(_))) => return Err(error),
        (head, snapshot) => (head.ok().flatten(), snapshot.ok().flatten()),
    };
    let head = head.and_then(|head| read_head(&head).ok()).unwrap_or(0);
    let included = snapshot.and_then(|snapshot| read_snapshot(&snapshot).ok()).map_or(0, |(seq, _)| seq);
    Ok(head.max(included))
}
