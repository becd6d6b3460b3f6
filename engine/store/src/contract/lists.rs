//! Promises about answers, ordered lists and constants.

use bytes::Bytes;

use super::*;

/// Answers come back with their entity until they are forgotten, the oldest first.
pub async fn answers_are_kept_and_forgotten(store: &impl Store) {
    let epoch = acquired(store).await;
    for (name, first_ms) in [("a", 1000), ("b", 1001)] {
        let answers = (0..3).map(|n| answer(&format!("k{n}"), first_ms + 10 * n, name)).collect();
        commit(store, epoch, vec![Write { answers, ..write(name, 0, &["r"]) }]).await;
    }
    let kept = async |name| {
        let loaded = load(store, name).await;
        assert!(loaded.answers.iter().all(|answer| answer.value == bytes(name)));
        loaded.answers.iter().map(|answer| answer.at_ms).collect::<Vec<_>>()
    };
    assert_eq!(kept("a").await, [1000, 1010, 1020]);
    assert_eq!(store.forget_answers(1000, 9).await, Ok(0));
    assert_eq!(store.forget_answers(1011, 0).await, Ok(0));
    assert_eq!(store.forget_answers(1011, 2).await, Ok(2));
    assert_eq!((kept("a").await, kept("b").await), (vec![1010, 1020], vec![1011, 1021]));
    assert_eq!(store.forget_answers(1012, 9).await, Ok(2));
    assert_eq!((kept("a").await, kept("b").await), (vec![1020], vec![1021]));
    assert_eq!(store.forget_answers(u64::MAX, 9).await, Ok(2));
    assert_eq!(store.forget_answers(u64::MAX, 9).await, Ok(0));
    assert_eq!((kept("a").await, kept("b").await), (vec![], vec![]));
    assert_eq!(load(store, "a").await.seq, 1, "the log is not touched");
}

/// One key has one answer: a later one counts from its own moment.
pub async fn a_repeated_answer_replaces_the_old_one(store: &impl Store) {
    let epoch = acquired(store).await;
    let give = async |answers: Vec<Answer>| {
        commit(store, epoch, vec![Write { answers, ..write("e", 0, &[]) }]).await;
    };
    give(vec![answer("k", 1000, "old"), answer("k", 2000, "new")]).await;
    assert_eq!(load(store, "e").await.answers, [answer("k", 2000, "new")]);
    assert_eq!(store.forget_answers(1500, 9).await, Ok(0));
    assert_eq!(load(store, "e").await.answers, [answer("k", 2000, "new")]);
    give(vec![answer("k", 3000, "newer")]).await;
    assert_eq!(store.forget_answers(2500, 9).await, Ok(0));
    assert_eq!(store.forget_answers(3001, 9).await, Ok(1));
    assert_eq!(load(store, "e").await.answers, []);
    // Clocks go back: what was given at another moment before neither counts nor uses up the limit.
    give(vec![answer("k", 5000, "ahead")]).await;
    give(vec![answer("k", 4000, "back")]).await;
    assert_eq!(store.forget_answers(4001, 9).await, Ok(1));
    give(vec![answer("l", 6000, "next")]).await;
    assert_eq!(store.forget_answers(7000, 1).await, Ok(1));
    assert_eq!(load(store, "e").await.answers, []);
}

