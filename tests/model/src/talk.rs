//! The one conversation: what of `jono_domain::conversation` claims and deadlines rest on. `tests/real.rs` holds it against the
//! real machine.
//!
//! The close clock runs all the time, as for a customer who is not connected, or not at all, as for one who writes all the time.

use crate::times::{CLOSE_AFTER, Moment, RELEASE_AFTER};

/// Requests of one run.
pub const REQUESTS_MAX: usize = 4;

/// Where it is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// In its queue.
    Waiting,
    /// Claimed by that agent.
    Active(u8),
    /// Over.
    Closed,
}

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wish {
    /// That agent wants the conversation.
    Claim(u8),
    /// That agent gives back the claim of that number.
    Release(u8, u8),
    /// The customer writes.
    Say,
}

/// What a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// The claim has this number.
    Claimed(u8),
    /// It is stored.
    Done,
    /// A refusal.
    No,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Body {
    /// Under this number.
    Claimed {
        /// By whom.
        agent: u8,
        /// Its number.
        claim: u8,
    },
    /// By its holder, who named this number.
    GivenBack {
        /// The number that was named.
        named: u8,
    },
    /// By the timer.
    Released,
    /// The customer wrote.
    Said,
    /// By the timer.
    Closed,
}

/// One record of the log, with what is remembered for the request that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// What.
    pub body: Body,
    /// When, by its owner's clock.
    pub at: Moment,
    /// Whose request, and what it is answered.
    pub request: Option<(u8, Answer)>,
}

/// Its state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Talk {
    /// The close clock runs.
    pub closes: bool,
    /// Records in its log.
    pub entries: u8,
    /// Where it is.
    pub phase: Phase,
    /// The number of the last claim.
    pub claim: u8,
    /// When the holder was active; of no meaning while nobody holds it.
    pub agent_active: Moment,
    /// When the customer was active.
    pub customer_active: Moment,
    /// Answers that are remembered, by request.
    pub answers: [Option<Answer>; REQUESTS_MAX],
}

const NEVER: Moment = Moment { shown: 0, ahead: 0, excused: 0 };

impl Talk {
    /// It has just been started.
    #[must_use]
    pub fn started(closes: bool) -> Self {
        Self {
            closes,
            entries: 1,
            phase: Phase::Waiting,
            claim: 0,
            agent_active: NEVER,
            customer_active: NEVER,
            answers: [None; REQUESTS_MAX],
        }
    }

    /// What would happen, and the answer. Reads only.
    #[must_use]
    pub fn decide(&self, wish: Wish, compares_numbers: bool) -> (Option<Body>, Answer) {
        match (wish, self.phase) {
            (_, Phase::Closed) => (None, Answer::No),
            (Wish::Claim(agent), Phase::Waiting) => {
                let claim = self.claim + 1;
                (Some(Body::Claimed { agent, claim }), Answer::Claimed(claim))
            }
            (Wish::Claim(agent), Phase::Active(holder)) if holder == agent => (None, Answer::Claimed(self.claim)),
            (Wish::Claim(_), Phase::Active(_)) => (None, Answer::No),
            (Wish::Release(agent, named), Phase::Active(holder))
                if holder == agent && (named == self.claim || !compares_numbers) =>
            {
                (Some(Body::GivenBack { named }), Answer::Done)
            }
            (Wish::Release(..), Phase::Waiting | Phase::Active(_)) => (None, Answer::No),
            (Wish::Say, Phase::Waiting | Phase::Active(_)) => (Some(Body::Said), Answer::Done),
        }
    }

    /// Makes it so.
    pub fn evolve(&mut self, entry: &Entry) {
        self.entries += 1;
        match entry.body {
            Body::Claimed { agent, claim } => {
                self.phase = Phase::Active(agent);
                self.claim = claim;
                self.agent_active = entry.at;
                self.customer_seen(entry.at);
            }
            Body::GivenBack { .. } | Body::Released => {
                self.phase = Phase::Waiting;
                self.agent_active = NEVER;
            }
            Body::Said => self.customer_seen(entry.at),
            Body::Closed => {
                self.phase = Phase::Closed;
                (self.agent_active, self.customer_active) = (NEVER, NEVER);
            }
        }
        if let Some((request, answer)) = entry.request {
            self.answers[usize::from(request)] = Some(answer);
        }
    }

    fn customer_seen(&mut self, at: Moment) {
        if self.closes && at.shown > self.customer_active.shown {
            self.customer_active = at;
        }
    }

    /// When the claim is dropped.
    #[must_use]
    pub fn release_at(&self) -> Option<i8> {
        matches!(self.phase, Phase::Active(_)).then(|| self.agent_active.shown + RELEASE_AFTER)
    }

    /// When it is closed.
    #[must_use]
    pub fn close_at(&self) -> Option<i8> {
        (self.closes && self.phase != Phase::Closed).then(|| self.customer_active.shown + CLOSE_AFTER)
    }

    /// What a clock that shows this has made due.
    #[must_use]
    pub fn expire(&self, shown: i8) -> Option<Body> {
        let release = self.release_at().filter(|at| *at <= shown);
        let close = self.close_at().filter(|at| *at <= shown);
        match (release, close) {
            (Some(release), close) if close.is_none_or(|close| release <= close) => Some(Body::Released),
            (_, Some(_)) => Some(Body::Closed),
            (_, None) => None,
        }
    }

    /// A tick has passed.
    pub fn age(&mut self) {
        match self.phase {
            Phase::Closed | Phase::Waiting => {}
            Phase::Active(_) => self.agent_active.age(),
        }
        if self.closes && self.phase != Phase::Closed {
            self.customer_active.age();
        }
    }
}
