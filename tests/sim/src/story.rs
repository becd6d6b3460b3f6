//! A conversation's whole log, held against the rules and against what clients were told.

use serde_json::Value;

use crate::oracle::{Oracle, Promise, Said};
use crate::plan::Rules;

/// What a log comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `waiting`, `active` or `closed`.
    pub state: &'static str,
    /// In which queue.
    pub queue: String,
    /// Who serves it.
    pub holder: Option<String>,
}

/// Reads a log as an operator sees it.
pub fn read(conversation: &str, events: &[Value], rules: &Rules, oracle: &mut Oracle) -> Option<Outcome> {
    let mut story = Story {
        conversation,
        rules,
        oracle,
        state: "",
        queue: String::new(),
        holder: None,
        claim: 0,
        holder_at: 0,
        customer_at: 0,
        last_at: 0,
        texts: Vec::new(),
        claims: Vec::new(),
    };
    for (place, event) in events.iter().enumerate() {
        story.take(place as u64 + 1, event);
    }
    story.held_against_acknowledgements();
    let Story { state, queue, holder, .. } = story;
    (!state.is_empty()).then_some(Outcome { state, queue, holder })
}

struct Story<'a> {
    conversation: &'a str,
    rules: &'a Rules,
    oracle: &'a mut Oracle,
    state: &'static str,
    queue: String,
    holder: Option<String>,
    claim: u64,
    /// When the holder last did something that is in the log.
    holder_at: u64,
    /// When the customer did.
    customer_at: u64,
    last_at: u64,
    texts: Vec<(String, u64)>,
    claims: Vec<(u64, String)>,
}

impl Story<'_> {
    fn broken(&mut self, promise: Promise, seq: u64, what: &str) {
        let detail = format!("{}: event {seq}: {what}", self.conversation);
        self.oracle.broken(promise, detail);
    }

    fn take(&mut self, place: u64, event: &Value) {
        let (seq, at) = (event["seq"].as_u64().unwrap_or(0), event["at"].as_u64().unwrap_or(0));
        if seq != place {
            return self.broken(Promise::InOrder, seq, "is not the next of the log");
        }
        if at + self.rules.skew_ms < self.last_at {
            self.broken(Promise::InOrder, seq, "happened before the event before it");
        }
        self.last_at = at;
        let kind = event["type"].as_str().unwrap_or_default();
        let body = &event["body"];
        if self.state == "closed"
            && !matches!(kind, "rated" | "note" | "tagged" | "untagged" | "metadata" | "blocked" | "unblocked")
        {
            return self.broken(Promise::InOrder, seq, "comes after the end");
        }
        match kind {
            "started" => (self.state, self.customer_at) = ("waiting", at),
            "queued" => self.queue = text(&body["queue"]),
            "claimed" | "assigned" => self.claimed(seq, at, kind, body),
            "released" => self.released(seq, at, body),
            "transferred" => {
                (self.state, self.queue, self.holder) = ("waiting", text(&body["to"]), None);
            }
            "message" => self.message(seq, at, event),
            "closed" => self.closed(seq, at, event),
            _ => {}
        }
    }

    fn claimed(&mut self, seq: u64, at: u64, kind: &str, body: &Value) {
        let claim = body["claim"].as_u64().unwrap_or(0);
        let agent = if kind == "claimed" { text(&body["agent"]["id"]) } else { text(&body["to"]["id"]) };
        if kind == "claimed" && self.holder.is_some() {
            self.broken(Promise::OneHolder, seq, "was claimed while somebody held it");
        }
        if claim <= self.claim {
            self.broken(Promise::OneHolder, seq, "has the number of an earlier claim");
        }
        match self.oracle.claims.get(&(self.conversation.to_owned(), claim)) {
            Some((_, told)) if *told != agent => self.broken(Promise::OneHolder, seq, "was confirmed to another agent"),
            _ => {}
        }
        self.claims.push((claim, agent.clone()));
        (self.state, self.holder, self.claim, self.holder_at) = ("active", Some(agent), claim, at);
    }

    fn released(&mut self, seq: u64, at: u64, body: &Value) {
        if self.holder.take().is_none() {
            self.broken(Promise::OneHolder, seq, "was released while nobody held it");
        }
        self.state = "waiting";
        if body["cause"] == "inactive" {
            self.oracle.counts.timers += 1;
            if at + self.rules.skew_ms < self.holder_at + self.rules.release_after_ms {
                self.broken(Promise::NotEarly, seq, "was released too early");
            }
        }
    }

    fn message(&mut self, seq: u64, at: u64, event: &Value) {
        let words = text(&event["body"]["text"]);
        if event["by"]["kind"] == "customer" {
            self.customer_at = at;
        } else {
            if self.holder.as_deref() != event["by"]["id"].as_str() {
                self.broken(Promise::OneHolder, seq, "was written by one who did not hold it");
            }
            self.holder_at = at;
        }
        if self.texts.iter().any(|(other, _)| *other == words) {
            self.broken(Promise::Once, seq, "was written before");
        }
        let lost_at = self.oracle.lost_at;
        let is_elsewhere =
            |said: &Said| said.conversation != self.conversation && !said.conversation.is_empty() && said.sent >= lost_at;
        if self.oracle.said.get(&words).is_none_or(is_elsewhere) {
            self.broken(Promise::Same, seq, "was never said there");
        }
        self.texts.push((words, seq));
    }

    fn closed(&mut self, seq: u64, at: u64, event: &Value) {
        (self.state, self.holder) = ("closed", None);
        if event["body"]["cause"] == "inactive" {
            self.oracle.counts.timers += 1;
            if at + self.rules.skew_ms < self.customer_at + self.rules.close_after_ms {
                self.broken(Promise::NotClosedInWindow, seq, "closed in the window after the customer's last word");
            }
        }
    }

    /// Everything that was confirmed is here, as it was confirmed.
    fn held_against_acknowledgements(&mut self) {
        let mut missing = Vec::new();
        for (words, said) in self.oracle.said.iter().filter(|(_, said)| said.conversation == self.conversation) {
            let Some((_, seq)) = said.acknowledged else { continue };
            match self.texts.iter().find(|(text, _)| text == words) {
                None => missing.push(format!("{words} was acknowledged as {seq} and is not there")),
                Some((_, stored)) if seq != 0 && *stored != seq => {
                    missing.push(format!("{words} was acknowledged as {seq} and is {stored}"));
                }
                Some(_) => {}
            }
        }
        for ((conversation, claim), (_, agent)) in &self.oracle.claims {
            if conversation == self.conversation && !self.claims.contains(&(*claim, agent.clone())) {
                missing.push(format!("claim {claim} was confirmed to {agent} and is not there"));
            }
        }
        // Who waits for an answer before saying more is heard in that order.
        let mut order = Vec::new();
        for (words, seq) in &self.texts {
            let Some(said) = self.oracle.said.get(words) else { continue };
            for (earlier, earlier_seq) in &self.texts {
                let Some(before) = self.oracle.said.get(earlier) else { continue };
                let is_before = before.client == said.client && before.acknowledged.is_some_and(|(at, _)| at < said.sent);
                if is_before && earlier_seq > seq {
                    order.push(format!("{words} was said after {earlier} was acknowledged, and stands before it"));
                }
            }
        }
        for detail in missing {
            self.oracle.broken(Promise::Durable, format!("{}: {detail}", self.conversation));
        }
        for detail in order {
            self.oracle.broken(Promise::InOrder, format!("{}: {detail}", self.conversation));
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
