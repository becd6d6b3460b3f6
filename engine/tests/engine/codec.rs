//! The stored form of everything, byte by byte.
//!
//! When `the_stored_form_has_not_changed` fails, records of older Jonos can no longer be read. Do not replace the bytes: add
//! fields and variants at the end where the form allows it, or raise [`VERSION`] and read the old form beside the new one.

use std::collections::BTreeMap;

use jono_domain::account::Author;
use jono_domain::conversation::{
    self, Body, CloseCause, Command, Conversation, Entry, Event, MetadataValue, ReleaseCause, Row, RowState,
};
use jono_domain::id::{ConversationId, TokenId};
use jono_domain::log;
use jono_domain::machine::Machine;
use jono_domain::message::Order;
use jono_domain::notice::Deadlines;
use jono_domain::organisation::{self, Change, Organisation, Policy, Token};
use jono_domain::reply::Reply;
use jono_domain::time::Time;
use jono_domain::{agent, customer, queue};
use jono_engine::codec::{DecodeError, VERSION, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::kit::*;

fn entry(seq: u64, by: Author, body: Body) -> Event {
    let entry: Entry = log::Entry { seq, prev_for_customers: seq - 1, at: Time(1_700_000_000_000 + seq), by, body };
    Event::Entry(Box::new(entry))
}

fn a_life() -> Vec<Event> {
    let ann = Author::Customer(ANN);
    let bob = Author::Agent(BOB);
    let metadata = vec![("plan".into(), MetadataValue::Text("pro".into()))];
    let bodies = [
        (
            ann,
            Body::Started {
                organisation: ORGANISATION,
                customer: ANN,
                customer_name: Some("Ann".into()),
                metadata,
                priority: -1,
                policy: Policy::default(),
            },
        ),
        (ann, Body::Queued { queue: SALES, position: 3, wait_ms: Some(60_000) }),
        (ann, Body::Message { text: "grüezi".into() }),
        (bob, Body::Claimed { agent: BOB, claim: 1 }),
        (bob, Body::Released { agent: BOB, cause: ReleaseCause::Manual }),
        (bob, Body::Assigned { from: None, to: EVE, claim: 2 }),
        (bob, Body::NoteAdded { text: "note".into() }),
        (bob, Body::Tagged { tag: "vip".into() }),
        (bob, Body::Untagged { tag: "vip".into() }),
        (bob, Body::Prioritised { priority: 9 }),
        (bob, Body::MetadataChanged { changes: vec![("plan".into(), None)] }),
        (bob, Body::Blocked { until: None }),
        (bob, Body::Unblocked),
        (bob, Body::Transferred { from: SALES, to: TECH, holder: Some(EVE), policy: Policy::default() }),
        (Author::System, Body::Closed { cause: CloseCause::Inactive, holder: None }),
        (ann, Body::Rated { rating: 5, comment: None }),
    ];
    (1..).zip(bodies).map(|(seq, (by, body))| entry(seq, by, body)).collect()
}

fn a_conversation() -> Conversation {
    let mut state = Conversation::default();
    a_life().iter().for_each(|event| state.evolve(event));
    state
}

fn an_organisation() -> Organisation {
    let mut state = Organisation::default();
    let changes = [
        Change::Create { organisation: ORGANISATION, name: "Acme".into() },
        Change::PutQueue {
            queue: SALES,
            config: Some(organisation::QueueConfig { name: "Sales".into(), settings: Default::default() }),
        },
        Change::PutAgent {
            agent: BOB,
            account: Some(Box::new(organisation::Account {
                name: "Bob".into(),
                kind: jono_domain::account::AccountKind::Bot,
                role: jono_domain::account::Role::Operator,
                queues: [SALES].into(),
                login: Some("bob".into()),
                password_hash: None,
                tokens: BTreeMap::new(),
                disabled: false,
            })),
        },
        Change::PutToken {
            agent: BOB,
            token_id: TokenId::from_bits(7),
            token: Some(Token { hash: [7; 32], label: "desk".into(), created_at: Time(1) }),
        },
        Change::PutTag { tag: "vip".into(), definition: Some(Default::default()) },
        Change::PutCanned { keyword: "hi".into(), text: Some("Hello".into()) },
    ];
    for change in changes {
        state.evolve(&organisation::Event::Changed(Box::new(change)));
    }
    state
}

fn an_agent() -> agent::Agent {
    let mut state = agent::Agent::default();
    for event in [
        agent::Event::SettingsAdopted(ORGANISATION, 900_000),
        agent::Event::StatusChanged(agent::Status::Away, agent::PresenceCause::Chosen, Time(5)),
        agent::Event::Disconnected(None),
        agent::Event::Held(TALK, Some(SALES)),
        agent::Event::CannedSet("hi".into(), Some("Hello".into())),
    ] {
        state.evolve(&event);
    }
    state
}

fn a_customer() -> customer::Customer {
    let mut state = customer::Customer::default();
    for event in [
        customer::Event::Known(ORGANISATION),
        customer::Event::Announced(TALK, true),
        customer::Event::Announced(ConversationId::from_bits(42), false),
        customer::Event::Blocked(Some(Time(9)), Author::Agent(BOB)),
    ] {
        state.evolve(&event);
    }
    state
}

fn a_queue() -> queue::Queue {
    let mut state = queue::Queue::default();
    state.evolve(&queue::Event::OpenSet { open: false, by: Author::Agent(BOB) });
    state
}

fn a_row() -> Row {
    Row {
        conversation: TALK,
        queue: SALES,
        customer: ANN,
        customer_name: None,
        state: RowState::Closed,
        preview: "grüezi".into(),
        last_message_at: Time(1),
        unread: 2,
        started_at: Time(3),
        waiting_since: Time(4),
        priority: 5,
        holder: Some(BOB),
        claim: 6,
        deadlines: Deadlines { release_at: Some(Time(7)), close_at: None },
        tags: vec!["vip".into()],
        connected: true,
        head: 8,
    }
}

/// Orders are stored as what became of a request that was sent on.
fn orders() -> Vec<Order> {
    vec![
        start(ANN, TALK, SALES, "hello"),
        to(TALK, Command::Claim { picked: Some((SALES, 1)) }),
        to(TALK, Command::Transfer { claim: Some(2), to: TECH, note: Some("note".into()), admitted: true }),
        to_agent(BOB, agent::Command::AcceptHandover { conversation: TALK, claim: None }),
        to_queue(
            SALES,
            queue::Command::Admit {
                conversation: TALK,
                reason: Box::new(queue::Admission::Transfer { claim: None, note: None }),
            },
        ),
        Order::Customer(ANN, Box::new(customer::Command::Block { duration_ms: Some(1), by: BOB })),
        change(ORGANISATION, Change::Rename { name: "Acme & Sons".into() }),
    ]
}

/// Replies are stored as answers to requests that carried a key.
fn replies() -> Vec<Reply> {
    vec![
        Reply::Done,
        Reply::Stored { seq: 300, at: Time(1) },
        Reply::Started { conversation: TALK, position: Some(2), wait_ms: None },
        Reply::Claimed { conversation: TALK, claim: 3, release_at: Some(Time(4)) },
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Name and stored form of everything that is stored.
fn forms() -> String {
    let mut forms = Vec::new();
    let mut add = |name: String, bytes: Vec<u8>| forms.push(format!("{name} {}\n", hex(&bytes)));
    for event in a_life() {
        let Event::Entry(entry) = &event else { continue };
        let name = format!("{:?}", entry.body);
        let name = name.split([' ', '{']).next().unwrap_or_default();
        add(format!("event.{name}"), encode(&event));
    }
    for order in orders() {
        let name = format!("{order:?}");
        let name: Vec<&str> = name.split(['(', ',', ' ']).filter(|word| !word.is_empty()).collect();
        add(format!("order.{}.{}", name[0], name[2]), encode(&order));
    }
    for reply in replies() {
        let name = format!("{reply:?}");
        add(format!("reply.{}", name.split(' ').next().unwrap_or_default()), encode(&reply));
    }
    add("state.organisation".into(), encode(&an_organisation()));
    add("state.queue".into(), encode(&a_queue()));
    add("state.agent".into(), encode(&an_agent()));
    add("state.customer".into(), encode(&a_customer()));
    add("state.conversation".into(), encode(&a_conversation()));
    add("row".into(), encode(&a_row()));
    forms.concat()
}

#[test]
fn the_stored_form_has_not_changed() {
    let golden = include_str!("golden.txt");
    let now = forms();
    for (now, golden) in now.lines().zip(golden.lines()) {
        assert_eq!(now, golden, "\nthe stored form has changed: see the head of this file");
    }
    assert_eq!(now.lines().count(), golden.lines().count(), "\nthe whole is now:\n{now}");
}

#[test]
fn everything_reads_back() {
    fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T) {
        assert_eq!(decode::<T>(&encode(&value)), Ok(value));
    }
    a_life().into_iter().for_each(check);
    orders().into_iter().for_each(check);
    replies().into_iter().for_each(check);
    check(an_organisation());
    check(an_agent());
    check(a_customer());
    check(a_conversation());
    check(a_row());
    assert_eq!(decode::<queue::Queue>(&encode(&a_queue())).map(|queue| queue.open_by_hand), Ok(Some(false)));
}

#[test]
fn another_version_is_named_and_nothing_is_guessed() {
    let mut bytes = encode(&a_row());
    assert_eq!(bytes[0], VERSION);
    bytes[0] = VERSION + 1;
    assert_eq!(decode::<Row>(&bytes), Err(DecodeError::UnknownVersion(VERSION + 1)));
    assert_eq!(decode::<Row>(&[]), Err(DecodeError::Malformed));
    let mut longer = encode(&a_row());
    longer.push(0);
    assert_eq!(decode::<Row>(&longer), Err(DecodeError::Malformed));
}

#[test]
fn damaged_bytes_are_refused_or_read_but_never_panic() {
    fn damage<T: Serialize + DeserializeOwned>(value: &T) {
        let bytes = encode(value);
        for length in 0..bytes.len() {
            assert!(decode::<T>(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
        }
        for bit in 8..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let _ = decode::<T>(&damaged);
        }
        // Lengths that promise more than there is.
        for at in 1..bytes.len() {
            let mut damaged = bytes.clone();
            damaged.splice(at..=at, [0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
            let _ = decode::<T>(&damaged);
        }
    }
    a_life().iter().for_each(damage);
    orders().iter().for_each(damage);
    damage(&an_organisation());
    damage(&an_agent());
    damage(&a_customer());
    damage(&a_conversation());
    damage(&a_row());
    damage(&conversation::Life::default());
}
