//! Every method, for every role, on one's own and on others': nothing of one organisation shows to another,
//! and what is not there looks like what is not one's own (G11).

use std::collections::BTreeMap;

use jono_tests::client::{Client, Refused};
use jono_tests::documents::Method;
use jono_tests::world::{Organisation, World};
use serde_json::{Map, Value, json};

/// Ids that a request may name.
#[derive(Clone)]
struct Ids {
    conversation: String,
    queue: String,
    agent: String,
}

impl Ids {
    /// Proper ids of nothing.
    fn unknown() -> Self {
        let id = |prefix: &str| format!("{prefix}abcdefghijklmnopqrstuvwxyz");
        Self { conversation: id("conv_"), queue: id("q_"), agent: id("agt_") }
    }
}

/// Acceptable parameters of a method, those that it needs and those that name something.
fn params(method: Method<'_>, ids: &Ids) -> Value {
    let mut params = Map::new();
    for (name, is_required) in method.params() {
        let value = match name {
            "conversation" => json!(ids.conversation),
            "queue" => json!(ids.queue),
            "agent" if method.name() == "conversation.transfer" => continue,
            "agent" => json!(ids.agent),
            "text" => json!("hello"),
            "typing" => json!(true),
            "seq" => json!(1),
            "tag" => json!("bug"),
            "priority" => json!(1),
            "rating" => json!(5),
            "metadata" if is_required => json!({ "page": "/" }),
            "view" => json!("open"),
            "status" => json!("online"),
            "keyword" => json!("hello"),
            "role" => json!("customer"),
            _ if is_required => panic!("{}: `{name}` is not known here", method.name()),
            _ => continue,
        };
        params.insert(name.to_owned(), value);
    }
    Value::Object(params)
}

fn names_something(method: Method<'_>) -> bool {
    method.params().iter().any(|(name, _)| ["conversation", "queue", "agent"].contains(name))
}

/// A conversation of that organisation, and the ids around it.
async fn ids_of(world: &World, organisation: &Organisation) -> (Client, Ids) {
    let mut customer = world.customer_of(organisation, "Somebody").await;
    let start = json!({ "queue": organisation.sales, "message": "hello from inside" });
    let conversation = customer.ok("conversation.start", start).await["conversation"].as_str().expect("an id").to_owned();
    (customer, Ids { conversation, queue: organisation.sales.clone(), agent: organisation.ben.id.clone() })
}

#[tokio::test]
async fn every_method_is_for_its_roles_only() {
    let world = World::start().await;
    let (mut customer, ids) = ids_of(&world, &world.acme).await;
    let mut stranger = world.stranger().await;
    let (mut agent, mut operator) = (world.agent(&world.acme.ben).await, world.agent(&world.acme.olivia).await);
    let clients =
        [("before open", &mut stranger), ("customer", &mut customer), ("agent", &mut agent), ("operator", &mut operator)];
    for (role, client) in clients {
        for method in world.documents.methods() {
            // What ends the session or the conversation comes in tests of its own.
            if ["session.close", "session.open"].contains(&method.name()) {
                continue;
            }
            let is_allowed = method.roles().contains(&role);
            if is_allowed && ["conversation.leave", "conversation.close"].contains(&method.name()) {
                continue;
            }
            let answer = client.call(method.name(), params(method, &ids)).await;
            let reason = answer.as_ref().err().map_or("", Refused::reason);
            let expected = if role == "before open" { "unauthorized" } else { "forbidden" };
            assert_eq!(reason == expected, !is_allowed, "{} as {role}: {answer:?}", method.name());
            assert!(is_allowed || reason == expected, "{} as {role}: {answer:?}", method.name());
        }
    }
}

