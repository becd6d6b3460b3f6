//! How many records a second the embedded store commits, by durability level and by how many commits
//! are under way at once (which is what fills a group).
//!
//! ```text
//! cargo run --release -p jono-store --example commit_rate [-- <directory>]
//! ```

mod chat;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jono_store::{Batch, Durability, FjallStore, ShardId, Store, Write};

use chat::{RECORD_BYTES, message};

/// How long one row is measured.
const ROW: Duration = Duration::from_secs(2);

const SHARDS: u16 = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::TempDir::new_in(dir)?;
    println!("level   under way  writes/batch  records/s  commits/s   p50 us   p99 us   max us");
    for durability in [Durability::Memory, Durability::Second, Durability::Disk] {
        for (under_way, writes) in [(1, 1), (16, 1), (64, 1), (256, 1), (16, 16), (64, 16)] {
            let path = dir.path().join(format!("{durability:?}-{under_way}-{writes}"));
            let store = FjallStore::open(&path, durability)?;
            row(&store, under_way, writes).await?;
            store.close().await;
            std::fs::remove_dir_all(path)?;
        }
    }
    open_many(&dir.path().join("live")).await
}

/// How long opening takes when many entities are live, each with 8 records behind its snapshot.
async fn open_many(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    const LIVE: usize = 50_000;
    let store = FjallStore::open(path, Durability::Memory)?;
    let epoch = store.acquire(ShardId(0)).await?;
    for first in (0..LIVE).step_by(500) {
        let live =
            |place| Write { live: Some(true), log: vec![Bytes::from_static(&[b'x'; RECORD_BYTES]); 8], ..message(place, 1) };
        let writes = (first..first + 500).map(live).collect();
        store.commit(Batch { shard: ShardId(0), epoch, writes }).await?;
    }
    store.close().await;
    let start = Instant::now();
    let store = FjallStore::open(path, Durability::Disk)?;
    println!("opened with {LIVE} live entities in {:?}", start.elapsed());
    let start = Instant::now();
    for place in (0..LIVE).step_by(50) {
        store.load(ShardId(0), message(place, 1).entity).await?;
    }
    println!("loaded one in {:?}", start.elapsed() / (LIVE as u32 / 50));
    Ok(())
}

async fn row(store: &FjallStore, under_way: usize, writes: usize) -> Result<(), Box<dyn std::error::Error>> {
    let mut epochs = Vec::new();
    for shard in 0..SHARDS {
        epochs.push(store.acquire(ShardId(shard)).await?);
    }
    // One entity per place, so that each has one write under way.
    let mut seqs = vec![0_u64; under_way * writes];
    let mut next = 0;
    let mut waiting = VecDeque::new();
    let mut latencies_us = Vec::new();
    let start = Instant::now();
    while start.elapsed() < ROW || !waiting.is_empty() {
        if start.elapsed() < ROW && waiting.len() < under_way {
            let shard = next % usize::from(SHARDS);
            let places = next * writes..(next + 1) * writes;
            let of = |place: usize| {
                seqs[place] += 1;
                message(place, seqs[place])
            };
            let batch = Batch { shard: ShardId(u16::try_from(shard)?), epoch: epochs[shard], writes: places.map(of).collect() };
            waiting.push_back((Instant::now(), store.commit(batch)));
            next = (next + 1) % under_way;
        } else if let Some((since, commit)) = waiting.pop_front() {
            commit.await?;
            latencies_us.push(since.elapsed().as_micros());
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let commits = latencies_us.len();
    latencies_us.sort_unstable();
    println!(
        "{:<8}{under_way:>9}{writes:>14}{:>11.0}{:>11.0}{:>9}{:>9}{:>9}",
        format!("{:?}", store.durability()).to_lowercase(),
        (commits * writes) as f64 / seconds,
        commits as f64 / seconds,
        latencies_us[commits / 2],
        latencies_us[commits * 99 / 100],
        latencies_us[commits - 1],
    );
    Ok(())
}
