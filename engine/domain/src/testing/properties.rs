//! Random lives in random order, against what must hold after every step (G6-G9, G16-G18).

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{BOB, Chaos, DAN, EVE, FOREIGN, ODA, ORGANISATION, SALES, TECH, World, agent, customer, roundtrip};
use crate::account::{Audience, Author, Who};
use crate::agent::{self as agents, Status};
use crate::conversation::{Body, CloseCause, Command, Conversation, Entry, MetadataValue, Phase, ReleaseCause, RowState, Start};
use crate::customer as customers;
use crate::id::{AgentId, ConversationId, CustomerId, QueueId};
use crate::machine::Machine;
use crate::message::{Address, Order};
use crate::notice::Notice;
use crate::organisation::{Policy, ReleaseClock};
use crate::queue;
use crate::reply::Reply;
use crate::time::{SECOND_MS, Time};

const CUSTOMERS: u128 = 4;
const CONVERSATIONS: u128 = 6;

/// What somebody does: which thing, who, to what, with which value, after how long.
type Act = (u8, u8, u8, u8, u32);

fn acts(max: usize) -> impl Strategy<Value = Vec<Act>> {
    let pause = prop_oneof![4 => Just(0u32), 3 => 0..3_000u32, 2 => 0..40_000u32, 1 => 0..400_000u32];
    proptest::collection::vec((0..34u8, any::<u8>(), any::<u8>(), any::<u8>(), pause), 1..max)
}

fn policies() -> impl Strategy<Value = Policy> {
    (1..300u64, 1..900u64, any::<bool>(), any::<bool>()).prop_map(|(release, close, always, show_position)| Policy {
        release_after_ms: release * SECOND_MS,
        close_after_ms: close * SECOND_MS,
        release_clock: if always { ReleaseClock::Always } else { ReleaseClock::CustomerWaits },
        show_position,
        ..Policy::default()
    })
}

fn world(policy: Policy, chaos: u64) -> World {
    let mut world = World::new();
    for queue in [SALES, TECH] {
        world.set(queue, |settings| settings.policy = policy);
    }
    world.set(SALES, |settings| settings.waiting_max = Some(4));
    world.change(crate::organisation::Change::PutTag { tag: "vip".to_owned(), definition: Some(Default::default()) });
    world.chaos = (chaos > 0).then_some(Chaos(chaos));
    world
}

/// Who acts: mostly those who may.
fn actor(pick: u8) -> Who {
    match pick % 16 {
        0..=3 => agent(BOB),
        4..=6 => agent(EVE),
        7..=8 => agent(DAN),
        9 => agent(ODA),
        10 => Who::Agent(FOREIGN, BOB),
        11 => Who::Customer(FOREIGN, CustomerId::from_bits(1)),
        pick => customer(u128::from(pick) % CUSTOMERS + 1),
    }
}

fn owner(conversation: u128) -> u128 {
    conversation % CUSTOMERS + 1
}

