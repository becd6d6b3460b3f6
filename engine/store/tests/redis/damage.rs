//! Bytes that change inside Redis are noticed and never delivered.

use bytes::Bytes;
use jono_store::{Answer, CommitError, Durability, IndexChange, LogRange, ReadError, Store, Write, contract};
use jono_test_redis::{RawConnection, RedisServer, Reply};

use crate::kit::{SHARD, block_on, commit, connect};

/// What is written before it is damaged: an entity with everything, and one beside it.
fn writes() -> Vec<Write> {
    let text = Bytes::from_static;
    let whole = |name: &str| Write {
        snapshot: Some(text(b"the state")),
        live: Some(true),
        answers: vec![Answer { key: text(b"key"), at_ms: 1, value: text(b"an answer") }],
        ..contract::write(name, 0, &["a", "b"])
    };
    let index = vec![IndexChange::Put { key: text(b"list/1"), value: text(b"an entry") }];
    vec![Write { index, ..whole("e") }, contract::write("e", 2, &["c", "d"]), whole("f")]
}

/// Flips a bit of a field of a hash, at every place of its value.
fn each_flip(raw: &mut RawConnection, key: &str, field: &str, mut check: impl FnMut(usize)) {
    let value = raw.command(&["HGET", key, field]).bytes();
    for place in 0..value.len() {
        let mut damaged = value.clone();
        damaged[place] ^= 1 << (place % 8);
        raw.command(&[b"HSET", key.as_bytes(), field.as_bytes(), &*damaged]);
        check(place);
    }
    raw.command(&[b"HSET", key.as_bytes(), field.as_bytes(), &*value]);
}

fn is_corrupt<T: std::fmt::Debug>(outcome: Result<T, ReadError>) {
    assert!(matches!(outcome, Err(ReadError::Corrupt(_))), "{outcome:?}");
}

#[test]
fn every_flipped_byte_is_noticed() {
    let server = RedisServer::start(&[]);
    let mut raw = server.connection();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (store, _) = runtime.block_on(connect(server.url(), Durability::Memory));
    let epoch = runtime.block_on(store.acquire(SHARD)).unwrap();
    runtime.block_on(commit(&store, epoch, writes())).unwrap();
    let name = || contract::entity("e");
    let before = runtime.block_on(store.load(SHARD, name())).unwrap();

    let damaged = || {
        is_corrupt(runtime.block_on(store.load(SHARD, name())));
        let live = runtime.block_on(store.load_live(SHARD, None, 9)).unwrap();
        assert_eq!(live.iter().map(|(entity, _)| entity.clone()).collect::<Vec<_>>(), [contract::entity("f")], "left out");
    };
    each_flip(&mut raw, "jono:{s1}:heads", "e", |_| damaged());
    each_flip(&mut raw, "jono:{s1}:snapshots", "e", |_| damaged());
    each_flip(&mut raw, "jono:{s1}:answers:e", "key", |_| damaged());
    each_flip(&mut raw, "jono:{s1}:entries", "list/1", |_| is_corrupt(runtime.block_on(store.scan(Bytes::new(), None, 9))));
    each_flip(&mut raw, "jono:{s1}:own", "epoch", |_| {
        let refusal = runtime.block_on(commit(&store, epoch, vec![contract::write("e", 4, &["x"])]));
        assert!(matches!(refusal, Err(CommitError::Unavailable(_))), "{refusal:?}");
    });
    assert_eq!(runtime.block_on(store.load(SHARD, name())).unwrap(), before);

    // A record behind the snapshot, and one in front of it, which only whoever reads the log sees.
    for (place, is_in_tail) in [("3", true), ("0", false)] {
        let value = raw.command(&["LINDEX", "jono:{s1}:log:e", place]).bytes();
        for byte in 0..value.len() {
            let mut flipped = value.clone();
            flipped[byte] ^= 0x10;
            raw.command(&[&b"LSET"[..], b"jono:{s1}:log:e", place.as_bytes(), &*flipped]);
            is_corrupt(runtime.block_on(store.read_log(SHARD, name(), LogRange::After(0), 9)));
            if is_in_tail {
                damaged();
            }
        }
        raw.command(&[&b"LSET"[..], b"jono:{s1}:log:e", place.as_bytes(), &*value]);
    }
    assert_eq!(runtime.block_on(store.load(SHARD, name())).unwrap(), before);
}

