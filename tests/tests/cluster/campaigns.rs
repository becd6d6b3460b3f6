//! Campaigns: two gateways, three engines, conversations under way, and one thing that goes wrong after the other.

use jono_test_redis::{RedisCluster, RedisServer};
use jono_tests::system::{Corpus, System};
use serde_json::Value;

use crate::{run, seconds};

/// What durability `disk` needs.
const DISK: &[&str] = &["appendonly yes", "appendfsync always", "maxmemory-policy noeviction"];

fn count(report: &Value, name: &str) -> u64 {
    report["counts"][name].as_u64().unwrap_or_else(|| panic!("{name} is not counted: {report:#}"))
}

#[test]
fn an_engine_is_killed_and_comes_back() {
    run(async {
        let redis = RedisServer::start(DISK);
        let mut system = System::start(&redis.url(), "disk", 3, 2).await;
        let corpus = Corpus::lasting(18);
        let play = system.play(&corpus);
        for _ in 0..2 {
            seconds(4).await;
            system.engines[1].kill9();
            seconds(5).await;
            system.engines[1].restart().await;
        }
        play.passed().await;
        system.all_ready().await;
        assert!(system.engines_metric("jono_engine_shards_acquired_total").await >= 256);
    });
}

#[test]
fn a_gateway_is_killed_and_its_clients_resume_at_the_other() {
    run(async {
        let redis = RedisServer::start(DISK);
        let mut system = System::start(&redis.url(), "disk", 3, 2).await;
        let corpus = Corpus::lasting(15);
        let play = system.play(&corpus);
        for _ in 0..2 {
            seconds(3).await;
            system.gateways[0].kill9();
            seconds(4).await;
            system.gateways[0].restart().await;
        }
        let report = play.passed().await;
        assert!(count(&report, "reconnects") > 0);
    });
}

#[test]
fn everything_is_restarted_one_after_the_other() {
    run(async {
        let redis = RedisServer::start(DISK);
        let mut system = System::start(&redis.url(), "disk", 3, 2).await;
        let corpus = Corpus::lasting(22);
        let mut play = system.play(&corpus);
        seconds(2).await;
        for engine in &mut system.engines {
            engine.terminate();
            assert!(engine.ended().await.success());
            engine.restart().await;
        }
        for gateway in &mut system.gateways {
            gateway.terminate();
            assert!(gateway.ended().await.success());
            gateway.restart().await;
        }
        assert!(play.is_playing(), "all of it happened during the play");
        play.passed().await;
    });
}

#[test]
fn redis_is_killed_and_started_again() {
    run(async {
        let mut redis = RedisServer::start(DISK);
        let system = System::start(&redis.url(), "disk", 3, 2).await;
        let corpus = Corpus::lasting(18);
        let play = system.play(&corpus);
        for pause in [1, 4] {
            seconds(4).await;
            redis.kill9();
            seconds(pause).await;
            redis.restart();
        }
        play.passed().await;
        system.all_ready().await;
    });
}

#[test]
fn redis_freezes_for_three_seconds() {
    run(async {
        let redis = RedisServer::start(DISK);
        let system = System::start(&redis.url(), "disk", 3, 2).await;
        let corpus = Corpus::lasting(18);
        let play = system.play(&corpus);
        for _ in 0..2 {
            seconds(4).await;
            redis.freeze();
            seconds(3).await;
            redis.thaw();
        }
        play.passed().await;
        system.all_ready().await;
    });
}

#[test]
fn a_master_is_killed_and_its_replica_takes_over() {
    run(async {
        let mut redis = RedisCluster::start(3, 1, &["appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"]);
        let urls = redis.urls().join(",");
        let system = System::start(&urls, "replica", 3, 2).await;
        let corpus = Corpus::lasting(22);
        let play = system.play(&corpus);
        seconds(5).await;
        redis.kill_master(0);
        seconds(8).await;
        redis.node_mut(0).restart();
        play.passed().await;
        system.all_ready().await;
    });
}

#[test]
fn slots_move_from_one_master_to_another() {
    run(async {
        let redis = RedisCluster::start(3, 0, DISK);
        let urls = redis.urls().join(",");
        let system = System::start(&urls, "disk", 3, 2).await;
        let corpus = Corpus::lasting(18);
        let play = system.play(&corpus);
        seconds(3).await;
        let moving = std::thread::spawn(move || {
            redis.move_slots(0, 1, 2_000);
            redis.move_slots(1, 2, 2_000);
            redis
        });
        play.passed().await;
        let _redis = moving.join().expect("slots move");
        system.all_ready().await;
    });
}
