//! Messages, and the way of a conversation until somebody serves it.

use super::generator::{Conversation, Generator, Stage};
use super::ledger::{Ledger, Viewer};
use super::visits::Dialogue;
use crate::measure::Metric;
use crate::target::{Action, Pair, Side, Tag, Target, Who};

impl Conversation {
    pub fn new(customer: u32, agent: Option<u32>, slow: bool, dialogue: Option<Box<Dialogue>>) -> Self {
        Self {
            stage: Stage::Absent,
            customer,
            agent,
            handed_over: false,
            slow,
            joined: 0,
            phase: 0,
            begun_ns: 0,
            ledger: Ledger::default(),
            dialogue,
        }
    }

    pub fn user(&self, side: Side) -> Option<u32> {
        match side {
            Side::Customer => Some(self.customer),
            Side::Agent | Side::Note => self.agent,
        }
    }
}

impl<T: Target> Generator<T> {
    /// A message arrives in one of the lasting conversations.
    pub fn message(&mut self, intended_ns: u64) {
        let keys = self.plan.scenario.messages;
        self.recorder.now().numbers.intended += 1;
        self.recorder.interval.intended += 1;
        let hot = keys.hot_percent > 0.0 && self.dice.unit() * 100.0 < keys.hot_percent;
        let index = if hot || self.lasting == 0 { 0 } else { self.dice.below(u64::from(self.lasting)) as u32 };
        let by_agent = self.reach.agents && self.dice.unit() * 100.0 < keys.agent_percent;
        let side = if by_agent { Side::Agent } else { Side::Customer };
        if self.lasting == 0 || self.conversations[index as usize].stage != Stage::Served {
            self.recorder.now().numbers.nobody += 1;
            return;
        }
        self.say(index, side, intended_ns, None);
        if self.reach.notes && keys.note_percent > 0.0 && self.dice.unit() * 100.0 < keys.note_percent {
            self.note(index);
        }
    }

    pub fn say(&mut self, index: u32, side: Side, intended_ns: u64, turn: Option<(usize, usize)>) {
        let phase = self.recorder.phase;
        let number = self.conversations[index as usize].ledger.intend(side, intended_ns, phase);
        self.send(index, side, number, turn, true);
    }

    fn send(&mut self, index: u32, side: Side, number: u32, turn: Option<(usize, usize)>, at_once: bool) {
        let pair = self.pair(index);
        let Some(user) = self.conversations[index as usize].user(side) else { return };
        if !self.users[user as usize].ready {
            return;
        }
        let tag = Tag { run: self.plan.run, conversation: pair.conversation, number, side };
        let mut text = std::mem::take(&mut self.text);
        self.texts.write(&mut text, tag, turn, &mut self.dice);
        let now = crate::clock::now_ns();
        let lag = self.conversations[index as usize].ledger.sent(side, number, now);
        self.act(user, Action::Send { pair, number, text: &text });
        self.text = text;
        match lag {
            Some(lag) => {
                self.recorder.now().numbers.sent += 1;
                self.recorder.interval.sent += 1;
                if at_once {
                    self.recorder.time_now(Metric::SendLag, lag);
                }
            }
            None => self.recorder.now().numbers.repeated_sends += 1,
        }
    }

    fn note(&mut self, index: u32) {
        let conversation = self.number_of(index);
        let Some(agent) = self.conversations[index as usize].agent else { return };
        let tag = Tag { run: self.plan.run, conversation, number: 0, side: Side::Note };
        let mut text = std::mem::take(&mut self.text);
        self.texts.write(&mut text, tag, None, &mut self.dice);
        self.act(agent, Action::Note { conversation, text: &text });
        self.text = text;
        self.recorder.now().numbers.notes += 1;
    }

    pub fn pair(&self, index: u32) -> Pair {
        let conversation = &self.conversations[index as usize];
        let number = |user: Option<u32>| match user.map(|user| self.users[user as usize].who) {
            Some(Who::Customer(number) | Who::Agent(number)) => number,
            None => 0,
        };
        Pair {
            conversation: self.number_of(index),
            customer: number(Some(conversation.customer)),
            agent: number(conversation.agent),
        }
    }

    /// Sends what one side has no answer to, after its connection came back or the server could not tell.
    pub fn send_again(&mut self, index: u32, side: Side) {
        let unanswered: Vec<(u32, bool)> = self.conversations[index as usize].ledger.unanswered(side).collect();
        for (number, left) in unanswered {
            if !left || self.reach.repeats {
                self.send(index, side, number, None, false);
            }
        }
    }

