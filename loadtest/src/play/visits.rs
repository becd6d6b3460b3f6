//! Visits: somebody comes, waits, talks in turns, is perhaps handed over, and goes.

use super::generator::{Conversation, Due, Generator, Stage};
use super::users::User;
use crate::clock::SECOND_NS;
use crate::target::{Action, Side, Target, Who};

/// A conversation of a visit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialogue {
    /// Turns that were taken.
    taken: u32,
    turns: u32,
    /// Index in the corpus, where recorded times are followed.
    script: Option<u32>,
    served_ns: u64,
    /// The turn after which it is handed over.
    hand_over_at: Option<u32>,
    /// The next turn is planned.
    planned: bool,
}

impl Dialogue {
    /// An agent has it, for the first time or again.
    pub fn is_served(&mut self, now: u64) {
        if self.served_ns == 0 {
            self.served_ns = now;
        }
    }
}

impl<T: Target> Generator<T> {
    /// A visitor comes.
    pub fn visitor(&mut self, intended_ns: u64) {
        let limit = super::phases::PER_WORKER_MAX as usize;
        if self.conversations.len() >= limit || (self.users.len() >= limit && self.free_users.is_empty()) {
            self.recorder.now().numbers.nobody += 1;
            return;
        }
        let user = self.free_users.pop().unwrap_or(self.users.len() as u32);
        let entry = User::new(Who::Customer((self.plan.worker << super::phases::WORKER_SHIFT) + user));
        if user as usize == self.users.len() {
            self.users.push(entry)
        } else {
            self.users[user as usize] = entry
        }
        let keys = self.plan.scenario.visits;
        let scripts = self.texts.scripts();
        let recorded = self.plan.scenario.texts.recorded_timing && !scripts.is_empty();
        let script = recorded.then(|| self.dice.below(scripts.len() as u64) as u32);
        let turns = script.map_or(keys.turns as u32, |script| scripts[script as usize].turns.len() as u32);
        let hands_over = self.reach.hand_over && self.dice.unit() * 100.0 < keys.hand_over_percent;
        let hand_over_at = hands_over.then(|| (turns / 2).max(1));
        let dialogue = Dialogue { taken: 0, turns, script, served_ns: 0, hand_over_at, planned: false };
        let index = self.conversations.len() as u32;
        self.conversations.push(Conversation::new(user, None, false, Some(Box::new(dialogue))));
        self.users[user as usize].conversation = Some(index);
        self.recorder.now().numbers.visitors += 1;
        self.expect_user(user, intended_ns);
    }

    /// Whose turn it is, and which of the script.
    fn next_turn(&self, index: u32) -> Option<(Side, Option<(usize, usize)>)> {
        let dialogue = self.conversations[index as usize].dialogue.as_deref()?;
        if dialogue.taken >= dialogue.turns {
            return None;
        }
        let turn = dialogue.script.map(|script| (script as usize, dialogue.taken as usize));
        let by_customer = match turn {
            Some((script, turn)) => self.texts.scripts()[script].turns[turn].speaker == crate::corpus::Speaker::Customer,
            None => dialogue.taken.is_multiple_of(2),
        };
        Some((if by_customer { Side::Customer } else { Side::Agent }, turn))
    }

    /// Plans the next turn, the hand-over or the end of a visit.
    pub fn plan_turn(&mut self, index: u32, now: u64) {
        if self.progress.is_ending() {
            return;
        }
        let keys = self.plan.scenario.visits;
        let speed = self.plan.scenario.texts.speed;
        let think_ns = (self.dice.exponential(keys.think_ms) * 1e6) as u64;
        let next = self.next_turn(index);
        let recorded_s = match next {
            Some((_, Some((script, turn)))) => Some(self.texts.scripts()[script].turns[turn].at_s),
            Some((_, None)) | None => None,
        };
        let Some(dialogue) = self.conversations[index as usize].dialogue.as_deref_mut() else { return };
        if std::mem::replace(&mut dialogue.planned, true) {
            return;
        }
        if dialogue.hand_over_at == Some(dialogue.taken) {
            dialogue.hand_over_at = None;
            dialogue.planned = false;
            if self.hand_over(index) {
                return;
            }
            return self.plan_turn(index, now);
        }
        let at = recorded_s.map_or(now + think_ns, |s| dialogue.served_ns + (s / speed * SECOND_NS as f64) as u64);
        if next.is_none() {
            self.later(at, Due::End(index));
            return;
        }
        if keys.typing && self.reach.typing && at > now {
            self.later(now + (at - now) / 2, Due::Typing(index));
        }
        self.later(at, Due::Turn(index));
    }

    pub fn type_something(&mut self, index: u32) {
        let Some((side, _)) = self.next_turn(index) else { return };
        if let Some(user) = self.conversations[index as usize].user(side) {
            let conversation = self.number_of(index);
            self.act(user, Action::Typing { conversation, typing: true });
        }
    }

    pub fn turn(&mut self, index: u32, at: u64) {
        if self.progress.is_ending() || self.conversations[index as usize].stage != Stage::Served {
            return;
        }
        let Some((side, turn)) = self.next_turn(index) else { return };
        if let Some(dialogue) = &mut self.conversations[index as usize].dialogue {
            dialogue.taken += 1;
            dialogue.planned = false;
        }
        self.recorder.now().numbers.intended += 1;
        self.recorder.interval.intended += 1;
        self.say(index, side, at, turn);
        if turn.is_some() {
            // Recorded turns come when they came, whoever has read what.
            self.plan_turn(index, at);
        }
    }

    /// The other side has read the last turn.
    pub fn answer_it(&mut self, index: u32, now: u64) {
        let conversation = &self.conversations[index as usize];
        let thinks = conversation.dialogue.as_ref().is_some_and(|dialogue| dialogue.script.is_none());
        if thinks && conversation.stage == Stage::Served {
            self.plan_turn(index, now);
        }
    }

    /// Somebody ends a visit.
    pub fn end(&mut self, index: u32) {
        let conversation = &self.conversations[index as usize];
        if conversation.stage == Stage::Ended {
            return;
        }
        if !conversation.ledger.is_settled() && !self.progress.is_tidying() {
            self.later_ms(crate::clock::now_ns(), 100.0, Due::End(index));
            return;
        }
        let by_agent = self.plan.scenario.visits.closed_by_agent && conversation.dialogue.is_some();
        let side = if by_agent { Side::Agent } else { Side::Customer };
        if let Some(user) = conversation.user(side) {
            self.act(user, Action::End { conversation: self.number_of(index) });
        }
    }
}
