//! Both contracts, at every level, on one server and on a cluster.

use jono_store::{Durability, RedisOptions, RedisStore, contract};
use jono_test_redis::{RedisCluster, RedisServer};

use crate::kit::{DISK, block_on, fresh};

fn stores(options: &RedisOptions) {
    block_on(contract::run(async || RedisStore::connect(fresh(options.clone())).await.unwrap().0));
}

fn exchanges(options: &RedisOptions) {
    block_on(contract::exchange::run(async || RedisStore::connect(fresh(options.clone())).await.unwrap().1));
}

#[test]
fn one_server_passes_the_contract_at_every_level() {
    let server = RedisServer::start(DISK);
    for durability in [Durability::Memory, Durability::Second, Durability::Disk] {
        stores(&RedisOptions::new(server.url()).with_durability(durability));
    }
}

#[test]
fn a_server_with_a_replica_passes_the_contract() {
    let server = RedisServer::start(&[]);
    let line = format!("replicaof 127.0.0.1 {}", server.port());
    let replica = RedisServer::start(&[&line]);
    jono_test_redis::wait_until("the replica follows", || replica.info("master_link_status") == "up");
    stores(&RedisOptions::new(server.url()).with_durability(Durability::Replica));
}

#[test]
fn a_cluster_passes_the_contract() {
    let cluster = RedisCluster::start(3, 0, DISK);
    let options = RedisOptions { urls: cluster.urls(), ..RedisOptions::new("") };
    stores(&options);
    exchanges(&options);
}

#[test]
fn the_exchange_of_one_server_passes_the_contract() {
    let server = RedisServer::start(&[]);
    exchanges(&RedisOptions::new(server.url()).with_durability(Durability::Memory));
}
