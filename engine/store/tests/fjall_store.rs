//! The embedded store: the contract at every durability level, and opening a directory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use jono_store::{Batch, CommitError, Durability, Epoch, FjallStore, LogRange, OpenError, ShardId, Store, Write, contract};
use tempfile::TempDir;

const SHARD: ShardId = ShardId(1);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn open(dir: &Path) -> FjallStore {
    FjallStore::open(dir, Durability::Disk).unwrap()
}

async fn commit(store: &FjallStore, epoch: Epoch, writes: Vec<Write>) -> Result<(), CommitError> {
    store.commit(Batch { shard: SHARD, epoch, writes }).await
}

fn contract_at(durability: Durability) {
    let dirs = RefCell::new(Vec::new());
    block_on(contract::run(async || {
        let dir = TempDir::new().unwrap();
        let store = FjallStore::open(dir.path(), durability).unwrap();
        assert_eq!(store.durability(), durability);
        dirs.borrow_mut().push(dir);
        store
    }));
}

#[test]
fn passes_the_contract_at_memory() {
    contract_at(Durability::Memory);
}

#[test]
fn passes_the_contract_at_second() {
    contract_at(Durability::Second);
}

#[test]
fn passes_the_contract_at_disk() {
    contract_at(Durability::Disk);
}

#[test]
fn everything_is_there_after_an_orderly_close_at_every_level() {
    for durability in [Durability::Memory, Durability::Second, Durability::Disk] {
        let dir = TempDir::new().unwrap();
        block_on(async {
            let store = FjallStore::open(dir.path(), durability).unwrap();
            let epoch = store.acquire(SHARD).await.unwrap();
            let mut first = contract::write("e", 0, &["a", "b"]);
            first.snapshot = Some(Bytes::from_static(b"ab"));
            first.live = Some(true);
            commit(&store, epoch, vec![first, contract::write("e", 2, &["c"])]).await.unwrap();
            store.constant("name", Bytes::from_static(b"value")).await.unwrap();
            let before = store.load_live(SHARD, None, 9).await.unwrap();
            store.close().await;

            // The closed handle still exists, but no longer holds the directory.
            let again = FjallStore::open(dir.path(), durability).unwrap();
            assert_eq!(again.load_live(SHARD, None, 9).await.unwrap(), before);
            assert_eq!(again.constant("name", Bytes::new()).await.unwrap(), "value");
            let old = commit(&again, epoch, vec![contract::write("e", 2, &["c"])]).await;
            assert!(matches!(old, Err(CommitError::Conflict { actual_seq: 3, .. })), "{old:?}");
            assert!(again.acquire(SHARD).await.unwrap() > epoch, "epochs are remembered");
        });
    }
}

#[test]
fn a_directory_has_one_store_at_a_time() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("not/yet/there");
    let store = open(&path);
    assert!(matches!(FjallStore::open(&path, Durability::Disk), Err(OpenError::Locked)));
    drop(store);
    drop(open(&path));
}

#[test]
fn what_a_process_left_while_creating_is_cleared_away() {
    let dir = TempDir::new().unwrap();
    let unfinished = dir.path().join("records.new");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("0.jnl"), b"half").unwrap();
    drop(open(dir.path()));
    assert!(!unfinished.exists());
}

#[test]
fn no_empty_store_takes_the_place_of_records_that_are_gone() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path()));
    fs::remove_dir_all(dir.path().join("records")).unwrap();
    let error = FjallStore::open(dir.path(), Durability::Disk).unwrap_err();
    assert_eq!(error.to_string(), "the data directory is damaged: its records are gone");
    assert!(!dir.path().join("records").exists());
}

#[test]
fn something_that_is_no_store_is_not_opened() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("records"), b"a file").unwrap();
    let error = FjallStore::open(dir.path(), Durability::Disk).unwrap_err();
    assert!(matches!(error, OpenError::Io(_) | OpenError::Corrupt { .. }), "{error}");
    fs::remove_file(dir.path().join("records")).unwrap();
    fs::create_dir(dir.path().join("records")).unwrap();
    let error = FjallStore::open(dir.path(), Durability::Disk).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
}

#[test]
fn a_directory_has_no_replica() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("records");
    assert!(matches!(FjallStore::open(&path, Durability::Replica), Err(OpenError::NoReplica)));
    assert!(!path.exists());
}

#[test]
fn errors_say_what_to_do() {
    let version = OpenError::Version { found: 2, known: 1 };
    assert_eq!(version.to_string(), "the data directory has format 2, but this program knows only format 1");
    assert_eq!(OpenError::Locked.to_string(), "the data directory is in use by another process");
}

/// More entities than the writer remembers, and more bytes than the tables hold in memory.
#[test]
fn many_records_survive_being_written_out() {
    let dir = TempDir::new().unwrap();
    let record = "x".repeat(1000);
    let entities = 70_000_u64;
    let name = |n: u64| format!("e{n}");
    block_on(async {
        let store = FjallStore::open(dir.path(), Durability::Memory).unwrap();
        let epoch = store.acquire(SHARD).await.unwrap();
        for first in (0..entities).step_by(500) {
            let writes = (first..first + 500).map(|n| contract::write(&name(n), 0, &[&record]));
            commit(&store, epoch, writes.collect()).await.unwrap();
        }
        for n in (0..entities).step_by(1000) {
            commit(&store, epoch, vec![contract::write(&name(n), 1, &["second"])]).await.unwrap();
        }
        drop(store);
        let store = open(dir.path());
        for n in (0..entities).step_by(500) {
            let log = store.read_log(SHARD, contract::entity(&name(n)), LogRange::After(0), 9).await;
            let expected = if n % 1000 == 0 { 2 } else { 1 };
            assert_eq!(log.unwrap().len(), expected, "{n}");
        }
    });
}
