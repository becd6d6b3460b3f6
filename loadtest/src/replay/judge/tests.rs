//! A faultless conversation passes; each kind of fault, wherever a seed puts it, is found.

use super::*;
use crate::client::{Author, Observer};
use crate::dice::Dice;
use crate::replay::view::{Recorder, Side};

const CONVERSATION: &str = "conv_1";

/// What happened: kinds, authors, texts; notes and tags are hidden from the customer.
fn log() -> Vec<Event> {
    let acts = [
        ("started", "cus_1", json!({})),
        ("queued", "cus_1", json!({"queue": "q_1"})),
        ("message", "cus_1", json!({"text": "my sound is gone"})),
        ("claimed", "agt_1", json!({"claim": 1})),
        ("message", "agt_1", json!({"text": "which card?"})),
        ("note", "agt_1", json!({"text": "impatient"})),
        ("message", "cus_1", json!({"text": "the blue one"})),
        ("assigned", "agt_1", json!({"to": {"id": "agt_2"}, "claim": 2})),
        ("tagged", "agt_2", json!({"tag": "sound"})),
        ("message", "agt_2", json!({"text": "reboot"})),
        ("message", "cus_1", json!({"text": "ok"})),
        ("message", "cus_1", json!({"text": "ok"})),
        ("closed", "agt_2", json!({"cause": "agent"})),
        ("rated", "cus_1", json!({"rating": 5})),
    ];
    let kind = |by: &str| if by.starts_with("cus") { AuthorKind::Customer } else { AuthorKind::Agent };
    let event = |(seq, (act, by, body)): (u64, (&str, &str, Value))| Event {
        conversation: CONVERSATION.to_owned(),
        seq,
        prev: seq - 1,
        at: 1_000 + seq,
        by: Author { kind: kind(by), id: by.to_owned() },
        kind: act.to_owned(),
        body,
    };
    (1..).zip(acts).map(event).collect()
}

fn for_customer(log: &[Event]) -> Vec<Event> {
    let mut prev = 0;
    let visible = log.iter().filter(|event| !is_hidden(event)).cloned();
    visible
        .map(|mut event| {
            event.prev = std::mem::replace(&mut prev, event.seq);
            event
        })
        .collect()
}

fn deeds(log: &[Event]) -> Vec<Deed> {
    let kind = |event: &Event| ORDERED.into_iter().find(|kind| *kind == event.kind);
    let deed = |event: &Event| {
        let text = event.text().map(str::to_owned);
        Some(Deed { kind: kind(event)?, by: event.by.id.clone(), text, seq: Some(event.seq) })
    };
    log.iter().filter_map(deed).collect()
}

struct Case {
    done: Vec<Deed>,
    takes: Vec<String>,
    history_customer: Vec<Event>,
    history_agent: Vec<Event>,
    customer: Vec<Item>,
    agent: Vec<Item>,
}

fn case() -> Case {
    let log = log();
    let shown = |events: &[Event]| {
        let joined = [Item::Joined { from_seq: 0, since: None }];
        joined.into_iter().chain(events.iter().cloned().map(Item::Shown)).collect()
    };
    Case {
        done: deeds(&log),
        takes: vec!["agt_1".to_owned()],
        customer: shown(&for_customer(&log)),
        agent: shown(&log),
        history_customer: for_customer(&log),
        history_agent: log,
    }
}

fn checks(case: Case) -> Vec<&'static str> {
    let view = |items| View::of(items);
    let witnesses = [
        Witness { name: "customer".into(), for_customer: true, view: view(case.customer) },
        Witness { name: "agent".into(), for_customer: false, view: view(case.agent) },
    ];
    let evidence = Evidence {
        script: "s",
        conversation: CONVERSATION,
        done: &case.done,
        takes: &case.takes,
        history_customer: &case.history_customer,
        history_agent: &case.history_agent,
        witnesses: &witnesses,
    };
    judge(&evidence).iter().map(|difference| difference.check).collect()
}

/// Does something to a record at 200 seeded places; each time the checks named must be among those that speak.
fn seeded(fault: impl Fn(&mut Vec<Item>, usize), any_of: &[&str]) {
    for seed in 0..200 {
        let mut dice = Dice::new(seed, 0);
        let mut case = case();
        let items = if dice.percent(50) { &mut case.customer } else { &mut case.agent };
        let place = 1 + dice.below(items.len() as u64 - 1) as usize;
        fault(items, place);
        let found = checks(case);
        assert!(found.iter().any(|check| any_of.contains(check)), "seed {seed}, place {place}: {found:?}");
    }
}

fn event_at(items: &mut [Item], place: usize) -> &mut Event {
    match &mut items[place] {
        Item::Shown(event) => event,
        other => panic!("not an event: {other:?}"),
    }
}

#[test]
fn a_faultless_conversation_passes() {
    assert_eq!(checks(case()), Vec::<&str>::new());
}

