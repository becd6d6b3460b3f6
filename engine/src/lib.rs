//! The engine: actors around the pure machines of `jono-domain`, shards, group commit, delivery.
//!
//! No HTTP and no JSON in here. Reading order: what goes in and out ([`request`], [`delivery`], [`directory`]), the way in
//! ([`Engine`]), then the machinery.

pub mod codec;
pub mod delivery;
pub mod directory;
pub mod limits;
pub mod request;

mod engine;

pub use engine::{Engine, EngineConfig, StartError};
