//! The engine: actors around the pure machines of `jono-domain`, shards, group commit, delivery.
//!
//! No HTTP and no JSON in here. Reading order: what goes in and out ([`request`], [`delivery`], [`directory`]), the way in
//! ([`Engine`]), then the machinery: `letter` and [`bus`] (how things travel), [`lease`] (who may write), `host` (one thread), `entity`
//! (the actor around a machine), `shard` (group commit), `output` (what leaves), `followers` and `catch_up`
//! (sessions), `timers`, `query`.

pub mod bus;
pub mod clock;
pub mod codec;
pub mod counters;
pub mod delivery;
pub mod directory;
pub mod lease;
pub mod letter;
pub mod limits;
pub mod request;

mod answers;
mod catch_up;
mod engine;
mod entity;
mod followers;
mod host;
mod kind;
mod output;
mod query;
mod shard;
mod timers;

pub use engine::{Engine, EngineConfig, PanicIf, StartError};
