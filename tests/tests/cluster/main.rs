//! Several processes on one Redis, with everything done to them that happens to processes: the promises of a system of
//! several (G1-G7, G9, G13-G15). `jono-load replay` is the judge.

use std::sync::{Condvar, Mutex, PoisonError};

mod campaigns;
mod claims;
mod operators;
mod random;
mod sleepers;

/// So many systems at a time: each is half a dozen processes.
const SYSTEMS_MAX: usize = 2;
static SYSTEMS: Mutex<usize> = Mutex::new(0);
static ONE_ENDED: Condvar = Condvar::new();

/// A place among them.
struct Place;

impl Place {
    fn take() -> Self {
        let systems = SYSTEMS.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = ONE_ENDED.wait_while(systems, |systems| *systems >= SYSTEMS_MAX);
        *waited.unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *SYSTEMS.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ONE_ENDED.notify_one();
    }
}

/// Runs a test of one thread's clients; the processes have their own.
fn run(test: impl Future<Output = ()>) {
    let _place = Place::take();
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

/// A pause between two blows: what happens in the meantime is judged by `jono-load`, not here.
async fn seconds(seconds: u64) {
    tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
}
