//! One arbiter: its shards, the entities that are loaded, their timers.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, Addr};
use arc_swap::ArcSwap;
use jono_domain::agent::Agent;
use jono_domain::conversation::Conversation;
use jono_domain::customer::Customer;
use jono_domain::message::{Address, Order};
use jono_domain::organisation::Organisation;
use jono_domain::queue::Queue;
use jono_points::{KillPoint, pass};
use jono_store::{Loaded, ShardId, Store};

use crate::asleep::Asleep;
use crate::bus::{Bus, Inbox};
use crate::clock::Clock;
use crate::committing::Line;
use crate::counters::Counters;
use crate::delivery::SessionRef;
use crate::directory::Directory;
use crate::engine::PanicIf;
use crate::entity::{Entity, Parcel};
use crate::kind::{Kind, shard_of};
use crate::later::Later;
use crate::lease::Tenure;
use crate::letter::Letter;
use crate::limits::{ENTITY_INBOX_MAX, LETTERS_PER_TURN};
use crate::output::{Output, SharedFollowers, busy, unavailable};
use crate::shard::{Shard, Step, Tale};
use crate::tenancy::Departures;
use crate::timers::Timers;

/// What all arbiters share.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) shard_count: u16,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) tenure: Arc<Tenure>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) directory: Arc<ArcSwap<Directory>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) panic_if: Option<PanicIf>,
}

/// One arbiter's part of the engine. Everything in here runs on one thread.
pub(crate) struct Host {
    common: Common,
    pub(crate) shards: RefCell<BTreeMap<ShardId, Shard>>,
    pub(crate) residents: RefCell<HashMap<Address, Resident>>,
    pub(crate) asleep: Asleep,
    pub(crate) later: Later,
    /// Followers stay while their entity is unloaded or loaded again.
    pub(crate) followers: RefCell<HashMap<Address, SharedFollowers>>,
    last_ticket: Cell<u64>,
    pub(crate) timers: Timers,
    pub(crate) line: Line,
    pub(crate) departures: Departures,
}

impl std::ops::Deref for Host {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

/// An entity that is loaded.
pub(crate) struct Resident {
    mailbox: Mailbox,
    load: Rc<Load>,
}

/// How much an entity has to do; shared by the entity and the host.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Its state is not there (yet): parcels wait.
    pub(crate) loading: Cell<bool>,
    /// Parcels in its mailbox.
    pub(crate) queued: Cell<u32>,
    /// Steps that are not confirmed.
    pub(crate) unconfirmed: Cell<u32>,
    /// A commit failed: the state is not what is stored.
    pub(crate) stale: Cell<bool>,
    /// Steps of a commit whose outcome is unknown, without what can be refused: what is left follows if they are
    /// found to be stored.
    pub(crate) doubtful: RefCell<Vec<Step>>,
}

impl Resident {
    pub(crate) fn put(&self, parcel: Parcel) {
        self.load.queued.set(self.load.queued.get() + 1);
        self.mailbox.put(parcel);
    }
}

enum Mailbox {
    Organisation(Addr<Entity<Organisation>>),
    Queue(Addr<Entity<Queue>>),
    Agent(Addr<Entity<Agent>>),
    Customer(Addr<Entity<Customer>>),
    Conversation(Addr<Entity<Conversation>>),
}

impl Mailbox {
    /// `do_send` knows no limit: what may be refused comes through [`Host::give`], which does.
    fn put(&self, parcel: Parcel) {
        match self {
            Mailbox::Organisation(entity) => entity.do_send(parcel),
            Mailbox::Queue(entity) => entity.do_send(parcel),
            Mailbox::Agent(entity) => entity.do_send(parcel),
            Mailbox::Customer(entity) => entity.do_send(parcel),
            Mailbox::Conversation(entity) => entity.do_send(parcel),
        }
    }
}

impl Host {
    pub(crate) fn new(common: Common) -> Rc<Self> {
        Rc::new(Self {
            common,
            shards: RefCell::default(),
            residents: RefCell::default(),
            asleep: Asleep::default(),
            later: Later::default(),
            followers: RefCell::default(),
            last_ticket: Cell::new(0),
            timers: Timers::default(),
            line: Line::default(),
            departures: Departures::default(),
        })
    }

    /// Takes letters until nobody can send any more, and wakes entities when their time comes.
    pub(crate) fn run(self: &Rc<Self>, mut inbox: Inbox) {
        let host = Rc::clone(self);
        actix_rt::spawn(async move {
            let mut letters = Vec::with_capacity(LETTERS_PER_TURN);
            while inbox.receive(&mut letters, LETTERS_PER_TURN).await > 0 {
                for letter in letters.drain(..) {
                    pass(KillPoint::LetterTaken);
                    host.give(letter.address(), Parcel::Letter(letter));
                }
                if !inbox.is_empty() {
                    tokio::task::yield_now().await;
                }
            }
        });
        actix_rt::spawn(Rc::clone(self).commit());
        actix_rt::spawn(Rc::clone(self).tell_later());
        let host = Rc::clone(self);
        actix_rt::spawn(async move {
            loop {
                for (at, address) in host.timers.next(&*host.clock).await {
                    host.wake(address, at);
                }
            }
        });
    }

