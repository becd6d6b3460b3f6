//! A repeated key gets the first answer (guarantee G2).

use jono_domain::conversation::{Body, Command};
use jono_domain::message::Address;
use jono_domain::reply::{Refusal, Reply};
use jono_engine::request::{Answer, Outcome};
use jono_store::CommitFault;

use crate::kit::*;

fn count(entries: &[jono_domain::conversation::Entry], is_it: impl Fn(&Body) -> bool) -> usize {
    entries.iter().filter(|entry| is_it(&entry.body)).count()
}

fn is_message(body: &Body) -> bool {
    matches!(body, Body::Message { .. })
}

#[test]
fn a_message_sent_again_is_stored_once() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let first = world.ask_keyed(customer_of(ANN), "m1", message(TALK, "once")).await;
        assert!(matches!(first, Ok(Outcome::Reply(Reply::Stored { seq: 4, .. }))), "{first:?}");
        world.done(customer_of(ANN), message(TALK, "between")).await;
        assert_eq!(world.ask_keyed(customer_of(ANN), "m1", message(TALK, "once")).await, first);

        let again = world.restart().await;
        assert_eq!(again.ask_keyed(customer_of(ANN), "m1", message(TALK, "once")).await, first);
        assert_eq!(count(&again.log(TALK).await, is_message), 3);
        // Another key is another message, and so is the same key of somebody else.
        again.ask_keyed(customer_of(ANN), "m2", message(TALK, "once")).await.expect("stored");
        again.ask_keyed(agent_of(BOB), "m1", claim(TALK)).await.expect("claimed");
        assert_eq!(count(&again.log(TALK).await, is_message), 4);
        assert_eq!(again.conversation(TALK).await.row.holder, Some(BOB));
    });
}

#[test]
fn an_answer_outlives_the_conversation_and_its_being_unloaded() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let first = world.ask_keyed(customer_of(ANN), "end", close(TALK)).await;
        world.pass(10 * MINUTE).await;
        assert_eq!(world.ask_keyed(customer_of(ANN), "end", close(TALK)).await, first);
        assert_eq!(world.refused(customer_of(ANN), close(TALK)).await, Refusal::ConversationClosed);
    });
}

#[test]
fn a_start_sent_again_begins_one_conversation_whatever_id_it_carries() {
    run(async {
        let world = World::begin().await;
        let first = world.ask_keyed(customer_of(ANN), "s", start(ANN, TALK, SALES, "hello")).await;
        assert!(matches!(first, Ok(Outcome::Reply(Reply::Started { conversation: TALK, .. }))), "{first:?}");
        // Another gateway has thrown another id for the same request.
        let again = world.ask_keyed(customer_of(ANN), "s", start(ANN, talk(9), SALES, "hello")).await;
        assert_eq!(again, first);
        let world = world.restart().await;
        assert_eq!(world.ask_keyed(customer_of(ANN), "s", start(ANN, talk(10), SALES, "hello")).await, first);
        assert_eq!(world.log(TALK).await.len(), 3);
        assert_eq!(world.queue(SALES).await.waiting, 1);
        world.until(async || world.customer(ANN).await.open == [TALK]).await;
    });
}

#[test]
fn a_pick_sent_again_gives_the_same_claim() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        world.start(CID, talk(2), SALES).await;
        let first = world.ask_keyed(agent_of(BOB), "p", pick(SALES)).await;
        assert!(matches!(first, Ok(Outcome::Reply(Reply::Claimed { conversation: TALK, claim: 1, .. }))), "{first:?}");
        assert_eq!(world.ask_keyed(agent_of(BOB), "p", pick(SALES)).await, first);

        let world = world.restart().await;
        assert_eq!(world.ask_keyed(agent_of(BOB), "p", pick(SALES)).await, first);
        assert_eq!(world.queue(SALES).await.waiting, 1);
        let other = world.ask_keyed(agent_of(BOB), "p2", pick(SALES)).await;
        assert!(matches!(other, Ok(Outcome::Reply(Reply::Claimed { conversation, .. })) if conversation == talk(2)), "{other:?}");
        // Also when it is over.
        world.done(agent_of(BOB), close(TALK)).await;
        assert_eq!(world.ask_keyed(agent_of(BOB), "p", pick(SALES)).await, first);
    });
}

#[test]
fn a_hand_over_and_a_transfer_sent_again_happen_once() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let _eve = world.agent_session(EVE).await;
        world.done(agent_of(BOB), claim(TALK)).await;
        let assign = || to(TALK, Command::Assign { claim: Some(1), to: EVE, accepted: false });
        let transfer = || to(TALK, Command::Transfer { claim: Some(2), to: TECH, note: None, admitted: false });
        let assigned = world.ask_keyed(agent_of(BOB), "a", assign()).await;
        assert!(matches!(assigned, Ok(Outcome::Reply(Reply::Stored { .. }))), "{assigned:?}");
        assert_eq!(world.ask_keyed(agent_of(BOB), "a", assign()).await, assigned);
        let moved = world.ask_keyed(agent_of(EVE), "t", transfer()).await;
        assert!(matches!(moved, Ok(Outcome::Reply(Reply::Stored { .. }))), "{moved:?}");
        assert_eq!(world.ask_keyed(agent_of(EVE), "t", transfer()).await, moved);

        let world = world.restart().await;
        assert_eq!(world.ask_keyed(agent_of(BOB), "a", assign()).await, assigned);
        assert_eq!(world.ask_keyed(agent_of(EVE), "t", transfer()).await, moved);
        let log = world.log(TALK).await;
        assert_eq!(count(&log, |body| matches!(body, Body::Assigned { .. })), 1);
        assert_eq!(count(&log, |body| matches!(body, Body::Transferred { .. })), 1);
    });
}

