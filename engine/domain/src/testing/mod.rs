//! A small deterministic world: the machines of one organisation, virtual time, and a shell that does
//! what the engine's does, without storing. Scenarios are pages of text, see [`script`].

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::account::{AccountKind, Audience, Role, Who};
use crate::agent::Agent;
use crate::conversation::Conversation;
use crate::customer::Customer;
use crate::id::{AgentId, CustomerId, OrganisationId, QueueId};
use crate::machine::{Context, Machine, Weight};
use crate::message::{Address, Effect, Order};
use crate::notice::Notice;
use crate::organisation::{self, Account, Change, Organisation, QueueConfig, QueueSettings};
use crate::queue::Queue;
use crate::reply::{Refusal, Reply};
use crate::time::Time;

mod properties;
mod purity;
pub(crate) mod script;

/// When every world begins: at the start of a grain of typing.
pub(crate) const BEGINNING: Time = Time(1_800_000_000_000);
pub(crate) const ORGANISATION: OrganisationId = OrganisationId::from_bits(1);
pub(crate) const FOREIGN: OrganisationId = OrganisationId::from_bits(2);
pub(crate) const SALES: QueueId = QueueId::from_bits(1);
pub(crate) const TECH: QueueId = QueueId::from_bits(2);
/// Serves sales.
pub(crate) const BOB: AgentId = AgentId::from_bits(1);
/// Serves sales.
pub(crate) const EVE: AgentId = AgentId::from_bits(2);
/// Serves tech.
pub(crate) const DAN: AgentId = AgentId::from_bits(3);
/// An operator, who serves nothing.
pub(crate) const ODA: AgentId = AgentId::from_bits(4);

/// One machine, and everything it stored.
#[derive(Debug)]
pub(crate) struct Cell<M: Machine> {
    pub state: M,
    pub journal: Vec<M::Event>,
}

impl<M: Machine> Default for Cell<M> {
    fn default() -> Self {
        Self { state: M::default(), journal: Vec::new() }
    }
}

pub(crate) type Cells<M> = BTreeMap<<M as Machine>::Id, Cell<M>>;
pub(crate) type Answer = Result<Reply, Refusal>;
/// A connection.
pub(crate) type Session = u32;

struct Posted {
    number: u64,
    who: Who,
    order: Order,
    request: Option<u64>,
}

/// Disorder that the engine allows: orders between different pairs overtake each other, and come twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chaos(pub u64);

