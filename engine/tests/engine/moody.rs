//! A store that a test can send away altogether, and whose logs and entities are read only when a test
//! lets them be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use jono_store::{Batch, CommitError, Durability, EntityKey, Epoch, Loaded, LogRange, MemoryStore, ReadError, ShardId, Store};
use tokio::sync::watch;

pub struct Moody {
    inner: MemoryStore,
    logs: watch::Sender<bool>,
    entities: watch::Sender<bool>,
    waiting: Arc<AtomicUsize>,
    away: AtomicBool,
}

impl Moody {
    pub fn over(inner: MemoryStore) -> Self {
        Self {
            inner,
            logs: watch::Sender::new(true),
            entities: watch::Sender::new(true),
            waiting: Arc::default(),
            away: AtomicBool::new(false),
        }
    }

    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn is_away(&self) -> bool {
        self.away.load(Ordering::SeqCst)
    }

    pub fn hold_logs(&self) {
        self.logs.send_replace(false);
    }

    pub fn hold_entities(&self) {
        self.entities.send_replace(false);
    }

    pub fn release(&self) {
        self.logs.send_replace(true);
        self.entities.send_replace(true);
    }

    /// What is read is as it was at the call, as of a store that answers late.
    fn late<T: Send + 'static>(&self, gate: &watch::Sender<bool>, read: BoxFuture<'static, T>) -> BoxFuture<'static, T> {
        let mut open = gate.subscribe();
        let waiting = self.waiting.clone();
        waiting.fetch_add(1, Ordering::SeqCst);
        async move {
            let _ = open.wait_for(|open| *open).await;
            waiting.fetch_sub(1, Ordering::SeqCst);
            read.await
        }
        .boxed()
    }

    /// Readers that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}

impl Store for Moody {
    fn read_log(
        &self,
        shard: ShardId,
        entity: EntityKey,
        range: LogRange,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(u64, Bytes)>, ReadError>> {
        self.late(&self.logs, self.inner.read_log(shard, entity, range, limit))
    }

    fn acquire(&self, shard: ShardId) -> BoxFuture<'static, Result<Epoch, CommitError>> {
        self.inner.acquire(shard)
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), CommitError>> {
        if self.is_away() {
            return ready(Err(CommitError::Unavailable("away".into()))).boxed();
        }
        self.inner.commit(batch)
    }

    fn load(&self, shard: ShardId, entity: EntityKey) -> BoxFuture<'static, Result<Loaded, ReadError>> {
        if self.is_away() {
            return ready(Err(ReadError::Unavailable("away".into()))).boxed();
        }
        self.late(&self.entities, self.inner.load(shard, entity))
    }

    fn load_live(
        &self,
        shard: ShardId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(EntityKey, Loaded)>, ReadError>> {
        self.inner.load_live(shard, after, limit)
    }

    fn scan(
        &self,
        prefix: Bytes,
        after: Option<Bytes>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(Bytes, Bytes)>, ReadError>> {
        self.inner.scan(prefix, after, limit)
    }

    fn forget_answers(&self, before_ms: u64, limit: usize) -> BoxFuture<'static, Result<usize, CommitError>> {
        self.inner.forget_answers(before_ms, limit)
    }

    fn constant(&self, name: &'static str, default: Bytes) -> BoxFuture<'static, Result<Bytes, CommitError>> {
        self.inner.constant(name, default)
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.inner.close()
    }
}
