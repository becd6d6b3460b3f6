//! Dispatch, limits and batches.

use super::*;
use crate::session::replies::{Replies, Slot};
use crate::wire::methods::{METHODS, Method, Roles};

/// Parameters that fit every method.
fn params_for(method: &Method) -> Value {
    let mut params = json!({
        "conversation": conversation(4).to_string(),
        "queue": queue(1).to_string(),
        "text": "hello",
        "typing": true,
        "seq": 3,
        "tag": "vip",
        "priority": 1,
        "metadata": { "plan": "gold", "age": 7, "basket": { "sum": 1.5 }, "gone": null },
        "rating": 5,
        "view": "open",
        "status": "away",
        "keyword": "hi",
        "role": "customer",
        "site": "demo",
    });
    if method.name == "conversation.assign" {
        params["agent"] = ann().to_string().into();
    }
    if ["conversation.follow", "conversation.unfollow"].contains(&method.name) {
        params["conversation"] = conversation(8).to_string().into();
    }
    if method.mutating {
        params["key"] = "k-1".into();
    }
    params
}

#[test]
fn every_method_is_open_to_its_roles_and_to_nobody_else() {
    for method in METHODS {
        for (role, is_included) in [
            ("nobody", method.roles.include(Roles::NOBODY_YET)),
            ("customer", method.roles.include(Roles::CUSTOMER)),
            ("agent", method.roles.include(Roles::PLAIN_AGENT)),
            ("operator", method.roles.include(Roles::OPERATOR)),
        ] {
            let world = World::new();
            let mut peer = match role {
                "nobody" => world.peer(),
                "customer" => world.customer(&[4]),
                "agent" => world.agent("Ann", &[4]),
                _ => world.agent("Olga", &[4]),
            };
            peer.asked();
            peer.ask(method.name, params_for(method));
            let case = format!("{} as {role}", method.name);
            let (sent, asked) = (peer.sent(), peer.asked());
            if is_included {
                let is_answered = sent.len() == 1 && sent[0].get("result").is_some();
                assert!(is_answered || (sent.is_empty() && !asked.is_empty()), "{case}: {sent:?} {asked:?}");
                for it in &asked {
                    if let Asked::Send(request) = it {
                        let key = method.mutating.then(|| "k-1".to_owned());
                        assert_eq!(request.key, key, "{case}");
                    }
                }
            } else {
                let reason = &sent[0]["error"]["data"]["reason"];
                let expected = match (role, method.name) {
                    ("nobody", _) => "unauthorized",
                    (_, "session.open") => "conflict",
                    _ => "forbidden",
                };
                assert_eq!(reason, expected, "{case}: {sent:?}");
                assert!(asked.is_empty(), "{case}");
            }
        }
    }
}

#[test]
fn every_refusal_reaches_the_client_with_its_reason() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    let until = Some(Time(5));
    let refusals = [
        (Refusal::Forbidden, json!({ "reason": "forbidden" })),
        (Refusal::NotFound, json!({ "reason": "not_found" })),
        (Refusal::conflict("why"), json!({ "reason": "conflict", "detail": "why" })),
        (
            Refusal::ClaimHeld { holder: olga(), release_at: until },
            json!({ "reason": "claim_held", "holder": { "id": olga().to_string(), "name": "Olga" }, "release_at": 5 }),
        ),
        (Refusal::ClaimLost { holder: None, claim: 3 }, json!({ "reason": "claim_lost", "claim": 3 })),
        (Refusal::QueueClosed { next_open_at: None }, json!({ "reason": "queue_closed" })),
        (Refusal::QueueFull, json!({ "reason": "queue_full" })),
        (Refusal::QueueEmpty, json!({ "reason": "queue_empty" })),
        (Refusal::NoAgents, json!({ "reason": "no_agents" })),
        (Refusal::Blocked { until }, json!({ "reason": "blocked", "until": 5 })),
        (Refusal::ConversationClosed, json!({ "reason": "conversation_closed" })),
        (Refusal::TooLarge { max: 9 }, json!({ "reason": "too_large", "max": 9 })),
        (Refusal::RateLimited { retry_after_ms: 9 }, json!({ "reason": "rate_limited", "retry_after_ms": 9 })),
        (Refusal::Busy { retry_after_ms: 9 }, json!({ "reason": "busy", "retry_after_ms": 9 })),
        (Refusal::Unavailable { retry_after_ms: 9 }, json!({ "reason": "unavailable", "retry_after_ms": 9 })),
        (Refusal::NotSupported, json!({ "reason": "not_supported" })),
    ];
    for (refusal, data) in refusals {
        let id = peer.ask("message.send", json!({ "conversation": conversation(4).to_string(), "text": "x" }));
        let number = peer.asked_one().number();
        peer.answer(number, Err(refusal.clone()));
        let sent = peer.sent_one();
        assert_eq!((&sent["id"], &sent["error"]["code"]), (&json!(id), &json!(-32_000)), "{refusal:?}");
        assert_eq!(sent["error"]["data"], data, "{refusal:?}");
        assert!(crate::wire::error::REASONS.iter().any(|(reason, ..)| data["reason"] == *reason));
    }
    peer.ask("message.send", json!({ "conversation": conversation(4).to_string(), "text": "x" }));
    let number = peer.asked_one().number();
    peer.answer(number, Err(Refusal::invalid("text")));
    let sent = peer.sent_one();
    assert_eq!((&sent["error"]["code"], &sent["error"]["data"]["field"]), (&json!(-32_602), &json!("text")));
}