    /// Gives an entity a parcel, loading the entity if it is not. The only way to an entity.
    pub(crate) fn give(self: &Rc<Self>, address: Address, parcel: Parcel) {
        let is_there = self.residents.borrow().contains_key(&address);
        let Some(parcel) = (if is_there { Some(parcel) } else { self.without_entity(address, parcel) }) else { return };
        let mut residents = self.residents.borrow_mut();
        let resident = residents.entry(address).or_insert_with(|| self.start(address));
        match parcel {
            Parcel::Letter(letter) if letter.is_from_outside() && resident.load.queued.get() >= ENTITY_INBOX_MAX => {
                drop(residents);
                self.counters.refused_busy.add(1);
                self.send([Output::Reply(letter.into_reply_to(), Err(busy()))]);
            }
            parcel => resident.put(parcel),
        }
    }

    fn wake(self: &Rc<Self>, address: Address, at: jono_domain::time::Time) {
        if self.asleep.holds(address) {
            if self.owns(shard_of(address, self.shard_count)) {
                // Its deadline is the first thing that it looks at.
                self.rouse(address);
            } else {
                drop(self.take_sleeper(address));
            }
            return;
        }
        if let Some(resident) = self.residents.borrow().get(&address) {
            resident.put(Parcel::Wake(at));
        }
    }

    /// Brings an entity back with what the store had at start, unless a letter was faster: then it reads for itself.
    /// Adds what others must be told.
    pub(crate) fn recover(self: &Rc<Self>, address: Address, loaded: Loaded, told: &mut Vec<Order>) {
        if !self.residents.borrow().contains_key(&address)
            && let Some(loaded) = self.put_to_sleep(address, loaded, told)
        {
            let resident = self.start_with(address, Some(loaded), 0);
            self.residents.borrow_mut().insert(address, resident);
        }
    }

    /// Makes sure that the entity is there, and hears what was kept for it.
    pub(crate) fn rouse(self: &Rc<Self>, address: Address) {
        self.residents.borrow_mut().entry(address).or_insert_with(|| self.start(address));
    }

    fn start(self: &Rc<Self>, address: Address) -> Resident {
        let (loaded, unconfirmed) = match self.take_sleeper(address) {
            Some(sleeper) => (Some(sleeper.loaded), sleeper.unconfirmed),
            None => (None, 0),
        };
        self.start_with(address, loaded, unconfirmed)
    }

    fn start_with(self: &Rc<Self>, address: Address, loaded: Option<Loaded>, unconfirmed: u32) -> Resident {
        let load = Rc::new(Load { loading: Cell::new(true), unconfirmed: Cell::new(unconfirmed), ..Load::default() });
        self.counters.entities_loaded.add(1);
        let mailbox = match address {
            Address::Organisation(id) => Mailbox::Organisation(self.entity(id, &load, loaded)),
            Address::Queue(id) => Mailbox::Queue(self.entity(id, &load, loaded)),
            Address::Agent(id) => Mailbox::Agent(self.entity(id, &load, loaded)),
            Address::Customer(id) => Mailbox::Customer(self.entity(id, &load, loaded)),
            Address::Conversation(id) => Mailbox::Conversation(self.entity(id, &load, loaded)),
        };
        let resident = Resident { mailbox, load };
        self.later.take(address).into_iter().for_each(|order| resident.put(Parcel::Letter(Letter::tell(order))));
        resident
    }

    fn entity<M: Kind>(self: &Rc<Self>, id: M::Id, load: &Rc<Load>, loaded: Option<Loaded>) -> Addr<Entity<M>>
    where
        Entity<M>: Actor<Context = actix::Context<Entity<M>>>,
    {
        let shard = shard_of(M::address(id), self.shard_count);
        Entity::new(id, shard, Rc::clone(self), Rc::clone(load), loaded).start()
    }

    /// The entity is not needed; it has nothing in its mailbox.
    pub(crate) fn unload(&self, address: Address) {
        self.residents.borrow_mut().remove(&address);
        self.counters.entities_loaded.sub(1);
    }

    /// The followers of an entity, made if there are none.
    pub(crate) fn followers_of(&self, address: Address) -> SharedFollowers {
        Rc::clone(self.followers.borrow_mut().entry(address).or_default())
    }

    /// The followers of an entity, if there are any.
    pub(crate) fn known_followers(&self, address: Address) -> Option<SharedFollowers> {
        self.followers.borrow().get(&address).cloned()
    }

    /// Another number for each following.
    pub(crate) fn next_ticket(&self) -> u64 {
        self.last_ticket.set(self.last_ticket.get() + 1);
        self.last_ticket.get()
    }

    /// Nobody follows that entity any more.
    pub(crate) fn drop_followers(&self, address: Address) {
        self.followers.borrow_mut().remove(&address);
    }

