//! A store in memory: what the simulator and the engine's tests run on, and the model that other
//! stores are compared with.
//!
//! A commit is confirmed at once, unless a test has planned otherwise through [`Faults`].

mod faults;
mod state;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::oneshot;

pub use faults::{CommitFault, Faults};

use crate::{Batch, CommitError, Durability, EntityKey, Epoch, Loaded, LogRange, ReadError, ShardId, Store, limits};
use faults::Plan;
use state::State;

/// Records in memory. They live as long as any handle that [`reopen`](Self::reopen) gave.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    closed: AtomicBool,
}

/// What all handles of the same records share.
#[derive(Debug, Default)]
struct Inner {
    state: State,
    plan: Plan,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another handle of the same records, open even when this one is closed: what a new process
    /// finds when it opens the old one's store.
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), closed: AtomicBool::new(false) }
    }

    /// The records as they are now, apart from this store: what a disk or a replica has.
    #[must_use]
    pub fn copy(&self) -> Self {
        let inner = Inner { state: lock(&self.inner).state.clone(), plan: Plan::default() };
        Self { inner: Arc::new(Mutex::new(inner)), closed: AtomicBool::new(false) }
    }

    /// Where tests plan what goes wrong. All handles of the same records share the plan.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::new(Arc::clone(&self.inner))
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn read<T: Send + 'static>(&self, read: impl FnOnce(&State) -> T) -> BoxFuture<'static, Result<T, ReadError>> {
        let answer = if self.is_closed() {
            Err(ReadError::Unavailable("closed".into()))
        } else {
            let mut inner = lock(&self.inner);
            if inner.plan.next_read_fails() { Err(ReadError::Unavailable("planned".into())) } else { Ok(read(&inner.state)) }
        };
        ready(answer).boxed()
    }

    fn write<T: Send + 'static>(&self, write: impl FnOnce(&mut State) -> T) -> BoxFuture<'static, Result<T, CommitError>> {
        let answer = if self.is_closed() {
            Err(CommitError::Unavailable("closed".into()))
        } else {
            Ok(write(&mut lock(&self.inner).state))
        };
        ready(answer).boxed()
    }
}

/// A panic of a test that held the lock says nothing about the records.
fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Applies a batch as planned.
    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        match self.plan.next_commit_fault() {
            None => self.state.commit(batch),
            Some(CommitFault::Unavailable) => Err(CommitError::Unavailable("planned".into())),
            Some(CommitFault::UnknownLost) => Err(CommitError::Unknown("planned".into())),
            Some(CommitFault::UnknownApplied) => {
                self.state.commit(batch)?;
                Err(CommitError::Unknown("planned".into()))
            }
        }
    }
}

impl Store for MemoryStore {
    fn acquire(&self, shard: ShardId) -> BoxFuture<'static, Result<Epoch, CommitError>> {
        self.write(move |state| state.acquire(shard))
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), CommitError>> {
        if self.is_closed() {
            return ready(Err(CommitError::Unavailable("closed".into()))).boxed();
        }
        if let Err(refusal) = limits::check(&batch) {
            return ready(Err(refusal)).boxed();
        }
        let mut inner = lock(&self.inner);
        if !inner.plan.is_holding() {
            return ready(inner.commit(&batch)).boxed();
        }
        let (answer, outcome) = oneshot::channel();
        inner.plan.hold(batch, answer);
        async move { outcome.await.unwrap_or_else(|_| Err(CommitError::Unknown("the store is gone".into()))) }.boxed()
    }

    fn load(&self, shard: ShardId, entity: EntityKey) -> BoxFuture<'static, Result<Loaded, ReadError>> {
        self.read(move |state| state.load(shard, &entity))
    }

    fn load_live(
        &self,
        shard: ShardId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(EntityKey, Loaded)>, ReadError>> {
        self.read(move |state| state.load_live(shard, after.as_ref(), limit.min(limits::PAGE_MAX)))
    }

    fn read_log(
        &self,
        shard: ShardId,
        entity: EntityKey,
        range: LogRange,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(u64, Bytes)>, ReadError>> {
        self.read(move |state| state.read_log(shard, &entity, range, limit.min(limits::PAGE_MAX)))
    }

    fn scan(
        &self,
        prefix: Bytes,
        after: Option<Bytes>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(Bytes, Bytes)>, ReadError>> {
        self.read(move |state| state.scan(&prefix, after.as_ref(), limit.min(limits::PAGE_MAX)))
    }

    fn forget_answers(&self, before_ms: u64, limit: usize) -> BoxFuture<'static, Result<usize, CommitError>> {
        self.write(move |state| state.forget_answers(before_ms, limit.min(limits::PAGE_MAX)))
    }

    fn constant(&self, name: &'static str, default: Bytes) -> BoxFuture<'static, Result<Bytes, CommitError>> {
        self.write(move |state| state.constant(name, default))
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.closed.store(true, Ordering::Release);
        ready(()).boxed()
    }
}

#[cfg(test)]
mod tests;
