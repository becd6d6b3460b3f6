//! What a test plans to go wrong in a [`MemoryExchange`](super::MemoryExchange).

use std::sync::{Arc, Mutex};

use super::lock;
use super::state::State;
use crate::{ExchangeError, NodeId};

/// A handle that plans the faults of a [`MemoryExchange`](super::MemoryExchange).
///
/// A process that everybody takes for dead needs no fault: [`Exchange::remove`](crate::Exchange::remove) it.
#[derive(Clone, Debug)]
pub struct ExchangeFaults(Arc<Mutex<State>>);

impl ExchangeFaults {
    pub(super) fn new(state: Arc<Mutex<State>>) -> Self {
        Self(state)
    }

    /// The next `count` parcels to this member are accepted and lost.
    pub fn lose_parcels(&self, to: NodeId, count: usize) {
        *lock(&self.0).lost.entry(to).or_default() += count;
    }

    /// From now on no parcel is lost that was planned to be.
    pub fn lose_no_more(&self) {
        lock(&self.0).lost.clear();
    }

    /// The next `count` sends, after those planned before, put nothing into any box and answer with this.
    pub fn fail_sends(&self, count: usize, error: &ExchangeError) {
        lock(&self.0).sends.extend(std::iter::repeat_n(error.clone(), count));
    }

    /// From now on this member's box takes parcels, but does not show them.
    pub fn hold_parcels(&self, to: NodeId) {
        lock(&self.0).hold(to);
    }

    /// Shows what was held back, in order, and holds nothing any more.
    pub fn release_parcels(&self, to: NodeId) {
        lock(&self.0).release(to);
    }

    /// From now on this member's beats are not counted, and answer [`ExchangeError::Unavailable`].
    pub fn freeze_beats(&self, node: NodeId) {
        lock(&self.0).frozen.insert(node);
    }

    /// Ends what [`freeze_beats`](Self::freeze_beats) began.
    pub fn thaw_beats(&self, node: NodeId) {
        lock(&self.0).frozen.remove(&node);
    }

    /// Gives the records another identity, as a store that lost some does.
    pub fn change_log_identity(&self) {
        lock(&self.0).log_identity += 1;
    }

    /// Everything is forgotten, as when the server behind an exchange comes back empty. Node numbers go on.
    pub fn forget_everything(&self) {
        lock(&self.0).forget_everything();
    }
}
