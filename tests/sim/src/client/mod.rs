//! A client: connects, resumes, repeats what was not answered under its key, and holds what it is told against what it was told
//! before. What it does of its own accord is in `work`, what it has been told in `view`.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::mail::{Mail, Pipe, ToClient, ToGateway, Wake};
use crate::oracle::{Oracle, Promise};
use crate::plan::Rules;
use crate::timeline::{MS, Micros, SECOND};

mod view;
mod work;

pub use view::View;

/// Without an answer for so long, the connection is given up.
const PATIENCE: Micros = 9 * SECOND;
/// More is not asked before something is answered.
const PENDING_MAX: usize = 3;

/// Who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A customer, through this site.
    Customer {
        /// Its key.
        site: String,
    },
    /// An agent, or an operator.
    Agent {
        /// The credential.
        token: String,
        /// Does nothing but look.
        is_operator: bool,
    },
}

/// What a client may use at a moment.
pub struct Around<'a> {
    /// Connections.
    pub mail: &'a Arc<Mail>,
    /// What is known.
    pub oracle: &'a mut Oracle,
    /// The gateways that could be connected to.
    pub gateways: &'a [mpsc::UnboundedSender<ToGateway>],
    /// The organisations' queues.
    pub queues: &'a [Vec<String>],
    /// What conversations live by.
    pub rules: &'a Rules,
    /// New things are begun.
    pub is_busy: bool,
}

