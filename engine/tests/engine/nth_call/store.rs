//! A store in which one call fails: the n-th of its kind, in one of the ways that it can.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use jono_store::{Batch, CommitError, Durability, EntityKey, Epoch, Loaded, LogRange, ReadError, ShardId, Store};

/// What the engine asks of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Acquire,
    Commit,
    ForgetAnswers,
    Constant,
    Load,
    LoadLive,
    ReadLog,
    Scan,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing happened, and that is what is said.
    Unavailable,
    /// Nothing happened, and nobody knows.
    Lost,
    /// It happened, and nobody knows.
    Applied,
    /// Another process has taken the shard a moment before.
    Fenced,
    /// What was read is damaged.
    Corrupt,
}

impl Call {
    pub const ALL: [Self; 8] =
        [Self::Acquire, Self::Commit, Self::ForgetAnswers, Self::Constant, Self::Load, Self::LoadLive, Self::ReadLog, Self::Scan];

    pub fn ways(self) -> &'static [Way] {
        match self {
            Self::Commit => &[Way::Unavailable, Way::Lost, Way::Applied, Way::Fenced],
            Self::Acquire | Self::ForgetAnswers | Self::Constant => &[Way::Unavailable, Way::Lost, Way::Applied],
            Self::Load | Self::LoadLive | Self::ReadLog | Self::Scan => &[Way::Unavailable, Way::Corrupt],
        }
    }
}

/// One call that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub call: Call,
    /// From 1, over all lives of the process.
    pub nth: usize,
    pub way: Way,
}

impl Fault {
    /// Promised is no more than that nothing is lost: service is back when somebody has started the process again.
    pub fn needs_somebody(self) -> bool {
        matches!((self.call, self.way), (Call::Commit, Way::Fenced) | (Call::Load, Way::Corrupt))
    }
}

/// Counts the calls, and knows which of them fails. One for all lives of a process.
#[derive(Default)]
pub struct Trouble {
    fault: Option<Fault>,
    counts: Mutex<BTreeMap<Call, usize>>,
    has_struck: AtomicBool,
    is_over: AtomicBool,
}

impl Trouble {
    pub fn of(fault: Option<Fault>) -> Arc<Self> {
        Arc::new(Self { fault, ..Self::default() })
    }

    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    pub fn has_struck(&self) -> bool {
        self.has_struck.load(Ordering::SeqCst)
    }

    pub fn counts(&self) -> BTreeMap<Call, usize> {
        self.counts.lock().expect("nothing panics").clone()
    }

    /// While it is looked at what has become of everything, nothing fails and nothing counts.
    pub fn set_over(&self, is_over: bool) {
        self.is_over.store(is_over, Ordering::SeqCst);
    }

    /// Another call: how it fails, if it does.
    fn next(&self, call: Call) -> Option<Way> {
        if self.is_over.load(Ordering::SeqCst) {
            return None;
        }
        let mut counts = self.counts.lock().expect("nothing panics");
        let count = counts.entry(call).or_default();
        *count += 1;
        let fault = self.fault.filter(|fault| fault.call == call && fault.nth == *count)?;
        self.has_struck.store(true, Ordering::SeqCst);
        Some(fault.way)
    }
}

pub struct NthCall {
    inner: Arc<dyn Store>,
    trouble: Arc<Trouble>,
}

impl NthCall {
    pub fn over(inner: Arc<dyn Store>, trouble: &Arc<Trouble>) -> Arc<Self> {
        Arc::new(Self { inner, trouble: Arc::clone(trouble) })
    }

    fn read<T: Send + 'static>(
        &self,
        call: Call,
        read: impl FnOnce() -> BoxFuture<'static, Result<T, ReadError>>,
    ) -> BoxFuture<'static, Result<T, ReadError>> {
        match self.trouble.next(call) {
            None => read(),
            Some(Way::Corrupt) => ready(Err(ReadError::Corrupt("planned".into()))).boxed(),
            Some(_) => ready(Err(ReadError::Unavailable("planned".into()))).boxed(),
        }
    }

    fn write<T: Send + 'static>(
        &self,
        call: Call,
        write: impl FnOnce() -> BoxFuture<'static, Result<T, CommitError>>,
    ) -> BoxFuture<'static, Result<T, CommitError>> {
        match self.trouble.next(call) {
            None => write(),
            Some(way) => Self::fail(way, write),
        }
    }

    fn fail<T: Send + 'static>(
        way: Way,
        write: impl FnOnce() -> BoxFuture<'static, Result<T, CommitError>>,
    ) -> BoxFuture<'static, Result<T, CommitError>> {
        let planned = "planned".to_owned();
        match way {
            Way::Unavailable | Way::Fenced | Way::Corrupt => ready(Err(CommitError::Unavailable(planned))).boxed(),
            Way::Lost => ready(Err(CommitError::Unknown(planned))).boxed(),
            Way::Applied => {
                let applied = write();
                async move { applied.await.and(Err(CommitError::Unknown(planned))) }.boxed()
            }
        }
    }
}

impl Store for NthCall {
    fn acquire(&self, shard: ShardId) -> BoxFuture<'static, Result<Epoch, CommitError>> {
        self.write(Call::Acquire, || self.inner.acquire(shard))
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), CommitError>> {
        match self.trouble.next(Call::Commit) {
            None => self.inner.commit(batch),
            Some(Way::Fenced) => {
                let taken = self.inner.acquire(batch.shard);
                async move { Err(CommitError::Fenced { current: taken.await? }) }.boxed()
            }
            Some(way) => Self::fail(way, || self.inner.commit(batch)),
        }
    }

    fn load(&self, shard: ShardId, entity: EntityKey) -> BoxFuture<'static, Result<Loaded, ReadError>> {
        self.read(Call::Load, || self.inner.load(shard, entity))
    }

    fn load_live(
        &self,
        shard: ShardId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(EntityKey, Loaded)>, ReadError>> {
        self.read(Call::LoadLive, || self.inner.load_live(shard, after, limit))
    }

    fn read_log(
        &self,
        shard: ShardId,
        entity: EntityKey,
        range: LogRange,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(u64, Bytes)>, ReadError>> {
        self.read(Call::ReadLog, || self.inner.read_log(shard, entity, range, limit))
    }

    fn scan(
        &self,
        prefix: Bytes,
        after: Option<Bytes>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(Bytes, Bytes)>, ReadError>> {
        self.read(Call::Scan, || self.inner.scan(prefix, after, limit))
    }

    fn forget_answers(&self, before_ms: u64, limit: usize) -> BoxFuture<'static, Result<usize, CommitError>> {
        self.write(Call::ForgetAnswers, || self.inner.forget_answers(before_ms, limit))
    }

    fn constant(&self, name: &'static str, default: Bytes) -> BoxFuture<'static, Result<Bytes, CommitError>> {
        self.write(Call::Constant, || self.inner.constant(name, default))
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.inner.close()
    }
}
