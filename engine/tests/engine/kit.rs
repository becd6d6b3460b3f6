//! What the tests stand on: an engine with one organisation, sessions of a gateway that writes everything down, and waiting
//! that ends as soon as what is waited for has come.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jono_domain::account::{AccountKind, Audience, Role, Who};
use jono_domain::conversation::{self, Body, Entry, Start};
use jono_domain::id::{AgentId, ConversationId, CustomerId, OrganisationId, QueueId};
use jono_domain::message::{Address, Order};
use jono_domain::notice::Notice;
use jono_domain::organisation::{self, Account, Change, QueueConfig, QueueSettings};
use jono_domain::reply::{AgentView, ConversationView, CustomerView, QueueSummary, Refusal, Reply};
use jono_domain::time::Time;
use jono_domain::{agent, customer, queue};
use jono_engine::clock::ManualClock;
use jono_engine::delivery::{Deliver, Delivery, SessionRef};
use jono_engine::limits::RELOAD_PAUSE_MS;
use jono_engine::request::{Answer, Follow, Outcome, Query, ReplyTo, Request};
use jono_engine::{Engine, EngineConfig, StartError};
use jono_store::{MemoryStore, Store};
use tokio::sync::{oneshot, watch};

use crate::moody::Moody;

pub const BEGINNING: Time = Time(1_700_000_000_000);
pub const ORGANISATION: OrganisationId = OrganisationId::from_bits(1);
pub const SALES: QueueId = QueueId::from_bits(11);
pub const TECH: QueueId = QueueId::from_bits(12);
/// Agents of sales.
pub const BOB: AgentId = AgentId::from_bits(21);
pub const EVE: AgentId = AgentId::from_bits(22);
/// An agent of tech.
pub const DAN: AgentId = AgentId::from_bits(23);
/// An operator.
pub const ODA: AgentId = AgentId::from_bits(24);
pub const ANN: CustomerId = CustomerId::from_bits(31);
pub const CID: CustomerId = CustomerId::from_bits(32);
pub const TALK: ConversationId = ConversationId::from_bits(41);
pub const SECOND: u64 = 1_000;
pub const MINUTE: u64 = 60 * SECOND;

/// A guard against tests that hang; nothing waits that long when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test inside an actix system.
pub fn run(test: impl Future<Output = ()>) {
    actix_rt::System::new().block_on(async { patiently("the end of the test", test).await });
}

async fn patiently<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Waits for something while time passes on that clock, slowly enough for nothing but retries.
pub async fn as_time_passes<T>(clock: &ManualClock, wait: impl Future<Output = T>) -> T {
    let mut wait = std::pin::pin!(wait);
    loop {
        if let Ok(done) = tokio::time::timeout(Duration::from_millis(2), &mut wait).await {
            return done;
        }
        clock.advance(50);
    }
}

pub fn agent_of(agent: AgentId) -> Who {
    Who::Agent(ORGANISATION, agent)
}

pub fn customer_of(customer: CustomerId) -> Who {
    Who::Customer(ORGANISATION, customer)
}

pub fn talk(number: u128) -> ConversationId {
    ConversationId::from_bits(1_000 + number)
}

pub fn visitor(number: u128) -> CustomerId {
    CustomerId::from_bits(5_000 + number)
}

// ---- orders

pub fn to(conversation: ConversationId, command: conversation::Command) -> Order {
    Order::Conversation(conversation, Box::new(command))
}

pub fn to_queue(queue: QueueId, command: queue::Command) -> Order {
    Order::Queue(queue, Box::new(command))
}

pub fn to_agent(agent: AgentId, command: agent::Command) -> Order {
    Order::Agent(agent, Box::new(command))
}

pub fn change(organisation: OrganisationId, change: Change) -> Order {
    Order::Organisation(organisation, Box::new(organisation::Command::Change(Box::new(change))))
}

pub fn message(conversation: ConversationId, text: &str) -> Order {
    to(conversation, conversation::Command::Send { claim: None, text: text.into() })
}

pub fn close(conversation: ConversationId) -> Order {
    to(conversation, conversation::Command::Close { claim: None })
}

pub fn pick(queue: QueueId) -> Order {
    to_queue(queue, queue::Command::Pick { missed: 0 })
}

pub fn claim(conversation: ConversationId) -> Order {
    to(conversation, conversation::Command::Claim { picked: None })
}

