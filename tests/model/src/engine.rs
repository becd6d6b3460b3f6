//! One engine: whether it may serve, what it holds, what it has decided and not yet heard of.

use crate::rules::Rules;
use crate::store::{Owner, Picture};
use crate::talk::{Answer, Entry, Talk};
use crate::times::{DEAD_AFTER, LOOK_COUNTS, Moment};

/// What it does with the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    /// Nothing.
    Nothing,
    /// It is about to raise the epoch.
    Wanted,
    /// It has raised the epoch to this, and is about to read.
    Raised(u8),
    /// It writes under this epoch.
    Owned(u8),
    /// As before, until what was decided is stored: then it is given back.
    Going(u8),
    /// The store says that another owns it; the next look decides.
    Fenced,
}

/// One step: what it writes, and whom it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// `None`: an answer that waits for earlier steps.
    pub entry: Option<Entry>,
    /// The request, and its answer.
    pub reply: Option<(u8, Answer)>,
}

/// A commit of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnderWay {
    /// The step.
    pub step: Step,
    /// Under which epoch.
    pub epoch: u8,
    /// Where the log must end.
    pub expected: u8,
    /// What the store has said, on its way back; `None` while the commit is on its way there.
    pub outcome: Option<crate::store::Outcome>,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Engine {
    /// It runs.
    pub is_up: bool,
    /// It stands still. Its clock does not.
    pub is_paused: bool,
    /// One of its calls to the store takes longer than a tick.
    pub is_slow: bool,
    /// What its machine's wall clock shows too much.
    pub wall: i8,
    /// What its own clock shows too much: the wall's when it started.
    pub clock: i8,
    /// What the wall showed too much when it started.
    pub started: i8,
    /// Its number.
    pub node: u8,
    /// Ticks for which it may serve, by its own clock.
    pub tenure: i8,
    /// Out of touch, so it has dropped everything.
    pub is_stopped: bool,
    /// In this tick.
    pub has_beaten: bool,
    /// It has looked in this tick: silence does not grow before the next.
    pub has_looked: bool,
    /// The others, and how long each was silent.
    pub others: Vec<(u8, i8)>,
    /// The owner that it knows.
    pub owner: Owner,
    /// The shard.
    pub held: Held,
    /// Those that it has taken for dead and is about to remove.
    pub removing: Vec<u8>,
    /// A picture on its way, should it have fallen asleep meanwhile.
    pub picture: Option<Picture>,
    /// The conversation with everything that was decided; `None` until it is read (again).
    pub mind: Option<Talk>,
    /// Requests that were refused lately: they are refused again.
    pub refused: u8,
    /// Only under a broken rule: when the alarm rings that was set first.
    pub alarm: Option<i8>,
    /// The commit under way.
    pub under_way: Option<UnderWay>,
    /// The step behind it.
    pub waiting: Option<Step>,
}

impl Engine {
    /// A machine on which nothing runs.
    #[must_use]
    pub fn down(wall: i8) -> Self {
        Self {
            is_up: false,
            is_paused: false,
            is_slow: false,
            wall,
            clock: 0,
            started: 0,
            node: 0,
            tenure: 0,
            is_stopped: true,
            has_beaten: false,
            has_looked: false,
            others: Vec::new(),
            owner: Owner::default(),
            held: Held::Nothing,
            removing: Vec::new(),
            picture: None,
            mind: None,
            refused: 0,
            alarm: None,
            under_way: None,
            waiting: None,
        }
    }

    /// A process that has joined under this number.
    #[must_use]
    pub fn started(wall: i8, node: u8) -> Self {
        Self { is_up: true, clock: wall, started: wall, node, ..Self::down(wall) }
    }

