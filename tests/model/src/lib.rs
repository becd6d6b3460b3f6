//! The protocol by which engines own a shard, claim its conversations and fire its timers, as a model that is checked state by
//! state.
//!
//! Reading order: `times` (spans in ticks), `talk` (the conversation), `store` (Redis), `engine` (one process), `system` and
//! `steps` (all of it), `witness` (what was promised), `rules` (what is checked), `action` and `model` (what may
//! happen).

pub mod action;
pub mod engine;
pub mod model;
pub mod rules;
pub mod steps;
pub mod store;
pub mod system;
pub mod talk;
pub mod times;
pub mod witness;
