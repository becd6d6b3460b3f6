//! Sessions driven by hand: a fake engine that notes what it is asked and is answered for by the test,
//! and a fake socket that keeps what it is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use jono_domain::account::{AccountKind, Audience, Author, Role, Who};
use jono_domain::conversation::{Body, Entry, Row, RowState};
use jono_domain::id::{AgentId, ConversationId, CustomerId, OrganisationId, QueueId, SiteId, TokenId};
use jono_domain::message::{Address, Order};
use jono_domain::notice::{Deadlines, Notice};
use jono_domain::organisation::{Account, Organisation, QueueConfig, QueueSettings, Site, TagDefinition, Token};
use jono_domain::reply::{AgentView, ConversationView, CustomerView, QueueSummary, Refusal, Reply};
use jono_domain::time::Time;
use jono_engine::delivery::{Delivery, SessionRef, Shared};
use jono_engine::directory::Directory;
use jono_engine::request::{Answer, Follow, Full, Outcome, Query, ReplyTo, Request};
use jono_socket::Text;
use serde_json::{Value, json};

use super::gateway::{Gateway, Origin, SessionSettings, Told};
use super::life::Life;
use super::limits::SessionLimits;
use super::seam::{Backend, Sink};
use super::starts::Network;
use crate::auth::Auth;

mod deliveries;
mod hostile;
mod meanwhile;
mod moving;
mod opening;
mod requests;
mod whole;

const NOW: Time = Time(1_790_000_000_000);

fn organisation() -> OrganisationId {
    OrganisationId::from_bits(1)
}

fn queue(number: u128) -> QueueId {
    QueueId::from_bits(number)
}

fn conversation(number: u128) -> ConversationId {
    ConversationId::from_bits(number)
}

fn ann() -> AgentId {
    AgentId::from_bits(1)
}

fn olga() -> AgentId {
    AgentId::from_bits(2)
}

#[derive(Debug)]
enum Asked {
    Send(Request),
    Follow(Follow),
    Unfollow(Address),
    Query(Query, u64),
}

impl Asked {
    /// The request's number, for answering.
    fn number(&self) -> u64 {
        let of = |reply_to: &ReplyTo| match reply_to {
            ReplyTo::Session { request, .. } => *request,
            ReplyTo::Once(_) | ReplyTo::Nobody => panic!("sessions are answered as sessions"),
        };
        match self {
            Asked::Send(request) => of(&request.reply_to),
            Asked::Follow(follow) => of(&follow.reply_to),
            Asked::Query(_, number) => *number,
            Asked::Unfollow(_) => panic!("not answered"),
        }
    }

    fn follows(&self) -> Option<Address> {
        match self {
            Asked::Follow(follow) => Some(follow.what),
            Asked::Send(_) | Asked::Unfollow(_) | Asked::Query(..) => None,
        }
    }
}

struct FakeEngine {
    asked: Mutex<Vec<Asked>>,
    /// Followed and not unfollowed.
    followed: Mutex<BTreeSet<Address>>,
    directory: Mutex<Arc<Directory>>,
    is_full: AtomicBool,
}

impl FakeEngine {
    fn note(&self, asked: Asked) -> Result<(), Full> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(Full);
        }
        if let Some(what) = asked.follows() {
            self.followed.lock().unwrap().insert(what);
        }
        self.asked.lock().unwrap().push(asked);
        Ok(())
    }
}

struct Handle(Arc<FakeEngine>);

impl Backend for Handle {
    fn send(&self, request: Request) -> Result<(), Full> {
        assert_not_internal(&request.order);
        self.0.note(Asked::Send(request))
    }

    fn follow(&self, follow: Follow) -> Result<(), Full> {
        self.0.note(Asked::Follow(follow))
    }

    fn unfollow(&self, _: SessionRef, what: Address) {
        self.0.followed.lock().unwrap().remove(&what);
        self.0.asked.lock().unwrap().push(Asked::Unfollow(what));
    }

    fn query(&self, _: Who, query: Query, reply_to: ReplyTo) -> Result<(), Full> {
        let ReplyTo::Session { request, .. } = reply_to else { panic!("sessions are answered as sessions") };
        self.0.note(Asked::Query(query, request))
    }

    fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.0.directory.lock().unwrap())
    }

    fn log_identity(&self) -> u64 {
        0xabc
    }

    fn is_alone(&self) -> bool {
        true
    }
}

