//! The actor around a machine: it loads, steps, hands steps in to be committed, and wakes for deadlines.
//! One for every kind; what a machine means is none of its business.
//!
//! Here is what comes in, and at which stage it is taken; then `loading`, `step`, `following`, `rest`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use actix::{Actor, Context as ActorContext, Handler, Message};
use jono_domain::message::Address;
use jono_domain::reply::Refusal;
use jono_domain::time::Time;
use jono_points::{Rule, is_broken};
use jono_store::{Loaded, ShardId};

use crate::answers::Answers;
use crate::delivery::Moved;
use crate::host::{Host, Load};
use crate::kind::Kind;
use crate::letter::{Ask, Letter};
use crate::limits::{LOADING_MAX, RETRY_QUARANTINED_MS};
use crate::output::{Asker, FollowAgain, Output, SharedFollowers, busy, unavailable};
use crate::recent::Recent;
use crate::request::ReplyTo;

mod following;
mod loading;
mod rest;
mod step;

pub(crate) use loading::state_of;

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
    /// A follower has waited in vain for what it has not seen.
    FollowAgain(Box<FollowAgain>),
    /// Followers have left otherwise than by a letter.
    Recount,
    /// Others may have forgotten what it has told them.
    Announce(Moved),
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
    /// The state is whole: no panic has cut a step short since it was read.
    sound: bool,
    /// The last log record, stored or on its way.
    seq: u64,
    events_since_snapshot: u32,
    /// The live mark in the store.
    live_stored: bool,
    /// The store knows it; a guessed id does not get so far.
    is_stored: bool,
    answers: Answers,
    recent: Recent,
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
        if let Stage::Loading(loaded, _) = &mut self.stage {
            match loaded.take() {
                Some(loaded) => self.loaded(Ok(loaded), ctx),
                None => self.begin_loading(ctx),
            }
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
            sound: true,
            seq: 0,
            events_since_snapshot: 0,
            live_stored: false,
            is_stored: false,
            answers: Answers::default(),
            recent: Recent::default(),
            alarm: None,
            used_at,
            panics: Vec::new(),
        }
    }

    fn take(&mut self, parcel: Parcel, ctx: &mut ActorContext<Self>) {
        if !self.host.owns(self.shard) {
            self.refuse(parcel, unavailable());
            return self.stop_loading(ctx);
        }
        if self.load.stale.get() && matches!(self.stage, Stage::Ready) {
            self.reload(ctx);
        }
        match &mut self.stage {
            Stage::Loading(_, waiting) if waiting.len() < LOADING_MAX || !is_from_outside(&parcel) => waiting.push(parcel),
            Stage::Loading(..) => {
                self.host.counters.refused_busy.add(1);
                self.refuse(parcel, busy());
            }
            Stage::Quarantined => self.turn_away(parcel),
            Stage::Ready => self.open(parcel, ctx),
        }
    }

    /// It cannot be served here; perhaps elsewhere.
    fn turn_away(&self, parcel: Parcel) {
        if let Parcel::Letter(Letter::Ask(ask)) = parcel {
            let Some(order) = M::detour(&ask.order) else {
                return self.refuse(Parcel::Letter(Letter::Ask(ask)), quarantined());
            };
            let asker = Asker { who: ask.who, key: ask.key, reply_to: ask.reply_to, hops: ask.hops };
            return self.host.send([Output::Post(asker.forward(order))]);
        }
        self.refuse(parcel, quarantined());
    }

    fn refuse(&self, parcel: Parcel, refusal: Refusal) {
        let reply_to = match parcel {
            Parcel::Letter(letter) => letter.into_reply_to(),
            Parcel::FollowAgain(again) => again.follow.reply_to,
            Parcel::Wake(_) | Parcel::Reload | Parcel::Recount | Parcel::Announce(_) => return,
        };
        self.host.send([Output::Reply(reply_to, Err(refusal))]);
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
                self.guarded(ctx, |entity| entity.follow(follow, unasked));
            }
            Parcel::Letter(Letter::Unfollow { session, is_led, .. }) => {
                self.guarded(ctx, |entity| entity.unfollow(session, is_led));
            }
            Parcel::FollowAgain(again) => self.guarded(ctx, |entity| entity.follow_again(*again)),
            Parcel::Recount => self.guarded(ctx, Self::count_followers),
            Parcel::Announce(moved) => self.guarded(ctx, |entity| entity.announce(&moved)),
            Parcel::Wake(at) => {
                if self.alarm == Some(at) && !is_broken(Rule::AlarmsAreSetAgain) {
                    self.alarm = None;
                }
                self.guarded(ctx, Self::expire);
            }
            // Only to make it look at `stale`, which was seen on the way here.
            Parcel::Reload => {}
        }
        if matches!(self.stage, Stage::Ready) {
            self.rest(ctx);
        }
    }

    /// Runs something of the machine; a panic in there costs this entity its state, and nothing else.
    fn guarded(&mut self, ctx: &mut ActorContext<Self>, run: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| run(self))).is_err() {
            self.panicked(ReplyTo::Nobody, ctx);
        }
    }
}

fn quarantined() -> Refusal {
    Refusal::Unavailable { retry_after_ms: RETRY_QUARANTINED_MS }
}

/// May it be refused when there is too much to do?
fn is_from_outside(parcel: &Parcel) -> bool {
    match parcel {
        Parcel::Letter(letter) => letter.is_from_outside(),
        Parcel::Wake(_) | Parcel::Reload | Parcel::FollowAgain(_) | Parcel::Recount | Parcel::Announce(_) => false,
    }
}

fn split(ask: Ask) -> (Ask, ReplyTo) {
    let Ask { who, key, order, reply_to, hops } = ask;
    (Ask { who, key, order, reply_to: ReplyTo::Nobody, hops }, reply_to)
}