pub fn start(customer: CustomerId, conversation: ConversationId, queue: QueueId, text: &str) -> Order {
    let start = Start {
        organisation: ORGANISATION,
        customer,
        customer_name: None,
        metadata: Vec::new(),
        message: (!text.is_empty()).then(|| text.to_owned()),
        priority: 0,
    };
    Order::Customer(customer, Box::new(customer::Command::Start { conversation, queue, start: Box::new(start) }))
}

// ---- the world

/// How a world begins.
pub struct Plan {
    pub config: EngineConfig,
    pub clock: Arc<ManualClock>,
    pub records: MemoryStore,
    pub store: Arc<dyn Store>,
}

impl Plan {
    pub fn new() -> Self {
        let clock = ManualClock::at(BEGINNING);
        let records = MemoryStore::new();
        let store = Arc::new(records.reopen());
        let config = EngineConfig { arbiters: 2, shards: 8, clock: clock.clone(), ..EngineConfig::default() };
        Self { config, clock, records, store }
    }

    /// With one organisation in it.
    pub async fn begin(self) -> World {
        let world = self.begin_empty().await;
        world.create(ORGANISATION, "Acme").await;
        for (queue, name) in [(SALES, "Sales"), (TECH, "Tech")] {
            world.put_queue(ORGANISATION, queue, name, QueueSettings::default()).await;
        }
        for (agent, queues) in [(BOB, vec![SALES]), (EVE, vec![SALES]), (DAN, vec![TECH])] {
            world.put_agent(ORGANISATION, agent, Role::Agent, &queues).await;
        }
        world.put_agent(ORGANISATION, ODA, Role::Operator, &[]).await;
        world
    }

    pub async fn begin_empty(self) -> World {
        self.start().await.expect("starts")
    }

    pub async fn start(self) -> Result<World, StartError> {
        let Plan { config, clock, records, store } = self;
        let engine = patiently("the start", Engine::start(store, config.clone())).await?;
        let gateway = Gateway::attach(&engine);
        Ok(World { engine, gateway, clock, records, config, sessions: Cell::new(0) })
    }
}

/// A world whose store can be away or slow.
pub async fn moody_world() -> (World, Arc<Moody>) {
    let mut plan = Plan::new();
    let moody = Arc::new(Moody::over(plan.records.reopen()));
    plan.store = moody.clone();
    (plan.begin().await, moody)
}

/// An engine and a gateway.
pub struct World {
    pub engine: Engine,
    pub gateway: Arc<Gateway>,
    pub clock: Arc<ManualClock>,
    pub records: MemoryStore,
    config: EngineConfig,
    sessions: Cell<u64>,
}

impl World {
    pub async fn begin() -> World {
        Plan::new().begin().await
    }

    /// Another process finds the same records. What the old one still does is fenced off.
    pub async fn restart(&self) -> World {
        self.quiet().await;
        let store = Arc::new(self.records.reopen());
        let plan = Plan { config: self.config.clone(), clock: self.clock.clone(), records: self.records.reopen(), store };
        plan.begin_empty().await
    }

    pub async fn create(&self, organisation: OrganisationId, name: &str) {
        self.done(Who::Root, change(organisation, Change::Create { organisation, name: name.into() })).await;
    }

    pub async fn put_queue(&self, organisation: OrganisationId, queue: QueueId, name: &str, settings: QueueSettings) {
        let config = Some(QueueConfig { name: name.into(), settings });
        self.done(Who::Root, change(organisation, Change::PutQueue { queue, config })).await;
    }

    pub async fn put_agent(&self, organisation: OrganisationId, agent: AgentId, role: Role, queues: &[QueueId]) {
        let account = Account {
            name: format!("{agent}"),
            kind: AccountKind::Person,
            role,
            queues: queues.iter().copied().collect::<BTreeSet<_>>(),
            login: None,
            password_hash: None,
            tokens: Default::default(),
            disabled: false,
        };
        let account = Some(Box::new(account));
        self.done(Who::Root, change(organisation, Change::PutAgent { agent, account })).await;
    }

    pub async fn ask(&self, who: Who, order: Order) -> Answer {
        patiently("an answer", self.engine.ask(who, None, order)).await
    }

    pub async fn ask_keyed(&self, who: Who, key: &str, order: Order) -> Answer {
        patiently("an answer", self.engine.ask(who, Some(key.into()), order)).await
    }

