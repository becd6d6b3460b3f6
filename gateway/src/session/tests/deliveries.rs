//! What the engine tells, and how far the client is told.

use super::*;

#[test]
fn events_are_told_once_and_only_of_what_is_followed() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    // The opening's ten events come first.
    for seq in 1..=10 {
        peer.notice(grown(4, message(seq, "x")));
    }
    assert_eq!(peer.events(), (1..=10).collect::<Vec<_>>());
    peer.notice(grown(4, message(10, "again")));
    peer.notice(grown(5, message(1, "of another")));
    assert!(peer.events().is_empty());
    peer.ask("conversation.unfollow", json!({ "conversation": conversation(4).to_string() }));
    assert_eq!(peer.sent_one()["result"], json!({}));
    assert!(peer.asked().iter().any(|it| matches!(it, Asked::Unfollow(Address::Conversation(id)) if *id == conversation(4))));
    peer.notice(grown(4, message(11, "late")));
    peer.notice(Notice::Receipt { conversation: conversation(4), by: Author::System, seq: 1 });
    assert!(peer.sent().is_empty());
}

#[test]
fn customers_do_not_see_what_is_for_agents() {
    let world = World::new();
    let mut peer = world.customer(&[4]);
    for seq in 1..=10 {
        peer.notice(grown(4, message(seq, "x")));
    }
    peer.sent();
    let note = Entry { body: Body::NoteAdded { text: "secret".into() }, ..message(11, "") };
    peer.notice(grown(4, note));
    let after = Entry { prev_for_customers: 10, ..message(12, "hello") };
    peer.notice(grown(4, after));
    peer.notice(Notice::Rows(vec![Arc::new(row(conversation(4), 12))]));
    peer.notice(Notice::OrganisationChanged);
    let sent = peer.sent_one();
    assert_eq!((&sent["params"]["seq"], &sent["params"]["prev"]), (&json!(12), &json!(10)));
    assert!(peer.asked().is_empty(), "that is no hole");
}

#[test]
fn a_hole_is_filled_from_the_log_in_order() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    (1..=10).for_each(|seq| peer.notice(grown(4, message(seq, "x"))));
    peer.sent();
    peer.notice(grown(4, message(13, "x")));
    peer.notice(grown(4, message(14, "x")));
    assert!(peer.events().is_empty());
    let asked = peer.asked_one();
    let Asked::Query(Query::History { from: 10, forward: true, .. }, number) = asked else { panic!("{asked:?}") };
    peer.answer(number, history(11..=13, 13));
    assert_eq!(peer.events(), [11, 12, 13]);
    let number = peer.asked_one().number();
    peer.notice(grown(4, message(15, "x")));
    peer.answer(number, history(14..=15, 15));
    assert_eq!(peer.events(), [14, 15]);
    peer.notice(grown(4, message(16, "x")));
    assert_eq!(peer.events(), [16]);
}

#[test]
fn an_event_that_comes_while_an_empty_page_is_read_is_read_next() {
    let world = World::new();
    let mut peer = world.customer(&[4]);
    (1..=10).for_each(|seq| peer.notice(grown(4, message(seq, "x"))));
    peer.sent();
    peer.notice(grown(4, message(13, "x")));
    let number = peer.asked_one().number();
    peer.notice(grown(4, message(14, "x")));
    let empty = |head| Ok(Outcome::History { entries: Vec::new(), head });
    peer.answer(number, empty(13));
    let asked = peer.asked_one();
    let Asked::Query(Query::History { from: 13, .. }, number) = asked else { panic!("{asked:?}") };
    peer.answer(number, history(14..=14, 14));
    assert_eq!(peer.events(), [14]);
    assert!(matches!(peer.asked_one(), Asked::Send(_)), "it has caught up: how do the deadlines stand?");
    // What is heard of and never found is not looked for again and again.
    peer.notice(grown(4, message(17, "x")));
    let number = peer.asked_one().number();
    peer.answer(number, empty(14));
    assert!(matches!(peer.asked_one(), Asked::Send(_)));
    assert!(!peer.life.has_more());
}