#[test]
fn answers_become_results() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    let id = conversation(4).to_string();
    let mut result = |method: &str, params: Value, answer: Answer| {
        peer.ask(method, params);
        let number = peer.asked_one().number();
        peer.answer(number, answer);
        let sent = peer.sent_one();
        assert!(sent["result"].is_object(), "{sent}");
        sent["result"].clone()
    };
    let reply = |reply| Ok(Outcome::Reply(reply));
    let on = json!({ "conversation": id });
    let stored = || reply(Reply::Stored { seq: 7, at: Time(8) });
    assert_eq!(result("conversation.release", on.clone(), stored()), json!({ "seq": 7, "at": 8 }));
    let tag = json!({ "conversation": id, "tag": "vip" });
    assert_eq!(result("tag.add", tag, reply(Reply::Done)), json!({}));
    let claimed = reply(Reply::Claimed { conversation: conversation(4), claim: 2, release_at: Some(Time(9)) });
    let expected = json!({ "conversation": id, "claim": 2, "release_at": 9 });
    assert_eq!(result("queue.pick", json!({ "queue": queue(1).to_string() }), claimed), expected);
    let got = result("conversation.get", on.clone(), reply(Reply::Conversation(Box::new(view(conversation(4), 10)))));
    assert_eq!((&got["id"], &got["head"], &got["customer"]["name"]), (&json!(id), &json!(10), &json!("Eve")));
    assert_eq!(got["marks"][0]["by"], json!({ "kind": "agent", "id": ann().to_string(), "name": "Ann" }));
    assert!(got.get("from_seq").is_none());
    let page = result("conversation.history", json!({ "conversation": id, "after": 2 }), history(3..=5, 10));
    assert_eq!((page["events"].as_array().unwrap().len(), &page["head"], &page["more"]), (3, &json!(10), &json!(true)));
    let page = result("conversation.history", json!({ "conversation": id, "before": 4 }), history(1..=3, 10));
    assert_eq!((&page["events"][0]["seq"], &page["more"]), (&json!(1), &json!(false)));
    let rows = Ok(Outcome::Rows { rows: vec![row(conversation(4), 3)], cursor: Some("next".into()) });
    let page = result("conversation.list", json!({ "view": "mine" }), rows);
    assert_eq!((&page["conversations"][0]["id"], &page["cursor"]), (&json!(id), &json!("next")));
    let entry = message(3, &"é".repeat(3_000));
    let hits = vec![jono_engine::request::Hit { row: row(conversation(4), 3), entry }];
    let page = result("conversation.search", json!({ "text": "é" }), Ok(Outcome::Found { hits, cursor: None }));
    assert_eq!(page["hits"][0]["event"]["body"]["cut"], true);
    assert!(page.get("cut").is_none());
    let entry = |seq| jono_engine::request::Hit { row: row(conversation(4), 500), entry: message(seq, &"x".repeat(9_000)) };
    let hits = Ok(Outcome::Found { hits: (1..=500).map(entry).collect(), cursor: Some("next".into()) });
    let page = result("conversation.search", json!({ "text": "x" }), hits);
    assert!(page.to_string().len() < 200 * 1024 && page["cut"] == true && page["cursor"] == "next");
    let presence = reply(Reply::Presence(vec![]));
    let page = result("agent.list", json!({ "queue": queue(1).to_string() }), presence);
    assert_eq!(page["agents"].as_array().unwrap().len(), 1);
    assert_eq!(page["agents"][0]["status"], "offline");
    let canned = jono_domain::reply::CannedMessage {
        keyword: "bye".into(),
        text: "Bye".into(),
        scope: jono_domain::agent::CannedScope::Personal,
    };
    let status = jono_domain::agent::Status::Online;
    let account = || AgentView { agent: ann(), status, held: vec![], canned: vec![canned.clone()] };
    let page = result("canned.list", json!({}), reply(Reply::Agent(Box::new(account()))));
    assert_eq!(page["canned"].as_array().unwrap().len(), 2);
    let page = result("canned.list", json!({ "cursor": "pbye" }), reply(Reply::Agent(Box::new(account()))));
    assert_eq!(page["canned"][0]["keyword"], "hi");
}

