//! A repeated request gets the first answer, whoever brings it and when (G2).

use std::collections::BTreeSet;

use jono_tests::client::Client;
use jono_tests::world::World;
use serde_json::{Value, json};

/// Asks under a key, then again on the same connection and on another one.
async fn twice(client: &mut Client, other: &mut Client, method: &str, mut params: Value) -> (String, Value, Value) {
    params["key"] = json!(format!("the only {method}"));
    let first = client.ok(method, params.clone()).await;
    for again in [client, other] {
        assert_eq!(again.ok(method, params.clone()).await, first, "{method} again");
    }
    (method.to_owned(), params, first)
}

#[tokio::test]
async fn every_change_is_made_once_and_answered_the_same() {
    let mut world = World::start().await;
    let mut vera = world.customer("Vera").await;
    let mut credential = world.as_customer("Vera");
    credential.params["resume"] = vera.opened["resume"].clone();
    let mut tab = world.open(credential).await;
    let (mut ben, mut phone) = (world.agent(&world.acme.ben).await, world.agent(&world.acme.ben).await);
    let (mut olivia, mut desk) = (world.agent(&world.acme.olivia).await, world.agent(&world.acme.olivia).await);
    let _cleo = world.agent(&world.acme.cleo).await;
    let (support, sales) = (world.acme.support.clone(), world.acme.sales.clone());

    let started = twice(&mut vera, &mut tab, "conversation.start", json!({ "queue": support, "message": "Once" })).await;
    let conversation = started.2["conversation"].clone();
    let of = |more: Value| {
        let mut params = json!({ "conversation": conversation });
        params.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        params
    };
    let mut by_customer = vec![started];
    let mut by_agent = vec![twice(&mut ben, &mut phone, "queue.pick", json!({ "queue": support })).await];
    let deeds = [
        ("message.send", of(json!({ "text": "Once", "claim": 1 }))),
        ("note.add", of(json!({ "text": "Once" }))),
        ("tag.add", of(json!({ "tag": "bug" }))),
        ("tag.remove", of(json!({ "tag": "bug" }))),
        ("priority.set", of(json!({ "priority": 2 }))),
        ("conversation.touch", of(json!({}))),
        ("customer.block", of(json!({}))),
        ("customer.unblock", of(json!({}))),
        ("presence.set", json!({ "status": "online" })),
        ("canned.set", json!({ "keyword": "hi", "text": "Hello" })),
        ("canned.remove", json!({ "keyword": "hi" })),
        ("queue.close", json!({ "queue": sales })),
        ("queue.open", json!({ "queue": sales })),
        ("conversation.release", of(json!({ "claim": 1 }))),
        ("conversation.claim", of(json!({}))),
        ("conversation.transfer", of(json!({ "queue": sales, "claim": 2, "note": "Once" }))),
        ("conversation.assign", of(json!({ "agent": world.acme.cleo.id }))),
    ];
    for (method, params) in deeds {
        by_agent.push(twice(&mut ben, &mut phone, method, params).await);
    }
    by_customer.push(twice(&mut vera, &mut tab, "metadata.update", of(json!({ "metadata": { "page": "/" } }))).await);
    by_customer.push(twice(&mut vera, &mut tab, "conversation.leave", of(json!({}))).await);
    by_customer.push(twice(&mut vera, &mut tab, "conversation.rate", of(json!({ "rating": 3 }))).await);
    let other = world.start_conversation(&mut vera, "Another").await;
    by_agent.push(twice(&mut ben, &mut phone, "conversation.close", json!({ "conversation": other })).await);
    let by_operator =
        vec![twice(&mut olivia, &mut desk, "canned.set", json!({ "keyword": "bye", "text": "Bye", "scope": "shared" })).await];

    let tried: BTreeSet<_> = by_customer.iter().chain(&by_agent).map(|(method, ..)| method.as_str()).collect();
    let mutating: BTreeSet<_> = world.documents.methods().filter(|it| it.is_mutating()).map(|it| it.name()).collect();
    assert_eq!(tried, mutating, "every method that changes something was tried");

    let conversation = jono_tests::world::id_of(&conversation);
    world.server.kill9();
    world.server.restart().await;
    for (client, deeds) in [(&mut vera, &by_customer), (&mut ben, &by_agent), (&mut olivia, &by_operator)] {
        client.resume().await;
        for (method, params, first) in deeds {
            assert_eq!(client.ok(method, params.clone()).await, *first, "{method} after a restart");
        }
    }
    let history = olivia.ok("conversation.history", json!({ "conversation": conversation })).await;
    let types: Vec<_> = history["events"].as_array().expect("events").iter().filter_map(|event| event["type"].as_str()).collect();
    let once = "started queued message claimed message note tagged untagged prioritised blocked unblocked released claimed note \
                transferred assigned metadata closed rated";
    assert_eq!(types.join(" "), once);
}

#[tokio::test]
async fn a_key_belongs_to_its_author_and_is_printable() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    let said = |text: &str, key: &str| json!({ "conversation": conversation, "text": text, "key": key });
    let first = vera.ok("message.send", said("from Vera", "k")).await;
    let second = anna.ok("message.send", said("from Anna", "k")).await;
    assert_ne!(first, second);
    let longest = "~".repeat(64);
    vera.ok("message.send", said("longest", &longest)).await;
    for key in ["", "two\nlines", "ä", &"k".repeat(65)] {
        let refused = vera.refused("message.send", said("no", key)).await;
        assert_eq!((refused.code(), refused.data("field")), (-32_602, &json!("key")), "{key:?}");
    }
    vera.catch_up(&conversation).await;
    assert_eq!(vera.view(&conversation).texts(), ["Hello?", "from Vera", "from Anna", "longest"]);
}

#[tokio::test]
async fn repeats_under_way_at_the_same_time_are_one() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    let said = json!({ "conversation": conversation, "text": "once", "key": "same" });
    let mut asked = Vec::new();
    for _ in 0..10 {
        asked.push(vera.ask("message.send", said.clone()).await);
    }
    let mut answers = Vec::new();
    for id in asked {
        answers.push(vera.answer(id).await.expect("granted"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    let start = json!({ "queue": world.acme.sales, "key": "start" });
    let asked = [vera.ask("conversation.start", start.clone()).await, vera.ask("conversation.start", start).await];
    let [first, second] = [vera.answer(asked[0]).await, vera.answer(asked[1]).await];
    assert_eq!(first.expect("granted")["conversation"], second.expect("granted")["conversation"]);
    vera.catch_up(&conversation).await;
    assert_eq!(vera.view(&conversation).texts(), ["Hello?", "once"]);
}
