//! What happens while `session.open` is answered.

use super::*;

fn open_ann(world: &World, since: Value) -> Peer {
    let mut peer = world.peer();
    peer.ask("session.open", json!({ "role": "agent", "token": world.tokens["Ann"], "since": since }));
    peer
}

fn methods(sent: &[Value]) -> Vec<&str> {
    sent.iter().map(|it| it["method"].as_str().unwrap_or("result")).collect()
}

#[test]
fn more_than_can_be_held_back_is_read_from_the_log_and_leaves_no_hole() {
    let world = World::new();
    let mut peer = open_ann(&world, json!({}));
    peer.told(led(4, view(conversation(4), 0), 0));
    (1..=20).for_each(|seq| peer.notice(grown(4, message(seq, &"x".repeat(10_000)))));
    peer.notice(grown(9, message(1, "of another")));
    peer.answer_opening(&[], &[]);
    let sent = peer.sent();
    assert_eq!(methods(&sent)[..3], ["result", "conversation.followed", "conversation.event"]);
    let told = sent.len() as u64 - 2;
    assert!((1..20).contains(&told), "{told}");
    assert_eq!(sent.last().unwrap()["params"]["seq"], told);
    // Without another event.
    let asked = peer.asked_one();
    let Asked::Query(Query::History { from, .. }, number) = asked else { panic!("{asked:?}") };
    assert_eq!(from, told);
    peer.answer(number, history(told + 1..=20, 20));
    assert_eq!(peer.events(), (told + 1..=20).collect::<Vec<_>>());
    peer.notice(grown(4, message(21, "live")));
    assert_eq!(peer.events(), [21]);
}

#[test]
fn notes_take_no_room_of_a_customer() {
    let world = World::new();
    let mut peer = world.peer();
    peer.ask("session.open", json!({ "role": "customer", "site": "demo" }));
    peer.told(led(4, view(conversation(4), 0), 0));
    let note = |seq| Entry { body: Body::NoteAdded { text: "x".repeat(10_000) }, ..message(seq, "") };
    (1..=20).for_each(|seq| peer.notice(grown(4, note(seq))));
    peer.notice(grown(4, Entry { prev_for_customers: 0, ..message(21, "hello") }));
    peer.answer_opening(&[], &[]);
    assert_eq!(peer.events(), [21]);
    assert!(peer.asked().is_empty());
}

#[test]
fn conversations_whose_state_cannot_be_held_back_are_followed_behind_the_result() {
    let world = World::new();
    let mut peer = open_ann(&world, json!({}));
    let large = |of| {
        let text = jono_domain::conversation::MetadataValue::Text("x".repeat(40_000));
        led(of, ConversationView { metadata: BTreeMap::from([("k".to_owned(), text)]), ..view(conversation(of), 2) }, 0)
    };
    for of in 4..400 {
        peer.told(large(of));
        peer.notice(grown(of, message(1, "x")));
    }
    // Those that go meanwhile are not followed.
    (7..400).for_each(|of| peer.told(Delivery::Unfollowed(conversation(of))));
    peer.answer_opening(&[], &[]);
    let sent = peer.sent();
    let followed = sent.iter().filter(|it| it["method"] == "conversation.followed").map(|it| it["params"]["id"].clone());
    let expected: Vec<_> = (4..7).map(|of| Value::from(conversation(of).to_string())).collect();
    assert_eq!(followed.collect::<Vec<_>>(), expected);
    assert_eq!(sent[0]["result"]["incomplete"], json!(["conversations"]));
    let followed = world.engine.followed.lock().unwrap().clone();
    assert!(
        followed.contains(&Address::Conversation(conversation(5))) && !followed.contains(&Address::Conversation(conversation(7)))
    );
    peer.life.closed(jono_socket::Closed::Lost);
    assert!(world.engine.followed.lock().unwrap().is_empty());
}

