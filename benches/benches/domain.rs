//! What a rule costs, without the shell: each command decided, made so and reacted to; a record encoded and decoded.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jono_benches::scene::{
    AGENT, AS_AGENT, AS_CUSTOMER, CONVERSATION, CUSTOMER, QUEUE, TAG, TEXT, active_conversation, context, organisation, start,
    start_command, step, waiting_conversation,
};
use jono_benches::timing;
use jono_domain::account::Who;
use jono_domain::agent::{self, Agent};
use jono_domain::conversation::{Command, Conversation, Event};
use jono_domain::customer::{self, Customer};
use jono_domain::organisation::Organisation;
use jono_domain::{Context, Machine};
use jono_engine::codec;

/// One row: what is asked, of which conversation, by whom.
type Asked = (&'static str, Conversation, Command, Who);

fn asked(organisation: &Organisation) -> Vec<Asked> {
    let waiting = || waiting_conversation(organisation);
    let active = || active_conversation(organisation);
    let tagged = || {
        let mut state = active();
        step(&mut state, CONVERSATION, &Command::AddTag { tag: TAG.into() }, &context(organisation, AS_AGENT, 2_500));
        state
    };
    let text = || TEXT.to_owned();
    vec![
        ("start", Conversation::default(), start_command(), AS_CUSTOMER),
        ("send, customer", active(), Command::Send { claim: None, text: text() }, AS_CUSTOMER),
        ("send, agent", active(), Command::Send { claim: Some(1), text: text() }, AS_AGENT),
        ("type", active(), Command::Type { typing: true, preview: Some(text()) }, AS_CUSTOMER),
        ("read", active(), Command::Read { seq: 3 }, AS_AGENT),
        ("claim", waiting(), Command::Claim { picked: None }, AS_AGENT),
        ("release", active(), Command::Release { claim: Some(1) }, AS_AGENT),
        ("touch", active(), Command::Touch { claim: Some(1) }, AS_AGENT),
        ("close", active(), Command::Close { claim: Some(1) }, AS_AGENT),
        ("note", active(), Command::AddNote { text: text() }, AS_AGENT),
        ("tag", active(), Command::AddTag { tag: TAG.into() }, AS_AGENT),
        ("untag", tagged(), Command::RemoveTag { tag: TAG.into() }, AS_AGENT),
        ("prioritise", waiting(), Command::Prioritise { priority: 3 }, AS_AGENT),
    ]
}

fn commands(bench: &mut Criterion) {
    let organisation = organisation();
    let mut group = bench.benchmark_group("decide, evolve, react");
    group.throughput(Throughput::Elements(1));
    for (name, state, command, who) in asked(&organisation) {
        let context = context(&organisation, who, 3_000);
        assert!(state.decide(CONVERSATION, &command, &context).is_ok_and(|events| !events.is_empty()), "{name} does something");
        let step = |state: &mut Conversation| step(state, CONVERSATION, black_box(&command), &context);
        group.bench_function(name, |bench| bench.iter_batched_ref(|| state.clone(), step, BatchSize::SmallInput));
    }
    group.bench_function("customer: start", |bench| {
        let start = customer::Command::Start { conversation: CONVERSATION, queue: QUEUE, start: Box::new(start(CUSTOMER)) };
        let context = context(&organisation, AS_CUSTOMER, 1_000);
        let step = |state: &mut Customer| step(state, CUSTOMER, black_box(&start), &context);
        bench.iter_batched_ref(Customer::default, step, BatchSize::SmallInput);
    });
    group.bench_function("agent: hold", |bench| {
        let hold = agent::Command::Hold { conversation: CONVERSATION, held: Some(QUEUE) };
        let context = context(&organisation, Who::Engine, 1_000);
        let step = |state: &mut Agent| step(state, AGENT, black_box(&hold), &context);
        bench.iter_batched_ref(Agent::default, step, BatchSize::SmallInput);
    });
    group.finish();
}

fn records(bench: &mut Criterion) {
    let organisation = organisation();
    let state = active_conversation(&organisation);
    let context: Context<'_> = context(&organisation, AS_AGENT, 3_000);
    let events = state.decide(CONVERSATION, &Command::Send { claim: Some(1), text: TEXT.into() }, &context).unwrap_or_default();
    let (event, snapshot) = (codec::encode(&events[0]), codec::encode(&state));
    let mut group = bench.benchmark_group("codec");
    group.throughput(Throughput::Bytes(event.len() as u64));
    group.bench_function("encode event", |bench| bench.iter(|| codec::encode(black_box(&events[0]))));
    group.bench_function("decode event", |bench| bench.iter(|| codec::decode::<Event>(black_box(&event)).is_ok()));
    group.throughput(Throughput::Bytes(snapshot.len() as u64));
    group.bench_function("encode snapshot", |bench| bench.iter(|| codec::encode(black_box(&state))));
    group.bench_function("decode snapshot", |bench| bench.iter(|| codec::decode::<Conversation>(black_box(&snapshot)).is_ok()));
    group.finish();
}

criterion_group!(name = benches; config = timing::short(); targets = commands, records);
criterion_main!(benches);
