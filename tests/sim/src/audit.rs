//! What is so in the end: logs, lists and presence, as operators read them, held against each other and against everything
//! that clients were told.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::Kind;
use crate::oracle::Promise;
use crate::story::{self, Outcome};
use crate::timeline::SECOND;
use crate::world::World;

/// So often is read again what does not agree.
const LOOKS_MAX: usize = 4;

type Found = Vec<(Promise, String)>;
type Looks = BTreeMap<String, Value>;

impl World {
    fn operator(&self, organisation: usize) -> Option<usize> {
        self.clients.iter().position(|client| {
            client.organisation == organisation && matches!(client.kind, Kind::Agent { is_operator: true, .. })
        })
    }

    /// Waits until everybody is content; it is a broken promise if that takes too long.
    pub fn all_content(&mut self, patience: u64) -> bool {
        let end = self.now() + patience;
        let all = self.until(end, |world| world.clients.iter().all(|client| client.is_content() || client.is_away_for_good()));
        let outdated = self
            .clients
            .iter()
            .find(|client| client.is_content() && client.log().is_some_and(|log| self.oracle.lost_logs.contains(log)));
        if let Some(client) = outdated {
            let detail = format!("client {} goes on with a log that has lost something", client.number);
            self.oracle.broken(Promise::Resumed, detail);
        }
        if !all && self.oracle.violations.is_empty() {
            let described: Vec<String> =
                self.clients.iter().filter(|client| !client.is_content()).map(super::client::Client::described).collect();
            self.oracle.now = self.now();
            self.oracle.broken(Promise::Served, described.join("; "));
        }
        all
    }

    /// Reads everything, and judges. While timers still change what is read, what does not agree is read again, some times.
    pub fn audit(&mut self, is_over: bool) {
        for organisation in 0..2 {
            let mut found = Vec::new();
            for _ in 0..if is_over { 1 } else { LOOKS_MAX } {
                self.look(organisation);
                if !self.all_content(20 * SECOND) {
                    return;
                }
                found = self.judge(organisation, is_over);
                if found.is_empty() || !self.oracle.violations.is_empty() {
                    break;
                }
                self.pass(SECOND);
            }
            for (promise, detail) in found {
                self.oracle.broken(promise, detail);
            }
        }
    }

    fn talks_of(&self, organisation: usize) -> Vec<String> {
        let of = self.oracle.talks.iter().filter(|(_, talk)| talk.organisation == organisation);
        of.map(|(id, _)| id.clone()).collect()
    }

    fn look(&mut self, organisation: usize) {
        let Some(operator) = self.operator(organisation) else { return };
        let (queues, talks) = (self.queues[organisation].clone(), self.talks_of(organisation));
        self.with_client(operator, |client, around| {
            client.looks.clear();
            for queue in queues {
                client.look(&queue, "conversation.list", json!({ "view": "open", "queue": queue }), around);
            }
            client.look("agents", "agent.list", json!({}), around);
        });
        // Not more at a time than a session may ask.
        for talks in talks.chunks(40) {
            self.with_client(operator, |client, around| {
                for talk in talks {
                    client.look(talk, "conversation.history", json!({ "conversation": talk, "limit": 500 }), around);
                }
            });
            let end = self.now() + 20 * SECOND;
            self.until(end, |world| world.clients[operator].is_content());
        }
    }

    /// Says what does not agree: it may do so a moment later.
    fn judge(&mut self, organisation: usize, is_over: bool) -> Vec<(Promise, String)> {
        let mut found = Vec::new();
        let Some(operator) = self.operator(organisation) else { return found };
        let looks = self.clients[operator].looks.clone();
        let rules = self.plan.rules.clone();
        let mut outcomes: BTreeMap<String, Outcome> = BTreeMap::new();
        for talk in self.talks_of(organisation) {
            let Some(history) = looks.get(&talk) else {
                self.oracle.broken(Promise::Served, format!("{talk} could not be read"));
                return found;
            };
            let events: Vec<Value> = history["events"].as_array().cloned().unwrap_or_default();
            for event in &events {
                self.oracle.saw(organisation, &talk, event);
            }
            let known = self.oracle.talks[&talk].events.len();
            if known > events.len() {
                found.push((Promise::Durable, format!("{talk}: {known} events were seen, {} are there", events.len())));
            }
            for (_, of, seq, kind) in self.oracle.ends.clone() {
                let stored = events.iter().find(|event| event["seq"] == seq).map(|event| event["type"].clone());
                if of == talk && stored != Some(json!(kind)) {
                    let detail = format!("{talk}: {seq} was confirmed as {kind} and is {stored:?}");
                    self.oracle.broken(Promise::Durable, detail);
                }
            }
            self.held_against_views(organisation, &talk, &events, &mut found);
            match story::read(&talk, &events, &rules, &mut self.oracle) {
                Some(outcome) => drop(outcomes.insert(talk, outcome)),
                None => self.oracle.broken(Promise::Durable, format!("{talk} was confirmed and is not there")),
            }
        }
        self.held_against_lists(organisation, &looks, &outcomes, &mut found);
        self.held_against_followers(organisation, &outcomes, &mut found);
        if is_over {
            for (talk, outcome) in outcomes.iter().filter(|(_, outcome)| outcome.state != "closed") {
                self.oracle.broken(Promise::NotLate, format!("{talk} is still {}", outcome.state));
            }
        }
        found
    }

