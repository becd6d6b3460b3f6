//! More than can be served is refused at the door; nothing that was let in is lost.

use jono_domain::reply::Refusal;
use jono_engine::limits::{ENTITY_INBOX_MAX, LOADING_MAX, QUERIES_MAX};
use jono_engine::request::{Query, ReplyTo, View};
use tokio::sync::oneshot;

use crate::kit::*;

#[test]
fn a_hot_conversation_is_busy_and_others_are_not() {
    run(async {
        let world = World::begin().await;
        world.start(ANN, TALK, SALES).await;
        world.start(CID, talk(2), SALES).await;
        let ann = world.session(customer_of(ANN));
        let count = 6 * ENTITY_INBOX_MAX as usize;
        let requests: Vec<u64> = (0..count).map(|number| ann.send(None, message(TALK, &format!("{number}")))).collect();
        world.done(customer_of(CID), message(talk(2), "quick")).await;
        let mut stored = 0;
        for request in requests {
            match ann.answer(request).await {
                Ok(_) => stored += 1,
                Err(Refusal::Busy { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(stored >= ENTITY_INBOX_MAX as usize);
        assert_eq!(world.log(TALK).await.len(), 3 + stored, "what was acknowledged is stored, what was refused is not");
        assert_eq!(world.engine.counters().refused_busy.get(), (count - stored) as u64);
    });
}

#[test]
fn requests_wait_for_an_entity_that_is_being_loaded_up_to_a_number() {
    run(async {
        let (world, store) = moody_world().await;
        world.start(ANN, TALK, SALES).await;
        world.quiet().await;
        store.set_away(true);
        let ann = world.session(customer_of(ANN));
        let first = ann.send(None, message(TALK, "fails"));
        ann.answer(first).await.expect_err("fails");
        store.set_away(false);
        // It looks into the store again only later.
        let mut requests = Vec::new();
        for number in 0..LOADING_MAX + 100 {
            requests.push(ann.send(None, message(TALK, &format!("{number}"))));
            if number % 200 == 0 {
                world.quiet().await;
            }
        }
        world.quiet().await;
        let (refused, waiting): (Vec<u64>, Vec<u64>) = requests.into_iter().partition(|request| ann.has_answer(*request));
        // The order to look into the store again waits among them.
        assert_eq!(waiting.len(), LOADING_MAX - 1);
        world.reload().await;
        for request in waiting {
            ann.answer(request).await.expect("stored");
        }
        for request in refused {
            assert!(matches!(ann.answer(request).await, Err(Refusal::Busy { .. })));
        }
        assert_eq!(world.log(TALK).await.len(), 3 + LOADING_MAX - 1);
        assert_eq!(world.queue(SALES).await.unread, 100, "the queue was told");
    });
}

#[test]
fn what_entities_tell_each_other_is_never_refused() {
    run(async {
        let world = World::begin().await;
        let bob = world.agent_session(BOB).await;
        let customers: Vec<_> = (0..150).map(|number| world.session(customer_of(visitor(number)))).collect();
        for (number, session) in (0..).zip(&customers) {
            session.send(None, start(visitor(number), talk(number), SALES, "hello"));
        }
        world.until(async || world.queue(SALES).await.waiting == 150).await;
        // The queue's mailbox is full of questions while a hundred conversations announce themselves.
        let noise = world.session(agent_of(ODA));
        for _ in 0..3 * ENTITY_INBOX_MAX {
            noise.send(None, to_queue(SALES, jono_domain::queue::Command::Describe));
        }
        for number in 0..150 {
            bob.send(None, claim(talk(number)));
        }
        for _ in 0..3 * ENTITY_INBOX_MAX {
            noise.send(None, to_queue(SALES, jono_domain::queue::Command::Describe));
        }
        world.until(async || world.conversation(talk(149)).await.row.holder == Some(BOB)).await;
        world.quiet().await;
        let summary = world.queue(SALES).await;
        assert_eq!((summary.waiting, summary.active), (0, 150));
        assert_eq!(world.agent(BOB).await.held.len(), 150);
    });
}

#[test]
fn questions_have_their_own_limit() {
    run(async {
        let world = World::begin().await;
        let list = || Query::List { view: View::Open, queue: None, cursor: None, limit: 10 };
        let mut answers = Vec::new();
        let mut refused = 0;
        for _ in 0..2 * QUERIES_MAX {
            let (sender, receiver) = oneshot::channel();
            match world.engine.query(agent_of(BOB), list(), ReplyTo::Once(sender)) {
                Ok(()) => answers.push(receiver),
                Err(_) => refused += 1,
            }
        }
        for answer in answers {
            answer.await.expect("an answer").expect("rows");
        }
        assert!(refused <= QUERIES_MAX);
        world.query(agent_of(BOB), list()).await.expect("room again");
    });
}
