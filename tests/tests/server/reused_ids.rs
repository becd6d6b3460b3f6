//! What one organisation has removed, another never gets by its id (G11).

use jono_tests::http::{self, Answer};
use jono_tests::world::World;
use serde_json::{Value, json};

#[tokio::test]
async fn an_id_that_another_organisation_removed_is_unknown() {
    let mut world = World::start().await;
    let other = world.organisation("other").await;
    // Something of a customer is stored under the queue.
    let mut vera = world.customer("Vera").await;
    let conversation = world.start_conversation(&mut vera, "Between us").await;
    let at = |organisation: &str, rest: &str| format!("/v1/organisations/{organisation}/{rest}");
    let sites = world.server.root("GET", &at(&world.acme.id, "sites"), None).await.with_status(200);
    let site = sites["items"][0]["id"].as_str().expect("an id").to_owned();
    let removed = [
        ("sites", site, json!({ "key": "taken-over", "name": "Mine" })),
        ("agents", world.acme.cleo.id.clone(), json!({ "name": "Mine", "login": "mine" })),
        ("queues", world.acme.support.clone(), json!({ "name": "Mine" })),
    ];
    // Somebody waits: nobody could ever pick them if the queue went.
    let queue = at(&world.acme.id, &format!("queues/{}", world.acme.support));
    let refused = world.server.root("DELETE", &queue, None).await.with_status(409);
    assert_eq!(refused["error"]["reason"], "conflict");
    vera.ok("conversation.leave", json!({ "conversation": conversation })).await;
    let mut olga = world.agent(&world.acme.olivia).await;
    while olga.ok("queue.list", json!({})).await["queues"].as_array().expect("queues").iter().any(|it| it["waiting"] != 0) {
        olga.told("queue.updated").await;
    }
    for (list, id, _) in &removed {
        world.server.root("DELETE", &at(&world.acme.id, &format!("{list}/{id}")), None).await.with_status(204);
    }
    let attempts = async |world: &World| {
        for (list, id, body) in &removed {
            let path = at(&other.id, &format!("{list}/{id}"));
            let ask = async |method: &str, body: Option<&Value>| -> Answer {
                http::request(world.server.address(), method, &path, Some(&other.olivia.token), body).await
            };
            assert_eq!(ask("PUT", Some(body)).await.with_status(404)["error"]["reason"], "not_found", "{path}");
            ask("GET", None).await.with_status(404);
            ask("DELETE", None).await.with_status(404);
            world.server.root("PUT", &path, Some(body)).await.with_status(404);
            let listed = world.server.root("GET", &at(&other.id, list), None).await.with_status(200).to_string();
            assert!(!listed.contains(id.as_str()), "{listed}");
        }
    };
    attempts(&world).await;
    let mut olivia = world.agent(&other.olivia).await;
    assert!(!olivia.opened.to_string().contains(&world.acme.support), "{}", olivia.opened);
    for (method, params) in [
        ("conversation.list", json!({ "view": "open", "queue": world.acme.support })),
        ("conversation.history", json!({ "conversation": conversation })),
    ] {
        olivia.refused_as("not_found", method, params).await;
    }
    for (method, params) in [("conversation.search", json!({ "text": "Between" })), ("canned.list", json!({}))] {
        let found = olivia.ok(method, params).await;
        assert!(!found.to_string().contains("Between") && !found.to_string().contains(&conversation), "{found}");
    }
    world.server.kill9();
    world.server.restart().await;
    attempts(&world).await;
}
