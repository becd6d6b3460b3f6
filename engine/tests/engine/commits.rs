//! Nothing leaves before what it rests on is stored; what comes while a commit is under way shares the next one.

use jono_domain::account::Audience;
use jono_domain::message::Address;
use jono_domain::queue;

use crate::kit::*;

#[test]
fn nothing_leaves_before_its_commit_is_confirmed_and_then_everything_in_order() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let ann = world.session(customer_of(ANN));
        let oda = world.session(agent_of(ODA));
        for session in [&ann, &oda] {
            session.follow(Address::Conversation(TALK), 0).await.expect("follows");
        }
        world.quiet().await;
        let before = (ann.deliveries().len(), oda.deliveries().len());
        let rows = world.rows(SALES).await;

        let faults = world.records.faults();
        faults.hold_commits();
        let requests: Vec<u64> = (0..20).map(|number| ann.send(None, message(TALK, &format!("{number}")))).collect();
        // An answer that reads what is not stored yet waits as well.
        let describe = oda.send(None, to(TALK, jono_domain::conversation::Command::Describe));
        let late = world.session(customer_of(ANN));
        let follow = late.send_follow(Address::Conversation(TALK), 0, 1 << 20);
        world.until(async || faults.held_commits() > 0).await;
        world.quiet().await;
        assert_eq!((ann.deliveries().len(), oda.deliveries().len()), before);
        assert!(late.deliveries().is_empty());
        assert!(!oda.has_answer(describe));
        assert_eq!(world.rows(SALES).await, rows, "the queue hears of nothing that is not stored");

        let commits = world.engine.counters().commits.get();
        faults.release_commits();
        for request in &requests {
            ann.answer(*request).await.expect("stored");
        }
        oda.answer(describe).await.expect("described");
        late.answer(follow).await.expect("follows");
        assert!(world.engine.counters().commits.get() - commits <= 2, "they shared a commit");
        ann.has_all(TALK, Audience::Customer, 0).await;
        oda.has_all(TALK, Audience::Agent, 0).await;
        late.has_all(TALK, Audience::Customer, 0).await;
        let order: Vec<String> = (0..20).map(|number| format!("{number}")).collect();
        assert_eq!(texts(&ann.events(TALK))[1..], order);
    });
}

#[test]
fn a_forwarded_request_goes_on_when_its_key_is_stored() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let bob = world.session(agent_of(BOB));
        let faults = world.records.faults();
        faults.hold_commits();
        let request = bob.send(Some("k"), pick(SALES));
        world.until(async || faults.held_commits() == 1).await;
        world.quiet().await;
        assert_eq!(faults.held_commits(), 1, "the conversation has not been asked yet");
        assert!(faults.release_one());
        world.until(async || faults.held_commits() == 1).await;
        world.quiet().await;
        assert!(!bob.has_answer(request));
        faults.release_commits();
        bob.answer(request).await.expect("claimed");
    });
}

#[test]
fn what_comes_while_a_commit_is_under_way_is_committed_together() {
    run(async {
        let world = World::begin().await;
        for number in 0..16 {
            world.start(visitor(number), talk(number), SALES).await;
        }
        world.quiet().await;
        let counters = world.engine.counters();
        let (commits, writes) = (counters.commits.get(), counters.writes.get());
        let senders: Vec<_> = (0..16).map(|number| world.session(customer_of(visitor(number)))).collect();
        let mut requests = Vec::new();
        for round in 0..20 {
            for (number, sender) in (0..16).zip(&senders) {
                requests.push((sender, sender.send(None, message(talk(number), &format!("{round}")))));
            }
        }
        for (sender, request) in requests {
            sender.answer(request).await.expect("stored");
        }
        let (commits, writes) = (counters.commits.get() - commits, counters.writes.get() - writes);
        assert_eq!(writes, 320);
        assert!(commits < writes / 2, "{commits} commits of {writes} writes");
    });
}

#[test]
fn a_queue_opened_by_hand_says_so_only_when_that_is_stored() {
    run(async {
        let world = World::begin().await;
        let faults = world.records.faults();
        faults.hold_commits();
        let bob = world.session(agent_of(BOB));
        let closed = bob.send(None, to_queue(SALES, queue::Command::SetOpen { open: false }));
        let asked = bob.send(None, to_queue(SALES, queue::Command::Describe));
        world.until(async || faults.held_commits() == 1).await;
        world.quiet().await;
        assert!(!bob.has_answer(closed) && !bob.has_answer(asked));
        faults.release_commits();
        bob.answer(asked).await.expect("described");
        assert!(!world.queue(SALES).await.open);
    });
}
