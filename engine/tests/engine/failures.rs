//! A store that fails, or does not say: nobody is told what is not stored, nobody misses what is, and service resumes by itself.

use jono_domain::account::Audience;
use jono_domain::conversation::{Body, Command};
use jono_domain::message::Address;
use jono_domain::notice::Notice;
use jono_domain::queue;
use jono_domain::reply::Refusal;
use jono_engine::request::{Outcome, Query, View};
use jono_store::CommitFault;

use crate::kit::*;

const FAULTS: [CommitFault; 3] = [CommitFault::Unavailable, CommitFault::UnknownLost, CommitFault::UnknownApplied];

#[test]
fn whoever_asked_hears_that_it_failed_and_followers_see_what_is_stored() {
    run(async {
        for fault in FAULTS {
            let world = World::begin().await;
            world.start(ANN, TALK, SALES).await;
            let ann = world.session(customer_of(ANN));
            let oda = world.session(agent_of(ODA));
            for session in [&ann, &oda] {
                session.follow(Address::Conversation(TALK), 0).await.expect("follows");
            }
            world.quiet().await;
            // One commit under way, others wait behind it.
            let faults = world.records.faults();
            faults.hold_commits();
            let first = ann.send(None, message(TALK, "first"));
            world.until(async || faults.held_commits() == 1).await;
            let second = ann.send(None, message(TALK, "second"));
            let late = world.session(customer_of(ANN));
            let follow = late.send_follow(Address::Conversation(TALK), 0, 1 << 20);
            world.quiet().await;
            faults.fail_commits(1, fault);
            faults.release_commits();
            for request in [first, second] {
                assert!(matches!(ann.answer(request).await, Err(Refusal::Unavailable { .. })), "{fault:?}");
            }
            // What comes before it is read again waits.
            let third = ann.send(None, message(TALK, "third"));
            world.quiet().await;
            assert!(!ann.has_answer(third), "{fault:?}");
            world.reload().await;
            ann.answer(third).await.expect("stored");
            late.answer(follow).await.expect("follows");
            let stored: &[&str] =
                if fault == CommitFault::UnknownApplied { &["hello", "first", "third"] } else { &["hello", "third"] };
            assert_eq!(texts(&world.log(TALK).await), stored, "{fault:?}");
            for session in [&ann, &late] {
                session.has_all(TALK, Audience::Customer, 0).await;
            }
            oda.has_all(TALK, Audience::Agent, 0).await;
            assert!(world.conversation(TALK).await.row.connected);
        }
    });
}

#[test]
fn what_was_stored_after_all_reaches_everybody_whom_it_concerns() {
    run(async {
        let world = World::begin().await;
        let _eve = world.agent_session(EVE).await;
        world.start(ANN, TALK, SALES).await;
        let ann = world.customer_session(ANN).await;
        let faults = world.records.faults();
        let attempt = async |who, order| {
            world.quiet().await;
            faults.fail_commits(1, CommitFault::UnknownApplied);
            let refusal = world.refused(who, order).await;
            assert!(matches!(refusal, Refusal::Unavailable { .. }), "{refusal:?}");
            world.reload().await;
        };
        attempt(agent_of(BOB), claim(TALK)).await;
        assert_eq!(world.agent(BOB).await.held, [(TALK, SALES)]);
        assert_eq!(world.queue(SALES).await.active, 1);
        attempt(agent_of(BOB), to(TALK, Command::Transfer { claim: None, to: TECH, note: None, admitted: false })).await;
        assert_eq!(world.agent(BOB).await.held, []);
        assert_eq!((world.queue(SALES).await.active, world.queue(TECH).await.waiting), (0, 1));
        attempt(customer_of(ANN), close(TALK)).await;
        assert_eq!(world.queue(TECH).await.waiting, 0);
        assert_eq!(world.customer(ANN).await.ended, [TALK]);
        // What is kept without a log as well.
        world.start(CID, talk(2), SALES).await;
        let cid = world.customer_session(CID).await;
        world.done(agent_of(BOB), claim(talk(2))).await;
        attempt(agent_of(BOB), to(talk(2), Command::BlockCustomer { duration_ms: None })).await;
        cid.wait("the block", |_| cid.notices().contains(&Notice::Blocked(Some(None)))).await;
        world
            .until(async || matches!(world.ask(customer_of(CID), message(talk(2), "x")).await, Err(Refusal::Blocked { .. })))
            .await;
        // The customer's sessions are led to what has begun.
        attempt(customer_of(ANN), start(ANN, talk(3), SALES, "again")).await;
        ann.wait_for_event(talk(3), 3).await;
        ann.has_all(talk(3), Audience::Customer, 0).await;
    });
}