/// What only machines may say to each other never comes from a session.
fn assert_not_internal(order: &Order) {
    use jono_domain::{agent, conversation, customer, organisation, queue};
    let is_internal = match order {
        Order::Organisation(_, command) => matches!(**command, organisation::Command::AnnouncePresence { .. }),
        Order::Queue(_, command) => {
            !matches!(**command, queue::Command::Pick { missed: 0 } | queue::Command::SetOpen { .. } | queue::Command::Describe)
        }
        Order::Agent(_, command) => {
            !matches!(**command, agent::Command::SetStatus { .. } | agent::Command::SetCanned { .. } | agent::Command::Describe)
        }
        Order::Customer(_, command) => !matches!(**command, customer::Command::Start { .. } | customer::Command::Describe),
        Order::Conversation(_, command) => matches!(
            **command,
            conversation::Command::Start { .. }
                | conversation::Command::Claim { picked: Some(_) }
                | conversation::Command::Assign { accepted: true, .. }
                | conversation::Command::Transfer { admitted: true, .. }
                | conversation::Command::CustomerBlocked { .. }
                | conversation::Command::Place { .. }
                | conversation::Command::Followed { .. }
                | conversation::Command::Announce { .. }
                | conversation::Command::Refresh
        ),
    };
    assert!(!is_internal, "{order:?}");
}

#[derive(Default)]
struct FakeSink {
    sent: Vec<Value>,
    closed: Option<(u16, &'static str)>,
    is_confirmed: bool,
    wants_drained: bool,
    /// What waits, as the test says; `None` counts what was sent.
    outbox: usize,
    counts: bool,
}

impl Sink for FakeSink {
    fn id(&self) -> u64 {
        77
    }

    fn send(&mut self, text: Text) {
        assert!(self.closed.is_none(), "nothing is sent behind a close");
        if self.counts {
            self.outbox += text.len();
        }
        serde_json::from_str::<&serde_json::value::RawValue>(text.as_str()).expect("all that is sent is JSON");
        // An id may be a number that is none here.
        self.sent.push(serde_json::from_str(text.as_str()).unwrap_or_default());
    }

    fn close(&mut self, code: u16, reason: &'static str) {
        self.closed.get_or_insert((code, reason));
    }

    fn confirm_open(&mut self) {
        self.is_confirmed = true;
    }

    fn tell_when_drained(&mut self) {
        self.wants_drained = true;
    }

    fn outbox_bytes(&self) -> usize {
        self.outbox
    }
}

/// A process with a fake engine.
struct World {
    engine: Arc<FakeEngine>,
    gateway: Arc<Gateway>,
    told: Arc<Mutex<Vec<(u64, Told)>>>,
    tokens: BTreeMap<&'static str, String>,
}

fn fixture(tokens: &mut BTreeMap<&'static str, String>) -> Organisation {
    let mut it = Organisation { id: organisation(), created: true, name: "Shop".into(), ..Organisation::default() };
    for (number, name) in [(1, "Help"), (2, "Sales"), (3, "Back office")] {
        it.queues.insert(queue(number), QueueConfig { name: name.into(), settings: QueueSettings::default() });
    }
    let site = |key: &str, origins: &[&str]| Site {
        key: key.into(),
        name: key.into(),
        origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
        queues: Some(vec![queue(2), queue(1)]),
    };
    it.sites.insert(SiteId::from_bits(1), site("demo", &[]));
    it.sites.insert(SiteId::from_bits(2), site("strict", &["https://shop.example"]));
    for (agent, name, role, queues) in [(ann(), "Ann", Role::Agent, vec![queue(1)]), (olga(), "Olga", Role::Operator, vec![])] {
        let (secret, hash) = Auth::new_agent_token();
        tokens.insert(name, secret);
        let token = Token { hash, label: "test".into(), created_at: NOW };
        let account = Account {
            name: name.into(),
            kind: AccountKind::Person,
            role,
            queues: queues.into_iter().collect(),
            login: None,
            password_hash: None,
            tokens: [(TokenId::from_bits(agent.bits()), token)].into(),
            disabled: false,
        };
        it.accounts.insert(agent, account);
    }
    it.tags.insert("vip".into(), TagDefinition::default());
    it.canned.insert("hi".into(), "Hello, this is [agent]".into());
    it
}

impl World {
    fn new() -> Self {
        Self::with(SessionLimits::default())
    }

