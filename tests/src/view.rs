//! What one client has been told of a conversation, and the promise about it (G3): every event once, in
//! order, without a hole.

use std::collections::BTreeMap;

use serde_json::Value;

/// One conversation as one client knows it, over all its connections.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Every event, by its number.
    pub events: BTreeMap<u64, Value>,
    /// The number of the last one, or from which on the server tells.
    pub last: u64,
    /// Is the client being told?
    pub is_followed: bool,
    /// Where the server said that something is missing: the last one known, and from which on it tells.
    pub gaps: Vec<(u64, u64)>,
}

impl View {
    /// The server says from which on it tells.
    pub fn follow(&mut self, from_seq: u64) {
        if from_seq > self.last {
            self.gaps.push((self.last, from_seq));
        }
        self.last = from_seq;
        self.is_followed = true;
    }

    /// The server tells an event.
    ///
    /// # Panics
    /// When that breaks the promise.
    pub fn hear(&mut self, event: &Value) {
        let (seq, prev) = (event["seq"].as_u64().expect("a number"), event["prev"].as_u64().expect("a number"));
        assert!(self.is_followed, "told without following: {event}");
        assert!(seq > self.last, "told twice or late, after {}: {event}", self.last);
        let is_next = if self.last == 0 || self.events.contains_key(&self.last) { prev == self.last } else { prev <= self.last };
        assert!(is_next, "there is a hole after {}: {event}", self.last);
        let event = without_deadlines(event);
        if let Some(known) = self.events.get(&seq) {
            assert_eq!(*known, event, "told again, and differently");
        }
        self.events.insert(seq, event);
        self.last = seq;
    }

    /// The types of all events, in order.
    #[must_use]
    pub fn types(&self) -> Vec<&str> {
        self.events.values().filter_map(|event| event["type"].as_str()).collect()
    }

    /// The texts of all messages, in order.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        let messages = self.events.values().filter(|event| event["type"] == "message");
        messages.filter_map(|event| event["body"]["text"].as_str()).collect()
    }
}

/// Two clients were told the same, as far as both may see it.
///
/// # Panics
/// When they were not; the first difference is named.
pub fn assert_same(one: &View, other: &View) {
    let all = |view: &View| view.events.values().map(for_everybody).collect::<Vec<_>>();
    let (one, other) = (all(one), all(other));
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one, other, "told differently");
    }
    assert_eq!(one.len(), other.len(), "one was told more");
}

fn for_everybody(event: &Value) -> Value {
    let mut event = event.clone();
    if let Some(members) = event.as_object_mut() {
        members.remove("prev");
    }
    if let Some(body) = event["body"].as_object_mut() {
        body.remove("metadata");
    }
    event
}

/// The event as history tells it.
#[must_use]
pub fn without_deadlines(event: &Value) -> Value {
    let mut event = event.clone();
    if let Some(members) = event.as_object_mut() {
        members.remove("release_at");
        members.remove("close_at");
    }
    event
}
