//! Conversations that came back and that nothing has asked for since. What was read of them is kept and their alarm is set; the
//! others have been told how they stand. An actor costs more than all of that, so it begins with the first letter.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use jono_domain::account::Who;
use jono_domain::conversation::{self, Conversation, Row};
use jono_domain::id::{ConversationId, QueueId};
use jono_domain::machine::{Context, Machine, Weight};
use jono_domain::message::{Address, Effect, Order};
use jono_domain::queue;
use jono_domain::time::Time;
use jono_points::{Rule, is_broken};
use jono_store::{Loaded, Write};

use crate::codec;
use crate::delivery::Moved;
use crate::entity::state_of;
use crate::host::Host;
use crate::kind::{key_of, shard_of};
use crate::letter::Letter;
use crate::limits::ROWS_PER_LETTER;
use crate::output::Output;
use crate::shard::Step;

/// One of them.
#[derive(Debug)]
pub(crate) struct Sleeper {
    /// What the store has, or will have once its steps are confirmed.
    pub(crate) loaded: Loaded,
    pub(crate) alarm: Option<Time>,
    /// Steps that are not confirmed.
    pub(crate) unconfirmed: u32,
}

/// All of an arbiter.
#[derive(Debug, Default)]
pub(crate) struct Asleep(RefCell<HashMap<ConversationId, Sleeper>>);

impl Asleep {
    pub(crate) fn holds(&self, address: Address) -> bool {
        matches!(address, Address::Conversation(id) if self.0.borrow().contains_key(&id))
    }

    /// In an order that is the same in every run.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let mut all: Vec<_> = self.0.borrow().keys().copied().map(Address::Conversation).collect();
        all.sort_unstable();
        all
    }

    /// One of its steps is stored.
    pub(crate) fn confirm(&self, address: Address) {
        if let Address::Conversation(id) = address
            && let Some(sleeper) = self.0.borrow_mut().get_mut(&id)
        {
            sleeper.unconfirmed = sleeper.unconfirmed.saturating_sub(1);
        }
    }

    fn take(&self, address: Address) -> Option<Sleeper> {
        if let Address::Conversation(id) = address { self.0.borrow_mut().remove(&id) } else { None }
    }
}

/// How a conversation comes back.
struct Return {
    alarm: Option<Time>,
    /// Its new state, when coming back has changed what is stored.
    changed: Option<Vec<u8>>,
    /// What others must be told.
    effects: Vec<Effect>,
}

impl Host {
    /// Lets a conversation sleep that came back, and says what others must be told; gives back what was read of one that
    /// needs its actor.
    pub(crate) fn put_to_sleep(self: &Rc<Self>, address: Address, loaded: Loaded, told: &mut Vec<Order>) -> Option<Loaded> {
        let Address::Conversation(id) = address else { return Some(loaded) };
        if self.known_followers(address).is_some() {
            return Some(loaded);
        }
        // What does not read, or panics, does so again in its actor, which knows what to do about it.
        let back = catch_unwind(AssertUnwindSafe(|| self.come_back(id, &loaded))).ok().flatten();
        let Some(Return { alarm, changed, effects }) = back else { return Some(loaded) };
        let (write, loaded) = match changed {
            None => (None, loaded),
            Some(state) => {
                let Loaded { seq, answers, .. } = loaded;
                let state = Bytes::from(state);
                let write = snapshot(address, seq, state.clone());
                (Some(write), Loaded { seq, snapshot: Some((seq, state)), tail: Vec::new(), answers })
            }
        };
        let alarm = alarm.filter(|_| !is_broken(Rule::SleepersHaveAlarms));
        self.timers.set(address, None, alarm);
        self.counters.entities_loaded.add(1);
        self.asleep.0.borrow_mut().insert(id, Sleeper { loaded, alarm, unconfirmed: 0 });
        self.tell_for(id, write, effects, told);
        None
    }

    fn come_back(&self, id: ConversationId, loaded: &Loaded) -> Option<Return> {
        let mut state = state_of::<Conversation>(loaded).ok()?;
        if !state.is_live() {
            return None;
        }
        let (events, mut effects) = self.in_context(&state, |context| state.recovered(id, context));
        if events.iter().any(|event| Conversation::weight(event) != Weight::Kept) {
            return None;
        }
        events.iter().for_each(|event| state.evolve(event));
        for effect in events.iter().flat_map(|event| state.react(id, event)) {
            // Mostly the same announcement again.
            if !effects.contains(&effect) {
                effects.push(effect);
            }
        }
        let changed = (!events.is_empty()).then(|| codec::encode(&state));
        Some(Return { alarm: state.next_deadline(), changed, effects })
    }

