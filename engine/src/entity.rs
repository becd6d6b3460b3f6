//! The actor around a machine: it loads, steps, hands steps in to be committed, and wakes for deadlines.
//! One for every kind; what a machine means is none of its business.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context as ActorContext, Handler, Message, WrapFuture};
use actix::{ActorContext as _, ActorFutureExt};
use jono_domain::account::Who;
use jono_domain::machine::{Context, Weight};
use jono_domain::message::{Address, Effect, IndexChange};
use jono_domain::reply::{Refusal, Reply};
use jono_domain::time::Time;
use jono_store::{Answer as StoredAnswer, IndexChange as StoredIndexChange, Loaded, ReadError, ShardId, Write};

use crate::answers::{Answers, Remembered};
use crate::codec;
use crate::delivery::SessionRef;
use crate::host::{Host, Load};
use crate::kind::{Kind, key_of};
use crate::letter::{Ask, Letter, answered};
use crate::limits::{
    EVENTS_PER_SNAPSHOT, IDLE_MS, IDLE_UNKNOWN_MS, LOADING_MAX, PANIC_WINDOW_MS, PANICS_MAX, RELOAD_PAUSE_MS, RETRY_AFTER_MS,
    RETRY_QUARANTINED_MS,
};
use crate::output::{Asker, CatchUp, Output, SharedFollowers, output_of, unavailable};
use crate::request::{Follow, Outcome, ReplyTo};
use crate::shard::Step;

/// What an entity finds in its mailbox.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Parcel {
    /// From elsewhere.
    Letter(Letter),
    /// The alarm that was set for this moment.
    Wake(Time),
    /// A commit failed: the store knows better.
    Reload,
}

/// One entity.
pub(crate) struct Entity<M: Kind> {
    id: M::Id,
    address: Address,
    shard: ShardId,
    host: Rc<Host>,
    load: Rc<Load>,
    stage: Stage,
    state: M,
    /// The last log record, stored or on its way.
    seq: u64,
    events_since_snapshot: u32,
    /// The live mark in the store.
    live_stored: bool,
    answers: Answers,
    followers: Option<SharedFollowers>,
    alarm: Option<Time>,
    used_at: Time,
    panics: Vec<Time>,
}

enum Stage {
    /// Parcels wait until the state is there. Holds what was read at start.
    Loading(Option<Loaded>, Vec<Parcel>),
    Ready,
    /// It panicked too often, or its records are damaged: it answers that it is not there.
    Quarantined,
}

impl<M: Kind> Actor for Entity<M> {
    type Context = ActorContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match &mut self.stage {
            Stage::Loading(loaded @ Some(_), _) => {
                let loaded = loaded.take();
                self.loaded(Ok(loaded.unwrap_or_default()), ctx);
            }
            Stage::Loading(None, _) => self.begin_loading(ctx),
            Stage::Ready | Stage::Quarantined => {}
        }
    }
}

impl<M: Kind> Handler<Parcel> for Entity<M> {
    type Result = ();

    fn handle(&mut self, parcel: Parcel, ctx: &mut Self::Context) {
        self.load.queued.set(self.load.queued.get().saturating_sub(1));
        self.take(parcel, ctx);
    }
}

impl<M: Kind> Entity<M> {
    pub(crate) fn new(id: M::Id, shard: ShardId, host: Rc<Host>, load: Rc<Load>, loaded: Option<Loaded>) -> Self {
        let address = M::address(id);
        let used_at = host.clock.now();
        Self {
            id,
            address,
            shard,
            followers: host.known_followers(address),
            host,
            load,
            stage: Stage::Loading(loaded, Vec::new()),
            state: M::default(),
            seq: 0,
            events_since_snapshot: 0,
            live_stored: false,
            answers: Answers::default(),
            alarm: None,
            used_at,
            panics: Vec::new(),
        }
    }