#[test]
fn a_slow_reader_is_told_later_from_the_log_and_misses_nothing() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    (1..=10).for_each(|seq| peer.notice(grown(4, message(seq, "x"))));
    peer.sent();
    peer.sink.outbox = 200 * 1024;
    peer.sink.wants_drained = false;
    let largest = 200 * 1024;
    for seq in 11..=3_000 {
        peer.notice(grown(4, message(seq, "x")));
        assert!(peer.sink.outbox <= largest, "nothing is sent to who does not read");
    }
    assert!(peer.sink.wants_drained && peer.asked().is_empty() && peer.sent().is_empty());
    // It reads: page by page, with a pause whenever enough waits.
    peer.sink.counts = true;
    let mut seen = Vec::new();
    for _ in 0..2_000 {
        peer.sink.outbox = 0;
        peer.life.go_on(NOW, &mut peer.sink);
        for asked in peer.asked() {
            let (from, limit, number) = match asked {
                Asked::Query(Query::History { from, limit, .. }, number) => (from, limit, number),
                // It has caught up: how do the deadlines stand?
                Asked::Send(_) => continue,
                other => panic!("{other:?}"),
            };
            let to = (from + limit as u64).min(3_000);
            let entries = (from + 1..=to).map(|seq| message(seq, &"y".repeat(10_000))).collect();
            peer.answer(number, Ok(Outcome::History { entries, head: 3_000 }));
            assert!(peer.sink.outbox < 256 * 1024);
        }
        seen.extend(peer.events());
    }
    assert_eq!(seen, (11..=3_000).collect::<Vec<_>>());
    peer.sink.outbox = 0;
    peer.notice(grown(4, message(3_001, "live")));
    assert_eq!(peer.events(), [3_001]);
}

#[test]
fn a_busy_log_is_tried_again_and_one_that_may_not_be_read_is_given_up() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[4]);
    (1..=10).for_each(|seq| peer.notice(grown(4, message(seq, "x"))));
    peer.notice(grown(4, message(12, "x")));
    peer.sent();
    let number = peer.asked_one().number();
    peer.answer(number, Err(Refusal::Unavailable { retry_after_ms: 1 }));
    assert!(peer.asked().is_empty());
    assert!(peer.life.has_more());
    peer.life.go_on(NOW, &mut peer.sink);
    let number = peer.asked_one().number();
    peer.answer(number, Err(Refusal::NotFound));
    assert_eq!(peer.sent_one()["method"], "conversation.unfollowed");
    assert!(matches!(peer.asked_one(), Asked::Unfollow(_)));
}

#[test]
fn a_conversation_that_is_given_is_announced_with_its_events_behind() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[]);
    let state = || Box::new(Reply::Conversation(Box::new(view(conversation(4), 2))));
    let given =
        |from_seq| Delivery::Following { conversation: conversation(4), state: state(), audience: Audience::Agent, from_seq };
    peer.told(given(0));
    peer.notice(grown(4, message(1, "x")));
    let sent = peer.sent();
    assert_eq!((&sent[0]["method"], &sent[0]["params"]["from_seq"]), (&json!("conversation.followed"), &json!(0)));
    assert_eq!(sent[1]["params"]["seq"], 1);
    peer.told(given(0));
    assert!(peer.sent().is_empty(), "twice is once");
    peer.told(Delivery::Unfollowed(conversation(4)));
    assert_eq!(peer.sent_one()["method"], "conversation.unfollowed");
    peer.told(Delivery::Unfollowed(conversation(4)));
    assert!(peer.sent().is_empty());
}

