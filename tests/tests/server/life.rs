//! The life of a conversation, between customers and agents.

use jono_tests::world::{World, id_of};
use serde_json::{Value, json};

use crate::lists::rows;

fn numbers(result: &Value) -> (u64, u64) {
    (result["seq"].as_u64().expect("a number"), result["at"].as_u64().expect("a time"))
}

#[tokio::test]
async fn a_conversation_goes_from_the_queue_to_its_rating() {
    let world = World::start().await;
    let mut vera = world.customer("Vera").await;
    let mut anna = world.agent(&world.acme.anna).await;
    let started = vera.ok("conversation.start", json!({ "queue": world.acme.support, "message": "Hello?" })).await;
    assert_eq!((&started["state"], &started["position"]), (&json!("waiting"), &json!(1)));
    let conversation = id_of(&started["conversation"]);
    assert_eq!(vera.told("conversation.followed").await["id"], conversation);
    assert_eq!(vera.event(&conversation, "message").await["body"]["text"], "Hello?");
    assert_eq!(anna.told("notification.raised").await["preview"], "Hello?");

    let picked = anna.ok("queue.pick", json!({ "queue": world.acme.support })).await;
    assert_eq!((&picked["conversation"], &picked["claim"]), (&json!(conversation), &json!(1)));
    assert!(picked["release_at"].as_u64() > Some(0));
    let claimed = vera.event(&conversation, "claimed").await;
    assert_eq!(claimed["body"]["agent"], json!({ "id": world.acme.anna.id, "name": "Anna" }));
    assert_eq!(anna.told("conversation.followed").await["holder"]["name"], "Anna");

    let text = "Päivää!\nLine two\r\n\ttabbed \u{1f600} \"quoted\" \\ </script> \u{2028}";
    let sent = anna.ok("message.send", json!({ "conversation": conversation, "text": text, "claim": 1 })).await;
    let (seq, at) = numbers(&sent);
    let heard = vera.event(&conversation, "message").await;
    assert_eq!(heard["body"]["text"], text);
    assert_eq!((heard["seq"].as_u64(), heard["at"].as_u64()), (Some(seq), Some(at)));
    assert_eq!(heard["by"], json!({ "kind": "agent", "id": world.acme.anna.id, "name": "Anna" }));
    vera.ok("message.send", json!({ "conversation": conversation, "text": "Thank you" })).await;

    anna.ok("conversation.close", json!({ "conversation": conversation, "claim": 1 })).await;
    assert_eq!(vera.event(&conversation, "closed").await["body"]["cause"], "agent");
    vera.ok("conversation.rate", json!({ "conversation": conversation, "rating": 5, "comment": "Fast" })).await;
    assert_eq!(anna.event(&conversation, "rated").await["body"], json!({ "rating": 5, "comment": "Fast" }));
    vera.refused_as("conflict", "conversation.rate", json!({ "conversation": conversation, "rating": 1 })).await;
    for client in [&mut vera, &mut anna] {
        client.catch_up(&conversation).await;
        let types = ["started", "queued", "message", "claimed", "message", "message", "closed", "rated"];
        assert_eq!(client.view(&conversation).types(), types);
        assert_eq!(client.view(&conversation).texts(), ["Hello?", text, "Thank you"]);
        let history = client.ok("conversation.history", json!({ "conversation": conversation })).await;
        let told: Vec<_> = client.view(&conversation).events.values().cloned().collect();
        assert_eq!(history["events"], json!(told), "history is what was told");
    }
    let shown = anna.ok("conversation.get", json!({ "conversation": conversation })).await;
    assert_eq!((&shown["state"], &shown["rating"], &shown["head"]), (&json!("closed"), &json!(5), &json!(8)));
}

#[tokio::test]
async fn one_agent_wins_and_every_other_learns_who() {
    let world = World::start().await;
    let mut vera = world.customer("Vera").await;
    let mut agents = Vec::new();
    for account in [&world.acme.anna, &world.acme.ben, &world.acme.cleo] {
        agents.push(world.agent(account).await);
    }
    let conversation = world.start_conversation(&mut vera, "Who will it be?").await;
    let mut asked = Vec::new();
    for agent in &mut agents {
        asked.push(agent.ask("conversation.claim", json!({ "conversation": conversation })).await);
    }
    let mut answers = Vec::new();
    for (agent, id) in agents.iter_mut().zip(asked) {
        answers.push(agent.answer(id).await);
    }
    let winners: Vec<_> = (0..3).filter(|at| answers[*at].is_ok()).collect();
    let [winner] = winners[..] else { panic!("one wins: {answers:?}") };
    let name = ["Anna", "Ben", "Cleo"][winner];
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(refused.reason(), "claim_held");
        assert_eq!(refused.data("holder")["name"], name);
        assert!(refused.data("release_at").is_u64());
    }
    let loser = &mut agents[(winner + 1) % 3];
    let refused = loser.refused("message.send", json!({ "conversation": conversation, "text": "Me too" })).await;
    assert_eq!((refused.reason(), &refused.data("holder")["name"]), ("claim_held", &json!(name)));
    loser.refused_as("claim_lost", "message.send", json!({ "conversation": conversation, "text": "Me", "claim": 1 })).await;
    loser.refused_as("queue_empty", "queue.pick", json!({ "queue": world.acme.support })).await;
    loser.ok("note.add", json!({ "conversation": conversation, "text": "I know this customer" })).await;
    let again = agents[winner].ok("conversation.claim", json!({ "conversation": conversation })).await;
    assert_eq!(again["claim"], 1, "who holds it holds it");
}