impl Chaos {
    fn below(&mut self, bound: usize) -> usize {
        // xorshift64
        self.0 = self.0.max(1);
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

#[derive(Default)]
pub(crate) struct World {
    pub now: Time,
    pub directory: Rc<Organisation>,
    pub organisations: Cells<Organisation>,
    pub queues: Cells<Queue>,
    pub agents: Cells<Agent>,
    pub customers: Cells<Customer>,
    pub conversations: Cells<Conversation>,
    pub chaos: Option<Chaos>,
    pub sessions: BTreeMap<Session, Who>,
    pub followers: BTreeMap<Address, BTreeMap<Session, Audience>>,
    /// Everything that was published, and everything that each session was told.
    pub published: Vec<(Time, Address, Notice)>,
    pub told: Vec<(Session, Notice)>,
    orders: BTreeMap<(Option<Address>, Address), VecDeque<Posted>>,
    posted: u64,
    requests: u64,
    pub answers: BTreeMap<u64, Answer>,
}

/// A machine with its place in the world.
pub(crate) trait Kind: Machine<Id: Ord> {
    fn cells(world: &mut World) -> &mut Cells<Self>;
    fn address(id: Self::Id) -> Address;
}

macro_rules! kinds {
    ($($machine:ident $cells:ident,)*) => {
        $(impl Kind for $machine {
            fn cells(world: &mut World) -> &mut Cells<Self> {
                &mut world.$cells
            }
            fn address(id: Self::Id) -> Address {
                Address::$machine(id)
            }
        })*

        impl World {
            fn run(&mut self, posted: Posted) {
                match posted.order {
                    $(Order::$machine(id, command) => self.step::<$machine>(id, posted.who, &command, posted.request),)*
                }
            }

            fn admit(&mut self, who: Who, address: Address) -> Result<Audience, Refusal> {
                match address {
                    $(Address::$machine(id) => {
                        let directory = Rc::clone(&self.directory);
                        let now = self.now;
                        let cell = self.$cells.entry(id).or_default();
                        let organisation = settings(&directory, who, &cell.state, address);
                        cell.state.admit(id, &Context { now, who, organisation })
                    })*
                }
            }

            fn count(&mut self, address: Address) {
                let followers = self.followers.entry(address).or_default();
                let customers = followers.values().filter(|audience| **audience == Audience::Customer).count();
                let agents = followers.len() - customers;
                match address {
                    $(Address::$machine(id) => {
                        if let Some(command) = <$machine as Machine>::followed(customers, agents) {
                            self.step::<$machine>(id, Who::Engine, &command, None);
                        }
                    })*
                }
            }

            fn next_timer(&self) -> Option<(Time, Address)> {
                let all = std::iter::empty();
                $(let all = all.chain(
                    self.$cells.iter().filter_map(|(id, cell)| Some((cell.state.next_deadline()?, Address::$machine(*id)))),
                );)*
                all.min()
            }

            fn expire(&mut self, address: Address) {
                match address {
                    $(Address::$machine(id) => {
                        let now = self.now;
                        let events = self.$cells[&id].state.expire(id, now);
                        assert!(!events.is_empty(), "a deadline of {address:?} at {now:?} with nothing to say");
                        self.apply::<$machine>(id, Who::Engine, &events, None);
                    })*
                }
            }

            /// Everything is loaded anew, as after a crash; connections are gone.
            pub fn restart(&mut self) {
                self.orders.clear();
                self.sessions.clear();
                self.followers.clear();
                $(for id in self.$cells.keys().copied().collect::<Vec<_>>() {
                    let stored = roundtrip(&self.$cells[&id].state);
                    self.$cells.entry(id).or_default().state = stored;
                })*
                $(for id in self.$cells.keys().copied().collect::<Vec<_>>() {
                    let directory = Rc::clone(&self.directory);
                    let state = &self.$cells[&id].state;
                    let organisation = settings(&directory, Who::Engine, state, Address::$machine(id));
                    let (events, effects) = state.recovered(id, &Context { now: self.now, who: Who::Engine, organisation });
                    self.apply::<$machine>(id, Who::Engine, &events, None);
                    effects.into_iter().for_each(|effect| self.effect(Address::$machine(id), Who::Engine, &mut None, effect));
                })*
            }
        }
    };
}

kinds! {
    Organisation organisations,
    Queue queues,
    Agent agents,
    Customer customers,
    Conversation conversations,
}

/// The settings that the engine would lend.
fn settings<'a, M: Machine>(directory: &'a Organisation, who: Who, state: &M, address: Address) -> Option<&'a Organisation> {
    let named = who.organisation().or_else(|| state.organisation());
    let ours = match named {
        Some(id) => directory.id == id,
        None => match address {
            Address::Organisation(id) => directory.id == id,
            Address::Queue(id) => directory.queues.contains_key(&id),
            Address::Agent(id) => directory.accounts.contains_key(&id),
            Address::Customer(_) | Address::Conversation(_) => false,
        },
    };
    (ours && directory.created).then_some(directory)
}

/// As it would come back from the store.
pub(crate) fn roundtrip<M: Machine>(state: &M) -> M {
    let config = bincode::config::standard();
    let bytes = bincode::serde::encode_to_vec(state, config).expect("states can be encoded");
    bincode::serde::decode_from_slice(&bytes, config).expect("and decoded").0
}

impl World {
    /// Two queues, three agents and an operator.
    pub fn new() -> Self {
        let mut world = Self { now: BEGINNING, ..Self::default() };
        world.change(Change::Create { organisation: ORGANISATION, name: "Shop".to_owned() });
        for (queue, name) in [(SALES, "sales"), (TECH, "tech")] {
            let config = QueueConfig { name: name.to_owned(), settings: QueueSettings::default() };
            world.change(Change::PutQueue { queue, config: Some(config) });
        }
        for (agent, name, queue) in
            [(BOB, "bob", Some(SALES)), (EVE, "eve", Some(SALES)), (DAN, "dan", Some(TECH)), (ODA, "oda", None)]
        {
            let role = if agent == ODA { Role::Operator } else { Role::Agent };
            world.change(Change::PutAgent { agent, account: Some(Box::new(account(name, role, queue))) });
        }
        world.published.clear();
        world
    }