#[test]
fn a_history_too_large_is_cut_where_it_is_farthest() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    let entries: Vec<Entry> = (1..=20).map(|seq| message(seq, &"x".repeat(16_000))).collect();
    for (from, forward) in [("after", true), ("before", false)] {
        peer.ask(
            "conversation.history",
            json!({ "conversation": conversation(4).to_string(), from: if forward { 0 } else { 21 } }),
        );
        let number = peer.asked_one().number();
        peer.answer(number, Ok(Outcome::History { entries: entries.clone(), head: 20 }));
        let page = peer.sent_one()["result"].clone();
        let seqs: Vec<_> = page["events"].as_array().unwrap().iter().map(|it| it["seq"].as_u64().unwrap()).collect();
        assert!(seqs.len() >= 5 && seqs.len() <= 8 && seqs.is_sorted());
        assert_eq!(if forward { seqs[0] } else { seqs[seqs.len() - 1] }, if forward { 1 } else { 20 });
        assert_eq!(page["more"], true);
    }
}

#[test]
fn a_customer_starts_with_what_the_page_told() {
    let world = World::new();
    let mut peer = world.peer();
    let page = json!({ "url": "https://shop.example/a", "width": 800 });
    let params = json!({
        "role": "customer", "site": "demo", "name": "Eve", "locale": "fi", "page": page,
        "metadata": { "plan": "gold", "was": null },
    });
    peer.ask("session.open", params);
    peer.answer_opening(&[], &[]);
    peer.sent();
    let start = json!({ "queue": queue(2).to_string(), "metadata": { "plan": "iron" }, "key": "s" });
    peer.ask("conversation.start", start.clone());
    peer.ask("conversation.start", start);
    let mut ids = BTreeSet::new();
    for asked in peer.asked() {
        let Asked::Send(Request { order: Order::Customer(customer, command), who, key, .. }) = asked else { panic!() };
        assert_eq!(who, Who::Customer(organisation(), customer));
        assert_eq!(key.as_deref(), Some("s"));
        let jono_domain::customer::Command::Start { conversation, queue: to, start } = *command else { panic!() };
        assert_eq!((to, start.customer_name.as_deref(), start.priority), (queue(2), Some("Eve"), 0));
        let keys: Vec<_> = start.metadata.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["page", "locale", "plan"]);
        ids.insert(conversation);
    }
    assert_eq!(ids.len(), 2, "each request brings an id of its own");
    for (queue, reason) in [(queue(3), "not_found"), (queue(99), "not_found")] {
        peer.ask("conversation.start", json!({ "queue": queue.to_string() }));
        assert_eq!(peer.reason(), reason, "only what the site offers");
    }
}

#[test]
fn too_many_requests_are_refused_and_others_go_on() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    let send = json!({ "conversation": conversation(4).to_string(), "text": "x" });
    for _ in 0..64 {
        peer.ask("message.send", send.clone());
    }
    assert!(peer.sent().is_empty());
    peer.ask("message.send", send.clone());
    assert_eq!(peer.reason(), "busy");
    peer.ask("ping", json!({}));
    assert!(peer.sent_one()["result"].is_object());
    let first = peer.asked().remove(0).number();
    peer.answer(first, Ok(Outcome::Reply(Reply::Done)));
    peer.sent();
    peer.ask("message.send", send);
    assert!(peer.sent().is_empty());
    peer.answer(9_999, Ok(Outcome::Reply(Reply::Done)));
    assert!(peer.sent().is_empty(), "an answer to nothing is dropped");
}

