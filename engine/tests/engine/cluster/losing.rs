//! What processes send each other is lost, doubled, late: nothing is missing, and nothing is there twice.

use jono_store::ExchangeError;

use super::kit::{Cluster, Part};
use crate::kit::*;

/// An agent and a customer on different gateways, one conversation under way.
async fn talking() -> (Cluster, usize, usize) {
    let mut cluster = Cluster::begin(&[Part::Engine, Part::Engine, Part::Gateway, Part::Gateway]).await;
    let ann = cluster.customer(2, ANN).await;
    let bob = cluster.agent(3, BOB).await;
    cluster.yes(ann, start(ANN, TALK, SALES, "0")).await;
    cluster.yes(bob, claim(TALK)).await;
    cluster.until("both to be led", |cluster| cluster.clients[ann].tracks(TALK) && cluster.clients[bob].tracks(TALK)).await;
    cluster.pass(2_000).await;
    (cluster, ann, bob)
}

async fn is_whole(cluster: &mut Cluster, expected: &[&str], clients: &[usize]) {
    cluster.pass(4_000).await;
    assert_eq!(texts(&cluster.log(TALK).await), expected);
    cluster.all_have_seen(TALK, clients).await;
    let view = cluster.conversation(TALK).await;
    assert!(view.row.connected);
    assert_eq!(cluster.held(BOB).await, [TALK]);
}

#[test]
fn lost_parcels_are_made_up_for() {
    run(async {
        for to in 0..4 {
            let (mut cluster, ann, bob) = talking().await;
            let node = cluster.node(to).await;
            cluster.exchange.faults().lose_parcels(node, 3);
            let (one, other) = (
                cluster.clients[ann].say(&cluster.processes, message(TALK, "1")),
                cluster.clients[bob].say(&cluster.processes, message(TALK, "2")),
            );
            cluster.answer(ann, one).await.expect("stored");
            cluster.answer(bob, other).await.expect("stored");
            cluster.pass(3_000).await;
            cluster.yes(bob, message(TALK, "3")).await;
            cluster.pass(4_000).await;
            let log = texts(&cluster.log(TALK).await);
            assert!(log == ["0", "1", "2", "3"] || log == ["0", "2", "1", "3"], "{log:?}");
            cluster.all_have_seen(TALK, &[ann, bob]).await;
            assert!(cluster.conversation(TALK).await.row.connected);
            assert_eq!(cluster.held(BOB).await, [TALK]);
        }
    });
}

#[test]
fn that_the_last_parcel_was_lost_is_noticed_though_nothing_follows() {
    run(async {
        let (mut cluster, ann, bob) = talking().await;
        let gateway = cluster.node(3).await;
        cluster.exchange.faults().lose_parcels(gateway, 1);
        cluster.yes(ann, message(TALK, "1")).await;
        cluster.pass(3_000).await;
        assert!(cluster.processes[3].engine.counters().parcels_missing.get() > 0);
        assert_eq!(texts(&cluster.clients[bob].events[&TALK]), ["0", "1"]);
        is_whole(&mut cluster, &["0", "1"], &[ann, bob]).await;
    });
}

#[test]
fn parcels_that_come_twice_are_taken_once() {
    run(async {
        let (mut cluster, ann, bob) = talking().await;
        cluster.processes.iter().for_each(|process| process.wire.lose_answers(2));
        cluster.yes(ann, message(TALK, "1")).await;
        cluster.yes(bob, message(TALK, "2")).await;
        cluster.yes(ann, message(TALK, "3")).await;
        assert!(cluster.total(|counters| counters.parcels_again.get()) > 0);
        assert_eq!(cluster.total(|counters| counters.parcels_missing.get()), 0);
        is_whole(&mut cluster, &["0", "1", "2", "3"], &[ann, bob]).await;
    });
}

#[test]
fn parcels_that_could_not_be_sent_are_sent_again() {
    run(async {
        let (mut cluster, ann, bob) = talking().await;
        cluster.exchange.faults().fail_sends(10, &ExchangeError::Unavailable("planned".into()));
        cluster.exchange.faults().fail_sends(10, &ExchangeError::Full);
        cluster.exchange.faults().fail_sends(10, &ExchangeError::Unknown("planned".into()));
        cluster.yes(ann, message(TALK, "1")).await;
        cluster.yes(bob, message(TALK, "2")).await;
        assert_eq!(cluster.total(|counters| counters.parcels_missing.get()), 0);
        is_whole(&mut cluster, &["0", "1", "2"], &[ann, bob]).await;
    });
}

#[test]
fn parcels_that_come_late_change_nothing() {
    run(async {
        let (mut cluster, ann, bob) = talking().await;
        for process in 0..4 {
            let node = cluster.node(process).await;
            cluster.exchange.faults().hold_parcels(node);
            let ticket = cluster.clients[ann].say(&cluster.processes, message(TALK, &format!("a{process}")));
            cluster.pass(2_500).await;
            cluster.exchange.faults().release_parcels(node);
            cluster.answer(ann, ticket).await.expect("stored");
            cluster.yes(bob, message(TALK, &format!("b{process}"))).await;
        }
        is_whole(&mut cluster, &["0", "a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3"], &[ann, bob]).await;
    });
}
