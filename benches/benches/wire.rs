//! What JSON costs: a request read, an answer and notices written for each audience. The frames around the texts are the socket
//! layer's and are measured with its `echo` example.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jono_benches::scene::{AS_AGENT, AS_CUSTOMER, CONVERSATION, TEXT, active_conversation, context, organisation, row};
use jono_benches::timing;
use jono_domain::Machine;
use jono_domain::account::{Audience, Who};
use jono_domain::conversation::{Command, Event, RowState};
use jono_domain::notice::{Deadlines, Notice};
use jono_domain::time::Time;
use jono_engine::delivery::Shared;
use jono_engine::directory::Directory;
use jono_gateway::wire::envelope::{self, Incoming};
use jono_gateway::wire::methods::Method;
use jono_gateway::wire::notifications::encoded;
use jono_gateway::wire::params::MessageSend;

fn requests(bench: &mut Criterion) {
    let request = format!(
        r#"{{"jsonrpc":"2.0","id":17,"method":"message.send","params":{{"conversation":"{CONVERSATION}","text":"{TEXT}","key":"7d1c9a4e-17"}}}}"#
    );
    let mut group = bench.benchmark_group("wire: read");
    group.throughput(Throughput::Bytes(request.len() as u64));
    group.bench_function("message.send", |bench| {
        bench.iter(|| match envelope::read(black_box(&request)) {
            Incoming::Single(Ok(call)) => {
                assert!(Method::find(&call.method).is_some());
                envelope::read_params::<MessageSend>(call.params).is_ok()
            }
            _ => panic!("it is a single request"),
        });
    });
    group.finish();
}

/// The notice of a message that the credential wrote.
fn entry(who: Who) -> Notice {
    let organisation = organisation();
    let state = active_conversation(&organisation);
    let claim = (who == AS_AGENT).then_some(1);
    let send = Command::Send { claim, text: TEXT.into() };
    let events = state.decide(CONVERSATION, &send, &context(&organisation, who, 1_700_000_003_000)).unwrap_or_default();
    match events.into_iter().next() {
        Some(Event::Entry(entry)) => {
            let at = |ms: u64| Some(Time(1_700_000_003_000 + ms));
            let deadlines = Deadlines { release_at: at(300_000), close_at: at(900_000) };
            Notice::Entry { conversation: CONVERSATION, entry: Arc::new(*entry), deadlines }
        }
        other => panic!("a message is an entry: {other:?}"),
    }
}

fn notices(bench: &mut Criterion) {
    let directory = Directory::default().with(&organisation());
    let rows = |count| Notice::Rows((0..count).map(|number| Arc::new(row(number, RowState::Waiting))).collect());
    let notices = [
        ("customer's message, to customers", entry(AS_CUSTOMER), Audience::Customer),
        ("customer's message, to agents", entry(AS_CUSTOMER), Audience::Agent),
        ("agent's message, to customers", entry(AS_AGENT), Audience::Customer),
        ("agent's message, to agents", entry(AS_AGENT), Audience::Agent),
        ("25 rows of a list, to agents", rows(25), Audience::Agent),
    ];
    let mut group = bench.benchmark_group("wire: write");
    for (name, notice, audience) in notices {
        let bytes = encoded(&Shared::new(notice.clone()), audience, &directory).len();
        assert!(bytes > 0, "{name} says something");
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(name, |bench| {
            let write = |notice: &mut Arc<Shared<Notice>>| encoded(black_box(notice), audience, &directory);
            bench.iter_batched_ref(|| Shared::new(notice.clone()), write, BatchSize::SmallInput);
        });
    }
    group.bench_function("the same notice again", |bench| {
        let notice = Shared::new(entry(AS_CUSTOMER));
        bench.iter(|| encoded(black_box(&notice), Audience::Agent, &directory));
    });
    group.finish();
}

criterion_group!(name = benches; config = timing::short(); targets = requests, notices);
criterion_main!(benches);
