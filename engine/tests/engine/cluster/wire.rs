//! A process's connection to the exchange, on which a test can let answers be lost, or never come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, pending};
use jono_store::{Epoch, Exchange, ExchangeError, MemoryExchange, NodeId, Owner, Picture, Position, ShardId};

#[derive(Clone)]
pub struct Wire {
    inner: MemoryExchange,
    lost_answers: Arc<AtomicUsize>,
    is_hanging: Arc<AtomicBool>,
}

impl Wire {
    pub fn over(inner: MemoryExchange) -> Self {
        Self { inner, lost_answers: Arc::default(), is_hanging: Arc::default() }
    }

    pub fn connection(&self) -> &MemoryExchange {
        &self.inner
    }

    /// The next sends happen, and nobody hears that they did.
    pub fn lose_answers(&self, count: usize) {
        self.lost_answers.store(count, Ordering::SeqCst);
    }

    /// Calls are not answered any more, and do not fail.
    pub fn hang(&self) {
        self.is_hanging.store(true, Ordering::SeqCst);
    }

    fn unless_hanging<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> BoxFuture<'static, Result<T, ExchangeError>>,
    ) -> BoxFuture<'static, Result<T, ExchangeError>> {
        if self.is_hanging.load(Ordering::SeqCst) { pending().boxed() } else { call() }
    }
}

impl Exchange for Wire {
    fn join(&self, card: Bytes) -> BoxFuture<'static, Result<NodeId, ExchangeError>> {
        self.unless_hanging(|| self.inner.join(card))
    }

    fn beat(&self, node: NodeId, card: Bytes, known_owners: u64) -> BoxFuture<'static, Result<Picture, ExchangeError>> {
        self.unless_hanging(|| self.inner.beat(node, card, known_owners))
    }

    fn look(&self) -> BoxFuture<'static, Result<Picture, ExchangeError>> {
        self.unless_hanging(|| self.inner.look())
    }

    fn remove(&self, node: NodeId) -> BoxFuture<'static, Result<(), ExchangeError>> {
        self.unless_hanging(|| self.inner.remove(node))
    }

    fn publish_owners(&self, owners: Vec<(ShardId, Owner)>) -> BoxFuture<'static, Result<(), ExchangeError>> {
        self.unless_hanging(|| self.inner.publish_owners(owners))
    }

    fn send(&self, to: NodeId, parcels: Vec<Bytes>) -> BoxFuture<'static, Result<(), ExchangeError>> {
        let one_fewer = |left: usize| left.checked_sub(1);
        if self.lost_answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_fewer).is_err() {
            return self.unless_hanging(|| self.inner.send(to, parcels));
        }
        let sent = self.inner.send(to, parcels);
        async move { sent.await.and(Err(ExchangeError::Unknown("the answer is lost".into()))) }.boxed()
    }

    fn receive(
        &self,
        node: NodeId,
        after: Position,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Vec<(Position, Bytes)>, ExchangeError>> {
        self.unless_hanging(|| self.inner.receive(node, after, patience))
    }
}

/// Somebody has acquired a shard, and has not said so.
pub fn fence(store: &jono_store::MemoryStore, shard: ShardId) -> Epoch {
    use jono_store::Store as _;
    store.acquire(shard).now_or_never().expect("at once").expect("acquired")
}