#[test]
fn a_new_conversation_whose_announcement_was_lost_or_in_doubt_is_followed() {
    run(async {
        for fault in FAULTS {
            let world = World::begin().await;
            let ann = world.customer_session(ANN).await;
            let faults = world.records.faults();
            world.quiet().await;
            faults.hold_commits();
            let request = ann.send(None, start(ANN, TALK, SALES, "hello"));
            world.until(async || faults.held_commits() == 1).await;
            // The conversation's own beginning is stored, what its customer is told is not.
            faults.release_one();
            ann.answer(request).await.expect("started");
            world.until(async || faults.held_commits() > 0).await;
            faults.fail_commits(1, fault);
            faults.release_commits();
            world.reload().await;
            world.reload().await;
            // What the conversation told is told again, whatever became of the commit.
            ann.wait_for_event(TALK, 3).await;
            ann.has_all(TALK, Audience::Customer, 0).await;
            world.done(agent_of(BOB), claim(TALK)).await;
            world.done(agent_of(BOB), close(TALK)).await;
            world.until(async || world.customer(ANN).await.ended == [TALK]).await;
        }
    });
}

#[test]
fn a_queue_whose_commit_fails_keeps_everybody_who_waits() {
    run(async {
        let world = World::begin().await;
        let eve = world.session(agent_of(EVE));
        eve.follow(Address::Queue(SALES), 0).await.expect("follows");
        for number in 0..30 {
            world.start(visitor(number), talk(number), SALES).await;
        }
        let faults = world.records.faults();
        for fault in FAULTS {
            world.quiet().await;
            faults.fail_commits(1, fault);
            let open = !world.queue(SALES).await.open;
            let refusal = world.refused(agent_of(BOB), to_queue(SALES, queue::Command::SetOpen { open })).await;
            assert!(matches!(refusal, Refusal::Unavailable { .. }));
            world.reload().await;
            let summary = world.queue(SALES).await;
            assert_eq!((summary.waiting, summary.open), (30, if fault == CommitFault::UnknownApplied { open } else { !open }));
            assert_eq!(world.rows(SALES).await.len(), 30);
            let told = |notice: &Notice| matches!(notice, Notice::Queue(told) if *told == summary);
            eve.wait("how the queue stands", |_| eve.notices().iter().rev().any(told)).await;
        }
    });
}

#[test]
fn a_list_is_told_what_conversations_said_whatever_became_of_the_queue_s_own_commit() {
    run(async {
        let world = World::begin().await;
        let eve = world.session(agent_of(EVE));
        eve.follow(Address::Queue(SALES), 0).await.expect("follows");
        world.start(ANN, TALK, SALES).await;
        world.pass(SECOND).await;
        // The first row of a moment is told at once, the next one a little later: while a commit is under way.
        world.done(customer_of(ANN), message(TALK, "at once")).await;
        world.quiet().await;
        world.done(customer_of(ANN), message(TALK, "a little later")).await;
        world.quiet().await;
        let is_told =
            |notice: &Notice| matches!(notice, Notice::Rows(rows) if rows.iter().any(|row| row.preview == "a little later"));
        let faults = world.records.faults();
        faults.hold_commits();
        let bob = world.session(agent_of(BOB));
        let request = bob.send(None, to_queue(SALES, queue::Command::SetOpen { open: false }));
        world.until(async || faults.held_commits() == 1).await;
        world.pass(SECOND).await;
        assert!(!eve.notices().iter().any(is_told));
        faults.fail_commits(1, CommitFault::Unavailable);
        faults.release_commits();
        bob.answer(request).await.expect_err("failed");
        eve.wait("the row", |_| eve.notices().iter().any(is_told)).await;
    });
}

#[test]
fn a_store_that_is_away_is_not_asked_in_a_loop_and_service_resumes_by_itself() {
    run(async {
        let (world, store) = moody_world().await;
        for number in 0..10 {
            world.start(visitor(number), talk(number), SALES).await;
        }
        world.quiet().await;
        store.set_away(true);
        let counters = world.engine.counters();
        let loads = counters.loads.get();
        let sessions: Vec<_> = (0..10).map(|number| world.session(customer_of(visitor(number)))).collect();
        let attempts: Vec<_> =
            (0..10).zip(&sessions).map(|(number, session)| session.send(None, message(talk(number), "x"))).collect();
        for (session, request) in sessions.iter().zip(attempts) {
            assert!(matches!(session.answer(request).await, Err(Refusal::Unavailable { .. })));
        }
        // Time stands still: nobody looks into the store again.
        world.quiet().await;
        assert_eq!(counters.loads.get(), loads);
        for _ in 0..20 {
            world.reload().await;
        }
        let tries = counters.loads.get() - loads;
        assert!((10..=200).contains(&tries), "{tries} attempts of ten entities in five seconds");
        // Whoever asks meanwhile is told; not at once, but at the next attempt.
        let request = sessions[0].send(None, message(talk(0), "x"));
        world.reload().await;
        assert!(matches!(sessions[0].answer(request).await, Err(Refusal::Unavailable { .. })));
        // It is back.
        store.set_away(false);
        world.reload().await;
        for (number, session) in (0..10).zip(&sessions) {
            session.done(message(talk(number), "back")).await;
        }
        assert_eq!(world.queue(SALES).await.waiting, 10);
    });
}

