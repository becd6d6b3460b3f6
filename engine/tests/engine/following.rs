//! Sessions come to a conversation at any moment, and see every event once, in order, without a hole (guarantee G3).

use jono_domain::account::Audience;
use jono_domain::conversation::{Command, Entry};
use jono_domain::message::Address;
use jono_domain::notice::Notice;
use jono_domain::reply::Refusal;
use jono_engine::delivery::Delivery;
use jono_engine::limits::CATCH_UP_NOTICES_MAX;

use crate::kit::*;

fn is_following(of: jono_domain::id::ConversationId) -> impl Fn(&[Delivery]) -> bool {
    move |all| all.iter().any(|told| matches!(told, Delivery::Following { conversation, .. } if *conversation == of))
}

#[test]
fn sessions_that_come_while_messages_pour_in_miss_nothing_and_hear_nothing_twice() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        world.done(agent_of(BOB), claim(TALK)).await;
        let ann = world.session(customer_of(ANN));
        let bob = world.session(agent_of(BOB));
        let mut sessions = Vec::new();
        let mut requests = Vec::new();
        for round in 0..60 {
            requests.push((&ann, ann.send(None, message(TALK, &format!("a{round}")))));
            requests.push((&bob, bob.send(None, message(TALK, &format!("b{round}")))));
            requests.push((&bob, bob.send(None, to(TALK, Command::AddNote { text: format!("n{round}") }))));
            if round % 4 == 0 {
                let customer = world.session(customer_of(ANN));
                let after = [0, 2, 4][round / 4 % 3];
                requests.push((&ann, 0));
                let request = customer.send_follow(Address::Conversation(TALK), after, 1 << 20);
                sessions.push((customer, request, Audience::Customer));
                let agent = world.session(agent_of(ODA));
                let request = agent.send_follow(Address::Conversation(TALK), after + 1, 1 << 20);
                sessions.push((agent, request, Audience::Agent));
                tokio::task::yield_now().await;
            }
        }
        for (session, request) in requests.into_iter().filter(|(_, request)| *request > 0) {
            session.answer(request).await.expect("stored");
        }
        for (session, request, audience) in &sessions {
            let from_seq = from_seq(session.answer(*request).await);
            session.has_all(TALK, *audience, from_seq).await;
        }
    });
}

#[test]
fn what_happens_while_the_log_is_read_comes_behind_it() {
    run(async {
        let (world, slow) = moody_world().await;
        world.start(ANN, TALK, SALES).await;
        slow.hold_logs();
        let ann = world.session(customer_of(ANN));
        let request = ann.send_follow(Address::Conversation(TALK), 1, 1 << 20);
        world.until(async || slow.waiting() == 1).await;
        for number in 0..10 {
            world.done(customer_of(ANN), message(TALK, &format!("{number}"))).await;
        }
        world.quiet().await;
        assert!(ann.deliveries().is_empty());
        slow.release();
        assert_eq!(from_seq(ann.answer(request).await), 1);
        ann.has_all(TALK, Audience::Customer, 1).await;
        // Once is enough.
        assert_eq!(from_seq(ann.follow(Address::Conversation(TALK), 0).await), 13);
        world.done(customer_of(ANN), message(TALK, "last")).await;
        ann.has_all(TALK, Audience::Customer, 1).await;
    });
}

#[test]
fn a_new_customer_whose_request_to_follow_came_twice_follows_once() {
    run(async {
        let world = World::begin().await;
        let ann = world.session(customer_of(ANN));
        for _ in 0..2 {
            let request = ann.send_follow_new(Address::Customer(ANN));
            assert_eq!(from_seq(ann.answer(request).await), 0);
        }
        ann.end(&[Address::Customer(ANN)]);
        world.start(ANN, TALK, SALES).await;
        world.quiet().await;
        assert!(ann.deliveries().iter().all(|told| matches!(told, Delivery::Answer { .. })), "{:?}", ann.deliveries());
        assert!(!world.rows(SALES).await[0].connected);
    });
}

#[test]
fn a_gap_is_announced() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        world.done(agent_of(BOB), claim(TALK)).await;
        for number in 0..700 {
            let order = match number % 3 {
                0 => message(TALK, &format!("message {number}")),
                _ => to(TALK, Command::AddNote { text: format!("note {number}") }),
            };
            world.done(agent_of(BOB), order).await;
        }
        let log = world.log(TALK).await;
        for (who, audience) in [(customer_of(ANN), Audience::Customer), (agent_of(ODA), Audience::Agent)] {
            // Not more than fits a page.
            let session = world.session(who);
            let from = from_seq(session.follow(Address::Conversation(TALK), 2).await);
            assert!(from > 2, "{from}");
            session.has_all(TALK, audience, from).await;
            assert!(session.events(TALK).len() <= 500);
            // Not more than fits the bytes; but one at least.
            for bytes_max in [1, 1_000] {
                let session = world.session(who);
                let request = session.send_follow(Address::Conversation(TALK), 2, bytes_max);
                let from = from_seq(session.answer(request).await);
                session.has_all(TALK, audience, from).await;
                let count = session.events(TALK).len();
                assert!(if bytes_max == 1 { count == 1 } else { (2..40).contains(&count) }, "{bytes_max}: {count}");
            }
            // A session that is where the log is gets nothing, and no gap.
            let head = log.iter().rev().find(|entry| entry.is_for(audience)).map_or(0, |entry: &Entry| entry.seq);
            let session = world.session(who);
            assert_eq!(from_seq(session.follow(Address::Conversation(TALK), head).await), head);
            assert!(session.events(TALK).is_empty());
            // One that says it has more has seen another log.
            let session = world.session(who);
            let from = from_seq(session.follow(Address::Conversation(TALK), head + 100).await);
            session.has_all(TALK, audience, from).await;
            assert!(!session.events(TALK).is_empty());
        }
    });
}

