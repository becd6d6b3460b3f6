//! A process's connection to the exchange, on which a test can let answers be lost, or never come, or one call fail.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, pending, ready};
use jono_store::{Epoch, Exchange, ExchangeError, MemoryExchange, NodeId, Owner, Picture, Position, ShardId};

/// What a process asks of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Join,
    Beat,
    Remove,
    PublishOwners,
    Send,
    Receive,
}

/// One call that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub call: Call,
    /// From 1, over all processes.
    pub nth: usize,
    /// It happened, and nobody hears of it; otherwise it did not.
    pub applied: bool,
}

/// Counts the calls of all processes, and knows which of them fails.
#[derive(Default)]
pub struct Trouble {
    fault: Option<Fault>,
    counts: Mutex<BTreeMap<Call, usize>>,
    has_struck: AtomicBool,
}

impl Trouble {
    pub fn of(fault: Option<Fault>) -> Arc<Self> {
        Arc::new(Self { fault, ..Self::default() })
    }

    pub fn has_struck(&self) -> bool {
        self.has_struck.load(Ordering::SeqCst)
    }

    pub fn counts(&self) -> BTreeMap<Call, usize> {
        self.counts.lock().expect("nothing panics").clone()
    }

    /// Another call: whether it fails, and if so whether it happens all the same.
    fn next(&self, call: Call) -> Option<bool> {
        let mut counts = self.counts.lock().expect("nothing panics");
        let count = counts.entry(call).or_default();
        *count += 1;
        let fault = self.fault.filter(|fault| fault.call == call && fault.nth == *count)?;
        self.has_struck.store(true, Ordering::SeqCst);
        Some(fault.applied)
    }
}

#[derive(Clone)]
pub struct Wire {
    inner: MemoryExchange,
    lost_answers: Arc<AtomicUsize>,
    is_hanging: Arc<AtomicBool>,
    trouble: Arc<Trouble>,
}

impl Wire {
    pub fn over(inner: MemoryExchange, trouble: &Arc<Trouble>) -> Self {
        Self { inner, lost_answers: Arc::default(), is_hanging: Arc::default(), trouble: Arc::clone(trouble) }
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

    fn call<T: Send + 'static>(
        &self,
        call: Option<Call>,
        inner: impl FnOnce() -> BoxFuture<'static, Result<T, ExchangeError>>,
    ) -> BoxFuture<'static, Result<T, ExchangeError>> {
        if self.is_hanging.load(Ordering::SeqCst) {
            return pending().boxed();
        }
        match call.and_then(|call| self.trouble.next(call)) {
            None => inner(),
            Some(false) => ready(Err(ExchangeError::Unavailable("planned".into()))).boxed(),
            Some(true) => unheard(inner()),
        }
    }
}

/// It happens, and nobody hears that it did.
fn unheard<T: Send + 'static>(
    call: BoxFuture<'static, Result<T, ExchangeError>>,
) -> BoxFuture<'static, Result<T, ExchangeError>> {
    async move { call.await.and(Err(ExchangeError::Unknown("the answer is lost".into()))) }.boxed()
}

impl Exchange for Wire {
    fn join(&self, card: Bytes) -> BoxFuture<'static, Result<NodeId, ExchangeError>> {
        self.call(Some(Call::Join), || self.inner.join(card))
    }

    fn beat(&self, node: NodeId, card: Bytes, known_owners: u64) -> BoxFuture<'static, Result<Picture, ExchangeError>> {
        self.call(Some(Call::Beat), || self.inner.beat(node, card, known_owners))
    }

    /// No process looks without being a member: tests do.
    fn look(&self) -> BoxFuture<'static, Result<Picture, ExchangeError>> {
        self.call(None, || self.inner.look())
    }

    fn remove(&self, node: NodeId) -> BoxFuture<'static, Result<(), ExchangeError>> {
        self.call(Some(Call::Remove), || self.inner.remove(node))
    }

    fn publish_owners(&self, owners: Vec<(ShardId, Owner)>) -> BoxFuture<'static, Result<(), ExchangeError>> {
        self.call(Some(Call::PublishOwners), || self.inner.publish_owners(owners))
    }

    fn send(&self, to: NodeId, parcels: Vec<Bytes>) -> BoxFuture<'static, Result<(), ExchangeError>> {
        let one_fewer = |left: usize| left.checked_sub(1);
        if self.lost_answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_fewer).is_ok() {
            return unheard(self.inner.send(to, parcels));
        }
        self.call(Some(Call::Send), || self.inner.send(to, parcels))
    }

    fn receive(
        &self,
        node: NodeId,
        after: Position,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Vec<(Position, Bytes)>, ExchangeError>> {
        self.call(Some(Call::Receive), || self.inner.receive(node, after, patience))
    }
}

/// Somebody has acquired a shard, and has not said so.
pub fn fence(store: &jono_store::MemoryStore, shard: ShardId) -> Epoch {
    use jono_store::Store as _;
    store.acquire(shard).now_or_never().expect("at once").expect("acquired")
}