#[test]
fn what_entities_tell_each_other_waits_for_a_store_that_cannot_be_read() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        world.done(agent_of(BOB), claim(TALK)).await;
        // The customer's own entity is unloaded meanwhile, and bob's is needed.
        for _ in 0..4 {
            world.pass(MINUTE).await;
            world.done(agent_of(BOB), to(TALK, Command::Touch { claim: None })).await;
        }
        world.quiet().await;
        let loads = world.engine.counters().loads.get();
        world.records.faults().fail_reads(3);
        world.done(agent_of(BOB), close(TALK)).await;
        world.quiet().await;
        assert!(world.engine.counters().loads.get() > loads, "the customer is loaded to be told");
        for _ in 0..4 {
            world.reload().await;
        }
        assert_eq!(world.customer(ANN).await.ended, [TALK]);
    });
}

#[test]
fn a_led_session_waits_for_a_log_that_cannot_be_read() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let bob = world.agent_session(BOB).await;
        world.quiet().await;
        world.records.faults().fail_reads(3);
        bob.done(pick(SALES)).await;
        world.as_time_passes(bob.wait_for_event(TALK, 4)).await;
        bob.has_all(TALK, Audience::Agent, 0).await;
        // Who asks is told, and asks again.
        world.records.faults().fail_reads(1);
        let oda = world.session(agent_of(ODA));
        assert!(matches!(oda.follow(Address::Conversation(TALK), 0).await, Err(Refusal::Unavailable { .. })));
        oda.follow(Address::Conversation(TALK), 0).await.expect("follows");
        oda.has_all(TALK, Audience::Agent, 0).await;
    });
}

