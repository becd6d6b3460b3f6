//! The store and the exchange of systems of several processes: one Redis server, or a Redis Cluster.
//!
//! In reading order: [`options`] (what is wanted), [`core`] (connecting), [`keys`] and [`sealed`] (what is kept where, and in which
//! frame), [`script`] and `lua/` (what runs inside Redis), [`batch`] (a batch for the commit script), [`lane`] (the commits of a
//! shard), [`reading`] and [`lists`] (what is read back); [`exchange`] (members, owners, boxes), [`boxes`], [`identity`] (whether
//! something may have been lost). Below: [`call`] (what is sent), [`servers`] (which server has what), [`server`] and [`link`] (connections), [`failure`] (what
//! went wrong), [`configuration`] (what a server promises), [`examine`] (what an operator wants to know of it), [`thread`].

mod address;
mod batch;
mod boxes;
mod call;
mod configuration;
mod core;
mod examine;
mod exchange;
mod failure;
mod gate;
mod identity;
mod keys;
mod lane;
mod limits;
mod link;
mod lists;
mod options;
mod reading;
mod script;
mod sealed;
mod server;
mod servers;
mod stats;
mod thread;
mod value;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::oneshot;

pub use examine::{Finding, Verdict, examine};
pub use exchange::RedisExchange;
pub use options::{ConnectError, RedisOptions};
pub use stats::RedisStats;

use self::core::Core;
use crate::{Batch, CommitError, Durability, EntityKey, Epoch, Loaded, LogRange, ReadError, ShardId, Store};
use gate::{Gate, Pass};
use lane::Job;
use lists::{Lists, commit_error};

/// Records in Redis, for any number of processes.
///
/// What an acknowledged commit survives, by [`Durability`]:
///
/// | | killed Redis | power cut at Redis | loss of a Redis server with its disk |
/// |---|---|---|---|
/// | `Memory` | no | no | no |
/// | `Second` | yes, but for what an fsync that stalled held back | but for the last second | no |
/// | `Disk` | yes | yes | no: a replica that takes over may lack it |
/// | `Replica` | yes, when a replica takes over | likewise | yes, when the replica that confirmed it takes over |
///
/// [`connect`](Self::connect) reads the configuration of every master and refuses to promise more than it gives; every new connection
/// and every second beat of a member look again, and a server that gives less than it did is not written to.
///
/// # Failures
///
/// A commit that Redis refused (`OOM`, `READONLY`, `MISCONF`, `LOADING`, `CLUSTERDOWN`, a connection that could not be made) is
/// [`CommitError::Unavailable`]. One whose answer did not come is sent once more if the connection broke, under its number, which
/// Redis knows again; otherwise it is [`CommitError::Unknown`]. What is unknown is settled before anything else is done in its
/// shard: when the next [`load`](Store::load) answers, the commit is there or never will be. Service resumes by itself, also
/// when another server has taken over or slots have moved.
///
/// # Epochs
///
/// The low 20 bits of an epoch are drawn by lot, so that one that a failover lost is not given again to somebody else.
pub struct RedisStore {
    core: Arc<Core>,
    gate: Gate,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore").field("durability", &self.core.durability()).finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Connects to all masters and checks that they give what is wanted.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(options: RedisOptions) -> Result<(Self, RedisExchange), ConnectError> {
        let core = Arc::new(Core::connect(&options).await?);
        let exchange = RedisExchange::new(Arc::clone(&core));
        Ok((Self { core, gate: Gate::new() }, exchange))
    }

    /// What has been done since, the exchange included.
    #[must_use]
    pub fn stats(&self) -> RedisStats {
        self.core.stats()
    }

    /// Whether the servers are a Redis Cluster.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.core.servers.is_cluster()
    }

    fn enter_to_write(&self) -> Result<Pass, CommitError> {
        self.gate.enter().ok_or_else(|| CommitError::Unavailable("closed".into()))
    }

    /// Starts a read, on the connections' thread.
    fn read<T: Send + 'static>(
        &self,
        read: impl Future<Output = Result<T, ReadError>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, ReadError>> {
        let unavailable = || Err(ReadError::Unavailable("closed".into()));
        let Some(pass) = self.gate.enter() else {
            return ready(unavailable()).boxed();
        };
        let task = self.core.thread.start_task(async move {
            let _pass = pass;
            read.await
        });
        async move { task.await.unwrap_or_else(unavailable) }.boxed()
    }

    /// Starts a change that is not a shard's own.
    fn write<T: Send + 'static>(
        &self,
        write: impl Future<Output = Result<T, CommitError>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, CommitError>> {
        let pass = match self.enter_to_write() {
            Ok(pass) => pass,
            Err(refusal) => return ready(Err(refusal)).boxed(),
        };
        let task = self.core.thread.start_task(async move {
            let _pass = pass;
            write.await
        });
        async move { task.await.unwrap_or_else(|| Err(CommitError::Unknown("the store is gone".into()))) }.boxed()
    }

    fn lists(&self) -> Lists {
        Lists { servers: Arc::clone(&self.core.servers), keys: self.core.keys.clone() }
    }
}