    fn begin_loading(&mut self, ctx: &mut ActorContext<Self>) {
        let load = self.host.store.load(self.shard, key_of(self.address));
        ctx.spawn(load.into_actor(self).map(|loaded, entity, ctx| entity.loaded(loaded, ctx)));
    }

    fn loaded(&mut self, loaded: Result<Loaded, ReadError>, ctx: &mut ActorContext<Self>) {
        let Stage::Loading(_, waiting) = std::mem::replace(&mut self.stage, Stage::Ready) else {
            return;
        };
        self.host.counters.loads.add(1);
        match loaded.map_err(Some).and_then(|loaded| self.restore(&loaded).map_err(|()| None)) {
            Ok(()) => {
                self.guarded(ReplyTo::Nobody, ctx, Self::recover);
            }
            Err(Some(ReadError::Unavailable(why))) => {
                tracing::warn!(entity = ?self.address, why, "cannot be loaded now");
                let refused = waiting.into_iter().filter_map(refused).map(|reply_to| Output::Reply(reply_to, Err(unavailable())));
                self.host.send(refused.collect::<Vec<_>>());
                self.stage = Stage::Loading(None, Vec::new());
                return self.load_later(ctx);
            }
            Err(Some(ReadError::Corrupt(_)) | None) => {
                self.host.counters.damaged.add(1);
                tracing::error!(entity = ?self.address, "its records are damaged: it is quarantined");
                self.stage = Stage::Quarantined;
            }
        }
        for parcel in waiting {
            self.take(parcel, ctx);
        }
        self.set_alarm();
    }

    /// The state from snapshot and log.
    fn restore(&mut self, loaded: &Loaded) -> Result<(), ()> {
        self.state = match &loaded.snapshot {
            Some((_, bytes)) => codec::decode(bytes).map_err(|_| ())?,
            None => M::default(),
        };
        for (_, bytes) in &loaded.tail {
            let event: M::Event = codec::decode(bytes).map_err(|_| ())?;
            self.state.evolve(&event);
        }
        self.seq = loaded.seq;
        self.events_since_snapshot = loaded.tail.len() as u32;
        self.live_stored = self.state.is_live();
        self.answers = Answers::restore(&loaded.answers, self.host.clock.now());
        Ok(())
    }

    fn recover(&mut self) {
        let (events, effects) = {
            let directory = self.host.directory.load();
            let context = self.context(&directory, Who::Engine);
            self.state.recovered(self.id, &context)
        };
        self.apply(&events, effects, None, None);
        self.count_followers();
    }

    fn take(&mut self, parcel: Parcel, ctx: &mut ActorContext<Self>) {
        if self.load.stale.get() && matches!(self.stage, Stage::Ready) {
            self.stage = Stage::Loading(None, Vec::new());
            self.load_later(ctx);
        }
        let refusal = match &mut self.stage {
            _ if !self.host.owns(self.shard) => unavailable(),
            Stage::Loading(_, waiting) if waiting.len() < LOADING_MAX || !is_refusable(&parcel) => return waiting.push(parcel),
            Stage::Loading(..) => Refusal::Busy { retry_after_ms: RETRY_AFTER_MS },
            Stage::Quarantined => Refusal::Unavailable { retry_after_ms: RETRY_QUARANTINED_MS },
            Stage::Ready => return self.open(parcel, ctx),
        };
        self.host.send(refused(parcel).map(|reply_to| Output::Reply(reply_to, Err(refusal))));
    }

