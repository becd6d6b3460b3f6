//! What an operator is told.

use jono_store::{ConnectError, Durability, Finding, RedisOptions, Verdict, examine};
use jono_test_redis::{RedisCluster, RedisServer};

use crate::kit::{DISK, block_on};

fn findings(options: &RedisOptions) -> Vec<Finding> {
    block_on(examine(options)).unwrap()
}

fn about<'a>(findings: &'a [Finding], subject: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.subject == subject).unwrap_or_else(|| panic!("nothing about {subject}: {findings:?}"))
}

#[test]
fn a_good_server_has_nothing_bad() {
    let server = RedisServer::start(DISK);
    let found = findings(&RedisOptions::new(server.url()));
    assert!(found.iter().all(|finding| finding.verdict < Verdict::Bad || finding.value.contains("us")), "{found:?}");
    assert!(found.iter().all(|finding| finding.fix.is_empty() == (finding.verdict == Verdict::Ok)), "{found:?}");
    assert_eq!((&*about(&found, "appendfsync").value, about(&found, "appendfsync").verdict), ("always", Verdict::Ok));
    for subject in ["version", "mode", "role", "maxmemory", "memory used", "clients", "clock", "round trip", "commit", "replicas"]
    {
        about(&found, subject);
    }
    assert!(server.run("KEYS *").list().is_empty(), "nothing is left behind");
}

#[test]
fn what_is_not_good_enough_is_bad_and_has_a_remedy() {
    let server =
        RedisServer::start(&["appendonly yes", "appendfsync everysec", "maxmemory 200mb", "maxmemory-policy allkeys-lru"]);
    let found = findings(&RedisOptions::new(server.url()));
    assert_eq!(about(&found, "appendfsync").verdict, Verdict::Bad);
    assert_eq!(about(&found, "appendfsync").fix, "durability disk needs \"always\"");
    assert_eq!(about(&found, "maxmemory").verdict, Verdict::Bad);
    let found = findings(&RedisOptions::new(server.url()).with_durability(Durability::Replica));
    assert_eq!(about(&found, "replicas").verdict, Verdict::Bad);
}

#[test]
fn every_master_of_a_cluster_is_looked_at() {
    let mut cluster = RedisCluster::start(3, 0, DISK);
    let options = RedisOptions { urls: cluster.urls(), ..RedisOptions::new("") };
    let found = findings(&options);
    assert_eq!(about(&found, "slots covered").value, "16384 of 16384");
    assert_eq!(found.iter().filter(|finding| finding.subject == "commit").count(), 3);
    let gone = format!("127.0.0.1:{}", cluster.node(1).port());
    cluster.node_mut(1).kill9();
    let found = findings(&options);
    assert!(found.iter().any(|finding| finding.server == gone && finding.verdict == Verdict::Bad), "{found:?}");
}

#[test]
fn nobody_there_is_an_error() {
    let mut server = RedisServer::start(&[]);
    server.kill9();
    let error = block_on(examine(&RedisOptions::new(server.url()))).unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}
