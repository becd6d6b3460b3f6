//! A witness who sees true time and every store at once, and notes what was promised and not kept.

use crate::rules::Cluster;
use crate::system::Request;
use crate::talk::{Answer, Body, Entry, REQUESTS_MAX, Wish};
use crate::times::{CLOSE_AFTER, Moment, SERVED_WITHIN};

/// Claims that are told apart; more are outside of what is looked at.
pub const CLAIMS_MAX: usize = 6;

/// A promise that was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// G1, G2: an answer rests on nothing that is stored.
    AnswerNotStored,
    /// G2: one request changed something twice.
    AppliedTwice,
    /// G2: a request was applied, and its answer says otherwise.
    AnswerDiffers,
    /// G2, not promised: as before, but the answer changed nothing, and whoever gave it stood still between deciding and saying so.
    AnsweredLate,
    /// G2, not promised: as before, but whoever gave it has just been replaced, and does not know yet.
    AnsweredByReplaced,
    /// G5: a write under an epoch that is not the last.
    OldEpochWrites,
    /// G6: two agents were told the same claim.
    TwoHolders,
    /// G6: who names an earlier claim has moved a later one.
    OldNumberCounts,
    /// An engine was taken for dead while it could still serve.
    DeadServes,
    /// G7: a claim ended twice.
    ReleasedTwice,
    /// G7: a timer fired before its time.
    TimerEarly,
    /// G7: a shard was served, and what was due did not fire.
    TimerSilent,
    /// G8: closed within the window of a message that was acknowledged.
    ClosedEarly,
    /// G13: nobody has served the shard for too long.
    Unserved,
}

/// What was noted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Witness {
    breaches: u16,
    /// By number of the claim: who made it, in the log.
    claimants: [Option<u8>; CLAIMS_MAX],
    /// Claims that ended otherwise than with the conversation.
    released: u8,
    /// By request: what is stored.
    applied: [Option<Answer>; REQUESTS_MAX],
    /// By request: when the customer's message was taken.
    said: [Option<Moment>; REQUESTS_MAX],
    /// Ticks since the shard was served last, or since the last fault.
    pub unserved: u8,
}

impl Witness {
    /// Not kept.
    pub fn note(&mut self, breach: Breach) {
        self.breaches |= 1 << breach as u16;
    }

    /// Was it kept?
    #[must_use]
    pub fn has_seen(&self, breach: Breach) -> bool {
        self.breaches & (1 << breach as u16) != 0
    }

    /// A claim is stored.
    pub fn claimed(&mut self, claim: u8, agent: u8) {
        if let Some(claimant) = self.claimants.get_mut(usize::from(claim)) {
            *claimant = Some(agent);
        }
    }

    /// The end of a claim is stored.
    pub fn released(&mut self, claim: u8) {
        if self.released & (1 << claim) != 0 {
            self.note(Breach::ReleasedTwice);
        }
        self.released |= 1 << claim;
    }

    /// What a request wanted is stored.
    pub fn applied(&mut self, request: usize, answer: Answer, entry: &Entry) {
        if self.applied[request].replace(answer).is_some() {
            self.note(Breach::AppliedTwice);
        }
        if entry.body == Body::Said {
            self.said[request] = Some(entry.at);
        }
    }

    /// It is stored, with another answer.
    #[must_use]
    pub fn is_applied_otherwise(&self, request: usize, answer: Answer) -> bool {
        self.applied[request].is_some_and(|applied| applied != answer)
    }

    /// Somebody is told something.
    pub fn hear(&mut self, cluster: &Cluster, requests: &[Request], request: usize, answer: Answer) {
        if answer == Answer::Done && self.applied[request].is_none() {
            self.note(Breach::AnswerNotStored);
        }
        let (Answer::Claimed(claim), Some(Wish::Claim(agent))) = (answer, cluster.wishes.get(request)) else { return };
        if self.claimants.get(usize::from(claim)).copied().flatten() != Some(*agent) {
            self.note(Breach::AnswerNotStored);
        }
        let others = cluster.wishes.iter().zip(requests).filter(|(wish, _)| matches!(wish, Wish::Claim(by) if by != agent));
        if others.into_iter().any(|(_, other)| other.told == Some(answer)) {
            self.note(Breach::TwoHolders);
        }
    }

    /// The timer's end of the conversation is stored.
    pub fn closed(&mut self, requests: &[Request], at: Moment) {
        let acknowledged = requests.iter().zip(self.said).filter(|(request, _)| request.told == Some(Answer::Done));
        if acknowledged.filter_map(|(_, said)| said).any(|said| said.is_early(at, CLOSE_AFTER)) {
            self.note(Breach::ClosedEarly);
        }
        // Nothing more depends on it.
        self.said = [None; REQUESTS_MAX];
    }

    /// A tick has passed.
    pub fn age(&mut self, is_served: bool) {
        self.said.iter_mut().flatten().for_each(Moment::age);
        self.unserved = if is_served { 0 } else { self.unserved + 1 };
        if self.unserved > SERVED_WITHIN {
            self.note(Breach::Unserved);
        }
    }
}