#[test]
fn a_list_is_whole_or_not_given() {
    run(async {
        let world = World::begin().await;
        for (customer, talk) in [(ANN, TALK), (CID, talk(2))] {
            world.start(customer, talk, SALES).await;
            world.done(agent_of(BOB), claim(talk)).await;
        }
        world.quiet().await;
        let faults = world.records.faults();
        faults.fail_commits(1, CommitFault::Unavailable);
        world.refused(customer_of(ANN), message(TALK, "x")).await;
        faults.fail_reads(1);
        let mine = Query::List { view: View::Mine, queue: None, cursor: None, limit: 10 };
        let list = world.as_time_passes(world.query(agent_of(BOB), mine.clone())).await;
        assert!(matches!(list, Err(Refusal::Unavailable { .. })), "{list:?}");
        match world.as_time_passes(world.query(agent_of(BOB), mine)).await {
            Ok(Outcome::Rows { rows, .. }) => assert_eq!(rows.len(), 2),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn in_a_storm_of_failures_every_session_sees_the_log_as_it_is_stored() {
    run(async {
        let mut chance = fastrand::Rng::with_seed(13);
        let mut dice = move |sides: u64| chance.u64(..sides);
        let world = World::begin().await;
        for number in 0..4 {
            world.start(visitor(number), talk(number), SALES).await;
        }
        let senders: Vec<_> = (0..4).map(|number| world.session(customer_of(visitor(number)))).collect();
        let mut watchers = Vec::new();
        let mut acknowledged: Vec<Vec<String>> = vec![Vec::new(); 4];
        let mut asked = Vec::new();
        let faults = world.records.faults();
        for round in 0..150 {
            if dice(4) == 0 {
                faults.fail_commits(1 + dice(3) as usize, FAULTS[dice(3) as usize]);
            }
            if dice(8) == 0 {
                faults.fail_reads(1 + dice(2) as usize);
            }
            for _ in 0..=dice(5) {
                let number = dice(4) as usize;
                let text = format!("{round}-{number}-{}", asked.len());
                let order = message(talk(number as u128), &text);
                asked.push((number, text.clone(), senders[number].send(Some(&text), order)));
            }
            if round % 5 == 0 {
                let number = dice(4);
                let audience = [Audience::Customer, Audience::Agent][dice(2) as usize];
                let who = if audience == Audience::Agent { agent_of(ODA) } else { customer_of(visitor(number.into())) };
                let session = world.session(who);
                let conversation = talk(number.into());
                let request = session.send_follow(Address::Conversation(conversation), 0, 1 << 20);
                watchers.push((session, conversation, audience, request));
            }
            if dice(3) > 0 {
                world.clock.advance(100);
            }
            tokio::time::sleep(std::time::Duration::from_micros(dice(600))).await;
        }
        // What was planned and has not happened yet happens now.
        for _ in 0..100 {
            let number = dice(4).into();
            let _ = world
                .as_time_passes(
                    world.ask(customer_of(visitor(number)), message(talk(number), &format!("calm {}", dice(u64::MAX)))),
                )
                .await;
            let history = Query::History { conversation: talk(number), forward: true, from: 0, limit: 1 };
            let _ = world.as_time_passes(world.query(agent_of(ODA), history)).await;
        }
        for (number, text, request) in asked {
            match world.as_time_passes(senders[number].answer(request)).await {
                Ok(_) => acknowledged[number].push(text),
                Err(Refusal::Unavailable { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        for number in 0..4 {
            let stored = texts(&world.log(talk(number)).await);
            let mut distinct = stored.clone();
            distinct.sort();
            distinct.dedup();
            assert_eq!(distinct.len(), stored.len(), "nothing twice");
            assert!(acknowledged[number as usize].iter().all(|text| stored.contains(text)), "nothing acknowledged is missing");
        }
        let mut followed = 0;
        for (session, conversation, audience, request) in watchers {
            match world.as_time_passes(session.answer(request)).await {
                Ok(Outcome::Following { from_seq, .. }) => {
                    session.has_all(conversation, audience, from_seq).await;
                    followed += 1;
                }
                Err(Refusal::Unavailable { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(followed > 10, "{followed}");
        assert_eq!(world.queue(SALES).await.waiting, 4);
    });
}

#[test]
fn an_owner_that_was_replaced_tells_nobody_anything_and_rests() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let ann = world.session(customer_of(ANN));
        ann.follow(Address::Conversation(TALK), 0).await.expect("follows");
        world.quiet().await;
        let next = world.restart().await;
        let told = ann.deliveries().len();
        let old = world.session(customer_of(ANN));
        let requests: Vec<u64> = (0..5).map(|_| old.send(Some("k"), message(TALK, "from the past"))).collect();
        for request in requests {
            assert!(matches!(old.answer(request).await, Err(Refusal::Unavailable { .. })));
        }
        // Not even what could be read is told.
        let describe = world.refused(customer_of(ANN), to(TALK, Command::Describe)).await;
        assert!(matches!(describe, Refusal::Unavailable { .. }));
        for _ in 0..5 {
            world.reload().await;
        }
        let (loads, failed) = (world.engine.counters().loads.get(), world.engine.counters().commits_failed.get());
        for _ in 0..10 {
            world.reload().await;
        }
        assert_eq!(world.engine.counters().loads.get(), loads, "it does not look into a store that is not its own");
        assert_eq!(world.engine.counters().commits_failed.get(), failed);
        assert_eq!(ann.deliveries().len(), told);
        assert!(world.engine.counters().commits_fenced.get() > 0);
        next.done(customer_of(ANN), message(TALK, "now")).await;
        assert_eq!(texts(&next.log(TALK).await), ["hello", "now"]);
    });
}

#[test]
fn a_stop_finishes_what_is_under_way_and_refuses_what_comes_later() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let ann = world.session(customer_of(ANN));
        world.quiet().await;
        let faults = world.records.faults();
        faults.hold_commits();
        let requests: Vec<u64> = (0..50).map(|number| ann.send(None, message(TALK, &format!("{number}")))).collect();
        world.until(async || faults.held_commits() > 0).await;
        let engine = world.engine.clone();
        let stopping = actix_rt::spawn(async move { engine.stop().await });
        world.quiet().await;
        assert!(!stopping.is_finished());
        let late = world.ask(customer_of(ANN), message(TALK, "late")).await;
        assert!(matches!(late, Err(Refusal::Busy { .. } | Refusal::Unavailable { .. })), "{late:?}");
        faults.release_commits();
        stopping.await.expect("stops");
        for request in requests {
            ann.answer(request).await.expect("stored before the end");
        }
        assert!(world.ask(customer_of(ANN), message(TALK, "later")).await.is_err());
        world.engine.stop().await;
        let next = world.restart().await;
        assert_eq!(next.log(TALK).await.len(), 53);
        assert!(matches!(next.log(TALK).await[52].body, Body::Message { .. }));
    });
}
