//! Many at once.

use std::collections::BTreeMap;

use jono_domain::account::Role;
use jono_domain::conversation::{Body, Command};
use jono_domain::id::AgentId;
use jono_domain::reply::{Refusal, Reply};
use jono_engine::request::Outcome;

use crate::kit::*;

#[test]
fn eight_agents_pick_two_hundred_conversations_each_is_claimed_once() {
    run(async {
        let world = World::begin().await;
        let agents: Vec<AgentId> = (0..8).map(|number| AgentId::from_bits(300 + number)).collect();
        for agent in &agents {
            world.put_agent(ORGANISATION, *agent, Role::Agent, &[SALES]).await;
        }
        for number in 0..200 {
            world.done(customer_of(visitor(number)), start(visitor(number), talk(number), SALES, "hello")).await;
        }
        world.until(async || world.queue(SALES).await.waiting == 200).await;
        let sessions: Vec<_> = agents.iter().map(|agent| world.session(agent_of(*agent))).collect();
        let mut claims: BTreeMap<_, AgentId> = BTreeMap::new();
        // Everybody picks several at a time, until nobody waits.
        loop {
            let requests: Vec<_> = sessions
                .iter()
                .zip(&agents)
                .flat_map(|(session, agent)| (0..3).map(move |_| (session, *agent, session.send(None, pick(SALES)))))
                .collect();
            let mut empty = 0;
            for (session, agent, request) in requests {
                match session.answer(request).await {
                    Ok(Outcome::Reply(Reply::Claimed { conversation, claim: 1, .. })) => {
                        assert_eq!(claims.insert(conversation, agent), None, "{conversation} was claimed twice");
                    }
                    Err(Refusal::QueueEmpty) => empty += 1,
                    other => panic!("{other:?}"),
                }
            }
            if empty == 24 {
                break;
            }
        }
        assert_eq!(claims.len(), 200);
        world.quiet().await;
        let summary = world.queue(SALES).await;
        assert_eq!((summary.waiting, summary.active), (0, 200));
        let mut held = 0;
        for agent in &agents {
            let view = world.agent(*agent).await;
            assert!(view.held.iter().all(|(conversation, _)| claims[conversation] == *agent));
            held += view.held.len();
        }
        assert_eq!(held, 200);
        for (conversation, agent) in &claims {
            assert_eq!(world.conversation(*conversation).await.row.holder, Some(*agent));
        }
    });
}

#[test]
fn picks_and_claims_by_hand_do_not_meet_in_one_conversation() {
    run(async {
        let world = World::begin().await;
        for number in 0..100 {
            world.done(customer_of(visitor(number)), start(visitor(number), talk(number), SALES, "hello")).await;
        }
        world.until(async || world.queue(SALES).await.waiting == 100).await;
        let bob = world.session(agent_of(BOB));
        let eve = world.session(agent_of(EVE));
        let mut picks = Vec::new();
        let mut claims = Vec::new();
        for number in 0..60 {
            picks.push(bob.send(None, pick(SALES)));
            claims.push(eve.send(None, claim(talk(number))));
        }
        let mut taken = 0;
        for request in picks {
            match bob.answer(request).await {
                Ok(Outcome::Reply(Reply::Claimed { .. })) => taken += 1,
                Err(Refusal::QueueEmpty) => {}
                other => panic!("{other:?}"),
            }
        }
        for request in claims {
            match eve.answer(request).await {
                Ok(Outcome::Reply(Reply::Claimed { .. })) => taken += 1,
                Err(Refusal::ClaimHeld { holder: BOB, .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        world.quiet().await;
        let summary = world.queue(SALES).await;
        assert_eq!((summary.active, summary.waiting), (taken, 100 - taken));
        for number in 0..100 {
            let log = world.log(talk(number)).await;
            assert!(log.iter().filter(|entry| matches!(entry.body, Body::Claimed { .. })).count() <= 1);
        }
        // Offers that came to nothing do not hide anybody for long.
        world.pass(5 * SECOND).await;
        for _ in 0..100 - taken {
            world.done(agent_of(EVE), pick(SALES)).await;
        }
        assert_eq!(world.refused(agent_of(EVE), pick(SALES)).await, Refusal::QueueEmpty);
    });
}

#[test]
fn a_word_in_the_last_moment_and_the_timer_agree() {
    run(async {
        let world = World::begin().await;
        for number in 0..40 {
            world.done(customer_of(visitor(number)), start(visitor(number), talk(number), SALES, "hello")).await;
            world.done(agent_of(BOB), claim(talk(number))).await;
        }
        world.pass(5 * MINUTE - 1).await;
        let bob = world.session(agent_of(BOB));
        let requests: Vec<u64> = (0..40)
            .map(|number| {
                if number == 20 {
                    world.clock.advance(1);
                }
                bob.send(None, to(talk(number), Command::Send { claim: Some(1), text: "still here".into() }))
            })
            .collect();
        let mut lost = 0;
        for (number, request) in (0..40).zip(requests) {
            let said = bob.answer(request).await;
            world.quiet().await;
            let holder = world.conversation(talk(number)).await.row.holder;
            match said {
                Ok(_) => assert_eq!(holder, Some(BOB), "{number}"),
                Err(Refusal::ClaimLost { holder: None, claim: 1 }) => {
                    lost += 1;
                    assert_eq!(holder, None);
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        let summary = world.queue(SALES).await;
        assert_eq!((summary.waiting, summary.active), (lost, 40 - lost));
    });
}
