//! What a client has been told: conversations, how far, and who holds them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Around, Ask, Client, Purpose, State};
use crate::oracle::{Promise, Talk};

/// A conversation, as a client knows it.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The last event.
    pub last: u64,
    /// `waiting`, `active`, `closed`.
    pub state: String,
    /// Of the last claim.
    pub claim: u64,
    /// Who holds it.
    pub holder: Option<String>,
    /// The session is told of it.
    pub is_followed: bool,
}

impl Client {
    /// An answer that is no wish to repeat.
    pub(super) fn came_of(&mut self, ask: Ask, refused: Option<&str>, result: &Value, around: &mut Around<'_>) {
        match ask.purpose {
            Purpose::Open { since } => match refused {
                None => self.opened(&since, result, around),
                Some(reason) => {
                    let detail = format!("client {}: session.open was refused: {reason}", self.number);
                    around.oracle.broken(Promise::Served, detail);
                }
            },
            Purpose::Start { text } => {
                let Some(conversation) = result["conversation"].as_str() else { return };
                let now = around.oracle.now;
                let talk =
                    around.oracle.talks.entry(conversation.into()).or_insert_with(|| Talk { began: now, ..Talk::default() });
                if talk.customer != usize::MAX && talk.began < now && talk.customer != self.number
                    || talk.began < now && talk.organisation != self.organisation
                {
                    let detail = format!("client {}: began {conversation}, which is another's", self.number);
                    return around.oracle.broken(Promise::Isolated, detail);
                }
                (talk.organisation, talk.customer) = (self.organisation, self.number);
                if let Some(said) = around.oracle.said.get_mut(&text) {
                    said.conversation = conversation.into();
                }
                // The answer does not say as which event: as some.
                around.oracle.acknowledged(&text, 0);
            }
            Purpose::Say { text } => {
                if let Some(seq) = result["seq"].as_u64() {
                    around.oracle.acknowledged(&text, seq);
                }
            }
            Purpose::Pick => {
                if let (Some(conversation), Some(claim)) = (result["conversation"].as_str(), result["claim"].as_u64()) {
                    around.oracle.claimed(conversation, claim, &self.me);
                }
            }
            Purpose::End { conversation, kind } => {
                if let Some(seq) = result["seq"].as_u64() {
                    let now = around.oracle.now;
                    around.oracle.ends.push((now, conversation, seq, kind));
                }
            }
            Purpose::Foreign => {
                around.oracle.counts.foreign += 1;
                if refused != Some("not_found") {
                    let detail =
                        format!("client {}: {} {} was answered {refused:?} {result}", self.number, ask.method, ask.params);
                    around.oracle.broken(Promise::Isolated, detail);
                }
            }
            Purpose::Look { name } => drop(self.looks.insert(name, result.clone())),
            Purpose::Repeat | Purpose::Other => {}
        }
    }

    fn opened(&mut self, since: &BTreeMap<String, u64>, result: &Value, around: &mut Around<'_>) {
        self.state = State::Open;
        self.me = result["me"]["id"].as_str().unwrap_or_default().into();
        if let Some(resume) = result["resume"].as_str() {
            self.resume = Some(resume.into());
        }
        let log = result["log"].as_str().map(str::to_owned);
        let is_other_log = self.log.is_some() && self.log != log;
        if is_other_log {
            // What was said of the other log is of no worth; what was asked with a key is asked again.
            self.views.clear();
            self.answered.clear();
            self.unasked.retain(|ask| !matches!(ask.purpose, Purpose::Other | Purpose::Repeat));
        }
        self.log = log;
        if self.is_outdated(around.oracle) {
            return;
        }
        let resumed = result["resumed"] == true;
        if resumed && is_other_log && !since.is_empty() {
            around.oracle.broken(Promise::Resumed, format!("client {}: resumed with what it had of another log", self.number));
        }
        if !since.is_empty() {
            if resumed { around.oracle.counts.resumed += 1 } else { around.oracle.counts.gaps += 1 }
        }
        let mut listed = BTreeMap::new();
        for conversation in result["conversations"].as_array().into_iter().flatten() {
            let (Some(id), Some(from)) = (conversation["id"].as_str(), conversation["from_seq"].as_u64()) else { continue };
            listed.insert(id.to_owned(), from);
            self.follows(id, conversation, from, around);
        }
        if resumed {
            for (id, last) in since {
                if listed.get(id) != Some(last) {
                    let detail =
                        format!("client {}: resumed, and {id} after {last} is told from {:?}", self.number, listed.get(id));
                    around.oracle.broken(Promise::Resumed, detail);
                }
            }
        }
        self.views.retain(|id, _| listed.contains_key(id));
        for ask in std::mem::take(&mut self.unasked) {
            around.oracle.counts.repeated += 1;
            self.ask(ask, around);
        }
    }