/// A request that waits for its answer.
#[derive(Clone, Debug)]
struct Ask {
    method: &'static str,
    params: Value,
    purpose: Purpose,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Purpose {
    Open {
        since: BTreeMap<String, u64>,
    },
    Start {
        text: String,
    },
    Say {
        text: String,
    },
    Pick,
    End {
        conversation: String,
        kind: &'static str,
    },
    /// To an id of another organisation, or of nobody.
    Foreign,
    /// A repeat of something that was answered.
    Repeat,
    Other,
    /// For whoever looks on: the answer is kept under this name.
    Look {
        name: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Away,
    Opening,
    Open,
}

/// A client.
pub struct Client {
    /// Its number.
    pub number: usize,
    /// Of which organisation.
    pub organisation: usize,
    /// Who.
    pub kind: Kind,
    /// What it has been told of conversations.
    pub views: BTreeMap<String, View>,
    /// Who the server says it is.
    pub me: String,
    /// Answers to looks, by name.
    pub looks: BTreeMap<String, Value>,
    chance: Rng,
    state: State,
    pipe: Option<Arc<Pipe>>,
    resume: Option<String>,
    log: Option<String>,
    last_id: u64,
    last_key: u64,
    last_text: u64,
    pending: BTreeMap<u64, (Micros, Ask)>,
    /// Asked when the session is open (again).
    unasked: Vec<Ask>,
    /// Some that were answered, to be asked again.
    answered: Vec<Ask>,
    acts_at: Micros,
    /// Does not come back when it is cut off.
    stays_away: bool,
}

impl Client {
    /// One that is not connected yet.
    #[must_use]
    pub fn new(number: usize, organisation: usize, kind: Kind, seed: u64) -> Self {
        Self {
            number,
            organisation,
            kind,
            views: BTreeMap::new(),
            me: String::new(),
            looks: BTreeMap::new(),
            chance: Rng::with_seed(seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            state: State::Away,
            pipe: None,
            resume: None,
            log: None,
            last_id: 0,
            last_key: 0,
            last_text: 0,
            pending: BTreeMap::new(),
            unasked: Vec::new(),
            answered: Vec::new(),
            acts_at: 0,
            stays_away: false,
        }
    }

    /// Is it an agent who works?
    #[must_use]
    pub fn is_working_agent(&self) -> bool {
        matches!(self.kind, Kind::Agent { is_operator: false, .. })
    }

    fn is_customer(&self) -> bool {
        matches!(self.kind, Kind::Customer { .. })
    }

    /// Its session is open, and everything that it asked is answered.
    #[must_use]
    pub fn is_content(&self) -> bool {
        self.state == State::Open && self.pending.is_empty() && self.unasked.is_empty()
    }

    /// The log that it knows.
    #[must_use]
    pub fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }

    /// What it is told is of a log that has lost something: it will be told so.
    fn is_outdated(&self, oracle: &Oracle) -> bool {
        self.log.as_ref().is_some_and(|log| oracle.lost_logs.contains(log))
    }

    /// It has gone, and does not come back.
    #[must_use]
    pub fn is_away_for_good(&self) -> bool {
        self.stays_away
    }

    /// For whoever reads that it is not content.
    #[must_use]
    pub fn described(&self) -> String {
        format!("client {} {:?}: {:?} {:?}", self.number, self.state, self.pending, self.unasked)
    }

    /// Something has come, by a connection or by the clock.
    pub fn take(&mut self, pipe: u64, what: ToClient, around: &mut Around<'_>) {
        match what {
            ToClient::Wake(wake) => self.wake(wake, around),
            _ if self.pipe.as_ref().is_none_or(|own| own.number != pipe) => {}
            ToClient::Closed => self.lost(around),
            ToClient::Text(text) => match serde_json::from_str::<Value>(text.as_str()) {
                Ok(Value::Object(members)) if members.contains_key("method") => {
                    let told = Value::Object(members);
                    self.told(told["method"].as_str().unwrap_or_default(), &told["params"], around);
                }
                Ok(answer) => self.answered(&answer, around),
                Err(error) => around.oracle.broken(Promise::Same, format!("not JSON: {error}")),
            },
        }
    }

    // ---- the connection

    fn wake(&mut self, wake: Wake, around: &mut Around<'_>) {
        match wake {
            Wake::Connect if self.state == State::Away && !self.stays_away => self.connect(around),
            Wake::Connect => {}
            Wake::Again(id) => {
                let Some((_, ask)) = self.pending.remove(&id) else { return };
                around.oracle.counts.repeated += 1;
                if self.state == State::Open || matches!(ask.purpose, Purpose::Open { .. }) {
                    self.ask(ask, around);
                } else {
                    self.unasked.push(ask);
                }
            }
            Wake::Tick => self.tick(around),
        }
    }

    fn connect(&mut self, around: &mut Around<'_>) {
        let gateway = self.chance.choice(around.gateways).cloned();
        let Some(gateway) = gateway else { return self.come_back(around) };
        self.pipe = Some(around.mail.connect(self.number, gateway));
        self.state = State::Opening;
        let since: BTreeMap<String, u64> = self.views.iter().map(|(id, view)| (id.clone(), view.last)).collect();
        let mut params = match &self.kind {
            Kind::Customer { site } => json!({ "role": "customer", "site": site, "resume": self.resume }),
            Kind::Agent { token, .. } => json!({ "role": "agent", "token": token }),
        };
        if !since.is_empty() {
            params["since"] = json!(since);
            params["log"] = json!(self.log);
        }
        self.ask(Ask { method: "session.open", params, purpose: Purpose::Open { since } }, around);
    }

    /// The connection is over: what was not answered is asked again.
    fn lost(&mut self, around: &mut Around<'_>) {
        self.pipe = None;
        self.state = State::Away;
        for (_, ask) in std::mem::take(&mut self.pending).into_values() {
            if !matches!(ask.purpose, Purpose::Open { .. } | Purpose::Foreign) {
                self.unasked.push(ask);
            }
        }
        self.views.values_mut().for_each(|view| view.is_followed = false);
        self.come_back(around);
    }

    fn come_back(&mut self, around: &mut Around<'_>) {
        let wait = 10 * MS + self.chance.u64(0..800) * MS;
        around.mail.wake(self.number, wait, Wake::Connect);
    }

    /// Its network fails, or its page is reloaded.
    pub fn cut(&mut self, around: &mut Around<'_>) {
        if let Some(pipe) = &self.pipe {
            pipe.cut(around.rules.silent_max);
            self.lost(around);
        }
    }

    /// It goes, and does not come back.
    pub fn leave(&mut self, around: &mut Around<'_>) {
        self.stays_away = true;
        if let Some(pipe) = &self.pipe {
            pipe.hang_up();
            self.lost(around);
        }
    }

    fn tick(&mut self, around: &mut Around<'_>) {
        let now = around.mail.timeline.now();
        let every = 120 * MS + self.chance.u64(0..200) * MS;
        around.mail.wake(self.number, every.max(around.rules.act_every / 4), Wake::Tick);
        if self.pending.values().any(|(asked, _)| now > asked + PATIENCE) {
            return self.cut(around);
        }
        if around.is_busy && self.state == State::Open && now >= self.acts_at && self.pending.len() < PENDING_MAX {
            self.acts_at = now + self.chance.u64(around.rules.act_every / 4..around.rules.act_every * 2);
            self.act(around);
        }
    }

    // ---- requests

    fn ask(&mut self, ask: Ask, around: &mut Around<'_>) {
        self.last_id += 1;
        let text = json!({ "jsonrpc": "2.0", "id": self.last_id, "method": ask.method, "params": ask.params }).to_string();
        if let Some(pipe) = &self.pipe {
            tracing::info!(at_ms = around.mail.timeline.now() / MS, client = self.number, text, "says");
            pipe.say(text);
        }
        self.pending.insert(self.last_id, (around.mail.timeline.now(), ask));
    }

    /// Asks once, with a key.
    fn request(&mut self, method: &'static str, mut params: Value, purpose: Purpose, around: &mut Around<'_>) {
        self.last_key += 1;
        params["key"] = json!(format!("c{}-{}", self.number, self.last_key));
        self.ask(Ask { method, params, purpose }, around);
    }

    /// Asks what changes nothing; the answer is kept under this name.
    pub fn look(&mut self, name: &str, method: &'static str, params: Value, around: &mut Around<'_>) {
        let ask = Ask { method, params, purpose: Purpose::Look { name: name.into() } };
        if self.state == State::Open { self.ask(ask, around) } else { self.unasked.push(ask) }
    }

    fn answered(&mut self, answer: &Value, around: &mut Around<'_>) {
        let id = answer["id"].as_u64().unwrap_or(0);
        let Some((_, ask)) = self.pending.get(&id) else {
            return around.oracle.broken(Promise::Once, format!("client {}: nobody asked for {answer}", self.number));
        };
        let error = &answer["error"];
        let reason = error["data"]["reason"].as_str().unwrap_or_default();
        if self.is_outdated(around.oracle) && !matches!(self.pending[&id].1.purpose, Purpose::Open { .. }) {
            // It is asked again when the session has begun anew.
            return;
        }
        if matches!(reason, "unavailable" | "busy" | "rate_limited") {
            let wait = error["data"]["retry_after_ms"].as_u64().unwrap_or(250).max(1) * MS;
            return around.mail.wake(self.number, wait, Wake::Again(id));
        }
        let ask = ask.clone();
        self.pending.remove(&id);
        if error["code"].as_i64().is_some_and(|code| code != -32_000) {
            let detail = format!("client {}: {} {} was answered {answer}", self.number, ask.method, ask.params);
            return around.oracle.broken(Promise::Same, detail);
        }
        let refused = (!error.is_null()).then_some(reason);
        if let Some(key) = ask.params["key"].as_str() {
            // A refusal is not remembered: a repeat tries anew.
            if let Some(reason) = refused {
                around.oracle.refused(key, reason);
            } else {
                around.oracle.answered(key, &answer["result"]);
                if self.answered.len() < 8 && !matches!(ask.purpose, Purpose::Repeat) {
                    self.answered.push(ask.clone());
                }
            }
        }
        self.came_of(ask, refused, &answer["result"], around);
    }
}
