//! Conversations that came back and that nobody needs: they cost no actor, and nobody can tell.

use jono_domain::account::Audience;
use jono_domain::conversation::{CloseCause, Command, RowState};
use jono_domain::message::Address;
use jono_domain::reply::Reply;
use jono_engine::limits::LATER_AFTER_MS;
use jono_store::CommitFault;

use crate::kit::*;

async fn with_many(count: u128) -> World {
    let world = World::begin().await;
    for number in 0..count {
        world.start(visitor(number), talk(number), SALES).await;
        world.clock.advance(1);
    }
    world
}

#[test]
fn a_start_loads_nobody_who_only_waits_or_is_told_of_it() {
    run(async {
        let world = with_many(40).await;
        let world = world.restart().await;
        world.quiet().await;
        assert_eq!(world.engine.counters().recovered.get(), 41, "the conversations and their organisation");
        assert_eq!(world.engine.counters().loads.get(), 2, "the organisation and the queue");
        assert_eq!(world.queue(SALES).await.waiting, 40);
        // The customers hear of it when there is time, and wake nobody by asking.
        world.pass(LATER_AFTER_MS).await;
        world.quiet().await;
        assert_eq!(world.engine.counters().loads.get(), 2 + 40, "the customers");
        // Whoever is written to is there.
        world.done(customer_of(visitor(7)), message(talk(7), "still here")).await;
        assert_eq!(world.engine.counters().loads.get(), 2 + 40 + 1);
        assert_eq!(world.conversation(talk(7)).await.row.unread, 2);
    });
}

#[test]
fn a_place_that_was_told_to_one_that_slept_is_known_when_it_is_looked_at() {
    run(async {
        let world = with_many(5).await;
        for number in 0..3 {
            world.done(customer_of(visitor(number)), close(talk(number))).await;
        }
        let world = world.restart().await;
        world.pass(10 * SECOND).await;
        let loads = world.engine.counters().loads.get();
        let ann = world.session(customer_of(visitor(4)));
        ann.follow(Address::Conversation(talk(4)), 0).await.expect("follows");
        assert_eq!(world.engine.counters().loads.get(), loads + 1, "it slept");
        assert_eq!(world.conversation(talk(4)).await.position, Some(2));
        ann.has_all(talk(4), Audience::Customer, 0).await;
    });
}

#[test]
fn customers_know_what_they_were_told_before_anything_else_reaches_them() {
    run(async {
        let world = with_many(3).await;
        let world = world.restart().await;
        assert_eq!(world.customer(visitor(1)).await.open, [talk(1)]);
        world.done(agent_of(BOB), claim(talk(2))).await;
        world.done(agent_of(BOB), close(talk(2))).await;
        world.quiet().await;
        let view = world.customer(visitor(2)).await;
        assert_eq!((view.open, view.ended), (vec![], vec![talk(2)]));
        // Nothing that was kept for later brings it back.
        world.pass(LATER_AFTER_MS).await;
        world.quiet().await;
        assert_eq!(world.customer(visitor(2)).await.ended, [talk(2)]);
    });
}

#[test]
fn a_deadline_wakes_one_that_sleeps() {
    run(async {
        let world = with_many(2).await;
        let world = world.restart().await;
        let close_at = world.rows(SALES).await[0].deadlines.close_at.expect("nobody is connected");
        world.pass(close_at.since_ms(jono_engine::clock::Clock::now(&*world.clock)) - 1).await;
        assert_eq!(world.queue(SALES).await.waiting, 2);
        world.pass(2).await;
        world.until(async || world.queue(SALES).await.waiting == 0).await;
        let log = world.log(talk(0)).await;
        let closed = |entry: &jono_domain::conversation::Entry| {
            matches!(entry.body, jono_domain::conversation::Body::Closed { cause: CloseCause::Inactive, .. })
        };
        assert_eq!(log.iter().filter(|entry| closed(entry)).count(), 1);
    });
}

#[test]
fn what_changes_by_coming_back_is_stored_before_others_hear_of_it() {
    let faults = [CommitFault::Unavailable, CommitFault::UnknownLost, CommitFault::UnknownApplied];
    for fault in faults.map(Some).into_iter().chain([None]) {
        run(async {
            let world = with_many(1).await;
            let ann = world.session(customer_of(visitor(0)));
            ann.follow(Address::Conversation(talk(0)), 0).await.expect("follows");
            world.until(async || world.conversation(talk(0)).await.row.connected).await;
            world.quiet().await;
            // The first thing that the next process writes: that nobody is connected any more.
            fault.into_iter().for_each(|fault| world.records.faults().fail_commits(1, fault));
            let world = world.restart().await;
            world.until(async || world.queue(SALES).await.waiting == 1).await;
            let row = world.rows(SALES).await.remove(0);
            assert!(row.state == RowState::Waiting && !row.connected && row.deadlines.close_at.is_some());
            world.pass(MINUTE).await;
            let again = world.restart().await;
            let view = again.conversation(talk(0)).await;
            assert_eq!(view.row.deadlines, row.deadlines, "it was stored: the clock does not begin anew");
            let Reply::Claimed { .. } = again.done(agent_of(BOB), pick(SALES)).await else { panic!("picked") };
            again.done(agent_of(BOB), to(talk(0), Command::Close { claim: None })).await;
            assert_eq!(again.engine.counters().commits_failed.get(), 0);
        });
    }
}
