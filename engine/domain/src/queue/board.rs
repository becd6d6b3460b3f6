//! What a queue knows of its conversations, arranged so that a change costs the same however many wait.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ListPlace, PlaceTold};
use crate::conversation::{Row, RowState};
use crate::id::{ConversationId, QueueId};
use crate::limits::{
    ADMISSION_MS, GONE_KEPT, PLACES_PER_ROUND, PLACES_ROUND_MS, POSITION_NEAR, POSITION_PUSH_FAR_MS, POSITION_PUSH_MS,
    ROWS_PER_NOTICE, ROWS_PER_PUSH, ROWS_PUSH_MS, TAKE_AGE_MAX_MS, TAKES_KEPT,
};
use crate::notice::{Notice, WorseReason};
use crate::reply::QueueSummary;
use crate::time::Time;

/// The order of waiting (L2): priority, then the moment the customer first began to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    priority: Reverse<i8>,
    waiting_since: Time,
    conversation: ConversationId,
}

/// Some of the places that are told in one look over the queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlacesRound {
    /// Who is told what.
    pub places: Vec<PlaceTold>,
    /// Where the look goes on, unless this was its end.
    pub looked_to: Option<(Place, u32)>,
    /// Somebody will have to be told later.
    pub passed_over: bool,
}

/// Jumps ahead of others that are remembered until places are told; more of them share the last reason.
const JUMPS_KEPT: usize = 64;

#[derive(Clone, Debug)]
struct Known {
    row: Arc<Row>,
    told: Option<Told>,
    offered_at: Option<Time>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    position: u32,
    at: Time,
}

/// All conversations of a queue that have not ended.
#[derive(Clone, Debug, Default)]
pub struct Board {
    known: BTreeMap<ConversationId, Known>,
    waiting: BTreeSet<Place>,
    waiting_by_priority: BTreeMap<i8, u32>,
    waiting_by_age: BTreeSet<(Time, ConversationId)>,
    listed: BTreeSet<ListPlace>,
    unread: u32,
    /// Admitted, not announced yet, and since when.
    expected: BTreeMap<ConversationId, Time>,
    expected_by_age: BTreeSet<(Time, ConversationId)>,
    offered: BTreeSet<(Time, ConversationId)>,
    /// Where the logs stood of the last conversations that left: what they said earlier may come late.
    gone: BTreeMap<ConversationId, u64>,
    gone_by_age: VecDeque<ConversationId>,
    /// The moments of the last takes.
    takes: VecDeque<Time>,
    jumps: Vec<(Place, WorseReason)>,
    followers: usize,
    changed: BTreeMap<ConversationId, Arc<Row>>,
    /// In the order in which they changed first, so that none is left behind.
    changed_order: VecDeque<ConversationId>,
    raised: BTreeMap<ConversationId, String>,
    flush_at: Option<Time>,
    flushed_at: Time,
    places_at: Option<Time>,
    /// How far the positions have been looked at, while a look is under way.
    looked_to: Option<(Place, u32)>,
    /// Somebody far back was passed over in this look.
    passed_over: bool,
    /// Places changed since this look began.
    moved_meanwhile: bool,
    places_told_at: Time,
}

fn place(row: &Row) -> Place {
    Place { priority: Reverse(row.priority), waiting_since: row.waiting_since, conversation: row.conversation }
}

fn list_place(row: &Row) -> ListPlace {
    (row.state, row.last_message_at, row.conversation)
}

