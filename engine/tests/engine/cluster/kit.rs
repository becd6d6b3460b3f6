//! Several processes in one: engines over one store and one exchange in memory, each under a clock of its own. Time moves in small
//! steps, and never faster than the processes that are in touch can beat.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use jono_domain::account::{AccountKind, Role, Who};
use jono_domain::conversation::{self, Entry, Row};
use jono_domain::id::{AgentId, ConversationId, CustomerId, QueueId};
use jono_domain::message::{Address, Order};
use jono_domain::organisation::{Account, Change, QueueConfig, QueueSettings};
use jono_domain::reply::{ConversationView, Reply};
use jono_domain::{agent, queue};
use jono_engine::clock::ManualClock;
use jono_engine::cluster::limits::BEAT_EVERY_MS;
use jono_engine::cluster::{Card, ClusterConfig};
use jono_engine::request::{Answer, Outcome, Query, ReplyTo};
use jono_engine::{Engine, EngineConfig, StartError};
use jono_store::{Exchange as _, Member, MemoryExchange, MemoryStore, NodeId, Picture, Store};
use tokio::sync::oneshot;

use super::client::{Client, Desk};
use super::losing_store::LosingStore;
use super::wire::{Fault, Trouble, Wire};
use crate::kit::*;

/// Time moves so far at once.
pub const STEP_MS: u64 = 25;
/// Milliseconds, about, that time waits for a beat.
const LOOKS_MAX: usize = 100;
/// Turns that threads are given to catch up when time has passed.
const SETTLING_TURNS: usize = 10;
/// A process in touch has beaten within this.
const BEATEN_WITHIN_MS: u64 = BEAT_EVERY_MS + 6 * STEP_MS;
/// What does not happen within this time does not happen.
const PATIENCE_MS: u64 = 30_000;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Engine,
    Gateway,
    Both,
}

/// How a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Alive,
    /// Its clock stands still.
    Frozen,
    /// It does not reach the others.
    Cut,
    /// It gives back what it has, and beats until it has nothing.
    Leaving,
    Gone,
}

pub struct Process {
    pub name: String,
    store: Arc<LosingStore>,
    pub engine: Engine,
    pub clock: Arc<ManualClock>,
    pub wire: Wire,
    pub desk: Arc<Desk>,
    pub state: State,
    /// Its last beat, and when it was seen.
    beat: (NodeId, u64),
    beaten_at: u64,
}

/// Several processes, and people who talk through them.
pub struct Cluster {
    pub records: MemoryStore,
    pub exchange: MemoryExchange,
    /// Which call to the exchange fails.
    pub trouble: Arc<Trouble>,
    pub processes: Vec<Process>,
    pub clients: Vec<Client>,
    /// Since the beginning.
    pub now_ms: u64,
    /// When everybody was seen to be in touch.
    looked_at: u64,
    shards: u16,
}

impl Cluster {
    /// Nobody is there yet.
    pub fn empty(shards: u16) -> Self {
        let (records, exchange, trouble) = (MemoryStore::new(), MemoryExchange::new(), Trouble::of(None));
        Self { records, exchange, trouble, processes: Vec::new(), clients: Vec::new(), now_ms: 0, looked_at: 0, shards }
    }

    /// With these processes, and one organisation.
    pub async fn begin(parts: &[Part]) -> Self {
        Self::begin_with(None, parts).await
    }

    /// As [`Cluster::begin`]; one call to the exchange fails.
    pub async fn begin_with(fault: Option<Fault>, parts: &[Part]) -> Self {
        let mut cluster = Self::empty(16);
        cluster.trouble = Trouble::of(fault);
        for part in parts {
            cluster.join(*part).await;
        }
        let create = Change::Create { organisation: ORGANISATION, name: "Acme".into() };
        cluster.change(0, create).await;
        for (queue, name) in [(SALES, "Sales"), (TECH, "Tech")] {
            let config = Some(QueueConfig { name: name.into(), settings: QueueSettings::default() });
            cluster.change(0, Change::PutQueue { queue, config }).await;
        }
        for (agent, queues, role) in [
            (BOB, vec![SALES], Role::Agent),
            (EVE, vec![SALES], Role::Agent),
            (DAN, vec![TECH], Role::Agent),
            (ODA, vec![], Role::Operator),
        ] {
            cluster.change(0, Change::PutAgent { agent, account: Some(Box::new(account(agent, role, &queues))) }).await;
        }
        cluster
    }

