//! Processes that stand still, or are cut off, are replaced, do no harm, and come back by themselves.

use jono_domain::reply::Refusal;
use jono_engine::cluster::limits::{BEAT_EVERY_MS, DEAD_AFTER_MS, STOP_AFTER_MS};
use jono_store::ShardId;

use super::kit::{Cluster, Part};
use super::wire::fence;
use crate::kit::*;

#[test]
fn an_engine_whose_clock_stands_still_is_replaced_and_acknowledges_nothing_that_is_not_stored() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Both, Part::Engine, Part::Gateway]).await;
        let mut here = Vec::new();
        for number in 0..8 {
            let customer = cluster.customer(0, visitor(number)).await;
            cluster.yes(customer, start(visitor(number), talk(number), SALES, "0")).await;
            here.push(customer);
        }
        let was = cluster.node(0).await;
        cluster.freeze(0);
        cluster.pass(DEAD_AFTER_MS + 2 * BEAT_EVERY_MS + 250).await;
        assert_eq!(cluster.owned(1).await.len(), 16, "others have taken over");
        // It believes that it owns shards, since for it no time has passed.
        let tickets: Vec<u64> = (0..8)
            .map(|number| cluster.clients[here[number]].say(&cluster.processes, message(talk(number as u128), "1")))
            .collect();
        cluster.pass(1_000).await;
        assert!(cluster.processes[0].engine.counters().commits_fenced.get() > 0, "its writes are refused");
        for number in 0..8 {
            let log = texts(&cluster.log(talk(number)).await);
            // What went on to the other engine was stored there, though the answer finds nobody any more.
            assert!(
                log == ["0", "1"] || log == ["0"] && !cluster.clients[here[number as usize]].has_answer(tickets[number as usize])
            );
        }
        cluster.thaw(0);
        for (number, ticket) in tickets.into_iter().enumerate() {
            // Its sessions begin anew; the clients say again what was not answered.
            if cluster.clients[here[number]].resets == 0 {
                let client = here[number];
                cluster
                    .until("an answer or a new beginning", |cluster| {
                        cluster.clients[client].has_answer(ticket) || cluster.clients[client].resets > 0
                    })
                    .await;
            }
        }
        cluster.pass(2_000).await;
        assert_ne!(cluster.node(0).await, was, "it is another member now");
        assert!(cluster.owned(0).await.len() >= 3, "and serves again");
        assert_eq!(cluster.owned(0).await.len() + cluster.owned(1).await.len(), 16);
        for number in 0..8u128 {
            let client = here[number as usize];
            assert_eq!(cluster.clients[client].resets, 1);
            cluster.yes(client, message(talk(number), "2")).await;
            let log = texts(&cluster.log(talk(number)).await);
            assert!(log == ["0", "1", "2"] || log == ["0", "2"], "{log:?}");
            cluster.all_have_seen(talk(number), &[client]).await;
        }
    });
}

#[test]
fn who_is_cut_off_stops_by_its_own_clock_and_goes_on_by_itself() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Both, Part::Both]).await;
        let ann = cluster.customer(0, ANN).await;
        cluster.yes(ann, start(ANN, TALK, SALES, "0")).await;
        let stops = cluster.processes[0].engine.counters().stops.get();
        cluster.cut(0);
        cluster.pass(STOP_AFTER_MS + 100).await;
        cluster.until("it serves nothing", |cluster| !cluster.processes[0].engine.is_serving()).await;
        assert_eq!(cluster.processes[0].engine.counters().stops.get(), stops + 1);
        // At once, not after having waited for others.
        let before = cluster.now_ms;
        let answer = cluster.ask(0, agent_of(BOB), pick(SALES)).await;
        assert!(matches!(answer, Err(Refusal::Unavailable { .. })), "{answer:?}");
        assert!(cluster.now_ms - before <= 100);
        cluster.pass(DEAD_AFTER_MS).await;
        assert_eq!(cluster.owned(1).await.len(), 16);
        cluster.mend(0);
        cluster.pass(2_000).await;
        assert!(cluster.processes[0].engine.is_serving() && cluster.processes[1].engine.is_serving());
        cluster.yes(ann, message(TALK, "1")).await;
        assert_eq!(texts(&cluster.log(TALK).await), ["0", "1"]);
        cluster.all_have_seen(TALK, &[ann]).await;
    });
}

