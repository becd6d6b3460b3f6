//! What every store must do: one function per promise, run against a fresh store each. What every exchange
//! must do is in [`exchange`].
//!
//! ```
//! use jono_store::{MemoryStore, contract};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! contract::run(async || MemoryStore::new()).await;
//! # }
//! ```
//!
//! The functions panic when a promise is broken. They need a store that holds nothing yet, and no
//! particular runtime. The promises of [`crate::Durability`] are not tested here, since that takes
//! killing a process.

mod commits;
pub mod exchange;
mod lists;
mod reads;

use bytes::Bytes;

pub use commits::*;
pub use lists::*;
pub use reads::*;

use crate::{Answer, Batch, CommitError, EntityKey, Epoch, IndexChange, Loaded, ShardId, Store, Write};

/// Runs every promise, each against a store that `make` gives, and closes that store afterwards.
pub async fn run<S: Store>(make: impl AsyncFn() -> S) {
    macro_rules! each {
        ($($promise:ident),* $(,)?) => {$(
            let store = make().await;
            $promise(&store).await;
            store.close().await;
        )*};
    }
    each![
        records_are_numbered_in_order,
        a_wrong_expected_seq_is_a_conflict,
        an_old_epoch_is_fenced,
        a_shard_must_be_acquired,
        a_batch_is_all_or_nothing,
        one_batch_may_write_an_entity_several_times,
        commits_in_flight_keep_their_order,
        a_write_without_records_keeps_the_seq,
        large_values_come_back,
        what_cannot_be_stored_is_refused,
        a_closed_store_refuses,
        an_unknown_entity_is_empty,
        a_snapshot_cuts_the_tail,
        log_ranges_have_limits,
        reads_see_confirmed_commits,
        live_entities_are_paged,
        similar_names_stay_apart,
        shards_stay_apart,
        answers_are_kept_and_forgotten,
        a_repeated_answer_replaces_the_old_one,
        lists_are_scanned_in_order,
        the_last_change_of_an_entry_counts,
        prefixes_end_where_they_should,
        a_constant_is_set_once,
    ];
}

/// The shard that most promises use.
const SHARD: ShardId = ShardId(7);

/// An entity's name.
#[must_use]
pub fn entity(name: &str) -> EntityKey {
    EntityKey(bytes(name))
}

/// A write of some log records, and nothing else.
#[must_use]
pub fn write(name: &str, expected_seq: u64, records: &[&str]) -> Write {
    Write {
        entity: entity(name),
        expected_seq,
        log: records.iter().map(|record| bytes(record)).collect(),
        snapshot: None,
        live: None,
        answers: Vec::new(),
        index: Vec::new(),
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn answer(key: &str, at_ms: u64, value: &str) -> Answer {
    Answer { key: bytes(key), at_ms, value: bytes(value) }
}

fn put(key: &[u8], value: &str) -> IndexChange {
    IndexChange::Put { key: Bytes::copy_from_slice(key), value: bytes(value) }
}

fn delete(key: &[u8]) -> IndexChange {
    IndexChange::Delete { key: Bytes::copy_from_slice(key) }
}

fn batch(epoch: Epoch, writes: Vec<Write>) -> Batch {
    Batch { shard: SHARD, epoch, writes }
}

async fn acquired(store: &impl Store) -> Epoch {
    store.acquire(SHARD).await.expect("a shard can be acquired")
}

async fn commit(store: &impl Store, epoch: Epoch, writes: Vec<Write>) {
    store.commit(batch(epoch, writes)).await.expect("the commit is in order");
}

async fn refused(store: &impl Store, epoch: Epoch, writes: Vec<Write>) -> CommitError {
    store.commit(batch(epoch, writes)).await.expect_err("the commit must be refused")
}

async fn load(store: &impl Store, name: &str) -> Loaded {
    store.load(SHARD, entity(name)).await.expect("what was stored can be loaded")
}

fn numbered(first: u64, records: &[&str]) -> Vec<(u64, Bytes)> {
    (first..).zip(records.iter().map(|record| bytes(record))).collect()
}
