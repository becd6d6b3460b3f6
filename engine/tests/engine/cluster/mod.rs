//! Several processes that share a store: what clients see when shards move, processes die, stand still, are cut off, and when
//! what they send each other is lost.

mod client;
mod kit;
mod losing_store;
mod wire;

mod crashing;
mod emptying;
mod losing;
mod moving;
mod nth_call;
mod racing;
mod random;
mod settings;
mod stopping;
mod talking;

pub use random::one_holder_at_a_time;
