//! How long, how often and how many: the bounds of everything that talks to Redis.

use std::time::Duration;

/// How long an answer may take. A server that is slower is as good as gone: its commits are unknown then.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a new connection may take, with its greetings.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// After a connection could not be made, calls are refused for this long before it is tried again.
pub(super) const CONNECT_PAUSE: Duration = Duration::from_millis(200);

/// How long a call that is surely not applied yet goes on trying: slots on the move, `TRYAGAIN`.
pub(super) const REDIRECT_PATIENCE: Duration = Duration::from_secs(2);

/// The pause between such attempts.
pub(super) const REDIRECT_PAUSE: Duration = Duration::from_millis(10);

/// How often one call follows a redirection at once.
pub(super) const REDIRECTS_MAX: usize = 5;

/// The map of slots is read anew at most this often.
pub(super) const MAP_PAUSE: Duration = Duration::from_millis(100);

/// While no server answers, the map is tried at every moment; a failure is logged this often.
pub(super) const OUTAGE_SAID_EVERY: Duration = Duration::from_secs(10);

/// Connections for writes to one server. Redis syncs once a turn for all connections, and takes a bounded piece of each: with
/// `appendfsync always` several make one sync serve more commits.
pub(super) const WRITE_LINKS: usize = 8;

/// Connections for reads from one server, so that a long page is not in the way of commits.
pub(super) const READ_LINKS: usize = 2;

/// Connections that are leased for commits which replicas must confirm, per server; more wait for one.
pub(super) const LEASES_MAX: usize = 32;

/// How long `WAIT` waits for a replica.
pub(super) const REPLICA_TIMEOUT: Duration = Duration::from_secs(1);

/// Calls that may wait for the one before them in the same shard. The engine has one under way.
pub(super) const LANE_CALLS_MAX: usize = 1024;

/// Arguments of one command inside a script; Lua cannot pass more than some 8000 at once.
pub(super) const ARGUMENTS_MAX: usize = 1000;

/// Entities that one call of the load script reads: bounds how long it holds Redis.
pub(super) const LOAD_MAX: usize = 100;

/// How often somebody else may have taken a shard between our reading and writing its epoch.
pub(super) const ACQUIRE_ATTEMPTS_MAX: usize = 10;

/// How long a box lasts without its member's beat.
pub(super) const BOX_LIFE: Duration = Duration::from_secs(60);

/// Entries that one read of a box brings.
pub(super) const RECEIVE_ENTRIES_MAX: usize = 512;

/// At most so often the servers are asked whether they are still those that the records were confirmed by.
pub(super) const WATCH_PAUSE: Duration = Duration::from_secs(1);
