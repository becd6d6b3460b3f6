//! Redis for tests: servers and clusters that a test starts, kills, freezes and breaks.
//!
//! Every server has a port and a directory of its own, and ends when its value is dropped. Nothing is installed:
//! `redis-server` and `redis-cli` must be there. A test that cannot go on panics, so nothing here returns an error
//! unless the test may want to see it.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod cluster;
mod proxy;
mod raw;
mod server;

pub use cluster::RedisCluster;
pub use proxy::Proxy;
pub use raw::{RawConnection, Reply};
pub use server::RedisServer;

/// Waits until a condition holds.
///
/// # Panics
/// When it does not within a minute: `what` says what was waited for.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let patience = std::time::Duration::from_secs(60);
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < patience, "waited for a minute: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
