//! `session.open`.

use super::*;
use crate::session::Led;
use crate::session::gateway::judge;

fn open(peer: &mut Peer, params: Value) -> u64 {
    peer.ask("session.open", params)
}

#[test]
fn a_customer_opens_and_is_told_everything_behind_the_result() {
    let world = World::new();
    let mut peer = world.peer();
    let id = open(&mut peer, json!({ "role": "customer", "site": "demo", "name": "Eve", "future": { "unknown": [1] } }));
    peer.answer_opening(&[4], &[]);
    let result = peer.sent_one();
    assert_eq!(result["id"], id);
    let result = &result["result"];
    assert_eq!(result["resumed"], false);
    assert_eq!(result["log"], "log_0000000000000abc");
    assert_eq!(result["me"]["kind"], "customer");
    assert_eq!(result["me"]["name"], "Eve");
    assert_eq!(result["organisation"], json!({ "id": organisation().to_string(), "name": "Shop" }));
    let names: Vec<_> = result["queues"].as_array().unwrap().iter().map(|queue| queue["name"].clone()).collect();
    assert_eq!(names, ["Sales", "Help"], "in the site's order");
    assert!(result["queues"][0].get("waiting").is_none(), "customers do not see numbers");
    assert_eq!(result["conversations"][0]["id"], conversation(4).to_string());
    assert_eq!(result["conversations"][0]["from_seq"], 0);
    assert!(result["conversations"][0].get("preview").is_none());
    assert_eq!(result["ended"].as_array().unwrap().len(), 2);
    assert_eq!(result["limits"]["batch"], 32);
    assert!(peer.sink.is_confirmed);

    let token = result["resume"].as_str().unwrap();
    let mut again = world.peer();
    open(&mut again, json!({ "role": "customer", "site": "demo", "resume": token }));
    again.answer_opening(&[], &[]);
    let resumed = again.sent_one();
    assert_eq!(resumed["result"]["resumed"], true);
    assert_eq!(resumed["result"]["me"]["id"], result["me"]["id"]);
}

#[test]
fn an_agent_opens_and_follows_what_is_theirs() {
    let world = World::new();
    let mut peer = world.peer();
    open(&mut peer, json!({ "role": "agent", "token": world.tokens["Ann"], "since": {} }));
    peer.answer_opening(&[4, 5], &[]);
    let sent = peer.sent_one();
    let result = &sent["result"];
    assert_eq!(result["me"]["name"], "Ann");
    assert_eq!(result["me"]["role"], "agent");
    assert_eq!(result["me"]["canned"], json!([{ "keyword": "hi", "text": "Hello, this is [agent]", "scope": "shared" }]));
    assert!(result.get("resume").is_none() && result.get("ended").is_none());
    assert_eq!(result["queues"].as_array().unwrap().len(), 1);
    assert_eq!(result["queues"][0]["waiting"], 2);
    assert_eq!(result["organisation"]["agents"].as_array().unwrap().len(), 2);
    assert_eq!(result["organisation"]["tags"], json!([{ "tag": "vip" }]));
    assert_eq!(result["conversations"].as_array().unwrap().len(), 2);
    let followed = world.engine.followed.lock().unwrap().clone();
    let expected = [
        Address::Agent(ann()),
        Address::Organisation(organisation()),
        Address::Queue(queue(1)),
        Address::Conversation(conversation(4)),
        Address::Conversation(conversation(5)),
    ];
    assert_eq!(followed, expected.into());
}

#[test]
fn an_operator_sees_all_queues_and_follows_their_own() {
    let world = World::new();
    let mut peer = world.peer();
    open(&mut peer, json!({ "role": "agent", "token": world.tokens["Olga"] }));
    peer.answer_opening(&[], &[]);
    let sent = peer.sent_one();
    assert_eq!(sent["result"]["me"]["role"], "operator");
    assert_eq!(sent["result"]["queues"].as_array().unwrap().len(), 3);
    assert!(!world.engine.followed.lock().unwrap().contains(&Address::Queue(queue(1))));
}