    /// The operator of all changes the settings.
    pub fn change(&mut self, change: Change) {
        let answer =
            self.ask(Who::Root, Order::Organisation(ORGANISATION, Box::new(organisation::Command::Change(Box::new(change)))));
        assert_eq!(answer, Ok(Reply::Done));
    }

    /// Changes a queue's settings.
    pub fn set(&mut self, queue: QueueId, change: impl FnOnce(&mut QueueSettings)) {
        let mut config = self.directory.queues[&queue].clone();
        change(&mut config.settings);
        self.change(Change::PutQueue { queue, config: Some(config) });
    }

    /// Asks, and waits for the answer.
    pub fn ask(&mut self, who: Who, order: Order) -> Answer {
        let request = self.send(who, order);
        self.drain();
        self.answers.get(&request).cloned().expect("every request is answered")
    }

    /// Asks; the answer comes while orders run.
    pub fn send(&mut self, who: Who, order: Order) -> u64 {
        self.requests += 1;
        self.post(None, who, order, Some(self.requests));
        self.requests
    }

    /// Runs orders until there are none.
    pub fn drain(&mut self) {
        while self.run_one() {}
    }

    /// Runs one order.
    pub fn run_one(&mut self) -> bool {
        let pair = match &mut self.chaos {
            None => self.orders.iter().min_by_key(|(_, line)| line.front().map(|posted| posted.number)).map(|(pair, _)| *pair),
            Some(chaos) => {
                let nth = chaos.below(self.orders.len());
                self.orders.keys().nth(nth).copied()
            }
        };
        let Some(pair) = pair else { return false };
        let line = self.orders.get_mut(&pair).expect("was there");
        let posted = line.pop_front().expect("lines are not empty");
        if line.is_empty() {
            self.orders.remove(&pair);
        }
        let twice = posted.request.is_none() && self.chaos.as_mut().is_some_and(|chaos| chaos.below(6) == 0);
        if twice {
            self.run(Posted { order: posted.order.clone(), ..posted });
        }
        self.run(posted);
        true
    }

    fn post(&mut self, from: Option<Address>, who: Who, order: Order, request: Option<u64>) {
        self.posted += 1;
        let posted = Posted { number: self.posted, who, order, request };
        self.orders.entry((from, posted.order.address())).or_default().push_back(posted);
    }

    /// Lets time pass, with all timers on the way.
    pub fn pass_until(&mut self, until: Time) {
        self.drain();
        while self.fire_one(until) {
            self.drain();
        }
        self.now = self.now.max(until);
    }

    /// The next timer, if it is due until then.
    pub fn fire_one(&mut self, until: Time) -> bool {
        match self.next_timer() {
            Some((at, address)) if at <= until => {
                self.now = self.now.max(at);
                self.expire(address);
                true
            }
            _ => false,
        }
    }

    fn step<M: Kind>(&mut self, id: M::Id, who: Who, command: &M::Command, request: Option<u64>) {
        let directory = Rc::clone(&self.directory);
        let now = self.now;
        let cell = M::cells(self).entry(id).or_default();
        let organisation = settings(&directory, who, &cell.state, M::address(id));
        let context = Context { now, who, organisation };
        match cell.state.decide(id, command, &context) {
            Err(refusal) => {
                if let Some(request) = request {
                    self.answer(request, Err(refusal));
                }
            }
            Ok(events) => {
                let mut after = cell.state.clone();
                events.iter().for_each(|event| after.evolve(event));
                let reply = after.answer(id, command, &events, &context);
                let request = match (reply, request) {
                    (Some(reply), Some(request)) => {
                        self.answer(request, Ok(reply));
                        None
                    }
                    (None, request) => request,
                    (Some(_), None) => None,
                };
                self.apply::<M>(id, who, &events, request);
            }
        }
    }

    fn answer(&mut self, request: u64, answer: Answer) {
        assert!(self.answers.insert(request, answer).is_none(), "a request is answered once");
    }

    fn apply<M: Kind>(&mut self, id: M::Id, who: Who, events: &[M::Event], mut request: Option<u64>) {
        let cell = M::cells(self).entry(id).or_default();
        events.iter().for_each(|event| cell.state.evolve(event));
        cell.journal.extend(events.iter().filter(|event| M::weight(event) != Weight::Passing).cloned());
        let effects: Vec<Effect> = events.iter().flat_map(|event| cell.state.react(id, event)).collect();
        effects.into_iter().for_each(|effect| self.effect(M::address(id), who, &mut request, effect));
        assert_eq!(request, None, "a request that was not answered goes on");
    }

