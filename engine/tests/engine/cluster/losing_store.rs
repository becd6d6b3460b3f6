//! A store whose records can be lost while processes run on it.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jono_store::{Batch, CommitError, Durability, EntityKey, Epoch, Loaded, LogRange, MemoryStore, ReadError, ShardId, Store};

/// One process's handle.
pub struct LosingStore(Mutex<MemoryStore>);

impl LosingStore {
    pub fn on(records: &MemoryStore) -> Self {
        Self(Mutex::new(records.reopen()))
    }

    /// These are the records from now on.
    pub fn lose_everything(&self, records: &MemoryStore) {
        self.with(|store| *store = records.reopen());
    }

    fn with<T>(&self, call: impl FnOnce(&mut MemoryStore) -> T) -> T {
        call(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for LosingStore {
    fn acquire(&self, shard: ShardId) -> BoxFuture<'static, Result<Epoch, CommitError>> {
        self.with(|store| store.acquire(shard))
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), CommitError>> {
        self.with(|store| store.commit(batch))
    }

    fn load(&self, shard: ShardId, entity: EntityKey) -> BoxFuture<'static, Result<Loaded, ReadError>> {
        self.with(|store| store.load(shard, entity))
    }

    fn load_live(
        &self,
        shard: ShardId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(EntityKey, Loaded)>, ReadError>> {
        self.with(|store| store.load_live(shard, after, limit))
    }

    fn read_log(
        &self,
        shard: ShardId,
        entity: EntityKey,
        range: LogRange,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(u64, Bytes)>, ReadError>> {
        self.with(|store| store.read_log(shard, entity, range, limit))
    }

    fn scan(
        &self,
        prefix: Bytes,
        after: Option<Bytes>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(Bytes, Bytes)>, ReadError>> {
        self.with(|store| store.scan(prefix, after, limit))
    }

    fn forget_answers(&self, before_ms: u64, limit: usize) -> BoxFuture<'static, Result<usize, CommitError>> {
        self.with(|store| store.forget_answers(before_ms, limit))
    }

    fn constant(&self, name: &'static str, default: Bytes) -> BoxFuture<'static, Result<Bytes, CommitError>> {
        self.with(|store| store.constant(name, default))
    }

    fn durability(&self) -> Durability {
        self.with(|store| store.durability())
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.with(|store| store.close())
    }
}