    pub(crate) fn post_unfollow(&self, session: SessionRef, what: Address) {
        tracing::trace!(?what, ?session, "is led there no more");
        // Never refused: see `Letter::is_from_outside`.
        let _ = self.bus.post(Letter::Unfollow { session, what, is_led: false });
    }

    /// These steps are stored: what they send may leave.
    pub(crate) fn confirmed(self: &Rc<Self>, steps: Vec<Step>) {
        let mut outputs = Vec::with_capacity(steps.len() * 4);
        {
            let residents = self.residents.borrow();
            for step in steps {
                match residents.get(&step.entity) {
                    Some(resident) => {
                        let load = &resident.load.unconfirmed;
                        load.set(load.get().saturating_sub(1));
                    }
                    None => self.asleep.confirm(step.entity),
                }
                outputs.extend(step.outputs);
            }
        }
        self.send(outputs);
    }

    /// Of the first steps nobody knows whether they are stored; the others are not. Whoever asked is told, and
    /// the entities look into the store again.
    pub(crate) fn failed(self: &Rc<Self>, doubtful: Vec<Step>, lost: Vec<Step>) {
        let mut outputs = Vec::new();
        for (address, Undone { again, doubtful }) in undone(doubtful, lost, &mut outputs) {
            if let Some(resident) = self.residents.borrow().get(&address) {
                resident.load.unconfirmed.set(0);
                resident.load.stale.set(true);
                resident.load.doubtful.borrow_mut().extend(doubtful);
            }
            // One that slept reads, and says again what it said.
            drop(self.take_sleeper(address));
            self.give(address, Parcel::Reload);
            again.into_iter().for_each(|parcel| self.give(address, parcel));
        }
        self.send(outputs);
    }

    /// Steps that were decided when this process had their shards under other epochs. Whether they are stored cannot be found out
    /// any more: the log may hold what others wrote in their place. Whoever has the entities now tells everybody anew.
    pub(crate) fn outlived(self: &Rc<Self>, steps: Vec<Step>) {
        let mut outputs = Vec::new();
        for (address, Undone { again, .. }) in undone(Vec::new(), steps, &mut outputs) {
            again.into_iter().for_each(|parcel| self.give(address, parcel));
        }
        self.send(outputs);
    }

    /// May this process serve the shard now? Not if it has lost it again before it was ready to.
    pub(crate) fn owns(&self, shard: ShardId) -> bool {
        let is_ours = |state: &Shard| state.is_open() && !self.bus.is_outdated(shard, state.epoch());
        self.shards.borrow().get(&shard).is_some_and(is_ours) && self.tenure.holds_or_misses(self.clock.now())
    }

    /// No step waits for a commit.
    pub(crate) fn is_idle(&self) -> bool {
        let is_quiet = |resident: &Resident| resident.load.queued.get() == 0 && !resident.load.loading.get();
        self.residents.borrow().values().all(is_quiet) && self.shards.borrow().values().all(Shard::is_idle)
    }
}

/// What queues tell their lists and those who wait, and organisations tell of presence, rests on what others have
/// stored and announced: it is true whatever became of the entity's own records. What is not is told anew (`Kind::keep`).
fn rests_on_others(entity: Address, output: &Output) -> bool {
    match (entity, output) {
        (Address::Queue(_) | Address::Organisation(_), Output::Publish(..)) => true,
        (Address::Queue(_) | Address::Organisation(_), Output::Post(letter)) => letter.is_tale(),
        _ => false,
    }
}
/// What is left of an entity's steps that failed.
#[derive(Default)]
struct Undone {
    /// Sessions that begin to follow once more.
    again: Vec<Parcel>,
    /// Without what can be refused.
    doubtful: Vec<Step>,
}

/// Adds what is said at once.
fn undone(doubtful: Vec<Step>, lost: Vec<Step>, outputs: &mut Vec<Output>) -> BTreeMap<Address, Undone> {
    let mut entities: BTreeMap<Address, Undone> = BTreeMap::new();
    let doubtful = doubtful.into_iter().map(|step| (step, true));
    for (mut step, is_doubtful) in doubtful.chain(lost.into_iter().map(|step| (step, false))) {
        let entity = entities.entry(step.entity).or_default();
        let mut left = Vec::new();
        for output in std::mem::take(&mut step.outputs) {
            match output {
                Output::Reply(reply_to, _) => outputs.push(Output::Reply(reply_to, Err(unavailable()))),
                Output::CatchUp(catch_up) => entity.again.push(Parcel::FollowAgain((*catch_up).into())),
                output if rests_on_others(step.entity, &output) => outputs.push(output),
                Output::Post(letter) if is_doubtful && letter.is_tale() => left.push(Output::Post(letter)),
                Output::Post(letter) => outputs.push(Output::Reply(letter.into_reply_to(), Err(unavailable()))),
                output if is_doubtful => left.push(output),
                Output::Publish(..) | Output::FollowConversation(..) | Output::Expel(..) | Output::PublishOrganisation(_) => {}
            }
        }
        if is_doubtful {
            step.outputs = left;
            entity.doubtful.push(step);
        } else {
            outputs.extend(step.tale.and_then(Tale::again));
        }
    }
    entities
}
