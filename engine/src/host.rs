//! One arbiter: its shards, the entities that are loaded, their timers.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, Addr};
use arc_swap::ArcSwap;
use jono_domain::agent::Agent;
use jono_domain::conversation::Conversation;
use jono_domain::customer::Customer;
use jono_domain::message::Address;
use jono_domain::organisation::Organisation;
use jono_domain::queue::Queue;
use jono_domain::reply::Refusal;
use jono_store::{Loaded, ShardId, Store};

use crate::bus::{Bus, Inbox};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::delivery::SessionRef;
use crate::directory::Directory;
use crate::engine::PanicIf;
use crate::entity::{Entity, Parcel};
use crate::kind::{Kind, shard_of};
use crate::letter::Letter;
use crate::limits::{ENTITY_INBOX_MAX, LETTERS_PER_TURN, RETRY_AFTER_MS};
use crate::output::{Output, SharedFollowers, unavailable};
use crate::shard::{Shard, Step};
use crate::timers::Timers;

/// What all arbiters share.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) shard_count: u16,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) directory: Arc<ArcSwap<Directory>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) panic_if: Option<PanicIf>,
}

/// One arbiter's part of the engine. Everything in here runs on one thread.
pub(crate) struct Host {
    common: Common,
    pub(crate) shards: RefCell<HashMap<ShardId, Shard>>,
    residents: RefCell<HashMap<Address, Resident>>,
    /// Followers stay while their entity is unloaded or loaded again.
    followers: RefCell<HashMap<Address, SharedFollowers>>,
    pub(crate) timers: Timers,
}

impl std::ops::Deref for Host {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

/// An entity that is loaded.
struct Resident {
    mailbox: Mailbox,
    load: Rc<Load>,
}

/// How much an entity has to do; shared by the entity and the host.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Parcels in its mailbox.
    pub(crate) queued: Cell<u32>,
    /// Steps that are not confirmed.
    pub(crate) unconfirmed: Cell<u32>,
    /// A commit failed: the state is not what is stored.
    pub(crate) stale: Cell<bool>,
}

enum Mailbox {
    Organisation(Addr<Entity<Organisation>>),
    Queue(Addr<Entity<Queue>>),
    Agent(Addr<Entity<Agent>>),
    Customer(Addr<Entity<Customer>>),
    Conversation(Addr<Entity<Conversation>>),
}