#[test]
fn what_comes_before_the_result_is_sent_behind_it_in_order() {
    let world = World::new();
    let mut peer = world.peer();
    open(&mut peer, json!({ "role": "customer", "site": "demo" }));
    for asked in peer.asked() {
        match asked {
            Asked::Follow(follow) => {
                let Address::Customer(customer) = follow.what else { panic!("{follow:?}") };
                let account = CustomerView { customer, open: vec![conversation(4)], ended: vec![], blocked: None };
                let ReplyTo::Session { request, .. } = follow.reply_to else { panic!() };
                peer.answer(request, following(Reply::Customer(account), 0));
            }
            other => {
                let number = other.number();
                peer.answer(number, Err(Refusal::NotFound));
            }
        }
    }
    let asked = peer.asked_one().number();
    let view = Reply::Conversation(Box::new(view(conversation(4), 2)));
    peer.notice(Notice::Blocked(Some(None)));
    assert!(peer.sent().is_empty());
    // The engine answers, and its events are right behind, before the session has said a word.
    peer.answer(asked, following(view, 0));
    peer.notice(grown(4, message(1, "one")));
    peer.notice(grown(4, message(2, "two")));
    let sent = peer.sent();
    let order: Vec<_> = sent.iter().map(|it| it["method"].as_str().unwrap_or("result")).collect();
    assert_eq!(order, ["result", "customer.blocked", "conversation.event", "conversation.event"]);
    assert_eq!(sent[3]["params"]["prev"], 1);
}