    /// Another process; its number in `processes`.
    pub async fn join(&mut self, part: Part) -> usize {
        let number = self.processes.len();
        let name = format!("process {number}");
        let clock = ManualClock::at(BEGINNING + self.now_ms);
        let wire = Wire::over(self.exchange.connection(), &self.trouble);
        let store = Arc::new(LosingStore::on(&self.records));
        let config = EngineConfig { arbiters: 1, shards: self.shards, clock: clock.clone(), ..EngineConfig::default() };
        let cluster = ClusterConfig {
            exchange: Arc::new(wire.clone()),
            serves_shards: part != Part::Gateway,
            serves_clients: part != Part::Engine,
            name: name.clone(),
            version: "test".into(),
        };
        let start = || Engine::start_among(Arc::clone(&store) as Arc<dyn Store>, config.clone(), cluster.clone());
        let mut starting = Box::pin(start());
        // The first one that serves shards is waited for by those that came before it.
        let engine = loop {
            match glance(&mut starting.as_mut()).await {
                Poll::Ready(Ok(started)) => break started,
                // A planned failure: it is started again.
                Poll::Ready(Err(StartError::Exchange(_))) if self.trouble.has_struck() => starting = Box::pin(start()),
                Poll::Ready(Err(error)) => panic!("{name} does not start: {error}"),
                Poll::Pending => {}
            }
            // Nobody sees yet whether it beats: it is given real time.
            tokio::time::sleep(Duration::from_millis(2)).await;
            clock.advance(STEP_MS);
            self.step().await;
        };
        let desk = Desk::attach(&engine);
        let (state, beat) = (State::Alive, (NodeId(0), 0));
        self.processes.push(Process { name, store, engine, clock, wire, desk, state, beat, beaten_at: self.now_ms });
        // Everybody else has seen it.
        self.pass(300).await;
        number
    }

    /// Everything that the processes share is gone, as after `FLUSHALL`; they themselves go on.
    pub fn lose_everything(&mut self) {
        self.lose_records();
        self.exchange.faults().forget_everything();
    }

    /// The records are gone.
    pub fn lose_records(&mut self) {
        self.records = MemoryStore::new();
        self.processes.iter().for_each(|process| process.store.lose_everything(&self.records));
    }

    // ---- time

    /// A little time passes, and what was to be done meanwhile is done.
    pub async fn step(&mut self) {
        self.step_by(STEP_MS).await;
    }

    async fn step_by(&mut self, ms: u64) {
        self.now_ms += ms;
        for process in self.processes.iter().filter(|process| matches!(process.state, State::Alive | State::Cut | State::Leaving))
        {
            process.clock.advance(ms);
        }
        tokio::task::yield_now().await;
        self.turn().await;
        let mut looks = 0;
        while !self.all_in_touch().await {
            // A machine that has much to do: time waits for it.
            looks += 1;
            if looks > LOOKS_MAX {
                // The beat that is waited for may be due a moment later.
                return;
            }
            if looks > 10 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            self.turn().await;
        }
    }

    pub async fn pass(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while self.now_ms < until {
            // Minutes pass in longer steps.
            self.step_by(if until - self.now_ms > 30 * SECOND { 8 * STEP_MS } else { STEP_MS }).await;
        }
        // What was due by now is done before anybody looks, also by threads that had to wait for a core.
        for _ in 0..SETTLING_TURNS {
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.turn().await;
        }
    }