    /// It does something at all.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.is_up && !self.is_paused
    }

    /// Its tenure holds, and it has what it needs to answer.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.runs() && self.tenure > 0 && matches!(self.held, Held::Owned(_)) && self.mind.is_some()
    }

    /// It writes under this epoch.
    #[must_use]
    pub fn epoch(&self) -> Option<u8> {
        match self.held {
            Held::Owned(epoch) | Held::Going(epoch) => Some(epoch),
            Held::Nothing | Held::Wanted | Held::Raised(_) | Held::Fenced => None,
        }
    }

    /// Whether another step can be taken: of an earlier tenure nothing may be under way.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting.is_none() && self.under_way.is_none_or(|under_way| Some(under_way.epoch) == self.epoch())
    }

    /// The moment, by its clock.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment { shown: self.clock, ahead: self.clock, excused: self.started }
    }

    /// What its timers do now.
    #[must_use]
    pub fn due(&self, rules: &Rules) -> Option<crate::talk::Body> {
        use crate::talk::{Body, Phase};
        if !self.serves() || !self.has_room() {
            return None;
        }
        let mind = self.mind.as_ref()?;
        if !rules.looks_at_deadline && mind.phase != Phase::Closed && self.alarm.is_some_and(|at| at <= self.clock) {
            return Some(Body::Closed);
        }
        if !rules.recovers_deadlines && self.owner.epoch > 1 {
            return None;
        }
        mind.expire(self.clock)
    }

    /// Drops the shard at once. A commit that is under way stays so, and whoever it answers is told.
    pub fn leave(&mut self) {
        self.mind = None;
        self.refused = 0;
        self.alarm = None;
        self.waiting = None;
        self.held = Held::Nothing;
    }

    /// Others may be about to take over.
    pub fn stop(&mut self) {
        self.leave();
        self.is_stopped = true;
        self.tenure = 0;
    }

    /// Reads the conversation.
    pub fn load(&mut self, talk: &Talk, rules: &Rules) {
        self.mind = Some(talk.clone());
        self.set_alarm(rules);
    }

    /// Under a broken rule, an alarm that was set stays where it is.
    pub fn set_alarm(&mut self, rules: &Rules) {
        if !rules.looks_at_deadline {
            self.alarm = self.alarm.or(self.mind.as_ref().and_then(Talk::close_at));
        }
    }

    /// Takes in who is there; returns those that it takes for dead.
    pub fn note_members(&mut self, others: &[(u8, bool)]) -> Vec<u8> {
        let passed = if self.has_looked { 0 } else { LOOK_COUNTS };
        self.has_looked = true;
        let mut dead = Vec::new();
        let before = std::mem::take(&mut self.others);
        for (node, has_beaten) in others {
            let silent = before.iter().find(|(known, _)| known == node && !has_beaten).map_or(0, |(_, silent)| silent + passed);
            if silent >= DEAD_AFTER {
                dead.push(*node);
            } else {
                self.others.push((*node, silent));
            }
        }
        dead
    }

    /// Decides what to do with the shard; returns an owner to be published.
    pub fn judge(&mut self, rules: &Rules, prefers_newcomers: bool) -> Option<Owner> {
        let nodes = self.others.iter().map(|(node, _)| *node).chain([self.node]);
        let should = if prefers_newcomers { nodes.max() } else { nodes.min() };
        let should_be_here = should == Some(self.node);
        let is_free = self.owner.node == 0
            || self.owner.node == self.node
            || rules.takes_over && self.others.iter().all(|(node, _)| *node != self.owner.node);
        match self.held {
            Held::Owned(epoch) | Held::Going(epoch) if self.owner.epoch > epoch => self.leave(),
            Held::Owned(epoch) if !should_be_here => self.held = Held::Going(epoch),
            Held::Nothing if should_be_here && is_free => self.held = Held::Wanted,
            Held::Nothing if !should_be_here && self.owner.node == self.node => {
                let given_back = Owner { node: 0, epoch: self.owner.epoch };
                self.owner.hear(given_back);
                return Some(given_back);
            }
            Held::Nothing | Held::Wanted | Held::Raised(_) | Held::Owned(_) | Held::Going(_) | Held::Fenced => {}
        }
        None
    }

    /// A tick has passed.
    pub fn age(&mut self) {
        self.tenure = (self.tenure - 1).max(0);
        self.has_beaten = false;
        self.has_looked = false;
        if let Some(picture) = &mut self.picture {
            picture.age = (picture.age + 1).min(DEAD_AFTER);
        }
        if let Some(mind) = &mut self.mind {
            mind.age();
        }
        if let Some(at) = &mut self.alarm {
            *at = (*at - 1).max(i8::MIN / 2);
        }
        let steps = self.under_way.iter_mut().map(|under_way| &mut under_way.step).chain(self.waiting.as_mut());
        steps.filter_map(|step| step.entry.as_mut()).for_each(|entry| entry.at.age());
    }
}
