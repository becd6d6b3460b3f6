//! Coming back: what was missed comes exactly once, or it is said that it does not (G3, G4).

use jono_tests::client::{Client, Refused};
use jono_tests::view::assert_same;
use jono_tests::world::{World, id_of};
use serde_json::{Value, json};

async fn say(client: &mut Client, conversation: &str, texts: impl IntoIterator<Item = String>) {
    for text in texts {
        client.ok("message.send", json!({ "conversation": conversation, "text": text })).await;
    }
}

fn texts(what: &str, range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("{what} {number}")).collect()
}

#[tokio::test]
async fn what_was_missed_comes_exactly_once() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    let mut expected = vec!["Hello?".to_owned()];
    for round in 0..3 {
        let (before, missed, after) = (texts("before", 0..2), texts("missed", 0..20), texts("after", 0..2));
        say(&mut anna, &conversation, before.clone()).await;
        if round > 0 {
            // Otherwise it is cut in the middle of what is told.
            vera.catch_up(&conversation).await;
        }
        vera.cut();
        say(&mut anna, &conversation, missed.clone()).await;
        anna.ok("note.add", json!({ "conversation": conversation, "text": "Not for her" })).await;
        let opened = vera.resume().await;
        assert_eq!(opened["resumed"], true);
        assert_eq!(opened["conversations"][0]["id"], conversation);
        say(&mut anna, &conversation, after.clone()).await;
        vera.catch_up(&conversation).await;
        expected.extend([before, missed, after].concat());
        assert_eq!(vera.view(&conversation).texts(), expected);
        assert_eq!(vera.view(&conversation).gaps, []);
    }
    anna.cut();
    say(&mut vera, &conversation, texts("while Anna was away", 0..5)).await;
    assert_eq!(anna.resume().await["resumed"], true);
    anna.catch_up(&conversation).await;
    assert_eq!(anna.view(&conversation).texts()[expected.len()..], texts("while Anna was away", 0..5));
}

#[tokio::test]
async fn missed_events_and_live_ones_join_without_a_seam() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    for round in 0..5 {
        vera.cut();
        // Under way while she comes back.
        for text in texts(&format!("round {round}"), 0..40) {
            anna.ask("message.send", json!({ "conversation": conversation, "text": text })).await;
        }
        assert_eq!(vera.resume().await["resumed"], true);
    }
    anna.catch_up(&conversation).await;
    anna.ok("message.send", json!({ "conversation": conversation, "text": "the end" })).await;
    vera.told_where("conversation.event", |event| event["body"]["text"] == "the end").await;
    anna.catch_up(&conversation).await;
    assert_eq!(vera.view(&conversation).texts().len(), 202);
    assert_same(vera.view(&conversation), anna.view(&conversation));
}

#[tokio::test]
async fn a_second_tab_is_the_same_customer() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    let mut credential = world.as_customer("Vera");
    credential.params["resume"] = vera.opened["resume"].clone();
    let mut tab = world.open(credential).await;
    assert_eq!((&tab.opened["me"]["id"], &tab.opened["resumed"]), (&vera.opened["me"]["id"], &json!(true)));
    tab.catch_up(&conversation).await;
    assert_eq!(tab.view(&conversation).types(), ["started", "queued", "message", "claimed"], "from the beginning");
    say(&mut tab, &conversation, ["from the tab".to_owned()]).await;
    say(&mut vera, &conversation, ["from the page".to_owned()]).await;
    let other = id_of(&tab.ok("conversation.start", json!({ "queue": world.acme.sales })).await["conversation"]);
    assert_eq!(vera.told_where("conversation.followed", |it| it["id"] == other.as_str()).await["queue"], world.acme.sales);
    for client in [&mut vera, &mut tab, &mut anna] {
        client.catch_up(&conversation).await;
        assert_eq!(client.view(&conversation).texts(), ["Hello?", "from the tab", "from the page"]);
    }
    tab.cut();
    say(&mut anna, &conversation, ["still there?".to_owned()]).await;
    vera.event(&conversation, "message").await;
    let row = anna.ok("conversation.get", json!({ "conversation": conversation })).await;
    assert_eq!(row["customer"]["connected"], true, "one tab is enough");
}

#[tokio::test]
async fn all_sessions_of_an_agent_follow_what_the_agent_holds() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let mut phone = world.agent(&world.acme.anna).await;
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    for client in [&mut anna, &mut phone] {
        assert_eq!(client.told("conversation.followed").await["id"], conversation);
    }
    say(&mut phone, &conversation, ["from the phone".to_owned()]).await;
    let mut late = world.agent(&world.acme.anna).await;
    assert_eq!(late.opened["conversations"][0]["id"], conversation);
    for client in [&mut anna, &mut phone, &mut late] {
        client.catch_up(&conversation).await;
        assert_eq!(client.view(&conversation).texts(), ["Hello?", "from the phone"]);
    }
}

#[tokio::test]
async fn an_agent_follows_and_unfollows_what_others_hold() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let mut ben = world.agent(&world.acme.ben).await;
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    let followed = ben.ok("conversation.follow", json!({ "conversation": conversation, "after": 2 })).await;
    assert_eq!(followed["from_seq"], 2);
    say(&mut anna, &conversation, ["seen by Ben".to_owned()]).await;
    ben.catch_up(&conversation).await;
    assert_eq!(ben.view(&conversation).texts(), ["Hello?", "seen by Ben"]);
    assert_eq!(ben.resume().await["resumed"], true, "`since` may name what is not held");
    ben.ok("conversation.unfollow", json!({ "conversation": conversation })).await;
    // That nothing comes any more, the view sees to.
    say(&mut anna, &conversation, texts("unseen", 0..5)).await;
    anna.catch_up(&conversation).await;
    ben.ok("conversation.get", json!({ "conversation": conversation })).await;
}