/// Sends what the act says; `Some` where it counts as activity without an entry.
fn act(world: &mut World, (kind, by, to, value, _): Act) -> Option<(u64, ConversationId, Who)> {
    let number = u128::from(to) % CONVERSATIONS + 1;
    let id = ConversationId::from_bits(number);
    let own = customer(owner(number));
    let who = actor(by);
    let claim = match value % 4 {
        0 => None,
        1 => Some(u64::from(value) % 5),
        _ => world.conversations.get(&id).map(|cell| cell.state.life.claim),
    };
    let queue = if value % 3 == 0 { TECH } else { SALES };
    let tell = |world: &mut World, who: Who, command: Command| world.send(who, Order::Conversation(id, Box::new(command)));
    let ask_queue = |world: &mut World, command| world.send(who, Order::Queue(queue, Box::new(command)));
    let one_of = [BOB, EVE, DAN, ODA][usize::from(value) % 4];
    match kind {
        0..=4 => {
            let start = Box::new(Start {
                organisation: ORGANISATION,
                customer: CustomerId::from_bits(owner(number)),
                customer_name: None,
                metadata: Vec::new(),
                message: (value % 2 == 0).then(|| "hello".to_owned()),
                priority: 0,
            });
            let command = customers::Command::Start { conversation: id, queue, start };
            world.send(own, Order::Customer(CustomerId::from_bits(owner(number)), Box::new(command)));
        }
        5..=7 => {
            ask_queue(world, queue::Command::Pick { missed: 0 });
        }
        8..=9 => {
            tell(world, who, Command::Claim { picked: None });
        }
        10..=11 => {
            tell(world, own, Command::Send { claim, text: "hello?".to_owned() });
        }
        12..=13 => {
            tell(world, who, Command::Send { claim, text: "yes".to_owned() });
        }
        14 => return Some((tell(world, own, Command::Type { typing: true, preview: None }), id, own)),
        15 => return Some((tell(world, who, Command::Type { typing: true, preview: None }), id, who)),
        16 => return Some((tell(world, who, Command::Touch { claim }), id, who)),
        17 => {
            tell(world, who, Command::Release { claim });
        }
        18..=19 => {
            tell(world, who, Command::Assign { claim, to: one_of, accepted: false });
        }
        20 => {
            let note = (value % 2 == 0).then(|| "note".to_owned());
            tell(world, who, Command::Transfer { claim, to: queue, note, admitted: false });
        }
        21 => {
            tell(world, who, Command::Close { claim });
        }
        22 => {
            tell(world, who, Command::AddNote { text: "note".to_owned() });
        }
        23 => {
            tell(
                world,
                who,
                if value % 2 == 0 {
                    Command::AddTag { tag: "vip".to_owned() }
                } else {
                    Command::RemoveTag { tag: "vip".to_owned() }
                },
            );
        }
        24 => {
            tell(world, who, Command::Read { seq: u64::from(value % 12) });
        }
        25 => {
            tell(world, who, Command::Prioritise { priority: (value % 5) as i8 - 2 });
        }
        26 => {
            let command = if value % 3 == 0 {
                Command::UnblockCustomer
            } else {
                Command::BlockCustomer { duration_ms: Some(u64::from(value) * 300) }
            };
            tell(world, who, command);
        }
        27 => {
            let value = MetadataValue::Text(format!("{}", value % 2));
            return Some((
                tell(world, own, Command::UpdateMetadata { changes: vec![("page".to_owned(), Some(value))] }),
                id,
                own,
            ));
        }
        28..=29 => {
            world.connect(own);
        }
        30 => world.disconnect(own),
        31 => {
            world.connect(agent(one_of));
        }
        32 => world.disconnect(agent(one_of)),
        _ => {
            let status = [Status::Online, Status::Away, Status::Offline][usize::from(value) % 3];
            world.send(agent(one_of), Order::Agent(one_of, Box::new(agents::Command::SetStatus { status })));
        }
    }
    None
}

/// What the log and the accepted acts say about one conversation, told apart from the machine under test.
#[derive(Default)]
struct Model {
    seen: usize,
    head: u64,
    head_for_customers: u64,
    holder: Option<AgentId>,
    claim: u64,
    open: bool,
    closed: bool,
    agent_active: Time,
    customer_active: Time,
    unanswered: Option<Time>,
    connected: bool,
    away_since: Time,
}

impl Model {
    fn entry(&mut self, entry: &Entry, policy: &Policy) {
        assert_eq!((entry.seq, entry.prev_for_customers), (self.head + 1, self.head_for_customers));
        self.head = entry.seq;
        if entry.is_for(Audience::Customer) {
            self.head_for_customers = entry.seq;
        }
        let grain = grains(policy);
        match &entry.body {
            Body::Started { .. } => {
                assert!(!self.open && !self.closed);
                self.open = true;
                self.unanswered = Some(entry.at);
                self.away_since = entry.at;
                self.connected = false;
            }
            Body::Claimed { agent, claim } => {
                assert!(self.open && self.holder.is_none(), "claimed while nobody holds it");
                self.hold(*agent, *claim, entry.at);
            }
            Body::Assigned { from, to, claim } => {
                assert!(self.open && self.holder == *from);
                self.hold(*to, *claim, entry.at);
            }
            Body::Released { agent, cause } => {
                assert_eq!(self.holder, Some(*agent));
                if *cause == ReleaseCause::Inactive {
                    let due = self.release_at(policy).expect("a clock ran");
                    assert!(entry.at >= due, "released early");
                    assert!(entry.at <= due + grain.0, "released late");
                }
                self.holder = None;
            }
            Body::Transferred { holder, .. } => {
                assert!(self.open && self.holder == *holder);
                self.holder = None;
            }
            Body::Message { .. } => match entry.by {
                Author::Customer(_) => {
                    assert!(self.open, "nobody writes after the end");
                    self.unanswered.get_or_insert(entry.at);
                }
                Author::Agent(agent) => {
                    assert_eq!(self.holder, Some(agent), "only the holder writes");
                    self.unanswered = None;
                }
                Author::System => panic!("the system does not write"),
            },
            Body::Closed { cause, holder } => {
                assert!(self.open && self.holder == *holder);
                if *cause == CloseCause::Inactive {
                    let due = self.close_at(policy).expect("a clock ran");
                    assert!(entry.at >= due, "closed early");
                    assert!(entry.at <= due + grain.1, "closed late");
                    // G8
                    assert!(entry.at.since_ms(self.customer_active) >= policy.close_after_ms);
                }
                (self.open, self.closed, self.holder) = (false, true, None);
            }
            Body::Queued { .. }
            | Body::NoteAdded { .. }
            | Body::Tagged { .. }
            | Body::Untagged { .. }
            | Body::Prioritised { .. }
            | Body::MetadataChanged { .. }
            | Body::Blocked { .. }
            | Body::Unblocked
            | Body::Rated { .. } => {}
        }
        match entry.by {
            Author::Agent(agent) if self.holder == Some(agent) => self.agent_active = entry.at,
            Author::Customer(_) => self.customer_active = entry.at,
            Author::Agent(_) | Author::System => {}
        }
    }

