//! An exchange in memory: for several engines in one process, and the model that others are compared with.
//!
//! Everything happens at once, unless a test has planned otherwise through [`ExchangeFaults`].

mod faults;
mod state;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

pub use faults::ExchangeFaults;

use crate::{Exchange, ExchangeError, NodeId, Owner, Picture, Position, ShardId, limits};
use state::State;

/// What processes share, in memory. A clone is the same connection; [`connection`](Self::connection) makes
/// another one to the same exchange, which can be [cut](Self::cut_off) by itself.
#[derive(Clone, Debug)]
pub struct MemoryExchange {
    state: Arc<Mutex<State>>,
    cut: Arc<AtomicBool>,
}

impl Default for MemoryExchange {
    fn default() -> Self {
        Self::with_box_limits(limits::BOX_PARCELS_MAX, limits::BOX_BYTES_MAX)
    }
}

impl MemoryExchange {
    /// An exchange without members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Like [`new`](Self::new), with boxes that are full at this many parcels, or bytes of parcels.
    #[must_use]
    pub fn with_box_limits(parcels_max: usize, bytes_max: usize) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(parcels_max, bytes_max))), cut: Arc::default() }
    }

    /// Another process's connection to the same exchange.
    #[must_use]
    pub fn connection(&self) -> Self {
        Self { state: Arc::clone(&self.state), cut: Arc::default() }
    }

    /// The exchange as it is now, apart from this one and without anybody who waits: what a disk or a replica has.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { state: Arc::new(Mutex::new(lock(&self.state).copy())), cut: Arc::default() }
    }

    /// Numbers of members, and places in boxes, go on from so much higher: whoever has lost the last of them gives none twice.
    pub fn skip_numbers(&self, by: u32) {
        lock(&self.state).skip_numbers(by);
    }

    /// As [`receive`](Exchange::receive) without waiting.
    ///
    /// # Errors
    /// [`ExchangeError::Gone`].
    pub fn receive_now(&self, node: NodeId, after: Position) -> Result<Vec<(Position, Bytes)>, ExchangeError> {
        lock(&self.state).receive(node, after)
    }

    /// From now on every call over this connection and its clones answers [`ExchangeError::Unavailable`]; those that
    /// wait for parcels go on waiting in vain.
    pub fn cut_off(&self) {
        self.cut.store(true, Ordering::Release);
    }

    /// Ends what [`cut_off`](Self::cut_off) began.
    pub fn mend(&self) {
        self.cut.store(false, Ordering::Release);
        // Who waited in vain looks again.
        lock(&self.state).wake_all();
    }

    /// Where tests plan what goes wrong, for all connections.
    #[must_use]
    pub fn faults(&self) -> ExchangeFaults {
        ExchangeFaults::new(Arc::clone(&self.state))
    }

    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut State) -> Result<T, ExchangeError>,
    ) -> BoxFuture<'static, Result<T, ExchangeError>> {
        let outcome = match self.cut.load(Ordering::Acquire) {
            true => Err(ExchangeError::Unavailable("cut off".into())),
            false => call(&mut lock(&self.state)),
        };
        ready(outcome).boxed()
    }
}

/// A panic of a test that held the lock says nothing about the members.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Exchange for MemoryExchange {
    fn join(&self, card: Bytes) -> BoxFuture<'static, Result<NodeId, ExchangeError>> {
        self.call(|state| Ok(state.join(card)))
    }

    fn beat(&self, node: NodeId, card: Bytes, known_owners: u64) -> BoxFuture<'static, Result<Picture, ExchangeError>> {
        self.call(|state| {
            state.beat(node, card)?;
            Ok(state.picture(Some(known_owners)))
        })
    }

    fn look(&self) -> BoxFuture<'static, Result<Picture, ExchangeError>> {
        self.call(|state| Ok(state.picture(None)))
    }

    fn remove(&self, node: NodeId) -> BoxFuture<'static, Result<(), ExchangeError>> {
        self.call(|state| {
            state.remove(node);
            Ok(())
        })
    }

    fn publish_owners(&self, owners: Vec<(ShardId, Owner)>) -> BoxFuture<'static, Result<(), ExchangeError>> {
        self.call(|state| {
            state.publish(&owners);
            Ok(())
        })
    }

    fn send(&self, to: NodeId, parcels: Vec<Bytes>) -> BoxFuture<'static, Result<(), ExchangeError>> {
        self.call(|state| state.send(to, parcels))
    }

    fn receive(
        &self,
        node: NodeId,
        after: Position,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Vec<(Position, Bytes)>, ExchangeError>> {
        let (state, cut) = (Arc::clone(&self.state), Arc::clone(&self.cut));
        if cut.load(Ordering::Acquire) {
            return ready(Err(ExchangeError::Unavailable("cut off".into()))).boxed();
        }
        let arrival = async move {
            loop {
                let arrived = {
                    let mut state = lock(&state);
                    let is_cut = cut.load(Ordering::Acquire);
                    match state.receive(node, after) {
                        _ if is_cut => {}
                        Ok(parcels) if parcels.is_empty() => {}
                        outcome => return outcome,
                    }
                    state.arrival(node)
                };
                // Told, or dropped: in both cases it is time to look again.
                let _ = arrived.await;
            }
        };
        async move { tokio::time::timeout(patience, arrival).await.unwrap_or_else(|_| Ok(Vec::new())) }.boxed()
    }
}

#[cfg(test)]
mod tests;
