//! One arbiter's timers: an ordered set with one sleeper.

use std::cell::RefCell;
use std::collections::BTreeSet;

use jono_domain::message::Address;
use jono_domain::time::Time;
use tokio::sync::Notify;

use crate::clock::Clock;

/// When which entity wants to be woken. An entity is in here at most once.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: RefCell<BTreeSet<(Time, Address)>>,
    earlier: Notify,
}

impl Timers {
    /// Moves the entity's alarm.
    pub(crate) fn set(&self, address: Address, before: Option<Time>, after: Option<Time>) {
        let mut due = self.due.borrow_mut();
        let first = due.first().map(|(at, _)| *at);
        if let Some(before) = before {
            due.remove(&(before, address));
        }
        if let Some(after) = after {
            due.insert((after, address));
            if first.is_none_or(|first| after < first) {
                self.earlier.notify_one();
            }
        }
    }

    /// The entities whose moment has come; waits until there is one.
    pub(crate) async fn next(&self, clock: &dyn Clock) -> Vec<(Time, Address)> {
        loop {
            let first = self.due.borrow().first().map(|(at, _)| *at);
            match first {
                Some(at) if at <= clock.now() => return self.take(clock.now()),
                Some(at) => {
                    tokio::select! {
                        biased;
                        () = clock.sleep_until(at) => {}
                        () = self.earlier.notified() => {}
                    }
                }
                None => self.earlier.notified().await,
            }
        }
    }

    fn take(&self, now: Time) -> Vec<(Time, Address)> {
        let mut due = self.due.borrow_mut();
        let mut taken = Vec::new();
        while let Some((at, address)) = due.first().copied().filter(|(at, _)| *at <= now) {
            due.remove(&(at, address));
            taken.push((at, address));
        }
        taken
    }
}
