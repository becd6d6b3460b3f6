//! What is shown to whom, and how metadata is read.

use std::sync::Arc;

use jono_domain::account::{Audience, Author};
use jono_domain::agent::{CannedScope, PresenceCause, Status};
use jono_domain::conversation::{Body, CloseCause, Entry, MetadataValue, ReleaseCause, Row, RowState};
use jono_domain::id::{AgentId, ConversationId, CustomerId, OrganisationId, QueueId};
use jono_domain::notice::{Deadlines, Notice, Warning, WorseReason};
use jono_domain::organisation::{Policy, Presence};
use jono_domain::reply::{CannedMessage, QueueSummary};
use jono_domain::time::Time;
use jono_engine::delivery::Shared;
use jono_engine::directory::Directory;
use serde_json::{Value, json};

use super::metadata::Metadata;
use super::notifications::{NOTIFICATIONS, encoded};

const CONVERSATION: ConversationId = ConversationId::from_bits(1);
const AGENT: AgentId = AgentId::from_bits(2);
const QUEUE: QueueId = QueueId::from_bits(3);

fn said(notice: Notice, audience: Audience) -> Option<Value> {
    let text = encoded(&Shared::new(notice), audience, &Directory::default());
    (!text.is_empty()).then(|| serde_json::from_str(text.as_str()).unwrap())
}

fn entry(body: Body, prev_for_customers: u64) -> Notice {
    let entry = Entry { seq: 5, prev_for_customers, at: Time(7), by: Author::System, body };
    let deadlines = Deadlines { release_at: None, close_at: Some(Time(9)) };
    Notice::Entry { conversation: CONVERSATION, entry: Arc::new(entry), deadlines }
}

#[test]
fn every_event_is_shown_to_those_it_is_for() {
    let text = |text: &str| text.to_owned();
    let group = MetadataValue::Group(vec![(text("sum"), text("3"))]);
    let (agent, queue) = (json!({ "id": AGENT.to_string(), "name": "" }), QUEUE.to_string());
    let started = Body::Started {
        organisation: OrganisationId::from_bits(1),
        customer: CustomerId::from_bits(4),
        customer_name: Some(text("Eve")),
        metadata: vec![(text("plan"), MetadataValue::Text(text("gold"))), (text("basket"), group.clone())],
        priority: 0,
        policy: Policy::default(),
    };
    let customer = CustomerId::from_bits(4).to_string();
    let metadata = json!({ "plan": "gold", "basket": { "sum": "3" } });
    let for_agents = json!({ "customer": customer, "name": "Eve", "priority": 0, "metadata": metadata });
    let for_customers = json!({ "customer": customer, "name": "Eve", "priority": 0 });
    let changes = vec![(text("plan"), None), (text("basket"), Some(group))];
    let cases = [
        (started, "started", for_agents, Some(for_customers)),
        same(Body::Queued { queue: QUEUE, position: 2, wait_ms: None }, "queued", json!({ "queue": queue, "position": 2 })),
        same(Body::Claimed { agent: AGENT, claim: 1 }, "claimed", json!({ "agent": agent, "claim": 1 })),
        same(
            Body::Released { agent: AGENT, cause: ReleaseCause::Inactive },
            "released",
            json!({ "agent": agent, "cause": "inactive" }),
        ),
        same(Body::Assigned { from: None, to: AGENT, claim: 2 }, "assigned", json!({ "to": agent, "claim": 2 })),
        same(
            Body::Transferred { from: QUEUE, to: QUEUE, holder: Some(AGENT), policy: Policy::default() },
            "transferred",
            json!({ "from": queue, "to": queue }),
        ),
        same(Body::Message { text: text("hi\n") }, "message", json!({ "text": "hi\n" })),
        (Body::NoteAdded { text: text("n") }, "note", json!({ "text": "n" }), None),
        (Body::Tagged { tag: text("vip") }, "tagged", json!({ "tag": "vip" }), None),
        (Body::Untagged { tag: text("vip") }, "untagged", json!({ "tag": "vip" }), None),
        (Body::Prioritised { priority: -3 }, "prioritised", json!({ "priority": -3 }), None),
        (Body::MetadataChanged { changes }, "metadata", json!({ "changes": { "plan": null, "basket": { "sum": "3" } } }), None),
        same(Body::Blocked { until: None }, "blocked", json!({})),
        same(Body::Unblocked, "unblocked", json!({})),
        same(Body::Closed { cause: CloseCause::Customer, holder: None }, "closed", json!({ "cause": "customer" })),
        same(Body::Rated { rating: 5, comment: None }, "rated", json!({ "rating": 5 })),
    ];
    // After an event that only agents see, and after one that all see.
    let after = |before: u64| cases.clone().map(|case| (before, case));
    for (before, (body, kind, for_agents, for_customers)) in after(3).into_iter().chain(after(4)) {
        for (audience, prev, expected) in [(Audience::Agent, 4, Some(for_agents)), (Audience::Customer, before, for_customers)] {
            let expected = expected.map(|body| {
                let params = json!({
                    "conversation": CONVERSATION.to_string(), "seq": 5, "prev": prev, "at": 7, "by": { "kind": "system" },
                    "type": kind, "body": body, "close_at": 9,
                });
                json!({ "jsonrpc": "2.0", "method": "conversation.event", "params": params })
            });
            assert_eq!(said(entry(body.clone(), before), audience), expected, "{kind} {audience:?} {before}");
        }
    }
}