    fn hold(&mut self, agent: AgentId, claim: u64, at: Time) {
        assert!(claim > self.claim, "the number grows with every claim");
        if self.holder.is_none() {
            // The clock stood still while the customer waited; a hand-over does not move it.
            self.customer_active = at;
        }
        (self.holder, self.claim, self.agent_active) = (Some(agent), claim, at);
    }

    fn release_at(&self, policy: &Policy) -> Option<Time> {
        self.holder?;
        let from = match policy.release_clock {
            ReleaseClock::Always => self.agent_active,
            ReleaseClock::CustomerWaits => self.agent_active.max(self.unanswered?),
        };
        Some(from + policy.release_after_ms)
    }

    fn close_at(&self, policy: &Policy) -> Option<Time> {
        let from = match self.holder {
            _ if !self.open => return None,
            Some(_) => self.customer_active,
            None if self.connected => return None,
            None => self.customer_active.max(self.away_since),
        };
        Some(from + policy.close_after_ms)
    }
}

/// By how much typing may move a deadline.
fn grains(policy: &Policy) -> (u64, u64) {
    (policy.release_after_ms / 30 + 1, policy.close_after_ms / 30 + 1)
}

struct Watch {
    policy: Policy,
    models: BTreeMap<ConversationId, Model>,
    quiet: Vec<(u64, ConversationId, Who)>,
    published: usize,
    places: BTreeMap<ConversationId, (u32, Option<Time>)>,
}

impl Watch {
    fn new(policy: Policy) -> Self {
        Self { policy, models: BTreeMap::new(), quiet: Vec::new(), published: 0, places: BTreeMap::new() }
    }

    /// After one order, or one timer.
    fn step(&mut self, world: &World) {
        for (id, cell) in &world.conversations {
            let model = self.models.entry(*id).or_default();
            for event in &cell.journal[model.seen..] {
                if let crate::conversation::Event::Entry(entry) = event {
                    model.entry(entry, &self.policy);
                }
            }
            model.seen = cell.journal.len();
            let followers = world.followers.get(&Address::Conversation(*id));
            let connected = followers.is_some_and(|by| by.values().any(|audience| *audience == Audience::Customer));
            if model.connected && !connected {
                model.away_since = world.now;
            }
            model.connected = connected;
            let state = &cell.state;
            assert_eq!((state.life.holder(), state.life.claim, state.log.head), (model.holder, model.claim, model.head));
            assert_eq!(state.life.is_open(), model.open);
            assert_eq!(matches!(state.life.phase, Phase::Closed { .. }), model.closed);
        }
        let models = &mut self.models;
        self.quiet.retain(|(request, id, who)| match (world.answers.get(request), models.get_mut(id)) {
            (Some(Ok(_)), Some(model)) => {
                match who {
                    Who::Agent(_, agent) if model.holder == Some(*agent) => model.agent_active = world.now,
                    Who::Customer(..) => model.customer_active = world.now,
                    _ => {}
                }
                false
            }
            (answer, _) => answer.is_none(),
        });
        self.places(world);
    }

