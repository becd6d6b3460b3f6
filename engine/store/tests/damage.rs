//! Damaged records: they are noticed, reported, and never delivered.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use jono_store::{
    Answer, Batch, CommitError, Durability, FjallStore, IndexChange, LogRange, OpenError, ReadError, ShardId, Store, Write,
    contract,
};
use tempfile::TempDir;

const SHARD: ShardId = ShardId(1);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Two live entities and one that is not, each with a write of two records, a snapshot, an answer and
/// a list entry, and two writes of one record behind it.
fn filled() -> TempDir {
    let dir = TempDir::new().unwrap();
    block_on(async {
        let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
        let epoch = store.acquire(SHARD).await.unwrap();
        for name in ["hurt", "idle", "well"] {
            let key = Bytes::copy_from_slice(name.as_bytes());
            let first = Write {
                snapshot: Some(Bytes::from_static(b"state")),
                live: Some(name != "idle"),
                answers: vec![Answer { key: key.clone(), at_ms: 1, value: key.clone() }],
                index: vec![IndexChange::Put { key, value: Bytes::new() }],
                ..contract::write(name, 0, &["a", "b"])
            };
            let writes = vec![first, contract::write(name, 2, &["c"]), contract::write(name, 3, &["d"])];
            store.commit(Batch { shard: SHARD, epoch, writes }).await.unwrap();
        }
        store.close().await;
    });
    dir
}

/// Changes the tables behind the store's back, as after an end that was not in order: otherwise it
/// would be noticed by the journal.
fn tamper(dir: &Path, table: &str, change: impl FnOnce(&Keyspace)) {
    let _ = fs::remove_file(dir.join("closed"));
    let db = Database::builder(dir.join("records")).open().unwrap();
    let table = db.keyspace(table, KeyspaceCreateOptions::default).unwrap();
    change(&table);
    db.persist(PersistMode::SyncAll).unwrap();
}

/// The n-th key of a table that contains the entity's name.
fn key_of(table: &Keyspace, name: &str, n: usize) -> Vec<u8> {
    let is_of = |key: &[u8]| key.windows(name.len()).any(|part| part == name.as_bytes());
    let mut keys = table.iter().map(|entry| entry.key().unwrap()).filter(|key| is_of(key));
    keys.nth(n).unwrap().to_vec()
}

fn flip(table: &Keyspace, name: &str, n: usize) {
    let key = key_of(table, name, n);
    let mut sealed = table.get(&key).unwrap().unwrap().to_vec();
    *sealed.last_mut().unwrap() ^= 0x10;
    table.insert(key, sealed).unwrap();
}

fn assert_corrupt<T: std::fmt::Debug>(found: Result<T, ReadError>) {
    assert!(matches!(found, Err(ReadError::Corrupt(_))), "{found:?}");
}

/// "hurt" is damaged, and all else is as it was.
async fn assert_quarantined(store: &FjallStore, at_start: bool) {
    if at_start {
        assert_eq!(store.damaged(), [contract::entity("hurt")]);
    }
    assert_corrupt(store.load(SHARD, contract::entity("hurt")).await);
    assert_eq!(store.damaged(), [contract::entity("hurt")]);
    assert_corrupt(store.read_log(SHARD, contract::entity("hurt"), LogRange::After(0), 9).await);
    let live = store.load_live(SHARD, None, 1).await.unwrap();
    assert_eq!(live.len(), 1, "the damaged one does not shorten the page");
    assert_eq!((&live[0].0, live[0].1.seq), (&contract::entity("well"), 4));
    assert_eq!(store.load(SHARD, contract::entity("idle")).await.unwrap().tail.len(), 2);
    let epoch = store.acquire(SHARD).await.unwrap();
    let write = |name| Batch { shard: SHARD, epoch, writes: vec![contract::write(name, 4, &["e"])] };
    let refusal = store.commit(write("hurt")).await;
    assert!(matches!(refusal, Err(CommitError::Unavailable(_))), "{refusal:?}");
    assert_eq!(store.commit(write("well")).await, Ok(()));
}

