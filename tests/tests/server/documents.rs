//! The documents say what is: every client of these tests holds what it hears against the OpenRPC document; here
//! everything in it is heard.

use std::collections::BTreeSet;
use std::path::Path;

use jono_tests::client::Client;
use jono_tests::http;
use jono_tests::world::{World, id_of};
use serde_json::{Value, json};

#[tokio::test]
async fn all_that_is_documented_is_heard() {
    let mut world = World::start().await;
    let settings = json!({ "release_after_ms": 1_000, "warn_before_ms": 300, "typing_preview": true });
    world.set_queue(&world.acme.sales, settings).await;
    let (mut vera, mut ville) = (world.customer("Vera").await, world.customer("Ville").await);
    let (mut ben, mut olivia) = (world.agent(&world.acme.ben).await, world.agent(&world.acme.olivia).await);
    let mut cleo = world.agent(&world.acme.cleo).await;
    let queue = world.acme.sales.clone();
    let start = json!({ "queue": queue, "message": "Hello?", "metadata": { "page": "/" } });
    let conversation = id_of(&vera.ok("conversation.start", start).await["conversation"]);
    let behind = id_of(&ville.ok("conversation.start", json!({ "queue": queue })).await["conversation"]);
    let of = |more: Value| {
        let mut params = json!({ "conversation": conversation });
        params.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        params
    };
    olivia.ok("priority.set", json!({ "conversation": behind, "priority": 1 })).await;
    vera.told("conversation.position").await;
    olivia.ok("priority.set", json!({ "conversation": behind, "priority": 0 })).await;
    ben.ok("queue.subscribe", json!({ "queue": queue })).await;
    ben.ok("queue.pick", json!({ "queue": queue })).await;
    ben.ok("message.send", of(json!({ "text": "Hello!" }))).await;
    ben.ok("note.add", of(json!({ "text": "New here" }))).await;
    for method in ["tag.add", "tag.remove"] {
        ben.ok(method, of(json!({ "tag": "bug" }))).await;
    }
    ben.ok("priority.set", of(json!({ "priority": -1 }))).await;
    vera.ok("metadata.update", of(json!({ "metadata": { "page": null, "form": { "size": 40 } } }))).await;
    vera.ok("typing.set", of(json!({ "typing": true, "preview": "I" }))).await;
    vera.ok("receipt.read", of(json!({ "seq": 1 }))).await;
    ben.told("typing.changed").await;
    ben.told("receipt.changed").await;
    ben.ok("conversation.touch", of(json!({}))).await;
    ben.ok("customer.block", of(json!({}))).await;
    ben.ok("customer.unblock", of(json!({}))).await;
    vera.told_where("customer.blocked", |told| told["blocked"] == false).await;
    ben.ok("conversation.release", of(json!({}))).await;
    ben.ok("conversation.claim", of(json!({}))).await;
    ben.ok("conversation.assign", of(json!({ "agent": world.acme.cleo.id }))).await;
    cleo.told("conversation.followed").await;
    cleo.ok("conversation.transfer", of(json!({ "queue": world.acme.support }))).await;
    ben.ok("conversation.claim", of(json!({}))).await;
    ben.ok("conversation.transfer", of(json!({ "queue": queue }))).await;
    let mut anna = world.agent(&world.acme.anna).await;
    ben.ok("conversation.transfer", of(json!({ "queue": world.acme.support }))).await;
    anna.ok("conversation.claim", of(json!({}))).await;
    anna.told("conversation.followed").await;
    anna.ok("conversation.transfer", of(json!({ "queue": queue }))).await;
    anna.told("conversation.unfollowed").await;
    ben.ok("conversation.claim", json!({ "conversation": behind })).await;
    ville.told_where("conversation.deadline", |told| told["warning"] == "release").await;
    ville.event(&behind, "released").await;
    ben.ok("conversation.follow", json!({ "conversation": conversation })).await;
    ben.ok("conversation.get", json!({ "conversation": conversation })).await;
    ben.ok("conversation.history", json!({ "conversation": conversation })).await;
    ben.ok("conversation.unfollow", json!({ "conversation": conversation })).await;
    ben.ok("conversation.claim", of(json!({}))).await;
    ben.ok("conversation.close", of(json!({}))).await;
    vera.event(&conversation, "closed").await;
    vera.ok("conversation.rate", of(json!({ "rating": 1, "comment": "Slow" }))).await;
    vera.ok("conversation.get", of(json!({}))).await;
    ville.ok("conversation.leave", json!({ "conversation": behind })).await;
    for view in ["open", "mine", "closed"] {
        ben.ok("conversation.list", json!({ "view": view })).await;
    }
    assert_ne!(ben.ok("conversation.search", json!({ "text": "hello" })).await["hits"], json!([]));
    for method in ["queue.close", "queue.open"] {
        ben.ok(method, json!({ "queue": queue })).await;
    }
    ben.ok("presence.set", json!({ "status": "away" })).await;
    for method in ["agent.list", "queue.list", "canned.list", "tag.list"] {
        olivia.ok(method, json!({})).await;
    }
    vera.ok("queue.list", json!({})).await;
    ben.ok("canned.set", json!({ "keyword": "hi", "text": "Hello" })).await;
    ben.ok("canned.remove", json!({ "keyword": "hi" })).await;
    olivia.ok("canned.set", json!({ "keyword": "hi", "text": "Hello", "scope": "shared" })).await;
    for name in [
        "organisation.changed",
        "agent.presence",
        "queue.updated",
        "conversation.updated",
        "notification.raised",
        "canned.changed",
    ] {
        ben.told(name).await;
    }
    ben.ok("queue.unsubscribe", json!({ "queue": queue })).await;
    ben.ok("ping", json!({})).await;
    ben.ok("session.close", json!({})).await;
    assert_eq!(ben.end().await.0, 1000);
    world.server.terminate();
    vera.end().await;
    world.server.ended().await;

    let heard: BTreeSet<&str> = [&vera, &ville, &ben, &cleo, &anna, &olivia].into_iter().flat_map(names).collect();
    let methods = world.documents.methods().map(|method| method.name());
    let mut documented: BTreeSet<&str> = methods.chain(world.documents.notifications()).collect();
    // Said only among several processes: heard in `cluster/operators.rs`.
    assert!(documented.remove("queue.renewed"));
    assert_eq!(documented.difference(&heard).collect::<Vec<_>>(), Vec::<&&str>::new(), "documented, and not heard");
}

fn names(client: &Client) -> impl Iterator<Item = &str> {
    client.heard.keys().map(String::as_str)
}

#[tokio::test]
async fn the_documents_in_the_repository_are_those_that_are_served() {
    let world = World::start().await;
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for name in ["openapi.json", "openrpc.json"] {
        let served = http::request(world.server.address(), "GET", &format!("/v1/{name}"), None, None).await.with_status(200);
        let kept = std::fs::read_to_string(docs.join(name)).unwrap_or_else(|error| panic!("docs/{name}: {error}"));
        let kept: Value = serde_json::from_str(&kept).expect("JSON");
        assert!(kept == served, "docs/{name} is stale");
    }
}
