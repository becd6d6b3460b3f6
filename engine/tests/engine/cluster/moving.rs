//! Shards move in order when processes come and go: only what must, and nobody notices.

use std::collections::{BTreeSet, VecDeque};

use jono_domain::id::ConversationId;

use super::kit::{Cluster, Part};
use crate::kit::*;

/// Messages of one writer that are under way at a time: who writes fast does not wait for answers.
const UNDER_WAY: usize = 3;

/// Somebody who writes without a pause.
struct Writer {
    client: usize,
    talk: ConversationId,
    written: u32,
    under_way: VecDeque<u64>,
}

struct Writers {
    all: Vec<Writer>,
}

impl Writers {
    async fn begin(cluster: &mut Cluster, process: usize, count: u128) -> Self {
        let mut all = Vec::new();
        for number in 0..count {
            let customer = cluster.customer(process, visitor(number)).await;
            cluster.yes(customer, start(visitor(number), talk(number), SALES, "")).await;
            all.push(Writer { client: customer, talk: talk(number), written: 0, under_way: VecDeque::new() });
        }
        let are_led = |cluster: &Cluster| all.iter().all(|writer| cluster.clients[writer.client].tracks(writer.talk));
        cluster.until("customers to be led", are_led).await;
        Self { all }
    }

    /// Whoever has an answer writes the next.
    fn write(&mut self, cluster: &mut Cluster) {
        for Writer { client, talk, written, under_way } in &mut self.all {
            while let Some(answer) = under_way.front().and_then(|ticket| cluster.clients[*client].take_answer(*ticket)) {
                answer.expect("stored");
                under_way.pop_front();
            }
            if under_way.len() < UNDER_WAY {
                *written += 1;
                let order = message(*talk, &written.to_string());
                under_way.push_back(cluster.clients[*client].say(&cluster.processes, order));
            }
        }
    }

    async fn write_for(&mut self, cluster: &mut Cluster, ms: u64) {
        let until = cluster.now_ms + ms;
        while cluster.now_ms < until {
            self.write(cluster);
            cluster.step().await;
        }
    }

    /// All that was written is stored once, in order, and was seen.
    async fn end(self, cluster: &mut Cluster) {
        for Writer { client, talk, written, under_way } in self.all {
            for ticket in under_way {
                cluster.answer(client, ticket).await.expect("stored");
            }
            let expected: Vec<String> = (1..=written).map(|number| number.to_string()).collect();
            assert_eq!(texts(&cluster.log(talk).await), expected, "{talk}");
            cluster.pass(100).await;
            cluster.all_have_seen(talk, &[client]).await;
            assert_eq!(cluster.clients[client].repeated, 0, "nothing was refused");
        }
    }
}

#[test]
fn who_comes_takes_its_share_and_who_goes_gives_it_back_while_everybody_writes() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Engine, Part::Engine, Part::Gateway]).await;
        let mut writers = Writers::begin(&mut cluster, 2, 12).await;
        let (one, two): (BTreeSet<_>, BTreeSet<_>) =
            (cluster.owned(0).await.into_iter().collect(), cluster.owned(1).await.into_iter().collect());
        assert_eq!(one.len() + two.len(), 16);
        assert!(one.len() >= 3 && two.len() >= 3, "{one:?} {two:?}");
        writers.write_for(&mut cluster, 500).await;
        let third = cluster.join(Part::Engine).await;
        writers.write_for(&mut cluster, 3_000).await;
        let taken: BTreeSet<_> = cluster.owned(third).await.into_iter().collect();
        assert!(taken.len() >= 2, "{taken:?}");
        let left: BTreeSet<_> = cluster.owned(0).await.into_iter().collect();
        assert_eq!(left, &one - &taken, "only what must moves");
        let engine = cluster.processes[1].engine.clone();
        let mut stopping = std::pin::pin!(async move { engine.stop().await });
        while tokio::time::timeout(std::time::Duration::from_millis(1), &mut stopping).await.is_err() {
            writers.write(&mut cluster);
            cluster.step().await;
        }
        cluster.processes[1].state = super::kit::State::Gone;
        writers.write_for(&mut cluster, 2_000).await;
        assert_eq!(cluster.owned(0).await.len() + cluster.owned(third).await.len(), 16);
        writers.end(&mut cluster).await;
    });
}

#[test]
fn who_writes_fast_finds_everything_in_order_though_an_engine_was_killed() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Engine, Part::Engine, Part::Engine, Part::Gateway]).await;
        let mut writers = Writers::begin(&mut cluster, 3, 8).await;
        writers.write_for(&mut cluster, 500).await;
        cluster.crash_engine(0);
        writers.write_for(&mut cluster, 5_000).await;
        cluster.crash_engine(2);
        writers.write_for(&mut cluster, 5_000).await;
        writers.end(&mut cluster).await;
    });
}

#[test]
fn what_waits_is_in_its_queue_and_what_is_held_stays_held_after_a_move() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Both]).await;
        let bob = cluster.agent(0, BOB).await;
        for number in 0..8 {
            let customer = cluster.customer(0, visitor(number)).await;
            cluster.yes(customer, start(visitor(number), talk(number), SALES, "hello")).await;
        }
        cluster.yes(bob, claim(talk(3))).await;
        for _ in 0..2 {
            cluster.join(Part::Both).await;
        }
        cluster.pass(2_000).await;
        assert_eq!(cluster.rows(SALES).await.len(), 8);
        assert_eq!(cluster.held(BOB).await, [talk(3)]);
        cluster.yes(bob, message(talk(3), "still mine")).await;
        for _ in 0..7 {
            cluster.yes(bob, pick(SALES)).await;
        }
        assert_eq!(cluster.held(BOB).await.len(), 8);
    });
}

#[test]
fn the_last_process_leaves_and_another_finds_everything() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Both]).await;
        let ann = cluster.customer(0, ANN).await;
        cluster.yes(ann, start(ANN, TALK, SALES, "hello")).await;
        cluster.leave(0).await;
        let next = cluster.join(Part::Both).await;
        assert_eq!(cluster.processes[next].desk.resets.load(std::sync::atomic::Ordering::SeqCst), 0);
        cluster.pass(500).await;
        assert_eq!(cluster.rows(SALES).await.len(), 1);
        assert_eq!(texts(&cluster.log(TALK).await), ["hello"]);
    });
}

#[test]
fn sessions_are_led_again_only_to_what_is_theirs_now() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Engine, Part::Engine, Part::Gateway]).await;
        let bob = cluster.agent(2, BOB).await;
        for number in 0..3 {
            let customer = cluster.customer(2, visitor(number)).await;
            cluster.yes(customer, start(visitor(number), talk(number), SALES, "hello")).await;
            cluster.yes(bob, claim(talk(number))).await;
            cluster.until("the agent to be led", |cluster| cluster.clients[bob].tracks(talk(number))).await;
        }
        cluster.yes(bob, close(talk(0))).await;
        cluster.yes(bob, to(talk(1), jono_domain::conversation::Command::Release { claim: None })).await;
        cluster.pass(1_000).await;
        let led = cluster.clients[bob].led;
        for _ in 0..2 {
            cluster.join(Part::Engine).await;
            cluster.pass(4_000).await;
        }
        // Whoever follows already notices nothing, and nobody is led to what is over.
        assert_eq!(cluster.clients[bob].led, led);
        assert!(cluster.clients[bob].tracks(talk(2)));
        cluster.yes(bob, message(talk(2), "still here")).await;
        cluster.pass(500).await;
        cluster.all_have_seen(talk(2), &[bob]).await;
    });
}
