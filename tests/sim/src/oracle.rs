//! What may be seen: everything that any client sends and is told passes through here, and is held against everything else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::timeline::Micros;

/// A promise of `GUARANTEES`, as the checks name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// G1: what was acknowledged is stored.
    Durable,
    /// G2: a request with a key is applied once, and a repeat gets the first answer.
    Once,
    /// G3: every session sees what it may see exactly once, in order, without a hole.
    InOrder,
    /// G3: all sessions are told the same.
    Same,
    /// G4: `resumed: true` means complete.
    Resumed,
    /// G5: nothing is written under an old epoch.
    Fenced,
    /// G6: never two holders of a claim.
    OneHolder,
    /// G7: no timer fires early.
    NotEarly,
    /// G7: no timer fires late, or never.
    NotLate,
    /// G8: no close in the window after a customer's message.
    NotClosedInWindow,
    /// G9: a conversation is in the list of its state and queue, and in no other.
    Listed,
    /// G10: nobody is shown connected who is not, nor the other way.
    Presence,
    /// G11: nothing of one organisation reaches another.
    Isolated,
    /// G13, G15: once faults are over everybody is served.
    Served,
    /// G17: nothing panics.
    NoPanic,
}

impl Promise {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Durable,
        Self::Once,
        Self::InOrder,
        Self::Same,
        Self::Resumed,
        Self::Fenced,
        Self::OneHolder,
        Self::NotEarly,
        Self::NotLate,
        Self::NotClosedInWindow,
        Self::Listed,
        Self::Presence,
        Self::Isolated,
        Self::Served,
        Self::NoPanic,
    ];
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// When.
    pub at: Micros,
    /// How.
    pub detail: String,
}

/// A text that somebody wrote. Each is written once in a run.
#[derive(Clone, Debug)]
pub struct Said {
    /// Where.
    pub conversation: String,
    /// By which client.
    pub client: usize,
    /// When it was first sent.
    pub sent: Micros,
    /// When it was first acknowledged, and as which event.
    pub acknowledged: Option<(Micros, u64)>,
}

/// A conversation as everybody together has seen it.
#[derive(Clone, Debug, Default)]
pub struct Talk {
    /// Of which organisation.
    pub organisation: usize,
    /// Of which client.
    pub customer: usize,
    /// When it came to be known.
    pub began: Micros,
    /// What is known of its events.
    pub events: BTreeMap<u64, (Micros, Value)>,
}

/// Everything that is known.
#[derive(Default)]
pub struct Oracle {
    /// The moment.
    pub now: Micros,
    /// What was broken.
    pub violations: Vec<Violation>,
    /// Conversations, by id.
    pub talks: BTreeMap<String, Talk>,
    /// Texts.
    pub said: BTreeMap<String, Said>,
    /// First answers to requests with a key.
    answers: BTreeMap<String, (Micros, Value)>,
    /// Claims that were confirmed: of which conversation, under which number; when, to whom.
    pub claims: BTreeMap<(String, u64), (Micros, String)>,
    /// Confirmed ends of claims and conversations: when, of which, as which event, of which type.
    pub ends: Vec<(Micros, String, u64, &'static str)>,
    /// When something that was confirmed was lost last. What was under way then may be carried out before its engine learns of the loss,
    /// and again when it is repeated.
    pub lost_at: Micros,
    /// Logs that have lost what was confirmed last.
    pub lost_logs: BTreeSet<String>,
    /// How much was looked at.
    pub counts: Counts,
}

/// How much was looked at: a run that saw nothing shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Events that clients were told.
    pub events: u64,
    /// Messages acknowledged.
    pub messages: u64,
    /// Claims confirmed.
    pub claims: u64,
    /// Sessions that came back completely.
    pub resumed: u64,
    /// Sessions that were told of a gap.
    pub gaps: u64,
    /// Requests sent again under their key.
    pub repeated: u64,
    /// Repeats that were held against the first answer.
    pub compared: u64,
    /// Claims and conversations that timers ended.
    pub timers: u64,
    /// Foreign ids that were tried.
    pub foreign: u64,
    /// Losses of what was confirmed.
    pub losses: u64,
}

impl Counts {
    /// Together with those of another run.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.messages += other.messages;
        self.claims += other.claims;
        self.resumed += other.resumed;
        self.gaps += other.gaps;
        self.repeated += other.repeated;
        self.compared += other.compared;
        self.timers += other.timers;
        self.foreign += other.foreign;
        self.losses += other.losses;
    }
}

impl Oracle {
    /// Something is not as it was promised.
    pub fn broken(&mut self, promise: Promise, detail: String) {
        if self.violations.len() < 20 {
            self.violations.push(Violation { promise, at: self.now, detail });
        }
    }

