//! Who may write a shard.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use jono_store::{CommitError, Epoch, ShardId, Store};

/// Hands out shards. A lease says who *should* write; the epoch that comes with it makes the store refuse
/// everybody else, so a lease that is lost unnoticed harms nothing.
pub trait Lease: Send + Sync + 'static {
    /// Makes this process the shard's writer. Resolves when it is; nobody else's commit is applied from then on.
    ///
    /// # Errors
    /// What the store says; the shard is not owned.
    fn acquire(&self, shard: ShardId) -> BoxFuture<'static, Result<Epoch, CommitError>>;
}

/// The lease of a process that is alone with its store: it owns every shard from its start to its end.
pub(crate) struct Alone(pub(crate) Arc<dyn Store>);

impl Lease for Alone {
    fn acquire(&self, shard: ShardId) -> BoxFuture<'static, Result<Epoch, CommitError>> {
        self.0.acquire(shard)
    }
}