#[test]
fn following_answers_with_where_it_begins_and_leaves_no_hole() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[]);
    let on = json!({ "conversation": conversation(8).to_string(), "after": 2 });
    peer.ask("conversation.follow", on.clone());
    let number = peer.asked_one().number();
    // The engine sends only the newest; the log has the rest.
    peer.answer(number, following(Reply::Conversation(Box::new(view(conversation(8), 10))), 9));
    peer.notice(grown(8, message(10, "x")));
    let sent = peer.sent_one();
    assert_eq!(sent["result"]["from_seq"], 2);
    let asked = peer.asked_one();
    let Asked::Query(Query::History { from: 2, .. }, number) = asked else { panic!("{asked:?}") };
    peer.answer(number, history(3..=10, 10));
    assert_eq!(peer.events(), (3..=10).collect::<Vec<_>>());
    let asked = peer.asked_one();
    let mut now = view(conversation(8), 10);
    now.row.deadlines.close_at = Some(NOW + 5);
    peer.answer(asked.number(), Ok(Outcome::Reply(Reply::Conversation(Box::new(now)))));
    let told = peer.sent_one();
    assert_eq!((&told["method"], &told["params"]["close_at"]), (&json!("conversation.deadline"), &json!((NOW + 5).0)));
    peer.ask("conversation.follow", on);
    let asked = peer.asked_one();
    assert!(matches!(asked, Asked::Send(_)), "it is followed already");
    let number = asked.number();
    peer.answer(number, Ok(Outcome::Reply(Reply::Conversation(Box::new(view(conversation(8), 10))))));
    assert_eq!(peer.sent_one()["result"]["from_seq"], 10);
}

#[test]
fn unfollowing_overtakes_an_answer_that_is_still_to_come() {
    let world = World::new();
    let mut peer = world.agent("Ann", &[]);
    let on = json!({ "conversation": conversation(8).to_string() });
    peer.ask("conversation.follow", on.clone());
    let number = peer.asked_one().number();
    peer.ask("conversation.unfollow", on);
    assert!(matches!(peer.asked_one(), Asked::Unfollow(_)));
    peer.sent();
    peer.answer(number, following(Reply::Conversation(Box::new(view(conversation(8), 1))), 0));
    assert_eq!(peer.reason(), "conflict");
    peer.notice(grown(8, message(1, "x")));
    assert!(peer.sent().is_empty());
}

#[test]
fn a_session_whose_rights_have_changed_is_closed() {
    type Change = fn(&mut Organisation);
    let changes: [(Change, bool); 6] = [
        (|it| it.name = "Shop 2".into(), true),
        (|it| it.accounts.get_mut(&ann()).unwrap().name = "Anna".into(), true),
        (|it| it.accounts.get_mut(&ann()).unwrap().disabled = true, false),
        (|it| it.accounts.get_mut(&ann()).unwrap().tokens.clear(), false),
        (|it| it.accounts.get_mut(&ann()).unwrap().role = Role::Operator, false),
        (|it| it.accounts.get_mut(&ann()).unwrap().queues.clear(), false),
    ];
    for (at, (change, stays)) in changes.into_iter().enumerate() {
        let world = World::new();
        let mut peer = world.agent("Ann", &[4]);
        world.change(change);
        peer.notice(Notice::OrganisationChanged);
        if stays {
            assert_eq!(peer.sent_one()["method"], "organisation.changed", "{at}");
        } else {
            assert_eq!(peer.sink.closed.map(|(code, _)| code), Some(4004), "{at}");
        }
    }
}

#[test]
fn subscriptions_decide_which_queues_are_told() {
    let world = World::new();
    let mut peer = world.agent("Olga", &[]);
    peer.notice(Notice::Queue(summary(queue(1))));
    assert!(peer.sent().is_empty());
    peer.ask("queue.subscribe", json!({ "queue": queue(1).to_string() }));
    let number = peer.asked_one().number();
    peer.answer(number, following(Reply::Queue(summary(queue(1))), 0));
    assert_eq!(peer.sent_one()["result"]["name"], "Help");
    peer.notice(Notice::Queue(summary(queue(1))));
    assert_eq!(peer.sent_one()["method"], "queue.updated");
    peer.ask("queue.unsubscribe", json!({ "queue": queue(1).to_string() }));
    peer.sent();
    peer.notice(Notice::Raised { queue: queue(1), conversation: conversation(1), preview: "x".into() });
    assert!(peer.sent().is_empty());
}

#[test]
fn an_event_is_encoded_once_for_all_of_an_audience() {
    let world = World::new();
    let (mut first, mut second) = (world.agent("Ann", &[4]), world.agent("Ann", &[4]));
    let notice = Shared::new(grown(4, message(1, "x")));
    first.told(Delivery::Notice(Arc::clone(&notice)));
    second.told(Delivery::Notice(Arc::clone(&notice)));
    assert_eq!(first.sent_one(), second.sent_one());
    notice.encoded::<Text>(Audience::Agent, |_| panic!("encoded before"));
}