    fn open(&mut self, parcel: Parcel, ctx: &mut ActorContext<Self>) {
        self.host.counters.letters.add(1);
        match parcel {
            Parcel::Letter(Letter::Ask(ask)) => {
                self.used_at = self.host.clock.now();
                // Kept apart, so that a panic still gets an answer.
                let (ask, reply_to) = split(ask);
                let mut reply_to = Some(reply_to);
                let asked = catch_unwind(AssertUnwindSafe(|| self.ask(ask, &mut reply_to)));
                if asked.is_err() {
                    self.panicked(reply_to.unwrap_or(ReplyTo::Nobody), ctx);
                }
            }
            Parcel::Letter(Letter::Follow { follow, unasked }) => {
                self.used_at = self.host.clock.now();
                self.guarded(ReplyTo::Nobody, ctx, |entity| entity.follow(follow, unasked));
            }
            Parcel::Letter(Letter::Unfollow { session, .. }) => {
                self.guarded(ReplyTo::Nobody, ctx, |entity| entity.unfollow(session));
            }
            Parcel::Wake(at) => {
                if self.alarm == Some(at) {
                    self.alarm = None;
                }
                self.guarded(ReplyTo::Nobody, ctx, Self::expire);
            }
            // Only to make it look at `stale`, which was seen on the way here.
            Parcel::Reload => {}
        }
        if matches!(self.stage, Stage::Ready) {
            self.rest(ctx);
        }
    }