#[tokio::test]
async fn what_is_for_agents_customers_never_hear_of() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    let of = |more: Value| {
        let mut params = json!({ "conversation": conversation });
        params.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        params
    };
    anna.ok("note.add", of(json!({ "text": "Secret note" }))).await;
    anna.ok("tag.add", of(json!({ "tag": "bug" }))).await;
    anna.ok("tag.remove", of(json!({ "tag": "bug" }))).await;
    anna.ok("tag.add", of(json!({ "tag": "order" }))).await;
    anna.ok("priority.set", of(json!({ "priority": 3 }))).await;
    vera.ok("metadata.update", of(json!({ "metadata": { "page": "/cart", "basket": { "hat": 2 } } }))).await;
    let said = anna.ok("message.send", of(json!({ "text": "Visible" }))).await;
    let heard = vera.event(&conversation, "claimed").await;
    let message = vera.told_where("conversation.event", |event| event["body"]["text"] == "Visible").await;
    assert_eq!(message["prev"], heard["seq"], "for the customer there is nothing between");
    assert_eq!(message["seq"], said["seq"]);
    anna.catch_up(&conversation).await;
    let types = anna.view(&conversation).types().join(" ");
    assert_eq!(types, "started queued message claimed note tagged untagged tagged prioritised metadata message");
    assert_eq!(vera.view(&conversation).types(), ["started", "queued", "message", "claimed", "message"]);
    let history = vera.ok("conversation.history", json!({ "conversation": conversation })).await.to_string();
    let shown = vera.ok("conversation.get", json!({ "conversation": conversation })).await.to_string();
    for secret in ["Secret note", "order", "/cart", "tags", "metadata"] {
        assert!(!history.contains(secret) && !shown.contains(secret), "{secret}");
    }
    let shown = anna.ok("conversation.get", json!({ "conversation": conversation })).await;
    assert_eq!(shown["tags"], json!(["order"]));
    assert_eq!(shown["metadata"], json!({ "page": "/cart", "basket": { "hat": "2" } }));
    assert_eq!(shown["priority"], 3);
    anna.refused_as("not_found", "tag.add", of(json!({ "tag": "nobody-defined-this" }))).await;
    let nothing = anna.ok("tag.add", of(json!({ "tag": "order" }))).await;
    assert_eq!(nothing, json!({}), "nothing changed, nothing is written");
}

#[tokio::test]
async fn a_conversation_is_handed_over_to_who_is_online() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, claim) = world.conversation(&mut vera, &mut anna).await;
    let to_ben = json!({ "conversation": conversation, "agent": world.acme.ben.id, "claim": claim });
    anna.refused_as("no_agents", "conversation.assign", to_ben.clone()).await;
    let mut ben = world.agent(&world.acme.ben).await;
    ben.ok("presence.set", json!({ "status": "away" })).await;
    anna.refused_as("no_agents", "conversation.assign", to_ben.clone()).await;
    ben.ok("presence.set", json!({ "status": "online" })).await;
    anna.ok("conversation.assign", to_ben.clone()).await;
    let assigned = vera.event(&conversation, "assigned").await;
    assert_eq!((&assigned["body"]["from"]["name"], &assigned["body"]["to"]["name"]), (&json!("Anna"), &json!("Ben")));
    let followed = ben.told("conversation.followed").await;
    assert_eq!(
        (&followed["id"], &followed["claim"], &followed["holder"]["name"]),
        (&json!(conversation), &json!(2), &json!("Ben"))
    );
    ben.catch_up(&conversation).await;
    assert_eq!(ben.view(&conversation).types(), ["started", "queued", "message", "claimed", "assigned"], "with its history");

    let refused = anna.refused("message.send", json!({ "conversation": conversation, "text": "Late", "claim": claim })).await;
    assert_eq!(
        (refused.reason(), refused.data("claim"), &refused.data("holder")["name"]),
        ("claim_lost", &json!(2), &json!("Ben"))
    );
    ben.ok("message.send", json!({ "conversation": conversation, "text": "I am Ben", "claim": 2 })).await;
    assert_eq!(rows(&mut anna, "mine").await, Vec::<String>::new());
    assert_eq!(rows(&mut ben, "mine").await, std::slice::from_ref(&conversation));
    let stranger = json!({ "conversation": conversation, "agent": world.acme.olivia.id, "claim": 2 });
    ben.refused_as("not_found", "conversation.assign", stranger).await;
}

