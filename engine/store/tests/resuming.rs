//! Disks that fail and recover while the process lives: service ends, and resumes by itself.
//!
//! A limit on the size of files stands for a full disk. It is of the whole process, and its signal
//! must be ignored, so each test runs once more, in a process of its own: see [`alone`]. Time is
//! real, since it is the disk's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(unix)]

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jono_store::{
    Batch, CommitError, Durability, Epoch, FjallStore, IndexChange, LogRange, OpenError, ReadError, ShardId, Store, Write,
    contract,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use tempfile::TempDir;

const SHARD: ShardId = ShardId(1);

/// Bytes of a file while the disk is "full": less than an attempt needs.
const FULL_BYTES: u64 = 1024 * 1024;

/// At least as many as the contract makes.
const PROMISES: usize = 24;

/// The process that a test starts for itself has this.
const ALONE: &str = "JONO_STORE_TEST_ALONE";

/// Longer than the first attempts take; service must be back by then.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the test of this name in a process of its own, or, in there, its scenario.
fn alone<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce() -> F) {
    if std::env::var_os(ALONE).is_some() {
        return block_on(scenario());
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let output = shell.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn limit_files(bytes: Option<u64>) {
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

fn record(seq: u64) -> Bytes {
    let len = 100 + (seq * 997 % 9000) as usize;
    Bytes::from(seq.to_be_bytes().repeat(len / 8))
}

/// One log, written to as its engine would: what is unknown is loaded again.
struct Owner {
    store: FjallStore,
    epoch: Epoch,
    seq: u64,
    acknowledged: u64,
}

impl Owner {
    async fn of(store: FjallStore) -> Self {
        let epoch = store.acquire(SHARD).await.unwrap();
        Self { store, epoch, seq: 0, acknowledged: 0 }
    }

    async fn commit(&mut self) -> Result<(), CommitError> {
        let next = self.seq + 1;
        let write = Write {
            log: vec![record(next)],
            live: Some(true),
            index: vec![IndexChange::Put { key: Bytes::from_static(b"seq"), value: record(next) }],
            ..contract::write("e", self.seq, &[])
        };
        let outcome = self.store.commit(Batch { shard: SHARD, epoch: self.epoch, writes: vec![write] }).await;
        if outcome.is_ok() {
            self.seq = next;
            self.acknowledged = next;
        }
        outcome
    }

    /// Commits until the disk is full.
    async fn fill(&mut self) {
        let error = loop {
            if let Err(error) = self.commit().await {
                break error;
            }
        };
        assert!(matches!(error, CommitError::Unknown(_)), "{error}");
    }

    async fn assert_out_of_service(&mut self) {
        let refusal = self.commit().await.unwrap_err();
        assert!(matches!(refusal, CommitError::Unavailable(_)), "{refusal}");
        let refusal = self.store.acquire(SHARD).await.unwrap_err();
        assert!(matches!(refusal, CommitError::Unavailable(_)), "{refusal}");
        let refusal = self.store.load(SHARD, contract::entity("e")).await.unwrap_err();
        assert!(matches!(refusal, ReadError::Unavailable(_)), "{refusal}");
        assert_eq!(self.store.damaged(), []);
    }

    /// Loads again until that works; the log has all that was acknowledged, and at most what was
    /// under way besides.
    async fn load(&mut self) {
        let begin = Instant::now();
        let loaded = loop {
            match self.store.load(SHARD, contract::entity("e")).await {
                Ok(loaded) => break loaded,
                Err(ReadError::Unavailable(_)) => assert!(begin.elapsed() < PATIENCE, "service does not resume"),
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let expected = self.acknowledged..=self.acknowledged + 1;
        assert!(expected.contains(&loaded.seq), "{} were acknowledged, {} are there", self.acknowledged, loaded.seq);
        self.seq = loaded.seq;
        self.assert_whole(&self.store).await;
    }

    async fn assert_whole(&self, store: &FjallStore) {
        assert_eq!(store.damaged(), []);
        let log = store.read_log(SHARD, contract::entity("e"), LogRange::After(0), usize::MAX).await.unwrap();
        assert_eq!(log.len() as u64, self.seq);
        for ((seq, found), expected) in log.into_iter().zip(1..) {
            assert_eq!((seq, found), (expected, record(expected)));
        }
        let list = store.scan(Bytes::from_static(b"seq"), None, 9).await.unwrap();
        assert_eq!(list, [(Bytes::from_static(b"seq"), record(self.seq))]);
    }
}

async fn full(dir: &Path, durability: Durability) -> Owner {
    limit_files(None);
    let mut owner = Owner::of(FjallStore::open(dir, durability).unwrap()).await;
    limit_files(Some(FULL_BYTES));
    owner.fill().await;
    owner
}

fn service_resumes(test: &str, durability: Durability) {
    alone(test, async || {
        let dir = TempDir::new().unwrap();
        let mut owner = full(dir.path(), durability).await;
        // Through at least one attempt, which finds no room.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(1500) {
            owner.assert_out_of_service().await;
            let stolen = FjallStore::open(dir.path(), durability).unwrap_err();
            assert!(matches!(stolen, OpenError::Locked), "{stolen}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        limit_files(None);
        owner.load().await;
        for _ in 0..100 {
            owner.commit().await.unwrap();
        }
        println!("{} acknowledged, resumed after {:?}", owner.acknowledged, begin.elapsed());
        // And once more, in the journal that was opened again.
        let used = fs::metadata(dir.path().join("records/0.jnl")).unwrap().len();
        limit_files(Some(used + 100_000));
        owner.fill().await;
        limit_files(None);
        owner.load().await;
        owner.store.close().await;
        let again = FjallStore::open(dir.path(), durability).unwrap();
        owner.assert_whole(&again).await;
        assert!(again.acquire(SHARD).await.unwrap() > owner.epoch);
    });
}

#[test]
fn service_resumes_at_disk() {
    service_resumes("service_resumes_at_disk", Durability::Disk);
}

#[test]
fn service_resumes_at_second() {
    service_resumes("service_resumes_at_second", Durability::Second);
}

#[test]
fn service_resumes_at_memory() {
    service_resumes("service_resumes_at_memory", Durability::Memory);
}

/// Every store of the suite has been through an outage, all at the same time, and holds nothing.
#[test]
fn a_store_that_resumed_passes_the_contract() {
    alone("a_store_that_resumed_passes_the_contract", async || {
        let dir = TempDir::new().unwrap();
        limit_files(None);
        let open = |n: usize| FjallStore::open(&dir.path().join(n.to_string()), Durability::Disk).unwrap();
        let stores: Vec<_> = (0..PROMISES).map(open).collect();
        let mut epochs = Vec::new();
        for store in &stores {
            epochs.push(store.acquire(SHARD).await.unwrap());
        }
        limit_files(Some(FULL_BYTES));
        for (store, epoch) in stores.iter().zip(epochs) {
            let write = Write { log: vec![Bytes::from(vec![7; 2 * FULL_BYTES as usize])], ..contract::write("e", 0, &[]) };
            let outcome = store.commit(Batch { shard: SHARD, epoch, writes: vec![write] }).await;
            assert!(matches!(outcome, Err(CommitError::Unknown(_))), "{outcome:?}");
        }
        limit_files(None);
        let begin = Instant::now();
        for store in &stores {
            while store.load(SHARD, contract::entity("e")).await.is_err() {
                assert!(begin.elapsed() < PATIENCE, "service does not resume");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let stores = RefCell::new(stores);
        contract::run(async || stores.borrow_mut().pop().expect("there are as many stores as promises")).await;
    });
}

#[test]
fn what_is_under_way_when_the_disk_fails_is_answered() {
    alone("what_is_under_way_when_the_disk_fails_is_answered", async || {
        let dir = TempDir::new().unwrap();
        limit_files(None);
        let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
        let epoch = store.acquire(SHARD).await.unwrap();
        limit_files(Some(FULL_BYTES));
        let commit = |n: u64| {
            let write = Write { log: vec![Bytes::from(vec![7; 8000])], ..contract::write(&format!("e{n}"), 0, &[]) };
            store.commit(Batch { shard: SHARD, epoch, writes: vec![write] })
        };
        let under_way: Vec<_> = (0..1500).map(commit).collect();
        let outcomes = futures_util::future::join_all(under_way).await;
        limit_files(None);
        let begin = Instant::now();
        while store.acquire(SHARD).await.is_err() {
            assert!(begin.elapsed() < PATIENCE, "service does not resume");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (mut acknowledged, mut refused) = (0, 0);
        for (n, outcome) in outcomes.iter().enumerate() {
            let seq = store.load(SHARD, contract::entity(&format!("e{n}"))).await.unwrap().seq;
            match outcome {
                Ok(()) => {
                    assert_eq!(seq, 1, "{n} was acknowledged");
                    acknowledged += 1;
                }
                Err(CommitError::Unavailable(_)) => {
                    assert_eq!(seq, 0, "{n} was refused");
                    refused += 1;
                }
                Err(CommitError::Unknown(_)) => assert!(seq <= 1),
                Err(error) => panic!("{n}: {error}"),
            }
        }
        println!("{acknowledged} acknowledged, {refused} refused of {}", outcomes.len());
        assert!(refused > 0);
    });
}

#[test]
fn a_store_out_of_service_can_be_closed() {
    alone("a_store_out_of_service_can_be_closed", async || {
        let dir = TempDir::new().unwrap();
        let mut owner = full(dir.path(), Durability::Disk).await;
        // Into the second pause, which is of 2 s.
        tokio::time::sleep(Duration::from_millis(1400)).await;
        owner.assert_out_of_service().await;
        let begin = Instant::now();
        owner.store.close().await;
        assert!(begin.elapsed() < Duration::from_millis(1000), "the pause ends: {:?}", begin.elapsed());
        assert_eq!(owner.commit().await, Err(CommitError::Unavailable("closed".into())));
        limit_files(None);
        let again = FjallStore::open(dir.path(), Durability::Disk).unwrap();
        owner.seq = again.load(SHARD, contract::entity("e")).await.unwrap().seq;
        assert!(owner.seq >= owner.acknowledged);
        owner.assert_whole(&again).await;
    });
}

/// A disk that is gone shows what lies below it. Nothing is created there, and nothing but the
/// directory that failed is taken for it.
#[test]
fn another_directory_does_not_take_the_place_of_the_one_that_failed() {
    alone("another_directory_does_not_take_the_place_of_the_one_that_failed", async || {
        let parent = TempDir::new().unwrap();
        let (dir, away) = (parent.path().join("data"), parent.path().join("away"));
        let mut owner = full(&dir, Durability::Disk).await;
        fs::rename(&dir, &away).unwrap();
        limit_files(None);
        fs::create_dir(&dir).unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        owner.assert_out_of_service().await;
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "nothing is created");
        drop(FjallStore::open(&dir, Durability::Disk).unwrap());
        tokio::time::sleep(Duration::from_secs(2)).await;
        owner.assert_out_of_service().await;
        fs::remove_dir_all(&dir).unwrap();
        fs::rename(&away, &dir).unwrap();
        owner.load().await;
        owner.commit().await.unwrap();
    });
}

/// What was acknowledged is gone from the journal when the store would resume: it does not.
#[test]
fn service_does_not_resume_without_what_was_acknowledged() {
    alone("service_does_not_resume_without_what_was_acknowledged", async || {
        let dir = TempDir::new().unwrap();
        let mut owner = full(dir.path(), Durability::Disk).await;
        let journal = fs::File::options().write(true).open(dir.path().join("records/0.jnl")).unwrap();
        limit_files(None);
        journal.set_len(FULL_BYTES / 2).unwrap();
        tokio::time::sleep(Duration::from_millis(3500)).await;
        owner.assert_out_of_service().await;
    });
}
