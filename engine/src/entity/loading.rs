//! How an entity's state comes from the store: at first, after a commit that failed, after a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use actix::{ActorFutureExt, AsyncContext, Context as ActorContext, WrapFuture};
use jono_domain::account::Who;
use jono_domain::message::Effect;
use jono_points::{Rule, is_broken};
use jono_store::{Loaded, ReadError};

use super::{Entity, Parcel, Stage};
use crate::answers::Answers;
use crate::codec;
use crate::kind::{Kind, key_of};
use crate::letter::Letter;
use crate::limits::{PANIC_WINDOW_MS, PANICS_MAX, RELOAD_PAUSE_MS};
use crate::output::{Output, unavailable};
use crate::request::ReplyTo;
use crate::shard::were_stored;

impl<M: Kind> Entity<M> {
    pub(super) fn begin_loading(&mut self, ctx: &mut ActorContext<Self>) {
        let load = self.host.store.load(self.shard, key_of(self.address));
        ctx.spawn(load.into_actor(self).map(|loaded, entity, ctx| entity.loaded(loaded, ctx)));
    }

    pub(super) fn loaded(&mut self, loaded: Result<Loaded, ReadError>, ctx: &mut ActorContext<Self>) {
        let Stage::Loading(_, waiting) = &mut self.stage else { return };
        if !self.host.owns(self.shard) {
            // It may hold what others have written meanwhile.
            return self.stop_loading(ctx);
        }
        let waiting = std::mem::take(waiting);
        self.host.counters.loads.add(1);
        match loaded.and_then(|loaded| self.restore(&loaded).map(|effects| (loaded, effects))) {
            Ok((loaded, effects)) => {
                self.stage = Stage::Ready;
                self.make_up(&loaded);
                self.guarded(ctx, |entity| entity.recover(effects));
            }
            Err(ReadError::Unavailable(why)) => {
                tracing::warn!(entity = ?self.address, why, "cannot be loaded now");
                let (awaited, kept) = waiting.into_iter().partition(is_awaited);
                let awaited: Vec<Parcel> = awaited;
                self.stage = Stage::Loading(None, kept);
                awaited.into_iter().for_each(|parcel| self.refuse(parcel, unavailable()));
                return self.load_later(ctx);
            }
            Err(ReadError::Corrupt(what)) => {
                self.host.counters.damaged.add(1);
                tracing::error!(entity = ?self.address, what, "its records are damaged: it is quarantined");
                self.stage = Stage::Quarantined;
            }
        }
        self.load.loading.set(matches!(self.stage, Stage::Loading(..)));
        for parcel in waiting {
            self.take(parcel, ctx);
        }
        if matches!(self.stage, Stage::Ready) {
            self.rest(ctx);
        }
    }

    /// The state from snapshot and log, and what others must be told because of what is stored nowhere.
    fn restore(&mut self, loaded: &Loaded) -> Result<Vec<Effect>, ReadError> {
        let damaged = |what: &str| ReadError::Corrupt(what.to_owned());
        // Records that a machine cannot take must not end the actor.
        let restored = catch_unwind(AssertUnwindSafe(|| state_of::<M>(loaded)));
        let restored = restored.map_err(|_| damaged("the state panics"))?;
        let before = std::mem::replace(&mut self.state, restored.map_err(|error| damaged(&format!("{error:?}")))?);
        self.seq = loaded.seq;
        self.events_since_snapshot = loaded.tail.len() as u32;
        self.live_stored = self.state.is_live();
        self.is_stored = loaded.seq > 0 || loaded.snapshot.is_some() || !loaded.answers.is_empty();
        self.answers = Answers::restore(&loaded.answers, self.host.clock.now());
        let sound = std::mem::replace(&mut self.sound, true);
        Ok(self.state.keep(self.id, before, sound))
    }

