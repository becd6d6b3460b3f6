//! What operators see: status, doctor, refusals at start, and an outage that is announced.

use jono_test_redis::RedisServer;
use jono_tests::server::command;
use jono_tests::system::System;

use crate::run;

#[test]
fn more_than_redis_gives_is_not_promised() {
    let redis = RedisServer::start(&["appendonly yes", "appendfsync everysec"]);
    let output = command(&["serve", "--redis", &redis.url(), "--durability", "disk"]).output().expect("jono can be run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("appendfsync") && said.contains("always"), "{said}");
}

#[test]
fn roles_need_redis() {
    let output = command(&["serve", "--role", "engine"]).output().expect("jono can be run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("redis"), "{said}");
}

#[test]
fn an_agent_is_told_to_read_lists_again_when_another_engine_serves_the_queue() {
    run(async {
        let redis = RedisServer::start(&["appendonly yes", "appendfsync always"]);
        let mut system = System::start(&redis.url(), "disk", 1, 1).await;
        let mut anna = system.agent(0, "anna").await;
        system.add_engine().await;
        system.engines[0].terminate();
        assert!(system.engines[0].ended().await.success());
        assert!(anna.told("queue.renewed").await["queue"].is_string());
        // Nothing else is needed: the session goes on.
        anna.ok("conversation.list", serde_json::json!({ "view": "open" })).await;
    });
}

#[test]
fn the_status_shows_who_owns_what() {
    run(async {
        let redis = RedisServer::start(&["appendonly yes", "appendfsync always"]);
        let mut system = System::start(&redis.url(), "disk", 2, 1).await;
        let status = system.status();
        let nodes = status["nodes"].as_array().expect("nodes");
        let roles: Vec<_> =
            nodes.iter().map(|node| (node["role"].as_str().unwrap_or(""), node["state"].as_str().unwrap_or(""))).collect();
        assert_eq!(roles, [("engine", "up"), ("engine", "up"), ("gateway", "up")], "{status:#}");
        let shards: u64 = nodes.iter().filter_map(|node| node["shards"].as_u64()).sum();
        assert_eq!((shards, status["without_owner"].as_array().map(Vec::len)), (256, Some(0)), "{status:#}");
        system.engines[0].kill9();
        let status = system.status();
        assert_eq!(status["nodes"][0]["state"], "silent", "{status:#}");
    });
}