    /// L3: at most every two seconds, and never worse without a reason.
    fn places(&mut self, world: &World) {
        for (at, _, notice) in &world.published[self.published..] {
            match notice {
                Notice::Entry { conversation, entry, .. } => match &entry.body {
                    Body::Queued { position, .. } => {
                        self.places.insert(*conversation, (*position, None));
                    }
                    Body::Claimed { .. } | Body::Assigned { .. } | Body::Transferred { .. } | Body::Closed { .. } => {
                        self.places.remove(conversation);
                    }
                    _ => {}
                },
                Notice::Position { conversation, position, reason, .. } => {
                    assert!(self.policy.show_position);
                    if let Some((before, told_at)) = self.places.insert(*conversation, (*position, Some(*at))) {
                        assert_eq!(*position > before, reason.is_some(), "a reason exactly when it is worse");
                        assert!(told_at.is_none_or(|told_at| at.since_ms(told_at) >= 2 * SECOND_MS), "told too often");
                    }
                }
                _ => {}
            }
        }
        self.published = world.published.len();
    }

    /// After all orders: everybody's copies agree with the truth (G9).
    fn settled(&self, world: &World) {
        for (queue, cell) in &world.queues {
            let open = || world.conversations.iter().filter(|(_, cell)| cell.state.about.is_some_and(|it| it.queue == *queue));
            let rows: Vec<_> = open().map(|(id, cell)| cell.state.row(*id)).filter(|row| row.state != RowState::Closed).collect();
            let summary = cell.state.summary(*queue);
            let waiting = rows.iter().filter(|row| row.state == RowState::Waiting);
            assert_eq!(summary.waiting as usize, waiting.clone().count(), "who waits");
            assert_eq!(summary.active as usize, rows.len() - waiting.clone().count(), "who is served");
            assert_eq!(summary.unread, rows.iter().map(|row| row.unread).sum::<u32>(), "unread");
            assert_eq!(summary.longest_waiting_since, waiting.clone().map(|row| row.waiting_since).min());
            // Section 2: the list, in its order.
            let mut listed = rows.clone();
            listed.sort_by_key(|row| (row.state, row.last_message_at, row.conversation));
            let context = crate::machine::Context { now: world.now, who: Who::Engine, organisation: Some(&world.directory) };
            let list = queue::Command::List { after: None, limit: 100 };
            assert_eq!(cell.state.answer(*queue, &list, &[], &context), Some(Reply::Rows(listed)));
            // L2: a pick offers the first in order.
            let first = waiting.min_by_key(|row| (-i16::from(row.priority), row.waiting_since, row.conversation));
            let context = crate::machine::Context { who: agent(ODA), now: world.now + 6 * SECOND_MS, ..context };
            let offered = cell.state.decide(*queue, &queue::Command::Pick { missed: 0 }, &context).ok();
            let offered = offered.map(|events| match &events[0] {
                queue::Event::Offered(conversation, ..) => *conversation,
                other => panic!("{other:?}"),
            });
            assert_eq!(offered, first.map(|row| row.conversation), "the first in order");
        }
        for (id, cell) in &world.agents {
            let holds = world.conversations.iter().filter(|(_, cell)| cell.state.life.holder() == Some(*id));
            let holds: BTreeMap<_, _> = holds.map(|(id, cell)| (*id, cell.state.row(*id).queue)).collect();
            assert_eq!(cell.state.held, holds, "what {id} holds");
        }
        for (id, cell) in &world.customers {
            let own = world.conversations.iter().filter(|(_, cell)| cell.state.about.is_some_and(|about| about.customer == *id));
            let open: BTreeSet<_> = own.clone().filter(|(_, cell)| cell.state.life.is_open()).map(|(id, _)| *id).collect();
            assert_eq!(cell.state.open, open, "what {id} has open");
            for (_, conversation) in own.filter(|(_, cell)| cell.state.life.is_open()) {
                assert_eq!(conversation.state.blocked, cell.state.blocked);
            }
        }
        for model in self.models.values() {
            let due = |at: Option<Time>, grain: u64| at.is_some_and(|at| at + grain < world.now);
            assert!(!due(model.release_at(&self.policy), grains(&self.policy).0), "not released in time");
            assert!(!due(model.close_at(&self.policy), grains(&self.policy).1), "not closed in time");
        }
        durable(world);
    }

    fn pass(&mut self, world: &mut World, ms: u64) {
        let until = world.now + ms;
        self.drain(world);
        while world.fire_one(until) {
            self.step(world);
            self.drain(world);
        }
        world.now = until;
    }

    fn drain(&mut self, world: &mut World) {
        while world.run_one() {
            self.step(world);
        }
    }
}

