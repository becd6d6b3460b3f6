//! Bytes of the embedded store's files change by lot: single bits, runs of garbage, torn ends, blocks that changed places, pages
//! that were never written. Each read gives what was written, or says that it is damaged; a directory that does not open says
//! why. Nothing panics in the caller, nothing waits for ever, and no log is shorter than it was without a word.
//!
//! Two exceptions, both of a store that was *not* closed in order, so that nothing says what its files were. The end of its journal
//! may be torn, and fjall cuts it off from where it does not read: everything is then as it was after an earlier commit, batches
//! whole; and the order of its batches is in numbers without a sum, so that what was overwritten may come back. And the files that say which tables there are, and the ends of tables, fjall believes, or ends the process: they are not
//! tried.
//!
//! A thousand damages each time; `STORE_DAMAGES=10000` tries more, `STORE_SEED` others.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use jono_store::{
    Answer, Batch, CommitError, Durability, EntityKey, FjallStore, IndexChange, Loaded, LogRange, OpenError, ReadError, ShardId,
    Store, Write, contract,
};
use tempfile::TempDir;

const SHARD: ShardId = ShardId(1);
const ENTITIES: [&str; 4] = ["a", "aa", "b", "idle"];
const COMMITS: usize = 24;
/// Commits after which the tables are written out.
const WRITTEN_OUT_AFTER: [usize; 2] = [8, 16];
/// The end of a table.
const TABLE_END_BYTES: usize = 512;
const DAMAGES: usize = 1_000;
/// A damaged directory is opened and read in milliseconds; what takes so long waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

// ---- what was written

/// Everything that can be read, by whoever asks for it.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    entities: Vec<Result<Loaded, ReadError>>,
    logs: Vec<Result<Vec<(u64, Bytes)>, ReadError>>,
    list: Result<Vec<(Bytes, Bytes)>, ReadError>,
    live: Result<Vec<(EntityKey, Loaded)>, ReadError>,
    damaged: Vec<EntityKey>,
}

impl Held {
    async fn by(store: &FjallStore) -> Self {
        let (mut entities, mut logs) = (Vec::new(), Vec::new());
        // Before the loads, which find more.
        let live = store.load_live(SHARD, None, 99).await;
        for name in ENTITIES.map(contract::entity) {
            entities.push(store.load(SHARD, name.clone()).await);
            logs.push(store.read_log(SHARD, name, LogRange::After(0), 999).await);
        }
        Self { entities, logs, list: store.scan(Bytes::new(), None, 999).await, live, damaged: store.damaged() }
    }
}

/// The n-th commit writes to two entities: records, and now and then a snapshot, an answer, a list entry, a mark.
fn writes(n: usize, ends: &mut [u64]) -> Vec<Write> {
    let both = [n % ENTITIES.len(), (n / 2 + 1) % ENTITIES.len()];
    let mut writes = Vec::new();
    for (at, entity) in both.into_iter().enumerate() {
        let records: Vec<String> =
            (0..1 + (n + at) % 3).map(|record| format!("record {n} {record} ").repeat(1 + n % 7)).collect();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        let name = ENTITIES[entity];
        let key = Bytes::from(format!("{name}/{}", n % 5));
        writes.push(Write {
            snapshot: (n % 3 == at).then(|| Bytes::from(format!("state {n} ").repeat(20))),
            live: (n < 8).then_some(name != "idle"),
            answers: if n % 2 == at {
                vec![Answer { key: key.clone(), at_ms: n as u64, value: key.clone() }]
            } else {
                Vec::new()
            },
            index: vec![IndexChange::Put { key: key.clone(), value: Bytes::from(format!("entry {n}")) }],
            ..contract::write(name, ends[entity], &records)
        });
        ends[entity] += records.len() as u64;
    }
    writes
}

/// In memory where that is possible: what is tried here is not the disk's speed.
fn scratch() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

/// A store in files, and what it held after each commit.
struct Original {
    is_written_out: bool,
    files: Vec<(PathBuf, Vec<u8>)>,
    history: Vec<Held>,
}