#[test]
fn a_session_whose_rights_change_while_it_is_opened_is_closed() {
    type Change = fn(&mut Organisation);
    let changes: [(Change, bool); 4] = [
        (|it| it.name = "Shop 2".into(), true),
        (|it| it.accounts.get_mut(&ann()).unwrap().disabled = true, false),
        (|it| it.accounts.get_mut(&ann()).unwrap().role = Role::Operator, false),
        (|it| it.accounts.get_mut(&ann()).unwrap().queues.clear(), false),
    ];
    for (at, (change, stays)) in changes.into_iter().enumerate() {
        let world = World::new();
        let mut peer = open_ann(&world, json!({}));
        peer.told(led(4, view(conversation(4), 0), 0));
        // The notice of it may have been before the organisation was followed.
        world.change(change);
        peer.answer_opening(&[5], &[]);
        assert_eq!(peer.sink.closed.map(|(code, _)| code), (!stays).then_some(4004), "{at}");
        let sent = peer.sent();
        if stays {
            assert!(sent[0]["result"].is_object(), "{at}");
        } else {
            assert_eq!((sent.len(), &sent[0]["error"]["data"]["reason"]), (1, &json!("unauthorized")), "{at}");
        }
        peer.life.closed(jono_socket::Closed::Lost);
        assert!(world.engine.followed.lock().unwrap().iter().all(|it| *it == Address::Conversation(conversation(4)) && stays));
    }
}

#[test]
fn that_the_organisation_has_changed_is_told_however_much_is_held_back() {
    let world = World::new();
    let mut peer = open_ann(&world, json!({}));
    (0..1_000).for_each(|_| peer.notice(Notice::Receipt { conversation: conversation(4), by: Author::System, seq: 1 }));
    (0..1_000).for_each(|_| peer.notice(Notice::OrganisationChanged));
    peer.answer_opening(&[], &[]);
    let changed = peer.sent().iter().filter(|it| it["method"] == "organisation.changed").count();
    assert_eq!(changed, 1);
}

#[test]
fn who_waits_to_be_led_to_a_conversation_and_is_given_it_is_told_nothing_twice() {
    let world = World::new();
    let held: Vec<u128> = (100..300).collect();
    let since: BTreeMap<_, _> = held.iter().map(|it| (conversation(*it).to_string(), 7)).collect();
    let mut peer = open_ann(&world, json!(since));
    peer.sink.outbox = 100 * 1024;
    peer.answer_opening(&held, &[]);
    let sent = peer.sent_one();
    let listed = sent["result"]["conversations"].as_array().unwrap().len();
    assert!(listed < 200);
    assert_eq!(sent["result"]["resumed"], false);
    let given = |peer: &mut Peer, of: u128| {
        peer.told(led(of, view(conversation(of), 10), 0));
        (1..=10).for_each(|seq| peer.notice(grown(of, message(seq, "x"))));
        let sent = peer.sent();
        assert_eq!((&sent[0]["method"], &sent[0]["params"]["from_seq"]), (&json!("conversation.followed"), &json!(7)));
        sent[1..].iter().map(|it| it["params"]["seq"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    // While the peer has not read, and while the engine has been asked already.
    let waiting = 299;
    assert_eq!(given(&mut peer, waiting), [8, 9, 10]);
    peer.sink.outbox = 0;
    peer.life.go_on(NOW, &mut peer.sink);
    let Asked::Follow(Follow {
        what: Address::Conversation(asked), after: 7, reply_to: ReplyTo::Session { request, .. }, ..
    }) = peer.asked_one()
    else {
        panic!()
    };
    assert_eq!(given(&mut peer, asked.bits()), [8, 9, 10]);
    peer.answer(request, following(Reply::Conversation(Box::new(view(asked, 10))), 10));
    peer.answer_opening(&[], &[]);
    let sent = peer.sent();
    assert!(sent.iter().all(|it| it["method"] == "conversation.followed" && it["params"]["from_seq"] == 7));
    assert_eq!(sent.len(), 200 - listed - 2, "each is announced once");
    assert!(peer.asked().is_empty(), "there is nothing to be read");
}