    /// Lets time pass until something is so.
    pub async fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let patience = self.now_ms + PATIENCE_MS;
        while !is_so(self) {
            if self.now_ms >= patience {
                panic!("waited in vain for {what}\n{}", self.described().await);
            }
            self.step().await;
        }
    }

    /// For whoever reads that a test failed.
    async fn described(&self) -> String {
        let mut described = format!("{:#?}", self.picture().await.owners);
        for (at, process) in self.processes.iter().enumerate() {
            let (serves, owned) = (process.engine.is_serving(), self.owned(at).await);
            described += &format!("\n{at}: {:?}, serves: {serves}, owns {owned:?}", process.state);
        }
        described
    }

    /// Every arbiter does what it had to do, and people react.
    async fn turn(&mut self) {
        for _ in 0..2 {
            let mut asked = Vec::new();
            for process in self.processes.iter().filter(|process| process.state != State::Gone) {
                let nothing = Query::Search { text: String::new(), queue: None, from: None, to: None, cursor: None, limit: 1 };
                let (sender, receiver) = oneshot::channel();
                if process.engine.query(Who::Root, nothing, ReplyTo::Once(sender)).is_ok() {
                    asked.push(receiver);
                }
            }
            for receiver in asked {
                // One that has stopped meanwhile answers nothing.
                let _ = receiver.await;
            }
            if !self.react() {
                return;
            }
        }
    }

    /// Says whether anybody had anything to react to.
    fn react(&mut self) -> bool {
        let Self { processes, clients, .. } = self;
        clients.iter_mut().fold(false, |reacted, client| client.react(&processes[client.process]) | reacted)
    }

    /// Whoever should beat has beaten lately.
    async fn all_in_touch(&mut self) -> bool {
        if self.now_ms < self.looked_at + 2 * STEP_MS {
            return true;
        }
        let Picture { members, owners, .. } = self.picture().await;
        let owns = |node| owners.iter().flatten().any(|(_, owner)| owner.node == Some(node));
        let now_ms = self.now_ms;
        let mut all = true;
        for process in self.processes.iter_mut().filter(|process| matches!(process.state, State::Alive | State::Leaving)) {
            let Some(member) = newest(&members, &process.name) else { continue };
            if process.state == State::Leaving && !owns(member.node) {
                continue;
            }
            let beat = (member.node, member.beat);
            if beat != process.beat {
                process.beat = beat;
                process.beaten_at = now_ms;
            }
            all &= now_ms - process.beaten_at <= BEATEN_WITHIN_MS;
        }
        if all {
            self.looked_at = now_ms;
        }
        all
    }

    pub async fn picture(&self) -> Picture {
        self.exchange.look().await.expect("the exchange itself is there")
    }

    /// The member that a process is now.
    pub async fn node(&self, process: usize) -> NodeId {
        newest(&self.picture().await.members, &self.processes[process].name).expect("a member").node
    }

    /// Lets time pass while something is waited for that takes real time too.
    pub async fn meanwhile<T>(&mut self, wait: impl Future<Output = T>) -> T {
        let mut wait = std::pin::pin!(wait);
        let patience = self.now_ms + PATIENCE_MS;
        loop {
            if let Ok(done) = tokio::time::timeout(Duration::from_millis(1), &mut wait).await {
                return done;
            }
            assert!(self.now_ms < patience, "waited in vain");
            self.step().await;
        }
    }

    // ---- what happens to processes

    /// As kill -9.
    pub fn crash(&mut self, process: usize) {
        self.processes[process].engine.crash();
        self.processes[process].state = State::Gone;
        self.clients.retain(|client| client.process != process);
    }

    /// As kill -9 of a process that nobody is connected to.
    pub fn crash_engine(&mut self, process: usize) {
        assert!(self.clients.iter().all(|client| client.process != process));
        self.crash(process);
    }

    /// The test is over: nothing goes on behind it.
    pub fn end(&mut self) {
        self.processes.iter().for_each(|process| process.engine.crash());
    }

    /// As SIGTERM; its people have been sent elsewhere before.
    pub async fn leave(&mut self, process: usize) {
        let engine = self.processes[process].engine.clone();
        self.processes[process].state = State::Leaving;
        self.meanwhile(async move { engine.stop().await }).await;
        self.processes[process].state = State::Gone;
    }

    /// As SIGSTOP for the one who beats; everything else goes on.
    pub fn freeze(&mut self, process: usize) {
        self.processes[process].state = State::Frozen;
    }

    /// As SIGCONT: its clock shows what the others' do.
    pub fn thaw(&mut self, process: usize) {
        let at = &mut self.processes[process];
        let shown = jono_engine::clock::Clock::now(&*at.clock);
        at.clock.advance((BEGINNING + self.now_ms).since_ms(shown));
        at.state = State::Alive;
        at.beaten_at = self.now_ms;
    }

    pub fn cut(&mut self, process: usize) {
        self.processes[process].wire.connection().cut_off();
        self.processes[process].state = State::Cut;
    }

    pub fn mend(&mut self, process: usize) {
        self.processes[process].wire.connection().mend();
        self.processes[process].state = State::Alive;
        self.processes[process].beaten_at = self.now_ms;
    }

    /// Shards, and the processes that own them, as they were published.
    pub async fn owned(&self, process: usize) -> Vec<u16> {
        let picture = self.picture().await;
        let Some(member) = newest(&picture.members, &self.processes[process].name) else { return Vec::new() };
        let owners = picture.owners.unwrap_or_default().into_iter();
        owners.filter(|(_, owner)| owner.node == Some(member.node)).map(|(shard, _)| shard.0).collect()
    }

    pub async fn until_served(&mut self) {
        self.until("everything to be served", |cluster| {
            cluster.processes.iter().filter(|process| process.state == State::Alive).all(|process| process.engine.is_serving())
        })
        .await;
    }

    pub fn total(&self, counter: impl Fn(&jono_engine::counters::Counters) -> u64) -> u64 {
        self.processes.iter().map(|process| counter(&process.engine.counters())).sum()
    }

    // ---- questions without a session

    pub async fn ask(&mut self, process: usize, who: Who, order: Order) -> Answer {
        let engine = self.processes[process].engine.clone();
        let mut answer = std::pin::pin!(async move { engine.ask(who, None, order).await });
        let patience = self.now_ms + PATIENCE_MS;
        loop {
            if let Poll::Ready(answer) = glance(&mut answer).await {
                return answer;
            }
            assert!(self.now_ms < patience, "waited in vain for an answer");
            self.step().await;
        }
    }

    pub async fn done(&mut self, process: usize, who: Who, order: Order) -> Reply {
        let text = format!("{order:?}");
        match self.ask(process, who, order).await {
            Ok(Outcome::Reply(reply)) => reply,
            other => panic!("{text}: {other:?}"),
        }
    }

    pub async fn query(&mut self, process: usize, who: Who, query: Query) -> Answer {
        let (sender, receiver) = oneshot::channel();
        self.processes[process].engine.query(who, query, ReplyTo::Once(sender)).expect("room for a query");
        let mut answer = std::pin::pin!(receiver);
        let patience = self.now_ms + PATIENCE_MS;
        loop {
            if let Poll::Ready(answer) = glance(&mut answer).await {
                return answer.expect("an answer");
            }
            assert!(self.now_ms < patience, "waited in vain for an answer");
            self.step().await;
        }
    }

    pub async fn change(&mut self, process: usize, changed: Change) {
        self.done(process, Who::Root, change(ORGANISATION, changed)).await;
    }

    // ---- people

    /// A customer's session through that process, which follows them.
    pub async fn customer(&mut self, process: usize, customer: CustomerId) -> usize {
        self.client(process, customer_of(customer), Address::Customer(customer)).await
    }

    /// An agent's session.
    pub async fn agent(&mut self, process: usize, agent: AgentId) -> usize {
        self.client(process, agent_of(agent), Address::Agent(agent)).await
    }

    /// A session that is not waited for.
    pub fn another(&mut self, process: usize, who: Who, own: Address) -> usize {
        self.clients.push(Client::connect(&self.processes[process], process, who, own));
        self.clients.len() - 1
    }

    async fn client(&mut self, process: usize, who: Who, own: Address) -> usize {
        let number = self.another(process, who, own);
        self.until("a session to be there", |cluster| cluster.clients[number].is_there()).await;
        number
    }

    /// Asks as a client that repeats, under the same key, what is not available.
    pub async fn say(&mut self, client: usize, order: Order) -> Answer {
        let ticket = self.clients[client].say(&self.processes, order);
        self.answer(client, ticket).await
    }

    pub async fn answer(&mut self, client: usize, ticket: u64) -> Answer {
        self.until("an answer", |cluster| cluster.clients[client].has_answer(ticket)).await;
        self.clients[client].take_answer(ticket).expect("it is there")
    }

    /// Asks, and expects a yes at the first go.
    pub async fn yes(&mut self, client: usize, order: Order) -> Reply {
        let text = format!("{order:?}");
        let before = self.clients[client].repeated;
        match self.say(client, order).await {
            Ok(Outcome::Reply(reply)) => {
                assert_eq!(self.clients[client].repeated, before, "{text} was not available");
                reply
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

/// One look, without waiting.
async fn glance<T>(wait: &mut std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    std::future::poll_fn(|context| Poll::Ready(wait.as_mut().poll(context))).await
}

fn newest<'a>(members: &'a [Member], name: &str) -> Option<&'a Member> {
    members.iter().rev().find(|member| Card::decode(&member.card).about.name == name)
}

pub fn account(agent: AgentId, role: Role, queues: &[QueueId]) -> Account {
    Account {
        name: format!("{agent}"),
        kind: AccountKind::Person,
        role,
        queues: queues.iter().copied().collect(),
        login: None,
        password_hash: None,
        tokens: Default::default(),
        disabled: false,
    }
}

// ---- what must be so

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

impl Cluster {
    fn somebody(&self) -> usize {
        self.processes.iter().position(|process| process.state == State::Alive).expect("somebody is there")
    }

    /// The whole log, as the store has it.
    pub async fn log(&mut self, conversation: ConversationId) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let process = self.somebody();
        loop {
            let from = entries.last().map_or(0, |entry| entry.seq);
            let query = Query::History { conversation, forward: true, from, limit: 500 };
            match self.query(process, agent_of(ODA), query).await {
                Ok(Outcome::History { entries: page, .. }) if page.is_empty() => return entries,
                Ok(Outcome::History { entries: page, .. }) => entries.extend(page),
                other => panic!("{other:?}"),
            }
        }
    }

    pub async fn conversation(&mut self, conversation: ConversationId) -> ConversationView {
        match self.done(self.somebody(), agent_of(ODA), to(conversation, conversation::Command::Describe)).await {
            Reply::Conversation(view) => *view,
            other => panic!("{other:?}"),
        }
    }

    pub async fn rows(&mut self, queue: QueueId) -> Vec<Row> {
        let list = queue::Command::List { after: None, limit: 100 };
        match self.done(self.somebody(), agent_of(ODA), to_queue(queue, list)).await {
            Reply::Rows(rows) => rows,
            other => panic!("{other:?}"),
        }
    }

    pub async fn held(&mut self, agent: AgentId) -> Vec<ConversationId> {
        match self.done(self.somebody(), agent_of(agent), to_agent(agent, agent::Command::Describe)).await {
            Reply::Agent(view) => view.held.into_iter().map(|(conversation, _)| conversation).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// These clients were sent every event that they may see, once and in order, each with the one before it.
    pub async fn all_have_seen(&mut self, conversation: ConversationId, clients: &[usize]) {
        let log = self.log(conversation).await;
        for client in clients.iter().map(|client| &self.clients[*client]) {
            let audience = client.audience();
            let expected: Vec<&Entry> = log.iter().filter(|entry| entry.is_for(audience)).collect();
            let seen: Vec<&Entry> = client.events.get(&conversation).into_iter().flatten().collect();
            assert_eq!(seen, expected, "{:?}", client.who);
        }
    }
}
