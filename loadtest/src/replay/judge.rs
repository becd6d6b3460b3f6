//! The judge: compares what was done with the log, and the log with what every session was shown. Pure.
//!
//! Three accounts of one conversation exist: what the players did and were acknowledged (`done`), the
//! log as it is read afterwards by either side (`history`), and the views recorded while it went on.
//! They must agree, event by event.

use std::fmt;

use serde_json::{Value, json};

use super::view::{Item, View};
use crate::client::{AuthorKind, Event};

/// Differences of one conversation that are kept: the first ones tell what happened.
const DIFFERENCES_PER_CONVERSATION_MAX: usize = 8;
/// What customers do not see.
const HIDDEN: [&str; 5] = ["note", "tagged", "untagged", "prioritised", "metadata"];
/// What players do one after the other; of claims and places in queues only the order among themselves is known.
const ORDERED: [&str; 9] = ["message", "note", "tagged", "untagged", "metadata", "released", "assigned", "closed", "rated"];

/// Something that is not as it was promised.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The conversation's name in the corpus; empty if it concerns none.
    pub script: String,
    /// Its id on the server.
    pub conversation: String,
    /// Whose view: `customer`, `agent session 3 (name)`, `history of ...`.
    pub view: String,
    /// Which check.
    pub check: &'static str,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub got: String,
}

impl Difference {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "script": self.script, "conversation": self.conversation, "view": self.view,
            "check": self.check, "expected": self.expected, "got": self.got,
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} [{}] {}", self.script, self.conversation, self.view, self.check)?;
        writeln!(f, "    expected {}", self.expected)?;
        write!(f, "    got      {}", self.got)
    }
}

/// Something that a player did and the server acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deed {
    pub kind: &'static str,
    /// Account or customer.
    pub by: String,
    /// Of messages and notes.
    pub text: Option<String>,
    /// As it was acknowledged; the first message has none of its own.
    pub seq: Option<u64>,
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.kind, self.by)?;
        if let Some(text) = &self.text {
            write!(f, " {text:?}")?;
        }
        self.seq.map_or(Ok(()), |seq| write!(f, " as {seq}"))
    }
}

/// One recorded view.
pub(crate) struct Witness {
    pub name: String,
    pub for_customer: bool,
    pub view: View,
}

/// Everything that is known about one conversation.
pub(crate) struct Evidence<'a> {
    pub script: &'a str,
    pub conversation: &'a str,
    /// In order.
    pub done: &'a [Deed],
    /// Accounts that took it by picking or claiming, in order.
    pub takes: &'a [String],
    pub history_customer: &'a [Event],
    pub history_agent: &'a [Event],
    pub witnesses: &'a [Witness],
}

/// The differences, the first ones of them; none if all is well.
pub(crate) fn judge(evidence: &Evidence<'_>) -> Vec<Difference> {
    let mut bench = Bench { evidence, found: Vec::new() };
    bench.history_agent();
    bench.deeds();
    bench.takes();
    bench.history_customer();
    for witness in evidence.witnesses {
        bench.witness(witness);
    }
    bench.found
}

struct Bench<'a> {
    evidence: &'a Evidence<'a>,
    found: Vec<Difference>,
}

