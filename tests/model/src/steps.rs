//! How a request or a deadline becomes a step, a step a commit, and a commit an answer; and how each of that is lost.

use crate::engine::{Engine, Held, Step, UnderWay};
use crate::rules::Cluster;
use crate::store::{Commit, Outcome};
use crate::system::System;
use crate::talk::{Answer, Body, Entry, Wish};
use crate::times::{CLOSE_AFTER, RELEASE_AFTER};
use crate::witness::Breach;

impl System {
    /// A letter is taken.
    pub fn take(&mut self, cluster: &Cluster, at: usize, request: usize) {
        let is_double = self.requests[request].told.is_some() || self.is_in_good_hands(request);
        self.requests[request].is_taken = true;
        self.requests[request].has_double &= !is_double;
        let wish = self.wish(cluster, request);
        let engine = &mut self.engines[at];
        let now = engine.now();
        let (Some(wish), Some(mind)) = (wish, &mut engine.mind) else { return };
        let number = request as u8;
        let (body, answer) = match mind.answers[request] {
            Some(answer) => (None, answer),
            None if engine.refused & (1 << request) != 0 => (None, Answer::No),
            None => mind.decide(wish, cluster.rules.compares_numbers),
        };
        let entry = body.map(|body| Entry { body, at: now, request: cluster.rules.remembers.then_some((number, answer)) });
        if entry.is_none() && answer == Answer::No {
            engine.refused |= 1 << request;
        }
        self.step(cluster, at, Step { entry, reply: Some((number, answer)) });
    }

    /// A deadline has passed.
    pub fn expire(&mut self, cluster: &Cluster, at: usize, body: Body) {
        let entry = Entry { body, at: self.engines[at].now(), request: None };
        self.step(cluster, at, Step { entry: Some(entry), reply: None });
    }

    fn step(&mut self, cluster: &Cluster, at: usize, step: Step) {
        let engine = &mut self.engines[at];
        let (Some(epoch), Some(mind)) = (engine.epoch(), &mut engine.mind) else { return };
        let expected = mind.entries;
        if let Some(entry) = &step.entry {
            mind.evolve(entry);
            engine.set_alarm(&cluster.rules);
        }
        if engine.under_way.is_some() {
            engine.waiting = Some(step);
        } else if step.entry.is_some() {
            engine.under_way = Some(UnderWay { step, epoch, expected, outcome: None });
        } else if engine.is_paused {
            // It fell asleep before it could say so.
            engine.waiting = Some(step);
        } else {
            return self.tell(cluster, at, step.reply);
        }
        if !cluster.rules.confirms_first {
            self.tell(cluster, at, step.reply);
        }
    }

    /// A commit arrives at the store, which takes it or not; says what became of it.
    pub fn commit(&mut self, cluster: &Cluster, commit: &Commit) -> Outcome {
        let outcome = self.store.judge(commit, cluster.rules.fences);
        if outcome == Outcome::Applied {
            self.note(cluster, commit);
            self.store.talk.evolve(&commit.entry);
        }
        outcome
    }

    /// The engine hears what became of its commit.
    pub fn confirm(&mut self, cluster: &Cluster, at: usize) {
        let engine = &mut self.engines[at];
        let Some(under_way) = engine.under_way.take() else { return };
        engine.is_slow = false;
        let is_current = engine.epoch() == Some(under_way.epoch);
        match under_way.outcome {
            Some(Outcome::Applied) => {
                if is_current && let Some(next) = engine.waiting.take() {
                    match next.entry {
                        Some(_) => {
                            let (epoch, expected) = (under_way.epoch, under_way.expected + 1);
                            engine.under_way = Some(UnderWay { step: next, epoch, expected, outcome: None });
                        }
                        // It rests on nothing that is stored, so only an owner may say it.
                        None if engine.tenure > 0 || !cluster.rules.owns_what_it_says => self.tell(cluster, at, next.reply),
                        None => {}
                    }
                }
                self.tell(cluster, at, under_way.step.reply);
            }
            Some(Outcome::Fenced) if is_current => {
                engine.leave();
                engine.held = Held::Fenced;
            }
            Some(Outcome::Conflict) if is_current => self.forget(at),
            Some(_) | None => {}
        }
    }

    /// What was decided is not (surely) stored: the entity reads anew.
    fn forget(&mut self, at: usize) {
        let engine = &mut self.engines[at];
        engine.mind = None;
        engine.waiting = None;
        engine.alarm = None;
    }

