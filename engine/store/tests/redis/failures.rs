//! Whatever Redis refuses or leaves unanswered is never taken for done, and service resumes by itself.

use std::cell::Cell;
use std::fs;

use bytes::Bytes;
use futures_util::FutureExt as _;
use jono_store::{CommitError, Durability, Epoch, LogRange, ReadError, RedisStore, Store, Write, contract};
use jono_test_redis::{RedisServer, wait_until};

use crate::kit::{DISK, SHARD, append, block_on, commit, connect, eventually, seq, started};

/// Redis refuses writes: so do we, and nothing has happened. `mend` ends it.
async fn is_refused_and_resumes(store: &RedisStore, epoch: Epoch, code: &str, mend: impl FnOnce()) {
    let before = seq(store).await;
    for _ in 0..3 {
        let refusal = append(store, epoch, before + 1).await.unwrap_err();
        assert!(matches!(&refusal, CommitError::Unavailable(why) if why.contains(code)), "{refusal:?}");
        assert!(matches!(store.acquire(SHARD).await, Err(CommitError::Unavailable(_))));
    }
    assert_eq!(seq(store).await, before);
    mend();
    eventually(code, async || append(store, epoch, before + 1).await).await;
    assert_eq!(seq(store).await, before + 1);
}

#[test]
fn out_of_memory() {
    block_on(async {
        let (server, store, epoch) = started().await;
        append(&store, epoch, 1).await.unwrap();
        server.run("CONFIG SET maxmemory 1000000");
        is_refused_and_resumes(&store, epoch, "OOM", || drop(server.run("CONFIG SET maxmemory 0"))).await;
    });
}

#[test]
fn a_server_that_has_become_a_replica() {
    let other = RedisServer::start(&[]);
    block_on(async {
        let (server, store, epoch) = started().await;
        append(&store, epoch, 1).await.unwrap();
        // It takes nothing over, since the other one wants a password of it.
        other.run("CONFIG SET requirepass secret");
        server.run(&format!("REPLICAOF 127.0.0.1 {}", other.port()));
        is_refused_and_resumes(&store, epoch, "READONLY", || drop(server.run("REPLICAOF NO ONE"))).await;
    });
}

#[test]
fn a_server_that_cannot_save() {
    let server = RedisServer::start(&[DISK, &["save 3600 1", "dbfilename snapshot"]].concat());
    block_on(async {
        let (store, _) = connect(server.url(), Durability::Disk).await;
        let epoch = store.acquire(SHARD).await.unwrap();
        append(&store, epoch, 1).await.unwrap();
        let in_the_way = server.dir().join("snapshot");
        fs::create_dir_all(in_the_way.join("full")).unwrap();
        server.run("BGSAVE");
        wait_until("saving fails", || server.info("rdb_last_bgsave_status") == "err");
        is_refused_and_resumes(&store, epoch, "MISCONF", || {
            fs::remove_dir_all(&in_the_way).unwrap();
            server.run("BGSAVE");
        })
        .await;
    });
}

#[test]
fn a_server_that_is_loading() {
    block_on(async {
        let (mut server, store, epoch) = started().await;
        let write = |n: u64| contract::write(&format!("c{n}"), 0, &["record"]);
        commit(&store, epoch, (0..300).map(write).collect()).await.unwrap();
        server.run("BGREWRITEAOF");
        wait_until("the log is rewritten", || server.info("aof_rewrite_in_progress") == "0");
        // 3 s, at a pace at which it goes on answering.
        server.configure("key-load-delay 10000");
        server.configure("loading-process-events-interval-bytes 1024");
        server.spawn();
        let mut refusals = Vec::new();
        let seen = |refusals: &[CommitError]| refusals.iter().any(|refusal| refusal.to_string().contains("LOADING"));
        eventually("loading ends", async || match append(&store, epoch, 1).await {
            // The first one may have been on its way when the connection broke.
            Err(error) => {
                refusals.push(error.clone());
                Err(error)
            }
            Ok(()) => Ok(()),
        })
        .await;
        assert!(seen(&refusals), "{refusals:?}");
        assert_eq!(seq(&store).await, 1);
    });
}

#[test]
fn a_server_that_is_gone_and_comes_back() {
    block_on(async {
        let (mut server, store, epoch) = started().await;
        append(&store, epoch, 1).await.unwrap();
        server.kill9();
        for _ in 0..5 {
            let refusal = append(&store, epoch, 2).await.unwrap_err();
            assert!(matches!(refusal, CommitError::Unavailable(_) | CommitError::Unknown(_)), "{refusal:?}");
            let refusal = store.load(SHARD, contract::entity("e")).await.unwrap_err();
            assert!(matches!(refusal, ReadError::Unavailable(_)), "{refusal:?}");
        }
        server.restart();
        eventually("the server is back", async || append(&store, epoch, 2).await).await;
        assert_eq!(seq(&store).await, 2);
    });
}

