//! Random commits, good and bad, on the embedded store and on the one in memory: both answer alike
//! and hold alike, also when the directory is opened anew in between.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bytes::Bytes;
use jono_store::{
    Answer, Batch, Durability, Epoch, FjallStore, IndexChange, LogRange, MemoryStore, ShardId, Store, Write, contract,
};
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

/// Directories are opened for each case, so there are few cases, and long ones.
const CASES: u32 = 24;
const STEPS: usize = 60;

#[derive(Clone, Debug)]
enum Step {
    /// Batches that are committed at once; the epoch is this much behind the current one.
    Commit(Vec<(u8, u64, Vec<Change>)>),
    Acquire(u8),
    Forget(u64, usize),
    Reopen,
}

#[derive(Clone, Debug)]
struct Change {
    entity: u8,
    /// What is added to the right expected number.
    off_by: u64,
    records: u8,
    snapshot: bool,
    live: Option<bool>,
    answer: Option<(u8, u64)>,
    index: Vec<(u8, bool)>,
}

fn change() -> impl Strategy<Value = Change> {
    let off_by = prop_oneof![20 => Just(0_u64), 1 => 1..3_u64];
    let answer = proptest::option::of((0..3_u8, 0..50_u64));
    let rest = (any::<Option<bool>>(), answer, vec((0..6_u8, any::<bool>()), 0..4));
    (0..6_u8, off_by, 0..4_u8, any::<bool>(), rest).prop_map(|(entity, off_by, records, snapshot, (live, answer, index))| {
        Change { entity, off_by, records, snapshot, live, answer, index }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let behind = prop_oneof![15 => Just(0_u64), 1 => Just(1_u64)];
    let batch = (0..3_u8, behind, vec(change(), 0..5));
    prop_oneof![
        12 => vec(batch, 1..6).prop_map(Step::Commit),
        1 => (0..3_u8).prop_map(Step::Acquire),
        1 => (0..50_u64, 0..5_usize).prop_map(|(before, limit)| Step::Forget(before, limit)),
        1 => Just(Step::Reopen),
    ]
}

/// The names begin alike on purpose.
fn name(entity: u8) -> String {
    "e".repeat(1 + usize::from(entity))
}

fn write(change: &Change, expected_seq: u64, stamp: usize) -> Write {
    let text = |what: &str| Bytes::from(format!("{what} {stamp}"));
    let index = change.index.iter().map(|(key, put)| {
        let key = Bytes::copy_from_slice(&[b'i', 0xFF - key % 2, *key]);
        if *put { IndexChange::Put { key, value: text("entry") } } else { IndexChange::Delete { key } }
    });
    let answer = |(key, at_ms)| Answer { key: Bytes::from(vec![key]), at_ms, value: text("answer") };
    Write {
        log: (0..change.records).map(|n| text(&format!("record {n}"))).collect(),
        snapshot: change.snapshot.then(|| text("state")),
        live: change.live,
        answers: change.answer.map(answer).into_iter().collect(),
        index: index.collect(),
        ..contract::write(&name(change.entity), expected_seq, &[])
    }
}

/// The writes of a batch, each after what the model has and the batch brings, but for `off_by`.
async fn writes(model: &MemoryStore, shard: ShardId, changes: &[Change], stamp: usize) -> Vec<Write> {
    let mut writes: Vec<Write> = Vec::new();
    for change in changes {
        let entity = contract::entity(&name(change.entity));
        let stored = model.load(shard, entity.clone()).await.unwrap().seq;
        let brought = writes.iter().filter(|write| write.entity == entity);
        let brought: usize = brought.map(|write| write.log.len()).sum();
        writes.push(write(change, stored + brought as u64 + change.off_by, stamp));
    }
    writes
}

async fn assert_same(store: &FjallStore, model: &MemoryStore) {
    for shard in (0..3).map(ShardId) {
        for entity in (0..6).map(|n| contract::entity(&name(n))) {
            let loaded = store.load(shard, entity.clone()).await;
            assert_eq!(loaded, model.load(shard, entity.clone()).await);
            for (range, limit) in [(LogRange::After(0), 99), (LogRange::After(2), 3), (LogRange::Before(5), 2)] {
                let log = store.read_log(shard, entity.clone(), range, limit).await;
                assert_eq!(log, model.read_log(shard, entity.clone(), range, limit).await);
            }
        }
        for after in [None, Some(contract::entity("eee"))] {
            let live = store.load_live(shard, after.clone(), 3).await;
            assert_eq!(live, model.load_live(shard, after, 3).await);
        }
    }
    for prefix in [&b""[..], b"i\xFF", b"i\xFE"] {
        let entries = store.scan(Bytes::from_static(prefix), None, 4).await;
        assert_eq!(entries, model.scan(Bytes::from_static(prefix), None, 4).await);
    }
}

async fn run(steps: Vec<Step>, durability: Durability) {
    let dir = TempDir::new().unwrap();
    let mut store = FjallStore::open(dir.path(), durability).unwrap();
    let model = MemoryStore::new();
    let mut epochs = [0_u64; 3];
    for (stamp, step) in steps.into_iter().enumerate() {
        match step {
            Step::Commit(batches) => {
                // All at once, so that they share groups.
                let mut under_way = Vec::new();
                for (shard, behind, changes) in batches {
                    let id = ShardId(u16::from(shard));
                    let epoch = Epoch(epochs[usize::from(shard)].saturating_sub(behind));
                    let writes = writes(&model, id, &changes, stamp).await;
                    let batch = Batch { shard: id, epoch, writes };
                    let expected = model.commit(batch.clone()).await;
                    under_way.push((store.commit(batch), expected));
                }
                for (commit, expected) in under_way {
                    assert_eq!(commit.await, expected);
                }
            }
            Step::Acquire(shard) => {
                let epoch = model.acquire(ShardId(u16::from(shard))).await.unwrap();
                assert_eq!(store.acquire(ShardId(u16::from(shard))).await, Ok(epoch));
                epochs[usize::from(shard)] = epoch.0;
            }
            Step::Forget(before_ms, limit) => {
                let gone = store.forget_answers(before_ms, limit).await;
                assert_eq!(gone, model.forget_answers(before_ms, limit).await);
            }
            Step::Reopen => {
                store.close().await;
                store = FjallStore::open(dir.path(), durability).unwrap();
                assert_eq!(store.damaged(), []);
            }
        }
    }
    assert_same(&store, &model).await;
    drop(store);
    assert_same(&FjallStore::open(dir.path(), durability).unwrap(), &model).await;
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn behaves_like_the_model(steps in vec(step(), STEPS - 1..=STEPS)) {
        let durability = if steps.len() % 2 == 0 { Durability::Second } else { Durability::Disk };
        let steps = (0..3).map(Step::Acquire).chain(steps).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps, durability));
    }
}