#[tokio::test]
async fn a_conversation_moves_to_another_queue_with_its_history() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let mut ben = world.agent(&world.acme.ben).await;
    let (conversation, claim) = world.conversation(&mut vera, &mut anna).await;
    anna.catch_up(&conversation).await;
    let there = json!({ "conversation": conversation, "queue": world.acme.sales, "note": "Wants to buy", "claim": claim });
    anna.ok("conversation.transfer", there).await;
    let moved = vera.event(&conversation, "transferred").await;
    assert_eq!(moved["body"], json!({ "from": world.acme.support, "to": world.acme.sales }));
    assert_eq!(anna.told("conversation.unfollowed").await["conversation"], conversation);
    anna.refused_as("not_found", "conversation.get", json!({ "conversation": conversation })).await;
    let gone = anna.told_where("conversation.updated", |row| row["queue"] == world.acme.sales).await;
    assert_eq!(gone["id"], conversation, "its row is told once more, so that lists drop it");

    let picked = ben.ok("queue.pick", json!({ "queue": world.acme.sales })).await;
    assert_eq!(picked["conversation"], conversation);
    ben.catch_up(&conversation).await;
    let types = ben.view(&conversation).types().join(" ");
    assert_eq!(types, "started queued message claimed note transferred claimed");
    let both = json!({ "conversation": conversation, "queue": world.acme.support, "agent": world.acme.cleo.id });
    assert_eq!(ben.refused("conversation.transfer", both).await.code(), -32_602);
    world.set_queue(&world.acme.sales, json!({ "transfer_targets": [] })).await;
    let back = json!({ "conversation": conversation, "queue": world.acme.support, "claim": picked["claim"] });
    ben.refused_as("forbidden", "conversation.transfer", back).await;
}

#[tokio::test]
async fn a_released_conversation_keeps_its_place_and_is_open_to_everybody() {
    let world = World::start().await;
    let (mut vera, mut ville) = (world.customer("Vera").await, world.customer("Ville").await);
    let (mut anna, mut ben) = (world.agent(&world.acme.anna).await, world.agent(&world.acme.ben).await);
    let (conversation, claim) = world.conversation(&mut vera, &mut anna).await;
    world.start_conversation(&mut ville, "Behind her").await;
    anna.ok("conversation.touch", json!({ "conversation": conversation, "claim": claim })).await;
    anna.ok("conversation.release", json!({ "conversation": conversation, "claim": claim })).await;
    let released = vera.event(&conversation, "released").await;
    assert_eq!((&released["body"]["cause"], released.get("release_at")), (&json!("manual"), None));
    let place = ville.told_where("conversation.position", |place| place["position"] == 2).await;
    assert_eq!(place["reason"], "returned");
    let picked = ben.ok("queue.pick", json!({ "queue": world.acme.support })).await;
    assert_eq!((&picked["conversation"], &picked["claim"]), (&json!(conversation), &json!(2)));
    anna.refused_as("claim_lost", "conversation.touch", json!({ "conversation": conversation, "claim": claim })).await;
}

#[tokio::test]
async fn either_side_may_end_it_and_nobody_writes_afterwards() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    for (is_by_customer, cause) in [(true, "customer"), (false, "agent")] {
        let (conversation, claim) = world.conversation(&mut vera, &mut anna).await;
        let end = json!({ "conversation": conversation });
        if is_by_customer {
            vera.ok("conversation.leave", end).await;
        } else {
            anna.ok("conversation.close", end).await;
        }
        for client in [&mut vera, &mut anna] {
            assert_eq!(client.event(&conversation, "closed").await["body"]["cause"], cause);
            let late = json!({ "conversation": conversation, "text": "One more thing" });
            client.refused_as("conversation_closed", "message.send", late).await;
            client.refused_as("conversation_closed", "typing.set", json!({ "conversation": conversation, "typing": true })).await;
        }
        anna.refused_as("conversation_closed", "conversation.claim", json!({ "conversation": conversation })).await;
        anna.refused_as("conversation_closed", "conversation.release", json!({ "conversation": conversation, "claim": claim }))
            .await;
        vera.refused_as("conversation_closed", "conversation.leave", json!({ "conversation": conversation })).await;
        anna.ok("note.add", json!({ "conversation": conversation, "text": "For later" })).await;
        anna.ok("tag.add", json!({ "conversation": conversation, "tag": "bug" })).await;
        assert!(rows(&mut anna, "closed").await.contains(&conversation));
        assert!(!rows(&mut anna, "open").await.contains(&conversation));
    }
}