    fn with(limits: SessionLimits) -> Self {
        let mut tokens = BTreeMap::new();
        let directory = Directory::default().with(&fixture(&mut tokens));
        let engine = Arc::new(FakeEngine {
            asked: Mutex::default(),
            followed: Mutex::default(),
            directory: Mutex::new(Arc::new(directory)),
            is_full: AtomicBool::new(false),
        });
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = {
            let told = Arc::clone(&told);
            move |batch: &mut dyn Iterator<Item = (u64, Told)>| told.lock().unwrap().extend(batch)
        };
        let settings =
            SessionSettings { limits, desk_origins: vec!["https://desk.example".into()], ..SessionSettings::default() };
        let auth = Arc::new(Auth::new([7; 32]));
        let gateway = Gateway::new(Box::new(Handle(Arc::clone(&engine))), auth, settings, 3, Arc::new(tell));
        Self { engine, gateway, told, tokens }
    }

    /// The organisation's settings are changed.
    fn change(&self, change: impl Fn(&mut Organisation)) {
        let mut directory = self.engine.directory.lock().unwrap();
        let mut settings = (**directory.organisation(organisation()).unwrap()).clone();
        change(&mut settings);
        *directory = Arc::new(Directory::default().with(&settings));
    }

    fn peer(&self) -> Peer {
        self.peer_from(None)
    }

    fn peer_from(&self, origin: Option<&str>) -> Peer {
        self.peer_of(None, origin)
    }

    fn peer_of(&self, network: Option<Network>, origin: Option<&str>) -> Peer {
        let origin = origin.map(|origin| Box::new(Origin::new(origin, Some("own.example"))));
        let mut peer = Peer {
            life: Life::new(Arc::clone(&self.gateway), network, origin),
            sink: FakeSink::default(),
            engine: Arc::clone(&self.engine),
            now: NOW,
            next_id: 1,
        };
        peer.life.opened(&mut peer.sink);
        peer
    }

    /// A customer with these open conversations.
    fn customer(&self, open: &[u128]) -> Peer {
        let mut peer = self.peer();
        peer.ask("session.open", json!({ "role": "customer", "site": "demo", "name": "Eve" }));
        peer.answer_opening(open, &[]);
        peer.sink.sent.clear();
        peer
    }

    fn agent(&self, name: &str, held: &[u128]) -> Peer {
        let mut peer = self.peer();
        peer.ask("session.open", json!({ "role": "agent", "token": self.tokens[name] }));
        peer.answer_opening(held, &[]);
        peer.sink.sent.clear();
        peer
    }
}

/// A client with its session.
struct Peer {
    life: Life,
    sink: FakeSink,
    engine: Arc<FakeEngine>,
    now: Time,
    next_id: u64,
}

impl Peer {
    fn text(&mut self, text: &str) {
        self.life.received(text, self.now, &mut self.sink);
    }

    /// Sends a request; returns its id.
    fn ask(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.text(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
        id
    }

    fn told(&mut self, delivery: Delivery) {
        self.life.told(Told::Delivery(delivery), self.now, &mut self.sink);
    }

    fn notice(&mut self, notice: Notice) {
        self.told(Delivery::Notice(Shared::new(notice)));
    }

    fn answer(&mut self, request: u64, answer: Answer) {
        self.told(Delivery::Answer { request, answer });
    }

    /// What the engine has been asked since the last look.
    fn asked(&mut self) -> Vec<Asked> {
        std::mem::take(&mut *self.engine.asked.lock().unwrap())
    }

    /// The one thing that the engine has been asked.
    fn asked_one(&mut self) -> Asked {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0)
    }

    /// What was sent since the last look.
    fn sent(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.sink.sent)
    }

