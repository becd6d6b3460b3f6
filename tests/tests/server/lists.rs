//! Places in the queue, lists, and finding again.

use jono_tests::client::Client;
use jono_tests::world::{World, id_of};
use serde_json::{Value, json};

/// The ids in a list, in its order.
pub(crate) async fn rows(agent: &mut Client, view: &str) -> Vec<String> {
    let page = agent.ok("conversation.list", json!({ "view": view })).await;
    page["conversations"].as_array().expect("rows").iter().map(|row| id_of(&row["id"])).collect()
}

#[tokio::test]
async fn customers_are_told_their_place_as_it_gets_better() {
    let world = World::start().await;
    let (mut vera, mut ville) = (world.customer("Vera").await, world.customer("Ville").await);
    let mut anna = world.agent(&world.acme.anna).await;
    let first = world.start_conversation(&mut vera, "I was first").await;
    let started = ville.ok("conversation.start", json!({ "queue": world.acme.support })).await;
    assert_eq!(started["position"], 2);
    let second = id_of(&started["conversation"]);
    let picked = anna.ok("queue.pick", json!({ "queue": world.acme.support })).await;
    assert_eq!(picked["conversation"], first, "who waits longest is served first");
    let place = ville.told("conversation.position").await;
    assert_eq!((&place["conversation"], &place["position"]), (&json!(second), &json!(1)));
    assert_eq!(place.get("reason"), None);
    let shown = ville.ok("conversation.get", json!({ "conversation": second })).await;
    assert_eq!(shown["position"], 1);
}

#[tokio::test]
async fn priority_comes_first_and_those_it_passes_are_told_why() {
    let world = World::start().await;
    let (mut vera, mut ville) = (world.customer("Vera").await, world.customer("Ville").await);
    let mut anna = world.agent(&world.acme.anna).await;
    let first = world.start_conversation(&mut vera, "I was first").await;
    let second = world.start_conversation(&mut ville, "It burns").await;
    anna.ok("priority.set", json!({ "conversation": second, "priority": 5 })).await;
    let place = vera.told("conversation.position").await;
    assert_eq!((&place["conversation"], &place["position"], &place["reason"]), (&json!(first), &json!(2), &json!("priority")));
    let picked = anna.ok("queue.pick", json!({ "queue": world.acme.support })).await;
    assert_eq!(picked["conversation"], second);
    let refused = anna.refused("priority.set", json!({ "conversation": first, "priority": 10 })).await;
    assert_eq!((refused.code(), refused.data("field")), (-32_602, &json!("priority")));
}

#[tokio::test]
async fn lists_show_who_waits_then_who_is_served_oldest_message_first() {
    let world = World::start().await;
    let mut anna = world.agent(&world.acme.anna).await;
    let mut ben = world.agent(&world.acme.ben).await;
    let mut customers = Vec::new();
    for at in 0..4 {
        let mut customer = world.customer(&format!("Customer {at}")).await;
        let conversation = world.start_conversation(&mut customer, &format!("Message {at}")).await;
        customers.push((customer, conversation));
    }
    let id = |at: usize| customers[at].1.clone();
    let (ids, first) = ([id(0), id(1), id(2), id(3)], id(0));
    assert_eq!(rows(&mut anna, "open").await, ids);
    customers[0].0.ok("message.send", json!({ "conversation": first, "text": "Still there?" })).await;
    assert_eq!(rows(&mut anna, "open").await, [&ids[1], &ids[2], &ids[3], &ids[0]].map(Clone::clone));
    anna.ok("conversation.claim", json!({ "conversation": ids[1] })).await;
    anna.ok("conversation.claim", json!({ "conversation": ids[3] })).await;
    ben.ok("conversation.claim", json!({ "conversation": ids[2] })).await;
    assert_eq!(
        rows(&mut anna, "open").await,
        [&ids[0], &ids[1], &ids[2], &ids[3]].map(Clone::clone),
        "waiting, then in progress"
    );
    assert_eq!(rows(&mut anna, "mine").await, [&ids[1], &ids[3]].map(Clone::clone));
    let page = anna.ok("conversation.list", json!({ "view": "open", "limit": 3 })).await;
    let rest = anna.ok("conversation.list", json!({ "view": "open", "limit": 3, "cursor": page["cursor"] })).await;
    let count = |page: &Value| page["conversations"].as_array().map(Vec::len);
    assert_eq!((count(&page), count(&rest), rest.get("cursor")), (Some(3), Some(1), None));
    let row = &page["conversations"][0];
    assert_eq!(
        (&row["preview"], &row["unread"], &row["customer"]["connected"]),
        (&json!("Still there?"), &json!(2), &json!(true))
    );
    anna.ok("conversation.close", json!({ "conversation": ids[1] })).await;
    ben.ok("conversation.close", json!({ "conversation": ids[2] })).await;
    assert_eq!(rows(&mut anna, "closed").await, [&ids[2], &ids[1]].map(Clone::clone), "newest first");
}

