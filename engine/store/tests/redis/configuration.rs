//! No more is promised than Redis gives.

use jono_store::{CommitError, ConnectError, Durability, Exchange, RedisOptions, RedisStore, Store};
use jono_test_redis::{RedisCluster, RedisServer};

use crate::kit::{DISK, SHARD, append, block_on, connect, eventually, seq};

fn refusal(url: &str, durability: Durability) -> ConnectError {
    block_on(RedisStore::connect(RedisOptions::new(url).with_durability(durability))).unwrap_err()
}

#[test]
fn a_level_that_the_configuration_does_not_give_is_refused() {
    let server = RedisServer::start(&[]);
    let url = server.url();
    for durability in [Durability::Second, Durability::Disk] {
        assert!(matches!(refusal(&url, durability), ConnectError::Setting { setting: "appendonly", .. }));
    }
    server.run("CONFIG SET appendonly yes");
    for policy in ["everysec", "no"] {
        server.run(&format!("CONFIG SET appendfsync {policy}"));
        let text = format!(
            "appendfsync is \"{policy}\" on 127.0.0.1:{}, and durability disk needs \"always\": CONFIG SET appendfsync always, and set it \
             in redis.conf",
            server.port()
        );
        assert_eq!(refusal(&url, Durability::Disk).to_string(), text);
    }
    assert!(matches!(refusal(&url, Durability::Second), ConnectError::Setting { setting: "appendfsync", .. }));
    server.run("CONFIG SET appendfsync everysec");
    block_on(connect(&*url, Durability::Second));
    server.run("CONFIG SET maxmemory 100mb maxmemory-policy volatile-ttl");
    assert!(matches!(refusal(&url, Durability::Second), ConnectError::Setting { setting: "maxmemory-policy", .. }));
    block_on(connect(&*url, Durability::Memory));
    assert!(matches!(refusal(&url, Durability::Replica), ConnectError::Setting { setting: "maxmemory-policy", .. }));
    server.run("CONFIG SET maxmemory-policy noeviction");
    assert!(matches!(refusal(&url, Durability::Replica), ConnectError::NoReplica { .. }));
}

#[test]
fn one_master_that_gives_less_is_enough_to_be_refused() {
    let cluster = RedisCluster::start(3, 0, DISK);
    cluster.node(2).run("CONFIG SET appendfsync everysec");
    let ConnectError::Setting { address, setting, .. } = refusal(&cluster.urls()[0], Durability::Disk) else {
        panic!("another refusal");
    };
    assert_eq!((address, setting), (format!("127.0.0.1:{}", cluster.node(2).port()), "appendfsync"));
}

#[test]
fn what_is_hidden_must_be_trusted() {
    let server = RedisServer::start(DISK);
    server.run("ACL SETUSER app on >secret ~* &* +@all -config");
    let url = format!("redis://app:secret@127.0.0.1:{}", server.port());
    let error = refusal(&url, Durability::Disk);
    assert!(matches!(error, ConnectError::CannotCheck { .. }), "{error}");
    assert!(!error.to_string().contains("secret"));
    block_on(async {
        let trusting = RedisOptions { trust_configuration: true, ..RedisOptions::new(url) };
        let (store, _) = RedisStore::connect(trusting).await.unwrap();
        let epoch = store.acquire(SHARD).await.unwrap();
        append(&store, epoch, 1).await.unwrap();
    });
    let error = refusal(&format!("redis://app:wrong@127.0.0.1:{}", server.port()), Durability::Disk);
    assert!(matches!(&error, ConnectError::Unreachable { .. }), "{error}");
    assert!(!error.to_string().contains("wrong@"));
}

#[test]
fn nobody_there() {
    let mut server = RedisServer::start(&[]);
    server.kill9();
    let error = refusal(&server.url(), Durability::Disk);
    assert!(matches!(&error, ConnectError::Unreachable { .. }), "{error}");
}

/// What was set by hand is forgotten by a restart: then nothing is confirmed under a promise that does not hold.
#[test]
fn a_server_that_comes_back_with_less_is_not_written_to() {
    block_on(async {
        let mut server = RedisServer::start(&["appendonly yes", "appendfsync everysec"]);
        server.run("CONFIG SET appendfsync always");
        let (store, _) = connect(server.url(), Durability::Disk).await;
        let epoch = store.acquire(SHARD).await.unwrap();
        append(&store, epoch, 1).await.unwrap();
        server.restart();
        for _ in 0..20 {
            let refusal = append(&store, epoch, 2).await.unwrap_err();
            let CommitError::Unavailable(why) = &refusal else { continue };
            assert!(why.contains("appendfsync is \"everysec\"") || why.contains("connection"), "{why}");
        }
        server.run("CONFIG SET appendfsync always");
        eventually("always again", async || append(&store, epoch, 2).await).await;
        assert_eq!(seq(&store).await, 2);
    });
}

#[test]
fn a_setting_that_is_changed_meanwhile_is_noticed_by_the_next_beats() {
    let server = RedisServer::start(DISK);
    block_on(async {
        let (store, exchange) = connect(server.url(), Durability::Disk).await;
        let epoch = store.acquire(SHARD).await.unwrap();
        append(&store, epoch, 1).await.unwrap();
        server.run("CONFIG SET appendfsync everysec");
        let refusal = eventually("noticed", async || {
            exchange.look().await.unwrap();
            append(&store, epoch, seq(&store).await + 1).await.err().ok_or("not yet")
        });
        let refusal = refusal.await;
        assert!(matches!(&refusal, CommitError::Unavailable(why) if why.contains("appendfsync")), "{refusal:?}");
        server.run("CONFIG SET appendfsync always");
        eventually("noticed again", async || {
            exchange.look().await.unwrap();
            append(&store, epoch, seq(&store).await + 1).await
        })
        .await;
    });
}
