//! The whole life of a conversation, as each session sees it.

use jono_domain::account::Audience;
use jono_domain::conversation::{Body, Command};
use jono_domain::message::Address;
use jono_domain::reply::Reply;
use jono_engine::delivery::Delivery;

use crate::kit::*;

#[test]
fn every_session_sees_every_event_that_it_may_see_once_and_in_order() {
    run(async {
        let world = World::begin().await;
        let ann = world.customer_session(ANN).await;
        let bob = world.agent_session(BOB).await;
        let eve = world.agent_session(EVE).await;
        let dan = world.agent_session(DAN).await;

        let started = ann.done(start(ANN, TALK, SALES, "hello")).await;
        assert_eq!(started, Reply::Started { conversation: TALK, position: Some(1), wait_ms: None });
        // The customer's session is led to what it has begun.
        ann.wait("the first message", |_| ann.events(TALK).len() == 3).await;
        world.until(async || world.queue(SALES).await.waiting == 1).await;

        assert_eq!(
            bob.done(pick(SALES)).await,
            Reply::Claimed { conversation: TALK, claim: 1, release_at: Some(BEGINNING + 5 * MINUTE) }
        );
        bob.wait_for_event(TALK, 4).await;
        bob.done(message(TALK, "hi")).await;
        bob.done(to(TALK, Command::AddNote { text: "a regular".into() })).await;
        ann.done(message(TALK, "I have a question")).await;
        bob.done(to(TALK, Command::Assign { claim: Some(1), to: EVE, accepted: false })).await;
        eve.wait_for_body(TALK, |body| matches!(body, Body::Assigned { .. })).await;
        eve.done(message(TALK, "eve here")).await;
        assert!(bob.ask(message(TALK, "me too")).await.is_err());
        eve.done(to(TALK, Command::Transfer { claim: Some(2), to: TECH, note: Some("for you".into()), admitted: false })).await;
        // Agents of sales who do not hold it see it no more.
        for left in [&bob, &eve] {
            left.wait("the end of following", |all| all.iter().any(|told| matches!(told, Delivery::Unfollowed(TALK)))).await;
        }
        world.until(async || world.queue(TECH).await.waiting == 1).await;
        dan.done(pick(TECH)).await;
        dan.wait_for_body(TALK, |body| matches!(body, Body::Claimed { .. })).await;
        dan.done(message(TALK, "dan here")).await;
        dan.done(close(TALK)).await;
        ann.done(to(TALK, Command::Rate { rating: 5, comment: Some("well done".into()) })).await;

        ann.has_all(TALK, Audience::Customer, 0).await;
        dan.has_all(TALK, Audience::Agent, 0).await;
        assert!(!ann.events(TALK).iter().any(|entry| matches!(entry.body, Body::NoteAdded { .. })));
        assert!(dan.events(TALK).iter().any(|entry| matches!(entry.body, Body::NoteAdded { .. })));
        // They saw everything up to the transfer.
        for left in [&bob, &eve] {
            let last = left.events(TALK).last().cloned().expect("events");
            assert!(matches!(last.body, Body::Transferred { .. }), "{last:?}");
            let seen: Vec<u64> = left.events(TALK).iter().map(|entry| entry.seq).collect();
            assert_eq!(seen, (1..=last.seq).collect::<Vec<_>>());
        }
        world.until(async || world.queue(TECH).await.active == 0 && world.agent(DAN).await.held.is_empty()).await;
        assert_eq!(world.queue(SALES).await.waiting, 0);
        world.until(async || world.customer(ANN).await.ended == [TALK]).await;
        assert_eq!(world.conversation(TALK).await.rating, Some(5));
    });
}

#[test]
fn an_answer_comes_behind_what_it_speaks_of() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let ann = world.session(customer_of(ANN));
        ann.follow(Address::Conversation(TALK), 0).await.expect("follows");
        let request = ann.send(None, message(TALK, "one more"));
        let Reply::Stored { seq, .. } = (match ann.answer(request).await {
            Ok(jono_engine::request::Outcome::Reply(reply)) => reply,
            other => panic!("{other:?}"),
        }) else {
            panic!("stored");
        };
        assert!(ann.events(TALK).iter().any(|entry| entry.seq == seq), "the event came first");
    });
}