#[test]
fn a_session_too_far_behind_is_told_to_follow_again() {
    run(async {
        let (world, slow) = moody_world().await;
        world.start(ANN, TALK, SALES).await;
        slow.hold_logs();
        let ann = world.session(customer_of(ANN));
        let request = ann.send_follow(Address::Conversation(TALK), 0, 1 << 20);
        world.until(async || slow.waiting() == 1).await;
        for number in 0..=CATCH_UP_NOTICES_MAX {
            world.done(customer_of(ANN), message(TALK, &format!("{number}"))).await;
        }
        slow.release();
        assert!(matches!(ann.answer(request).await, Err(Refusal::Unavailable { .. })));
        assert!(ann.events(TALK).is_empty());
        let from = from_seq(ann.follow(Address::Conversation(TALK), 0).await);
        ann.has_all(TALK, Audience::Customer, from).await;
    });
}

#[test]
fn all_sessions_of_an_agent_and_all_tabs_of_a_customer_follow_what_is_begun() {
    run(async {
        let world = World::begin().await;
        let tabs = [world.customer_session(ANN).await, world.customer_session(ANN).await];
        let desks = [world.agent_session(BOB).await, world.agent_session(BOB).await];
        tabs[0].done(start(ANN, TALK, SALES, "hello")).await;
        for tab in &tabs {
            tab.wait("the conversation", is_following(TALK)).await;
        }
        world.until(async || world.queue(SALES).await.waiting == 1).await;
        desks[0].done(pick(SALES)).await;
        for desk in &desks {
            desk.wait("the conversation", is_following(TALK)).await;
        }
        tabs[1].done(message(TALK, "from the other tab")).await;
        desks[1].done(message(TALK, "from the other desk")).await;
        for tab in &tabs {
            tab.has_all(TALK, Audience::Customer, 0).await;
        }
        for desk in &desks {
            desk.has_all(TALK, Audience::Agent, 0).await;
        }
        // Who leaves is told nothing more; the others are.
        tabs[0].end(&[Address::Conversation(TALK)]);
        world.quiet().await;
        let told = tabs[0].events(TALK).len();
        world.done(customer_of(ANN), message(TALK, "later")).await;
        tabs[1].has_all(TALK, Audience::Customer, 0).await;
        assert_eq!(tabs[0].events(TALK).len(), told);
        assert!(world.conversation(TALK).await.row.connected);
    });
}

#[test]
fn the_customer_is_connected_while_any_session_follows() {
    run(async {
        let world = World::begin().await;
        let first = world.customer_session(ANN).await;
        let second = world.customer_session(ANN).await;
        assert!(!first.done(start(ANN, TALK, SALES, "hello")).await.eq(&jono_domain::reply::Reply::Done));
        second.wait("the conversation", is_following(TALK)).await;
        let connected = async || world.conversation(TALK).await.row.connected;
        world.until(connected).await;
        // A session that ends takes what it was led to with it.
        first.end(&[Address::Customer(ANN)]);
        world.quiet().await;
        assert!(world.conversation(TALK).await.row.connected);
        second.end(&[Address::Customer(ANN)]);
        world.until(async || !world.conversation(TALK).await.row.connected).await;
        // Agents who look on do not make the customer connected.
        let bob = world.session(agent_of(BOB));
        bob.follow(Address::Conversation(TALK), 0).await.expect("follows");
        assert!(!world.conversation(TALK).await.row.connected);
        let third = world.session(customer_of(ANN));
        third.follow(Address::Conversation(TALK), 0).await.expect("follows");
        assert!(world.conversation(TALK).await.row.connected);
    });
}

#[test]
fn a_session_that_is_gone_at_once_leaves_no_follower_behind() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        for _ in 0..50 {
            let ann = world.session(customer_of(ANN));
            ann.send_follow(Address::Conversation(TALK), 0, 1 << 20);
            ann.end(&[Address::Conversation(TALK)]);
        }
        world.quiet().await;
        assert!(!world.conversation(TALK).await.row.connected);
    });
}

