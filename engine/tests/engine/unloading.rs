//! What nothing needs is unloaded, and comes back when it is needed.

use jono_domain::account::Audience;
use jono_domain::conversation::Command;
use jono_domain::id::{AgentId, ConversationId, CustomerId, OrganisationId, QueueId};
use jono_domain::message::{Address, Order};
use jono_domain::reply::{Refusal, Reply};
use jono_domain::{agent, customer, organisation, queue};
use jono_engine::delivery::Delivery;
use jono_engine::limits::{IDLE_MS, IDLE_UNKNOWN_MS};
use jono_engine::request::Outcome;

use crate::kit::*;

#[test]
fn ended_conversations_and_idle_customers_are_unloaded_and_come_back_as_they_were() {
    run(async {
        let world = World::begin().await;
        world.pass(IDLE_MS).await;
        let before = world.engine.counters().entities_loaded.get();
        for number in 0..20 {
            world.start(visitor(number), talk(number), SALES).await;
            world.done(customer_of(visitor(number)), message(talk(number), "one more")).await;
            world.done(customer_of(visitor(number)), close(talk(number))).await;
        }
        world.quiet().await;
        assert!(world.engine.counters().entities_loaded.get() >= before + 40);
        world.pass(2 * IDLE_MS).await;
        world.pass(IDLE_MS).await;
        let left = world.engine.counters().entities_loaded.get();
        assert!(left <= before, "{left} of {before}");
        for number in 0..20 {
            assert_eq!(texts(&world.log(talk(number)).await), ["hello", "one more"]);
            assert_eq!(world.conversation(talk(number)).await.head, 5);
            world.done(customer_of(visitor(number)), to(talk(number), Command::Rate { rating: 4, comment: None })).await;
        }
    });
}

#[test]
fn open_conversations_and_followed_ones_stay() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let ann = world.session(customer_of(ANN));
        ann.follow(Address::Conversation(TALK), 0).await.expect("follows");
        world.start(CID, talk(2), SALES).await;
        world.done(customer_of(CID), close(talk(2))).await;
        let cid = world.session(customer_of(CID));
        cid.follow(Address::Conversation(talk(2)), 0).await.expect("follows");
        for _ in 0..10 {
            world.pass(5 * IDLE_MS).await;
        }
        let loads = world.engine.counters().loads.get();
        world.done(customer_of(ANN), message(TALK, "still here")).await;
        world.done(customer_of(CID), to(talk(2), Command::Rate { rating: 1, comment: None })).await;
        cid.wait_for_event(talk(2), 5).await;
        ann.wait_for_event(TALK, 4).await;
        assert!(world.engine.counters().loads.get() <= loads + 2, "customers and agents, but no conversation");
        // The last follower gone, it goes.
        cid.end(&[Address::Conversation(talk(2))]);
        let loaded = world.engine.counters().entities_loaded.get();
        world.pass(2 * IDLE_MS).await;
        world.pass(2 * IDLE_MS).await;
        assert!(world.engine.counters().entities_loaded.get() < loaded);
    });
}

#[test]
fn a_conversation_whose_followers_were_made_to_leave_goes_too() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        let _dan_is_online = world.agent_session(DAN).await;
        let bob = world.agent_session(BOB).await;
        bob.done(claim(TALK)).await;
        bob.wait_for_event(TALK, 4).await;
        world.put_agent(ORGANISATION, BOB, jono_domain::account::Role::Agent, &[]).await;
        bob.done(close(TALK)).await;
        bob.wait("the end", |all| all.iter().any(|told| matches!(told, jono_engine::delivery::Delivery::Unfollowed(TALK)))).await;
        let loaded = world.engine.counters().entities_loaded.get();
        world.pass(2 * IDLE_MS).await;
        world.pass(2 * IDLE_MS).await;
        let loads = world.engine.counters().loads.get();
        world.conversation(TALK).await;
        assert_eq!(world.engine.counters().loads.get(), loads + 1, "it had been unloaded");
        assert!(world.engine.counters().entities_loaded.get() <= loaded);
    });
}

