//! When the records get a new identity, and when they keep it: the table of the module, line by line.

use std::fs;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use jono_store::{Durability, Exchange, ExchangeError, Owner, RedisExchange, Store};
use jono_test_redis::{RedisCluster, RedisServer};

use crate::kit::{DISK, SHARD, append, block_on, connect, eventually, started};

async fn identity(exchange: &RedisExchange) -> u64 {
    eventually("anybody can look", async || exchange.look().await).await.log_identity
}

#[test]
fn a_restart_at_disk_keeps_it() {
    let mut server = RedisServer::start(DISK);
    block_on(async {
        let (store, exchange) = connect(server.url(), Durability::Disk).await;
        let epoch = store.acquire(SHARD).await.unwrap();
        let node = exchange.join(Bytes::new()).await.unwrap();
        let before = identity(&exchange).await;
        for seq in 1..=3 {
            append(&store, epoch, seq).await.unwrap();
            server.restart();
            assert_eq!(identity(&exchange).await, before);
            eventually("still a member", async || exchange.beat(node, Bytes::new(), 0).await).await;
        }
        // And to who comes new.
        let (_, other) = connect(server.url(), Durability::Disk).await;
        assert_eq!(identity(&other).await, before);
    });
}

#[test]
fn a_restart_at_a_weaker_level_changes_it() {
    for (durability, lines) in [(Durability::Memory, &[][..]), (Durability::Second, &["appendonly yes"])] {
        let mut server = RedisServer::start(lines);
        block_on(async {
            let (_, exchange) = connect(server.url(), durability).await;
            let before = identity(&exchange).await;
            assert_eq!(identity(&exchange).await, before);
            server.restart();
            assert_ne!(identity(&exchange).await, before);
        });
    }
}

#[test]
fn a_server_that_comes_back_empty_changes_it_and_has_no_members() {
    let mut server = RedisServer::start(DISK);
    block_on(async {
        let (_, exchange) = connect(server.url(), Durability::Disk).await;
        let (_, other) = connect(server.url(), Durability::Disk).await;
        let node = exchange.join(Bytes::new()).await.unwrap();
        let before = identity(&exchange).await;
        server.kill9();
        server.lose_data();
        server.restart();
        let after = identity(&exchange).await;
        assert_ne!(after, before);
        assert_eq!(identity(&other).await, after, "all agree");
        assert_eq!(exchange.beat(node, Bytes::new(), 0).await, Err(ExchangeError::Gone));
        assert_ne!(exchange.join(Bytes::new()).await.unwrap(), node, "no number is given twice");
    });
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

/// An older copy of the files, as from a backup: the process that wrote what is missing notices.
#[test]
fn an_older_data_set_changes_it() {
    block_on(async {
        let (mut server, store, epoch) = started().await;
        let (watched, exchange) = connect(server.url(), Durability::Disk).await;
        drop((store, epoch));
        let epoch = watched.acquire(SHARD).await.unwrap();
        append(&watched, epoch, 1).await.unwrap();
        let before = identity(&exchange).await;
        let files = server.dir().join("appendonlydir");
        let backup = server.dir().join("backup");
        copy(&files, &backup);
        append(&watched, epoch, 2).await.unwrap();
        server.kill9();
        copy(&backup, &files);
        server.restart();
        assert_ne!(identity(&exchange).await, before);
    });
}

/// The same, noticed by a process that has written nothing: the published owner has a later epoch than the shard.
#[test]
fn an_older_epoch_than_the_published_one_changes_it() {
    let mut cluster = RedisCluster::start(3, 0, DISK);
    block_on(async {
        let (store, _) = connect(cluster.urls()[0].clone(), Durability::Disk).await;
        let (_, exchange) = connect(cluster.urls()[0].clone(), Durability::Disk).await;
        store.acquire(SHARD).await.unwrap();
        let before = identity(&exchange).await;
        let number = cluster.master_of("{s1}");
        assert_ne!(number, cluster.master_of("{members}"), "the test needs them apart");
        let files = cluster.node(number).dir().join("appendonlydir");
        let backup = cluster.node(number).dir().join("backup");
        copy(&files, &backup);
        let epoch = store.acquire(SHARD).await.unwrap();
        let node = exchange.join(Bytes::new()).await.unwrap();
        exchange.publish_owners(vec![(SHARD, Owner { node: Some(node), epoch })]).await.unwrap();
        let server = cluster.node_mut(number);
        server.kill9();
        copy(&backup, &files);
        server.restart();
        cluster.wait_until_ok();
        assert_ne!(identity(&exchange).await, before);
    });
}

#[test]
fn flushing_everything_changes_it() {
    let server = RedisServer::start(&[]);
    block_on(async {
        let (_, exchange) = connect(server.url(), Durability::Memory).await;
        let node = exchange.join(Bytes::new()).await.unwrap();
        let before = identity(&exchange).await;
        server.run("FLUSHALL");
        assert_ne!(identity(&exchange).await, before);
        assert_eq!(exchange.beat(node, Bytes::new(), 0).await, Err(ExchangeError::Gone));
    });
}