/// Lists are ordered bytewise, read page by page, and end with their prefix.
pub async fn lists_are_scanned_in_order(store: &impl Store) {
    let epoch = acquired(store).await;
    let keys = ["l/a", "l/aa", "l/b", "l/b\0", "l/c", "m/a"];
    let changes = keys.iter().rev().map(|key| put(key.as_bytes(), key)).collect();
    commit(store, epoch, vec![Write { index: changes, ..write("e", 0, &[]) }]).await;
    let scan = async |prefix: &str, after: Option<&str>, limit| {
        let found = store.scan(bytes(prefix), after.map(bytes), limit).await.expect("readable");
        assert!(found.iter().all(|(key, value)| key == value));
        found.into_iter().map(|(key, _)| String::from_utf8_lossy(&key).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(scan("l/", None, 9).await, keys[..5]);
    assert_eq!(scan("l/", None, 2).await, keys[..2]);
    assert_eq!(scan("l/", Some("l/aa"), 2).await, keys[2..4]);
    assert_eq!(scan("l/", Some("l/b"), 9).await, keys[3..5]);
    assert_eq!(scan("l/", Some("l/aaa"), 1).await, ["l/b"], "after a key that is not there");
    assert_eq!(scan("l/", Some("a"), 1).await, ["l/a"], "after a key before the prefix");
    assert_eq!(scan("l/", Some("l/"), 1).await, ["l/a"], "after the prefix itself");
    assert_eq!(scan("l/", Some("l/c"), 9).await, [""; 0]);
    assert_eq!(scan("l/", Some("z"), 9).await, [""; 0], "after a key behind the prefix");
    assert_eq!(scan("l/b", None, 9).await, keys[2..4]);
    assert_eq!(scan("", None, 9).await, keys);
    assert_eq!(scan("n/", None, 9).await, [""; 0]);
    assert_eq!(scan("l/", None, 0).await, [""; 0]);
}

/// Of several changes of one entry the last one counts, within a write, a batch and over batches.
pub async fn the_last_change_of_an_entry_counts(store: &impl Store) {
    let epoch = acquired(store).await;
    let change = |index| Write { index, ..write("e", 0, &[]) };
    let check = async |expected: &[(&str, &str)]| {
        let expected = expected.iter().map(|(key, value)| (bytes(key), bytes(value))).collect();
        assert_eq!(store.scan(Bytes::new(), None, 9).await, Ok(expected));
    };
    commit(store, epoch, vec![change(vec![put(b"a", "1"), put(b"a", "2"), delete(b"never")])]).await;
    check(&[("a", "2")]).await;
    commit(store, epoch, vec![change(vec![put(b"a", "3"), delete(b"a"), put(b"b", "1")])]).await;
    check(&[("b", "1")]).await;
    commit(store, epoch, vec![change(vec![delete(b"b")]), change(vec![put(b"b", "2")])]).await;
    check(&[("b", "2")]).await;
    // In flight together, and so perhaps in one group.
    let writes = [vec![put(b"c", "1")], vec![delete(b"c"), delete(b"b")], vec![put(b"d", "1")]];
    let under_way = writes.map(|index| store.commit(batch(epoch, vec![change(index)])));
    for commit in under_way {
        assert_eq!(commit.await, Ok(()));
    }
    check(&[("d", "1")]).await;
}

/// Prefixes of bytes that have no successor.
pub async fn prefixes_end_where_they_should(store: &impl Store) {
    let epoch = acquired(store).await;
    let keys: [&[u8]; 6] = [b"\x00", b"a\xFE\xFF", b"a\xFF", b"a\xFF\xFF", b"b", b"\xFF\xFF\xFF"];
    let changes = keys.iter().map(|key| put(key, "v")).collect();
    commit(store, epoch, vec![Write { index: changes, ..write("e", 0, &[]) }]).await;
    let check = async |prefix: &'static [u8], expected: &[&[u8]]| {
        let found = store.scan(Bytes::from_static(prefix), None, 9).await.expect("readable");
        assert_eq!(found.iter().map(|(key, _)| &**key).collect::<Vec<_>>(), expected);
    };
    check(b"a\xFF", &keys[2..4]).await;
    check(b"a", &keys[1..4]).await;
    check(b"\xFF", &keys[5..]).await;
    check(b"\xFF\xFF\xFF", &keys[5..]).await;
    check(b"\xFF\xFF\xFF\xFF", &[]).await;
    check(b"\x00", &keys[..1]).await;
}

/// Of several that ask for a constant at once, all get the same value, for ever.
pub async fn a_constant_is_set_once(store: &impl Store) {
    let asked: Vec<_> = (0..8).map(|n| store.constant("shards", bytes(&n.to_string()))).collect();
    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.await.expect("constants can be set"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(store.constant("shards", bytes("other")).await, Ok(answers[0].clone()));
    assert_eq!(store.constant("seed", bytes("other")).await, Ok(bytes("other")));
    // The name of another thing's record is free too.
    assert_eq!(store.constant("f", bytes("x")).await, Ok(bytes("x")));
}