/// What clients have been sent from the first on: the order of the members too.
#[test]
fn a_message_is_said_in_these_bytes_and_encoded_once_for_all() {
    let notice = Shared::new(entry(Body::Message { text: "hi \"there\"\n".into() }, 4));
    let [for_agents, for_customers] =
        [Audience::Agent, Audience::Customer].map(|audience| encoded(&notice, audience, &Directory::default()));
    let expected = format!(
        r#"{{"jsonrpc":"2.0","method":"conversation.event","params":{{"conversation":"{CONVERSATION}","seq":5,"prev":4,"at":7,"by":{{"kind":"system"}},"type":"message","body":{{"text":"hi \"there\"\n"}},"close_at":9}}}}"#
    );
    assert_eq!(for_agents.as_str(), expected);
    assert_eq!(for_customers.as_str().as_ptr(), for_agents.as_str().as_ptr(), "the bytes are shared");
}

type Case = (Body, &'static str, Value, Option<Value>);

fn same(body: Body, kind: &'static str, shown: Value) -> Case {
    (body, kind, shown.clone(), Some(shown))
}

#[test]
fn every_notice_is_said_under_a_known_name_to_those_it_is_for() {
    let row = Row {
        conversation: CONVERSATION,
        queue: QUEUE,
        customer: CustomerId::from_bits(4),
        customer_name: None,
        state: RowState::Active,
        preview: "p".into(),
        last_message_at: Time(1),
        unread: 0,
        started_at: Time(1),
        waiting_since: Time(1),
        priority: 0,
        holder: Some(AGENT),
        claim: 1,
        deadlines: Deadlines::default(),
        tags: vec![],
        connected: false,
        head: 3,
    };
    let summary =
        QueueSummary { queue: QUEUE, open: true, waiting: 1, active: 0, unread: 0, longest_waiting_since: Some(Time(1)) };
    let presence = Presence { status: Status::Away, connected: true, since: Time(1), cause: PresenceCause::TimedOut };
    let canned = |text: String| vec![CannedMessage { keyword: "k".into(), text, scope: CannedScope::Personal }];
    let typing = |preview: Option<&str>| Notice::Typing {
        conversation: CONVERSATION,
        by: Author::Customer(CustomerId::from_bits(4)),
        typing: true,
        preview: preview.map(str::to_owned),
    };
    let deadlines = Deadlines { release_at: Some(Time(4)), close_at: None };
    let position =
        Notice::Position { conversation: CONVERSATION, position: 2, wait_ms: Some(9), reason: Some(WorseReason::Returned) };
    let raised = Notice::Raised { queue: QUEUE, conversation: CONVERSATION, preview: "p".into() };
    let cases = [
        (entry(Body::Unblocked, 3), "conversation.event", true, true),
        (position, "conversation.position", true, true),
        (
            Notice::Deadline { conversation: CONVERSATION, deadlines, warning: Some(Warning::Release) },
            "conversation.deadline",
            true,
            true,
        ),
        (typing(Some("secret")), "typing.changed", true, true),
        (Notice::Receipt { conversation: CONVERSATION, by: Author::Agent(AGENT), seq: 3 }, "receipt.changed", true, true),
        (Notice::Rows(vec![Arc::new(row)]), "conversation.updated", true, false),
        (Notice::Queue(summary), "queue.updated", true, false),
        (raised, "notification.raised", true, false),
        (Notice::Presence { agent: AGENT, presence }, "agent.presence", true, false),
        (Notice::Blocked(Some(Some(Time(3)))), "customer.blocked", false, true),
        (Notice::Blocked(None), "customer.blocked", false, true),
        (Notice::Canned(canned("t".into())), "canned.changed", true, false),
        (Notice::Canned(canned("t".repeat(70_000))), "canned.changed", true, false),
        (Notice::OrganisationChanged, "organisation.changed", true, false),
    ];
    for (notice, name, to_agents, to_customers) in cases {
        assert!(NOTIFICATIONS.iter().any(|known| known.name == name), "{name}");
        for (audience, is_told) in [(Audience::Agent, to_agents), (Audience::Customer, to_customers)] {
            let said = said(notice.clone(), audience);
            assert_eq!(said.is_some(), is_told, "{name} {audience:?}");
            if let Some(said) = said {
                assert_eq!(said["method"], name);
                assert!(said["params"].is_object());
                assert!(audience == Audience::Agent || !said.to_string().contains("secret"), "{name}");
                assert!(said.to_string().len() < 4_096, "{name}");
            }
        }
    }
}

#[test]
fn metadata_is_scalars_and_groups_of_scalars() {
    let read = |text: &str| serde_json::from_str::<Metadata>(text).map(|metadata| metadata.0);
    let text = |text: &str| Some(MetadataValue::Text(text.into()));
    let group = |entries: &[(&str, &str)]| {
        let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Some(MetadataValue::Group(entries.collect()))
    };
    let read_all = read(r#"{"a":"x","b":-1,"c":1.5,"d":true,"e":null,"f":{"g":"h","i":2,"j":false},"k":18446744073709551615}"#);
    let expected = [
        ("a", text("x")),
        ("b", text("-1")),
        ("c", text("1.5")),
        ("d", text("true")),
        ("e", None),
        ("f", group(&[("g", "h"), ("i", "2"), ("j", "false")])),
        ("k", text("18446744073709551615")),
    ];
    assert_eq!(read_all.unwrap(), expected.map(|(key, value)| (key.to_owned(), value)));
    for bad in ["[]", "1", r#"{"a":[]}"#, r#"{"a":{"b":{}}}"#, r#"{"a":{"b":null}}"#, r#"{"a":1,"a":2}"#, r#"{"":1}"#] {
        assert!(read(bad).is_err(), "{bad}");
    }
    let many =
        |count| serde_json::to_string(&(0..count).map(|it| (it.to_string(), 1)).collect::<std::collections::BTreeMap<_, _>>());
    assert!(read(&many(64).unwrap()).is_ok());
    assert!(read(&many(65).unwrap()).is_err());
}

#[test]
fn the_documents_of_the_protocol_are_as_generated_now() {
    crate::config::check_document("docs/protocol.md", &super::protocol_markdown());
    let openrpc = serde_json::to_string_pretty(&super::openrpc()).unwrap();
    crate::config::check_document("docs/openrpc.json", &format!("{openrpc}\n"));
}
