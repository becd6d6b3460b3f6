//! Totals since start, for metrics. Relaxed: each is right by itself.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident),* $(,)?) => {
        /// The counters.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])* pub $name: Counter,)*
        }

        impl Counters {
            /// Names, meanings and values, for whoever shows them.
            #[must_use]
            pub fn read(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($doc),*).trim_ascii(), self.$name.get())),*]
            }
        }
    };
}

/// One number that counts up, or up and down.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// So many fewer.
    pub fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

counters! {
    /// Letters that entities handled.
    letters,
    /// Requests that were answered from a remembered answer.
    repeats,
    /// Batches committed.
    commits,
    /// Writes committed, one for each entity and step.
    writes,
    /// Commits that failed or have an unknown outcome.
    commits_failed,
    /// Commits refused because another owner has the shard.
    commits_fenced,
    /// Requests that were sent to an owner again, since no answer came.
    asked_again,
    /// Letters of other processes for a shard that another owns.
    misrouted,
    /// Parcels of other processes that came twice.
    parcels_again,
    /// Times that parcels of other processes were missing: what they carried was asked for again.
    parcels_missing,
    /// Shards that this process took over.
    shards_acquired,
    /// Shards that this process gave back or lost.
    shards_left,
    /// Times that this process stopped serving, because its beat was not confirmed.
    stops,
    /// Deliveries to sessions.
    deliveries,
    /// Requests refused because too much waited.
    refused_busy,
    /// Timers that had something to do.
    timers_fired,
    /// Entities loaded from the store.
    loads,
    /// Entities that are loaded now.
    entities_loaded,
    /// Entities brought back at start.
    recovered,
    /// Panics of entities.
    panics,
    /// Entities quarantined after repeated panics.
    quarantined,
    /// Entities that could not be read because a record is damaged.
    damaged,
}
