//! The way into the engine.

use std::sync::Arc;

use jono_domain::account::Who;
use jono_domain::message::{Address, Order};
use jono_store::Store;

use crate::delivery::{Deliver, SessionRef};
use crate::directory::Directory;
use crate::request::{Answer, Follow, Full, Query, ReplyTo, Request};

/// How the engine runs.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Threads that run shards; default: one per core, at most 4... (0 = automatic)
    pub arbiters: usize,
    /// Logical shards; stored with the data.
    pub shards: u16,
}

impl Default for EngineConfig {
    fn default() -> Self { Self { arbiters: 0, shards: 256 } }
}

/// Why the engine did not start.
#[derive(Debug)]
pub struct StartError(pub String);

/// A cheap handle.
#[derive(Clone)]
pub struct Engine {}

impl Engine {
    /// Starts the shards and brings back every live entity. Call inside an actix `System`.
    pub async fn start(_store: Arc<dyn Store>, _config: EngineConfig) -> Result<Engine, StartError> { todo!() }
    /// Asks one entity.
    pub fn send(&self, _request: Request) -> Result<(), Full> { todo!() }
    /// Asks one entity and waits.
    pub async fn ask(&self, _who: Who, _key: Option<String>, _order: Order) -> Answer { todo!() }
    /// A session begins to follow an entity.
    pub fn follow(&self, _follow: Follow) -> Result<(), Full> { todo!() }
    /// A session no longer follows an entity (its socket closed, or it said so). Never refused.
    pub fn unfollow(&self, _session: SessionRef, _what: Address) { todo!() }
    /// Asks over several entities. Answered through `reply_to`.
    pub fn query(&self, _who: Who, _query: Query, _reply_to: ReplyTo) -> Result<(), Full> { todo!() }
    /// The settings of every organisation.
    pub fn directory(&self) -> Arc<Directory> { todo!() }
    /// Deliveries for `SessionRef::gateway == the returned number` go to `deliver`.
    pub fn attach_gateway(&self, _deliver: Arc<dyn Deliver>) -> u32 { todo!() }
    /// 32 random bytes stored with the data: keys for tokens are derived from it.
    pub fn secret(&self) -> [u8; 32] { todo!() }
    /// Random, stored with the data: another log has another identity.
    pub fn log_identity(&self) -> u64 { todo!() }
    /// Counters for metrics.
    pub fn counters(&self) -> Arc<Counters> { todo!() }
    /// Commits what is under way, answers nothing more, closes the store.
    pub async fn stop(&self) { todo!() }
}

/// Totals since start, and gauges; read for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    pub commits: std::sync::atomic::AtomicU64,
    pub writes: std::sync::atomic::AtomicU64,
}