/// A kill at any moment: what was confirmed is there, what is there is a whole, and nothing comes later.
#[test]
fn nothing_that_was_confirmed_at_disk_is_lost_by_kill_9() {
    block_on(async {
        let (mut server, store, epoch) = started().await;
        let mut confirmed = 0;
        for round in 1..=8_u64 {
            // Many under way, each of two records, so that a half would show.
            let mut under_way = Vec::new();
            for n in 0..200 {
                let write = contract::write("e", confirmed + 2 * n, &["a", "b"]);
                under_way.push(commit(&store, epoch, vec![write, contract::write(&format!("r{round}-{n}"), 0, &["c"])]));
            }
            let is_over = Cell::new(false);
            let all = futures_util::future::join_all(under_way).inspect(|_| is_over.set(true));
            let killed = async {
                // One that comes too soon after the start may fail, and with it those behind it.
                while !is_over.get() && seq(&store).await < confirmed + 40 * round.min(4) {}
                server.kill9();
            };
            let (outcomes, ()) = futures_util::future::join(all, killed).await;
            let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
            assert!(outcomes[..done as usize].iter().all(Result::is_ok), "confirmed in order");
            server.restart();
            let loaded = eventually("loaded", async || store.load(SHARD, contract::entity("e")).await).await;
            assert!(loaded.seq >= confirmed + 2 * done, "{} of {}", loaded.seq, confirmed + 2 * done);
            assert_eq!(loaded.seq % 2, 0, "batches are whole");
            let others = (loaded.seq - confirmed) / 2;
            for n in 0..200 {
                let other = store.load(SHARD, contract::entity(&format!("r{round}-{n}"))).await.unwrap();
                assert_eq!(other.seq, u64::from(n < others), "round {round}, {n} of {others}");
            }
            confirmed = loaded.seq;
        }
        assert!(confirmed > 100);
    });
}

/// What nobody knows becomes known: once something was read, it stays as it was read.
#[test]
fn a_frozen_server_leaves_commits_unknown_and_settles_them_before_anything_is_read() {
    block_on(async {
        let (server, store, epoch) = started().await;
        for round in 0..3_u64 {
            let state = |text: &str| Write { snapshot: Some(Bytes::from(text.to_owned())), ..contract::write("e", 0, &[]) };
            commit(&store, epoch, vec![state("before")]).await.unwrap();
            server.freeze();
            let refusal = commit(&store, epoch, vec![state("unknown")]).await.unwrap_err();
            assert!(matches!(refusal, CommitError::Unknown(_)), "{refusal:?}");
            let refusal = commit(&store, epoch, vec![state("second")]).await.unwrap_err();
            assert!(matches!(refusal, CommitError::Unavailable(_)), "{refusal:?}");
            assert!(matches!(store.load(SHARD, contract::entity("e")).await, Err(ReadError::Unavailable(_))));
            server.thaw();
            let read = eventually("readable", async || store.load(SHARD, contract::entity("e")).await).await;
            assert_ne!(read.snapshot, Some((0, Bytes::from_static(b"second"))), "what was refused has not happened");
            for _ in 0..20 {
                assert_eq!(store.load(SHARD, contract::entity("e")).await.unwrap(), read, "round {round}");
            }
        }
    });
}

#[test]
fn forgotten_scripts_are_loaded_again() {
    block_on(async {
        let (server, store, epoch) = started().await;
        for seq in 1..=5 {
            server.run("SCRIPT FLUSH");
            append(&store, epoch, seq).await.unwrap();
            server.run("SCRIPT FLUSH");
            let log = store.read_log(SHARD, contract::entity("e"), LogRange::After(0), 9).await.unwrap();
            assert_eq!(log.len() as u64, seq);
            server.run("SCRIPT FLUSH");
            assert_eq!(store.scan(Bytes::new(), None, 9).await, Ok(Vec::new()));
        }
    });
}

#[test]
fn cut_connections_are_made_anew() {
    block_on(async {
        let (server, store, epoch) = started().await;
        for seq in 1..=20 {
            server.run("CLIENT KILL TYPE normal");
            eventually("connected again", async || append(&store, epoch, seq).await).await;
        }
        assert_eq!(seq(&store).await, 20);
        assert!(store.stats().connections_lost > 0);
    });
}

#[test]
fn a_large_batch_is_one() {
    block_on(async {
        let server = RedisServer::start(DISK);
        let (store, _) = connect(server.url(), Durability::Disk).await;
        let epoch = store.acquire(SHARD).await.unwrap();
        let write = |n: u64| Write {
            live: Some(true),
            snapshot: Some(Bytes::from_static(b"state")),
            ..contract::write(&format!("c{n:05}"), 0, &["a", "b"])
        };
        commit(&store, epoch, (0..5000).map(write).collect()).await.unwrap();
        let many = contract::write("long", 0, &vec!["x"; 20_000]);
        commit(&store, epoch, vec![many]).await.unwrap();
        let mut live = 0;
        let mut after = None;
        loop {
            let page = store.load_live(SHARD, after.clone(), 777).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            live += page.len();
        }
        assert_eq!(live, 5000);
        let log = store.read_log(SHARD, contract::entity("long"), LogRange::After(9000), 100_000).await.unwrap();
        assert_eq!((log.len(), log[0].0), (10_000, 9001));
    });
}