    fn sent_one(&mut self) -> Value {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// The reason of the one error that was sent.
    fn reason(&mut self) -> String {
        let sent = self.sent_one();
        sent["error"]["data"]["reason"].as_str().unwrap_or_else(|| panic!("{sent}")).to_owned()
    }

    fn code(&mut self) -> i64 {
        let sent = self.sent_one();
        sent["error"]["code"].as_i64().unwrap_or_else(|| panic!("{sent}"))
    }

    /// Numbers of the events that were sent since the last look.
    fn events(&mut self) -> Vec<u64> {
        let sent = self.sent().into_iter().filter(|sent| sent["method"] == "conversation.event");
        sent.map(|sent| sent["params"]["seq"].as_u64().unwrap()).collect()
    }

    /// Answers as an engine would in which the account has these conversations, each with ten events,
    /// and the refused ones are not there. What is no part of opening stays asked.
    fn answer_opening(&mut self, own: &[u128], refused: &[u128]) {
        let mut others = Vec::new();
        loop {
            let (other, asked): (Vec<_>, Vec<_>) =
                self.asked().into_iter().partition(|it| matches!(it, Asked::Unfollow(_) | Asked::Query(..)));
            others.extend(other);
            if asked.is_empty() {
                self.engine.asked.lock().unwrap().extend(others);
                return;
            }
            for it in asked {
                let request = it.number();
                let state = match &it {
                    Asked::Follow(Follow { what, .. }) => match *what {
                        Address::Customer(customer) => Reply::Customer(CustomerView {
                            customer,
                            open: own.iter().map(|it| conversation(*it)).collect(),
                            ended: vec![conversation(90), conversation(91)],
                            blocked: None,
                        }),
                        Address::Agent(agent) => Reply::Agent(Box::new(AgentView {
                            agent,
                            status: jono_domain::agent::Status::Offline,
                            held: own.iter().map(|it| (conversation(*it), queue(1))).collect(),
                            canned: Vec::new(),
                        })),
                        Address::Organisation(_) => Reply::Presence(Vec::new()),
                        Address::Queue(queue) => Reply::Queue(summary(queue)),
                        Address::Conversation(conversation) => Reply::Conversation(Box::new(view(conversation, 10))),
                    },
                    Asked::Send(Request { order: Order::Queue(queue, _), .. }) => {
                        self.answer(request, Ok(Outcome::Reply(Reply::Queue(summary(*queue)))));
                        continue;
                    }
                    other => panic!("{other:?}"),
                };
                let Asked::Follow(follow) = it else { continue };
                if refused.iter().any(|it| follow.what == Address::Conversation(conversation(*it))) {
                    self.answer(request, Err(Refusal::NotFound));
                } else {
                    self.answer(request, following(state, follow.after));
                }
            }
        }
    }
}

/// The engine leads the session to a conversation.
fn led(of: u128, view: ConversationView, from_seq: u64) -> Delivery {
    let state = Box::new(Reply::Conversation(Box::new(view)));
    Delivery::Following { conversation: conversation(of), state, audience: Audience::Agent, from_seq }
}

fn following(state: Reply, from_seq: u64) -> Answer {
    Ok(Outcome::Following { state, audience: Audience::Agent, from_seq })
}

fn summary(queue: QueueId) -> QueueSummary {
    QueueSummary { queue, open: true, waiting: 2, active: 1, unread: 3, longest_waiting_since: Some(NOW) }
}

fn view(conversation: ConversationId, head: u64) -> ConversationView {
    ConversationView {
        row: Row { holder: Some(ann()), ..row(conversation, head) },
        head,
        position: Some(1),
        wait_ms: None,
        metadata: BTreeMap::new(),
        marks: vec![(Author::Agent(ann()), 2)],
        rating: None,
        blocked: None,
    }
}

fn row(conversation: ConversationId, head: u64) -> Row {
    Row {
        conversation,
        queue: queue(1),
        customer: CustomerId::from_bits(5),
        customer_name: Some("Eve".into()),
        state: RowState::Waiting,
        preview: "Hello".into(),
        last_message_at: NOW,
        unread: 1,
        started_at: NOW,
        waiting_since: NOW,
        priority: 0,
        holder: None,
        claim: 0,
        deadlines: Deadlines::default(),
        tags: Vec::new(),
        connected: true,
        head,
    }
}

fn message(seq: u64, text: &str) -> Entry {
    let by = Author::Customer(CustomerId::from_bits(5));
    Entry { seq, prev_for_customers: seq - 1, at: NOW, by, body: Body::Message { text: text.into() } }
}

fn grown(of: u128, entry: Entry) -> Notice {
    Notice::Entry { conversation: conversation(of), entry: Arc::new(entry), deadlines: Deadlines::default() }
}

fn history(seqs: std::ops::RangeInclusive<u64>, head: u64) -> Answer {
    Ok(Outcome::History { entries: seqs.map(|seq| message(seq, "from the log")).collect(), head })
}

#[test]
fn an_idle_session_is_small() {
    let size = size_of::<super::WireSession>();
    let open = size_of::<super::open::Open>();
    println!("a session: {size} bytes in the socket's actor, {open} behind it when open");
    assert!(size <= 88 && open <= 320, "{size} {open}");
}
