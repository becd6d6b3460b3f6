//! A master dies with its disk, and a replica takes over.

use jono_store::{Batch, CommitError, Durability, Exchange, RedisOptions, RedisStore, ShardId, Store, contract};
use jono_test_redis::{RedisCluster, RedisServer, wait_until};

use crate::kit::{DISK, SHARD, append, block_on, eventually, seq};

fn options(cluster: &RedisCluster, durability: Durability) -> RedisOptions {
    RedisOptions { urls: cluster.urls(), durability, ..RedisOptions::new("") }
}

#[test]
fn nothing_that_was_confirmed_at_replica_is_lost() {
    let mut cluster = RedisCluster::start(3, 1, &[]);
    cluster.wait_for_replicas();
    block_on(async {
        let (store, exchange) = RedisStore::connect(options(&cluster, Durability::Replica)).await.unwrap();
        let identity = exchange.look().await.unwrap().log_identity;
        let shards: Vec<ShardId> = (0..24).map(ShardId).collect();
        let mut epochs = Vec::new();
        for shard in &shards {
            epochs.push(store.acquire(*shard).await.unwrap());
        }
        let victim = cluster.master_of("{s1}");
        // Writers that count what was confirmed, and go on where the log ends.
        let is_over = std::cell::Cell::new(false);
        let writer = async |place: usize| {
            let mut confirmed = 0;
            let (shard, epoch) = (shards[place], epochs[place]);
            let mut next = 0;
            let mut after_failover = 0;
            while !is_over.get() || after_failover < 20 {
                let batch = Batch { shard, epoch, writes: vec![contract::write("e", next, &["record"])] };
                match store.commit(batch).await {
                    Ok(()) => {
                        next += 1;
                        confirmed = next;
                        after_failover += u32::from(is_over.get());
                    }
                    Err(CommitError::Unavailable(_)) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                    Err(CommitError::Unknown(_)) => {
                        let load = async || store.load(shard, contract::entity("e")).await;
                        next = eventually("loaded", load).await.seq;
                        assert!(next >= confirmed, "{shard:?}: {next} of {confirmed}");
                    }
                    Err(error) => panic!("{shard:?}: {error}"),
                }
            }
            confirmed
        };
        let writers = futures_util::future::join_all((0..shards.len()).map(writer));
        let killer = async {
            while store.stats().commits < 500 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            cluster.node_mut(victim).kill9();
            while cluster.masters().len() < 3 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            // As a replica of its heir, without which nothing is confirmed.
            cluster.node_mut(victim).restart();
            is_over.set(true);
        };
        let (confirmed, ()) = futures_util::future::join(writers, killer).await;
        for (place, confirmed) in confirmed.into_iter().enumerate() {
            let load = async || store.load(shards[place], contract::entity("e")).await;
            let loaded = eventually("loaded", load).await;
            assert!(loaded.seq >= confirmed, "{:?}: {} of {confirmed}", shards[place], loaded.seq);
        }
        let picture = eventually("seen", async || exchange.look().await).await;
        assert_eq!(picture.log_identity, identity, "nothing was lost, and nothing is said to be");
    });
}

#[test]
fn without_a_replica_nothing_is_confirmed_at_replica() {
    let mut cluster = RedisCluster::start(3, 1, &[]);
    cluster.wait_for_replicas();
    block_on(async {
        let (store, _) = RedisStore::connect(options(&cluster, Durability::Replica)).await.unwrap();
        let epoch = store.acquire(SHARD).await.unwrap();
        append(&store, epoch, 1).await.unwrap();
        let master = cluster.master_of("{s1}");
        let port = cluster.node(master).port().to_string();
        let follows =
            |number: &usize| cluster.node(*number).info("role") == "slave" && cluster.node(*number).info("master_port") == port;
        let replica = (0..6).find(follows).unwrap();
        cluster.node(replica).freeze();
        let refusal = append(&store, epoch, 2).await.unwrap_err();
        assert!(matches!(refusal, CommitError::Unknown(_)), "{refusal:?}");
        cluster.node(replica).thaw();
        let next = eventually("settled", async || store.load(SHARD, contract::entity("e")).await).await.seq + 1;
        eventually("confirmed again", async || append(&store, epoch, next).await).await;
        cluster.node_mut(replica).kill9();
        for _ in 0..2 {
            let refusal = append(&store, epoch, next + 1).await.unwrap_err();
            assert!(matches!(refusal, CommitError::Unknown(_) | CommitError::Unavailable(_)), "{refusal:?}");
        }
    });
}

#[test]
fn a_promotion_at_disk_changes_the_identity() {
    let mut cluster = RedisCluster::start(3, 1, DISK);
    cluster.wait_for_replicas();
    block_on(async {
        let (store, exchange) = RedisStore::connect(options(&cluster, Durability::Disk)).await.unwrap();
        let epoch = store.acquire(SHARD).await.unwrap();
        append(&store, epoch, 1).await.unwrap();
        let before = exchange.look().await.unwrap().log_identity;
        let victim = cluster.master_of("{s1}");
        cluster.kill_master(victim);
        // Whoever looks while the map still shows the dead master is told what holds until it is known better.
        eventually("noticed", async || match exchange.look().await {
            Ok(picture) if picture.log_identity != before => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        let again = eventually("served again", async || store.acquire(SHARD).await).await;
        let next = seq(&store).await + 1;
        append(&store, again, next).await.unwrap();
    });
}

/// Without a cluster whoever is the master counts, among the servers that were named.
#[test]
fn another_server_that_was_named_takes_over() {
    let first = RedisServer::start(&[]);
    let second = RedisServer::start(&[&format!("replicaof 127.0.0.1 {}", first.port())]);
    wait_until("the replica follows", || first.run("INFO replication").text().contains("state=online"));
    block_on(async {
        let urls = vec![second.url(), first.url()];
        let options = RedisOptions { urls, ..RedisOptions::new("").with_durability(Durability::Replica) };
        let (store, exchange) = RedisStore::connect(options).await.unwrap();
        let epoch = eventually("acquired", async || store.acquire(SHARD).await).await;
        let identity = exchange.look().await.unwrap().log_identity;
        eventually("written", async || append(&store, epoch, seq(&store).await + 1).await).await;
        let written = seq(&store).await;
        second.run("REPLICAOF NO ONE");
        first.run(&format!("REPLICAOF 127.0.0.1 {}", second.port()));
        let write = async || {
            let load = async || store.load(SHARD, contract::entity("e")).await;
            let next = eventually("read", load).await.seq + 1;
            append(&store, epoch, next).await
        };
        eventually("written elsewhere", write).await;
        assert!(seq(&store).await > written);
        assert_eq!(second.info("role"), "master");
        eventually("seen", async || match exchange.look().await {
            Ok(picture) if picture.log_identity == identity => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    });
}
