//! Agents: who takes whom from the queue, and how many they have.

use std::collections::VecDeque;

use super::generator::{Due, Generator, Stage};
use crate::measure::Metric;
use crate::target::{Action, Target};

/// How long to wait after a pick that was refused, lost, or found nobody though somebody waits, milliseconds: about as long as a person
/// needs to see it. At random, since everybody who asked in vain at the same moment would ask again at the same moment.
const AGAIN_MS: f64 = 250.0;

/// What is known of one agent.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Conversations that it holds.
    held: u32,
    /// When the picks under way were intended.
    picking: VecDeque<u64>,
}

/// All agents of this process.
#[derive(Debug, Default)]
pub(super) struct Desks {
    desks: Vec<Desk>,
    /// Conversations that each may hold.
    capacity: u32,
    /// Customers who wait.
    pub waiting: u64,
    /// Picks that are planned, under way, or have no agent who is free.
    picks: u64,
    /// Those without an agent.
    unserved: u64,
}

impl Desks {
    pub fn new(agents: u32, capacity: u32) -> Self {
        let desks = (0..agents).map(|_| Desk::default()).collect();
        Self { desks, capacity, ..Self::default() }
    }

    /// The agent with the most room, if any has some.
    fn free(&self, is_there: impl Fn(usize) -> bool) -> Option<usize> {
        let busy = |desk: &Desk| desk.held + desk.picking.len() as u32;
        let desks = self.desks.iter().enumerate().filter(|(at, desk)| busy(desk) < self.capacity && is_there(*at));
        desks.min_by_key(|(_, desk)| busy(desk)).map(|(at, _)| at)
    }
}

impl<T: Target> Generator<T> {
    /// Somebody waits: an agent will see it.
    pub fn somebody_waits(&mut self, now: u64) {
        self.desks.waiting += 1;
        self.desks.picks += 1;
        self.later_ms(now, self.plan.scenario.visits.pick_ms, Due::Pick);
    }

    pub fn pick(&mut self, at: u64) {
        let free = self.desks.free(|agent| self.users[agent].ready);
        let Some(agent) = free else {
            self.desks.unserved += 1;
            return;
        };
        self.desks.desks[agent].picking.push_back(at);
        if !self.act(agent as u32, Action::Pick) {
            self.desks.desks[agent].picking.pop_back();
            self.desks.unserved += 1;
        }
    }

    /// Somebody has room again, or is there again.
    pub fn serve_those_who_wait(&mut self, now: u64) {
        if self.desks.unserved > 0 {
            self.desks.unserved -= 1;
            self.later(now, Due::Pick);
        }
    }

    fn pick_is_over(&mut self, agent: u32) -> Option<u64> {
        let intended = self.desks.desks.get_mut(agent as usize)?.picking.pop_front();
        self.desks.picks = self.desks.picks.saturating_sub(u64::from(intended.is_some()));
        intended
    }

    pub fn picked(&mut self, index: Option<u32>, agent: u32, now: u64) {
        let (Some(index), Some(agent)) = (index, self.agent_user(agent)) else { return };
        if let Some(intended) = self.pick_is_over(agent) {
            self.recorder.time_now(Metric::Claim, now.saturating_sub(intended));
        }
        self.recorder.now().numbers.picked += 1;
        let conversation = &mut self.conversations[index as usize];
        if conversation.stage == Stage::Waiting {
            self.desks.waiting = self.desks.waiting.saturating_sub(1);
        }
        if conversation.agent == Some(agent) {
            return;
        }
        conversation.agent = Some(agent);
        self.desks.desks[agent as usize].held += 1;
        self.is_served(index, now);
    }

    pub fn nothing_waits(&mut self, agent: u32, now: u64) {
        self.recorder.now().numbers.picks_empty += 1;
        self.pick_is_over(agent);
        // The queue may be a moment behind the conversations.
        if self.desks.waiting > self.desks.picks {
            self.desks.picks += 1;
            self.pick_again(now);
        }
    }

    fn pick_again(&mut self, now: u64) {
        let pause = AGAIN_MS * (0.5 + self.dice.unit());
        self.later_ms(now, pause, Due::Pick);
    }

    pub fn pick_refused(&mut self, agent: u32, now: u64) {
        if self.pick_is_over(agent).is_some() {
            self.desks.picks += 1;
            self.pick_again(now);
        }
    }

    /// The picks of an agent whose connection fell have no answer.
    pub fn picks_are_lost(&mut self, agent: u32, now: u64) {
        while self.pick_is_over(agent).is_some() {
            self.desks.picks += 1;
            self.pick_again(now);
        }
    }

    /// Gives a conversation to another agent; answers whether there is one.
    pub fn hand_over(&mut self, index: u32) -> bool {
        let Some(from) = self.conversations[index as usize].agent else { return false };
        let to = self.desks.free(|agent| agent != from as usize && self.users[agent].ready);
        let Some(to) = to else { return false };
        let conversation = self.number_of(index);
        let action = Action::HandOver { conversation, to: self.plan.agents.0 + to as u32 };
        let acted = self.act(from, action);
        if acted {
            self.conversations[index as usize].stage = Stage::HandingOver;
        }
        acted
    }

    pub fn held(&mut self, index: Option<u32>, agent: u32, now: u64) {
        let (Some(index), Some(agent)) = (index, self.agent_user(agent)) else { return };
        let conversation = &mut self.conversations[index as usize];
        let from = conversation.agent.replace(agent);
        if from == Some(agent) {
            return;
        }
        let was_waiting = conversation.stage == Stage::Waiting;
        self.desks.desks[agent as usize].held += 1;
        if let Some(from) = from {
            conversation.handed_over = true;
            conversation.ledger.new_holder();
            self.recorder.now().numbers.hand_overs += 1;
            self.room_at(from, now);
        }
        // A followed conversation can be told before the answer to the pick that took it.
        self.desks.waiting -= u64::from(was_waiting && self.desks.waiting > 0);
        self.is_served(index, now);
    }

    pub fn hand_over_refused(&mut self, index: u32, now: u64) {
        if self.conversations[index as usize].stage == Stage::HandingOver {
            self.is_served(index, now);
        }
    }

    /// An agent has one less.
    pub fn room_at(&mut self, agent: u32, now: u64) {
        let desk = &mut self.desks.desks[agent as usize];
        desk.held = desk.held.saturating_sub(1);
        self.serve_those_who_wait(now);
    }
}