#[test]
fn guessed_ids_are_not_found_and_do_not_accumulate() {
    run(async {
        let world = World::begin().await;
        world.pass(2 * IDLE_MS).await;
        let before = world.engine.counters().entities_loaded.get();
        let ann = world.session(customer_of(ANN));
        for number in 0..100 {
            let bits = 900_000 + number;
            let conversation = ConversationId::from_bits(bits);
            assert_eq!(world.refused(customer_of(ANN), message(conversation, "x")).await, Refusal::NotFound);
            assert_eq!(ann.follow(Address::Conversation(conversation), 0).await, Err(Refusal::NotFound));
            for order in [
                to_queue(QueueId::from_bits(bits), queue::Command::Describe),
                to_agent(AgentId::from_bits(bits), agent::Command::Describe),
                Order::Customer(CustomerId::from_bits(bits), Box::new(customer::Command::Describe)),
                Order::Organisation(OrganisationId::from_bits(bits), Box::new(organisation::Command::Describe)),
            ] {
                assert_eq!(world.refused(agent_of(BOB), order).await, Refusal::NotFound);
            }
        }
        assert!(world.engine.counters().entities_loaded.get() >= before + 400);
        let writes = world.engine.counters().writes.get();
        world.pass(IDLE_UNKNOWN_MS).await;
        assert!(world.engine.counters().entities_loaded.get() <= before);
        assert_eq!(world.engine.counters().writes.get(), writes);
    });
}

#[test]
fn an_entity_with_a_commit_under_way_waits_for_it_without_spinning() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        world.quiet().await;
        let faults = world.records.faults();
        faults.hold_commits();
        let ann = world.session(customer_of(ANN));
        let request = ann.send(None, close(TALK));
        world.until(async || faults.held_commits() == 1).await;
        world.pass(IDLE_MS).await;
        let letters = world.engine.counters().letters.get();
        for _ in 0..5 {
            world.pass(IDLE_MS).await;
        }
        assert!(world.engine.counters().letters.get() - letters < 100);
        faults.release_commits();
        ann.answer(request).await.expect("stored");
    });
}

#[test]
fn a_new_visitor_costs_no_actor_and_still_hears_what_another_tab_begins() {
    run(async {
        let world = World::begin().await;
        world.quiet().await;
        let before = world.engine.counters().entities_loaded.get();
        let first = world.session(customer_of(ANN));
        let asked = first.send_follow_new(Address::Customer(ANN));
        assert!(matches!(first.answer(asked).await, Ok(Outcome::Following { state: Reply::Customer(_), .. })));
        assert_eq!(world.engine.counters().entities_loaded.get(), before);
        // Somebody who only claims to be that customer is refused as by the loaded entity.
        let stranger = world.session(customer_of(CID));
        let asked = stranger.send_follow_new(Address::Customer(ANN));
        assert_eq!(stranger.answer(asked).await, Err(Refusal::NotFound));
        let second = world.customer_session(ANN).await;
        second.done(start(ANN, TALK, SALES, "hello")).await;
        for tab in [&first, &second] {
            let is_following = |all: &[Delivery]| all.iter().any(|told| matches!(told, Delivery::Following { .. }));
            tab.wait("the conversation", is_following).await;
            tab.has_all(TALK, Audience::Customer, 0).await;
        }
    });
}

#[test]
fn sessions_that_look_at_what_has_ended_keep_nothing_loaded_and_leave_without_loading_it() {
    run(async {
        let world = World::begin().await;
        let ann = world.customer_session(ANN).await;
        ann.done(start(ANN, TALK, SALES, "hello")).await;
        ann.wait_for_event(TALK, 3).await;
        world.quiet().await;
        world.done(agent_of(BOB), claim(TALK)).await;
        world.done(agent_of(BOB), close(TALK)).await;
        world.pass(2 * IDLE_MS).await;
        world.pass(2 * IDLE_MS).await;
        let (loaded, loads) = (world.engine.counters().entities_loaded.get(), world.engine.counters().loads.get());
        // What happens there is still told.
        world.done(customer_of(ANN), to(TALK, Command::Rate { rating: 5, comment: None })).await;
        ann.wait_for_event(TALK, 6).await;
        world.pass(2 * IDLE_MS).await;
        assert!(world.engine.counters().entities_loaded.get() <= loaded);
        let after = world.engine.counters().loads.get();
        assert!(after > loads, "it had been unloaded");
        ann.end(&[Address::Conversation(TALK), Address::Customer(ANN)]);
        world.quiet().await;
        assert_eq!(world.engine.counters().loads.get(), after);
    });
}
