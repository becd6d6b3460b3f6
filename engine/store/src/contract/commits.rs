//! Promises about what is committed and what is refused.

use bytes::Bytes;

use super::*;
use crate::limits;

/// Records are numbered 1, 2, 3, ... over batches, and come back in that order.
pub async fn records_are_numbered_in_order(store: &impl Store) {
    let epoch = acquired(store).await;
    commit(store, epoch, vec![write("e", 0, &["a", "b"])]).await;
    commit(store, epoch, vec![write("e", 2, &["c"])]).await;
    let loaded = load(store, "e").await;
    assert_eq!((loaded.seq, loaded.tail), (3, numbered(1, &["a", "b", "c"])));
}

/// A writer that is behind, or ahead, is told where the log ends; nothing is applied.
pub async fn a_wrong_expected_seq_is_a_conflict(store: &impl Store) {
    let epoch = acquired(store).await;
    commit(store, epoch, vec![write("e", 0, &["a", "b"])]).await;
    for expected_seq in [0, 1, 3, 99] {
        let refusal = refused(store, epoch, vec![write("e", expected_seq, &["x"])]).await;
        assert_eq!(refusal, CommitError::Conflict { entity: entity("e"), actual_seq: 2 });
    }
    // A hole at the very beginning, and a repeat of what is there.
    let refusal = refused(store, epoch, vec![write("new", 1, &["x"])]).await;
    assert_eq!(refusal, CommitError::Conflict { entity: entity("new"), actual_seq: 0 });
    assert_eq!(load(store, "e").await.tail, numbered(1, &["a", "b"]));
    assert_eq!(load(store, "new").await, Loaded::default());
}

/// After a shard changed hands, the former owner's commits are refused for ever: new ones, an
/// identical repeat of one that was applied, and ones that would change nothing.
pub async fn an_old_epoch_is_fenced(store: &impl Store) {
    let old = acquired(store).await;
    let first = vec![write("e", 0, &["a"])];
    commit(store, old, first.clone()).await;
    let new = acquired(store).await;
    assert!(new > old, "epochs grow");
    let fenced = CommitError::Fenced { current: new };
    assert_eq!(refused(store, old, first).await, fenced);
    assert_eq!(refused(store, old, vec![write("e", 1, &["b"])]).await, fenced);
    assert_eq!(refused(store, old, vec![write("e", 1, &[])]).await, fenced);
    assert_eq!(refused(store, Epoch(new.0 + 1), vec![write("e", 1, &["b"])]).await, fenced);
    commit(store, new, vec![write("e", 1, &["b"])]).await;
    assert_eq!(refused(store, old, vec![write("e", 2, &["c"])]).await, fenced);
    assert_eq!(load(store, "e").await.tail, numbered(1, &["a", "b"]));
}

/// Nobody writes to a shard that nobody has acquired; another shard's epoch does not help.
pub async fn a_shard_must_be_acquired(store: &impl Store) {
    let epoch = acquired(store).await;
    for epoch in [epoch, Epoch(0), Epoch(1)] {
        let batch = Batch { shard: ShardId(SHARD.0 + 1), epoch, writes: vec![write("e", 0, &["a"])] };
        let refusal = store.commit(batch).await;
        assert_eq!(refusal, Err(CommitError::Fenced { current: Epoch(0) }));
    }
}

/// When one write of a batch is refused, none of it is applied.
pub async fn a_batch_is_all_or_nothing(store: &impl Store) {
    let epoch = acquired(store).await;
    let mut good = write("good", 0, &["a"]);
    good.snapshot = Some(bytes("state"));
    good.live = Some(true);
    good.answers = vec![answer("k", 1, "v")];
    good.index = vec![put(b"list/1", "v")];
    let refusal = refused(store, epoch, vec![good.clone(), write("bad", 5, &["b"])]).await;
    assert_eq!(refusal, CommitError::Conflict { entity: entity("bad"), actual_seq: 0 });
    assert_eq!(load(store, "good").await, Loaded::default());
    assert_eq!(store.load_live(SHARD, None, 10).await, Ok(Vec::new()));
    assert_eq!(store.scan(bytes("list/"), None, 10).await, Ok(Vec::new()));
    // And the refused batch left nothing behind that would stop the good one.
    commit(store, epoch, vec![good, write("bad", 0, &["b"])]).await;
    assert_eq!(load(store, "good").await.seq, 1);
    assert_eq!(load(store, "bad").await.seq, 1);
}

/// Writes of one entity in one batch follow each other.
pub async fn one_batch_may_write_an_entity_several_times(store: &impl Store) {
    let epoch = acquired(store).await;
    let mut second = write("e", 1, &["b"]);
    second.snapshot = Some(bytes("after b"));
    commit(store, epoch, vec![write("e", 0, &["a"]), second, write("e", 2, &["c", "d"])]).await;
    let loaded = load(store, "e").await;
    assert_eq!((loaded.seq, loaded.snapshot), (4, Some((2, bytes("after b")))));
    assert_eq!(loaded.tail, numbered(3, &["c", "d"]));
    let refusal = refused(store, epoch, vec![write("e", 4, &["x"]), write("e", 4, &["y"])]).await;
    assert_eq!(refusal, CommitError::Conflict { entity: entity("e"), actual_seq: 5 });
    assert_eq!(load(store, "e").await.seq, 4);
}