impl Bench<'_> {
    fn find(&mut self, view: &str, check: &'static str, expected: impl Into<String>, got: impl Into<String>) {
        if self.found.len() < DIFFERENCES_PER_CONVERSATION_MAX {
            self.found.push(Difference {
                script: self.evidence.script.to_owned(),
                conversation: self.evidence.conversation.to_owned(),
                view: view.to_owned(),
                check,
                expected: expected.into(),
                got: got.into(),
            });
        }
    }

    /// The log has no hole: for agents, who see everything, numbers count up from one.
    fn history_agent(&mut self) {
        for (event, expected) in self.evidence.history_agent.iter().zip(1..) {
            if (event.seq, event.prev) != (expected, expected - 1) {
                let (expected, got) = (link(expected, expected - 1), link(event.seq, event.prev));
                return self.find("history of an agent", "numbers", expected, got);
            }
        }
    }

    /// What was done is in the log, each once, in order, as it was acknowledged; and nothing else is.
    fn deeds(&mut self) {
        let logged: Vec<&Event> = self.evidence.history_agent.iter().filter(|event| counts(event)).collect();
        let done = self.evidence.done;
        for index in 0..done.len().max(logged.len()) {
            let agrees = match (done.get(index), logged.get(index)) {
                (Some(deed), Some(event)) => {
                    deed.kind == event.kind
                        && deed.by == event.by.id
                        && deed.text.as_deref() == deed.text.as_ref().and(event.text())
                        && deed.seq.is_none_or(|seq| seq == event.seq)
                }
                _ => false,
            };
            if !agrees {
                let expected = done.get(index).map_or("nothing more".to_owned(), Deed::to_string);
                let got = logged.get(index).map_or("nothing more".to_owned(), |event| told(event));
                // What follows is shifted: it says nothing new.
                return self.find("history of an agent", "done", expected, got);
            }
        }
    }

    fn takes(&mut self) {
        let logged = self.evidence.history_agent.iter().filter(|event| event.kind == "claimed");
        let logged: Vec<&str> = logged.map(|event| event.by.id.as_str()).collect();
        let takes: Vec<&str> = self.evidence.takes.iter().map(String::as_str).collect();
        if logged != takes {
            self.find("history of an agent", "claims", takes.join(", "), logged.join(", "));
        }
    }

    /// Both audiences are told the same, except for what is hidden from customers.
    fn history_customer(&mut self) {
        let name = "history of the customer";
        let visible = self.evidence.history_agent.iter().filter(|event| !is_hidden(event));
        let mut visible: std::iter::Peekable<_> = visible.peekable();
        let mut last = 0;
        for event in self.evidence.history_customer {
            if self.hidden(name, event) {
                continue;
            }
            let same = visible.next().is_some_and(|other| {
                (other.seq, other.at, &other.kind, &other.by, other.text())
                    == (event.seq, event.at, &event.kind, &event.by, event.text())
            });
            if !same {
                return self.find(name, "history", "what an agent's history says", told(event));
            }
            if event.prev != last {
                return self.find(name, "numbers", link(event.seq, last), link(event.seq, event.prev));
            }
            last = event.seq;
        }
        if let Some(missing) = visible.next() {
            self.find(name, "history", told(missing), "nothing more");
        }
    }

    /// Did the customer see what is not meant for customers?
    fn hidden(&mut self, view: &str, event: &Event) -> bool {
        let metadata = event.kind == "started" && event.body.get("metadata").is_some();
        let hidden = is_hidden(event) || metadata;
        if hidden {
            self.find(view, "visibility", "what customers may see", told(event));
        }
        hidden
    }

    fn witness(&mut self, witness: &Witness) {
        let evidence = self.evidence;
        let history = if witness.for_customer { evidence.history_customer } else { evidence.history_agent };
        // Where the view stands: everything up to here was shown.
        let mut last = 0;
        let mut joined = false;
        for item in &witness.view.items {
            match item {
                Item::Joined { from_seq, since } => {
                    self.joining(witness, (last, joined), *from_seq, *since);
                    joined = true;
                    // Nothing was to be shown before it, or it was shown, or it is filled from the history next.
                    if *from_seq < last {
                        last = *from_seq;
                    }
                }
                Item::Left => {}
                Item::Filled(events) => {
                    for event in events {
                        self.shown(witness, history, &mut last, event);
                    }
                }
                Item::Shown(event) => {
                    if !joined {
                        self.find(&witness.name, "followed", "to be told that it follows first", told(event));
                        joined = true;
                    }
                    self.shown(witness, history, &mut last, event);
                }
            }
        }
        if witness.view.following
            && let Some(missing) = history.iter().find(|event| event.seq > last)
        {
            self.find(&witness.name, "missing", told(missing), format!("nothing after {last}"));
        }
    }

    fn joining(&mut self, witness: &Witness, (last, joined): (u64, bool), from_seq: u64, since: Option<u64>) {
        if let Some(since) = since
            && from_seq < since
        {
            let got = format!("events after {from_seq} again");
            self.find(&witness.name, "resumed", format!("events after {since}"), got);
        } else if since.is_none() && joined && from_seq < last && witness.view.items.iter().all(|item| *item != Item::Left) {
            let got = format!("followed anew from {from_seq}");
            self.find(&witness.name, "followed", format!("to follow on after {last}"), got);
        }
    }

    fn shown(&mut self, witness: &Witness, history: &[Event], last: &mut u64, event: &Event) {
        if witness.for_customer && self.hidden(&witness.name, event) {
            *last = (*last).max(event.seq);
            return;
        }
        if event.seq <= *last {
            let again = history.iter().any(|other| other.seq == event.seq && same(other, event));
            let check = if again { "twice" } else { "order" };
            return self.find(&witness.name, check, format!("an event after {last}"), told(event));
        }
        if event.prev != *last {
            let between = history.iter().find(|other| other.seq > *last && other.seq < event.seq);
            let expected = between.map_or_else(|| link(event.seq, *last), told);
            self.find(&witness.name, "hole", expected, format!("{} after {last}", told(event)));
        }
        *last = event.seq;
        match history.iter().find(|other| other.seq == event.seq) {
            Some(other) if same(other, event) => {}
            Some(other) => self.find(&witness.name, "content", told(other), told(event)),
            None => self.find(&witness.name, "history", "an event that the history has too", told(event)),
        }
    }
}

fn is_hidden(event: &Event) -> bool {
    HIDDEN.contains(&event.kind.as_str())
}

/// Whether a player did it, and in an order that is known.
fn counts(event: &Event) -> bool {
    ORDERED.contains(&event.kind.as_str()) && event.by.kind != AuthorKind::System
}

/// Equal, byte for byte where there is text; the conversation's id may be left out where it is known.
fn same(one: &Event, other: &Event) -> bool {
    (one.seq, one.prev, one.at, &one.by, &one.kind, &one.body)
        == (other.seq, other.prev, other.at, &other.by, &other.kind, &other.body)
}

fn link(seq: u64, prev: u64) -> String {
    format!("{seq} after {prev}")
}

fn told(event: &Event) -> String {
    format!("{} (prev {}) {} by {} at {} {}", event.seq, event.prev, event.kind, event.by, event.at, event.body)
}

#[cfg(test)]
mod tests;