impl Original {
    fn write(is_written_out: bool) -> Self {
        let dir = scratch();
        let mut ends = [0; ENTITIES.len()];
        let empty = FjallStore::open(dir.path(), Durability::Disk).unwrap();
        let mut history = vec![block_on(Held::by(&empty))];
        drop(empty);
        for n in 0..COMMITS {
            if is_written_out && WRITTEN_OUT_AFTER.contains(&n) {
                write_out(dir.path());
            }
            block_on(async {
                let store = FjallStore::open(dir.path(), Durability::Disk).unwrap();
                if n == 0 {
                    store.constant("name", Bytes::from_static(b"value")).await.unwrap();
                }
                let epoch = store.acquire(SHARD).await.unwrap();
                store.commit(Batch { shard: SHARD, epoch, writes: writes(n, &mut ends) }).await.unwrap();
                history.push(Held::by(&store).await);
                store.close().await;
            });
        }
        let mut files = Vec::new();
        read_files(dir.path(), Path::new(""), &mut files);
        Self { is_written_out, files, history }
    }

    fn last(&self) -> &Held {
        self.history.last().unwrap()
    }
}

/// What the journal holds goes into table files.
fn write_out(dir: &Path) {
    fs::remove_file(dir.join("closed")).unwrap();
    let db = Database::builder(dir.join("records")).open().unwrap();
    for name in ["log", "heads", "snapshots", "answers", "answers_by_time", "index", "live", "meta"] {
        db.keyspace(name, KeyspaceCreateOptions::default).unwrap().rotate_memtable_and_wait().unwrap();
    }
    db.persist(PersistMode::SyncAll).unwrap();
}

fn read_files(dir: &Path, below: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(dir.join(below)).unwrap().map(|entry| entry.unwrap()) {
        let path = below.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            read_files(dir, &path, files);
        } else {
            let mut bytes = fs::read(dir.join(&path)).unwrap();
            if is_journal(&path) {
                // A new journal is 64 MiB of nothing.
                let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                bytes.truncate(used.next_multiple_of(64 * 1024));
            }
            files.push((path, bytes));
        }
    }
    files.sort();
}

fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jnl")
}

fn is_table(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with("tables"))
}

// ---- what happens to it

struct Damage {
    file: PathBuf,
    what: String,
    is_closed: bool,
}

/// A copy of the original in which something has changed.
fn damaged(original: &Original, dir: &Path, dice: &mut Rng) -> Damage {
    // What was closed in order is refused nearly always, so it is tried less often.
    let is_closed = dice.usize(..4) == 0;
    let kind = dice.usize(..if is_closed { 3 } else { 2 });
    let can_change = |(path, bytes): &&(PathBuf, Vec<u8>)| {
        let is_meant = match kind {
            0 => is_journal(path),
            1 => is_table(path) || (!original.is_written_out && is_journal(path)),
            _ => !is_journal(path) && !is_table(path),
        };
        is_meant && !bytes.is_empty() && !path.ends_with("lock")
    };
    let files: Vec<_> = original.files.iter().filter(can_change).collect();
    let (file, bytes) = files[dice.usize(..files.len())];
    let mut changed = bytes.clone();
    let end = if is_table(file) && !is_closed { TABLE_END_BYTES } else { 0 };
    let what = change(&mut changed, end, dice);
    for (path, bytes) in &original.files {
        if path.file_name().unwrap() == "closed" && !is_closed {
            continue;
        }
        fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
        fs::write(dir.join(path), if path == file { &changed } else { bytes }).unwrap();
    }
    Damage { file: file.clone(), what, is_closed }
}

