//! Deadlines, and when an entity that nothing needs is unloaded.

use actix::{ActorContext as _, Context as ActorContext};
use jono_domain::time::Time;
use jono_points::{KillPoint, pass};

use super::{Entity, Stage};
use crate::kind::Kind;
use crate::limits::{EXPIRIES_PER_WAKE_MAX, IDLE_MS, IDLE_UNKNOWN_MS, PANIC_WINDOW_MS};

impl<M: Kind> Entity<M> {
    pub(super) fn expire(&mut self) {
        let now = self.host.clock.now();
        for _ in 0..EXPIRIES_PER_WAKE_MAX {
            if self.state.next_deadline().is_none_or(|deadline| deadline > now) {
                return self.set_alarm();
            }
            let events = self.state.expire(self.id, now);
            assert!(!events.is_empty(), "what is due has something to say");
            pass(KillPoint::DeadlineReached);
            self.host.counters.timers_fired.add(1);
            self.apply(&events, Vec::new());
        }
        panic!("each round moves a deadline");
    }

    /// Makes sure that an alarm is set no later than the next deadline. One that comes too early is set anew then.
    pub(super) fn set_alarm(&mut self) {
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
        let followed = self.followers.is_some() && self.state.minds_followers();
        self.state.is_live() || followed || self.state.next_deadline().is_some()
    }

    fn idle_at(&self) -> Time {
        let unknown = !self.is_stored && self.followers.is_none();
        let idle_at = self.used_at + if unknown { IDLE_UNKNOWN_MS } else { IDLE_MS };
        // Its panics are remembered as long as they count.
        self.panics.last().map_or(idle_at, |last| idle_at.max(*last + PANIC_WINDOW_MS))
    }

    /// Unloads the entity when nothing needs it.
    pub(super) fn rest(&mut self, ctx: &mut ActorContext<Self>) {
        let now = self.host.clock.now();
        if !self.is_needed() && self.load.queued.get() == 0 && now >= self.idle_at() {
            if self.load.unconfirmed.get() == 0 {
                return self.leave(ctx);
            }
            // The store takes long.
            self.used_at = now;
        }
        self.set_alarm();
    }

    pub(super) fn leave_when_empty(&mut self, ctx: &mut ActorContext<Self>) {
        if self.load.queued.get() == 0 {
            self.leave(ctx);
        }
    }

    fn leave(&mut self, ctx: &mut ActorContext<Self>) {
        self.host.timers.set(self.address, self.alarm.take(), None);
        self.host.unload(self.address);
        ctx.stop();
    }
}