#[test]
fn who_is_cut_off_for_a_moment_goes_on_as_the_same() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Both, Part::Both]).await;
        let ann = cluster.customer(0, ANN).await;
        let bob = cluster.agent(1, BOB).await;
        cluster.yes(ann, start(ANN, TALK, SALES, "0")).await;
        cluster.yes(bob, claim(TALK)).await;
        let (was, resets) = (cluster.node(0).await, cluster.clients[ann].resets);
        for (round, cut_ms) in [STOP_AFTER_MS - 500, STOP_AFTER_MS + 300].into_iter().enumerate() {
            cluster.cut(0);
            cluster.pass(cut_ms).await;
            cluster.mend(0);
            cluster.pass(1_500).await;
            assert_eq!((cluster.node(0).await, cluster.clients[ann].resets), (was, resets));
            cluster.yes(ann, message(TALK, &format!("a{round}"))).await;
            cluster.yes(bob, message(TALK, &format!("b{round}"))).await;
        }
        assert_eq!(texts(&cluster.log(TALK).await), ["0", "a0", "b0", "a1", "b1"]);
        cluster.pass(500).await;
        cluster.all_have_seen(TALK, &[ann, bob]).await;
        assert!(cluster.conversation(TALK).await.row.connected);
    });
}

#[test]
fn who_leaves_while_it_is_cut_off_does_not_hang() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Both, Part::Both]).await;
        cluster.cut(0);
        let engine = cluster.processes[0].engine.clone();
        cluster.meanwhile(async move { engine.stop().await }).await;
        cluster.processes[0].state = super::kit::State::Gone;
        cluster.pass(DEAD_AFTER_MS + 2 * BEAT_EVERY_MS).await;
        assert_eq!(cluster.owned(1).await.len(), 16);
    });
}

#[test]
fn an_exchange_that_answers_no_more_stops_a_process_like_one_that_is_away() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Both, Part::Both]).await;
        let ann = cluster.customer(0, ANN).await;
        cluster.yes(ann, start(ANN, TALK, SALES, "0")).await;
        cluster.processes[0].wire.hang();
        cluster.processes[0].state = super::kit::State::Cut;
        cluster.pass(STOP_AFTER_MS + 100).await;
        assert!(!cluster.processes[0].engine.is_serving());
        let answer = cluster.ask(0, agent_of(BOB), pick(SALES)).await;
        assert!(matches!(answer, Err(Refusal::Unavailable { .. })), "{answer:?}");
        let engine = cluster.processes[0].engine.clone();
        cluster.meanwhile(async move { engine.stop().await }).await;
    });
}

#[test]
fn a_shard_that_was_fenced_off_by_nobody_who_says_so_is_served_again() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Engine, Part::Gateway]).await;
        let ann = cluster.customer(1, ANN).await;
        cluster.yes(ann, start(ANN, TALK, SALES, "0")).await;
        for shard in 0..16 {
            fence(&cluster.records, ShardId(shard));
        }
        cluster.yes(ann, message(TALK, "1")).await;
        assert!(cluster.processes[0].engine.counters().commits_fenced.get() > 0);
        assert_eq!(texts(&cluster.log(TALK).await), ["0", "1"]);
        cluster.pass(500).await;
        cluster.all_have_seen(TALK, &[ann]).await;
    });
}

#[test]
fn another_log_begins_everything_anew() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Both, Part::Both]).await;
        let ann = cluster.customer(0, ANN).await;
        cluster.yes(ann, start(ANN, TALK, SALES, "0")).await;
        let identity = cluster.processes[0].engine.log_identity();
        cluster.exchange.faults().change_log_identity();
        cluster.pass(2_000).await;
        for process in &cluster.processes {
            assert_ne!(process.engine.log_identity(), identity);
            assert_eq!(process.desk.resets.load(std::sync::atomic::Ordering::SeqCst), 1);
        }
        cluster.until_served().await;
        cluster.yes(ann, message(TALK, "1")).await;
        assert_eq!(texts(&cluster.log(TALK).await), ["0", "1"]);
    });
}

#[test]
fn an_exchange_that_has_forgotten_everybody_is_joined_again() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Both, Part::Engine, Part::Gateway]).await;
        let ann = cluster.customer(2, ANN).await;
        cluster.yes(ann, start(ANN, TALK, SALES, "0")).await;
        cluster.exchange.faults().forget_everything();
        cluster.pass(4_000).await;
        cluster.until_served().await;
        assert!(cluster.clients[ann].resets >= 1);
        cluster.yes(ann, message(TALK, "1")).await;
        assert_eq!(texts(&cluster.log(TALK).await), ["0", "1"]);
        assert_eq!(cluster.rows(SALES).await.len(), 1);
        cluster.all_have_seen(TALK, &[ann]).await;
        assert_eq!(cluster.owned(0).await.len() + cluster.owned(1).await.len(), 16);
    });
}