    /// Asks, and expects a yes.
    pub async fn done(&self, who: Who, order: Order) -> Reply {
        let text = format!("{order:?}");
        match self.ask(who, order).await {
            Ok(Outcome::Reply(reply)) => reply,
            other => panic!("{text}: {other:?}"),
        }
    }

    /// Asks, and expects a no.
    pub async fn refused(&self, who: Who, order: Order) -> Refusal {
        self.ask(who, order).await.expect_err("a refusal")
    }

    pub async fn query(&self, who: Who, query: Query) -> Answer {
        let (sender, receiver) = oneshot::channel();
        self.engine.query(who, query, ReplyTo::Once(sender)).expect("room for a query");
        patiently("a query", receiver).await.expect("an answer")
    }

    pub async fn start(&self, customer: CustomerId, conversation: ConversationId, queue: QueueId) {
        self.done(customer_of(customer), start(customer, conversation, queue, "hello")).await;
        // The queue and the customer have heard of it, and nothing of it is under way.
        self.until(async || self.rows(queue).await.iter().any(|row| row.conversation == conversation)).await;
        self.until(async || self.customer(customer).await.open.contains(&conversation)).await;
    }

    pub async fn rows(&self, queue: QueueId) -> Vec<conversation::Row> {
        let list = queue::Command::List { after: None, limit: 100 };
        match self.done(agent_of(ODA), to_queue(queue, list)).await {
            Reply::Rows(rows) => rows,
            other => panic!("{other:?}"),
        }
    }

    pub async fn queue(&self, queue: QueueId) -> QueueSummary {
        match self.done(agent_of(ODA), to_queue(queue, queue::Command::Describe)).await {
            Reply::Queue(summary) => summary,
            other => panic!("{other:?}"),
        }
    }

    pub async fn conversation(&self, conversation: ConversationId) -> ConversationView {
        match self.done(agent_of(ODA), to(conversation, conversation::Command::Describe)).await {
            Reply::Conversation(view) => *view,
            other => panic!("{other:?}"),
        }
    }

    pub async fn agent(&self, agent: AgentId) -> AgentView {
        match self.done(agent_of(agent), to_agent(agent, agent::Command::Describe)).await {
            Reply::Agent(view) => *view,
            other => panic!("{other:?}"),
        }
    }

    pub async fn customer(&self, customer: CustomerId) -> CustomerView {
        let describe = Order::Customer(customer, Box::new(customer::Command::Describe));
        match self.done(customer_of(customer), describe).await {
            Reply::Customer(view) => view,
            other => panic!("{other:?}"),
        }
    }

    /// The whole log, as the store has it.
    pub async fn log(&self, conversation: ConversationId) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let from = entries.last().map_or(0, |entry| entry.seq);
            let query = Query::History { conversation, forward: true, from, limit: 500 };
            match self.query(agent_of(ODA), query).await {
                Ok(Outcome::History { entries: page, .. }) if page.is_empty() => return entries,
                Ok(Outcome::History { entries: page, .. }) => entries.extend(page),
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn session(&self, who: Who) -> Session<'_> {
        self.sessions.set(self.sessions.get() + 1);
        let id = SessionRef { gateway: self.gateway.number(), session: self.sessions.get() };
        Session { world: self, id, who, requests: Cell::new(0) }
    }