#[test]
fn starting_is_limited_by_the_minute() {
    let world = World::new();
    let mut peer = world.customer(&[]);
    for _ in 0..10 {
        peer.ask("conversation.start", json!({ "queue": queue(1).to_string() }));
    }
    assert!(peer.sent().is_empty());
    peer.ask("conversation.start", json!({ "queue": queue(1).to_string() }));
    let sent = peer.sent_one();
    assert_eq!(sent["error"]["data"], json!({ "reason": "rate_limited", "retry_after_ms": 6_000 }));
    peer.now = peer.now + 6_000;
    peer.ask("conversation.start", json!({ "queue": queue(1).to_string() }));
    assert!(peer.sent().is_empty());
}

#[test]
fn answers_of_batches_wait_in_bounded_memory() {
    // Bytes of each answer, batches, answers that find room.
    for (bytes, batches, expected) in [(7_000, 1, 27), (7_000, 8, 27), (60_000, 2, 2), (400, 8, 31 * 8)] {
        let (mut replies, mut sink) = (Replies::default(), FakeSink::default());
        let numbers: Vec<_> = (0..batches).map(|_| replies.begin(32)).collect();
        let answer = || Ok(format!("\"{}\"", "x".repeat(bytes)));
        for number in &numbers {
            (0..31).for_each(|_| replies.say(Slot::malformed(None, Some(*number)), answer(), &mut sink));
        }
        assert!(sink.sent.is_empty());
        replies.finish(&mut sink);
        let answers: Vec<_> = sink.sent.iter().flat_map(|batch| batch.as_array().unwrap()).collect();
        assert_eq!(answers.len(), 31 * batches, "all are answered");
        let full: Vec<_> = answers.iter().filter(|it| it.get("result").is_some()).collect();
        assert_eq!(full.len(), expected, "{bytes} {batches}");
        assert!(full.iter().map(|it| it.to_string().len()).sum::<usize>() <= 192 * 1024);
        let reason = if bytes < 8_192 { "unavailable" } else { "too_large" };
        for refused in answers.iter().filter(|it| it.get("result").is_none()) {
            assert_eq!(refused["error"]["data"]["reason"], reason);
            assert!(refused.to_string().len() < 160, "{refused}");
        }
    }
}

#[test]
fn starting_is_limited_by_address_however_many_sessions_there_are() {
    let world = World::new();
    let network = |text: &str| Network::of(text.parse().unwrap(), true);
    let start = json!({ "queue": queue(1).to_string() });
    let starts = |from: Option<Network>, now: Time| {
        let mut peer = world.peer_of(from, None);
        peer.now = now;
        peer.ask("session.open", json!({ "role": "customer", "site": "demo" }));
        peer.answer_opening(&[], &[]);
        peer.sent();
        peer.ask("conversation.start", json!({ "queue": "nothing" }));
        assert_eq!(peer.code(), -32_602, "what is not asked of the engine does not count");
        peer.ask("conversation.start", start.clone());
        let refused = peer.sent().pop().map(|it| it["error"]["data"].clone());
        assert_eq!(refused.is_none(), peer.asked().iter().any(|it| matches!(it, Asked::Send(_))));
        refused
    };
    let here = network("192.0.2.1");
    for _ in 0..30 {
        assert_eq!(starts(here, NOW), None);
    }
    assert_eq!(starts(here, NOW), Some(json!({ "reason": "rate_limited", "retry_after_ms": 1_000 })));
    assert_eq!(starts(network("192.0.2.2"), NOW), None, "others are not disturbed");
    assert_eq!(starts(here, NOW + 1_000), None);
    for _ in 0..40 {
        assert_eq!(starts(network("127.0.0.1"), NOW), None, "this machine may be a proxy");
    }
}

#[test]
fn a_full_engine_is_busy() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    world.engine.is_full.store(true, Ordering::SeqCst);
    for (method, params) in [
        ("message.send", json!({ "conversation": conversation(4).to_string(), "text": "x" })),
        ("conversation.follow", json!({ "conversation": conversation(5).to_string() })),
        ("conversation.list", json!({ "view": "open" })),
        ("queue.list", json!({})),
    ] {
        peer.ask(method, params);
        assert_eq!(peer.reason(), "busy", "{method}");
    }
}

