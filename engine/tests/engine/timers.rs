//! Deadlines: never early, once, and not at a moment from before activity moved them (guarantees G7, G8).

use jono_domain::agent::{self, Status};
use jono_domain::conversation::{Body, CloseCause, Command, Entry, ReleaseCause};
use jono_domain::message::Address;
use jono_domain::notice::{Notice, Warning};

use crate::kit::*;

fn released(log: &[Entry]) -> usize {
    log.iter().filter(|entry| matches!(entry.body, Body::Released { cause: ReleaseCause::Inactive, .. })).count()
}

fn closed(log: &[Entry]) -> usize {
    log.iter().filter(|entry| matches!(entry.body, Body::Closed { cause: CloseCause::Inactive, .. })).count()
}

fn warnings(session: &Session<'_>) -> Vec<Warning> {
    let warning = |notice| if let Notice::Deadline { warning, .. } = notice { warning } else { None };
    session.notices().into_iter().filter_map(warning).collect()
}

#[test]
fn a_claim_is_dropped_after_five_minutes_and_not_before() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let ann = world.session(customer_of(ANN));
        ann.follow(Address::Conversation(TALK), 0).await.expect("follows");
        world.done(agent_of(BOB), claim(TALK)).await;
        world.pass(4 * MINUTE - 1).await;
        assert_eq!(warnings(&ann), []);
        world.pass(1).await;
        assert_eq!(warnings(&ann), [Warning::Release]);
        world.pass(MINUTE - 1).await;
        assert_eq!(released(&world.log(TALK).await), 0);
        world.pass(1).await;
        assert_eq!(released(&world.log(TALK).await), 1);
        assert_eq!(world.queue(SALES).await.waiting, 1);
        world.pass(10 * MINUTE).await;
        assert_eq!(released(&world.log(TALK).await), 1);
        assert_eq!(warnings(&ann), [Warning::Release]);
    });
}

#[test]
fn activity_moves_a_deadline_and_nothing_happens_at_the_old_one() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let ann = world.session(customer_of(ANN));
        ann.follow(Address::Conversation(TALK), 0).await.expect("follows");
        world.done(agent_of(BOB), claim(TALK)).await;
        for _ in 0..6 {
            world.pass(5 * MINUTE - SECOND).await;
            world.done(agent_of(BOB), message(TALK, "still here")).await;
            world.done(customer_of(ANN), message(TALK, "so am I")).await;
        }
        assert_eq!((released(&world.log(TALK).await), closed(&world.log(TALK).await)), (0, 0));
        let fired = world.engine.counters().timers_fired.get();
        world.pass(5 * MINUTE - 1).await;
        assert_eq!(released(&world.log(TALK).await), 0);
        assert!(world.engine.counters().timers_fired.get() > fired, "the warning");
        world.pass(1).await;
        assert_eq!(released(&world.log(TALK).await), 1);
    });
}

#[test]
fn a_conversation_is_closed_after_a_quarter_of_an_hour_without_its_customer() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let oda = world.session(agent_of(ODA));
        oda.follow(Address::Conversation(TALK), 0).await.expect("follows");
        world.done(agent_of(BOB), claim(TALK)).await;
        for _ in 0..4 {
            world.pass(3 * MINUTE).await;
            world.done(agent_of(BOB), to(TALK, Command::Touch { claim: None })).await;
        }
        world.pass(2 * MINUTE).await;
        assert_eq!(warnings(&oda), [Warning::Close]);
        world.pass(MINUTE - 1).await;
        assert_eq!(closed(&world.log(TALK).await), 0);
        // A word at the last moment counts.
        world.done(customer_of(ANN), message(TALK, "wait")).await;
        world.pass(1).await;
        assert_eq!(closed(&world.log(TALK).await), 0);
        for _ in 0..4 {
            world.done(agent_of(BOB), to(TALK, Command::Touch { claim: None })).await;
            world.pass(3 * MINUTE).await;
        }
        world.pass(2 * MINUTE).await;
        assert_eq!(closed(&world.log(TALK).await), 0);
        world.pass(MINUTE).await;
        assert_eq!(closed(&world.log(TALK).await), 1);
        world.until(async || world.agent(BOB).await.held.is_empty()).await;
    });
}

#[test]
fn an_agent_without_a_connection_is_offline_after_a_quarter_of_an_hour() {
    run(async {
        let world = World::begin().await;
        let first = world.agent_session(BOB).await;
        let second = world.agent_session(BOB).await;
        assert_eq!(world.agent(BOB).await.status, Status::Online);
        first.end(&[Address::Agent(BOB)]);
        world.pass(60 * MINUTE).await;
        assert_eq!(world.agent(BOB).await.status, Status::Online, "one connection is left");
        second.end(&[Address::Agent(BOB)]);
        world.pass(14 * MINUTE).await;
        let third = world.agent_session(BOB).await;
        world.pass(2 * MINUTE).await;
        assert_eq!(world.agent(BOB).await.status, Status::Online, "it came back in time");
        third.end(&[Address::Agent(BOB)]);
        world.pass(15 * MINUTE - 1).await;
        assert_eq!(world.agent(BOB).await.status, Status::Online);
        world.pass(1).await;
        assert_eq!(world.agent(BOB).await.status, Status::Offline);
        world.done(agent_of(BOB), to_agent(BOB, agent::Command::SetStatus { status: Status::Away })).await;
        world.pass(15 * MINUTE).await;
        assert_eq!(world.agent(BOB).await.status, Status::Offline);
    });
}

#[test]
fn a_block_ends_by_itself() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let ann = world.customer_session(ANN).await;
        ann.follow(Address::Conversation(TALK), 0).await.expect("follows");
        world.done(agent_of(BOB), to(TALK, Command::BlockCustomer { duration_ms: Some(MINUTE) })).await;
        ann.wait("the block", |_| ann.notices().iter().any(|notice| matches!(notice, Notice::Blocked(Some(_))))).await;
        world.pass(MINUTE - 1).await;
        assert!(ann.ask(message(TALK, "x")).await.is_err());
        world.pass(1).await;
        ann.done(message(TALK, "again")).await;
        ann.wait("the end of it", |_| ann.notices().contains(&Notice::Blocked(None))).await;
    });
}

#[test]
fn deadlines_hold_while_commits_take_their_time() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        world.done(agent_of(BOB), claim(TALK)).await;
        world.pass(5 * MINUTE - SECOND).await;
        let faults = world.records.faults();
        faults.hold_commits();
        let bob = world.session(agent_of(BOB));
        let request = bob.send(None, message(TALK, "in time"));
        world.until(async || faults.held_commits() == 1).await;
        world.pass(MINUTE).await;
        faults.release_commits();
        bob.answer(request).await.expect("stored");
        world.pass(4 * MINUTE - 1).await;
        assert_eq!(released(&world.log(TALK).await), 0);
        world.pass(1).await;
        assert_eq!(released(&world.log(TALK).await), 1);
    });
}
