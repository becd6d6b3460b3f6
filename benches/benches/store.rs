//! Group commit: records a second by store, durability level and writes in a batch, with as many batches under way as a
//! process with many shards has.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::StreamExt;
use jono_benches::timing;
use jono_store::{Answer, Batch, Durability, Epoch, FjallStore, MemoryStore, ShardId, Store, Write, contract};
use tokio::runtime::{Builder, Runtime};

/// Batches under way at a time, each of a shard of its own.
const SHARDS: usize = 64;

/// Bytes of a record: a short message with its envelope.
const RECORD_BYTES: usize = 120;

/// Log records after which a snapshot goes along, as the engine does it.
const RECORDS_PER_SNAPSHOT: u64 = 16;

/// What is written: so many entities in each shard, and how far the log of all of them goes.
struct Writer {
    store: Arc<dyn Store>,
    epochs: Vec<Epoch>,
    writes: usize,
    seq: u64,
}

impl Writer {
    async fn new(store: Arc<dyn Store>, writes: usize) -> Self {
        let mut epochs = Vec::new();
        for shard in 0..SHARDS {
            epochs.push(store.acquire(shard_id(shard)).await.expect("nobody else uses it"));
        }
        Self { store, epochs, writes, seq: 0 }
    }

    /// One batch of every shard, all under way at once.
    async fn round(&mut self) {
        let commits = (0..SHARDS).map(|shard| {
            let writes = (0..self.writes).map(|place| message(shard, self.writes, place, self.seq)).collect();
            self.store.commit(Batch { shard: shard_id(shard), epoch: self.epochs[shard], writes })
        });
        let mut commits: futures_util::stream::FuturesUnordered<_> = commits.collect();
        while let Some(committed) = commits.next().await {
            committed.expect("nothing refuses it");
        }
        self.seq += 1;
    }
}

fn shard_id(shard: usize) -> ShardId {
    ShardId(shard as u16)
}

/// What one message changes: a record, the remembered answer, and now and then a snapshot. The name of the entity says how
/// large the batches are, so that each bench has its own.
fn message(shard: usize, writes: usize, place: usize, seq: u64) -> Write {
    let text = Bytes::from(vec![b'x'; RECORD_BYTES]);
    let name = format!("{shard:05}.{writes:05}.{place:05}");
    Write {
        log: vec![text.clone()],
        snapshot: (seq + 1).is_multiple_of(RECORDS_PER_SNAPSHOT).then_some(text),
        answers: vec![Answer { key: Bytes::from(format!("{seq:033}")), at_ms: seq, value: Bytes::from_static(b"ok") }],
        ..contract::write(&name, seq, &[])
    }
}

fn rows(bench: &mut Criterion, runtime: &Runtime, name: &str, store: &Arc<dyn Store>) {
    let mut group = bench.benchmark_group(name);
    for writes in [1, 16, 64] {
        let mut writer = runtime.block_on(Writer::new(Arc::clone(store), writes));
        group.throughput(Throughput::Elements((SHARDS * writes) as u64));
        group.bench_with_input(BenchmarkId::new("writes a batch", writes), &writes, |bench, _| {
            bench.iter_custom(|rounds| {
                runtime.block_on(async {
                    let started = Instant::now();
                    for _ in 0..rounds {
                        writer.round().await;
                    }
                    started.elapsed()
                })
            });
        });
    }
    group.finish();
}

fn group_commit(bench: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime needs nothing but threads");
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
    rows(bench, &runtime, "commit: in memory, no store", &memory);
    let dir = tempfile::tempdir().expect("there is a place for temporary files");
    for (name, durability) in
        [("embedded, memory", Durability::Memory), ("embedded, second", Durability::Second), ("embedded, disk", Durability::Disk)]
    {
        let store = open(&dir.path().join(format!("{durability:?}")), durability);
        rows(bench, &runtime, &format!("commit: {name}"), &store);
        runtime.block_on(store.close());
    }
}

fn open(path: &Path, durability: Durability) -> Arc<dyn Store> {
    Arc::new(FjallStore::open(path, durability).expect("the directory is new"))
}

criterion_group!(name = benches; config = timing::long(); targets = group_commit);
criterion_main!(benches);