#[test]
fn a_lost_event_is_found() {
    seeded(|items, place| drop(items.remove(place)), &["hole", "missing"]);
}

#[test]
fn an_event_shown_twice_is_found() {
    seeded(|items, place| items.insert(place, items[place].clone()), &["twice"]);
}

#[test]
fn events_out_of_order_are_found() {
    seeded(
        |items, place| {
            let other = if place + 1 < items.len() { place + 1 } else { place - 1 };
            items.swap(place, other.max(1));
        },
        &["hole", "order", "twice", "followed"],
    );
}

#[test]
fn changed_contents_are_found() {
    seeded(|items, place| event_at(items, place).body = json!({"text": "ok "}), &["content"]);
    seeded(|items, place| event_at(items, place).by.id = "agt_9".to_owned(), &["content"]);
    seeded(|items, place| event_at(items, place).at += 1, &["content"]);
    seeded(|items, place| event_at(items, place).kind = "noted".to_owned(), &["content"]);
}

#[test]
fn a_note_shown_to_the_customer_is_found() {
    let mut case = case();
    let note = case.history_agent[5].clone();
    case.customer.insert(6, Item::Shown(note));
    assert!(checks(case).contains(&"visibility"));
}

#[test]
fn metadata_shown_to_the_customer_is_found() {
    let mut case = case();
    event_at(&mut case.customer, 1).body = json!({"metadata": {}});
    assert!(checks(case).contains(&"visibility"));
}

#[test]
fn what_the_history_lost_is_found() {
    let log = log();
    for place in 0..log.len() {
        let mut lost = case();
        lost.history_agent.remove(place);
        assert!(!checks(lost).is_empty(), "agent's, {place}");
    }
    for place in 0..for_customer(&log).len() {
        let mut lost = case();
        lost.history_customer.remove(place);
        assert!(checks(lost).contains(&"history"), "customer's, {place}");
    }
}

#[test]
fn a_message_that_was_stored_twice_is_found_although_all_views_agree() {
    let mut twice = log();
    let again = twice[4].clone();
    twice.insert(5, again);
    for (event, seq) in twice.iter_mut().zip(1..) {
        (event.seq, event.prev) = (seq, seq - 1);
    }
    let mut doubled = case();
    let shown =
        |events: Vec<Event>| [Item::Joined { from_seq: 0, since: None }].into_iter().chain(events.into_iter().map(Item::Shown));
    doubled.customer = shown(for_customer(&twice)).collect();
    doubled.agent = shown(twice.clone()).collect();
    doubled.history_customer = for_customer(&twice);
    doubled.history_agent = twice;
    assert_eq!(checks(doubled), ["done"]);
}

#[test]
fn an_acknowledged_message_that_vanished_is_found_although_all_views_agree() {
    let mut case = case();
    let lost = Deed { kind: "message", by: "cus_1".into(), text: Some("still here?".into()), seq: Some(15) };
    case.done.push(lost);
    assert_eq!(checks(case), ["done"]);
}

#[test]
fn another_text_author_or_number_than_acknowledged_is_found() {
    for change in [
        (|deed: &mut Deed| deed.text = Some("my sound is gone.".into())) as fn(&mut Deed),
        |deed| deed.by = "agt_2".into(),
        |deed| deed.seq = Some(4),
        |deed| deed.kind = "note",
    ] {
        let mut case = case();
        change(&mut case.done[0]);
        assert_eq!(checks(case), ["done"]);
    }
}

#[test]
fn a_claim_that_nobody_was_told_of_is_found() {
    let mut case = case();
    case.takes.clear();
    assert_eq!(checks(case), ["claims"]);
}

#[test]
fn resuming_where_it_stood_is_right_and_anywhere_else_is_not() {
    let resumed = |from_seq, since| {
        let mut case = case();
        case.agent.insert(5, Item::Joined { from_seq, since });
        checks(case)
    };
    assert_eq!(resumed(4, Some(4)), Vec::<&str>::new());
    assert!(resumed(2, Some(4)).contains(&"resumed"));
    assert!(resumed(0, None).contains(&"followed"));
}

#[test]
fn an_announced_gap_is_fine_if_the_history_fills_it() {
    let gap = |filled: std::ops::Range<usize>| {
        let mut case = case();
        let log = log();
        // Events 5 to 7 were not sent.
        case.agent.splice(5..8, [Item::Joined { from_seq: 7, since: Some(4) }, Item::Filled(log[filled].to_vec())]);
        checks(case)
    };
    assert_eq!(gap(4..7), Vec::<&str>::new());
    assert!(gap(4..6).contains(&"hole"));
    assert!(gap(4..4).contains(&"hole"));
}

#[test]
fn following_again_after_leaving_begins_anew() {
    let mut case = case();
    let whole = case.agent.clone();
    case.agent.truncate(5);
    case.agent.push(Item::Left);
    case.agent.extend(whole);
    assert_eq!(checks(case), Vec::<&str>::new());
}