#[test]
fn damage_of_an_entity_is_found_at_start_and_stays_with_it() {
    type Damage = (&'static str, fn(&Keyspace));
    let damages: [Damage; 10] = [
        ("log", |table| flip(table, "hurt", 1)),
        ("log", |table| flip(table, "hurt", 2)),
        ("log", |table| table.remove(key_of(table, "hurt", 0)).unwrap()),
        ("log", |table| table.remove(key_of(table, "hurt", 1)).unwrap()),
        ("log", |table| table.remove(key_of(table, "hurt", 2)).unwrap()),
        ("log", |table| {
            // A sound record of the same log in the place of another one.
            let sealed = table.get(key_of(table, "hurt", 1)).unwrap().unwrap();
            table.insert(key_of(table, "hurt", 2), sealed).unwrap();
        }),
        ("log", |table| {
            // The log goes on behind its head.
            let mut key = key_of(table, "hurt", 2);
            let sealed = table.get(&key).unwrap().unwrap();
            *key.last_mut().unwrap() += 1;
            table.insert(key, sealed).unwrap();
        }),
        ("heads", |table| flip(table, "hurt", 0)),
        ("heads", |table| table.remove(key_of(table, "hurt", 0)).unwrap()),
        ("snapshots", |table| flip(table, "hurt", 0)),
    ];
    for (n, (table, damage)) in damages.into_iter().enumerate() {
        let dir = filled();
        tamper(dir.path(), table, damage);
        block_on(async {
            println!("damage {n} of {table}");
            let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
            assert_quarantined(&store, true).await;
        });
    }
}

#[test]
fn damage_that_the_start_does_not_look_for_is_found_by_the_read() {
    for (table, n) in [("answers", 0), ("live", 0)] {
        let dir = filled();
        tamper(dir.path(), table, |table| flip(table, "hurt", n));
        block_on(async {
            let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
            assert_quarantined(&store, table == "live").await;
        });
    }
    // A record before the snapshot: the entity works, but its history does not read.
    let dir = filled();
    tamper(dir.path(), "log", |table| flip(table, "hurt", 0));
    block_on(async {
        let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
        let entity = || contract::entity("hurt");
        assert_eq!(store.load(SHARD, entity()).await.unwrap().seq, 4);
        assert_corrupt(store.read_log(SHARD, entity(), LogRange::After(0), 9).await);
        assert_eq!(store.read_log(SHARD, entity(), LogRange::After(2), 9).await.unwrap().len(), 2);
    });
}

/// A write with an answer leaves the end of its log there, and only there.
#[test]
fn the_end_of_a_log_is_known_beside_the_log_while_answers_come_and_go() {
    let keyed = |seq: u64, at_ms| Write {
        answers: vec![Answer { key: Bytes::copy_from_slice(&[seq as u8]), at_ms, value: Bytes::from_static(b"hurt") }],
        live: Some(true),
        ..contract::write("hurt", seq, &["record"])
    };
    let written = || {
        let dir = TempDir::new().unwrap();
        block_on(async {
            let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
            let epoch = store.acquire(SHARD).await.unwrap();
            let writes = (0..3).map(|seq| keyed(seq, 1000 - seq)).collect();
            store.commit(Batch { shard: SHARD, epoch, writes }).await.unwrap();
            store.close().await;
        });
        dir
    };
    for table in ["log", "answers"] {
        let dir = written();
        tamper(dir.path(), table, |table| table.remove(key_of(table, "hurt", 2)).unwrap());
        block_on(async {
            let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
            assert_eq!(store.damaged(), [contract::entity("hurt")], "{table}");
        });
    }
    // The last record's answer is forgotten first, later all of them.
    let dir = written();
    for (before_ms, left) in [(999, 2), (1001, 0)] {
        block_on(async {
            let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
            assert_eq!(store.forget_answers(before_ms, 9).await, Ok(if left == 2 { 1 } else { 2 }));
            store.close().await;
            let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
            assert_eq!(store.damaged(), []);
            let loaded = store.load(SHARD, contract::entity("hurt")).await.unwrap();
            assert_eq!((loaded.seq, loaded.answers.len()), (3, left));
            store.close().await;
        });
    }
    tamper(dir.path(), "log", |table| table.remove(key_of(table, "hurt", 2)).unwrap());
    block_on(async {
        let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
        assert_eq!(store.damaged(), [contract::entity("hurt")]);
    });
}

#[test]
fn an_entity_that_is_not_live_is_checked_when_it_is_loaded() {
    let dir = filled();
    tamper(dir.path(), "log", |table| flip(table, "idle", 2));
    block_on(async {
        let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
        assert_eq!(store.damaged(), []);
        assert_corrupt(store.load(SHARD, contract::entity("idle")).await);
        assert_eq!(store.damaged(), [contract::entity("idle")]);
    });
}

#[test]
fn a_damaged_list_entry_is_not_delivered() {
    let dir = filled();
    tamper(dir.path(), "index", |table| flip(table, "hurt", 0));
    block_on(async {
        let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
        assert_corrupt(store.scan(Bytes::new(), None, 9).await);
        assert_eq!(store.scan(Bytes::from_static(b"w"), None, 9).await.unwrap().len(), 1);
    });
}

#[test]
fn another_format_is_refused_and_a_damaged_one_too() {
    let dir = filled();
    tamper(dir.path(), "meta", |table| flip(table, "f", 0));
    let error = FjallStore::open(dir.path(), Durability::Disk).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    // Format 1, as an earlier program sealed it, and format 3, as a later one would have.
    for format in [1, 3] {
        tamper(dir.path(), "meta", |table| {
            let mut sum = crc32fast::Hasher::new();
            sum.update(&[1, 8, 1, 0, 0, 0]);
            sum.update(&[b'f', 0, 0, 0, format]);
            let sealed = [&[1], &sum.finalize().to_le_bytes()[..], &[0, 0, 0, format]].concat();
            table.insert("f", sealed).unwrap();
        });
        let error = FjallStore::open(dir.path(), Durability::Disk).unwrap_err();
        assert!(matches!(error, OpenError::Version { found, known: 2 } if found == u32::from(format)), "{error}");
    }
}

fn journal(dir: &Path) -> PathBuf {
    let mut files = fs::read_dir(dir.join("records")).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "jnl")).unwrap()
}