impl Store for RedisStore {
    fn acquire(&self, shard: ShardId) -> BoxFuture<'static, Result<Epoch, CommitError>> {
        let (lists, core) = (self.lists(), Arc::clone(&self.core));
        self.write(async move {
            lists.note_shard(shard).await.map_err(commit_error)?;
            let (answer, outcome) = oneshot::channel();
            core.add_job(shard, Job::Acquire(answer))?;
            drop(core);
            outcome.await.unwrap_or_else(|_| Err(CommitError::Unknown("the store is gone".into())))
        })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), CommitError>> {
        if let Err(refusal) = crate::limits::check(&batch) {
            return ready(Err(refusal)).boxed();
        }
        let pass = match self.enter_to_write() {
            Ok(pass) => pass,
            Err(refusal) => return ready(Err(refusal)).boxed(),
        };
        let (answer, outcome) = oneshot::channel();
        let prepared = Box::new(batch::prepare(&self.core.keys, &batch));
        if let Err(refusal) = self.core.add_job(batch.shard, Job::Commit(prepared, answer, pass)) {
            return ready(Err(refusal)).boxed();
        }
        async move { outcome.await.unwrap_or_else(|_| Err(CommitError::Unknown("the store is gone".into()))) }.boxed()
    }

    fn load(&self, shard: ShardId, entity: EntityKey) -> BoxFuture<'static, Result<Loaded, ReadError>> {
        let reader = reading::Reader::new(&self.core);
        self.read(async move { reader.load(shard, entity).await })
    }

    fn load_live(
        &self,
        shard: ShardId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(EntityKey, Loaded)>, ReadError>> {
        let reader = reading::Reader::new(&self.core);
        self.read(async move { reader.load_live(shard, after, limit.min(crate::limits::PAGE_MAX)).await })
    }

    fn read_log(
        &self,
        shard: ShardId,
        entity: EntityKey,
        range: LogRange,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(u64, Bytes)>, ReadError>> {
        let reader = reading::Reader::new(&self.core);
        self.read(async move { reader.read_log(shard, entity, range, limit.min(crate::limits::PAGE_MAX)).await })
    }

    fn scan(
        &self,
        prefix: Bytes,
        after: Option<Bytes>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(Bytes, Bytes)>, ReadError>> {
        let lists = self.lists();
        self.read(async move { lists.scan(prefix, after, limit.min(crate::limits::PAGE_MAX)).await })
    }

    fn forget_answers(&self, before_ms: u64, limit: usize) -> BoxFuture<'static, Result<usize, CommitError>> {
        let lists = self.lists();
        self.write(async move { lists.forget(before_ms, limit.min(crate::limits::PAGE_MAX)).await })
    }

    fn constant(&self, name: &'static str, default: Bytes) -> BoxFuture<'static, Result<Bytes, CommitError>> {
        let lists = self.lists();
        self.write(async move { lists.constant(name, default).await })
    }

    fn durability(&self) -> Durability {
        self.core.durability()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.gate.close().boxed()
    }
}
