//! What happens when an adapter has understood something.

use super::generator::{Due, Generator, Stage};
use super::ledger::{Finding, Taken, Viewer};
use crate::measure::Metric;
use crate::target::{About, Reason, Side, Tag, Target, Told, Who, Wrong};

/// How long to wait before asking again what the server could not tell or do, milliseconds.
const AGAIN_MS: f64 = 200.0;

impl<T: Target> Generator<T> {
    /// The index of a conversation of this process.
    pub fn index_of(&self, number: u32) -> Option<u32> {
        let index = number.checked_sub(self.plan.worker << super::phases::WORKER_SHIFT)?;
        ((index as usize) < self.conversations.len()).then_some(index)
    }

    /// The number of a conversation in the whole run.
    pub fn number_of(&self, index: u32) -> u32 {
        (self.plan.worker << super::phases::WORKER_SHIFT) + index
    }

    /// The index of the user who is that agent.
    pub fn agent_user(&self, agent: u32) -> Option<u32> {
        agent.checked_sub(self.plan.agents.0).filter(|index| *index < self.plan.agents.1)
    }

    pub fn told(&mut self, user: u32, told: Told, now: u64) {
        let of = |number: u32| self.index_of(number);
        match told {
            Told::Ready { complete } => self.signed_in(user, complete, now),
            Told::Joined { conversation } => self.joined(user, of(conversation)),
            Told::Begun { conversation } => self.begun(of(conversation), now),
            Told::Claimed { conversation } => self.claimed(of(conversation), now),
            Told::Picked { conversation, agent } => self.picked(of(conversation), agent, now),
            Told::NothingWaits => self.nothing_waits(user, now),
            Told::Held { conversation, agent } => self.held(of(conversation), agent, now),
            Told::Acknowledged { conversation, number } => self.acknowledged(user, of(conversation), number, now),
            Told::Delivered { tag, intact } => {
                if !intact {
                    self.altered(user, tag);
                }
                self.delivered(user, tag, now);
            }
            Told::Typing { .. } => self.recorder.now().numbers.typing_shown += 1,
            Told::Ended { conversation } => self.ended(user, of(conversation), now),
            Told::Refused { about, reason } => self.refused(user, about, reason, now),
            Told::Wrong(wrong) => self.wrong(user, wrong),
        }
    }

    fn acknowledged(&mut self, user: u32, index: Option<u32>, number: u32, now: u64) {
        let Some(index) = index else {
            self.recorder.wrong.foreign += 1;
            return self.recorder.case(|| format!("message {number} of no conversation of this run: acknowledged"));
        };
        let side = self.side_of(user);
        let conversation = &mut self.conversations[index as usize];
        let slow = conversation.slow;
        let found = conversation.ledger.acknowledged(side, number, now);
        match found {
            Finding::First(taken) => {
                self.recorder.at(taken.phase).numbers.acknowledged += 1;
                self.recorder.interval.acknowledged += 1;
                if !slow {
                    self.recorder.interval.acknowledged_times.record_ns(taken.corrected_ns);
                    self.recorder.time(Metric::Acknowledged, taken.phase, taken.corrected_ns);
                    self.recorder.time(Metric::AcknowledgedService, taken.phase, taken.service_ns);
                }
            }
            Finding::AcknowledgedTwice => self.recorder.wrong.acknowledged_twice += 1,
            _ => self.recorder.wrong.foreign += 1,
        }
        if !matches!(found, Finding::First(_)) {
            self.recorder.case(|| format!("message {number} of {side:?} in conversation {index}: acknowledged: {found:?}"));
        }
    }

    pub fn side_of(&self, user: u32) -> Side {
        match self.users[user as usize].who {
            Who::Customer(_) => Side::Customer,
            Who::Agent(_) => Side::Agent,
        }
    }

    /// The mark is that of a message, and the text another one.
    fn altered(&mut self, user: u32, tag: Tag) {
        self.recorder.wrong.altered += 1;
        let who = self.users[user as usize].who;
        let Tag { conversation, number, side, .. } = tag;
        self.recorder
            .case(|| format!("message {number} of {side:?} in conversation {conversation} shown to {who:?}: another text"));
    }

