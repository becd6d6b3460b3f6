//! Random commits, good and bad, on Redis and on the store in memory: both answer alike and hold alike.

use bytes::Bytes;
use jono_store::{
    Answer, Batch, CommitError, Durability, Epoch, IndexChange, LogRange, MemoryStore, RedisOptions, RedisStore, ShardId, Store,
    Write, contract,
};
use jono_test_redis::{RedisCluster, RedisServer};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::kit::{block_on, fresh};

const CASES: u32 = 16;
const STEPS: usize = 40;

#[derive(Clone, Debug)]
enum Step {
    /// Batches that are committed at once; the epoch is this much behind the current one.
    Commit(Vec<(u8, u64, Vec<Change>)>),
    Acquire(u8),
    Forget(u64, usize),
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
    ]
}

/// The names begin alike on purpose.
fn name(entity: u8) -> String {
    "e".repeat(1 + usize::from(entity))
}

fn write(change: &Change, shard: ShardId, expected_seq: u64, stamp: usize) -> Write {
    let text = |what: &str| Bytes::from(format!("{what} {stamp}"));
    // Shards have keys of their own: which of two comes last would be a matter of chance otherwise.
    let index = change.index.iter().map(|(key, put)| {
        let key = Bytes::copy_from_slice(&[b'i', 0xFF - key % 2, *key, shard.0 as u8]);
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
        let brought: usize = writes.iter().filter(|write| write.entity == entity).map(|write| write.log.len()).sum();
        writes.push(write(change, shard, stored + brought as u64 + change.off_by, stamp));
    }
    writes
}

async fn assert_same(store: &RedisStore, model: &MemoryStore) {
    for shard in (0..3).map(ShardId) {
        for entity in (0..6).map(|n| contract::entity(&name(n))) {
            assert_eq!(store.load(shard, entity.clone()).await, model.load(shard, entity.clone()).await);
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
        for limit in [1, 4, 99] {
            let entries = store.scan(Bytes::from_static(prefix), None, limit).await;
            assert_eq!(entries, model.scan(Bytes::from_static(prefix), None, limit).await);
        }
    }
}

async fn run(steps: Vec<Step>, store: RedisStore) {
    let model = MemoryStore::new();
    // Theirs and the model's are different numbers.
    let mut epochs = [(Epoch(0), Epoch(0)); 3];
    let mut before = epochs;
    let first = (0..3).flat_map(|shard| [Step::Acquire(shard), Step::Acquire(shard)]);
    for (stamp, step) in first.chain(steps).enumerate() {
        match step {
            Step::Commit(batches) => {
                let mut under_way = Vec::new();
                for (shard, behind, changes) in batches {
                    let id = ShardId(u16::from(shard));
                    let (theirs, ours) = if behind == 0 { epochs } else { before }[usize::from(shard)];
                    let writes = writes(&model, id, &changes, stamp).await;
                    let expected = model.commit(Batch { shard: id, epoch: ours, writes: writes.clone() }).await;
                    under_way.push((
                        store.commit(Batch { shard: id, epoch: theirs, writes }),
                        expected,
                        epochs[usize::from(shard)],
                    ));
                }
                for (commit, expected, (current, _)) in under_way {
                    let expected = match expected {
                        Err(CommitError::Fenced { .. }) => Err(CommitError::Fenced { current }),
                        other => other,
                    };
                    assert_eq!(commit.await, expected);
                }
            }
            Step::Acquire(shard) => {
                let id = ShardId(u16::from(shard));
                let acquired = (store.acquire(id).await.unwrap(), model.acquire(id).await.unwrap());
                before[usize::from(shard)] = std::mem::replace(&mut epochs[usize::from(shard)], acquired);
            }
            Step::Forget(before_ms, limit) => {
                // Of those of one moment any may go first, so only whole moments are compared.
                let gone = store.forget_answers(before_ms, limit.max(1) * 1000).await;
                assert_eq!(gone, model.forget_answers(before_ms, limit.max(1) * 1000).await);
            }
        }
    }
    assert_same(&store, &model).await;
}

fn behaves_like_the_model(options: &RedisOptions) {
    let config = Config { failure_persistence: None, ..Config::with_cases(CASES) };
    let outcome = TestRunner::new(config).run(&vec(step(), STEPS), |steps| {
        block_on(async { run(steps, RedisStore::connect(fresh(options.clone())).await.unwrap().0).await });
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn one_server_behaves_like_the_model() {
    let server = RedisServer::start(&[]);
    behaves_like_the_model(&RedisOptions::new(server.url()).with_durability(Durability::Memory));
}

#[test]
fn a_cluster_behaves_like_the_model() {
    let cluster = RedisCluster::start(3, 0, &[]);
    behaves_like_the_model(&RedisOptions { urls: cluster.urls(), ..RedisOptions::new("").with_durability(Durability::Memory) });
}
