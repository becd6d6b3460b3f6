//! Deadlines: never early, once, and announced (L8, L9, L10).

use std::time::Duration;

use jono_tests::client::Client;
use jono_tests::now_ms;
use jono_tests::world::World;
use serde_json::{Value, json};

fn at(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no time"))
}

/// The event came, and not before that time by anybody's clock.
fn not_before(event: &Value, deadline: u64) {
    assert!(at(&event["at"]) >= deadline, "early by {} ms: {event}", deadline - at(&event["at"]));
    assert!(now_ms() >= deadline, "told early");
    assert!(now_ms() < deadline + 3_000, "{} ms late", now_ms() - deadline);
}

/// The deadline after the claim, as told with its event; or with the conversation, for one who began to follow later.
async fn told_deadline(client: &mut Client, conversation: &str, which: &str) -> u64 {
    let followed = client.told_where("conversation.followed", |it| it["id"] == conversation).await;
    let claimed = client.event(conversation, "claimed").await;
    at(if followed["head"].as_u64() < claimed["seq"].as_u64() { &claimed[which] } else { &followed[which] })
}

fn count(client: &Client, conversation: &str, kind: &str) -> usize {
    client.view(conversation).types().iter().filter(|it| **it == kind).count()
}

#[tokio::test]
async fn a_claim_without_activity_is_released_once_after_a_warning() {
    let world = World::start().await;
    world.set_queue(&world.acme.support, json!({ "release_after_ms": 1_500, "warn_before_ms": 600 })).await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let conversation = world.start_conversation(&mut vera, "Anybody?").await;
    let claimed = anna.ok("conversation.claim", json!({ "conversation": conversation })).await;
    let release_at = at(&claimed["release_at"]);
    assert_eq!(told_deadline(&mut vera, &conversation, "release_at").await, release_at);
    for client in [&mut vera, &mut anna] {
        let warning = client.told_where("conversation.deadline", |told| told["warning"] == "release").await;
        assert_eq!(warning["release_at"], release_at);
        assert!((release_at - 600..release_at).contains(&now_ms()), "warned {} ms before", release_at as i64 - now_ms() as i64);
    }
    for client in [&mut vera, &mut anna] {
        let released = client.event(&conversation, "released").await;
        assert_eq!((&released["body"]["cause"], &released["by"]["kind"]), (&json!("inactive"), &json!("system")));
        not_before(&released, release_at);
        assert_eq!(released.get("release_at"), None);
    }
    let late = json!({ "conversation": conversation, "text": "Here I am", "claim": claimed["claim"] });
    anna.refused_as("claim_lost", "message.send", late).await;
    let picked = anna.ok("queue.pick", json!({ "queue": world.acme.support })).await;
    assert_eq!((&picked["conversation"], &picked["claim"]), (&json!(conversation), &json!(2)));
    vera.listen(Duration::from_millis(300)).await;
    assert_eq!(count(&vera, &conversation, "released"), 1);
}

#[tokio::test]
async fn whatever_the_agent_does_moves_the_release() {
    let world = World::start().await;
    world.set_queue(&world.acme.support, json!({ "release_after_ms": 1_200, "warn_before_ms": 0 })).await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    let deeds = [
        ("message.send", json!({ "conversation": conversation, "text": "One moment" })),
        ("typing.set", json!({ "conversation": conversation, "typing": true })),
        ("note.add", json!({ "conversation": conversation, "text": "Slow" })),
        ("tag.add", json!({ "conversation": conversation, "tag": "bug" })),
        ("conversation.touch", json!({ "conversation": conversation })),
    ];
    let mut before = 0;
    for (method, params) in deeds {
        tokio::time::sleep(Duration::from_millis(300)).await;
        anna.ok(method, params).await;
        let shown = anna.ok("conversation.get", json!({ "conversation": conversation })).await;
        assert!(at(&shown["release_at"]) > before, "{method} counts");
        before = at(&shown["release_at"]);
    }
    let released = vera.event(&conversation, "released").await;
    not_before(&released, before);
}

