//! The contract, and that planned faults do what they say.

use super::*;
use crate::contract::{self, write};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn batch(epoch: Epoch, seq: u64) -> Batch {
    Batch { shard: ShardId(1), epoch, writes: vec![write("e", seq, &["record"])] }
}

async fn seq(store: &MemoryStore) -> u64 {
    store.load(ShardId(1), contract::entity("e")).await.unwrap().seq
}

#[test]
fn passes_the_contract() {
    block_on(contract::run(async || MemoryStore::new()));
}

#[test]
fn planned_commit_faults_happen_in_order() {
    block_on(async {
        let store = MemoryStore::new();
        let epoch = store.acquire(ShardId(1)).await.unwrap();
        store.faults().fail_commits(1, CommitFault::Unavailable);
        store.faults().fail_commits(1, CommitFault::UnknownLost);
        store.faults().fail_commits(1, CommitFault::UnknownApplied);

        let answer = store.commit(batch(epoch, 0)).await;
        assert!(matches!(answer, Err(CommitError::Unavailable(_))));
        let answer = store.commit(batch(epoch, 0)).await;
        assert!(matches!(answer, Err(CommitError::Unknown(_))));
        assert_eq!(seq(&store).await, 0);
        let answer = store.commit(batch(epoch, 0)).await;
        assert!(matches!(answer, Err(CommitError::Unknown(_))));
        assert_eq!(seq(&store).await, 1);
        assert_eq!(store.commit(batch(epoch, 1)).await, Ok(()));
    });
}

#[test]
fn held_commits_are_applied_when_released_and_fenced_by_then() {
    block_on(async {
        let store = MemoryStore::new();
        let epoch = store.acquire(ShardId(1)).await.unwrap();
        let faults = store.faults();
        faults.hold_commits();
        let first = store.commit(batch(epoch, 0));
        let second = store.commit(batch(epoch, 1));
        assert_eq!((faults.held_commits(), seq(&store).await), (2, 0));
        assert!(faults.release_one());
        assert_eq!((first.await, seq(&store).await), (Ok(()), 1));
        let newer = store.acquire(ShardId(1)).await.unwrap();
        faults.release_commits();
        assert_eq!(second.await, Err(CommitError::Fenced { current: newer }));
        assert_eq!(store.commit(batch(newer, 1)).await, Ok(()));
    });
}

#[cfg(feature = "armed")]
#[test]
fn an_old_epoch_writes_only_where_fencing_is_broken() {
    use jono_points::{Rule, break_rule};

    block_on(async {
        let store = MemoryStore::new();
        let old = store.acquire(ShardId(1)).await.unwrap();
        let newer = store.acquire(ShardId(1)).await.unwrap();
        assert_eq!(store.commit(batch(old, 0)).await, Err(CommitError::Fenced { current: newer }));
        break_rule(Some(Rule::FencedWritesFail));
        assert_eq!(store.commit(batch(old, 0)).await, Ok(()));
        break_rule(None);
        assert_eq!(store.commit(batch(old, 1)).await, Err(CommitError::Fenced { current: newer }));
    });
}

#[test]
fn planned_read_faults_end() {
    block_on(async {
        let store = MemoryStore::new();
        store.faults().fail_reads(1);
        let failed = store.load(ShardId(1), contract::entity("e")).await;
        assert!(matches!(failed, Err(ReadError::Unavailable(_))));
        assert_eq!(seq(&store).await, 0);
    });
}

#[test]
fn another_handle_finds_the_records() {
    block_on(async {
        let store = MemoryStore::new();
        let epoch = store.acquire(ShardId(1)).await.unwrap();
        store.commit(batch(epoch, 0)).await.unwrap();
        store.close().await;
        assert!(store.acquire(ShardId(1)).await.is_err());
        let again = store.reopen();
        assert_eq!(seq(&again).await, 1);
        assert!(again.acquire(ShardId(1)).await.unwrap() > epoch);
    });
}
