//! For how long this process may serve what it owns.
//!
//! The epochs of the store make sure that a process which has lost a shard unnoticed writes nothing. The tenure makes
//! sure that it does not go on answering either: a process of several serves only while its last confirmed beat is fresh, by
//! its own clock, and the others wait longer than that before they take over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jono_domain::time::Time;

/// Shared by whoever serves and whoever beats.
#[derive(Debug)]
pub(crate) struct Tenure(AtomicU64);

impl Tenure {
    /// Of a process that is alone with its store: for ever.
    pub(crate) fn for_ever() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(u64::MAX)))
    }

    /// Of a process among others: not yet.
    pub(crate) fn not_yet() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(0)))
    }

    /// Until that moment of this process's own clock.
    pub(crate) fn extend(&self, until: Time) {
        self.0.store(until.0, Ordering::Release);
    }

    /// May it serve at this moment?
    pub(crate) fn holds(&self, now: Time) -> bool {
        let until = self.0.load(Ordering::Acquire);
        until == u64::MAX || now.0 < until
    }
}
