//! A process's clock: it began with what the wall showed, and runs a little fast or slow.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use jono_domain::time::Time;
use jono_engine::clock::Clock;
use tokio::sync::oneshot;

use crate::timeline::{MS, Micros, Timeline};

/// What all walls show at the beginning, but for what they are set wrong by.
pub const BEGINNING: Time = Time(1_790_000_000_000);

/// As the machine's clock of a process: read from the wall at its start, monotonic afterwards.
pub struct SimClock {
    timeline: Arc<Timeline>,
    started: Micros,
    showed: Time,
    /// Millionths by which it runs fast (or slow).
    drift: i64,
}

impl SimClock {
    /// Of a process that starts now, on a machine whose wall is wrong by so many milliseconds.
    #[must_use]
    pub fn start(timeline: &Arc<Timeline>, wrong_by_ms: i64, drift: i64) -> Arc<Self> {
        let started = timeline.now();
        let showed = Time((BEGINNING.0 + started / MS).saturating_add_signed(wrong_by_ms));
        Arc::new(Self { timeline: Arc::clone(timeline), started, showed, drift })
    }

    fn rate(&self) -> u64 {
        1_000_000u64.saturating_add_signed(self.drift)
    }

    fn wake_at(&self, at: Micros) -> BoxFuture<'static, ()> {
        let (wake, woken) = oneshot::channel();
        // Who has given up waiting hears nothing.
        self.timeline.at(at, move || {
            let _ = wake.send(());
        });
        woken.map(drop).boxed()
    }
}

impl Clock for SimClock {
    fn now(&self) -> Time {
        let elapsed = u128::from(self.timeline.now() - self.started) * u128::from(self.rate()) / 1_000_000;
        self.showed + (elapsed / u128::from(MS)) as u64
    }

    fn sleep_until(&self, at: Time) -> BoxFuture<'static, ()> {
        if at <= self.now() {
            return ready(()).boxed();
        }
        let shown = u128::from(at.since_ms(self.showed) * MS);
        let elapsed = (shown * 1_000_000).div_ceil(u128::from(self.rate())) as u64;
        self.wake_at(self.started + elapsed)
    }

    fn rest(&self, ms: u64) -> BoxFuture<'static, ()> {
        self.wake_at(self.timeline.now() + ms * MS)
    }
}