/// The answer to `session.open`, and the code that closed the connection.
async fn turned_away(world: &World, params: Value) -> (Refused, u16) {
    let mut stranger = world.stranger().await;
    let refused = stranger.refused("session.open", params).await;
    (refused, stranger.end().await.0)
}

#[tokio::test]
async fn a_credential_that_is_not_good_is_refused_for_good() {
    let world = World::start().await;
    let other = world.organisation("other").await;
    let vera = world.customer("Vera").await;
    let resume = id_of(&vera.opened["resume"]);
    let mut forged = resume.clone();
    let last = forged.pop().expect("not empty");
    forged.push(if last == 'A' { 'B' } else { 'A' });
    let customer = |site: &str, resume: &str| json!({ "role": "customer", "site": site, "resume": resume });
    let bad = [
        customer(&world.acme.site, &forged),
        customer(&world.acme.site, ""),
        customer(&world.acme.site, "jrt_nonsense"),
        customer(&other.site, &resume),
        json!({ "role": "customer", "site": "no-such-site" }),
        json!({ "role": "agent", "token": "jat_nobody" }),
        json!({ "role": "agent", "token": resume }),
        json!({ "role": "agent", "token": "" }),
    ];
    for params in bad {
        let (refused, code) = turned_away(&world, params.clone()).await;
        assert_eq!((refused.reason(), code), ("unauthorized", 4001), "{params}");
    }
}

#[tokio::test]
async fn a_token_that_is_taken_away_ends_its_sessions() {
    let world = World::start().await;
    let mut anna = world.agent(&world.acme.anna).await;
    let agent = format!("/v1/organisations/{}/agents/{}", world.acme.id, world.acme.anna.id);
    let token = world.server.root("GET", &agent, None).await.with_status(200)["tokens"][0]["id"].clone();
    world.server.root("DELETE", &format!("{agent}/tokens/{}", id_of(&token)), None).await.with_status(204);
    assert_eq!(anna.end().await.0, 4004);
    let (refused, code) = turned_away(&world, json!({ "role": "agent", "token": world.acme.anna.token })).await;
    assert_eq!((refused.reason(), code), ("unauthorized", 4001));
}

#[tokio::test]
async fn a_gap_is_announced_and_can_be_read() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    vera.catch_up(&conversation).await;
    let known = vera.view(&conversation).last;
    vera.cut();
    let mut asked = Vec::new();
    for number in 0..560 {
        if asked.len() == 32 {
            anna.answer(asked.remove(0)).await.expect("granted");
        }
        asked.push(anna.ask("message.send", json!({ "conversation": conversation, "text": number.to_string() })).await);
    }
    for id in asked {
        anna.answer(id).await.expect("granted");
    }
    let opened = vera.resume().await;
    let told_from = opened["conversations"][0]["from_seq"].as_u64().expect("a number");
    assert_eq!((&opened["resumed"], told_from), (&json!(false), known + 60), "the last 500 are told");
    vera.catch_up(&conversation).await;
    let missing = json!({ "conversation": conversation, "after": known, "limit": 60 });
    let missing = vera.ok("conversation.history", missing).await;
    assert_eq!(missing["more"], true);
    let missing = missing["events"].as_array().expect("events");
    assert_eq!((&missing[0]["body"]["text"], missing.len()), (&json!("0"), 60));
    assert_eq!(vera.view(&conversation).texts()[1..], (60..560).map(|it| it.to_string()).collect::<Vec<_>>());
    let before = json!({ "conversation": conversation, "before": known + 1, "limit": 2 });
    let before = vera.ok("conversation.history", before).await;
    assert_eq!((&before["events"][1]["seq"], &before["more"]), (&json!(known), &json!(true)));
}

#[tokio::test]
async fn what_cannot_be_resumed_is_said() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    anna.catch_up(&conversation).await;
    let mut other = world.customer("Ville").await;
    let theirs = world.start_conversation(&mut other, "Not hers").await;
    let unknown = "conv_aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned();
    for not_hers in [theirs, unknown] {
        let mut params = vera.resumption();
        params["since"] = json!({ conversation.clone(): 2, not_hers.clone(): 1 });
        vera.dial(None).await;
        vera.views.clear();
        vera.opened = vera.ok("session.open", params).await;
        assert_eq!(vera.opened["resumed"], false);
        assert_eq!(vera.opened["conversations"].as_array().map(Vec::len), Some(1));
        vera.catch_up(&conversation).await;
    }
    let mut params = vera.resumption();
    params["since"] = json!({ conversation.clone(): 99 });
    vera.dial(None).await;
    vera.views.clear();
    let opened = vera.ok("session.open", params).await;
    assert_eq!(opened["resumed"], false, "a number that was never given is of another log");
    assert_eq!(world.customer("New").await.opened["resumed"], false, "nothing to resume");
}

#[tokio::test]
async fn ended_conversations_can_be_read_and_rated_later() {
    let world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    vera.catch_up(&conversation).await;
    vera.cut();
    anna.ok("conversation.close", json!({ "conversation": conversation })).await;
    let opened = vera.resume().await;
    assert_eq!((&opened["resumed"], &opened["ended"]), (&json!(true), &json!([conversation])));
    vera.catch_up(&conversation).await;
    assert_eq!(vera.view(&conversation).types().last(), Some(&"closed"));
    vera.ok("conversation.rate", json!({ "conversation": conversation, "rating": 4 })).await;
}