fn refusal(dir: &Path) -> String {
    let error = FjallStore::open(dir, Durability::Disk).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    error.to_string()
}

/// A byte flipped in fjall's own journal: the store does not open, rather than deliver it.
#[test]
fn a_damaged_journal_is_not_replayed() {
    let dir = filled();
    let mut bytes = fs::read(journal(dir.path())).unwrap();
    let state = bytes.windows(5).position(|part| part == b"state").unwrap();
    bytes[state] ^= 1;
    fs::write(journal(dir.path()), bytes).unwrap();
    refusal(dir.path());
    fs::remove_file(dir.path().join("closed")).unwrap();
    refusal(dir.path());
}

/// A byte flipped anywhere in it, also where fjall would see the end of the journal: nothing is cut
/// off, and whoever repairs the byte has everything again.
#[test]
fn a_journal_changed_since_the_store_was_closed_is_left_as_it_is() {
    let dir = filled();
    let whole = fs::read(journal(dir.path())).unwrap();
    for at in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(journal(dir.path()), &bytes).unwrap();
        assert!(refusal(dir.path()).ends_with("its journal is not the one it was closed with"), "{at}");
        assert!(fs::read(journal(dir.path())).unwrap() == bytes, "{at}");
    }
    fs::write(journal(dir.path()), &whole).unwrap();
    block_on(async {
        let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
        assert_eq!(store.damaged(), []);
        assert_eq!(store.load_live(SHARD, None, 9).await.unwrap().len(), 2);
    });
}

#[test]
fn who_removes_the_seal_accepts_the_loss() {
    let dir = filled();
    let before = fs::metadata(journal(dir.path())).unwrap().len() as usize;
    block_on(async {
        let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
        let epoch = store.acquire(SHARD).await.unwrap();
        let writes = vec![contract::write("well", 4, &["e"])];
        store.commit(Batch { shard: SHARD, epoch, writes }).await.unwrap();
        store.close().await;
    });
    // The head of the entry that follows: to fjall, the journal ends here.
    let mut bytes = fs::read(journal(dir.path())).unwrap();
    bytes[before] ^= 0x40;
    fs::write(journal(dir.path()), bytes).unwrap();
    refusal(dir.path());
    fs::remove_file(dir.path().join("closed")).unwrap();
    block_on(async {
        let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
        assert_eq!(store.damaged(), []);
        assert_eq!(store.load(SHARD, contract::entity("well")).await.unwrap().seq, 4);
    });
}
