//! Processes that are killed with SIGKILL, and disks that are full: what was acknowledged is there
//! afterwards, and nothing is there in part.
//!
//! The test program runs itself again as the process to kill; see [`child`].

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use jono_store::{Batch, CommitError, Durability, FjallStore, IndexChange, LogRange, ShardId, Store, Write, contract};
use tempfile::TempDir;

const SHARD: ShardId = ShardId(1);

/// The directory that the child works in; without it, the child has nothing to do.
const DIR: &str = "JONO_STORE_TEST_DIR";
/// The durability level of the child.
const LEVEL: &str = "JONO_STORE_TEST_LEVEL";

/// Every batch writes these, all with the same numbers.
const ENTITIES: [&str; 3] = ["a", "b", "c"];

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The record of a number: of a length that moves over the borders of pages and buffers.
fn record(seq: u64) -> Bytes {
    let len = 100 + (seq * 997 % 9000) as usize;
    Bytes::from(seq.to_be_bytes().repeat(len / 8))
}

fn writes(seq: u64) -> Vec<Write> {
    let write = |name: &&str| Write {
        log: vec![record(seq + 1)],
        snapshot: seq.is_multiple_of(5).then(|| record(seq + 1)),
        live: Some(true),
        index: vec![IndexChange::Put { key: Bytes::from(format!("seq/{name}")), value: record(seq + 1) }],
        ..contract::write(name, seq, &[])
    };
    ENTITIES.iter().map(write).collect()
}

/// Not a test of its own: the process that is killed. Commits as fast as it can and says on its
/// standard output what was acknowledged.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let durability = match std::env::var(LEVEL).as_deref() {
        Ok("memory") => Durability::Memory,
        Ok("second") => Durability::Second,
        _ => Durability::Disk,
    };
    let store = FjallStore::open(Path::new(&dir), durability).unwrap();
    block_on(async {
        let epoch = store.acquire(SHARD).await.unwrap();
        let mut seq = store.load(SHARD, contract::entity(ENTITIES[0])).await.unwrap().seq;
        let mut failures = 0;
        // Endless unless the disk fails: then a few more tries, to see that none is acknowledged.
        while failures < 5 {
            let outcome = store.commit(Batch { shard: SHARD, epoch, writes: writes(seq) }).await;
            let mut out = std::io::stdout().lock();
            match outcome {
                Ok(()) => {
                    seq += 1;
                    writeln!(out, "ack {seq}").unwrap();
                }
                Err(CommitError::Unknown(_)) => {
                    failures += 1;
                    writeln!(out, "unknown").unwrap();
                }
                Err(_) => {
                    failures += 1;
                    writeln!(out, "unavailable").unwrap();
                }
            }
            out.flush().unwrap();
        }
        writeln!(std::io::stdout(), "readable {}", store.load(SHARD, contract::entity("a")).await.is_ok()).unwrap();
    });
}

fn start(mut command: Command, dir: &Path, level: &str) -> Child {
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
    command.env(DIR, dir).env(LEVEL, level);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

fn this_program() -> std::path::PathBuf {
    std::env::current_exe().unwrap()
}

/// The lines of a child, until it ends.
fn lines(child: &mut Child) -> Vec<String> {
    BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).collect()
}

fn last_ack(lines: &[String]) -> u64 {
    let acks = lines.iter().filter_map(|line| line.strip_prefix("ack ")?.parse().ok());
    acks.max().unwrap_or(0)
}

/// Everything up to `acknowledged` is there, every batch wholly, and nothing is damaged.
fn assert_whole(dir: &Path, acknowledged: u64) -> u64 {
    let store = FjallStore::open(dir, Durability::Disk).unwrap();
    assert_eq!(store.damaged(), []);
    block_on(async {
        let live = store.load_live(SHARD, None, 9).await.unwrap();
        let seq = live.first().map_or(0, |(_, loaded)| loaded.seq);
        assert!(seq >= acknowledged, "{acknowledged} were acknowledged, {seq} are there");
        for name in ENTITIES {
            let entity = contract::entity(name);
            assert_eq!(store.load(SHARD, entity.clone()).await.unwrap().seq, seq, "batches are whole");
            let mut next = 1;
            loop {
                let page = store.read_log(SHARD, entity.clone(), LogRange::After(next - 1), 500).await;
                let page = page.unwrap();
                if page.is_empty() {
                    break;
                }
                for (found, bytes) in page {
                    assert_eq!((found, bytes), (next, record(next)));
                    next += 1;
                }
            }
            assert_eq!(next, seq + 1);
        }
        let entries = store.scan(Bytes::from_static(b"seq/"), None, 9).await.unwrap();
        assert!(entries.iter().all(|(_, value)| *value == record(seq)));
        seq
    })
}

fn kill_repeatedly(level: &str) {
    let dir = TempDir::new().unwrap();
    // Also while the directory is being created, and while a journal is being read.
    let moments_ms = [5, 40, 90, 170, 260, 380, 700];
    let mut acknowledged = 0;
    for ms in moments_ms {
        let mut child = start(Command::new(this_program()), dir.path(), level);
        // Read meanwhile, or the pipe would hold the child up.
        let output = child.stdout.take().unwrap();
        let reader = thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).collect::<Vec<_>>());
        thread::sleep(Duration::from_millis(ms));
        child.kill().unwrap();
        child.wait().unwrap();
        let acked = last_ack(&reader.join().unwrap());
        assert!(acked == 0 || acked > acknowledged, "it went on where it was");
        acknowledged = acknowledged.max(acked);
        let seq = assert_whole(dir.path(), acknowledged);
        println!("{level}: killed after {ms} ms, {acknowledged} acknowledged, {seq} there");
        acknowledged = seq;
    }
    assert!(acknowledged > 20, "only {acknowledged} commits in all");
}

#[test]
fn nothing_acknowledged_at_disk_is_lost_to_a_kill() {
    kill_repeatedly("disk");
}

#[test]
fn nothing_acknowledged_at_second_is_lost_to_a_kill() {
    kill_repeatedly("second");
}

#[test]
fn nothing_acknowledged_at_memory_is_lost_to_a_kill() {
    kill_repeatedly("memory");
}

/// A limit on the size of files stands for a full disk: writing fails in the middle of a batch.
#[test]
fn a_full_disk_acknowledges_nothing_and_loses_nothing() {
    for level in ["disk", "second", "memory"] {
        let dir = TempDir::new().unwrap();
        // The journal is created with its full length, which the limit would forbid.
        drop(FjallStore::open(dir.path(), Durability::Disk).unwrap());
        let mut shell = Command::new("sh");
        let limited = "trap '' XFSZ; ulimit -f 2000 && exec \"$0\" \"$@\"";
        shell.args(["-c", limited]).arg(this_program());
        let mut child = start(shell, dir.path(), level);
        let lines = lines(&mut child);
        child.wait().unwrap();
        let outcomes: Vec<_> = lines.iter().skip_while(|line| !line.starts_with("ack ")).collect();
        let first_failure = outcomes.iter().position(|line| !line.starts_with("ack ")).unwrap();
        assert!(first_failure > 10, "{lines:?}");
        let after: Vec<&str> = outcomes[first_failure..].iter().map(|line| line.as_str()).collect();
        let unavailable = ["unavailable"; 4];
        assert_eq!(after[0], "unknown");
        assert_eq!(after[1..5], unavailable, "nothing is acknowledged after a failure");
        assert_eq!(after[5], "readable false", "it is out of service");
        assert_whole(dir.path(), last_ack(&lines));
    }
}
