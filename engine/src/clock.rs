//! Where `now` comes from.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use jono_domain::time::Time;
use tokio::sync::watch;

/// A clock, real or virtual.
pub trait Clock: Send + Sync + 'static {
    /// The moment. Never goes back.
    fn now(&self) -> Time;

    /// Resolves at that moment or a little later, never before it.
    fn sleep_until(&self, at: Time) -> BoxFuture<'static, ()>;

    /// Resolves after about so long, also where `now` is moved by hand: between two looks at what others are doing.
    fn rest(&self, ms: u64) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
    }
}

/// The machine's clock: read once from the wall at start, then carried on by the monotonic clock, so that
/// a step of the wall clock neither fires timers early nor holds them back.
#[derive(Debug)]
pub struct SystemClock {
    started_at: Time,
    started: Instant,
}

impl SystemClock {
    /// Starts with the wall's time.
    #[must_use]
    pub fn start() -> Arc<Self> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Arc::new(Self { started_at: Time(wall.as_millis() as u64), started: Instant::now() })
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        self.started_at + self.started.elapsed().as_millis() as u64
    }

    fn sleep_until(&self, at: Time) -> BoxFuture<'static, ()> {
        // `now` is rounded down to a whole millisecond: one more makes sure that the moment has come.
        let wait_ms = at.since_ms(self.now());
        let wait = if wait_ms == 0 { Duration::ZERO } else { Duration::from_millis(wait_ms + 1) };
        Box::pin(tokio::time::sleep(wait))
    }
}

/// A clock that moves when it is told to: for tests.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Time>,
}

impl ManualClock {
    /// Stands at that moment.
    #[must_use]
    pub fn at(now: Time) -> Arc<Self> {
        Arc::new(Self { now: watch::Sender::new(now) })
    }

    /// Moves on.
    pub fn advance(&self, ms: u64) {
        self.now.send_modify(|now| *now = *now + ms);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        *self.now.borrow()
    }

    fn sleep_until(&self, at: Time) -> BoxFuture<'static, ()> {
        let mut now = self.now.subscribe();
        Box::pin(async move {
            // The sender lives as long as the clock; without it no time passes any more.
            if now.wait_for(|now| *now >= at).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