    /// After an unknown outcome: if it was stored, what should have followed follows now.
    fn make_up(&mut self, loaded: &Loaded) {
        let doubtful = self.load.doubtful.take();
        if is_broken(Rule::DoubtsAreCleared) {
            return;
        }
        if were_stored(&doubtful, loaded) {
            self.host.send(doubtful.into_iter().flat_map(|step| step.outputs).collect::<Vec<_>>());
        } else {
            self.host.send(doubtful.into_iter().filter_map(|step| step.tale?.again()).collect::<Vec<_>>());
        }
    }

    fn recover(&mut self, mut effects: Vec<Effect>) {
        let (events, announcements) = {
            let directory = self.host.directory.load();
            let context = self.context(&directory, Who::Engine);
            self.state.recovered(self.id, &context)
        };
        effects.extend(announcements);
        self.apply(&events, effects);
        self.count_followers();
    }

    pub(super) fn panicked(&mut self, reply_to: ReplyTo, ctx: &mut ActorContext<Self>) {
        let now = self.host.clock.now();
        self.sound = false;
        self.host.counters.panics.add(1);
        self.panics.retain(|at| now.since_ms(*at) < PANIC_WINDOW_MS);
        self.panics.push(now);
        tracing::error!(entity = ?self.address, count = self.panics.len(), "panicked: it is loaded again");
        if self.panics.len() >= PANICS_MAX {
            self.host.counters.quarantined.add(1);
            tracing::error!(entity = ?self.address, "panicked too often: it is quarantined until the next start");
            self.stage = Stage::Quarantined;
            self.host.timers.set(self.address, self.alarm.take(), None);
        } else {
            self.reload(ctx);
        }
        self.host.send([Output::Reply(reply_to, Err(unavailable()))]);
    }

    /// Forgets the state and reads it again.
    pub(super) fn reload(&mut self, ctx: &mut ActorContext<Self>) {
        self.stage = Stage::Loading(None, Vec::new());
        self.load.loading.set(true);
        self.load_later(ctx);
    }

    fn load_later(&mut self, ctx: &mut ActorContext<Self>) {
        let pause = self.host.clock.sleep_until(self.host.clock.now() + RELOAD_PAUSE_MS);
        ctx.spawn(pause.into_actor(self).map(|(), entity, ctx| {
            if !entity.host.owns(entity.shard) {
                entity.stop_loading(ctx);
            } else if entity.load.unconfirmed.get() > 0 {
                // What was decided before a panic is on its way: the store must have it first.
                entity.load_later(ctx);
            } else {
                entity.load.stale.set(false);
                entity.begin_loading(ctx);
            }
        }));
    }

    /// Another owner has the shard: it is none of this process's business any more.
    pub(super) fn stop_loading(&mut self, ctx: &mut ActorContext<Self>) {
        if let Stage::Loading(_, waiting) = std::mem::replace(&mut self.stage, Stage::Quarantined) {
            waiting.into_iter().for_each(|parcel| self.refuse(parcel, unavailable()));
        }
        self.load.loading.set(false);
        self.leave_when_empty(ctx);
    }
}

/// The state that snapshot and log give.
pub(crate) fn state_of<M: Kind>(loaded: &Loaded) -> Result<M, codec::DecodeError> {
    let mut state: M = match &loaded.snapshot {
        Some((_, bytes)) => codec::decode(bytes)?,
        None => M::default(),
    };
    for (_, bytes) in &loaded.tail {
        state.evolve(&codec::decode::<M::Event>(bytes)?);
    }
    Ok(state)
}

/// Somebody waits for an answer, and is better told now that there is none. What nobody waits for would be lost.
fn is_awaited(parcel: &Parcel) -> bool {
    match parcel {
        Parcel::Letter(Letter::Ask(ask)) => !matches!(ask.reply_to, ReplyTo::Nobody),
        Parcel::Letter(Letter::Follow { unasked, .. }) => !unasked,
        Parcel::Letter(Letter::Unfollow { .. })
        | Parcel::Wake(_)
        | Parcel::Reload
        | Parcel::FollowAgain(_)
        | Parcel::Recount
        | Parcel::Announce(_) => false,
    }
}