    /// A session of an agent that follows its own account, so that it is online.
    pub async fn agent_session(&self, agent: AgentId) -> Session<'_> {
        let session = self.session(agent_of(agent));
        session.follow(Address::Agent(agent), 0).await.expect("follows itself");
        session
    }

    /// A session of a customer that follows them.
    pub async fn customer_session(&self, customer: CustomerId) -> Session<'_> {
        let session = self.session(customer_of(customer));
        session.follow(Address::Customer(customer), 0).await.expect("follows itself");
        session
    }

    /// Time passes, and what was due has happened.
    pub async fn pass(&self, ms: u64) {
        self.quiet().await;
        self.clock.advance(ms);
        self.quiet().await;
    }

    /// What failed has been read again.
    pub async fn reload(&self) {
        self.pass(RELOAD_PAUSE_MS).await;
    }

    /// Waits for something while time passes, slowly enough for nothing but retries.
    pub async fn as_time_passes<T>(&self, wait: impl Future<Output = T>) -> T {
        as_time_passes(&self.clock, wait).await
    }

    pub async fn until(&self, mut is_so: impl AsyncFnMut() -> bool) {
        let wait = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        patiently("something to become so", wait).await;
    }

    /// Nothing moves any more: every arbiter has had several turns, and nothing was counted in any of them.
    pub async fn quiet(&self) {
        let counters = self.engine.counters();
        let look = || (counters.read(), self.engine.waiting(), self.gateway.count());
        let wait = async {
            let mut before = look();
            let mut calm = 0;
            while calm < 10 {
                self.turn().await;
                let now = look();
                calm = if now == before { calm + 1 } else { 0 };
                before = now;
            }
        };
        patiently("calm", wait).await;
    }

    /// Every arbiter does what it had to do before: a question that is refused at once goes through each.
    async fn turn(&self) {
        for _ in 0..self.config.arbiters {
            let nothing = Query::Search { text: String::new(), queue: None, from: None, to: None, cursor: None, limit: 1 };
            let (sender, receiver) = oneshot::channel();
            match self.engine.query(Who::Root, nothing, ReplyTo::Once(sender)) {
                Ok(()) => drop(receiver.await),
                // It is being stopped.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

// ---- sessions

/// A session of the gateway.
pub struct Session<'a> {
    pub world: &'a World,
    pub id: SessionRef,
    pub who: Who,
    pub requests: Cell<u64>,
}

impl Session<'_> {
    fn next_request(&self) -> u64 {
        self.requests.set(self.requests.get() + 1);
        self.requests.get()
    }

    /// Asks without waiting; the number is for [`Session::answer`].
    pub fn send(&self, key: Option<&str>, order: Order) -> u64 {
        let request = self.next_request();
        let reply_to = ReplyTo::Session { session: self.id, request };
        let key = key.map(str::to_owned);
        self.world.engine.send(Request { who: self.who, key, order, reply_to }).expect("room");
        request
    }

    pub fn send_follow(&self, what: Address, after: u64, bytes_max: usize) -> u64 {
        self.send_following(what, after, bytes_max, false)
    }

    /// As the first session of a customer that nobody has heard of does.
    pub fn send_follow_new(&self, what: Address) -> u64 {
        self.send_following(what, 0, 0, true)
    }

    fn send_following(&self, what: Address, after: u64, bytes_max: usize, is_new: bool) -> u64 {
        let request = self.next_request();
        let reply_to = ReplyTo::Session { session: self.id, request };
        let follow = Follow { session: self.id, who: self.who, what, after, bytes_max, is_new, reply_to };
        self.world.engine.follow(follow).expect("room");
        request
    }

    pub async fn answer(&self, request: u64) -> Answer {
        let mut news = self.world.gateway.news.subscribe();
        let wait = async {
            loop {
                if let Some(answer) = self.world.gateway.answer(self.id, request) {
                    return answer;
                }
                news.changed().await.expect("the gateway lives");
            }
        };
        patiently("an answer", wait).await
    }

    pub fn has_answer(&self, request: u64) -> bool {
        self.world.gateway.answer(self.id, request).is_some()
    }

    pub async fn ask(&self, order: Order) -> Answer {
        let request = self.send(None, order);
        self.answer(request).await
    }

    /// Asks, and expects a yes.
    pub async fn done(&self, order: Order) -> Reply {
        let text = format!("{order:?}");
        match self.ask(order).await {
            Ok(Outcome::Reply(reply)) => reply,
            other => panic!("{text}: {other:?}"),
        }
    }

    pub async fn follow(&self, what: Address, after: u64) -> Answer {
        let request = self.send_follow(what, after, 1 << 20);
        self.answer(request).await
    }

    /// The connection is closed: the gateway takes back what the session itself had begun to follow.
    pub fn end(&self, followed: &[Address]) {
        followed.iter().for_each(|what| self.world.engine.unfollow(self.id, *what));
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.world.gateway.of(self.id)
    }

    pub async fn wait(&self, what: &str, is_so: impl Fn(&[Delivery]) -> bool) {
        let mut news = self.world.gateway.news.subscribe();
        let wait = async {
            while !is_so(&self.deliveries()) {
                news.changed().await.expect("the gateway lives");
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "waited in vain for {what}: {:#?}", self.deliveries());
    }

    /// The events of a conversation that the session was sent, in the order in which they came.
    pub fn events(&self, of: ConversationId) -> Vec<Entry> {
        entries(&self.deliveries(), of)
    }

    pub async fn wait_for_event(&self, of: ConversationId, seq: u64) {
        let what = format!("event {seq} of {of}");
        self.wait(&what, |deliveries| entries(deliveries, of).iter().any(|entry| entry.seq >= seq)).await;
    }

    pub async fn wait_for_body(&self, of: ConversationId, is_it: impl Fn(&Body) -> bool) {
        self.wait("an event", |deliveries| entries(deliveries, of).iter().any(|entry| is_it(&entry.body))).await;
    }

    pub fn notices(&self) -> Vec<Notice> {
        let deliveries = self.deliveries().into_iter();
        deliveries
            .filter_map(|delivery| if let Delivery::Notice(shared) = delivery { Some(shared.value.clone()) } else { None })
            .collect()
    }

    /// Every event that the audience may see was sent exactly once, in order, each naming the one before it, from the one
    /// after `from_seq` to the last of the log.
    pub async fn has_all(&self, of: ConversationId, audience: Audience, from_seq: u64) {
        let log = self.world.log(of).await;
        let expected: Vec<u64> =
            log.iter().filter(|entry| entry.is_for(audience) && entry.seq > from_seq).map(|entry| entry.seq).collect();
        if let Some(last) = expected.last() {
            self.wait_for_event(of, *last).await;
        }
        let events = self.events(of);
        let seen: Vec<u64> = events.iter().map(|entry| entry.seq).collect();
        assert_eq!(seen, expected, "{:?}", self.who);
        let mut before = from_seq;
        for entry in &events {
            assert_eq!(entry.prev_for(audience), before, "{:?}: {entry:?}", self.who);
            assert_eq!(log[entry.seq as usize - 1], *entry);
            before = entry.seq;
        }
    }
}

fn entries(deliveries: &[Delivery], of: ConversationId) -> Vec<Entry> {
    let entry = |delivery: &Delivery| match delivery {
        Delivery::Notice(shared) => match &shared.value {
            Notice::Entry { conversation, entry, .. } if *conversation == of => Some((**entry).clone()),
            _ => None,
        },
        _ => None,
    };
    deliveries.iter().filter_map(entry).collect()
}

/// From where an answer to a follow says that events come.
pub fn from_seq(answer: Answer) -> u64 {
    match answer {
        Ok(Outcome::Following { from_seq, .. }) => from_seq,
        other => panic!("{other:?}"),
    }
}

pub fn texts(entries: &[Entry]) -> Vec<String> {
    let text = |entry: &Entry| match &entry.body {
        Body::Message { text } => Some(text.clone()),
        _ => None,
    };
    entries.iter().filter_map(text).collect()
}

/// Writes down what every session was told.
pub struct Gateway {
    number: OnceLock<u64>,
    told: Mutex<Told>,
    news: watch::Sender<u64>,
}

#[derive(Default)]
struct Told {
    sessions: HashMap<SessionRef, Vec<Delivery>>,
    answers: HashMap<(SessionRef, u64), Answer>,
}

impl Gateway {
    pub fn attach(engine: &Engine) -> Arc<Self> {
        let gateway = Arc::new(Self { number: OnceLock::new(), told: Mutex::default(), news: watch::Sender::new(0) });
        gateway.number.set(engine.attach_gateway(gateway.clone())).expect("attached once");
        gateway
    }

    fn number(&self) -> u64 {
        *self.number.get().expect("attached")
    }

    fn of(&self, session: SessionRef) -> Vec<Delivery> {
        self.told.lock().expect("no delivery has panicked").sessions.get(&session).cloned().unwrap_or_default()
    }

    fn answer(&self, session: SessionRef, request: u64) -> Option<Answer> {
        self.told.lock().expect("no delivery has panicked").answers.get(&(session, request)).cloned()
    }

    fn count(&self) -> u64 {
        *self.news.borrow()
    }
}

impl Deliver for Gateway {
    fn deliver(&self, batch: Vec<(SessionRef, Delivery)>) {
        let count = batch.len() as u64;
        let mut told = self.told.lock().expect("no delivery has panicked");
        for (session, delivery) in batch {
            if let Delivery::Answer { request, answer } = &delivery {
                let before = told.answers.insert((session, *request), answer.clone());
                assert!(before.is_none(), "request {request} of {session:?} was answered twice");
            }
            told.sessions.entry(session).or_default().push(delivery);
        }
        drop(told);
        self.news.send_modify(|news| *news += count);
    }
}