#[test]
fn a_session_that_ends_while_it_is_led_somewhere_leaves_no_follower_behind() {
    run(async {
        let (world, slow) = moody_world().await;
        for number in 0..20 {
            let customer = visitor(number);
            let session = world.customer_session(customer).await;
            session.send(None, start(customer, talk(number), SALES, "hello"));
            // At every stage of its being led.
            for _ in 0..number {
                tokio::task::yield_now().await;
            }
            session.end(&[Address::Customer(customer)]);
        }
        // And while its log is being read.
        slow.hold_logs();
        let ann = world.customer_session(ANN).await;
        ann.done(start(ANN, TALK, SALES, "hello")).await;
        world.until(async || slow.waiting() > 0).await;
        ann.end(&[Address::Customer(ANN)]);
        world.until(async || !world.conversation(TALK).await.row.connected).await;
        slow.release();
        world.quiet().await;
        assert!(!is_following(TALK)(&ann.deliveries()));
        for conversation in (0..20).map(talk).chain([TALK]) {
            let view = world.conversation(conversation).await;
            assert!(!view.row.connected, "{conversation}");
        }
        world.done(customer_of(ANN), message(TALK, "nobody hears")).await;
        world.quiet().await;
        assert!(ann.events(TALK).is_empty());
    });
}

#[test]
fn who_leaves_and_comes_again_while_the_log_is_read_hears_everything_once() {
    run(async {
        let (world, slow) = moody_world().await;
        world.start(ANN, TALK, SALES).await;
        slow.hold_logs();
        let ann = world.session(customer_of(ANN));
        let first = ann.send_follow(Address::Conversation(TALK), 0, 1 << 20);
        world.until(async || slow.waiting() == 1).await;
        ann.end(&[Address::Conversation(TALK)]);
        let second = ann.send_follow(Address::Conversation(TALK), 0, 1 << 20);
        world.until(async || slow.waiting() == 2).await;
        world.done(customer_of(ANN), message(TALK, "meanwhile")).await;
        slow.release();
        // Who has left does not listen; who was forgotten by mistake asks again.
        assert!(matches!(ann.answer(first).await, Err(Refusal::Unavailable { .. })));
        assert_eq!(from_seq(ann.answer(second).await), 0);
        ann.has_all(TALK, Audience::Customer, 0).await;
    });
}

#[test]
fn who_may_no_longer_see_it_is_told_and_hears_nothing_more() {
    run(async {
        let (world, slow) = moody_world().await;
        world.start(ANN, TALK, SALES).await;
        let eve = world.session(agent_of(EVE));
        eve.follow(Address::Conversation(TALK), 0).await.expect("follows");
        slow.hold_logs();
        let late = world.session(agent_of(EVE));
        let request = late.send_follow(Address::Conversation(TALK), 0, 1 << 20);
        world.until(async || slow.waiting() == 1).await;
        world.done(agent_of(BOB), claim(TALK)).await;
        let transfer = Command::Transfer { claim: Some(1), to: TECH, note: None, admitted: false };
        world.done(agent_of(BOB), to(TALK, transfer)).await;
        eve.wait("the end", |all| all.iter().any(|told| matches!(told, Delivery::Unfollowed(TALK)))).await;
        slow.release();
        assert!(late.answer(request).await.is_err(), "it was made to leave before it was answered");
        world.done(customer_of(ANN), message(TALK, "secret")).await;
        world.quiet().await;
        for session in [&eve, &late] {
            assert!(!texts(&session.events(TALK)).contains(&"secret".to_owned()));
        }
        assert_eq!(eve.follow(Address::Conversation(TALK), 0).await, Err(Refusal::NotFound));
    });
}

#[test]
fn lists_and_presence_reach_those_who_follow_them() {
    run(async {
        let world = World::begin().await;
        let eve = world.session(agent_of(EVE));
        eve.follow(Address::Queue(SALES), 0).await.expect("follows the queue");
        eve.follow(Address::Organisation(ORGANISATION), 0).await.expect("follows the organisation");
        assert_eq!(world.session(agent_of(DAN)).follow(Address::Queue(SALES), 0).await, Err(Refusal::NotFound));
        assert_eq!(world.session(customer_of(ANN)).follow(Address::Queue(SALES), 0).await, Err(Refusal::Forbidden));
        let _bob = world.agent_session(BOB).await;
        eve.wait("bob's presence", |_| eve.notices().iter().any(|notice| matches!(notice, Notice::Presence { agent: BOB, .. })))
            .await;
        world.start(ANN, TALK, SALES).await;
        world.pass(SECOND).await;
        eve.wait("the row", |_| {
            eve.notices()
                .iter()
                .any(|notice| matches!(notice, Notice::Rows(rows) if rows.iter().any(|row| row.conversation == TALK)))
        })
        .await;
        let raised = |notice: &Notice| matches!(notice, Notice::Raised { conversation: TALK, .. });
        eve.wait("the first message", |_| eve.notices().iter().any(raised)).await;
    });
}