impl Mailbox {
    /// `do_send` knows no limit: only [`Host::give`] may call this, which does.
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
            followers: RefCell::default(),
            timers: Timers::default(),
        })
    }

    /// Takes letters until nobody can send any more, and wakes entities when their time comes.
    pub(crate) fn run(self: &Rc<Self>, mut inbox: Inbox) {
        let host = Rc::clone(self);
        actix_rt::spawn(async move {
            let mut letters = Vec::with_capacity(LETTERS_PER_TURN);
            while inbox.receive(&mut letters, LETTERS_PER_TURN).await > 0 {
                for letter in letters.drain(..) {
                    host.give(letter.address(), Parcel::Letter(letter));
                }
                if !inbox.is_empty() {
                    tokio::task::yield_now().await;
                }
            }
        });
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
        if let Parcel::Letter(Letter::Unfollow { .. }) = &parcel
            && !self.followers.borrow().contains_key(&address)
        {
            return;
        }
        let mut residents = self.residents.borrow_mut();
        let resident = residents.entry(address).or_insert_with(|| self.start(address, None));
        if resident.load.queued.get() >= ENTITY_INBOX_MAX
            && let Parcel::Letter(letter) = parcel
        {
            if letter.is_from_outside() {
                drop(residents);
                self.counters.refused_busy.add(1);
                let busy = Refusal::Busy { retry_after_ms: RETRY_AFTER_MS };
                return self.send([Output::Reply(letter.into_reply_to(), Err(busy))]);
            }
            resident.load.queued.set(resident.load.queued.get() + 1);
            resident.mailbox.put(Parcel::Letter(letter));
            return;
        }
        resident.load.queued.set(resident.load.queued.get() + 1);
        resident.mailbox.put(parcel);
    }

    fn wake(&self, address: Address, at: jono_domain::time::Time) {
        if let Some(resident) = self.residents.borrow().get(&address) {
            resident.load.queued.set(resident.load.queued.get() + 1);
            resident.mailbox.put(Parcel::Wake(at));
        }
    }

    /// Starts an entity with what the store had at start.
    pub(crate) fn recover(self: &Rc<Self>, address: Address, loaded: Loaded) {
        let resident = self.start(address, Some(loaded));
        self.residents.borrow_mut().insert(address, resident);
    }

    fn start(self: &Rc<Self>, address: Address, loaded: Option<Loaded>) -> Resident {
        let load = Rc::new(Load::default());
        self.counters.entities_loaded.add(1);
        let mailbox = match address {
            Address::Organisation(id) => Mailbox::Organisation(self.entity(id, &load, loaded)),
            Address::Queue(id) => Mailbox::Queue(self.entity(id, &load, loaded)),
            Address::Agent(id) => Mailbox::Agent(self.entity(id, &load, loaded)),
            Address::Customer(id) => Mailbox::Customer(self.entity(id, &load, loaded)),
            Address::Conversation(id) => Mailbox::Conversation(self.entity(id, &load, loaded)),
        };
        Resident { mailbox, load }
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

    /// Nobody follows that entity any more.
    pub(crate) fn drop_followers(&self, address: Address) {
        self.followers.borrow_mut().remove(&address);
    }

    pub(crate) fn post_unfollow(&self, session: SessionRef, what: Address) {
        // Never refused: see `Letter::is_from_outside`.
        let _ = self.bus.post(Letter::Unfollow { session, what });
    }

    /// These steps are stored: what they send may leave.
    pub(crate) fn confirmed(self: &Rc<Self>, steps: Vec<Step>) {
        let mut outputs = Vec::with_capacity(steps.len() * 4);
        {
            let residents = self.residents.borrow();
            for step in steps {
                if let Some(resident) = residents.get(&step.entity) {
                    let load = &resident.load.unconfirmed;
                    load.set(load.get().saturating_sub(1));
                }
                outputs.extend(step.outputs);
            }
        }
        self.send(outputs);
    }

    /// These steps are not stored, or nobody knows: whoever asked is told, and the entities look into the store again.
    pub(crate) fn failed(self: &Rc<Self>, steps: Vec<Step>) {
        let mut outputs = Vec::new();
        let mut reload = Vec::new();
        for step in steps {
            if !reload.contains(&step.entity) {
                reload.push(step.entity);
            }
            for output in step.outputs {
                match output {
                    Output::Reply(reply_to, _) => outputs.push(Output::Reply(reply_to, Err(unavailable()))),
                    Output::Post(letter) => outputs.push(Output::Reply(letter.into_reply_to(), Err(unavailable()))),
                    Output::CatchUp(catch_up) => {
                        self.post_unfollow(catch_up.session, catch_up.what);
                        outputs.push(Output::Reply(catch_up.reply_to, Err(unavailable())));
                    }
                    Output::Publish(..) | Output::FollowConversation(..) | Output::Expel(..) | Output::PublishOrganisation(_) => {
                    }
                }
            }
        }
        for address in reload {
            if let Some(resident) = self.residents.borrow().get(&address) {
                resident.load.unconfirmed.set(0);
                resident.load.stale.set(true);
            }
            self.give(address, Parcel::Reload);
        }
        self.send(outputs);
    }

    /// Is this process the shard's writer?
    pub(crate) fn owns(&self, shard: ShardId) -> bool {
        self.shards.borrow().contains_key(&shard)
    }

    /// No step waits for a commit.
    pub(crate) fn is_idle(&self) -> bool {
        let quiet = self.residents.borrow().values().all(|resident| resident.load.queued.get() == 0);
        quiet && self.shards.borrow().values().all(Shard::is_idle)
    }
}
