//! The engine without sockets: a question to a loaded entity and its answer, a message and all that follows from it with
//! few and with many live conversations, a changed list told to a thousand sessions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jono_benches::scene::{AS_AGENT, QUEUE};
use jono_benches::timing;
use jono_benches::town::{Town, as_visitor, conversation, message};
use jono_domain::conversation::Command;
use jono_domain::limits::ROWS_PUSH_MS;
use jono_domain::message::{Address, Order};
use jono_store::{Durability, FjallStore, MemoryStore, Store};

/// Conversations in which messages are written.
const SERVED: usize = 128;

/// Sessions that follow the queue.
const SESSIONS: u64 = 1_000;

fn describe(number: usize) -> Order {
    Order::Conversation(conversation(number), Box::new(Command::Describe))
}

async fn elapsed(work: impl Future<Output = ()>) -> Duration {
    let started = Instant::now();
    work.await;
    started.elapsed()
}

fn hop(bench: &mut Criterion) {
    let system = actix_rt::System::new();
    let town = system.block_on(async {
        let town = Town::found(Arc::new(MemoryStore::new())).await;
        town.begin(0, SERVED).await;
        town
    });
    let mut group = bench.benchmark_group("hop");
    group.throughput(Throughput::Elements(1));
    group.bench_function("ask a loaded entity, one at a time", |bench| {
        let ask = async |times| {
            for _ in 0..times {
                town.ask(as_visitor(0), describe(0)).await;
            }
        };
        bench.iter_custom(|times| system.block_on(elapsed(ask(times))));
    });
    group.throughput(Throughput::Elements(SERVED as u64));
    group.bench_function("ask loaded entities, 128 at a time", |bench| {
        let ask = async |times| {
            for _ in 0..times {
                let asks = (0..SERVED).map(|number| town.ask(as_visitor(number), describe(number)));
                futures_util::future::join_all(asks).await;
            }
        };
        bench.iter_custom(|times| system.block_on(elapsed(ask(times))));
    });
    group.finish();
    system.block_on(town.engine.stop());
}

fn messages(bench: &mut Criterion) {
    let system = actix_rt::System::new();
    let mut group = bench.benchmark_group("message");
    group.throughput(Throughput::Elements(1));
    let dir = tempfile::tempdir().expect("there is a place for temporary files");
    let fjall = FjallStore::open(dir.path(), Durability::Second).expect("the directory is new");
    let stores: [(&str, Arc<dyn Store>); 2] =
        [("in memory", Arc::new(MemoryStore::new())), ("embedded, second", Arc::new(fjall))];
    for (name, store) in stores {
        let town = system.block_on(async {
            let town = Town::found(store).await;
            town.begin(0, SERVED).await;
            town.serve(SERVED).await;
            town
        });
        let mut begun = SERVED;
        for live in [1_000, 100_000] {
            system.block_on(town.begin(begun, live));
            begun = live;
            group.bench_with_input(BenchmarkId::new(format!("{name}, live conversations"), live), &live, |bench, _| {
                bench.iter_custom(|times| system.block_on(elapsed(town.write(times, SERVED))));
            });
        }
        system.block_on(town.engine.stop());
    }
    group.finish();
}

fn fan_out(bench: &mut Criterion) {
    let system = actix_rt::System::new();
    let town = system.block_on(async {
        let town = Town::found(Arc::new(MemoryStore::new())).await;
        town.begin(0, 1).await;
        for session in 0..SESSIONS {
            town.follow(session, AS_AGENT, Address::Queue(QUEUE)).await;
        }
        town
    });
    let mut group = bench.benchmark_group("fan-out");
    group.throughput(Throughput::Elements(SESSIONS));
    group.bench_function("a changed row to 1 000 sessions", |bench| {
        let push = async |times| {
            for _ in 0..times {
                let wanted = town.listeners.told().rows + SESSIONS;
                town.ask(as_visitor(0), message(0)).await;
                // Rows are pushed at most so often; the queue hears of the message before or after that moment.
                while town.listeners.told().rows < wanted {
                    town.clock.advance(ROWS_PUSH_MS);
                    let told = town.listeners.until(|told| told.rows >= wanted);
                    let _ = tokio::time::timeout(Duration::from_millis(1), told).await;
                }
            }
        };
        bench.iter_custom(|times| system.block_on(elapsed(push(times))));
    });
    group.finish();
    system.block_on(town.engine.stop());
}

criterion_group!(name = short; config = timing::short(); targets = hop, fan_out);
criterion_group!(name = long; config = timing::long(); targets = messages);
criterion_main!(short, long);
