//! Promises about reading entities.

use super::*;
use crate::LogRange;

/// What was never written is empty, everywhere.
pub async fn an_unknown_entity_is_empty(store: &impl Store) {
    assert_eq!(load(store, "e").await, Loaded::default());
    assert_eq!(store.read_log(SHARD, entity("e"), LogRange::After(0), 9).await, Ok(Vec::new()));
    assert_eq!(store.read_log(SHARD, entity("e"), LogRange::Before(9), 9).await, Ok(Vec::new()));
    assert_eq!(store.load_live(SHARD, None, 9).await, Ok(Vec::new()));
}

/// The snapshot includes the write it came with; only later records are in the tail. The log keeps
/// all of them.
pub async fn a_snapshot_cuts_the_tail(store: &impl Store) {
    let epoch = acquired(store).await;
    let mut first = write("e", 0, &["a", "b"]);
    first.snapshot = Some(bytes("ab"));
    commit(store, epoch, vec![first]).await;
    let loaded = load(store, "e").await;
    assert_eq!((loaded.snapshot, loaded.tail), (Some((2, bytes("ab"))), Vec::new()));
    commit(store, epoch, vec![write("e", 2, &["c"])]).await;
    let loaded = load(store, "e").await;
    assert_eq!(loaded.seq, 3);
    assert_eq!((loaded.snapshot, loaded.tail), (Some((2, bytes("ab"))), numbered(3, &["c"])));
    let mut newer = write("e", 3, &["d"]);
    newer.snapshot = Some(bytes("abcd"));
    commit(store, epoch, vec![newer]).await;
    let loaded = load(store, "e").await;
    assert_eq!((loaded.snapshot, loaded.tail), (Some((4, bytes("abcd"))), Vec::new()));
    let log = store.read_log(SHARD, entity("e"), LogRange::After(0), 9).await;
    assert_eq!(log, Ok(numbered(1, &["a", "b", "c", "d"])));
}

/// Both kinds of ranges, at their borders.
pub async fn log_ranges_have_limits(store: &impl Store) {
    let epoch = acquired(store).await;
    let all = ["a", "b", "c", "d", "e"];
    commit(store, epoch, vec![write("e", 0, &all)]).await;
    let check = async |range, limit, first: u64, records: &[&str]| {
        let found = store.read_log(SHARD, entity("e"), range, limit).await;
        assert_eq!(found, Ok(numbered(first, records)), "{range:?} {limit}");
    };
    check(LogRange::After(0), 9, 1, &all).await;
    check(LogRange::After(0), usize::MAX, 1, &all).await;
    check(LogRange::After(0), 2, 1, &["a", "b"]).await;
    check(LogRange::After(3), 2, 4, &["d", "e"]).await;
    check(LogRange::After(4), 9, 5, &["e"]).await;
    check(LogRange::After(5), 9, 6, &[]).await;
    check(LogRange::After(u64::MAX), 9, 1, &[]).await;
    check(LogRange::After(0), 0, 1, &[]).await;
    check(LogRange::Before(u64::MAX), 2, 4, &["d", "e"]).await;
    check(LogRange::Before(6), 9, 1, &all).await;
    check(LogRange::Before(6), usize::MAX, 1, &all).await;
    check(LogRange::Before(4), 2, 2, &["b", "c"]).await;
    check(LogRange::Before(2), 9, 1, &["a"]).await;
    check(LogRange::Before(1), 9, 1, &[]).await;
    check(LogRange::Before(0), 9, 1, &[]).await;
    check(LogRange::Before(6), 0, 1, &[]).await;
}

/// A read that begins after a confirmation sees what was confirmed, by all ways of reading.
pub async fn reads_see_confirmed_commits(store: &impl Store) {
    let epoch = acquired(store).await;
    for seq in 0..20 {
        let mut next = write("e", seq, &["r"]);
        next.live = Some(true);
        next.index = vec![put(b"seq", &seq.to_string())];
        commit(store, epoch, vec![next]).await;
        let log = store.read_log(SHARD, entity("e"), LogRange::Before(u64::MAX), 1);
        let entry = store.scan(bytes("seq"), None, 1);
        let live = store.load_live(SHARD, None, 1);
        assert_eq!(load(store, "e").await.seq, seq + 1);
        assert_eq!(log.await, Ok(numbered(seq + 1, &["r"])));
        assert_eq!(entry.await, Ok(vec![(bytes("seq"), bytes(&seq.to_string()))]));
        assert_eq!(live.await.expect("readable")[0].1.seq, seq + 1);
    }
}