    /// What one that sleeps tells other entities: at once, with what others tell, or when its steps are confirmed. Nobody
    /// follows it, so there is nobody else to tell.
    fn tell_for(self: &Rc<Self>, id: ConversationId, write: Option<Write>, effects: Vec<Effect>, told: &mut Vec<Order>) {
        let orders = effects.into_iter().filter_map(|effect| match effect {
            Effect::Tell(order) => Some(order),
            Effect::Forward(_)
            | Effect::Publish(..)
            | Effect::FollowConversation(_)
            | Effect::RecheckFollowers
            | Effect::PublishOrganisation => None,
        });
        if let Some(sleeper) = self.asleep.0.borrow_mut().get_mut(&id)
            && (write.is_some() || sleeper.unconfirmed > 0)
        {
            sleeper.unconfirmed += 1;
        } else {
            return told.extend(orders);
        }
        let address = Address::Conversation(id);
        let outputs = orders.map(|order| Output::Post(Letter::tell(order))).collect();
        self.submit(shard_of(address, self.shard_count), Step::new(address, write, outputs, None));
    }

    /// Sends what many told. A queue that hears of many at a time has one letter instead of one for each.
    pub(crate) fn tell_together(self: &Rc<Self>, told: Vec<Order>) {
        let mut rows: BTreeMap<QueueId, Vec<Arc<Row>>> = BTreeMap::new();
        let mut letters = Vec::with_capacity(told.len());
        for order in told {
            match order {
                Order::Queue(queue, command) => match *command {
                    queue::Command::Announce { row } => rows.entry(queue).or_default().push(row),
                    command => letters.push(Order::Queue(queue, Box::new(command))),
                },
                order => letters.push(order),
            }
        }
        for (queue, rows) in rows {
            let some = rows.chunks(ROWS_PER_LETTER).map(<[_]>::to_vec);
            letters.extend(some.map(|rows| Order::Queue(queue, Box::new(queue::Command::AnnounceAll { rows }))));
        }
        self.send(letters.into_iter().map(|order| Output::Post(Letter::tell(order))));
    }

    /// Somebody needs it: from now on it is none of those who sleep.
    pub(crate) fn take_sleeper(&self, address: Address) -> Option<Sleeper> {
        let sleeper = self.asleep.take(address)?;
        self.timers.set(address, sleeper.alarm, None);
        self.counters.entities_loaded.sub(1);
        Some(sleeper)
    }

    /// What other entities tell one that sleeps, or ask of it, mostly changes nothing: then it need not be woken.
    pub(crate) fn is_heard_asleep(self: &Rc<Self>, order: &Order) -> bool {
        let Order::Conversation(id, command) = order else { return false };
        let heard = catch_unwind(AssertUnwindSafe(|| self.hear_asleep(*id, command))).ok().flatten();
        let Some(effects) = heard else { return false };
        let mut told = Vec::new();
        self.tell_for(*id, None, effects, &mut told);
        self.tell_together(told);
        true
    }

    fn hear_asleep(&self, id: ConversationId, command: &conversation::Command) -> Option<Vec<Effect>> {
        let state = state_of::<Conversation>(&self.asleep.0.borrow().get(&id)?.loaded).ok()?;
        let events = self.in_context(&state, |context| state.decide(id, command, context)).ok()?;
        let only_asks = events.iter().all(|event| matches!(event, conversation::Event::AnnouncementAsked(_)));
        only_asks.then(|| events.iter().flat_map(|event| state.react(id, event)).collect())
    }

    fn in_context<T>(&self, state: &Conversation, run: impl FnOnce(&Context<'_>) -> T) -> T {
        let directory = self.directory.load();
        let organisation = state.organisation().and_then(|id| directory.organisation(id));
        let organisation = organisation.map(|organisation| &**organisation);
        run(&Context { now: self.clock.now(), who: Who::Engine, organisation })
    }

    /// Tells those of these shards anew what they should know of one that sleeps.
    pub(crate) fn announce_asleep(self: &Rc<Self>, address: Address, moved: &Moved, together: &mut Vec<Order>) {
        let Address::Conversation(id) = address else { return };
        if !self.owns(shard_of(address, self.shard_count)) {
            return;
        }
        let told = {
            let asleep = self.asleep.0.borrow();
            let Some(sleeper) = asleep.get(&id) else { return };
            // It was read before.
            state_of::<Conversation>(&sleeper.loaded).map(|state| state.announce(id)).unwrap_or_default()
        };
        let is_meant = |effect: &Effect| matches!(effect, Effect::Tell(order) if moved.holds(order.address()));
        self.tell_for(id, None, told.into_iter().filter(is_meant).collect(), together);
    }
}

fn snapshot(address: Address, seq: u64, state: Bytes) -> Write {
    Write {
        entity: key_of(address),
        expected_seq: seq,
        log: Vec::new(),
        snapshot: Some(state),
        live: None,
        answers: Vec::new(),
        index: Vec::new(),
    }
}
