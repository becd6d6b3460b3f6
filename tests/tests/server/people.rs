//! Who is there, what is known of them, and who may not write.

use jono_tests::world::{World, id_of};
use serde_json::{Value, json};

#[tokio::test]
async fn what_the_page_tells_at_the_start_agents_see() {
    let world = World::start().await;
    let mut credential = world.as_customer("Vera");
    credential.params["locale"] = json!("fi-FI");
    credential.params["page"] = json!({ "url": "https://shop.example/cart", "basket": { "hat": 1 } });
    credential.params["metadata"] = json!({ "plan": "gold", "age": 44 });
    let mut vera = world.open(credential).await;
    let mut anna = world.agent(&world.acme.anna).await;
    let start = json!({ "queue": world.acme.support, "metadata": { "plan": "silver" }, "name": "Vera Virtanen" });
    let conversation = id_of(&vera.ok("conversation.start", start).await["conversation"]);
    anna.ok("conversation.claim", json!({ "conversation": conversation })).await;
    let started = anna.event(&conversation, "started").await;
    assert_eq!(started["body"]["name"], "Vera Virtanen");
    let known = json!({
        "age": "44", "basket": { "hat": "1" }, "locale": "fi-FI", "page": { "url": "https://shop.example/cart" }, "plan": "silver",
    });
    assert_eq!(started["body"]["metadata"], known);
    assert_eq!(vera.event(&conversation, "started").await["body"].get("metadata"), None);
}

#[tokio::test]
async fn typing_and_reading_reach_the_other_side() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    world.set_queue(&world.acme.support, json!({ "typing_preview": true })).await;
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    vera.ok("typing.set", json!({ "conversation": conversation, "typing": true, "preview": "I wou" })).await;
    let typing = anna.told("typing.changed").await;
    assert_eq!((&typing["typing"], &typing["preview"]), (&json!(true), &json!("I wou")));
    assert_eq!(typing["by"]["kind"], "customer");
    anna.ok("typing.set", json!({ "conversation": conversation, "typing": true, "preview": "not shown" })).await;
    let typing = vera.told_where("typing.changed", |typing| typing["by"]["kind"] == "agent").await;
    assert_eq!((&typing["by"]["name"], typing.get("preview")), (&json!("Anna"), None));
    anna.ok("typing.set", json!({ "conversation": conversation, "typing": false })).await;
    let is_annas = |typing: &Value| typing["by"]["kind"] == "agent";
    assert_eq!(vera.told_where("typing.changed", is_annas).await["typing"], false);

    let unread = anna.ok("conversation.get", json!({ "conversation": conversation })).await["unread"].clone();
    assert_eq!(unread, 1);
    anna.ok("receipt.read", json!({ "conversation": conversation, "seq": 3 })).await;
    let receipt = vera.told("receipt.changed").await;
    assert_eq!((&receipt["by"]["name"], &receipt["seq"]), (&json!("Anna"), &json!(3)));
    let shown = anna.ok("conversation.get", json!({ "conversation": conversation })).await;
    assert_eq!(shown["unread"], 0);
    assert_eq!(shown["marks"], json!([{ "by": { "kind": "agent", "id": world.acme.anna.id, "name": "Anna" }, "seq": 3 }]));
    anna.ok("receipt.read", json!({ "conversation": conversation, "seq": 2 })).await;
    let shown = anna.ok("conversation.get", json!({ "conversation": conversation })).await;
    assert_eq!(shown["marks"][0]["seq"], 3, "a mark never goes back");
    let refused = anna.refused("receipt.read", json!({ "conversation": conversation, "seq": 99 })).await;
    assert_eq!((refused.code(), refused.data("field")), (-32_602, &json!("seq")));
}

#[tokio::test]
async fn presence_is_told_with_its_cause() {
    let world = World::start().await;
    let settings = format!("/v1/organisations/{}/settings", world.acme.id);
    world.server.root("PATCH", &settings, Some(&json!({ "offline_after_ms": 1000 }))).await.with_status(200);
    let mut anna = world.agent(&world.acme.anna).await;
    let mut ben = world.agent(&world.acme.ben).await;
    let of_ben = |told: &Value| told["agent"] == world.acme.ben.id.as_str() && told["since"] != 0;
    let told = anna.told_where("agent.presence", of_ben).await;
    assert_eq!(told["connected"], true);
    assert_eq!((&told["status"], &told["cause"]), (&json!("online"), &json!("connected")));
    ben.ok("presence.set", json!({ "status": "away" })).await;
    let told = anna.told_where("agent.presence", of_ben).await;
    assert_eq!((&told["status"], &told["cause"]), (&json!("away"), &json!("chosen")));
    ben.ok("presence.set", json!({ "status": "online" })).await;
    anna.told_where("agent.presence", |told| of_ben(told) && told["status"] == "online").await;
    ben.cut();
    let (told, dropped) = anna.told_at("agent.presence", of_ben).await;
    assert_eq!((&told["status"], &told["connected"]), (&json!("online"), &json!(false)), "he may come back");
    let (told, gone) = anna.told_at("agent.presence", of_ben).await;
    assert_eq!((&told["status"], &told["cause"]), (&json!("offline"), &json!("timed_out")));
    assert!(gone - dropped >= std::time::Duration::from_millis(900), "not before its time");
    let list = anna.ok("agent.list", json!({ "queue": world.acme.support })).await;
    let ben = list["agents"].as_array().expect("agents").iter().find(|agent| agent["id"] == world.acme.ben.id.as_str());
    assert_eq!(ben.expect("Ben")["status"], "offline");
}

