//! What another process finds: everything that was stored, in its order, with its deadlines.

use std::sync::Arc;

use jono_domain::account::Audience;
use jono_domain::agent::{self, Status};
use jono_domain::conversation::{Body, CloseCause, Command, ReleaseCause, RowState};
use jono_domain::message::{Address, Order};
use jono_domain::organisation;
use jono_domain::queue;
use jono_domain::reply::{Refusal, Reply};

use jono_engine::{Engine, EngineConfig, StartError};

use crate::kit::*;
use crate::moody::Moody;

#[test]
fn everybody_who_waits_waits_again_in_the_same_order() {
    run(async {
        let world = World::begin().await;
        for number in 0..30 {
            world.start(visitor(number), talk(number), SALES).await;
            world.clock.advance(SECOND);
        }
        world.done(agent_of(BOB), to(talk(7), Command::Prioritise { priority: 5 })).await;
        world.done(agent_of(BOB), claim(talk(3))).await;
        world.done(agent_of(BOB), to(talk(3), Command::Release { claim: Some(1) })).await;
        let world = world.restart().await;
        assert_eq!(world.queue(SALES).await.waiting, 30);
        assert_eq!(world.engine.counters().recovered.get(), 31, "the conversations and their organisation");
        for expected in [7, 0, 1, 2, 3, 4, 5, 6, 8] {
            let picked = world.done(agent_of(EVE), pick(SALES)).await;
            let claim = if expected == 3 { 2 } else { 1 };
            assert!(
                matches!(picked, Reply::Claimed { conversation, claim: with, .. } if conversation == talk(expected) && with == claim),
                "{expected}: {picked:?}"
            );
        }
    });
}

#[test]
fn claims_presence_blocks_and_switches_come_back() {
    run(async {
        let world = World::begin().await;
        let bob = world.agent_session(BOB).await;
        let _ann = world.customer_session(ANN).await;
        world.start(ANN, TALK, SALES).await;
        world.start(CID, talk(2), SALES).await;
        bob.done(pick(SALES)).await;
        bob.done(message(TALK, "hi")).await;
        bob.done(to_agent(BOB, agent::Command::SetCanned { keyword: "hi".into(), text: Some("Hello [name]".into()) })).await;
        world.done(agent_of(BOB), to(talk(2), Command::BlockCustomer { duration_ms: Some(10 * MINUTE) })).await;
        world.done(agent_of(DAN), to_queue(TECH, queue::Command::SetOpen { open: false })).await;
        assert!(world.conversation(TALK).await.row.connected);
        let deadlines = world.conversation(TALK).await.row.deadlines;

        world.pass(MINUTE).await;
        let world = world.restart().await;
        let view = world.conversation(TALK).await;
        assert_eq!((view.row.holder, view.row.claim, view.row.state), (Some(BOB), 1, RowState::Active));
        assert_eq!(view.row.deadlines.release_at, deadlines.release_at);
        assert!(!view.row.connected, "nobody has connected yet");
        let bob = world.agent(BOB).await;
        assert_eq!((bob.status, bob.held), (Status::Online, vec![(TALK, SALES)]));
        assert_eq!(bob.canned.len(), 1);
        assert!(!world.queue(TECH).await.open);
        assert!(world.customer(CID).await.blocked.is_some());
        assert!(matches!(world.refused(customer_of(CID), message(talk(2), "x")).await, Refusal::Blocked { .. }));
        let presence = Order::Organisation(ORGANISATION, Box::new(organisation::Command::ListPresence));
        let Reply::Presence(board) = world.done(agent_of(ODA), presence).await else { panic!("presence") };
        let (_, of_bob) = board.iter().find(|(agent, _)| *agent == BOB).expect("on the board");
        assert!(of_bob.status == Status::Online && !of_bob.connected);
        world.done(agent_of(BOB), message(TALK, "as if nothing had happened")).await;
        // Sessions come back and are where they were.
        let ann = world.session(customer_of(ANN));
        assert_eq!(from_seq(ann.follow(Address::Conversation(TALK), 4).await), 4);
        ann.has_all(TALK, Audience::Customer, 4).await;
        assert!(world.conversation(TALK).await.row.connected);
    });
}