    /// The server has lost what it confirmed since then, and these logs are over: nobody may go on with what it was told of them.
    pub fn lost(&mut self, since: Micros, logs: BTreeSet<String>) {
        self.counts.losses += 1;
        self.lost_at = self.now;
        self.lost_logs.extend(logs);
        self.talks.retain(|_, talk| talk.began < since);
        for talk in self.talks.values_mut() {
            talk.events.retain(|_, (seen, _)| *seen < since);
        }
        for said in self.said.values_mut() {
            said.acknowledged = said.acknowledged.filter(|(at, _)| *at < since);
            if !self.talks.contains_key(&said.conversation) {
                // What began it may be carried out again, as another one.
                said.conversation.clear();
            }
        }
        self.answers.retain(|_, (at, _)| *at < since);
        self.claims.retain(|_, (at, _)| *at < since);
        self.ends.retain(|(at, ..)| *at < since);
    }

    /// A client begins to say something.
    pub fn says(&mut self, text: &str, conversation: &str, client: usize) {
        let said = Said { conversation: conversation.into(), client, sent: self.now, acknowledged: None };
        self.said.insert(text.into(), said);
    }

    /// It was acknowledged.
    pub fn acknowledged(&mut self, text: &str, seq: u64) {
        let now = self.now;
        let Some(said) = self.said.get_mut(text) else { return };
        match said.acknowledged {
            None => {
                said.acknowledged = Some((now, seq));
                self.counts.messages += 1;
            }
            Some((_, first)) if first != seq => {
                self.broken(Promise::Once, format!("{text} was acknowledged as {first}, then as {seq}"));
            }
            Some(_) => {}
        }
    }

    /// A request with a key was answered.
    pub fn answered(&mut self, key: &str, answer: &Value) {
        let mut answer = answer.clone();
        if let Some(members) = answer.as_object_mut() {
            // Where nothing had to be changed, the answer says how things are at the moment.
            members.remove("release_at");
        }
        match self.answers.get(key) {
            None => drop(self.answers.insert(key.into(), (self.now, answer))),
            Some((_, first)) => {
                self.counts.compared += 1;
                if *first != answer {
                    let detail = format!("{key} was answered {first}, then {answer}");
                    self.broken(Promise::Once, detail);
                }
            }
        }
    }

    /// A request with a key was refused: then it was not carried out before.
    pub fn refused(&mut self, key: &str, reason: &str) {
        if self.answers.contains_key(key) {
            self.counts.compared += 1;
            self.broken(Promise::Once, format!("{key} was answered, and refused as {reason} when it came again"));
        }
    }

    /// An agent was told that they hold a conversation.
    pub fn claimed(&mut self, conversation: &str, claim: u64, agent: &str) {
        self.counts.claims += 1;
        let of = (conversation.to_owned(), claim);
        match self.claims.get(&of) {
            Some((_, other)) if other != agent => {
                let detail = format!("claim {claim} of {conversation} was confirmed to {other} and to {agent}");
                self.broken(Promise::OneHolder, detail);
            }
            Some(_) => {}
            None => drop(self.claims.insert(of, (self.now, agent.to_owned()))),
        }
    }

    /// Somebody of that organisation was told an event.
    pub fn saw(&mut self, organisation: usize, conversation: &str, event: &Value) {
        self.counts.events += 1;
        let Some(seq) = event["seq"].as_u64() else {
            return self.broken(Promise::Same, format!("an event without a number: {event}"));
        };
        let now = self.now;
        let talk = self.talks.entry(conversation.into()).or_insert_with(|| Talk {
            organisation,
            customer: usize::MAX,
            began: now,
            ..Talk::default()
        });
        if talk.organisation != organisation {
            let detail = format!("an event of {conversation} reached another organisation");
            return self.broken(Promise::Isolated, detail);
        }
        let known = comparable(event);
        match talk.events.get(&seq) {
            None => drop(talk.events.insert(seq, (now, known))),
            Some((_, first)) if *first != known => {
                let detail = format!("{conversation}: {seq} was {first}, then {known}");
                self.broken(Promise::Same, detail);
            }
            Some(_) => {}
        }
    }
}

/// What of an event is the same for everybody, at any time.
fn comparable(event: &Value) -> Value {
    let mut event = event.clone();
    if let Some(members) = event.as_object_mut() {
        for own in ["prev", "close_at", "release_at", "conversation"] {
            members.remove(own);
        }
        // Places and estimates are those of the moment.
        if let Some(body) = members.get_mut("body").and_then(Value::as_object_mut) {
            body.remove("position");
            body.remove("wait_ms");
            // Only agents are told all of these.
            body.remove("metadata");
            body.remove("priority");
        }
    }
    event
}