fn hear(recorder: &mut Recorder, method: &str, params: &Value) {
    let params = serde_json::value::to_raw_value(params).unwrap();
    recorder.notified(crate::client::Notification { method, params: &params });
}

#[test]
fn a_customer_who_hears_of_another_conversation_is_noticed() {
    let foreign = json!({"conversation": "conv_2", "seq": 1, "prev": 0, "at": 1, "by": {"kind": "system"}, "type": "started"});
    for (method, params) in [
        ("conversation.event", foreign),
        ("conversation.followed", json!({"id": "conv_2", "from_seq": 0})),
        ("typing.changed", json!({"conversation": "conv_2", "typing": true})),
    ] {
        let mut recorder = Recorder::new(Side::Customer);
        recorder.set_own(CONVERSATION);
        hear(&mut recorder, method, &params);
        assert_eq!(recorder.remarks.first().map(|remark| remark.check), Some("foreign"), "{method}");
    }
}

#[test]
fn a_customer_who_is_shown_what_agents_see_is_noticed() {
    let mut recorder = Recorder::new(Side::Customer);
    recorder.set_own(CONVERSATION);
    hear(&mut recorder, "conversation.followed", &json!({"id": CONVERSATION, "from_seq": 0, "tags": []}));
    assert_eq!(recorder.remarks.first().map(|remark| remark.check), Some("visibility"));
    let mut recorder = Recorder::new(Side::Customer);
    hear(&mut recorder, "queue.updated", &json!({"id": "q_1"}));
    assert_eq!(recorder.remarks.first().map(|remark| remark.check), Some("visibility"));
}

#[test]
fn what_comes_after_the_judgement_is_noticed() {
    let mut recorder = Recorder::new(Side::Agent);
    hear(&mut recorder, "conversation.followed", &json!({"id": CONVERSATION, "from_seq": 0}));
    assert!(recorder.take(CONVERSATION).is_some());
    let event = json!({"conversation": CONVERSATION, "seq": 1, "prev": 0, "at": 1, "by": {"kind": "system"}, "type": "started"});
    hear(&mut recorder, "conversation.event", &event);
    assert_eq!(recorder.remarks.first().map(|remark| remark.check), Some("late"));
}

fn opened(recorder: &mut Recorder, resumed: bool, conversations: &Value) {
    let opened = json!({"resumed": resumed, "log": "l", "me": {"id": "agt_1"}, "conversations": conversations});
    let since = recorder.since();
    recorder.opened(&serde_json::from_value(opened).unwrap(), &since);
}

/// A session that has seen the first event, comes back, and is told this.
fn resumed(resumed: bool, conversations: &Value) -> (Vec<&'static str>, Recorder) {
    let mut recorder = Recorder::new(Side::Agent);
    opened(&mut recorder, false, &json!([{"id": CONVERSATION, "from_seq": 0}]));
    let event = json!({"conversation": CONVERSATION, "seq": 1, "prev": 0, "at": 1, "by": {"kind": "system"}, "type": "started"});
    hear(&mut recorder, "conversation.event", &event);
    opened(&mut recorder, resumed, conversations);
    (recorder.remarks.iter().map(|remark| remark.check).collect(), recorder)
}

#[test]
fn a_promise_to_have_resumed_that_is_not_kept_is_noticed() {
    assert_eq!(resumed(true, &json!([{"id": CONVERSATION, "from_seq": 1}])).0, Vec::<&str>::new());
    assert_eq!(resumed(true, &json!([])).0, ["resumed"]);
    assert_eq!(resumed(true, &json!([{"id": CONVERSATION, "from_seq": 2}])).0, ["resumed"]);
    assert_eq!(resumed(false, &json!([{"id": CONVERSATION, "from_seq": 2}])).0, Vec::<&str>::new());
}

#[test]
fn without_that_promise_a_conversation_may_come_later_and_from_its_beginning_but_must_come() {
    let (remarks, mut recorder) = resumed(false, &json!([]));
    assert_eq!(remarks, Vec::<&str>::new());
    assert_eq!(recorder.since(), [(CONVERSATION.to_owned(), 1)]);
    let mut case = case();
    let whole = case.agent.clone();
    case.agent = recorder.take(CONVERSATION).unwrap().items;
    assert_eq!(case.agent.last(), Some(&Item::Left));
    case.agent.truncate(1);
    case.agent.extend([whole[1].clone(), Item::Left]);
    let unfinished = Case { agent: case.agent.clone(), ..self::case() };
    assert_eq!(checks(unfinished), ["missing"]);
    case.agent.extend(whole);
    assert_eq!(checks(case), Vec::<&str>::new());
}

#[test]
fn another_log_is_noticed() {
    let mut recorder = Recorder::new(Side::Agent);
    for log in ["one", "other"] {
        let opened = json!({"log": log, "me": {"id": "agt_1"}});
        recorder.opened(&serde_json::from_value(opened).unwrap(), &[]);
    }
    assert_eq!(recorder.remarks.first().map(|remark| remark.check), Some("log"));
}