    /// Whoever follows has been told everything.
    fn held_against_views(&self, organisation: usize, talk: &str, events: &[Value], found: &mut Found) {
        let head = events.len() as u64;
        for client in self.clients.iter().filter(|client| client.organisation == organisation) {
            let Some(view) = client.views.get(talk).filter(|view| view.is_followed) else { continue };
            if view.last != head {
                let detail = format!("client {}: was told of {talk} to {}, and it has {head}", client.number, view.last);
                found.push((Promise::InOrder, detail));
            }
        }
    }

    /// Customers follow their own conversations, agents those that they hold.
    fn held_against_followers(&self, organisation: usize, outcomes: &BTreeMap<String, Outcome>, found: &mut Found) {
        let here = self.clients.iter().filter(|client| client.organisation == organisation && !client.is_away_for_good());
        for client in here.filter(|client| client.is_content()) {
            for (talk, outcome) in outcomes.iter().filter(|(_, outcome)| outcome.state != "closed") {
                let is_own = self.oracle.talks.get(talk).is_some_and(|known| known.customer == client.number);
                let is_held = outcome.holder.as_deref() == Some(&client.me);
                if (is_own || is_held) && !client.views.get(talk).is_some_and(|view| view.is_followed) {
                    found.push((Promise::InOrder, format!("client {}: does not follow {talk}", client.number)));
                }
            }
        }
    }

    fn held_against_lists(&self, organisation: usize, looks: &Looks, outcomes: &BTreeMap<String, Outcome>, found: &mut Found) {
        for queue in &self.queues[organisation] {
            let Some(list) = looks.get(queue) else { continue };
            let row = |row: &Value| {
                let text = |value: &Value| value.as_str().map(str::to_owned);
                Some((text(&row["id"])?, (text(&row["state"])?, text(&row["holder"]["id"]))))
            };
            let listed: BTreeMap<_, _> = list["conversations"].as_array().into_iter().flatten().filter_map(row).collect();
            let meant: BTreeMap<_, _> = outcomes
                .iter()
                .filter(|(_, outcome)| outcome.queue == *queue && outcome.state != "closed")
                .map(|(id, outcome)| (id.clone(), (outcome.state.to_owned(), outcome.holder.clone())))
                .collect();
            if listed != meant {
                found.push((Promise::Listed, format!("{queue} lists {listed:?}, and the logs say {meant:?}")));
            }
        }
    }

    /// Who is there is shown so, and who is not is not: soon.
    pub fn audit_presence(&mut self) {
        if !self.oracle.violations.is_empty() {
            return;
        }
        for organisation in 0..2 {
            let mut wrong = self.wrong_presence(organisation);
            for _ in 1..LOOKS_MAX {
                if wrong.is_empty() {
                    break;
                }
                self.pass(SECOND);
                wrong = self.wrong_presence(organisation);
            }
            for detail in wrong {
                self.oracle.broken(Promise::Presence, detail);
            }
        }
    }

    fn wrong_presence(&mut self, organisation: usize) -> Vec<String> {
        let Some(operator) = self.operator(organisation) else { return Vec::new() };
        self.with_client(operator, |client, around| client.look("agents", "agent.list", json!({}), around));
        let end = self.now() + 10 * SECOND;
        self.until(end, |world| world.clients[operator].is_content());
        let looks = &self.clients[operator].looks;
        let shown: BTreeMap<String, bool> = looks
            .get("agents")
            .and_then(|agents| agents["agents"].as_array())
            .into_iter()
            .flatten()
            .filter_map(|agent| Some((agent["id"].as_str()?.to_owned(), agent["connected"].as_bool()?)))
            .collect();
        let agents = self.clients.iter().filter(|client| client.organisation == organisation && client.is_working_agent());
        agents
            .filter(|client| shown.get(&client.me) != Some(&!client.is_away_for_good()))
            .map(|client| format!("client {} ({}) is shown {:?}", client.number, client.me, shown.get(&client.me)))
            .collect()
    }

    /// Everybody goes home but those who look on.
    pub fn send_everybody_home(&mut self) {
        for number in 0..self.clients.len() {
            if !matches!(self.clients[number].kind, Kind::Agent { is_operator: true, .. }) {
                self.with_client(number, super::client::Client::leave);
            }
        }
    }
}