#[test]
fn resumed_means_complete() {
    // since, refused, from_seq as the engine says, head -> resumed, from_seq as the client is told
    let cases = [
        (4, false, 4, 10, true, 4),
        (10, false, 10, 10, true, 10),
        (4, false, 8, 10, true, 4), // What the engine leaves out is read from the log.
        (4, false, 900, 1_000, false, 500),
        (12, false, 12, 10, false, 10), // Of another log.
        (4, true, 0, 0, false, 0),
    ];
    for (since, is_refused, from_seq, head, resumed, told_from) in cases {
        let world = World::new();
        let mut peer = world.peer();
        let id = conversation(4);
        let since = BTreeMap::from([(id.to_string(), since)]);
        open(&mut peer, json!({ "role": "agent", "token": world.tokens["Ann"], "since": since }));
        for _ in 0..2 {
            for asked in peer.asked() {
                let number = asked.number();
                match asked.follows() {
                    Some(Address::Agent(agent)) => {
                        let status = jono_domain::agent::Status::Online;
                        let account = AgentView { agent, status, held: vec![], canned: vec![] };
                        peer.answer(number, following(Reply::Agent(Box::new(account)), 0));
                    }
                    Some(Address::Organisation(_)) => peer.answer(number, following(Reply::Presence(vec![]), 0)),
                    Some(Address::Queue(queue)) => peer.answer(number, following(Reply::Queue(summary(queue)), 0)),
                    Some(Address::Conversation(_)) if is_refused => peer.answer(number, Err(Refusal::NotFound)),
                    Some(Address::Conversation(id)) => {
                        peer.answer(number, following(Reply::Conversation(Box::new(view(id, head))), from_seq));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        let sent = peer.sent_one();
        assert_eq!(sent["result"]["resumed"], resumed, "{since:?} {from_seq} {head}");
        if is_refused {
            assert_eq!(sent["result"]["conversations"], json!([]));
        } else {
            assert_eq!(sent["result"]["conversations"][0]["from_seq"], told_from, "{since:?} {from_seq} {head}");
        }
    }
}

#[test]
fn a_customer_reaches_ended_conversations_by_since_and_others_not_at_all() {
    let world = World::new();
    let mut peer = world.peer();
    let since = BTreeMap::from([(conversation(90).to_string(), 3), (conversation(66).to_string(), 3)]);
    open(&mut peer, json!({ "role": "customer", "site": "demo", "since": since }));
    peer.answer_opening(&[4], &[]);
    let sent = peer.sent_one();
    let ids: Vec<_> = sent["result"]["conversations"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(ids, [conversation(90).to_string(), conversation(4).to_string()]);
    assert_eq!(sent["result"]["resumed"], false, "one cannot be reached");
    assert!(!world.engine.followed.lock().unwrap().contains(&Address::Conversation(conversation(66))));
}

#[test]
fn wrong_credentials_are_refused_for_good() {
    let world = World::new();
    let foreign = Auth::new([7; 32]).resume_token(OrganisationId::from_bits(9), CustomerId::from_bits(1), NOW);
    let stale = Auth::new([7; 32]).resume_token(organisation(), CustomerId::from_bits(1), NOW - crate::auth::RESUME_TOKEN_MS);
    for params in [
        json!({ "role": "customer", "site": "nobody's" }),
        json!({ "role": "customer", "site": "demo", "resume": "jrt_x" }),
        json!({ "role": "customer", "site": "demo", "resume": foreign }),
        json!({ "role": "customer", "site": "demo", "resume": stale }),
        json!({ "role": "agent", "token": "jat_x" }),
        json!({ "role": "agent", "token": "" }),
    ] {
        let mut peer = world.peer();
        open(&mut peer, params.clone());
        assert_eq!(peer.reason(), "unauthorized", "{params}");
        assert_eq!(peer.sink.closed.map(|(code, _)| code), Some(4001), "{params}");
        assert!(peer.asked().is_empty());
        peer.text(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#);
        assert!(peer.sent().is_empty(), "nothing is listened to behind a close");
    }
}

#[test]
fn forms_are_checked_and_may_be_tried_again() {
    let world = World::new();
    let mut peer = world.peer();
    for (params, field) in [
        (json!({}), "role"),
        (json!({ "role": "root" }), "role"),
        (json!({ "role": "customer" }), "site"),
        (json!({ "role": "agent" }), "token"),
        (json!({ "role": "customer", "site": 7 }), "site"),
        (json!({ "role": "customer", "site": "demo", "since": { "conv_x": 1 } }), "since"),
        (json!({ "role": "customer", "site": "demo", "since": { conversation(1).to_string(): -1 } }), "since"),
        (json!({ "role": "customer", "site": "demo", "metadata": { "a": [1] } }), "metadata"),
        (json!({ "role": "customer", "site": "demo", "name": "a\nb" }), "name"),
    ] {
        open(&mut peer, params.clone());
        let sent = peer.sent_one();
        assert_eq!(sent["error"]["code"], -32_602, "{params} {sent}");
        assert_eq!(sent["error"]["data"]["field"], field, "{params} {sent}");
    }
    let many: BTreeMap<_, _> = (0..300).map(|it| (conversation(it).to_string(), 1)).collect();
    open(&mut peer, json!({ "role": "customer", "site": "demo", "since": many }));
    assert_eq!(peer.reason(), "too_large");
    open(&mut peer, json!({ "role": "customer", "site": "demo", "metadata": { "a": "x".repeat(9_000) } }));
    assert_eq!(peer.reason(), "too_large");
    assert_eq!(peer.sink.closed, None);
    open(&mut peer, json!({ "role": "customer", "site": "demo" }));
    peer.answer_opening(&[], &[]);
    assert!(peer.sent_one()["result"].is_object());
}

#[test]
fn an_engine_without_room_leaves_nothing_behind_and_lets_try_again() {
    let world = World::new();
    let mut peer = world.peer();
    world.engine.is_full.store(true, Ordering::SeqCst);
    open(&mut peer, json!({ "role": "agent", "token": world.tokens["Ann"] }));
    assert_eq!(peer.reason(), "busy");
    world.engine.is_full.store(false, Ordering::SeqCst);
    open(&mut peer, json!({ "role": "agent", "token": world.tokens["Ann"] }));
    let first = peer.asked().into_iter().find(|it| !matches!(it, Asked::Unfollow(_))).unwrap().number();
    peer.answer(first, Err(Refusal::Unavailable { retry_after_ms: 100 }));
    assert_eq!(peer.reason(), "unavailable");
    assert!(world.engine.followed.lock().unwrap().is_empty());
    assert_eq!(peer.sink.closed, None);
    peer.asked();
    // Late answers to the attempt that failed disturb nothing, whenever they come.
    peer.answer(first + 1, following(Reply::Presence(vec![]), 0));
    open(&mut peer, json!({ "role": "agent", "token": world.tokens["Ann"] }));
    peer.answer(first, Err(Refusal::NotFound));
    peer.answer(first + 2, Err(Refusal::NotFound));
    peer.answer_opening(&[], &[]);
    assert!(peer.sent_one()["result"].is_object());
}

#[test]
fn before_open_there_is_ping_and_nothing_else() {
    let world = World::new();
    let mut peer = world.peer();
    peer.ask("ping", json!({}));
    assert_eq!(peer.sent_one()["result"]["now"], NOW.0);
    peer.ask("message.send", json!({}));
    assert_eq!(peer.reason(), "unauthorized");
    peer.ask("nobody.knows", json!({}));
    assert_eq!(peer.code(), -32_601);
    peer.text(r#"{"jsonrpc":"2.0","method":"session.open","params":{"role":"customer","site":"demo"}}"#);
    assert_eq!(peer.code(), -32_600, "it needs an id");
    open(&mut peer, json!({ "role": "customer", "site": "demo" }));
    open(&mut peer, json!({ "role": "customer", "site": "demo" }));
    assert_eq!(peer.reason(), "conflict");
    peer.ask("queue.list", json!({}));
    assert_eq!(peer.reason(), "unauthorized");
    peer.answer_opening(&[], &[]);
    peer.sent();
    open(&mut peer, json!({ "role": "customer", "site": "demo" }));
    assert_eq!(peer.reason(), "conflict");
}

#[test]
fn origins_are_those_of_the_site_or_of_the_desk() {
    let world = World::new();
    let opens = |origin: Option<&str>, params: Value| {
        let mut peer = world.peer_from(origin);
        open(&mut peer, params);
        peer.answer_opening(&[], &[]);
        peer.sink.closed.is_none()
    };
    let site = |key: &str| json!({ "role": "customer", "site": key });
    assert!(opens(Some("https://anywhere.example"), site("demo")));
    assert!(opens(Some("https://shop.example"), site("strict")));
    assert!(opens(Some("https://SHOP.example"), site("strict")));
    assert!(opens(None, site("strict")), "who is no browser says nothing");
    assert!(!opens(Some("https://shop.example.evil.example"), site("strict")));
    assert!(!opens(Some("null"), site("strict")));
    let desk = json!({ "role": "agent", "token": world.tokens["Ann"] });
    assert!(opens(None, desk.clone()));
    assert!(opens(Some("https://desk.example"), desk.clone()));
    assert!(opens(Some("http://own.example"), desk.clone()));
    assert!(!opens(Some("https://shop.example"), desk));
}

#[test]
fn upgrades_are_judged_by_path_form_and_drain() {
    let status = |path: &str, origin: Option<&str>, is_draining| {
        judge(path, origin, Some("own.example"), is_draining).err().map(|refusal| refusal.status.as_u16())
    };
    assert_eq!(status("/v1/ws", None, false), None);
    assert_eq!(status("/v1/ws", Some("https://a.example"), false), None);
    assert_eq!(status("/v1/ws/", None, false), Some(404));
    assert_eq!(status("/", None, false), Some(404));
    assert_eq!(status("/v1/ws", None, true), Some(503));
    assert_eq!(status("/v1/ws", Some(&"x".repeat(600)), false), Some(403));
}

#[test]
fn the_oldest_session_of_too_many_is_superseded() {
    let world = World::with(SessionLimits { sessions_per_agent: 1, ..SessionLimits::default() });
    let mut first = world.agent("Ann", &[4]);
    let _second = world.agent("Ann", &[4]);
    let told = world.told.lock().unwrap().pop();
    assert!(matches!(told, Some((77, Told::Superseded))));
    first.life.told(Told::Superseded, NOW, &mut first.sink);
    assert_eq!(first.sink.closed, Some((4002, "superseded")));
}

#[test]
fn a_drain_is_announced_to_all_and_admits_nobody() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[]);
    world.gateway.drain();
    assert!(world.gateway.is_draining());
    assert!(matches!(world.told.lock().unwrap().as_slice(), [(77, Told::Draining)]));
    peer.life.told(Told::Draining, NOW, &mut peer.sink);
    assert_eq!(peer.sent_one()["method"], "server.draining");
}

#[test]
fn what_was_followed_is_unfollowed_whenever_the_socket_closes() {
    for answered in [false, true] {
        let world = World::new();
        let mut peer = world.peer();
        open(&mut peer, json!({ "role": "agent", "token": world.tokens["Ann"] }));
        if answered {
            peer.answer_opening(&[4, 5], &[]);
            peer.ask("conversation.follow", json!({ "conversation": conversation(8).to_string() }));
            peer.ask("queue.subscribe", json!({ "queue": queue(2).to_string() }));
        }
        assert!(!world.engine.followed.lock().unwrap().is_empty());
        peer.life.closed(jono_socket::Closed::Lost);
        assert!(world.engine.followed.lock().unwrap().is_empty(), "{:?}", world.engine.followed.lock().unwrap());
        peer.life.closed(jono_socket::Closed::Lost);
    }
}

#[test]
fn a_session_that_does_not_hear_that_it_is_led_somewhere_does_not_follow() {
    let world = World::new();
    let is_unfollowed = || {
        world
            .engine
            .asked
            .lock()
            .unwrap()
            .iter()
            .any(|it| matches!(it, Asked::Unfollow(what) if *what == Address::Conversation(conversation(4))))
    };
    let new = || {
        world.engine.asked.lock().unwrap().clear();
        let session = SessionRef { gateway: 3, session: 77 };
        Told::Led(Box::new(Led::new(session, led(4, view(conversation(4), 0), 0), Arc::downgrade(&world.gateway))))
    };
    // On its way when the socket closed.
    drop(new());
    assert!(is_unfollowed());

    let mut peer = world.peer();
    peer.life.told(new(), NOW, &mut peer.sink);
    assert!(is_unfollowed(), "nobody has opened it");

    open(&mut peer, json!({ "role": "agent", "token": world.tokens["Ann"] }));
    peer.answer_opening(&[], &[]);
    peer.life.told(new(), NOW, &mut peer.sink);
    assert!(!is_unfollowed());
    peer.life.closed(jono_socket::Closed::Lost);
    assert!(is_unfollowed(), "by its session");
    peer.life.told(new(), NOW, &mut peer.sink);
    assert!(is_unfollowed(), "it has ended");
}

#[test]
fn a_session_with_more_than_fits_the_result_is_told_the_rest_as_it_reads() {
    let world = World::new();
    let mut peer = world.peer();
    let held: Vec<u128> = (100..300).collect();
    open(&mut peer, json!({ "role": "agent", "token": world.tokens["Ann"] }));
    peer.answer_opening(&held, &[]);
    let sent = peer.sent();
    let listed = sent[0]["result"]["conversations"].as_array().unwrap().len();
    let followed = sent.iter().filter(|it| it["method"] == "conversation.followed").count();
    assert!(listed > 50 && listed < 200, "{listed}");
    assert_eq!(sent[0]["result"]["incomplete"], json!(["conversations"]));
    assert_eq!(listed + followed, 200);
    assert!(sent[0].to_string().len() < 128 * 1024);
}

#[test]
fn conversations_too_large_for_the_result_come_behind_it() {
    let world = World::new();
    let mut peer = world.peer();
    open(&mut peer, json!({ "role": "agent", "token": world.tokens["Ann"] }));
    let held: Vec<_> = (100..108).map(|it| (conversation(it), queue(1))).collect();
    let mut seen = Vec::new();
    for _ in 0..20 {
        for asked in peer.asked() {
            let state = match asked.follows() {
                Some(Address::Agent(agent)) => {
                    let status = jono_domain::agent::Status::Online;
                    Reply::Agent(Box::new(AgentView { agent, status, held: held.clone(), canned: vec![] }))
                }
                Some(Address::Organisation(_)) => Reply::Presence(vec![]),
                Some(Address::Queue(queue)) => Reply::Queue(summary(queue)),
                Some(Address::Conversation(id)) => {
                    let text = jono_domain::conversation::MetadataValue::Text("x".repeat(40_000));
                    let metadata = BTreeMap::from([("k".to_owned(), text)]);
                    Reply::Conversation(Box::new(ConversationView { metadata, ..view(id, 1) }))
                }
                Some(Address::Customer(_)) => panic!(),
                None => continue,
            };
            let number = asked.number();
            peer.answer(number, following(state, 0));
        }
        seen.extend(peer.sent());
    }
    assert!(seen[0].to_string().len() < 128 * 1024);
    let listed = seen[0]["result"]["conversations"].as_array().unwrap().len();
    let behind = seen.iter().filter(|it| it["method"] == "conversation.followed").count();
    assert_eq!((listed, behind), (2, 6));
    assert_eq!(world.engine.followed.lock().unwrap().len(), 3 + 8);
}