#[tokio::test]
async fn the_clock_of_a_claim_can_run_only_while_the_customer_waits() {
    let world = World::start().await;
    let settings = json!({ "release_after_ms": 1_000, "warn_before_ms": 0, "release_clock": "customer_waits" });
    world.set_queue(&world.acme.support, settings).await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    anna.ok("message.send", json!({ "conversation": conversation, "text": "Which size?" })).await;
    let answered =
        vera.told_where("conversation.event", |event| event["by"]["kind"] == "agent" && event["type"] == "message").await;
    assert_eq!(answered.get("release_at"), None, "nobody waits for an answer");
    vera.listen(Duration::from_millis(1_300)).await;
    assert_eq!(count(&vera, &conversation, "released"), 0);
    vera.ok("message.send", json!({ "conversation": conversation, "text": "Forty" })).await;
    let asked = vera.told_where("conversation.event", |event| event["body"]["text"] == "Forty").await;
    let released = vera.event(&conversation, "released").await;
    not_before(&released, at(&asked["release_at"]));
}

#[tokio::test]
async fn an_idle_customer_who_is_served_is_closed_once_after_a_warning() {
    let world = World::start().await;
    world.set_queue(&world.acme.support, json!({ "close_after_ms": 1_500, "warn_before_ms": 500 })).await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    let close_at = told_deadline(&mut vera, &conversation, "close_at").await;
    for client in [&mut vera, &mut anna] {
        let warning = client.told_where("conversation.deadline", |told| told["warning"] == "close").await;
        assert_eq!(warning["close_at"], close_at);
        assert!((close_at - 500..close_at).contains(&now_ms()));
    }
    for client in [&mut vera, &mut anna] {
        let closed = client.event(&conversation, "closed").await;
        assert_eq!((&closed["body"]["cause"], &closed["by"]["kind"]), (&json!("inactive"), &json!("system")));
        not_before(&closed, close_at);
        client.listen(Duration::from_millis(200)).await;
        assert_eq!(count(client, &conversation, "closed"), 1);
    }
}

#[tokio::test]
async fn a_customer_who_writes_is_never_closed() {
    let world = World::start().await;
    world.set_queue(&world.acme.support, json!({ "close_after_ms": 1_000, "warn_before_ms": 0 })).await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    let mut last = 0;
    for round in 0..5 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (method, params) = match round % 3 {
            0 => ("message.send", json!({ "conversation": conversation, "text": "Still here" })),
            1 => ("typing.set", json!({ "conversation": conversation, "typing": true })),
            _ => ("metadata.update", json!({ "conversation": conversation, "metadata": { "page": round.to_string() } })),
        };
        vera.ok(method, params).await;
        let shown = vera.ok("conversation.get", json!({ "conversation": conversation })).await;
        assert_eq!(shown["state"], "active");
        assert!(at(&shown["close_at"]) > last, "{method} counts");
        last = at(&shown["close_at"]);
    }
    not_before(&vera.event(&conversation, "closed").await, last);
}

#[tokio::test]
async fn who_waits_is_closed_only_while_away() {
    let world = World::start().await;
    world.set_queue(&world.acme.support, json!({ "close_after_ms": 1_000, "warn_before_ms": 0 })).await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let conversation = world.start_conversation(&mut vera, "I have time").await;
    vera.listen(Duration::from_millis(1_400)).await;
    let shown = vera.ok("conversation.get", json!({ "conversation": conversation })).await;
    assert_eq!((&shown["state"], shown.get("close_at")), (&json!("waiting"), None), "the clock does not run");
    vera.cut();
    let away = anna.told_where("conversation.updated", |row| row["customer"]["connected"] == false).await;
    vera.resume().await;
    let back = anna.told_where("conversation.updated", |row| row["customer"]["connected"] == true).await;
    assert_eq!((away["close_at"].is_u64(), back.get("close_at")), (true, None), "nor for who came back");
    vera.cut();
    let away = anna.told_where("conversation.updated", |row| row["customer"]["connected"] == false).await;
    anna.told_where("conversation.updated", |row| row["state"] == "closed").await;
    assert!(now_ms() >= at(&away["close_at"]));
    vera.resume().await;
    vera.catch_up(&conversation).await;
    assert_eq!(vera.view(&conversation).types(), ["started", "queued", "message", "closed"]);
    not_before(&vera.view(&conversation).events[&4], at(&away["close_at"]));
}