#[test]
fn timers_that_fell_due_meanwhile_fire_once() {
    run(async {
        let world = World::begin().await;
        let _bob = world.agent_session(BOB).await;
        world.start(ANN, TALK, SALES).await;
        world.start(CID, talk(2), SALES).await;
        let cid = world.session(customer_of(CID));
        cid.follow(Address::Conversation(talk(2)), 0).await.expect("follows");
        world.done(agent_of(BOB), claim(TALK)).await;
        world.quiet().await;
        world.engine.stop().await;
        world.clock.advance(60 * MINUTE);

        let world = world.restart().await;
        world.quiet().await;
        let ends = |log: Vec<jono_domain::conversation::Entry>| {
            let released = |body: &Body| matches!(body, Body::Released { cause: ReleaseCause::Inactive, .. });
            let closed = |body: &Body| matches!(body, Body::Closed { cause: CloseCause::Inactive, .. });
            let count = |is_it: &dyn Fn(&Body) -> bool| log.iter().filter(|entry| is_it(&entry.body)).count();
            (count(&released), count(&closed))
        };
        assert_eq!(ends(world.log(TALK).await), (1, 1));
        // Whoever was connected when the process ended has been away only since the start.
        assert_eq!(ends(world.log(talk(2)).await), (0, 0));
        world.pass(15 * MINUTE - 1).await;
        assert_eq!(ends(world.log(talk(2)).await), (0, 0));
        world.pass(1).await;
        assert_eq!(ends(world.log(talk(2)).await), (0, 1));
        let world = world.restart().await;
        assert_eq!(ends(world.log(TALK).await), (1, 1));
        assert_eq!(world.agent(BOB).await.held, []);
        assert_eq!(world.queue(SALES).await.waiting, 0);
        // Presence outlives the process by its own time.
        assert_eq!(world.agent(BOB).await.status, Status::Offline);
    });
}

#[test]
fn settings_identity_and_secret_are_those_of_the_data() {
    run(async {
        let world = World::begin().await;
        let next = world.restart().await;
        assert_eq!(world.engine.secret(), next.engine.secret());
        assert_eq!(world.engine.log_identity(), next.engine.log_identity());
        let directory = next.engine.directory();
        let organisation = directory.organisation(ORGANISATION).expect("known");
        assert_eq!((organisation.queues.len(), organisation.accounts.len()), (2, 4));
        let other = World::begin().await;
        assert_ne!(world.engine.secret(), other.engine.secret());
        assert_ne!(world.engine.log_identity(), other.engine.log_identity());
    });
}

#[test]
fn a_store_that_cannot_be_read_is_no_start() {
    run(async {
        let world = World::begin().await;
        world.records.faults().fail_reads(1);
        let config = EngineConfig { arbiters: 2, shards: 8, clock: world.clock.clone(), ..EngineConfig::default() };
        let store = Arc::new(world.records.reopen());
        let started = Engine::start(store, config).await;
        assert!(matches!(started, Err(StartError::Read(_))));
    });
}

#[test]
fn many_conversations_over_many_arbiters_come_back_once_each() {
    run(async {
        let mut plan = Plan::new();
        plan.config.arbiters = 4;
        plan.config.shards = 64;
        let world = plan.begin().await;
        let _bob = world.agent_session(BOB).await;
        for number in 0..100 {
            world.done(customer_of(visitor(number)), start(visitor(number), talk(number), SALES, "hello")).await;
        }
        for number in 0..50 {
            world.done(agent_of(BOB), claim(talk(number))).await;
        }
        world.until(async || world.agent(BOB).await.held.len() == 50).await;
        for _ in 0..3 {
            let next = world.restart().await;
            // The organisation, the queue, bob. What bob holds he may have asked before it was back, and that read for itself.
            assert!((3..=3 + 50).contains(&next.engine.counters().loads.get()), "each entity at most once, and no customer");
            let summary = next.queue(SALES).await;
            assert_eq!((summary.waiting, summary.active), (50, 50));
            assert_eq!(next.agent(BOB).await.held.len(), 50);
            next.quiet().await;
            assert_eq!(next.engine.counters().commits_failed.get(), 0, "no two actors of one entity");
            for number in 0..100 {
                next.done(customer_of(visitor(number)), message(talk(number), "still here")).await;
            }
            assert_eq!(next.engine.counters().commits_failed.get(), 0);
            next.engine.stop().await;
        }
    });
}

#[test]
fn a_start_is_over_when_everybody_has_told_how_they_stand() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        world.quiet().await;
        let moody = Arc::new(Moody::over(world.records.reopen()));
        moody.hold_entities();
        let config = EngineConfig { arbiters: 2, shards: 8, clock: world.clock.clone(), ..EngineConfig::default() };
        let starting = actix_rt::spawn(Engine::start(moody.clone(), config));
        // The queue has to be read before it can hear of those who wait.
        world.until(async || moody.waiting() > 0).await;
        world.quiet().await;
        assert!(!starting.is_finished());
        moody.release();
        let engine = starting.await.expect("no panic").expect("starts");
        engine.ask(agent_of(BOB), None, pick(SALES)).await.expect("somebody waits");
    });
}