#[test]
fn duplicates_under_way_together_get_one_answer() {
    run(async {
        let world = World::begin().await;
        for number in 0..4 {
            world.start(visitor(number), talk(number), SALES).await;
        }
        let _eve = world.agent_session(EVE).await;
        let ann = world.session(customer_of(visitor(0)));
        let bob = world.session(agent_of(BOB));
        let orders = [
            (&ann, "m", message(talk(0), "once")),
            (&ann, "s", start(visitor(0), talk(77), SALES, "more")),
            (&bob, "p", pick(SALES)),
            (&bob, "a", to(talk(3), Command::Assign { claim: None, to: EVE, accepted: false })),
            (&bob, "t", to(talk(2), Command::Transfer { claim: None, to: TECH, note: None, admitted: false })),
        ];
        for (session, key, order) in orders {
            let requests: Vec<u64> = (0..8).map(|_| session.send(Some(key), order.clone())).collect();
            let mut answers: Vec<Answer> = Vec::new();
            for request in requests {
                answers.push(session.answer(request).await);
            }
            assert!(answers[0].is_ok(), "{key}: {:?}", answers[0]);
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{key}: {answers:?}");
        }
        assert_eq!(texts(&world.log(talk(0)).await), ["hello", "once"]);
        world.until(async || world.queue(TECH).await.waiting == 1).await;
        let held = [talk(0), talk(1), talk(2), talk(3)];
        let mut by_bob = 0;
        for conversation in held {
            by_bob += usize::from(world.conversation(conversation).await.row.holder == Some(BOB));
        }
        assert_eq!(by_bob, 1);
    });
}

#[test]
fn a_key_whose_first_attempt_was_not_stored_is_free() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        world.start(CID, talk(2), SALES).await;
        world.quiet().await;
        let faults = world.records.faults();
        let who = customer_of(ANN);
        for (round, fault) in
            [CommitFault::Unavailable, CommitFault::UnknownLost, CommitFault::UnknownApplied].into_iter().enumerate()
        {
            let key = format!("m{round}");
            faults.fail_commits(1, fault);
            let failed = world.ask_keyed(who, &key, message(TALK, &key)).await;
            assert!(matches!(failed, Err(Refusal::Unavailable { .. })), "{failed:?}");
            world.reload().await;
            let first = world.ask_keyed(who, &key, message(TALK, &key)).await;
            assert!(matches!(first, Ok(Outcome::Reply(Reply::Stored { .. }))), "{first:?}");
            assert_eq!(world.ask_keyed(who, &key, message(TALK, &key)).await, first);
        }
        assert_eq!(texts(&world.log(TALK).await), ["hello", "m0", "m1", "m2"]);

        // A pick whose way is stored, but whose claim is not.
        world.quiet().await;
        faults.hold_commits();
        let bob = world.session(agent_of(BOB));
        let request = bob.send(Some("p"), pick(SALES));
        world.until(async || faults.held_commits() == 1).await;
        faults.release_one();
        world.until(async || faults.held_commits() == 1).await;
        faults.fail_commits(1, CommitFault::Unavailable);
        faults.release_commits();
        assert!(matches!(bob.answer(request).await, Err(Refusal::Unavailable { .. })));
        world.reload().await;
        let picked = world.ask_keyed(agent_of(BOB), "p", pick(SALES)).await;
        assert!(matches!(picked, Ok(Outcome::Reply(Reply::Claimed { claim: 1, .. }))), "{picked:?}");
        assert_eq!(world.ask_keyed(agent_of(BOB), "p", pick(SALES)).await, picked);
    });
}

#[test]
fn keys_are_forgotten_after_a_day_and_not_before() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let _ann = world.session(customer_of(ANN)).follow(Address::Conversation(TALK), 0).await;
        let first = world.ask_keyed(customer_of(ANN), "m", message(TALK, "once")).await;
        world.pass(24 * 60 * MINUTE - SECOND).await;
        let restarted = world.restart().await;
        assert_eq!(restarted.ask_keyed(customer_of(ANN), "m", message(TALK, "once")).await, first);
        restarted.pass(20 * MINUTE).await;
        let later = restarted.restart().await;
        assert!(matches!(
            later.ask_keyed(customer_of(ANN), "m", message(TALK, "twice")).await,
            Ok(_) | Err(Refusal::ConversationClosed)
        ));
    });
}

#[test]
fn a_repeated_start_is_answered_by_its_conversation_whatever_the_queue_says_by_then() {
    run(async {
        let world = World::begin().await;
        let first = world.ask_keyed(customer_of(ANN), "begin", start(ANN, TALK, SALES, "hello")).await;
        assert!(first.is_ok(), "{first:?}");
        world.quiet().await;
        world.done(agent_of(BOB), claim(TALK)).await;
        world.done(agent_of(BOB), close(TALK)).await;
        world.done(agent_of(BOB), to_queue(SALES, jono_domain::queue::Command::SetOpen { open: false })).await;
        world.quiet().await;
        // The client made a new id for its second try, as clients do.
        let again = world.ask_keyed(customer_of(ANN), "begin", start(ANN, talk(9), SALES, "hello")).await;
        assert_eq!(again, first);
        assert_eq!(world.customer(ANN).await.ended, [TALK]);
    });
}