#[test]
fn requests_without_id_are_done_without_a_word() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    let text = |params: Value| json!({ "jsonrpc": "2.0", "method": "message.send", "params": params }).to_string();
    peer.text(&text(json!({ "conversation": conversation(4).to_string(), "text": "x" })));
    let number = peer.asked_one().number();
    peer.answer(number, Err(Refusal::NotFound));
    peer.text(&text(json!({})));
    peer.text(r#"{"jsonrpc":"2.0","method":"nobody.knows"}"#);
    assert!(peer.sent().is_empty());
}

#[test]
fn a_batch_is_answered_in_one_text_when_the_last_answer_is_there() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    let on = conversation(4).to_string();
    let batch = json!([
        { "jsonrpc": "2.0", "id": "a", "method": "message.send", "params": { "conversation": on, "text": "1" } },
        { "jsonrpc": "2.0", "method": "typing.set", "params": { "conversation": on, "typing": true } },
        { "jsonrpc": "2.0", "id": 1.5, "method": "ping" },
        { "jsonrpc": "2.0", "id": null, "method": "nobody.knows" },
        17,
        { "jsonrpc": "2.0", "id": "b", "method": "message.send", "params": { "conversation": on, "text": "2" } },
    ]);
    peer.text(&batch.to_string());
    let numbers: Vec<_> = peer.asked().iter().map(Asked::number).collect();
    assert_eq!(numbers.len(), 3);
    for number in [numbers[2], numbers[0]] {
        peer.answer(number, Ok(Outcome::Reply(Reply::Stored { seq: number, at: NOW })));
        assert!(peer.sent().is_empty());
    }
    peer.answer(numbers[1], Ok(Outcome::Reply(Reply::Done)));
    let sent = peer.sent_one();
    let answers = sent.as_array().unwrap();
    assert_eq!(answers.len(), 5);
    let of = |id: Value| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(of(json!("a"))["result"]["seq"], numbers[0]);
    assert_eq!(of(json!("b"))["result"]["seq"], numbers[2]);
    assert_eq!(of(json!(1.5))["result"]["now"], NOW.0);
    let codes: Vec<_> = answers.iter().filter_map(|answer| answer["error"]["code"].as_i64()).collect();
    assert_eq!(codes, [-32_601, -32_600]);

    peer.text(&json!([{ "jsonrpc": "2.0", "method": "ping" }]).to_string());
    assert!(peer.sent().is_empty(), "a batch of requests without ids has no answer");
    let many = |count| vec![json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }); count];
    peer.text(&json!(many(32)).to_string());
    assert_eq!(peer.sent_one().as_array().unwrap().len(), 32);
    peer.text(&json!(many(33)).to_string());
    assert_eq!(peer.code(), -32_600);
    peer.text("[]");
    assert_eq!(peer.code(), -32_600);
}

#[test]
fn closing_answers_what_is_there_and_listens_no_more() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    let send = json!({ "conversation": conversation(4).to_string(), "text": "x" });
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "session.close" },
        { "jsonrpc": "2.0", "id": 2, "method": "message.send", "params": send },
    ]);
    peer.text(&batch.to_string());
    assert_eq!(peer.sent_one(), json!([{ "jsonrpc": "2.0", "id": 1, "result": {} }]));
    assert_eq!(peer.sink.closed, Some((1000, "done")));
    assert!(peer.asked().is_empty());
}

#[test]
fn queues_are_listed_page_by_page_from_one_answer_each() {
    let world = World::new();
    let mut peer = world.agent("Olga", &[]);
    peer.ask("queue.list", json!({}));
    let asked = peer.asked();
    assert_eq!(asked.len(), 3);
    peer.answer(asked[1].number(), Err(Refusal::NotFound));
    for at in [2, 0] {
        let Asked::Send(Request { order: Order::Queue(queue, _), .. }) = &asked[at] else { panic!() };
        peer.answer(asked[at].number(), Ok(Outcome::Reply(Reply::Queue(summary(*queue)))));
    }
    let sent = peer.sent_one();
    let names: Vec<_> = sent["result"]["queues"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["Back office", "Sales"], "by name, without the one that is not there");
    peer.ask("queue.list", json!({ "cursor": "x" }));
    assert_eq!(peer.sent_one()["error"]["data"]["field"], "cursor");
}