/// Commits that are called one after the other, without waiting, are applied in that order; a
/// refused one among them leaves the others alone.
pub async fn commits_in_flight_keep_their_order(store: &impl Store) {
    let epoch = acquired(store).await;
    let mut under_way = Vec::new();
    for seq in 0..50 {
        let record = seq.to_string();
        under_way.push(store.commit(batch(epoch, vec![write("e", seq, &[&record])])));
        if seq == 25 {
            let refusal = store.commit(batch(epoch, vec![write("e", 3, &["late"])])).await;
            assert!(matches!(refusal, Err(CommitError::Conflict { .. })), "{refusal:?}");
        }
    }
    for commit in under_way {
        assert_eq!(commit.await, Ok(()));
    }
    let expected: Vec<_> = (0..50_u64).map(|seq| (seq + 1, bytes(&seq.to_string()))).collect();
    assert_eq!(load(store, "e").await.tail, expected);
}

/// A write need not append anything.
pub async fn a_write_without_records_keeps_the_seq(store: &impl Store) {
    let epoch = acquired(store).await;
    let mut state = write("e", 0, &[]);
    state.snapshot = Some(bytes("before any record"));
    commit(store, epoch, vec![state]).await;
    let loaded = load(store, "e").await;
    assert_eq!((loaded.seq, loaded.snapshot), (0, Some((0, bytes("before any record")))));
    commit(store, epoch, vec![write("e", 0, &["a"])]).await;
    let loaded = load(store, "e").await;
    assert_eq!((loaded.seq, loaded.tail), (1, numbered(1, &["a"])));
    commit(store, epoch, vec![]).await;
}

/// Values of 64 KiB, and empty ones, come back as they were.
pub async fn large_values_come_back(store: &impl Store) {
    let epoch = acquired(store).await;
    let large: Bytes = (0..64 * 1024_u32).map(|n| (n * 31 % 251) as u8).collect();
    let mut all = write("e", 0, &[""]);
    all.log.push(large.clone());
    all.snapshot = Some(large.clone());
    all.answers = vec![Answer { key: bytes("k"), at_ms: 1, value: large.clone() }];
    all.index = vec![IndexChange::Put { key: bytes("i"), value: large.clone() }, put(b"j", "")];
    commit(store, epoch, vec![all]).await;
    let loaded = load(store, "e").await;
    assert_eq!(loaded.snapshot, Some((2, large.clone())));
    assert_eq!(loaded.answers[0].value, large);
    let log = store.read_log(SHARD, entity("e"), crate::LogRange::After(0), 9).await;
    assert_eq!(log, Ok(vec![(1, Bytes::new()), (2, large.clone())]));
    let entries = store.scan(Bytes::new(), None, 9).await;
    assert_eq!(entries, Ok(vec![(bytes("i"), large), (bytes("j"), Bytes::new())]));
}

/// What is over a limit is refused, never a panic, and the longest names work.
pub async fn what_cannot_be_stored_is_refused(store: &impl Store) {
    let epoch = acquired(store).await;
    let long = |len: usize| "x".repeat(len);
    let mut wrong = vec![write("", 0, &["a"]), write(&long(limits::ENTITY_KEY_BYTES_MAX + 1), 0, &["a"])];
    for key in [String::new(), long(limits::ANSWER_KEY_BYTES_MAX + 1)] {
        wrong.push(Write { answers: vec![answer(&key, 1, "v")], ..write("e", 0, &["a"]) });
    }
    for key in [String::new(), long(limits::INDEX_KEY_BYTES_MAX + 1)] {
        wrong.push(Write { index: vec![put(key.as_bytes(), "v")], ..write("e", 0, &["a"]) });
    }
    wrong.push(Write { snapshot: Some(vec![0; limits::BATCH_BYTES_MAX].into()), ..write("e", 0, &["a"]) });
    wrong.push(write("e", u64::MAX, &["a"]));
    for write in wrong {
        let refusal = refused(store, epoch, vec![write]).await;
        assert!(matches!(refusal, CommitError::Unavailable(_)), "{refusal:?}");
    }
    assert_eq!(load(store, "e").await, Loaded::default());
    assert_eq!(load(store, &long(100_000)).await, Loaded::default());
    let name = long(limits::ENTITY_KEY_BYTES_MAX);
    let mut longest = write(&name, 0, &["a"]);
    longest.answers = vec![answer(&long(limits::ANSWER_KEY_BYTES_MAX), u64::MAX, "v")];
    longest.index = vec![put(long(limits::INDEX_KEY_BYTES_MAX).as_bytes(), "v")];
    commit(store, epoch, vec![longest.clone()]).await;
    assert_eq!(load(store, &name).await.answers, longest.answers);
    let after = Some(bytes(&long(100_000)));
    assert_eq!(store.scan(bytes("x"), after, 9).await, Ok(Vec::new()));
    assert_eq!(store.scan(bytes(&long(100_000)), None, 9).await, Ok(Vec::new()));
}

/// What was called before closing is confirmed, what is called afterwards is refused; closing twice
/// is no harm.
pub async fn a_closed_store_refuses(store: &impl Store) {
    let epoch = acquired(store).await;
    let before = store.commit(batch(epoch, vec![write("e", 0, &["a"])]));
    let (first, second) = (store.close(), store.close());
    first.await;
    second.await;
    assert_eq!(before.await, Ok(()));
    let refusal = refused(store, epoch, vec![write("e", 1, &["b"])]).await;
    assert!(matches!(refusal, CommitError::Unavailable(_)), "{refusal:?}");
    assert!(matches!(store.acquire(SHARD).await, Err(CommitError::Unavailable(_))));
    let refusal = store.load(SHARD, entity("e")).await;
    assert!(matches!(refusal, Err(crate::ReadError::Unavailable(_))), "{refusal:?}");
}