    fn effect(&mut self, from: Address, who: Who, request: &mut Option<u64>, effect: Effect) {
        match effect {
            Effect::Tell(order) => self.post(Some(from), Who::Engine, order, None),
            Effect::Forward(order) => {
                let request = request.take();
                self.post(Some(from), who, order, request);
            }
            Effect::Publish(audience, notice) => {
                for (session, follows_as) in self.followers.get(&from).into_iter().flatten() {
                    let is_for = match &notice {
                        Notice::Entry { entry, .. } => entry.is_for(*follows_as),
                        _ => audience.is_none_or(|audience| audience == *follows_as),
                    };
                    if is_for {
                        self.told.push((*session, notice.clone()));
                    }
                }
                self.published.push((self.now, from, notice));
            }
            Effect::FollowConversation(conversation) => {
                let sessions: Vec<_> = self.followers.get(&from).into_iter().flatten().map(|(session, _)| *session).collect();
                sessions.into_iter().for_each(|session| {
                    self.follow(session, Address::Conversation(conversation)).ok();
                });
            }
            Effect::RecheckFollowers => {
                let followers = self.followers.get(&from).cloned().unwrap_or_default();
                for session in followers.into_keys() {
                    if self.admit(self.sessions[&session], from).is_err() {
                        self.unfollow(session, from);
                    }
                }
            }
            Effect::PublishOrganisation => self.directory = Rc::new(self.organisations[&ORGANISATION].state.clone()),
        }
    }

    /// A connection opens and follows what its kind follows.
    pub fn connect(&mut self, who: Who) -> Session {
        let session = self.sessions.keys().last().map_or(1, |last| last + 1);
        self.sessions.insert(session, who);
        let conversations: Vec<_> = match who {
            Who::Customer(_, customer) => {
                self.follow(session, Address::Customer(customer)).ok();
                self.customers.get(&customer).into_iter().flat_map(|cell| cell.state.open.clone()).collect()
            }
            Who::Agent(organisation, agent) => {
                self.follow(session, Address::Agent(agent)).ok();
                self.follow(session, Address::Organisation(organisation)).ok();
                for queue in self.directory.queues.keys().copied().collect::<Vec<_>>() {
                    self.follow(session, Address::Queue(queue)).ok();
                }
                self.agents.get(&agent).into_iter().flat_map(|cell| cell.state.held.clone().into_keys()).collect()
            }
            Who::Root | Who::Engine => Vec::new(),
        };
        for conversation in conversations {
            self.follow(session, Address::Conversation(conversation)).ok();
        }
        self.drain();
        session
    }

    /// All connections of this credential close.
    pub fn disconnect(&mut self, who: Who) {
        let sessions: Vec<Session> = self.sessions.iter().filter(|(_, of)| **of == who).map(|(session, _)| *session).collect();
        for session in sessions {
            let followed: Vec<_> =
                self.followers.iter().filter(|(_, by)| by.contains_key(&session)).map(|(address, _)| *address).collect();
            followed.into_iter().for_each(|address| self.unfollow(session, address));
            self.sessions.remove(&session);
        }
        self.drain();
    }

    pub fn follow(&mut self, session: Session, address: Address) -> Result<Audience, Refusal> {
        let audience = self.admit(self.sessions[&session], address)?;
        if self.followers.entry(address).or_default().insert(session, audience).is_none() {
            self.count(address);
        }
        Ok(audience)
    }

    fn unfollow(&mut self, session: Session, address: Address) {
        if self.followers.entry(address).or_default().remove(&session).is_some() {
            self.count(address);
        }
    }
}

pub(crate) fn account(name: &str, role: Role, queue: Option<QueueId>) -> Account {
    Account {
        name: name.to_owned(),
        kind: AccountKind::Person,
        role,
        queues: queue.into_iter().collect(),
        login: None,
        password_hash: None,
        tokens: BTreeMap::new(),
        disabled: false,
    }
}

pub(crate) fn agent(agent: AgentId) -> Who {
    Who::Agent(ORGANISATION, agent)
}

pub(crate) fn customer(customer: u128) -> Who {
    Who::Customer(ORGANISATION, CustomerId::from_bits(customer))
}
