//! A server in a few hundred lines that speaks just enough of the protocol, keeps its promises, and
//! breaks one of them where a test asks for it.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

pub const TOKENS: [&str; 2] = ["token-anna", "token-ben"];
pub const SITE: &str = "test";
pub const QUEUE: &str = "q_1";

/// Which promise is broken, once, at the message with the number [`Faults::at`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Broken {
    #[default]
    Nothing,
    /// The message is stored, but its customer is not told.
    LoseForCustomer,
    /// Nor are the agents.
    LoseForAgents,
    /// The customer is told twice.
    ShowTwice,
    /// An agent is told it after the event that comes next.
    Overtake,
    /// A customer who has nothing to do with it is told, too.
    ShowToStranger,
    /// It is stored twice.
    StoreTwice,
    /// Others see another text than the one that was sent.
    OtherText,
    /// Acknowledged, never stored.
    NeverStored,
    /// From here on notes are shown to customers.
    LeakNotes,
    /// From here on keys are ignored.
    IgnoreKeys,
    /// From here on the history leaves out its third event.
    ForgetHistory,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub broken: Broken,
    pub at: u64,
    /// After so many changes one is applied, and the connection is cut instead of an answer.
    pub cut_every: Option<u64>,
    /// After so many requests all connections are cut at once, as by a kill.
    pub kill_every: Option<u64>,
    /// Every so many requests are answered `busy`.
    pub busy_every: Option<u64>,
    /// Resuming sends nothing of what was missed, and says so.
    pub gaps: bool,
    /// Accepts a conversation, and forgets to close it.
    pub never_close: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Who {
    Customer(usize),
    Agent(usize),
}

struct Conversation {
    customer: usize,
    log: Vec<Value>,
    holder: Option<usize>,
    claim: u64,
    closed: bool,
}

struct Session {
    who: Who,
    follows: BTreeSet<usize>,
    out: UnboundedSender<Option<String>>,
}

#[derive(Default)]
struct World {
    conversations: Vec<Conversation>,
    customers: usize,
    waiting: BTreeSet<usize>,
    keys: HashMap<(String, String), Value>,
    sessions: BTreeMap<u64, Session>,
    messages: u64,
    changes: u64,
    requests: u64,
    clock: u64,
}

pub struct Fake {
    pub url: String,
    faults: Faults,
    world: RefCell<World>,
    last_session: Cell<u64>,
    has_lost: Cell<bool>,
    has_broken: Cell<bool>,
    /// What is overtaken.
    held_back: RefCell<Option<(u64, String)>>,
}

const HIDDEN: [&str; 5] = ["note", "tagged", "untagged", "prioritised", "metadata"];

fn agent(index: usize) -> Value {
    json!({ "id": format!("agt_{index}"), "name": TOKENS[index] })
}

fn by(who: &Who) -> Value {
    match who {
        Who::Customer(index) => json!({ "kind": "customer", "id": format!("cus_{index}") }),
        Who::Agent(index) => json!({ "kind": "agent", "id": format!("agt_{index}"), "name": TOKENS[*index] }),
    }
}

fn id_of(conversation: usize) -> String {
    format!("conv_{conversation}")
}