#[tokio::test]
async fn rows_and_numbers_follow_what_happens() {
    let world = World::start().await;
    let mut anna = world.agent(&world.acme.anna).await;
    let (mut vera, mut ben) = (world.customer("Vera").await, world.agent(&world.acme.ben).await);
    let conversation = world.start_conversation(&mut vera, "Where is it?").await;
    let row = anna.told("conversation.updated").await;
    assert_eq!((&row["id"], &row["state"], &row["preview"]), (&json!(conversation), &json!("waiting"), &json!("Where is it?")));
    assert_eq!((&row["customer"]["name"], &row["unread"]), (&json!("Vera"), &json!(1)));
    let numbers = anna.told_where("queue.updated", |queue| queue["waiting"] == 1).await;
    assert!(numbers["longest_waiting_since"].is_u64(), "{numbers}");
    ben.ok("conversation.claim", json!({ "conversation": conversation })).await;
    let row = anna.told_where("conversation.updated", |row| row["state"] == "active").await;
    assert_eq!((&row["holder"]["name"], &row["claim"]), (&json!("Ben"), &json!(1)));
    assert!(row["release_at"].is_u64() && row["close_at"].is_u64());
    anna.told_where("queue.updated", |queue| queue["waiting"] == 0 && queue["active"] == 1).await;
    ben.ok("message.send", json!({ "conversation": conversation, "text": "On its way" })).await;
    anna.told_where("conversation.updated", |row| row["preview"] == "On its way").await;
    vera.cut();
    anna.told_where("conversation.updated", |row| row["customer"]["connected"] == false).await;
    ben.ok("conversation.close", json!({ "conversation": conversation })).await;
    anna.told_where("conversation.updated", |row| row["state"] == "closed").await;
    anna.told_where("queue.updated", |queue| queue["active"] == 0).await;
    let queues = anna.ok("queue.list", json!({})).await;
    assert_eq!(queues["queues"][0]["id"], world.acme.support);
    assert_eq!(queues["queues"].as_array().map(Vec::len), Some(1), "those that she serves");
}

#[tokio::test]
async fn words_are_found_in_what_the_agent_may_see() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let mut cleo = world.agent(&world.acme.cleo).await;
    let conversation = world.start_conversation(&mut vera, "My bicycle has no bell, ÄLÄ unohda").await;
    let elsewhere =
        vera.ok("conversation.start", json!({ "queue": world.acme.sales, "message": "A bicycle bell, please" })).await;
    anna.ok("conversation.claim", json!({ "conversation": conversation })).await;
    anna.ok("conversation.close", json!({ "conversation": conversation })).await;
    let found = anna.ok("conversation.search", json!({ "text": "bell bicycle" })).await;
    assert_eq!(found["hits"].as_array().map(Vec::len), Some(1), "{found}");
    let hit = &found["hits"][0];
    assert_eq!((&hit["conversation"]["id"], &hit["event"]["seq"]), (&json!(conversation), &json!(3)));
    assert_eq!(
        anna.ok("conversation.search", json!({ "text": "älä" })).await["hits"][0]["event"]["seq"],
        3,
        "case does not matter"
    );
    assert_eq!(anna.ok("conversation.search", json!({ "text": "bell tricycle" })).await["hits"], json!([]));
    let found = cleo.ok("conversation.search", json!({ "text": "bicycle" })).await;
    assert_eq!(found["hits"].as_array().map(Vec::len), Some(2), "{found}");
    let found = cleo.ok("conversation.search", json!({ "text": "bicycle", "queue": world.acme.sales })).await;
    assert_eq!(found["hits"][0]["conversation"]["id"], elsewhere["conversation"]);
    let at = hit["event"]["at"].as_u64().expect("a time");
    assert_eq!(anna.ok("conversation.search", json!({ "text": "bicycle", "from": at + 1 })).await["hits"], json!([]));
    assert_eq!(anna.ok("conversation.search", json!({ "text": "bicycle", "to": at })).await["hits"], json!([]));
}
