//! A commit that is sent twice, whoever sends it, is applied once.

use bytes::Bytes;
use jono_store::{CommitError, Durability, IndexChange, Store, Write, contract};
use jono_test_redis::{Proxy, RawConnection, RedisServer, Reply};

use crate::kit::{DISK, SHARD, append, block_on, commit, connect, seq};

#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    let server = RedisServer::start(DISK);
    let proxy = Proxy::start(server.port());
    block_on(async {
        let (store, _) = connect(proxy.url(), Durability::Disk).await;
        let epoch = store.acquire(SHARD).await.unwrap();
        for round in 0..10 {
            append(&store, epoch, 3 * round + 1).await.unwrap();
            // Larger than anything that is sent besides.
            proxy.lose_next_answer(2000);
            let text = "x".repeat(3000);
            let write = contract::write("e", 3 * round + 1, &[&text]);
            assert_eq!(commit(&store, epoch, vec![write]).await, Ok(()));
            assert!(proxy.has_lost_it());
            append(&store, epoch, 3 * round + 3).await.unwrap();
        }
        assert_eq!(seq(&store).await, 30);
        assert_eq!(store.stats().unknown, 10);
        assert_eq!(server.run("LLEN jono:{s1}:log:e"), Reply::Number(30));
    });
}

#[test]
fn a_repeated_command_is_applied_once_and_an_old_one_never() {
    let server = RedisServer::start(DISK);
    let proxy = Proxy::start(server.port());
    block_on(async {
        let (store, _) = connect(proxy.url(), Durability::Disk).await;
        let epoch = store.acquire(SHARD).await.unwrap();
        append(&store, epoch, 1).await.unwrap();
        proxy.watch_for(b"first");
        let entry = |value: &'static str| IndexChange::Put {
            key: Bytes::from_static(b"list"),
            value: Bytes::from_static(value.as_bytes()),
        };
        // Without records: no number would give the repeat away.
        let first =
            Write { index: vec![entry("first")], snapshot: Some(Bytes::from_static(b"first")), ..contract::write("e", 1, &[]) };
        assert_eq!(commit(&store, epoch, vec![first]).await, Ok(()));
        let sent = proxy.seen().unwrap();
        let mut raw = RawConnection::open(server.port()).unwrap();
        assert_eq!(raw.send(&sent).unwrap(), Reply::List(vec![Reply::Bytes(b"done".to_vec())]));
        let second = Write { index: vec![entry("second")], ..contract::write("e", 1, &["2"]) };
        assert_eq!(commit(&store, epoch, vec![second]).await, Ok(()));
        assert_eq!(raw.send(&sent).unwrap(), Reply::List(vec![Reply::Bytes(b"late".to_vec())]));
        let list = store.scan(Bytes::new(), None, 9).await.unwrap();
        assert_eq!(list, [(Bytes::from_static(b"list"), Bytes::from_static(b"second"))]);
        assert_eq!(seq(&store).await, 2);
        // Also under the next owner, who knows nothing of it.
        let (other, _) = connect(server.url(), Durability::Disk).await;
        let newer = other.acquire(SHARD).await.unwrap();
        let reply = raw.send(&sent).unwrap().list();
        assert_eq!(reply[0], Reply::Bytes(b"fenced".to_vec()));
        assert_eq!(append(&store, epoch, 3).await, Err(CommitError::Fenced { current: newer }));
        assert_eq!(append(&other, newer, 3).await, Ok(()));
    });
}

#[test]
fn two_processes_never_get_the_same_epoch() {
    let server = RedisServer::start(&[]);
    block_on(async {
        let (one, _) = connect(server.url(), Durability::Memory).await;
        let (other, _) = connect(server.url(), Durability::Memory).await;
        let mut given = Vec::new();
        for _ in 0..50 {
            let (first, second) = futures_util::future::join(one.acquire(SHARD), other.acquire(SHARD)).await;
            given.extend([first.unwrap(), second.unwrap()]);
        }
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), 100);
    });
}