    /// Somebody was shown a text with a mark.
    fn delivered(&mut self, user: u32, tag: Tag, now: u64) {
        let index = if tag.run == self.plan.run { self.index_of(tag.conversation) } else { None };
        let found = match (index, self.viewer(user, index)) {
            (Some(_), Some(Viewer::Holder)) if tag.side == Side::Note => return,
            (Some(index), Some(viewer)) if tag.side != Side::Note => {
                self.conversations[index as usize].ledger.shown(viewer, tag, now, !self.reach.agents)
            }
            // Who had it before may be told what happened before it was given away.
            (Some(index), None) if self.conversations[index as usize].handed_over => return,
            _ => Finding::Foreign,
        };
        match found {
            Finding::First(taken) => self.delivered_first(index, taken, now),
            Finding::Known => {}
            Finding::Repeated => self.recorder.wrong.repeated += 1,
            Finding::Disorder(taken) => {
                self.recorder.wrong.disorder += 1;
                self.delivered_first(index, taken, now);
            }
            Finding::ShownThoughRefused => self.recorder.wrong.shown_though_refused += 1,
            Finding::Foreign | Finding::AcknowledgedTwice => self.recorder.wrong.foreign += 1,
        }
        if !matches!(found, Finding::First(_) | Finding::Known) {
            let who = self.users[user as usize].who;
            self.recorder.case(|| {
                format!(
                    "message {} of {:?} in conversation {} shown to {who:?}: {found:?}",
                    tag.number, tag.side, tag.conversation
                )
            });
        }
    }

    /// As whom this user is shown that conversation; none if it is not theirs.
    fn viewer(&self, user: u32, index: Option<u32>) -> Option<Viewer> {
        let conversation = &self.conversations[index? as usize];
        if conversation.customer == user {
            Some(Viewer::Customer)
        } else if conversation.agent == Some(user) {
            Some(Viewer::Holder)
        } else {
            None
        }
    }

    fn delivered_first(&mut self, index: Option<u32>, taken: Taken, now: u64) {
        self.recorder.at(taken.phase).numbers.delivered += 1;
        self.recorder.interval.delivered += 1;
        let Some(index) = index else { return };
        if !self.conversations[index as usize].slow {
            self.recorder.interval.delivered_times.record_ns(taken.corrected_ns);
            self.recorder.time(Metric::Delivered, taken.phase, taken.corrected_ns);
            self.recorder.time(Metric::DeliveredService, taken.phase, taken.service_ns);
        }
        self.answer_it(index, now);
    }

    fn refused(&mut self, user: u32, about: About, reason: Reason, now: u64) {
        match about {
            About::Send { conversation, number } => {
                let side = self.side_of(user);
                let Some(index) = self.index_of(conversation) else { return };
                if reason == Reason::Unavailable && self.reach.repeats {
                    // Nobody knows whether it was done, so it is asked again under the same key.
                    self.later_ms(now, AGAIN_MS, Due::Again(index, side == Side::Agent));
                } else if self.conversations[index as usize].ledger.refused(side, number) {
                    *self.recorder.now().refused.entry(reason).or_default() += 1;
                    self.recorder.interval.refused += 1;
                    self.answer_it(index, now);
                }
                return;
            }
            About::SignIn => {
                let waits = matches!(reason, Reason::RateLimited | Reason::Busy | Reason::Unavailable);
                self.progress.locked_out |= !waits;
                return self.sign_in_refused(user, format!("sign-in refused: {reason:?}"));
            }
            About::Begin(conversation) => {
                if let Some(index) = self.index_of(conversation) {
                    self.later_ms(now, AGAIN_MS, Due::Begin(index));
                }
            }
            About::Pick => self.pick_refused(user, now),
            About::HandOver(conversation) => {
                if let Some(index) = self.index_of(conversation) {
                    self.hand_over_refused(index, now);
                }
            }
            About::End(conversation) => {
                if let Some(index) = self.index_of(conversation)
                    && self.conversations[index as usize].stage != Stage::Ended
                    && reason != Reason::Lost
                {
                    self.later_ms(now, AGAIN_MS, Due::End(index));
                }
            }
            About::Join(_) | About::Other => {}
        }
        *self.recorder.now().refused_requests.entry(reason).or_default() += 1;
    }

    fn wrong(&mut self, user: u32, wrong: Wrong) {
        match wrong {
            Wrong::Repeated => self.recorder.wrong.events_repeated += 1,
            Wrong::Hole => self.recorder.wrong.events_missing += 1,
            Wrong::Foreign => self.recorder.wrong.events_foreign += 1,
        }
        let who = self.users[user as usize].who;
        self.recorder.case(|| format!("an event shown to {who:?}: {wrong:?} by the server's own numbers"));
    }
}
