//! A bug in one entity costs that entity its state in memory, and nothing else (guarantee G16).

use jono_domain::account::Audience;
use jono_domain::conversation::{self, Command};
use jono_domain::message::{Address, Order};
use jono_domain::queue;
use jono_domain::reply::{Refusal, Reply};
use jono_engine::limits::{PANIC_WINDOW_MS, RETRY_QUARANTINED_MS};
use jono_engine::request::Outcome;

use crate::kit::*;

/// Poison for a conversation, and for a queue.
fn is_poison(order: &Order) -> bool {
    match order {
        Order::Conversation(_, command) => matches!(&**command, Command::Send { text, .. } if text == "poison"),
        Order::Queue(_, command) => matches!(**command, queue::Command::List { limit: 13, .. }),
        _ => false,
    }
}

async fn poisonous_world() -> World {
    let mut plan = Plan::new();
    plan.config.panic_if = Some(is_poison);
    plan.begin().await
}

fn poison_the_queue() -> Order {
    to_queue(SALES, queue::Command::List { after: None, limit: 13 })
}

#[test]
fn it_is_loaded_again_and_others_do_not_notice() {
    run(async {
        let world = poisonous_world().await;
        world.start(ANN, TALK, SALES).await;
        world.start(CID, talk(2), SALES).await;
        let ann = world.session(customer_of(ANN));
        ann.follow(Address::Conversation(TALK), 0).await.expect("follows");
        // Around the poison: one step not confirmed, others behind it.
        world.quiet().await;
        let faults = world.records.faults();
        faults.hold_commits();
        let before = ann.send(None, message(TALK, "before"));
        let poison = ann.send(None, message(TALK, "poison"));
        let after = ann.send(None, message(TALK, "after"));
        assert!(matches!(ann.answer(poison).await, Err(Refusal::Unavailable { .. })));
        world.reload().await;
        assert!(!ann.has_answer(after), "what was decided before is not stored yet");
        faults.release_commits();
        world.reload().await;
        ann.answer(before).await.expect("stored");
        ann.answer(after).await.expect("stored");
        world.done(customer_of(CID), message(talk(2), "undisturbed")).await;
        ann.has_all(TALK, Audience::Customer, 0).await;
        assert_eq!(texts(&world.log(TALK).await), ["hello", "before", "after"]);
        assert!(world.conversation(TALK).await.row.connected);
        assert_eq!(world.engine.counters().panics.get(), 1);
    });
}

#[test]
fn a_third_time_within_the_hour_is_one_too_many() {
    run(async {
        let world = poisonous_world().await;
        world.start(ANN, TALK, SALES).await;
        world.start(CID, talk(2), SALES).await;
        for round in 1..=3 {
            assert!(matches!(world.refused(customer_of(ANN), message(TALK, "poison")).await, Refusal::Unavailable { .. }));
            world.reload().await;
            assert_eq!(world.engine.counters().quarantined.get(), u64::from(round == 3));
        }
        let refusal = world.refused(customer_of(ANN), message(TALK, "harmless")).await;
        assert_eq!(refusal, Refusal::Unavailable { retry_after_ms: RETRY_QUARANTINED_MS });
        world.done(customer_of(CID), message(talk(2), "undisturbed")).await;
        // Its timers are silent, and it does not go away by itself.
        let panics = world.engine.counters().panics.get();
        world.pass(60 * MINUTE).await;
        assert_eq!(world.refused(customer_of(ANN), message(TALK, "harmless")).await, refusal);
        assert_eq!(world.engine.counters().panics.get(), panics);
        // Another start may bring another version.
        let world = world.restart().await;
        world.pass(SECOND).await;
        assert_eq!(world.log(TALK).await.len(), 4, "closed by the timer that fell due meanwhile");
    });
}

#[test]
fn panics_count_for_an_hour_even_when_nobody_needs_the_entity_meanwhile() {
    run(async {
        let world = poisonous_world().await;
        world.start(ANN, TALK, SALES).await;
        world.done(customer_of(ANN), close(TALK)).await;
        for pause in [PANIC_WINDOW_MS / 2, PANIC_WINDOW_MS + MINUTE, 20 * MINUTE] {
            world.refused(customer_of(ANN), message(TALK, "poison")).await;
            world.pass(pause).await;
            assert_eq!(world.engine.counters().quarantined.get(), 0);
        }
        world.refused(customer_of(ANN), message(TALK, "poison")).await;
        world.pass(MINUTE).await;
        assert_eq!(world.engine.counters().quarantined.get(), 0, "the first two are over an hour ago");
        world.refused(customer_of(ANN), message(TALK, "poison")).await;
        assert_eq!(world.engine.counters().quarantined.get(), 1);
    });
}

#[test]
fn a_queue_that_panics_asks_everybody_who_waits() {
    run(async {
        let world = poisonous_world().await;
        let eve = world.session(agent_of(EVE));
        eve.follow(Address::Queue(SALES), 0).await.expect("follows");
        for number in 0..20 {
            world.start(visitor(number), talk(number), SALES).await;
        }
        world.done(agent_of(BOB), claim(talk(5))).await;
        assert!(matches!(world.refused(agent_of(BOB), poison_the_queue()).await, Refusal::Unavailable { .. }));
        world.reload().await;
        let summary = world.queue(SALES).await;
        assert_eq!((summary.waiting, summary.active, summary.unread), (19, 1, 20));
        let picked = world.done(agent_of(BOB), pick(SALES)).await;
        assert!(matches!(picked, Reply::Claimed { .. }));
        let describe = to(talk(0), conversation::Command::Describe);
        world.done(agent_of(BOB), describe).await;
    });
}

#[test]
fn a_key_whose_request_panicked_is_free() {
    run(async {
        let world = poisonous_world().await;
        world.start(ANN, TALK, SALES).await;
        world.ask_keyed(customer_of(ANN), "k", message(TALK, "poison")).await.expect_err("panics");
        world.reload().await;
        world.ask_keyed(customer_of(ANN), "k", message(TALK, "harmless")).await.expect("stored");
        assert_eq!(texts(&world.log(TALK).await), ["hello", "harmless"]);
    });
}

#[test]
fn a_pick_passes_by_a_conversation_that_cannot_be_served() {
    run(async {
        let world = poisonous_world().await;
        world.start(ANN, TALK, SALES).await;
        world.start(CID, talk(2), SALES).await;
        for _ in 1..=3 {
            world.refused(customer_of(ANN), message(TALK, "poison")).await;
            world.reload().await;
        }
        assert_eq!(world.engine.counters().quarantined.get(), 1);
        // The first in line cannot be served; a repeat of the pick gets what the first one got.
        for _ in 0..2 {
            let picked = world.ask_keyed(agent_of(BOB), "next", pick(SALES)).await;
            let Ok(Outcome::Reply(Reply::Claimed { conversation, claim: 1, .. })) = picked else { panic!("{picked:?}") };
            assert_eq!(conversation, talk(2));
        }
        assert_eq!(world.refused(agent_of(BOB), pick(SALES)).await, Refusal::QueueEmpty);
    });
}