#[tokio::test]
async fn what_belongs_to_others_looks_like_what_is_not_there() {
    let world = World::start().await;
    let other = world.organisation("other").await;
    let (mut customer, own) = ids_of(&world, &world.acme).await;
    let (_stays, foreign) = ids_of(&world, &other).await;
    let (mut agent, mut operator) = (world.agent(&world.acme.ben).await, world.agent(&world.acme.olivia).await);
    let mut tried = 0;
    for (role, client) in [("customer", &mut customer), ("agent", &mut agent), ("operator", &mut operator)] {
        for method in world.documents.methods().filter(|method| names_something(*method) && method.roles().contains(&role)) {
            let mut pairs = vec![(foreign.clone(), Ids::unknown())];
            // One's own, and beside it somebody else's.
            let beside = |others: &Ids| Ids { conversation: own.conversation.clone(), ..others.clone() };
            if method.params().iter().filter(|(name, _)| ["conversation", "queue", "agent"].contains(name)).count() > 1 {
                pairs.push((beside(&foreign), beside(&Ids::unknown())));
            }
            for (foreign, unknown) in pairs {
                let theirs = client.call(method.name(), params(method, &foreign)).await;
                let nobodys = client.call(method.name(), params(method, &unknown)).await;
                assert_eq!(theirs, nobodys, "{} as {role}", method.name());
                let is_harmless = ["conversation.unfollow", "queue.unsubscribe"].contains(&method.name());
                match theirs {
                    Err(refused) => assert_eq!(refused.reason(), "not_found", "{} as {role}: {refused:?}", method.name()),
                    Ok(result) => assert!(is_harmless && result == json!({}), "{} as {role}: {result}", method.name()),
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 60, "{tried}");
}

#[tokio::test]
async fn customers_and_agents_see_their_own_only() {
    let world = World::start().await;
    let (_vera, theirs) = ids_of(&world, &world.acme).await;
    let (mut ville, mut anna) = (world.customer("Ville").await, world.agent(&world.acme.anna).await);
    // Anna does not serve sales, where that conversation is; Ville is somebody else.
    for (role, client) in [("customer", &mut ville), ("agent", &mut anna)] {
        let with_conversation =
            world.documents.methods().filter(|method| method.params().iter().any(|(name, _)| *name == "conversation"));
        for method in with_conversation.filter(|method| method.roles().contains(&role)) {
            let unknown = Ids { conversation: Ids::unknown().conversation, ..theirs.clone() };
            let answer = client.call(method.name(), params(method, &theirs)).await;
            assert_eq!(answer, client.call(method.name(), params(method, &unknown)).await, "{} as {role}", method.name());
            assert!(answer.is_err() || method.name() == "conversation.unfollow", "{} as {role}: {answer:?}", method.name());
        }
    }
    for method in ["queue.pick", "queue.subscribe", "queue.open", "queue.close"] {
        anna.refused_as("not_found", method, json!({ "queue": world.acme.sales })).await;
    }
    for view in ["open", "mine", "closed"] {
        assert_eq!(anna.ok("conversation.list", json!({ "view": view })).await["conversations"], json!([]));
    }
    assert_eq!(anna.ok("conversation.search", json!({ "text": "inside" })).await["hits"], json!([]));
    assert_eq!(anna.unread("conversation.updated"), Vec::<&Value>::new());
    let mut olivia = world.agent(&world.acme.olivia).await;
    olivia.ok("conversation.get", json!({ "conversation": theirs.conversation })).await;
    assert_eq!(olivia.ok("queue.list", json!({})).await["queues"].as_array().map(Vec::len), Some(2), "operators see all");
}

#[tokio::test]
async fn nothing_is_told_to_another_organisation() {
    let world = World::start().await;
    let other = world.organisation("other").await;
    let (mut spy, mut spying) = (world.agent(&other.olivia).await, world.customer_of(&other, "Spy").await);
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    anna.ok("message.send", json!({ "conversation": conversation, "text": "The password is swordfish" })).await;
    anna.ok("presence.set", json!({ "status": "away" })).await;
    anna.ok("queue.close", json!({ "queue": world.acme.support })).await;
    spy.listen(std::time::Duration::from_millis(300)).await;
    spying.ok("ping", json!({})).await;
    let own = [&other.anna.id, &other.ben.id, &other.cleo.id, &other.olivia.id];
    for told in spy.unread("agent.presence") {
        assert!(own.iter().any(|id| told["agent"] == id.as_str()), "{told}");
    }
    let heard = |client: &Client| -> BTreeMap<String, usize> {
        client
            .heard
            .iter()
            .filter(|(name, _)| name.as_str() != "agent.presence")
            .map(|(name, count)| (name.clone(), *count))
            .collect()
    };
    assert_eq!(heard(&spy).keys().collect::<Vec<_>>(), ["session.open"]);
    assert_eq!(heard(&spying).keys().collect::<Vec<_>>(), ["ping", "session.open"]);
    assert_eq!(spy.ok("conversation.search", json!({ "text": "swordfish" })).await["hits"], json!([]));
}