/// Leaves out so many bytes at the end.
fn change(bytes: &mut Vec<u8>, end: usize, dice: &mut Rng) -> String {
    // Where there is something: the rest of a journal is empty.
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1).saturating_sub(end).max(1);
    let at = dice.usize(..used);
    let len_max = [8, 64, 512][dice.usize(..3)].min(used - at);
    let len = 1 + dice.usize(..len_max);
    match dice.usize(..5) {
        0 => {
            bytes[at] ^= 1 << dice.usize(..8);
            format!("a bit of byte {at}")
        }
        1 => {
            bytes[at..at + len].iter_mut().for_each(|byte| *byte = dice.u8(..));
            format!("garbage of {len} bytes at {at}")
        }
        2 => {
            bytes.truncate(at);
            format!("torn at {at}")
        }
        3 => {
            let len = len.min(used / 2).max(1).min(used - at);
            let other = dice.usize(..(used - len + 1));
            let (one, two) = (bytes[at..at + len].to_vec(), bytes[other..other + len].to_vec());
            bytes[at..at + len].copy_from_slice(&two);
            bytes[other..other + len].copy_from_slice(&one);
            format!("{len} bytes at {at} and {other} changed places")
        }
        _ => {
            let page = at / 512 * 512;
            let end = (page + 512).min(used);
            bytes[page..end].fill(0);
            format!("nothing from {page} to {end}")
        }
    }
}

// ---- what must be so

/// What became of a damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// It changed nothing that is read.
    Harmless,
    /// The directory does not open.
    Refused,
    /// Some reads say that it is damaged; all others are right.
    Reported,
    /// The journal ends earlier: everything is as it was after an earlier commit.
    Cut,
    /// Every record is one that was written there, but some are older than others.
    Mixed,
}

fn judge(original: &Original, dir: &Path, damage: &Damage) -> Fate {
    let store = match FjallStore::open(dir, Durability::Memory) {
        Ok(store) => store,
        Err(OpenError::Corrupt { .. } | OpenError::Version { .. }) => return Fate::Refused,
        Err(error @ (OpenError::Io(_) | OpenError::Locked | OpenError::NoReplica)) => panic!("{error}"),
    };
    block_on(async {
        let held = Held::by(&store).await;
        let whole = original.last();
        let may_be_cut = is_journal(&damage.file) && !damage.is_closed;
        let fate = if held == *whole {
            Fate::Harmless
        } else if may_be_cut && original.history.contains(&held) {
            Fate::Cut
        } else if may_be_cut {
            assert_written_once(&held, original);
            Fate::Mixed
        } else {
            assert_right_or_reported(&held, whole);
            Fate::Reported
        };
        if !may_be_cut {
            let constant = store.constant("name", Bytes::from_static(b"another")).await;
            assert!(
                matches!(&constant, Ok(value) if value == "value") || matches!(constant, Err(CommitError::Unavailable(_))),
                "{constant:?}"
            );
            let epoch = store.acquire(SHARD).await;
            let before = COMMITS as u64;
            assert!(
                matches!(epoch, Ok(epoch) if epoch.0 > before) || matches!(epoch, Err(CommitError::Unavailable(_))),
                "{epoch:?} after {before}"
            );
        }
        store.close().await;
        fate
    })
}

fn assert_right_or_reported(held: &Held, whole: &Held) {
    let all = held.entities.iter().zip(&whole.entities).zip(ENTITIES);
    for ((found, expected), name) in all {
        assert!(found == expected || matches!(found, Err(ReadError::Corrupt(_))), "{name}: {found:?} instead of {expected:?}");
    }
    for ((found, expected), name) in held.logs.iter().zip(&whole.logs).zip(ENTITIES) {
        assert!(found == expected || matches!(found, Err(ReadError::Corrupt(_))), "{name}: {found:?} instead of {expected:?}");
    }
    assert!(held.list == whole.list || matches!(held.list, Err(ReadError::Corrupt(_))), "{:?}", held.list);
    match (&held.live, &whole.live) {
        (Err(ReadError::Corrupt(_)), _) => {}
        (Ok(found), Ok(expected)) => {
            assert!(found.iter().all(|entity| expected.contains(entity)), "{found:?}");
            let missing = expected.iter().filter(|entity| !found.contains(entity));
            missing.for_each(|(name, _)| assert!(held.damaged.contains(name), "{name:?} is missing without a word"));
        }
        other => panic!("{other:?}"),
    }
}