type Refused = (&'static str, Value);

impl Fake {
    pub async fn start(faults: Faults) -> Rc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v1/ws", listener.local_addr().unwrap());
        let fake = Rc::new(Self {
            url,
            faults,
            world: RefCell::default(),
            last_session: Cell::default(),
            has_lost: Cell::default(),
            has_broken: Cell::default(),
            held_back: RefCell::default(),
        });
        let server = Rc::clone(&fake);
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(Rc::clone(&server).connection(stream));
            }
        });
        fake
    }

    pub fn requests(&self) -> u64 {
        self.world.borrow().requests
    }

    /// Texts of all messages, conversation by conversation.
    pub fn texts(&self) -> Vec<Vec<String>> {
        let text = |event: &Value| Some(event["body"]["text"].as_str().filter(|_| event["type"] == "message")?.to_owned());
        let world = self.world.borrow();
        world.conversations.iter().map(|conversation| conversation.log.iter().filter_map(text).collect()).collect()
    }

    async fn connection(self: Rc<Self>, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let Ok(socket) = accept_async(stream).await else { return };
        let (mut sink, mut source) = socket.split();
        let (out, mut texts) = unbounded_channel::<Option<String>>();
        let session = self.last_session.get() + 1;
        self.last_session.set(session);
        loop {
            tokio::select! {
                text = texts.recv() => match text {
                    Some(Some(text)) => if sink.send(Message::text(text)).await.is_err() { break },
                    Some(None) | None => break,
                },
                frame = source.next() => match frame {
                    Some(Ok(Message::Text(text))) => {
                        if !self.request(session, &out, &serde_json::from_str(&text).unwrap()) { break }
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break,
                },
            }
        }
        self.world.borrow_mut().sessions.remove(&session);
    }

    /// False: the connection ends, without goodbye.
    fn request(&self, session: u64, out: &UnboundedSender<Option<String>>, request: &Value) -> bool {
        let method = request["method"].as_str().unwrap();
        let params = &request["params"];
        let answer = |value: &Value| {
            let mut answer = value.clone();
            answer["jsonrpc"] = "2.0".into();
            answer["id"] = request["id"].clone();
            let _ = out.send(Some(answer.to_string()));
        };
        self.world.borrow_mut().requests += 1;
        let count = self.world.borrow().requests;
        let every = |period: Option<u64>| period.is_some_and(|period| count.is_multiple_of(period));
        if every(self.faults.kill_every) {
            for session in std::mem::take(&mut self.world.borrow_mut().sessions).values() {
                let _ = session.out.send(None);
            }
            return false;
        }
        if method == "session.close" {
            return false;
        }
        if method == "session.open" {
            self.open(session, out, params, answer);
            return true;
        }
        if every(self.faults.busy_every) {
            answer(&refusal("busy", &json!({ "retry_after_ms": 3 })));
            return true;
        }
        let Some(who) = self.world.borrow().sessions.get(&session).map(|session| session.who.clone()) else { return false };
        let key = params["key"].as_str().map(|key| (by(&who)["id"].to_string(), key.to_owned()));
        let known = key.as_ref().and_then(|key| self.world.borrow().keys.get(key).cloned());
        if let Some(known) = known.filter(|_| !self.is_broken(Broken::IgnoreKeys)) {
            answer(&known);
            return true;
        }
        let result = match self.method(session, &who, method, params) {
            Ok(result) => json!({ "result": result }),
            Err((reason, data)) => refusal(reason, &data),
        };
        if let Some(key) = key {
            let mut world = self.world.borrow_mut();
            world.keys.insert(key, result.clone());
            world.changes += 1;
            if self.faults.cut_every.is_some_and(|every| world.changes.is_multiple_of(every)) {
                return false;
            }
        }
        answer(&result);
        true
    }

    /// Broken since the message it was to be broken at.
    fn is_broken(&self, broken: Broken) -> bool {
        self.faults.broken == broken && self.world.borrow().messages >= self.faults.at
    }

    /// This message is the one.
    fn breaks(&self, broken: Broken) -> bool {
        // Once, and at a message: the one with that number may be the first of a conversation, which is stored elsewhere.
        self.faults.broken == broken && self.world.borrow().messages >= self.faults.at && !self.has_broken.replace(true)
    }

    fn open(&self, session: u64, out: &UnboundedSender<Option<String>>, params: &Value, answer: impl Fn(&Value)) {
        let who = if params["role"] == "agent" {
            TOKENS.iter().position(|token| params["token"] == *token).map(Who::Agent)
        } else if params["site"] != SITE {
            None
        } else if let Some(resume) = params["resume"].as_str() {
            Some(Who::Customer(resume.parse().unwrap()))
        } else {
            self.world.borrow_mut().customers += 1;
            Some(Who::Customer(self.world.borrow().customers))
        };
        let Some(who) = who else { return answer(&refusal("unauthorized", &json!({}))) };
        let since = params["since"].as_object().cloned().unwrap_or_default();
        let mut follows = BTreeMap::new();
        for (index, conversation) in self.world.borrow().conversations.iter().enumerate() {
            let mine = match &who {
                Who::Customer(customer) => conversation.customer == *customer,
                Who::Agent(agent) => conversation.holder == Some(*agent) || since.contains_key(&id_of(index)),
            };
            let named = since.get(&id_of(index)).and_then(Value::as_u64);
            if mine && (!conversation.closed || named.is_some()) {
                let head = conversation.log.len() as u64;
                follows.insert(index, if self.faults.gaps && named.is_some() { head } else { named.unwrap_or(0) });
            }
        }
        let conversations: Vec<_> =
            follows.iter().map(|(index, from_seq)| json!({ "id": id_of(*index), "from_seq": from_seq })).collect();
        let mut result = json!({
            "session": session.to_string(), "resumed": !self.faults.gaps, "log": "l", "me": by(&who),
            "organisation": { "id": "org_1", "name": "O", "tags": [{ "tag": "sound" }] },
            "queues": [{ "id": "q_0", "name": "Nobody" }, { "id": QUEUE, "name": "Help" }], "conversations": conversations,
            "limits": {}, "now": 0,
        });
        match &who {
            Who::Customer(customer) => result["resume"] = customer.to_string().into(),
            Who::Agent(_) => result["queues"] = json!([{ "id": QUEUE, "name": "Help" }]),
        }
        answer(&json!({ "result": result }));
        let follow = follows.keys().copied().collect();
        self.world.borrow_mut().sessions.insert(session, Session { who, follows: follow, out: out.clone() });
        for (conversation, from_seq) in follows {
            self.catch_up(session, conversation, from_seq);
        }
    }

    fn catch_up(&self, session: u64, conversation: usize, from_seq: u64) {
        let world = self.world.borrow();
        let to = &world.sessions[&session];
        for event in self.events(&world.conversations[conversation].log, &to.who, from_seq) {
            let _ = to.out.send(Some(notification("conversation.event", &event)));
        }
    }

    /// What an audience sees, with `prev` as it sees it.
    fn events(&self, log: &[Value], who: &Who, after: u64) -> Vec<Value> {
        let mut prev = 0;
        let leak = self.is_broken_quietly(Broken::LeakNotes);
        let visible = |event: &&Value| {
            matches!(who, Who::Agent(_)) || leak || !HIDDEN.contains(&event["type"].as_str().unwrap_or_default())
        };
        let numbered = log.iter().filter(visible).map(|event| {
            let mut event = event.clone();
            event["prev"] = prev.into();
            prev = event["seq"].as_u64().unwrap();
            event
        });
        numbered.filter(|event| event["seq"].as_u64().unwrap() > after).collect()
    }

    /// As [`Self::is_broken`], while the world may be borrowed.
    fn is_broken_quietly(&self, broken: Broken) -> bool {
        self.faults.broken == broken && self.world.try_borrow().is_ok_and(|world| world.messages >= self.faults.at)
    }

    fn method(&self, session: u64, who: &Who, method: &str, params: &Value) -> Result<Value, Refused> {
        let text = || json!({ "text": params["text"] });
        match method {
            "conversation.start" => return Ok(self.begin(session, who, params)),
            "queue.pick" => {
                let first = self.world.borrow().waiting.first().copied();
                return self.claim(who, first.ok_or(("queue_empty", json!({})))?);
            }
            "conversation.list" => {
                let world = self.world.borrow();
                let open = world.conversations.iter().enumerate().filter(|(_, conversation)| !conversation.closed);
                let open: Vec<_> = open.map(|(index, _)| json!({ "id": id_of(index) })).collect();
                return Ok(json!({ "conversations": open }));
            }
            _ => {}
        }
        let named = params["conversation"].as_str().unwrap_or_default();
        let index: usize = named.strip_prefix("conv_").and_then(|index| index.parse().ok()).ok_or(("not_found", json!({})))?;
        if let Some(claim) = params["claim"].as_u64() {
            let world = self.world.borrow();
            let conversation = &world.conversations[index];
            if claim != conversation.claim || *who != Who::Agent(conversation.holder.unwrap_or(99)) {
                return Err(("claim_lost", json!({ "claim": conversation.claim })));
            }
        }
        match method {
            "conversation.history" => {
                let world = self.world.borrow();
                let mut events = self.events(&world.conversations[index].log, who, params["after"].as_u64().unwrap_or(0));
                let head = events.last().map_or(0, |event| event["seq"].as_u64().unwrap());
                if self.is_broken_quietly(Broken::ForgetHistory) && events.len() > 3 {
                    events.remove(2);
                }
                Ok(json!({ "events": events, "head": head }))
            }
            "conversation.claim" => self.claim(who, index),
            "conversation.unfollow" => {
                self.world.borrow_mut().sessions.get_mut(&session).unwrap().follows.remove(&index);
                Ok(json!({}))
            }
            "typing.set" | "receipt.read" | "conversation.touch" => Ok(json!({})),
            "message.send" => self.message(index, who, params),
            "note.add" => Ok(self.log(index, who, "note", text())),
            "tag.add" => Ok(self.log(index, who, "tagged", json!({ "tag": params["tag"] }))),
            "tag.remove" => Ok(self.log(index, who, "untagged", json!({ "tag": params["tag"] }))),
            "metadata.update" => Ok(self.log(index, who, "metadata", json!({ "changes": params["metadata"] }))),
            "conversation.rate" => Ok(self.log(index, who, "rated", json!({ "rating": params["rating"] }))),
            "conversation.release" => {
                self.world.borrow_mut().conversations[index].holder = None;
                self.world.borrow_mut().waiting.insert(index);
                Ok(self.log(index, who, "released", json!({ "cause": "manual" })))
            }
            "conversation.assign" => {
                let to = if params["agent"] == "agt_0" { 0 } else { 1 };
                let claim = self.take(index, to);
                let seq = self.log(index, who, "assigned", json!({ "to": agent(to), "claim": claim }));
                self.follow_all(index, to);
                Ok(seq)
            }
            "conversation.close" | "conversation.leave" => {
                if !self.faults.never_close {
                    self.world.borrow_mut().conversations[index].closed = true;
                }
                Ok(self.log(index, who, "closed", json!({ "cause": "agent" })))
            }
            other => panic!("the fake does not know {other}"),
        }
    }

    fn is_stranger(&self, session: &Session, conversation: usize) -> bool {
        matches!(session.who, Who::Customer(_)) && !session.follows.contains(&conversation)
    }

    fn begin(&self, session: u64, who: &Who, params: &Value) -> Value {
        let Who::Customer(customer) = who else { panic!("only customers start") };
        let index = {
            let mut world = self.world.borrow_mut();
            let begun = Conversation { customer: *customer, log: Vec::new(), holder: None, claim: 0, closed: false };
            world.conversations.push(begun);
            let index = world.conversations.len() - 1;
            world.waiting.insert(index);
            let session = world.sessions.get_mut(&session).unwrap();
            session.follows.insert(index);
            let _ = session.out.send(Some(notification("conversation.followed", &json!({ "id": id_of(index), "from_seq": 0 }))));
            index
        };
        self.log(index, who, "started", json!({ "queue": params["queue"] }));
        self.log(index, who, "queued", json!({ "queue": params["queue"], "position": 1 }));
        self.world.borrow_mut().messages += 1;
        self.log(index, who, "message", json!({ "text": params["message"] }));
        json!({ "conversation": id_of(index), "state": "waiting", "position": 1 })
    }

    fn message(&self, index: usize, who: &Who, params: &Value) -> Result<Value, Refused> {
        if self.world.borrow().conversations[index].closed {
            return Err(("conversation_closed", json!({})));
        }
        self.world.borrow_mut().messages += 1;
        let mut text = params["text"].clone();
        if self.breaks(Broken::OtherText) {
            text = format!("{} ", text.as_str().unwrap()).into();
        }
        if self.breaks(Broken::NeverStored) {
            let head = self.world.borrow().conversations[index].log.len() as u64;
            return Ok(json!({ "seq": head, "at": 0 }));
        }
        if self.breaks(Broken::StoreTwice) {
            self.log(index, who, "message", json!({ "text": text }));
        }
        Ok(self.log(index, who, "message", json!({ "text": text })))
    }

    fn claim(&self, who: &Who, index: usize) -> Result<Value, Refused> {
        let Who::Agent(agent_index) = who else { return Err(("forbidden", json!({}))) };
        let holder = self.world.borrow().conversations[index].holder;
        match holder {
            Some(holder) if holder != *agent_index => return Err(("claim_held", json!({ "holder": agent(holder) }))),
            Some(_) => {}
            None => {
                let claim = self.take(index, *agent_index);
                self.log(index, who, "claimed", json!({ "agent": agent(*agent_index), "claim": claim }));
                self.follow_all(index, *agent_index);
            }
        }
        let claim = self.world.borrow().conversations[index].claim;
        Ok(json!({ "conversation": id_of(index), "claim": claim, "release_at": 0 }))
    }

    fn take(&self, index: usize, agent: usize) -> u64 {
        let mut world = self.world.borrow_mut();
        world.waiting.remove(&index);
        let conversation = &mut world.conversations[index];
        conversation.holder = Some(agent);
        conversation.claim += 1;
        conversation.claim
    }

    fn follow_all(&self, index: usize, agent: usize) {
        let mut newly = Vec::new();
        for (number, session) in &mut self.world.borrow_mut().sessions {
            if session.who == Who::Agent(agent) && session.follows.insert(index) {
                let followed = json!({ "id": id_of(index), "from_seq": 0 });
                let _ = session.out.send(Some(notification("conversation.followed", &followed)));
                newly.push(*number);
            }
        }
        for session in newly {
            self.catch_up(session, index, 0);
        }
    }

    fn log(&self, index: usize, who: &Who, kind: &str, body: Value) -> Value {
        let (seq, at) = {
            let mut world = self.world.borrow_mut();
            world.clock += 1;
            let at = world.clock;
            let log = &mut world.conversations[index].log;
            let seq = log.len() as u64 + 1;
            log.push(json!({
                "conversation": id_of(index), "seq": seq, "at": at, "by": by(who), "type": kind, "body": body,
            }));
            (seq, at)
        };
        let world = self.world.borrow();
        let following = || world.sessions.values().filter(|session| session.follows.contains(&index));
        let side = |session: &Session| match session.who {
            Who::Customer(_) => Broken::LoseForCustomer,
            Who::Agent(_) => Broken::LoseForAgents,
        };
        // At the first message from then on that somebody of that side would have been told.
        let losing = kind == "message" && world.messages >= self.faults.at && !self.has_lost.get();
        let losing = losing && following().any(|session| side(session) == self.faults.broken);
        self.has_lost.set(self.has_lost.get() || losing);
        if kind == "message"
            && world.sessions.values().any(|session| self.is_stranger(session, index))
            && self.breaks(Broken::ShowToStranger)
        {
            let stranger = world.sessions.values().find(|session| self.is_stranger(session, index)).unwrap();
            let event = self.events(&world.conversations[index].log, &stranger.who, seq - 1).remove(0);
            let _ = stranger.out.send(Some(notification("conversation.event", &event)));
        }
        for (number, session) in world.sessions.iter().filter(|(_, session)| session.follows.contains(&index)) {
            if losing && side(session) == self.faults.broken {
                continue;
            }
            let is_agent = matches!(session.who, Who::Agent(_));
            if kind == "message" && is_agent && self.breaks(Broken::Overtake) {
                let event = self.events(&world.conversations[index].log, &session.who, seq - 1).remove(0);
                *self.held_back.borrow_mut() = Some((*number, notification("conversation.event", &event)));
                continue;
            }
            let customer = matches!(session.who, Who::Customer(_));
            let times = if kind == "message" && customer && self.breaks(Broken::ShowTwice) { 2 } else { 1 };
            for event in self.events(&world.conversations[index].log, &session.who, seq - 1) {
                for _ in 0..times {
                    let _ = session.out.send(Some(notification("conversation.event", &event)));
                }
            }
            let mut held_back = self.held_back.borrow_mut();
            if kind == "message"
                && let Some((_, overtaken)) = held_back.take_if(|(held, _)| held == number)
            {
                let _ = session.out.send(Some(overtaken));
            }
        }
        json!({ "seq": seq, "at": at })
    }
}

fn notification(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string()
}

fn refusal(reason: &str, data: &Value) -> Value {
    let mut data = data.clone();
    data["reason"] = reason.into();
    json!({ "error": { "code": -32000, "message": reason, "data": data } })
}
