//! Slots move between masters while records are written and boxes are read.

use std::time::Duration;

use bytes::Bytes;
use jono_store::{
    Batch, CommitError, Durability, Exchange, ExchangeError, IndexChange, LogRange, Position, RedisOptions, RedisStore, ShardId,
    Store, Write, contract,
};
use jono_test_redis::RedisCluster;

use crate::kit::{DISK, block_on, eventually};

const SHARDS: u16 = 32;

/// One record, one entry of a list and one answer for each number.
fn write(seq: u64, shard: ShardId) -> Write {
    let key = Bytes::from(format!("list/{:02}/{seq:06}", shard.0));
    Write {
        index: vec![IndexChange::Put { key, value: Bytes::from_static(b"v") }],
        ..contract::write("e", seq - 1, &[&seq.to_string()])
    }
}

#[test]
fn nothing_is_lost_or_doubled_while_slots_move() {
    let mut cluster = RedisCluster::start(3, 0, DISK);
    let fourth = cluster.add_node(DISK);
    block_on(async {
        let options = RedisOptions { urls: cluster.urls(), durability: Durability::Disk, ..RedisOptions::new("") };
        let (store, exchange) = RedisStore::connect(options).await.unwrap();
        let identity = exchange.look().await.unwrap().log_identity;
        let mut nodes = Vec::new();
        for _ in 0..8 {
            nodes.push(exchange.join(Bytes::new()).await.unwrap());
        }
        let mut epochs = Vec::new();
        for shard in (0..SHARDS).map(ShardId) {
            epochs.push(store.acquire(shard).await.unwrap());
        }
        let is_over = std::cell::Cell::new(false);
        let writer = async |shard: ShardId| {
            let mut next = 1;
            while !is_over.get() {
                let batch = Batch { shard, epoch: epochs[usize::from(shard.0)], writes: vec![write(next, shard)] };
                match store.commit(batch).await {
                    Ok(()) => next += 1,
                    Err(CommitError::Unavailable(_)) => {}
                    Err(error) => panic!("{shard:?} {next}: {error}"),
                }
                if next % 16 == 0 {
                    let load = async || store.load(shard, contract::entity("e")).await;
                    assert_eq!(eventually("loaded", load).await.seq, next - 1);
                }
            }
            next - 1
        };
        let writers = futures_util::future::join_all((0..SHARDS).map(ShardId).map(writer));
        let reader = async |node| {
            let (mut sent, mut read, mut after) = (0_u64, 0_u64, Position::START);
            while !is_over.get() || read < sent {
                if !is_over.get() {
                    let parcel = Bytes::from(sent.to_string());
                    match exchange.send(node, vec![parcel]).await {
                        Ok(()) => sent += 1,
                        Err(ExchangeError::Unavailable(_)) => {}
                        Err(error) => panic!("{node:?}: {error}"),
                    }
                }
                match exchange.receive(node, after, Duration::from_millis(5)).await {
                    Ok(parcels) => {
                        for (position, parcel) in parcels {
                            assert_eq!(parcel, read.to_string());
                            (read, after) = (read + 1, position);
                        }
                    }
                    Err(ExchangeError::Unavailable(_)) => {}
                    Err(error) => panic!("{node:?}: {error}"),
                }
            }
            sent
        };
        let readers = futures_util::future::join_all(nodes.iter().copied().map(reader));
        let mover = async {
            let moving = tokio::task::spawn_blocking(move || {
                for from in 0..3 {
                    cluster.move_slots(from, fourth, 1500);
                }
                cluster
            });
            let cluster = moving.await.unwrap();
            is_over.set(true);
            cluster
        };
        let ((confirmed, sent), _cluster) = futures_util::future::join(futures_util::future::join(writers, readers), mover).await;
        assert!(sent.iter().all(|sent| *sent > 0));
        for (shard, confirmed) in (0..SHARDS).map(ShardId).zip(confirmed) {
            let log = store.read_log(shard, contract::entity("e"), LogRange::After(0), 100_000).await.unwrap();
            assert_eq!(log.len() as u64, confirmed, "{shard:?}");
            assert!(log.iter().all(|(seq, record)| *record == seq.to_string()));
            let entries = store.scan(Bytes::from(format!("list/{:02}/", shard.0)), None, 10_000).await.unwrap();
            assert_eq!(entries.len() as u64, confirmed, "{shard:?}");
        }
        assert!(store.stats().retries > 0, "some were redirected");
        assert_eq!(exchange.look().await.unwrap().log_identity, identity, "slots bring their keys along");
    });
}
