//! What has been done, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`RedisStore`](crate::RedisStore) and its [`RedisExchange`](crate::RedisExchange) have done since they connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedisStats {
    /// Commands sent to Redis, a script as one.
    pub commands: u64,
    /// Bytes of these commands.
    pub bytes_sent: u64,
    /// Batches that were confirmed.
    pub commits: u64,
    /// Commands that were sent again: elsewhere after a redirection, or after the script was loaded.
    pub retries: u64,
    /// Connections made, the first ones included.
    pub connections: u64,
    /// Connections given up because of an error or a time-out.
    pub connections_lost: u64,
    /// Calls that may or may not have been applied.
    pub unknown: u64,
}

/// The counters behind [`RedisStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) commands: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) connections_lost: AtomicU64,
    pub(super) unknown: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> RedisStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RedisStats {
            commands: read(&self.commands),
            bytes_sent: read(&self.bytes_sent),
            commits: read(&self.commits),
            retries: read(&self.retries),
            connections: read(&self.connections),
            connections_lost: read(&self.connections_lost),
            unknown: read(&self.unknown),
        }
    }
}

/// Counts one up.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