    /// Runs something of the machine; a panic in there costs this entity its state, and nothing else.
    fn guarded(&mut self, reply_to: ReplyTo, ctx: &mut ActorContext<Self>, run: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| run(self))).is_err() {
            self.panicked(reply_to, ctx);
        }
    }

    fn panicked(&mut self, reply_to: ReplyTo, ctx: &mut ActorContext<Self>) {
        let now = self.host.clock.now();
        self.host.counters.panics.add(1);
        self.panics.retain(|at| now.since_ms(*at) < PANIC_WINDOW_MS);
        self.panics.push(now);
        tracing::error!(entity = ?self.address, count = self.panics.len(), "panicked: it is loaded again");
        self.host.send([Output::Reply(reply_to, Err(unavailable()))]);
        if self.panics.len() >= PANICS_MAX {
            self.host.counters.quarantined.add(1);
            tracing::error!(entity = ?self.address, "panicked too often: it is quarantined until the next start");
            self.stage = Stage::Quarantined;
            self.host.timers.set(self.address, self.alarm.take(), None);
        } else {
            self.reload(ctx);
        }
    }

    /// Forgets the state and reads it again.
    fn reload(&mut self, ctx: &mut ActorContext<Self>) {
        self.stage = Stage::Loading(None, Vec::new());
        self.load_later(ctx);
    }

    fn load_later(&mut self, ctx: &mut ActorContext<Self>) {
        let pause = actix_rt::time::sleep(Duration::from_millis(RELOAD_PAUSE_MS));
        ctx.spawn(pause.into_actor(self).map(|(), entity, ctx| {
            if entity.load.unconfirmed.get() > 0 {
                // What was decided before a panic is on its way: the store must have it first.
                return entity.load_later(ctx);
            }
            entity.load.stale.set(false);
            entity.begin_loading(ctx);
        }));
    }

    fn context<'a>(&self, directory: &'a crate::directory::Directory, who: Who) -> Context<'a> {
        let named = who.organisation().or_else(|| self.state.organisation());
        let organisation = match named {
            Some(id) => directory.organisation(id),
            None => directory.of(self.address),
        };
        Context { now: self.host.clock.now(), who, organisation: organisation.map(|organisation| &**organisation) }
    }

    fn ask(&mut self, ask: Ask, reply_to: &mut Option<ReplyTo>) {
        if let Some(panic_if) = self.host.panic_if
            && panic_if(&ask.order)
        {
            panic!("ordered by a test");
        }
        if let Some(remembered) = self.remembered(&ask) {
            self.host.counters.repeats.add(1);
            let reply_to = reply_to.take().unwrap_or(ReplyTo::Nobody);
            let asker = Asker { who: ask.who, key: ask.key, reply_to, hops: ask.hops };
            let output = match remembered {
                Remembered::Answered(reply) => Output::Reply(asker.reply_to, answered(Ok(reply))),
                Remembered::Forwarded(order) => Output::Post(asker.forward(order)),
            };
            return self.submit(None, vec![output]);
        }
        let Ask { who, key, order, hops, .. } = ask;
        let Some(command) = M::command(order) else { return };
        let decided = {
            let directory = self.host.directory.load();
            let context = self.context(&directory, who);
            self.state.decide(self.id, &command, &context).map(|events| {
                events.iter().for_each(|event| self.state.evolve(event));
                let reply = self.state.answer(self.id, &command, &events, &context);
                (events, reply)
            })
        };
        match decided {
            Ok((events, reply)) => {
                let effects = events.iter().flat_map(|event| self.state.react(self.id, event)).collect();
                let asker = Asker { who, key, reply_to: reply_to.take().unwrap_or(ReplyTo::Nobody), hops };
                self.apply_evolved(&events, effects, Some(asker), reply);
            }
            Err(refusal) => {
                let reply_to = reply_to.take().unwrap_or(ReplyTo::Nobody);
                self.submit(None, vec![Output::Reply(reply_to, Err(refusal))]);
            }
        }
        self.set_alarm();
    }

    fn remembered(&self, ask: &Ask) -> Option<Remembered> {
        let remembered = self.answers.find(ask.who, ask.key.as_deref()?)?;
        match remembered {
            Remembered::Answered(_) => Some(remembered),
            // A request that comes back here on its way goes on; only its repeat is sent the same way again.
            Remembered::Forwarded(_) => (ask.hops == 0).then_some(remembered),
        }
    }

    /// Makes events so, and hands in what follows from them.
    fn apply(&mut self, events: &[M::Event], effects: Vec<Effect>, asker: Option<Asker>, reply: Option<Reply>) {
        events.iter().for_each(|event| self.state.evolve(event));
        let reactions = events.iter().flat_map(|event| self.state.react(self.id, event));
        let effects = effects.into_iter().chain(reactions).collect();
        self.apply_evolved(events, effects, asker, reply);
    }

    fn apply_evolved(&mut self, events: &[M::Event], effects: Vec<Effect>, asker: Option<Asker>, reply: Option<Reply>) {
        let mut write = self.write(events);
        let mut outputs = Vec::with_capacity(effects.len() + 1);
        let mut asker = asker;
        // The answer goes last: whoever has it finds everything as it says.
        let mut answer = None;
        if let Some(reply) = reply
            && let Some(asker) = asker.take()
        {
            if let Some(key) = &asker.key {
                self.remember(&mut write, asker.who, key, &Remembered::Answered(reply.clone()));
            }
            answer = Some(Output::Reply(asker.reply_to, answered(Ok(reply))));
        }
        for effect in effects {
            match effect {
                Effect::Forward(order) => {
                    let Some(asker) = asker.take() else { continue };
                    if let Some(key) = &asker.key
                        && (asker.hops == 0 || self.answers.find(asker.who, key).is_some())
                    {
                        self.remember(&mut write, asker.who, key, &Remembered::Forwarded(order.clone()));
                    }
                    outputs.push(Output::Post(asker.forward(order)));
                }
                Effect::RecheckFollowers => outputs.extend(self.expel()),
                effect => {
                    let followers = match &self.followers {
                        Some(followers) => followers,
                        // Nobody can be told anything: other entities can.
                        None => &SharedFollowers::default(),
                    };
                    outputs.extend(output_of(effect, followers, self.state.settings()));
                }
            }
        }
        outputs.extend(answer);
        self.submit(write, outputs);
    }

    /// What must be stored for these events; `None` if nothing must.
    fn write(&mut self, events: &[M::Event]) -> Option<Write> {
        let mut log = Vec::new();
        let mut kept = false;
        let mut index = Vec::new();
        for event in events {
            match M::weight(event) {
                Weight::Logged => log.push(codec::encode(event).into()),
                Weight::Kept => kept = true,
                Weight::Passing => continue,
            }
            index.extend(self.state.index(self.id, event).into_iter().map(stored_index));
        }
        if log.is_empty() && !kept {
            return None;
        }
        let expected_seq = self.seq;
        self.seq += log.len() as u64;
        self.events_since_snapshot += log.len() as u32;
        let due = kept || self.events_since_snapshot >= EVENTS_PER_SNAPSHOT;
        let snapshot = due.then(|| codec::encode(&self.state).into());
        if due {
            self.events_since_snapshot = 0;
        }
        let live = self.state.is_live();
        let live_changed = live != std::mem::replace(&mut self.live_stored, live);
        Some(Write {
            entity: key_of(self.address),
            expected_seq,
            log,
            snapshot,
            live: live_changed.then_some(live),
            answers: Vec::new(),
            index,
        })
    }

    fn remember(&mut self, write: &mut Option<Write>, who: Who, key: &str, remembered: &Remembered) {
        // Without a change there is nothing that a repeat could do twice.
        if write.is_none() && matches!(remembered, Remembered::Answered(_)) {
            return;
        }
        let now = self.host.clock.now();
        let (key, value) = self.answers.remember(who, key, remembered, now);
        let write = write.get_or_insert_with(|| Write {
            entity: key_of(self.address),
            expected_seq: self.seq,
            log: Vec::new(),
            snapshot: None,
            live: None,
            answers: Vec::new(),
            index: Vec::new(),
        });
        write.answers.push(StoredAnswer { key, at_ms: now.0, value });
    }

    /// Sends at once what rests on nothing unconfirmed; hands everything else in.
    fn submit(&mut self, write: Option<Write>, outputs: Vec<Output>) {
        if write.is_none() && self.load.unconfirmed.get() == 0 {
            return self.host.send(outputs);
        }
        self.load.unconfirmed.set(self.load.unconfirmed.get() + 1);
        self.host.submit(self.shard, Step { entity: self.address, write, outputs });
    }

    fn follow(&mut self, follow: Follow, unasked: bool) {
        let Follow { session, who, after, bytes_max, reply_to, .. } = follow;
        let admitted = {
            let directory = self.host.directory.load();
            let context = self.context(&directory, who);
            self.state.admit(self.id, &context).map(|audience| (audience, self.state.describe(self.id, audience, &context)))
        };
        let (audience, state) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => return self.submit(None, vec![Output::Reply(reply_to, Err(refusal))]),
        };
        let followers = Rc::clone(self.followers.get_or_insert_with(|| self.host.followers_of(self.address)));
        let head = match &state {
            Reply::Conversation(view) => view.head,
            _ => 0,
        };
        if followers.borrow().contains(session) {
            let answer = Ok(Outcome::Following { state, audience, from_seq: head });
            return self.submit(None, vec![Output::Reply(reply_to, answer)]);
        }
        followers.borrow_mut().add(session, who, audience, head);
        let catch_up =
            CatchUp { what: self.address, session, audience, after, bytes_max, head, state, reply_to, unasked, followers };
        self.submit(None, vec![Output::CatchUp(Box::new(catch_up))]);
        self.count_followers();
    }

    fn unfollow(&mut self, session: SessionRef) {
        let Some(followers) = &self.followers else { return };
        let removed = followers.borrow_mut().remove(session);
        if let Some(led) = removed {
            // In order behind whatever led it there.
            led.into_iter().for_each(|conversation| self.host.post_unfollow(session, Address::Conversation(conversation)));
            self.count_followers();
        }
    }

    /// Tells the machine how many follow, if it cares, and forgets an empty list.
    fn count_followers(&mut self) {
        let Some(followers) = &self.followers else { return };
        let (customers, agents) = followers.borrow().counts();
        if customers + agents == 0 {
            self.host.drop_followers(self.address);
            self.followers = None;
        }
        if let Some(command) = M::followed(customers, agents) {
            self.tell(&command);
        }
    }

    /// The engine's own command.
    fn tell(&mut self, command: &M::Command) {
        let events = {
            let directory = self.host.directory.load();
            let context = self.context(&directory, Who::Engine);
            self.state.decide(self.id, command, &context)
        };
        // The engine's own commands are facts: a machine that refuses one has nothing to do with it.
        if let Ok(events) = events {
            self.apply(&events, Vec::new(), None, None);
            self.set_alarm();
        }
    }

    /// The sessions that may not follow any more.
    fn expel(&self) -> Option<Output> {
        let followers = self.followers.as_ref()?;
        let directory = self.host.directory.load();
        let followed = followers.borrow();
        let barred =
            followed.iter().filter(|follower| self.state.admit(self.id, &self.context(&directory, follower.who)).is_err());
        let sessions: Vec<SessionRef> = barred.map(|follower| follower.session).collect();
        (!sessions.is_empty()).then(|| Output::Expel(Rc::clone(followers), self.address, sessions))
    }

    fn expire(&mut self) {
        let now = self.host.clock.now();
        // Each round moves a deadline, so this ends; the bound makes a mistake visible instead of endless.
        for _ in 0..100 {
            let Some(deadline) = self.state.next_deadline() else { break };
            if deadline > now {
                break;
            }
            let events = self.state.expire(self.id, now);
            if events.is_empty() {
                break;
            }
            self.host.counters.timers_fired.add(1);
            self.apply(&events, Vec::new(), None, None);
        }
        self.set_alarm();
    }

    /// Makes sure that an alarm is set no later than the next deadline. One that comes too early is set anew then.
    fn set_alarm(&mut self) {
        let deadline = match self.stage {
            Stage::Ready => self.state.next_deadline(),
            Stage::Loading(..) | Stage::Quarantined => None,
        };
        let wanted = deadline.or_else(|| (!self.is_needed()).then(|| self.idle_at()));
        let Some(wanted) = wanted else { return };
        if self.alarm.is_none_or(|alarm| wanted < alarm) {
            self.host.timers.set(self.address, self.alarm, Some(wanted));
            self.alarm = Some(wanted);
        }
    }

    fn is_needed(&self) -> bool {
        let followed = self.followers.is_some() && M::followed(0, 0).is_some();
        self.state.is_live() || followed || self.state.next_deadline().is_some()
    }

    fn idle_at(&self) -> Time {
        let unknown = self.seq == 0 && self.answers.is_empty() && !self.live_stored && self.followers.is_none();
        self.used_at + if unknown { IDLE_UNKNOWN_MS } else { IDLE_MS }
    }

    /// Unloads the entity when nothing needs it.
    fn rest(&mut self, ctx: &mut ActorContext<Self>) {
        if self.is_needed() || self.load.queued.get() > 0 || self.load.unconfirmed.get() > 0 {
            return self.set_alarm();
        }
        if self.host.clock.now() >= self.idle_at() {
            return self.leave(ctx);
        }
        self.set_alarm();
    }

    fn leave(&mut self, ctx: &mut ActorContext<Self>) {
        self.host.timers.set(self.address, self.alarm.take(), None);
        self.host.unload(self.address);
        ctx.stop();
    }
}

/// Whoever waits for an answer to this parcel, if it may be refused.
fn refused(parcel: Parcel) -> Option<ReplyTo> {
    match parcel {
        Parcel::Letter(letter) => Some(letter.into_reply_to()),
        Parcel::Wake(_) | Parcel::Reload => None,
    }
}

fn is_refusable(parcel: &Parcel) -> bool {
    match parcel {
        Parcel::Letter(letter) => letter.is_from_outside(),
        Parcel::Wake(_) | Parcel::Reload => false,
    }
}

fn split(ask: Ask) -> (Ask, ReplyTo) {
    let Ask { who, key, order, reply_to, hops } = ask;
    (Ask { who, key, order, reply_to: ReplyTo::Nobody, hops }, reply_to)
}

fn stored_index(change: IndexChange) -> StoredIndexChange {
    match change {
        IndexChange::Put { key, row } => StoredIndexChange::Put { key: key.into(), value: codec::encode(&*row).into() },
        IndexChange::Delete { key } => StoredIndexChange::Delete { key: key.into() },
    }
}
