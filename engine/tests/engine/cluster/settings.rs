//! Settings that are changed through one process are used by all.

use jono_domain::account::Role;
use jono_domain::id::QueueId;
use jono_domain::organisation::{Change, QueueConfig, QueueSettings};

use super::kit::{Cluster, Part, account};
use crate::kit::*;

const NEW: QueueId = QueueId::from_bits(13);

fn put(name: &str) -> Change {
    Change::PutQueue { queue: NEW, config: Some(QueueConfig { name: name.into(), settings: QueueSettings::default() }) }
}

fn name(cluster: &Cluster, process: usize) -> Option<String> {
    let directory = cluster.processes[process].engine.directory();
    directory.organisation(ORGANISATION)?.queue(NEW).map(|queue| queue.name.clone())
}

#[test]
fn who_has_the_answer_finds_settings_changed_and_soon_everybody_does() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Engine, Part::Engine, Part::Gateway, Part::Gateway]).await;
        for process in 0..4 {
            let text = format!("by {process}");
            cluster.change(process, put(&text)).await;
            assert_eq!(name(&cluster, process).as_deref(), Some(&*text), "at once");
            cluster.until("all to know", |cluster| (0..4).all(|other| name(cluster, other).as_deref() == Some(&*text))).await;
        }
        cluster.change(2, Change::PutAgent { agent: BOB, account: Some(Box::new(account(BOB, Role::Agent, &[NEW]))) }).await;
        let ann = cluster.customer(3, ANN).await;
        cluster.yes(ann, start(ANN, TALK, NEW, "hello")).await;
        let bob = cluster.agent(3, BOB).await;
        cluster.pass(500).await;
        cluster.yes(bob, pick(NEW)).await;
    });
}

#[test]
fn settings_that_were_told_in_a_lost_parcel_are_read_anew() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Engine, Part::Gateway, Part::Gateway]).await;
        cluster.pass(2_000).await;
        let node = cluster.node(2).await;
        cluster.exchange.faults().lose_parcels(node, 1);
        cluster.change(1, put("new")).await;
        cluster.until("all to know", |cluster| (0..3).all(|other| name(cluster, other).as_deref() == Some("new"))).await;
    });
}

#[test]
fn settings_outlive_the_process_that_changed_them() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Engine, Part::Engine, Part::Gateway]).await;
        cluster.change(2, put("one")).await;
        cluster.crash(0);
        cluster.change(2, put("two")).await;
        assert_eq!(name(&cluster, 2).as_deref(), Some("two"));
        cluster.until("all to know", |cluster| name(cluster, 1).as_deref() == Some("two")).await;
        let next = cluster.join(Part::Both).await;
        assert_eq!(name(&cluster, next).as_deref(), Some("two"));
    });
}