/// G18: what is stored gives the state.
fn durable(world: &World) {
    /// Without what only passing events set.
    fn kept(state: &Conversation) -> Conversation {
        let mut state = state.clone();
        state.place = None;
        (state.life.warned_close, state.life.warned_release) = (None, None);
        state
    }
    fn replayed<M: Machine>(events: &[M::Event]) -> M {
        events.iter().fold(M::default(), |mut state, event| {
            state.evolve(event);
            state
        })
    }
    for cell in world.conversations.values() {
        assert_eq!(kept(&cell.state), kept(&replayed(&cell.journal)));
        assert_eq!(cell.state, roundtrip(&cell.state));
    }
    for cell in world.agents.values() {
        assert_eq!(cell.state, replayed(&cell.journal));
        assert_eq!(cell.state, roundtrip(&cell.state));
    }
    for cell in world.customers.values() {
        let replayed: crate::customer::Customer = replayed(&cell.journal);
        let stored = roundtrip(&cell.state);
        assert_eq!((&replayed.open, &replayed.ended, &replayed.blocked), (&stored.open, &stored.ended, &stored.blocked));
    }
}

fn live(policy: Policy, chaos: u64, acts: &[Act], restart: bool) -> World {
    let mut world = world(policy, chaos);
    let mut watch = Watch::new(policy);
    for one in acts {
        // Zero: while orders of the one before are still under way.
        if one.4 > 0 {
            watch.pass(&mut world, u64::from(one.4));
            watch.settled(&world);
        } else if world.run_one() {
            watch.step(&world);
        }
        watch.quiet.extend(act(&mut world, *one));
        watch.step(&world);
        if restart && one.1 == 255 {
            // Some of what was decided is told to nobody.
            for _ in 0..one.3 % 4 {
                world.run_one();
                watch.step(&world);
            }
            world.restart();
            watch.quiet.clear();
            watch.places.clear();
        }
    }
    watch.drain(&mut world);
    watch.settled(&world);
    // In the end, with everybody gone, every conversation ends.
    for number in 1..=CUSTOMERS {
        world.disconnect(customer(number));
    }
    watch.step(&world);
    watch.pass(&mut world, 2 * 3_600 * SECOND_MS);
    watch.settled(&world);
    assert!(world.conversations.values().all(|cell| !cell.state.life.is_open()), "every conversation ends");
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lives_in_order(policy in policies(), acts in acts(80)) {
        live(policy, 0, &acts, false);
    }

    #[test]
    fn lives_in_disorder(policy in policies(), chaos in 1..u64::MAX, acts in acts(80)) {
        live(policy, chaos, &acts, false);
    }

    #[test]
    fn lives_over_restarts(policy in policies(), chaos in 1..u64::MAX, mut acts in acts(80), at in any::<prop::sample::Index>()) {
        let at = at.index(acts.len());
        for one in acts.iter_mut().skip(at).step_by(9) {
            one.1 = 255;
        }
        live(policy, chaos, &acts, true);
    }

    #[test]
    fn g18_the_same_seed_gives_the_same_run(policy in policies(), chaos in 1..u64::MAX, acts in acts(40)) {
        prop_assert_eq!(live(policy, chaos, &acts, false).published, live(policy, chaos, &acts, false).published);
    }
}

/// Values that nobody sends who means well.
fn hostile_number(pick: u8) -> u64 {
    [0, 1, 2, u64::MAX, u64::MAX - 1, u64::MAX / 2, 1 << 32][usize::from(pick) % 7]
}

fn hostile_text(pick: u8) -> String {
    match pick % 7 {
        0 => String::new(),
        1 => " \n".to_owned(),
        2 => "x".repeat(100_000),
        3 => "\u{0}\u{7}\u{202e}".to_owned(),
        4 => "ä".repeat(8_192),
        5 => "x".repeat(64),
        _ => "🧵".repeat(100),
    }
}

