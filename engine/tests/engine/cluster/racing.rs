//! Two agents on different processes want the same conversations while shards move and their owners die.

use jono_domain::conversation::Command;

use super::kit::{Cluster, Part};
use super::random::one_holder_at_a_time;
use crate::kit::*;

const TALKS: u128 = 4;

async fn race(cluster: &mut Cluster, agents: [usize; 2], ms: u64) {
    let until = cluster.now_ms + ms;
    let mut under_way = [None; 2];
    let mut round = 0;
    while cluster.now_ms < until {
        for (agent, ticket) in agents.into_iter().zip(&mut under_way) {
            if ticket.is_some_and(|ticket| cluster.clients[agent].take_answer(ticket).is_none()) {
                continue;
            }
            round += 1;
            let of = talk(round / 3 % TALKS);
            let order = match round % 3 {
                0 => to(of, Command::Release { claim: None }),
                1 => claim(of),
                _ => pick(SALES),
            };
            *ticket = Some(cluster.clients[agent].say(&cluster.processes, order));
        }
        cluster.step().await;
    }
    for (agent, ticket) in agents.into_iter().zip(under_way) {
        if let Some(ticket) = ticket {
            let _ = cluster.answer(agent, ticket).await;
        }
    }
}

#[test]
fn two_agents_who_want_the_same_never_both_hold_it() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Both, Part::Engine, Part::Engine, Part::Gateway]).await;
        for number in 0..TALKS {
            let customer = cluster.customer(0, visitor(number)).await;
            cluster.yes(customer, start(visitor(number), talk(number), SALES, "hello")).await;
        }
        let agents = [cluster.agent(0, BOB).await, cluster.agent(3, EVE).await];
        race(&mut cluster, agents, 1_000).await;
        cluster.join(Part::Engine).await;
        race(&mut cluster, agents, 1_500).await;
        cluster.crash_engine(1);
        race(&mut cluster, agents, 5_000).await;
        cluster.freeze(2);
        race(&mut cluster, agents, 5_000).await;
        cluster.thaw(2);
        race(&mut cluster, agents, 2_000).await;
        cluster.pass(1_000).await;
        let mut claims = 0;
        let (mut bobs, mut eves) = (Vec::new(), Vec::new());
        for number in 0..TALKS {
            let log = cluster.log(talk(number)).await;
            claims += log.iter().filter(|entry| matches!(entry.body, jono_domain::conversation::Body::Claimed { .. })).count();
            match one_holder_at_a_time(&log) {
                Some(BOB) => bobs.push(talk(number)),
                Some(_) => eves.push(talk(number)),
                None => {}
            }
        }
        assert!(claims >= 10, "they raced: {claims}");
        for (agent, expected) in [(BOB, bobs), (EVE, eves)] {
            let mut held = cluster.held(agent).await;
            held.sort();
            assert_eq!(held, expected);
        }
    });
}