    fn follows(&mut self, id: &str, conversation: &Value, from: u64, around: &mut Around<'_>) {
        self.belongs(id, around);
        let number = self.number;
        let view = self.views.entry(id.into()).or_default();
        if view.is_followed && from != view.last {
            let detail = format!("client {number}: {id} is told to {}, and again from {from}", view.last);
            around.oracle.broken(Promise::InOrder, detail);
        }
        if from < view.last {
            let detail = format!("client {number}: {id} is known to {}, and told from {from}", view.last);
            around.oracle.broken(Promise::InOrder, detail);
        }
        if from > view.last {
            // A gap that is told: it could be read, which is another matter.
            view.last = from;
        }
        view.is_followed = true;
        view.state = conversation["state"].as_str().unwrap_or_default().into();
        view.holder = conversation["holder"]["id"].as_str().map(str::to_owned);
        view.claim = conversation["claim"].as_u64().unwrap_or(view.claim);
    }

    /// Nothing of another organisation is told, whatever it is.
    fn belongs(&self, id: &str, around: &mut Around<'_>) {
        let of = around.oracle.talks.get(id).map_or(self.organisation, |talk| talk.organisation);
        if of != self.organisation {
            around.oracle.broken(Promise::Isolated, format!("client {}: was told of {id}", self.number));
        }
    }

    pub(super) fn told(&mut self, method: &str, params: &Value, around: &mut Around<'_>) {
        if self.is_outdated(around.oracle) {
            return;
        }
        if self.state != State::Open {
            return around.oracle.broken(Promise::InOrder, format!("client {}: {method} before session.open", self.number));
        }
        match method {
            "conversation.event" => self.event(params, around),
            "conversation.followed" => {
                let (Some(id), Some(from)) = (params["id"].as_str(), params["from_seq"].as_u64()) else { return };
                self.follows(id, params, from, around);
            }
            "conversation.unfollowed" => {
                if let Some(id) = params["conversation"].as_str() {
                    self.views.remove(id);
                }
            }
            _ => {
                for id in [&params["conversation"], &params["id"]] {
                    if let Some(id) = id.as_str().filter(|id| id.starts_with("conv_")) {
                        self.belongs(id, around);
                    }
                }
            }
        }
    }

    fn event(&mut self, event: &Value, around: &mut Around<'_>) {
        let id = event["conversation"].as_str().unwrap_or_default();
        let (seq, prev) = (event["seq"].as_u64().unwrap_or(0), event["prev"].as_u64().unwrap_or(0));
        around.oracle.saw(self.organisation, id, event);
        let number = self.number;
        let Some(view) = self.views.get_mut(id).filter(|view| view.is_followed) else {
            return around.oracle.broken(Promise::InOrder, format!("client {number}: {seq} of {id}, which it does not follow"));
        };
        if seq <= view.last {
            return around.oracle.broken(Promise::InOrder, format!("client {number}: {seq} of {id} came after {}", view.last));
        }
        // All that happens here may be seen by everybody.
        if prev != view.last {
            let detail = format!("client {number}: {seq} of {id} follows {prev}, and {} was the last", view.last);
            around.oracle.broken(Promise::InOrder, detail);
        }
        view.last = seq;
        match event["type"].as_str().unwrap_or_default() {
            "claimed" => {
                view.state = "active".into();
                view.holder = event["body"]["agent"]["id"].as_str().map(str::to_owned);
                view.claim = event["body"]["claim"].as_u64().unwrap_or(0);
            }
            "assigned" => {
                view.state = "active".into();
                view.holder = event["body"]["to"]["id"].as_str().map(str::to_owned);
                view.claim = event["body"]["claim"].as_u64().unwrap_or(0);
            }
            "released" | "transferred" => (view.state, view.holder) = ("waiting".into(), None),
            "closed" => (view.state, view.holder) = ("closed".into(), None),
            _ => {}
        }
    }
}