    /// A user is there, for the first time or again.
    pub fn back(&mut self, user: u32, missed: bool) {
        let theirs: Vec<u32> = match self.users[user as usize].who {
            Who::Customer(_) => self.users[user as usize].conversation.into_iter().collect(),
            Who::Agent(_) => {
                let now = crate::clock::now_ns();
                self.picks_are_lost(user, now);
                self.serve_those_who_wait(now);
                (0..self.conversations.len() as u32)
                    .filter(|index| self.conversations[*index as usize].agent == Some(user))
                    .collect()
            }
        };
        let side = self.side_of(user);
        for index in theirs {
            let conversation = &mut self.conversations[index as usize];
            if missed {
                let viewer = if conversation.customer == user { Viewer::Customer } else { Viewer::Holder };
                let excused = conversation.ledger.excuse(viewer);
                self.recorder.now().numbers.missed_in_gaps += excused;
            }
            match self.conversations[index as usize].stage {
                Stage::Absent | Stage::Beginning if self.reach.queue => self.begin(index),
                Stage::Absent | Stage::Beginning => self.join(index, user),
                Stage::Served | Stage::Waiting | Stage::HandingOver => self.send_again(index, side),
                Stage::Ended => {}
            }
        }
    }

    /// Asks for a place in the queue.
    pub fn begin(&mut self, index: u32) {
        let conversation = &mut self.conversations[index as usize];
        if !matches!(conversation.stage, Stage::Absent | Stage::Beginning) {
            return;
        }
        if conversation.stage == Stage::Absent {
            conversation.begun_ns = crate::clock::now_ns();
            conversation.phase = self.recorder.phase;
        }
        conversation.stage = Stage::Beginning;
        let customer = conversation.customer;
        self.act(customer, Action::Begin { conversation: self.number_of(index) });
    }

    fn join(&mut self, index: u32, user: u32) {
        self.conversations[index as usize].stage = Stage::Beginning;
        let pair = self.pair(index);
        self.act(user, Action::Join(pair));
    }

    pub fn joined(&mut self, user: u32, index: Option<u32>) {
        let Some(index) = index else { return };
        let conversation = &mut self.conversations[index as usize];
        conversation.joined |= if conversation.customer == user { 1 } else { 2 };
        if conversation.stage == Stage::Beginning && (conversation.joined == 3 || !self.reach.agents) {
            self.is_served(index, crate::clock::now_ns());
        }
    }

    pub fn begun(&mut self, index: Option<u32>, now: u64) {
        let Some(index) = index else { return };
        let conversation = &mut self.conversations[index as usize];
        // A repeated start has the first answer, perhaps after the pick.
        if conversation.stage == Stage::Beginning {
            conversation.stage = Stage::Waiting;
            self.recorder.now().numbers.begun += 1;
            self.somebody_waits(now);
        }
    }

    /// The customer sees that somebody took it: the wait is over.
    pub fn claimed(&mut self, index: Option<u32>, now: u64) {
        let Some(index) = index else { return };
        let conversation = &mut self.conversations[index as usize];
        if conversation.begun_ns != 0 {
            let waited = now.saturating_sub(std::mem::take(&mut conversation.begun_ns));
            self.recorder.time(Metric::Wait, self.conversations[index as usize].phase, waited);
        }
    }

    /// An agent has it: it can go on.
    pub fn is_served(&mut self, index: u32, now: u64) {
        let conversation = &mut self.conversations[index as usize];
        conversation.stage = Stage::Served;
        match &mut conversation.dialogue {
            None => self.progress.served += u32::from(index < self.lasting),
            Some(dialogue) => {
                dialogue.is_served(now);
                self.plan_turn(index, now);
            }
        }
    }

    /// Somebody was told that it has ended.
    pub fn ended(&mut self, user: u32, index: Option<u32>, now: u64) {
        let Some(index) = index else { return };
        let conversation = &mut self.conversations[index as usize];
        let (agent, customer) = (conversation.agent, conversation.customer);
        let before = std::mem::replace(&mut conversation.stage, Stage::Ended);
        let is_visit = conversation.dialogue.is_some();
        if before == Stage::Waiting {
            self.desks.waiting = self.desks.waiting.saturating_sub(1);
        }
        if before != Stage::Ended {
            self.recorder.now().numbers.visits += u64::from(is_visit && !self.progress.is_ending());
            if let Some(agent) = agent.filter(|_| self.reach.queue) {
                self.room_at(agent, now);
            }
        }
        // Not before the customer has been shown everything that was said until the end.
        if is_visit && user == customer && !self.users[customer as usize].gone {
            self.leave(customer);
        }
    }
}