/// Whatever is read was written in that place, and no log has a hole or another's record.
fn assert_written_once(held: &Held, original: &Original) {
    let ever = |is_it: &dyn Fn(&Held) -> bool| original.history.iter().any(is_it);
    for (at, name) in ENTITIES.into_iter().enumerate() {
        let Ok(log) = &original.last().logs[at] else { panic!("{name} was whole") };
        match &held.logs[at] {
            Ok(found) => assert!(log.starts_with(found), "{name}: {found:?}"),
            Err(error) => assert!(matches!(error, ReadError::Corrupt(_)), "{name}: {error}"),
        }
        match &held.entities[at] {
            Ok(Loaded { seq, snapshot, tail, answers }) => {
                assert!(log.len() as u64 >= *seq && tail.iter().all(|record| log.contains(record)), "{name}: {tail:?}");
                let is_snapshot = |held: &Held| matches!(&held.entities[at], Ok(loaded) if loaded.snapshot == *snapshot);
                assert!(ever(&is_snapshot), "{name}: {snapshot:?}");
                for answer in answers {
                    let has = |held: &Held| matches!(&held.entities[at], Ok(loaded) if loaded.answers.contains(answer));
                    assert!(ever(&has), "{name}: {answer:?}");
                }
            }
            Err(error) => assert!(matches!(error, ReadError::Corrupt(_)), "{name}: {error}"),
        }
    }
    for entry in held.list.iter().flatten() {
        assert!(ever(&|held| held.list.as_ref().is_ok_and(|list| list.contains(entry))), "{entry:?}");
    }
}

/// One damage: the seed says which.
fn try_one(originals: &[Original; 2], seed: u64) -> (Fate, bool) {
    let mut dice = Rng::with_seed(seed);
    let dir = scratch();
    let original = &originals[dice.usize(..2)];
    let damage = damaged(original, dir.path(), &mut dice);
    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| judge(original, dir.path(), &damage)));
    match tried {
        Ok(fate) => (fate, is_journal(&damage.file)),
        Err(panic) => {
            let Damage { file, what, is_closed } = &damage;
            eprintln!("STORE_DAMAGES=1 STORE_SEED={seed}: {what} of {} (closed in order: {is_closed})", file.display());
            std::panic::resume_unwind(panic);
        }
    }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |number| number.parse().expect("a number"))
}

#[test]
fn whatever_bytes_change_nothing_wrong_is_read() {
    let originals = Arc::new([Original::write(false), Original::write(true)]);
    let (count, first) = (number("STORE_DAMAGES", DAMAGES), number("STORE_SEED", 1) as u64);
    let next = Arc::new(AtomicUsize::new(0));
    let fates = Arc::new(Mutex::new(std::collections::BTreeMap::<(Fate, bool), usize>::new()));
    let (done, finished) = mpsc::channel();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    for _ in 0..threads {
        let (originals, next, fates, done) = (Arc::clone(&originals), Arc::clone(&next), Arc::clone(&fates), done.clone());
        std::thread::spawn(move || {
            loop {
                let at = next.fetch_add(1, Ordering::SeqCst);
                if at >= count {
                    return;
                }
                let fate = try_one(&originals, first + at as u64);
                *fates.lock().unwrap().entry(fate).or_default() += 1;
                // Whoever counts may have given up.
                let _ = done.send(());
            }
        });
    }
    drop(done);
    let mut tried = 0;
    while tried < count {
        match finished.recv_timeout(PATIENCE) {
            Ok(()) => tried += 1,
            Err(RecvTimeoutError::Timeout) => panic!("one of the damages after seed {first} is waited for in vain"),
            Err(RecvTimeoutError::Disconnected) => panic!("{tried} of {count} were tried"),
        }
    }
    let fates = fates.lock().unwrap();
    println!("{count} damages, by what became of them and whether it was a journal: {fates:?}");
    let of = |wanted| fates.iter().filter(|((fate, _), _)| *fate == wanted).map(|(_, count)| count).sum::<usize>();
    if count >= DAMAGES {
        assert!(of(Fate::Refused) > count / 10 && of(Fate::Reported) > count / 100, "{fates:?}");
    }
}
