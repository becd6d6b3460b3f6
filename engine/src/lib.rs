//! The engine: actors around the pure machines of `jono-domain`, shards, group commit, delivery.
//!
//! No HTTP and no JSON in here. Reading order: what goes in and out ([`request`], [`delivery`], [`directory`]), the way in
//! ([`Engine`]), `constants` (what is kept with the data), then the machinery: `letter` and [`bus`] (how things travel), `arbiters` and `host` (threads), `entity`
//! (the actor around a machine), `shard` and `committing` (group commit), `output` (what leaves), `followers` and `catch_up`
//! (sessions), `timers`, `query`; and among other processes [`cluster`], `tenancy` (shards that come and go) and `lease` (until when).

pub mod bus;
pub mod clock;
pub mod cluster;
pub mod codec;
pub mod counters;
pub mod delivery;
pub mod directory;
pub mod letter;
pub mod limits;
pub mod request;

mod absent;
mod answers;
mod arbiters;
mod asleep;
mod catch_up;
mod committing;
mod constants;
mod engine;
mod entity;
mod followers;
mod host;
mod kind;
mod later;
mod lease;
mod output;
mod query;
mod recent;
mod shard;
mod tenancy;
mod timers;

pub use arbiters::Threads;
pub use constants::{secret_of, shard_count_of};
pub use engine::{Engine, EngineConfig, PanicIf, StartError};
