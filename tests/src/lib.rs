//! Everything that crosses crates: the real binary, real sockets, restarts.
//!
//! What is here is what the tests stand on: [`server`] runs `jono`, [`armed`] builds the one that dies on purpose, [`system`] several on one Redis, [`world`] gives it an organisation,
//! [`client`] talks to it like any client would and checks everything it hears ([`view`], [`documents`]),
//! [`raw`] and [`http`] are for what no decent client sends. It knows the server's wire, and none of
//! its crates.

pub mod server;

pub mod armed;

pub mod system;

pub mod world;

pub mod client;

pub mod view;

pub mod documents;

pub mod schema;

pub mod http;

pub mod raw;

use std::time::Duration;

/// How long a test waits for what must come. Nothing takes nearly as long; a busy machine may.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The time, as the server has it: milliseconds since 1970.
#[must_use]
pub fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as u64)
}