fn hostile(world: &mut World, (kind, by, to, value, more): Act) {
    let who = match by % 20 {
        16 => Who::Root,
        17 => Who::Engine,
        _ => actor(by),
    };
    let (number, text) = (hostile_number(value), hostile_text(value));
    let conversation = ConversationId::from_bits(u128::from(to) % CONVERSATIONS);
    let queue = [SALES, TECH, QueueId::from_bits(0)][usize::from(to) % 3];
    let claim = (more % 2 == 0).then_some(number);
    let one_of = AgentId::from_bits(u128::from(value) % 6);
    let metadata = || {
        vec![
            (hostile_text(to), Some(MetadataValue::Text(text.clone()))),
            ("basket".to_owned(), Some(MetadataValue::Group(vec![(String::new(), String::new()); usize::from(to) * 100]))),
            ("gone".to_owned(), None),
        ]
    };
    let order = match kind {
        0 => Command::Send { claim, text },
        1 => Command::Type { typing: true, preview: Some(text) },
        2 => Command::Read { seq: number },
        3 => Command::Claim { picked: Some((queue, value)) },
        4 => Command::Touch { claim },
        5 => Command::Assign { claim, to: one_of, accepted: more % 3 == 0 },
        6 => Command::Transfer { claim, to: queue, note: Some(text), admitted: more % 3 == 0 },
        7 => Command::AddNote { text },
        8 => Command::AddTag { tag: text },
        9 => Command::Prioritise { priority: value as i8 },
        10 => Command::UpdateMetadata { changes: metadata() },
        11 => Command::Rate { rating: value, comment: Some(text) },
        12 => Command::BlockCustomer { duration_ms: Some(number) },
        13 => Command::Place { queue, position: number as u32, wait_ms: Some(number), reason: None },
        14 => Command::Followed { customers: number as usize },
        15 => Command::Announce {
            to: [Address::Queue(queue), Address::Agent(one_of), Address::Customer(CustomerId::from_bits(1))]
                [usize::from(value) % 3],
        },
        16 => Command::Refresh,
        17 => Command::Describe,
        18 => Command::Close { claim },
        19 => Command::Release { claim },
        20..=22 => {
            let start = Box::new(Start {
                organisation: FOREIGN,
                customer: CustomerId::from_bits(0),
                customer_name: (value % 2 == 0).then(|| text.clone()),
                metadata: if more % 2 == 0 {
                    Vec::new()
                } else {
                    metadata().into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
                },
                message: (value % 3 == 0).then_some(text),
                priority: value as i8,
            });
            let customer = CustomerId::from_bits(u128::from(by) % CUSTOMERS + 1);
            let command = customers::Command::Start { conversation, queue, start };
            world.send(Who::Customer(ORGANISATION, customer), Order::Customer(customer, Box::new(command)));
            return;
        }
        23 => {
            world.send(who, Order::Queue(queue, Box::new(queue::Command::Pick { missed: value })));
            return;
        }
        24 => {
            let after = Some((RowState::Closed, Time(number), conversation));
            world.send(who, Order::Queue(queue, Box::new(queue::Command::List { after, limit: number as usize })));
            return;
        }
        25 => {
            world.send(
                who,
                Order::Agent(one_of, Box::new(agents::Command::SetCanned { keyword: hostile_text(to), text: Some(text) })),
            );
            return;
        }
        26 => {
            world.send(who, Order::Agent(one_of, Box::new(agents::Command::AcceptHandover { conversation, claim })));
            return;
        }
        27 => {
            world.send(who, Order::Agent(one_of, Box::new(agents::Command::SetStatus { status: Status::Online })));
            return;
        }
        28 => {
            let settings = crate::organisation::OrganisationSettings { offline_after_ms: number };
            let change = crate::organisation::Change::SetSettings { settings };
            let command = crate::organisation::Command::Change(Box::new(change));
            world.send(who, Order::Organisation(ORGANISATION, Box::new(command)));
            return;
        }
        29 => {
            let mut config = world.directory.queues[&SALES].clone();
            config.settings.policy.release_after_ms = number;
            config.settings.policy.warn_before_ms = hostile_number(to);
            let change = crate::organisation::Change::PutQueue { queue, config: Some(config) };
            let command = crate::organisation::Command::Change(Box::new(change));
            world.send(who, Order::Organisation(ORGANISATION, Box::new(command)));
            return;
        }
        30 => {
            world.connect(who);
            return;
        }
        _ => Command::Claim { picked: None },
    };
    world.send(who, Order::Conversation(conversation, Box::new(order)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// G16, G17: a refusal, at worst.
    #[test]
    fn no_value_makes_it_panic(acts in acts(60), chaos in any::<u64>(), late in any::<bool>()) {
        let mut world = world(Policy::default(), chaos);
        if late {
            world.now = Time(u64::MAX - 500_000);
        }
        for one in acts {
            hostile(&mut world, one);
            world.drain();
            let until = world.now + u64::from(one.4);
            // A block of no time, or the end of time, is due at once; it must come to an end.
            for _ in 0..1_000 {
                if !world.fire_one(until) {
                    break;
                }
                world.drain();
            }
            prop_assert!(!world.fire_one(until), "timers come to an end");
            world.now = until;
            durable(&world);
        }
    }
}
