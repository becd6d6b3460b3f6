//! A start with 100 000 conversations that wait: how many live conversations a second are read, told to their queue and
//! customer, and have their deadlines set.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use jono_benches::timing;
use jono_benches::town::Town;
use jono_store::{Durability, FjallStore, MemoryStore, Store};

const LIVE: usize = 100_000;

/// Starts, looks whether everybody is back, and stops; the time of the start alone.
async fn start(store: Arc<dyn Store>) -> Duration {
    let started = Instant::now();
    let town = Town::open(store).await;
    let took = started.elapsed();
    assert_eq!(town.waiting().await as usize, LIVE, "everybody is back when the start ends");
    town.engine.stop().await;
    took
}

async fn fill(store: Arc<dyn Store>) {
    let town = Town::found(store).await;
    town.begin(0, LIVE).await;
    town.engine.stop().await;
}

fn open(path: &Path, durability: Durability) -> Arc<dyn Store> {
    Arc::new(FjallStore::open(path, durability).expect("the directory is ours"))
}

fn recovery(bench: &mut Criterion) {
    let system = actix_rt::System::new();
    let records = MemoryStore::new();
    let dir = tempfile::tempdir().expect("there is a place for temporary files");
    system.block_on(fill(Arc::new(records.reopen())));
    system.block_on(fill(open(dir.path(), Durability::Memory)));
    let mut group = bench.benchmark_group("recovery");
    group.throughput(Throughput::Elements(LIVE as u64)).sampling_mode(SamplingMode::Flat);
    // The first start after a crash also notes for each conversation that its customer is away; that is stored, so the ones
    // measured here, after it, only read. The first one is made by the warm-up.
    group.bench_function(BenchmarkId::new("in memory, live conversations", LIVE), |bench| {
        bench.iter_custom(|times| system.block_on(several(times, || Arc::new(records.reopen()))));
    });
    group.bench_function(BenchmarkId::new("embedded, live conversations", LIVE), |bench| {
        bench.iter_custom(|times| system.block_on(several(times, || open(dir.path(), Durability::Second))));
    });
    group.finish();
}

async fn several(times: u64, store: impl Fn() -> Arc<dyn Store>) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..times {
        took += start(store()).await;
    }
    took
}

criterion_group!(name = benches; config = timing::long(); targets = recovery);
criterion_main!(benches);
