//! A queue in which many wait: a pick, an announcement, the page of a list. What they cost must not grow with how many wait.

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jono_benches::scene::{AS_AGENT, QUEUE, context, organisation, row, step};
use jono_benches::timing;
use jono_domain::account::Who;
use jono_domain::conversation::{Row, RowState};
use jono_domain::queue::{Command, Queue};
use jono_domain::{Context, Machine};

fn announce(row: Row) -> Command {
    Command::Announce { row: Arc::new(row) }
}

fn crowded(waiting: u64, engine: &Context<'_>) -> Queue {
    let mut state = Queue::default();
    for number in 0..waiting {
        step(&mut state, QUEUE, &announce(row(number, RowState::Waiting)), engine);
    }
    state
}

fn crowded_queue(bench: &mut Criterion) {
    let organisation = organisation();
    let engine = context(&organisation, Who::Engine, 1);
    let agent = context(&organisation, AS_AGENT, 1_000_000);
    let mut group = bench.benchmark_group("queue");
    group.throughput(Throughput::Elements(1));
    for waiting in [100, 10_000, 100_000] {
        let mut state = crowded(waiting, &engine);
        // Announcements with a lower head would be stale.
        let mut head = 4;
        group.bench_with_input(BenchmarkId::new("pick and return", waiting), &waiting, |bench, _| {
            bench.iter(|| {
                step(&mut state, QUEUE, &Command::Pick { missed: 0 }, &agent);
                for phase in [RowState::Active, RowState::Waiting] {
                    head += 1;
                    step(&mut state, QUEUE, &announce(Row { head, ..row(0, phase) }), &engine);
                }
            });
        });
        group.bench_with_input(BenchmarkId::new("announce a message", waiting), &waiting, |bench, waiting| {
            bench.iter(|| {
                head += 1;
                let told = Row { head, ..row(head % waiting, RowState::Waiting) };
                step(&mut state, QUEUE, &announce(told), &engine)
            });
        });
        group.bench_with_input(BenchmarkId::new("list a page", waiting), &waiting, |bench, _| {
            let list = Command::List { after: None, limit: 50 };
            bench.iter(|| state.answer(QUEUE, &list, &[], &agent));
        });
    }
    group.finish();
}

criterion_group!(name = benches; config = timing::short(); targets = crowded_queue);
criterion_main!(benches);