    /// The outcome stays unknown; the commit may still be on its way.
    pub fn lose_outcome(&mut self, at: usize) {
        let engine = &mut self.engines[at];
        let Some(under_way) = engine.under_way.take() else { return };
        engine.is_slow = false;
        let is_current = engine.epoch() == Some(under_way.epoch);
        if under_way.outcome.is_none()
            && let Some(commit) = commit_of(&under_way)
        {
            self.store.swamp.push((Some(at as u8), commit));
        }
        if is_current {
            self.forget(at);
        }
    }

    /// The process is gone, and with it all it knew.
    pub fn crash(&mut self, at: usize) {
        let engine = std::mem::replace(&mut self.engines[at], Engine::down(0));
        self.engines[at].wall = engine.wall;
        for (writer, _) in &mut self.store.swamp {
            writer.take_if(|writer| *writer == at as u8);
        }
        if let Some(under_way) = engine.under_way.filter(|under_way| under_way.outcome.is_none())
            && let Some(commit) = commit_of(&under_way)
        {
            self.store.swamp.push((None, commit));
        }
    }

    /// An answer of that engine reaches whoever asked.
    fn tell(&mut self, cluster: &Cluster, at: usize, reply: Option<(u8, Answer)>) {
        // It believes that it owns the shard, and so do the others, or did a moment ago.
        let is_replaced = self.engines[at].serves() && self.engines[at].epoch() != Some(self.store.epoch);
        self.answer(cluster, reply, if is_replaced { Breach::AnsweredByReplaced } else { Breach::AnswerDiffers });
    }

    /// It goes on, and says what it was about to say.
    pub fn resume(&mut self, cluster: &Cluster, at: usize) {
        let engine = &mut self.engines[at];
        engine.is_paused = false;
        if engine.under_way.is_none()
            && let Some(step) = engine.waiting.take()
        {
            self.answer(cluster, step.reply, Breach::AnsweredLate);
        }
    }

    /// Later answers find nobody. What it is called when an answer is not that of what was applied depends on who gives it.
    fn answer(&mut self, cluster: &Cluster, reply: Option<(u8, Answer)>, differs: Breach) {
        let Some((request, answer)) = reply else { return };
        let request = usize::from(request);
        if self.requests[request].told.is_some() {
            return;
        }
        self.requests[request].told = Some(answer);
        if self.witness.is_applied_otherwise(request, answer) {
            return self.witness.note(differs);
        }
        self.witness.hear(cluster, &self.requests, request, answer);
    }

    fn note(&mut self, cluster: &Cluster, commit: &Commit) {
        if commit.epoch < self.store.epoch {
            self.witness.note(Breach::OldEpochWrites);
        }
        let (entry, talk) = (&commit.entry, &self.store.talk);
        match entry.body {
            Body::Claimed { agent, claim } => self.witness.claimed(claim, agent),
            Body::GivenBack { named } if named != talk.claim => self.witness.note(Breach::OldNumberCounts),
            Body::GivenBack { .. } => self.witness.released(talk.claim),
            Body::Released => {
                self.witness.released(talk.claim);
                if talk.agent_active.is_early(entry.at, RELEASE_AFTER) {
                    self.witness.note(Breach::TimerEarly);
                }
            }
            Body::Said => {}
            Body::Closed => {
                if talk.customer_active.is_early(entry.at, CLOSE_AFTER) {
                    self.witness.note(Breach::TimerEarly);
                }
                self.witness.closed(&self.requests, entry.at);
            }
        }
        // A body that answers a request is that request's, remembered or not.
        if let Some(request) = self.request_of(cluster, entry) {
            let answer = match entry.body {
                Body::Claimed { claim, .. } => Answer::Claimed(claim),
                Body::GivenBack { .. } | Body::Released | Body::Said | Body::Closed => Answer::Done,
            };
            self.witness.applied(request, answer, entry);
        }
    }

    fn request_of(&self, cluster: &Cluster, entry: &Entry) -> Option<usize> {
        if let Some((request, _)) = entry.request {
            return Some(usize::from(request));
        }
        cluster.wishes.iter().position(|wish| match (wish, entry.body) {
            (Wish::Claim(by), Body::Claimed { agent, .. }) => *by == agent,
            (Wish::Say, Body::Said) => true,
            (Wish::Release(..), Body::GivenBack { .. }) => true,
            _ => false,
        })
    }
}

/// What is sent to the store.
#[must_use]
pub fn commit_of(under_way: &UnderWay) -> Option<Commit> {
    let entry = under_way.step.entry?;
    Some(Commit { epoch: under_way.epoch, expected: under_way.expected, entry })
}