/// Live entities come in key order, page by page, until their mark is cleared.
pub async fn live_entities_are_paged(store: &impl Store) {
    let epoch = acquired(store).await;
    let names = ["a", "aa", "ab", "b", "b0", "c"];
    let marked = |name: &&str, live| Write { live: Some(live), ..write(name, 0, &[]) };
    commit(store, epoch, names.iter().map(|name| marked(name, true)).collect()).await;
    commit(store, epoch, vec![write("dead", 0, &["x"]), marked(&"b", false)]).await;
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store.load_live(SHARD, after.clone(), 2).await.expect("readable");
        assert!(page.len() <= 2);
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        found.extend(page.into_iter().map(|(key, _)| key));
    }
    assert_eq!(found, ["a", "aa", "ab", "b0", "c"].map(entity));
    // From a key that is not there; from behind the last; and with what belongs to the entity.
    let mut last = write("c", 0, &["x", "y"]);
    last.snapshot = Some(bytes("s"));
    last.answers = vec![answer("k", 1, "v")];
    commit(store, epoch, vec![last]).await;
    let page = store.load_live(SHARD, Some(entity("b1")), 9).await.expect("readable");
    assert_eq!(page, [(entity("c"), load(store, "c").await)]);
    assert_eq!(page[0].1.answers.len(), 1);
    assert_eq!(store.load_live(SHARD, Some(entity("c")), 9).await, Ok(Vec::new()));
    assert_eq!(store.load_live(SHARD, None, 0).await, Ok(Vec::new()));
}

/// Entities whose names begin with each other, or contain what might separate parts of a key, have
/// nothing in common.
pub async fn similar_names_stay_apart(store: &impl Store) {
    let epoch = acquired(store).await;
    let mut names: Vec<String> =
        ["e", "e\0", "e\0\0", "e\0\0\0\0\0\0\0\u{1}", "e:", "e:1", "ee", "\0"].map(String::from).to_vec();
    names.extend((0..200).map(|n| format!("c{n}")));
    for (n, name) in names.iter().enumerate() {
        let mut first = write(name, 0, &["r"]);
        first.log = (0..1 + n % 3).map(|_| bytes(name)).collect();
        first.answers = vec![answer("k", 1, name), answer("\0k", 1, name)];
        first.live = Some(true);
        commit(store, epoch, vec![first]).await;
    }
    for (n, name) in names.iter().enumerate() {
        let loaded = load(store, name).await;
        let records = vec![name.as_str(); 1 + n % 3];
        assert_eq!((loaded.tail, loaded.answers.len()), (numbered(1, &records), 2), "{name:?}");
        assert!(loaded.answers.iter().all(|answer| answer.value == bytes(name)));
    }
    assert_eq!(store.load_live(SHARD, None, 1000).await.map(|live| live.len()), Ok(names.len()));
}

/// The same name in another shard is another entity, with an epoch of its own.
pub async fn shards_stay_apart(store: &impl Store) {
    let other = ShardId(SHARD.0 + 1);
    let epoch = acquired(store).await;
    acquired(store).await;
    let epoch_other = store.acquire(other).await.expect("another shard");
    let batch = Batch { shard: other, epoch: epoch_other, writes: vec![write("e", 0, &["a"])] };
    assert_eq!(store.commit(batch).await, Ok(()), "acquiring {SHARD:?} leaves {other:?} alone");
    assert!(matches!(refused(store, epoch, vec![]).await, CommitError::Fenced { .. }));
    assert_eq!(load(store, "e").await, Loaded::default());
    assert_eq!(store.load(other, entity("e")).await.map(|loaded| loaded.seq), Ok(1));
}