impl Board {
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.expected.is_empty()
    }

    pub(super) fn holds(&self, conversation: ConversationId) -> bool {
        self.known.contains_key(&conversation) || self.expected.contains_key(&conversation)
    }

    /// Every conversation that is here, in no order that matters.
    pub fn conversations(&self) -> impl Iterator<Item = ConversationId> {
        self.known.keys().copied()
    }

    /// How many wait, those included who were admitted a moment ago.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        (self.waiting.len() + self.expected.len()) as u32
    }

    pub(super) fn summary(&self, queue: QueueId, open: bool) -> QueueSummary {
        QueueSummary {
            queue,
            open,
            waiting: self.waiting.len() as u32,
            active: (self.known.len() - self.waiting.len()) as u32,
            unread: self.unread,
            longest_waiting_since: self.waiting_by_age.first().map(|(since, _)| *since),
        }
    }

    /// Where somebody would stand who comes now: behind all of the same or a higher priority.
    pub(super) fn position_of_newcomer(&self, priority: i8) -> u32 {
        let ahead: u32 = self.waiting_by_priority.range(priority..).map(|(_, count)| count).sum();
        ahead + self.expected.len() as u32 + 1
    }

    /// The estimate for a position: the mean time between the last takes, times the position.
    /// Nothing is known until two were taken within the last half hour.
    #[must_use]
    pub fn wait_ms(&self, position: u32, now: Time) -> Option<u64> {
        let recent = self.takes.iter().filter(|at| now.since_ms(**at) <= TAKE_AGE_MAX_MS);
        let (oldest, count) = recent.fold((None, 0u64), |(oldest, count), at| (oldest.or(Some(*at)), count + 1));
        // One take has no distance to another.
        (count > 1).then_some(now.since_ms(oldest?) / count * u64::from(position))
    }

    /// The first in order who is not being offered to somebody this very moment.
    pub(super) fn next_to_offer(&self, now: Time) -> Option<ConversationId> {
        self.waiting
            .iter()
            .map(|place| place.conversation)
            .find(|conversation| self.known[conversation].offered_at.is_none_or(|at| now.since_ms(at) >= ADMISSION_MS))
    }

    pub(super) fn keep_room(&mut self, conversation: ConversationId, now: Time) {
        self.unexpect(conversation);
        self.expected.insert(conversation, now);
        self.expected_by_age.insert((now, conversation));
    }

    fn unexpect(&mut self, conversation: ConversationId) {
        if let Some(at) = self.expected.remove(&conversation) {
            self.expected_by_age.remove(&(at, conversation));
        }
    }

    pub(super) fn offer(&mut self, conversation: ConversationId, now: Time) {
        if let Some(known) = self.known.get_mut(&conversation) {
            if let Some(before) = known.offered_at.replace(now) {
                self.offered.remove(&(before, conversation));
            }
            self.offered.insert((now, conversation));
        }
    }

    /// Announcements may come twice, or late.
    pub(super) fn is_stale(&self, row: &Row) -> bool {
        match self.known.get(&row.conversation) {
            Some(known) => known.row.head > row.head || *known.row == *row,
            None => self.gone.get(&row.conversation).is_some_and(|head| *head > row.head),
        }
    }

    /// A conversation says how it stands; `ours` unless it has ended or names another queue.
    pub(super) fn announce(&mut self, row: &Arc<Row>, ours: bool, now: Time) {
        let row = Arc::clone(row);
        let conversation = row.conversation;
        self.unexpect(conversation);
        let before = self.forget(conversation);
        // Lists of ended conversations are alive too; of one that is elsewhere nobody here is told again.
        let shown = ours || before.is_some() || row.state == RowState::Closed;
        self.note_turn(before.as_ref().map(|known| &*known.row), &row, ours, now);
        if ours {
            // A place from before it was served is no place to compare with.
            let told = before.filter(|known| known.row.state == RowState::Waiting).and_then(|known| known.told);
            self.remember(&row, told);
        } else {
            self.note_gone(&row);
        }
        if self.followers > 0 && shown {
            if self.changed.insert(conversation, row).is_none() {
                self.changed_order.push_back(conversation);
            }
            self.flush_at.get_or_insert(now.max(self.flushed_at + ROWS_PUSH_MS));
        }
    }

    fn forget(&mut self, conversation: ConversationId) -> Option<Known> {
        let known = self.known.remove(&conversation)?;
        let row = &known.row;
        if self.waiting.remove(&place(row)) {
            self.waiting_by_age.remove(&(row.waiting_since, conversation));
            if let Some(count) = self.waiting_by_priority.get_mut(&row.priority) {
                *count -= 1;
            }
        }
        self.listed.remove(&list_place(row));
        self.unread -= row.unread;
        if let Some(at) = known.offered_at {
            self.offered.remove(&(at, conversation));
        }
        Some(known)
    }

    fn note_gone(&mut self, row: &Row) {
        if self.gone.insert(row.conversation, row.head).is_none() {
            self.gone_by_age.push_back(row.conversation);
        }
        if self.gone_by_age.len() > GONE_KEPT
            && let Some(oldest) = self.gone_by_age.pop_front()
        {
            self.gone.remove(&oldest);
        }
    }

    fn remember(&mut self, row: &Arc<Row>, told: Option<Told>) {
        if row.state == RowState::Waiting {
            self.waiting.insert(place(row));
            self.waiting_by_age.insert((row.waiting_since, row.conversation));
            *self.waiting_by_priority.entry(row.priority).or_default() += 1;
        }
        self.listed.insert(list_place(row));
        self.unread += row.unread;
        self.known.insert(row.conversation, Known { row: Arc::clone(row), told, offered_at: None });
    }

    /// What the change means to the others who wait.
    fn note_turn(&mut self, before: Option<&Row>, row: &Row, ours: bool, now: Time) {
        let waited = before.is_some_and(|before| before.state == RowState::Waiting);
        let waits = ours && row.state == RowState::Waiting;
        if waited && row.state == RowState::Active {
            self.takes.push_back(now);
            if self.takes.len() > TAKES_KEPT {
                self.takes.pop_front();
            }
        }
        if waits && before.is_none_or(|before| !waited || before.priority < row.priority) {
            let reason = if row.priority > 0 && before.is_none_or(|before| before.priority != row.priority) {
                WorseReason::Priority
            } else {
                WorseReason::Returned
            };
            if self.jumps.len() == JUMPS_KEPT
                && let Some((first, _)) = self.jumps.pop()
            {
                self.jumps.push((first.min(place(row)), reason));
            } else {
                self.jumps.push((place(row), reason));
            }
        }
        if waits && row.unread > before.map_or(0, |before| before.unread) && self.followers > 0 {
            self.raised.insert(row.conversation, row.preview.clone());
        }
        if waits != waited || before.is_some_and(|before| waits && before.priority != row.priority) {
            self.moved_meanwhile = self.looked_to.is_some();
            self.places_at.get_or_insert(now.max(self.places_told_at + POSITION_PUSH_MS));
        }
    }

    pub(super) fn count_followers(&mut self, followers: usize) {
        self.followers = followers;
        if followers == 0 {
            self.changed.clear();
            self.changed_order.clear();
            self.raised.clear();
            self.flush_at = None;
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.flush_at.into_iter().chain(self.places_at).chain(self.lapse_at()).min()
    }

    pub(super) fn flush_at(&self) -> Option<Time> {
        self.flush_at
    }

    pub(super) fn places_at(&self) -> Option<Time> {
        self.places_at
    }

    /// When the oldest admission or offer is void.
    pub(super) fn lapse_at(&self) -> Option<Time> {
        let expected = self.expected_by_age.first().map(|(at, _)| *at + ADMISSION_MS);
        let offered = self.offered.first().map(|(at, _)| *at + ADMISSION_MS);
        expected.into_iter().chain(offered).min()
    }

    pub(super) fn lapse(&mut self, now: Time) {
        while let Some((_, conversation)) = self.expected_by_age.first().copied().filter(|(at, _)| *at + ADMISSION_MS <= now) {
            self.unexpect(conversation);
        }
        while let Some((at, conversation)) = self.offered.first().copied().filter(|(at, _)| *at + ADMISSION_MS <= now) {
            self.offered.remove(&(at, conversation));
            if let Some(known) = self.known.get_mut(&conversation) {
                known.offered_at = None;
            }
        }
    }

    /// What agents are told: the rows that changed, new messages nobody serves, and the numbers.
    pub(super) fn notices(&self, queue: QueueId, open: bool) -> Vec<Notice> {
        let pushed = || self.changed_order.iter().take(ROWS_PER_PUSH);
        let rows: Vec<Arc<Row>> = pushed().filter_map(|conversation| self.changed.get(conversation)).cloned().collect();
        let rows = rows.chunks(ROWS_PER_NOTICE).map(|rows| Notice::Rows(rows.to_vec()));
        let raised = pushed().filter_map(|conversation| {
            let preview = self.raised.get(conversation)?.clone();
            Some(Notice::Raised { queue, conversation: *conversation, preview })
        });
        rows.chain(raised).chain([Notice::Queue(self.summary(queue, open))]).collect()
    }

    pub(super) fn flushed(&mut self, now: Time) {
        let pushed = self.changed_order.len().min(ROWS_PER_PUSH);
        for conversation in self.changed_order.drain(..pushed) {
            self.changed.remove(&conversation);
            self.raised.remove(&conversation);
        }
        self.flushed_at = now;
        self.flush_at = (!self.changed_order.is_empty()).then(|| now + ROWS_PUSH_MS);
    }

    /// The next of those whose place is not the one they were told.
    pub(super) fn places_to_tell(&self, now: Time) -> PlacesRound {
        let (behind, first) = match self.looked_to {
            Some((place, position)) => (Bound::Excluded(place), position + 1),
            None => (Bound::Unbounded, 1),
        };
        let mut round = PlacesRound::default();
        let waiting = self.waiting.range((behind, Bound::Unbounded)).zip(first..).take(PLACES_PER_ROUND);
        let mut looked_at = 0;
        for (place, position) in waiting {
            looked_at += 1;
            round.looked_to = Some((*place, position));
            let told = self.known[&place.conversation].told;
            if told.is_some_and(|told| told.position == position) {
                continue;
            }
            if position > POSITION_NEAR && told.is_some_and(|told| now.since_ms(told.at) < POSITION_PUSH_FAR_MS) {
                round.passed_over = true;
                continue;
            }
            round.places.push(self.place_told(place, position, told, now));
        }
        if looked_at < PLACES_PER_ROUND {
            round.looked_to = None;
        }
        round
    }

    fn place_told(&self, place: &Place, position: u32, told: Option<Told>, now: Time) -> PlaceTold {
        // Who was told at the start only compares for themselves. Without a jump ahead, it was they who moved back.
        let reason = told.is_none_or(|told| told.position < position).then(|| {
            let jump = self.jumps.iter().rev().find(|(jumped, _)| jumped < place);
            jump.map_or(WorseReason::Priority, |(_, reason)| *reason)
        });
        PlaceTold { conversation: place.conversation, position, wait_ms: self.wait_ms(position, now), reason }
    }

    pub(super) fn told(&mut self, round: &PlacesRound, now: Time) {
        for told in &round.places {
            if let Some(known) = self.known.get_mut(&told.conversation) {
                known.told = Some(Told { position: told.position, at: now });
            }
        }
        self.passed_over = round.passed_over || (self.looked_to.is_some() && self.passed_over);
        self.looked_to = round.looked_to;
        if self.looked_to.is_some() {
            self.places_at = Some(now + PLACES_ROUND_MS);
            return;
        }
        self.places_told_at = now;
        // Those far back who were passed over are told in a later look.
        if !self.passed_over && !self.moved_meanwhile {
            self.jumps.clear();
        }
        let again = self.passed_over || std::mem::take(&mut self.moved_meanwhile);
        self.places_at = again.then(|| now + POSITION_PUSH_MS);
    }

    pub(super) fn list(&self, after: Option<ListPlace>, limit: usize) -> Vec<Row> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let listed = self.listed.range((from, Bound::Unbounded)).take(limit);
        listed.map(|(_, _, conversation)| (*self.known[conversation].row).clone()).collect()
    }

    pub(super) fn rows_of(&self, conversations: &[ConversationId]) -> Vec<Row> {
        conversations.iter().filter_map(|conversation| self.known.get(conversation)).map(|known| (*known.row).clone()).collect()
    }
}
