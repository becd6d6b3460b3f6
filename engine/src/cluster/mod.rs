//! A process among others: who is there, who owns which shard, and how letters and deliveries find their way.
//!
//! Everything rests on three properties. *Writes are fenced*: an owner that was replaced writes nothing, whatever it believes
//! (the store compares epochs). *Messages may be lost, doubled, late*: requests are sent again until they are answered, under a
//! key; what entities tell each other is told in full and told again when an owner changes; sessions follow again from where
//! they are. *Nobody compares clocks*: a process stops by its own before others, by theirs, may take over.
//!
//! Reading order: `card`, `placement`, `membership` (what should be), `envelope`, `link`, `incoming` (parcels), `asked`, `told`, `bus`
//! (what is under way), `settings`, `node` (the process's life among others), `holding` (what it does with shards), `receiver`, `limits`.

use std::sync::Arc;

use jono_store::Exchange;

mod asked;
mod bus;
mod card;
mod envelope;
mod holding;
mod incoming;
pub mod limits;
mod link;
mod membership;
mod node;
mod placement;
mod receiver;
pub(crate) mod settings;
mod told;

pub use card::{About, Card};

pub(crate) use bus::{ClusterBus, is_numbered, is_session_of};
pub(crate) use node::{Node, NodeHandle};

/// How a process takes part.
#[derive(Clone)]
pub struct ClusterConfig {
    /// What the processes share besides the store.
    pub exchange: Arc<dyn Exchange>,
    /// It owns shards.
    pub serves_shards: bool,
    /// It takes connections of clients.
    pub serves_clients: bool,
    /// Where it runs, for people.
    pub name: String,
    /// Which Jono it is, for people.
    pub version: String,
}
