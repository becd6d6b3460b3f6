//! What a rule costs: one message decided, made so, told and encoded; one pick from a queue in which
//! many wait. The figures must not grow with the number of conversations.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jono_domain::account::{AccountKind, Role, Who};
use jono_domain::conversation::{self, Conversation, Row, RowState, Start};
use jono_domain::id::{AgentId, ConversationId, CustomerId, OrganisationId, QueueId};
use jono_domain::notice::Deadlines;
use jono_domain::organisation::{Account, Organisation, QueueConfig, QueueSettings};
use jono_domain::queue::{self, Queue};
use jono_domain::time::Time;
use jono_domain::{Context, Machine};
use jono_engine::codec;

const ORGANISATION: OrganisationId = OrganisationId::from_bits(1);
const QUEUE: QueueId = QueueId::from_bits(2);
const AGENT: AgentId = AgentId::from_bits(3);
const CUSTOMER: CustomerId = CustomerId::from_bits(4);
const CONVERSATION: ConversationId = ConversationId::from_bits(5);

fn organisation() -> Organisation {
    let account = Account {
        name: "Anna".into(),
        kind: AccountKind::Person,
        role: Role::Agent,
        queues: [QUEUE].into(),
        login: None,
        password_hash: None,
        tokens: [].into(),
        disabled: false,
    };
    Organisation {
        id: ORGANISATION,
        created: true,
        queues: [(QUEUE, QueueConfig { name: "Sales".into(), settings: QueueSettings::default() })].into(),
        accounts: [(AGENT, account)].into(),
        ..Organisation::default()
    }
}

fn step<M: Machine>(state: &mut M, id: M::Id, command: &M::Command, context: &Context<'_>) -> usize {
    let events = state.decide(id, command, context).unwrap_or_default();
    events.iter().for_each(|event| state.evolve(event));
    events.iter().map(|event| state.react(id, event).len()).sum()
}

fn active_conversation(organisation: &Organisation) -> Conversation {
    let mut state = Conversation::default();
    let start = Start {
        organisation: ORGANISATION,
        customer: CUSTOMER,
        customer_name: None,
        metadata: Vec::new(),
        message: Some("Hello".into()),
        priority: 0,
    };
    let command = conversation::Command::Start { start: Box::new(start), queue: QUEUE, position: 1, wait_ms: None };
    let customer = Context { now: Time(1_000), who: Who::Customer(ORGANISATION, CUSTOMER), organisation: Some(organisation) };
    step(&mut state, CONVERSATION, &command, &customer);
    let agent = Context { now: Time(2_000), who: Who::Agent(ORGANISATION, AGENT), organisation: Some(organisation) };
    step(&mut state, CONVERSATION, &conversation::Command::Claim { picked: None }, &agent);
    state
}

fn message(bench: &mut Criterion) {
    let organisation = organisation();
    let state = active_conversation(&organisation);
    let context = Context { now: Time(3_000), who: Who::Agent(ORGANISATION, AGENT), organisation: Some(&organisation) };
    let send = conversation::Command::Send { claim: Some(1), text: "It will be delivered on Friday, by noon.".into() };
    let mut group = bench.benchmark_group("message");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decide, evolve, react", |bench| {
        bench.iter_batched_ref(
            || state.clone(),
            |state| step(state, CONVERSATION, black_box(&send), &context),
            criterion::BatchSize::SmallInput,
        );
    });
    let events = state.decide(CONVERSATION, &send, &context).unwrap_or_default();
    group.bench_function("encode event", |bench| bench.iter(|| codec::encode(black_box(&events[0]))));
    let bytes = codec::encode(&events[0]);
    group.bench_function("decode event", |bench| bench.iter(|| codec::decode::<conversation::Event>(black_box(&bytes)).is_ok()));
    group.bench_function("encode snapshot", |bench| bench.iter(|| codec::encode(black_box(&state))));
    group.finish();
}

fn row(number: u64, state: RowState) -> Row {
    Row {
        conversation: ConversationId::from_bits(u128::from(number) + 100),
        queue: QUEUE,
        customer: CustomerId::from_bits(u128::from(number)),
        customer_name: None,
        state,
        preview: "Where is my order?".into(),
        last_message_at: Time(number),
        unread: 1,
        started_at: Time(number),
        waiting_since: Time(number),
        priority: 0,
        holder: None,
        claim: 0,
        deadlines: Deadlines::default(),
        tags: Vec::new(),
        connected: true,
        head: 3,
    }
}

fn crowded_queue(bench: &mut Criterion) {
    let organisation = organisation();
    let engine = Context { now: Time(1), who: Who::Engine, organisation: Some(&organisation) };
    let agent = Context { now: Time(1_000_000), who: Who::Agent(ORGANISATION, AGENT), organisation: Some(&organisation) };
    let mut group = bench.benchmark_group("queue");
    group.throughput(Throughput::Elements(1));
    for waiting in [100u64, 10_000, 100_000] {
        let mut state = Queue::default();
        // Announcements with a lower head would be stale.
        let mut head = 4;
        for number in 0..waiting {
            let announce = queue::Command::Announce { row: Box::new(row(number, RowState::Waiting)) };
            step(&mut state, QUEUE, &announce, &engine);
        }
        group.bench_with_input(BenchmarkId::new("pick and return", waiting), &waiting, |bench, _| {
            bench.iter(|| {
                step(&mut state, QUEUE, &queue::Command::Pick { missed: 0 }, &agent);
                for phase in [RowState::Active, RowState::Waiting] {
                    head += 1;
                    let taken = Row { head, ..row(0, phase) };
                    step(&mut state, QUEUE, &queue::Command::Announce { row: Box::new(taken) }, &engine);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, message, crowded_queue);
criterion_main!(benches);
