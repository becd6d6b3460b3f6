//! What processes share is emptied while they run.

use bytes::Bytes;
use jono_store::Store as _;

use super::kit::{Cluster, Part};
use crate::kit::*;

fn knows_the_organisation(cluster: &Cluster, process: usize) -> bool {
    cluster.processes[process].engine.directory().organisation(ORGANISATION).is_some()
}

#[test]
fn who_comes_after_everything_was_lost_has_the_secret_of_those_who_were_there() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Both, Part::Gateway]).await;
        let secret = cluster.processes[0].engine.secret();
        cluster.lose_everything();
        cluster.pass(4_000).await;
        cluster.until_served().await;
        let late = cluster.join(Part::Both).await;
        assert_eq!(cluster.processes[late].engine.secret(), secret);
    });
}

#[test]
fn organisations_that_were_lost_are_known_to_nobody() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Both, Part::Gateway]).await;
        assert!(knows_the_organisation(&cluster, 0) && knows_the_organisation(&cluster, 1));
        cluster.lose_everything();
        cluster.until("both to forget it", |cluster| (0..2).all(|process| !knows_the_organisation(cluster, process))).await;
    });
}

#[test]
fn who_has_another_secret_than_the_store_serves_nothing() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Both]).await;
        let engine = cluster.processes[0].engine.clone();
        cluster.lose_records();
        let others = Bytes::from_static(&[7; 32]);
        assert_eq!(cluster.records.constant("secret", others.clone()).await, Ok(others));
        cluster.exchange.faults().forget_everything();
        cluster.meanwhile(engine.outlived()).await;
        assert!(!engine.is_serving());
        assert!(cluster.picture().await.members.is_empty());
    });
}