#[test]
fn records_that_are_missing_or_in_a_wrong_place_are_noticed() {
    let server = RedisServer::start(&[]);
    block_on(async {
        let (store, _) = connect(server.url(), Durability::Memory).await;
        let epoch = store.acquire(SHARD).await.unwrap();
        let spoilers = [
            "RPOP jono:{s1}:log:e",
            "LPOP jono:{s1}:log:e",
            "DEL jono:{s1}:log:e",
            "HDEL jono:{s1}:heads e",
            "RPUSH jono:{s1}:log:e more",
            "RENAME jono:{s1}:log:f jono:{s1}:log:e",
        ];
        for spoiler in spoilers {
            commit(&store, epoch, writes()).await.unwrap();
            server.run(spoiler);
            is_corrupt(store.load(SHARD, contract::entity("e")).await);
            is_corrupt(store.read_log(SHARD, contract::entity("e"), LogRange::After(1), 9).await.and_then(|log| {
                // Reading to the end does not touch what is in front.
                if spoiler.starts_with("HDEL") && log.is_empty() || spoiler.starts_with("RPUSH") {
                    return Err(ReadError::Corrupt("nothing is delivered that is not there".into()));
                }
                Ok(log)
            }));
            let live = store.load_live(SHARD, None, 9).await.unwrap();
            assert!(live.iter().all(|(entity, _)| *entity != contract::entity("e")), "{spoiler}");
            let keys = server.run("KEYS jono:{s1}:*").list();
            for key in keys.into_iter().map(Reply::text).filter(|key| !key.ends_with(":own")) {
                server.run(&format!("DEL {key}"));
            }
        }
        // Of an entry of a list either half.
        for spoiler in ["HDEL jono:{s1}:entries list/1", "ZADD jono:{s1}:lists 0 list/2"] {
            let change = IndexChange::Put { key: Bytes::from_static(b"list/1"), value: Bytes::new() };
            commit(&store, epoch, vec![Write { index: vec![change], ..contract::write("g", 0, &[]) }]).await.unwrap();
            server.run(spoiler);
            is_corrupt(store.scan(Bytes::new(), None, 9).await);
        }
        // An entity that is marked as live and was never written.
        server.run("ZADD jono:{s1}:live 0 ghost");
        assert_eq!(store.load_live(SHARD, None, 9).await, Ok(Vec::new()));
        assert_eq!(store.constant("name", Bytes::from_static(b"value")).await, Ok(Bytes::from_static(b"value")));
        server.run("HSET jono:{members}:constants name valux");
        assert!(matches!(store.constant("name", Bytes::new()).await, Err(CommitError::Unavailable(_))));
    });
}

/// A number that has changed would make the next commit look like one that was sent twice: confirmed, and not applied.
#[test]
fn the_number_of_the_last_commit_is_not_believed_when_it_has_changed() {
    let server = RedisServer::start(&[]);
    let mut raw = server.connection();
    block_on(async {
        let (store, _) = connect(server.url(), Durability::Memory).await;
        let mut epoch = store.acquire(SHARD).await.unwrap();
        let append = async |epoch, seq: u64| commit(&store, epoch, vec![contract::write("e", seq, &["record"])]).await;
        append(epoch, 0).await.unwrap();
        let mut seq = 1;
        for field in ["number", "check", "writer"] {
            for (by, acquires) in [(1, false), (100, false), (1, true)] {
                let value = raw.command(&["HGET", "jono:{s1}:own", field]).bytes();
                let changed = match String::from_utf8(value.clone()).unwrap().parse::<u64>() {
                    Ok(number) => (number + by).to_string().into_bytes(),
                    Err(_) => value.iter().map(|byte| byte ^ 1).collect(),
                };
                raw.command(&[b"HSET", &b"jono:{s1}:own"[..], field.as_bytes(), &*changed]);
                if acquires {
                    let acquired = match store.acquire(SHARD).await {
                        Err(CommitError::Unavailable(_)) => store.acquire(SHARD).await,
                        other => other,
                    };
                    assert!(acquired.as_ref().is_ok_and(|later| *later > epoch), "{acquired:?}");
                    epoch = acquired.unwrap();
                    continue;
                }
                // Refused at most once; what is confirmed is there.
                if let Err(refusal) = append(epoch, seq).await {
                    assert!(matches!(refusal, CommitError::Unavailable(_)), "{refusal:?}");
                    assert_eq!(store.load(SHARD, contract::entity("e")).await.unwrap().seq, seq);
                    append(epoch, seq).await.unwrap();
                }
                seq += 1;
                assert_eq!(store.load(SHARD, contract::entity("e")).await.unwrap().seq, seq, "{field}");
            }
        }
    });
}