#[tokio::test]
async fn who_comes_for_the_first_time_is_not_said_to_have_gone() {
    let world = World::start().await;
    let mut anna = world.agent(&world.acme.anna).await;
    let _ben = world.agent(&world.acme.ben).await;
    anna.told_where("agent.presence", |told| told["agent"] == world.acme.ben.id.as_str() && told["connected"] == true).await;
    let mut told = anna.unread("agent.presence");
    told.retain(|told| told["status"] == "offline");
    assert_eq!(told, Vec::<&Value>::new());
}

#[tokio::test]
async fn canned_messages_are_ones_own_or_everybodys() {
    let world = World::start().await;
    let mut anna = world.agent(&world.acme.anna).await;
    let mut at_home = world.agent(&world.acme.anna).await;
    let mut olivia = world.agent(&world.acme.olivia).await;
    anna.ok("canned.set", json!({ "keyword": "hi", "text": "Hello, I am [agent]" })).await;
    let own = json!([{ "keyword": "hi", "text": "Hello, I am [agent]", "scope": "personal" }]);
    assert_eq!(at_home.told("canned.changed").await["canned"], own);
    anna.refused_as("forbidden", "canned.set", json!({ "keyword": "bye", "text": "Bye", "scope": "shared" })).await;
    olivia.ok("canned.set", json!({ "keyword": "bye", "text": "Bye", "scope": "shared" })).await;
    anna.told("organisation.changed").await;
    let all = anna.ok("canned.list", json!({})).await["canned"].clone();
    assert_eq!(all, json!([own[0], { "keyword": "bye", "text": "Bye", "scope": "shared" }]));
    assert_eq!(olivia.ok("canned.list", json!({})).await["canned"], json!([all[1]]), "others' own are not shown");
    anna.ok("canned.remove", json!({ "keyword": "hi" })).await;
    assert_eq!(anna.ok("canned.list", json!({})).await["canned"], json!([all[1]]));
}

#[tokio::test]
async fn a_blocked_customer_is_told_and_cannot_write() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    anna.ok("customer.block", json!({ "conversation": conversation, "duration_ms": 3_600_000 })).await;
    let blocked = vera.told("customer.blocked").await;
    assert_eq!(blocked["blocked"], true);
    let event = vera.event(&conversation, "blocked").await;
    assert_eq!(event["body"]["until"], blocked["until"]);
    let refused = vera.refused_as("blocked", "message.send", json!({ "conversation": conversation, "text": "But" })).await;
    assert_eq!(refused.data("until"), &blocked["until"]);
    vera.refused_as("blocked", "conversation.start", json!({ "queue": world.acme.sales })).await;
    vera.refused_as("blocked", "typing.set", json!({ "conversation": conversation, "typing": true })).await;
    let shown = anna.ok("conversation.get", json!({ "conversation": conversation })).await;
    assert_eq!(shown["blocked"]["until"], blocked["until"]);
    assert_eq!(vera.resume().await["me"]["blocked"]["until"], blocked["until"], "also when they come back");
    anna.ok("customer.unblock", json!({ "conversation": conversation })).await;
    assert_eq!(vera.told("customer.blocked").await["blocked"], false);
    vera.event(&conversation, "unblocked").await;
    vera.ok("message.send", json!({ "conversation": conversation, "text": "Sorry" })).await;
}

#[tokio::test]
async fn a_closed_or_full_queue_takes_nobody() {
    let world = World::start().await;
    let (mut vera, mut ville) = (world.customer("Vera").await, world.customer("Ville").await);
    let mut anna = world.agent(&world.acme.anna).await;
    anna.ok("queue.close", json!({ "queue": world.acme.support })).await;
    anna.told_where("queue.updated", |queue| queue["open"] == false).await;
    vera.refused_as("queue_closed", "conversation.start", json!({ "queue": world.acme.support })).await;
    let queues = vera.ok("queue.list", json!({})).await["queues"].clone();
    let open =
        |queue: &str| queues.as_array().expect("queues").iter().find(|it| it["id"] == queue).expect("offered")["open"].clone();
    assert_eq!((open(&world.acme.support), open(&world.acme.sales)), (json!(false), json!(true)));
    anna.ok("queue.open", json!({ "queue": world.acme.support })).await;
    world.set_queue(&world.acme.support, json!({ "waiting_max": 1 })).await;
    let waiting = world.start_conversation(&mut vera, "In").await;
    ville.refused_as("queue_full", "conversation.start", json!({ "queue": world.acme.support })).await;
    anna.ok("conversation.claim", json!({ "conversation": waiting })).await;
    ville.ok("conversation.start", json!({ "queue": world.acme.support })).await;
    anna.refused_as("not_found", "queue.close", json!({ "queue": world.acme.sales })).await;
}

#[tokio::test]
async fn a_customer_has_four_conversations_at_a_time() {
    let world = World::start().await;
    let mut vera = world.customer("Vera").await;
    let mut begun = Vec::new();
    for _ in 0..4 {
        begun.push(world.start_conversation(&mut vera, "One").await);
    }
    vera.refused_as("conflict", "conversation.start", json!({ "queue": world.acme.support })).await;
    vera.ok("conversation.leave", json!({ "conversation": begun[0] })).await;
    vera.event(&begun[0], "closed").await;
    world.start_conversation(&mut vera, "Another").await;
}
