//! Values inside Redis change by lot: single bits, garbage, torn ends, bytes too many, another record's value. Each read gives what
//! was written, or says that it is damaged; no log is shorter than it was without a word.
//!
//! Two thousand damages each time; `STORE_DAMAGES=10000` tries more, `STORE_SEED` others.

use bytes::Bytes;
use fastrand::Rng;
use jono_store::{
    Answer, Batch, CommitError, Durability, EntityKey, Epoch, IndexChange, Loaded, LogRange, ReadError, RedisStore, Store, Write,
    contract,
};
use jono_test_redis::{RawConnection, RedisServer, Reply};

use crate::kit::{SHARD, connect};

const DAMAGES: usize = 2_000;
const ENTITIES: [&str; 3] = ["a", "aa", "b"];

/// Where a record is.
#[derive(Clone, Debug)]
enum Place {
    Field(String, Vec<u8>),
    Item(String, usize),
}

impl Place {
    fn set(&self, raw: &mut RawConnection, value: &[u8]) {
        let reply = match self {
            Self::Field(key, field) => raw.command(&[b"HSET", key.as_bytes(), field, value]),
            Self::Item(key, at) => raw.command(&[b"LSET", key.as_bytes(), at.to_string().as_bytes(), value]),
        };
        assert!(!matches!(reply, Reply::Error(_)), "{reply:?}");
    }

    fn holds_the_epoch(&self) -> bool {
        matches!(self, Self::Field(_, field) if field == b"epoch")
    }
}

/// Every record that there is, whatever the kind of its key.
fn records(raw: &mut RawConnection) -> Vec<(Place, Vec<u8>)> {
    let mut records = Vec::new();
    let mut keys: Vec<String> = raw.command(&["KEYS", "jono:*"]).list().into_iter().map(Reply::text).collect();
    keys.sort();
    for key in keys {
        match raw.command(&["TYPE", &key]).text().as_str() {
            "hash" if key.starts_with("jono:{s1}") || key.ends_with(":constants") => {
                let mut parts = raw.command(&["HGETALL", &key]).list().into_iter();
                while let (Some(field), Some(value)) = (parts.next(), parts.next()) {
                    let field = field.bytes();
                    // Who wrote last, and which commit: these are no records.
                    if ![&b"writer"[..], b"number", b"check"].contains(&&*field) {
                        records.push((Place::Field(key.clone(), field), value.bytes()));
                    }
                }
            }
            "list" => {
                let items = raw.command(&["LRANGE", &key, "0", "-1"]).list().into_iter().enumerate();
                records.extend(items.map(|(at, value)| (Place::Item(key.clone(), at), value.bytes())));
            }
            _ => {}
        }
    }
    records
}

/// Everything that can be read.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    entities: Vec<Result<Loaded, ReadError>>,
    logs: Vec<Result<Vec<(u64, Bytes)>, ReadError>>,
    live: Result<Vec<(EntityKey, Loaded)>, ReadError>,
    list: Result<Vec<(Bytes, Bytes)>, ReadError>,
    constant: Result<Bytes, CommitError>,
}

impl Held {
    async fn by(store: &RedisStore) -> Self {
        let (mut entities, mut logs) = (Vec::new(), Vec::new());
        for name in ENTITIES.map(contract::entity) {
            entities.push(store.load(SHARD, name.clone()).await);
            logs.push(store.read_log(SHARD, name, LogRange::After(0), 99).await);
        }
        let (live, list) = (store.load_live(SHARD, None, 9).await, store.scan(Bytes::new(), None, 99).await);
        Self { entities, logs, live, list, constant: store.constant("name", Bytes::from_static(b"another")).await }
    }

    /// Says how many reads were refused as damaged.
    fn assert_right_or_reported(&self, whole: &Self) -> usize {
        let mut reported = 0;
        let mut check = |is_right: bool, is_reported: bool| {
            assert!(is_right || is_reported, "{self:#?}");
            reported += usize::from(!is_right);
        };
        for (found, expected) in self.entities.iter().zip(&whole.entities) {
            check(found == expected, matches!(found, Err(ReadError::Corrupt(_))));
        }
        for (found, expected) in self.logs.iter().zip(&whole.logs) {
            check(found == expected, matches!(found, Err(ReadError::Corrupt(_))));
        }
        check(self.list == whole.list, matches!(self.list, Err(ReadError::Corrupt(_))));
        check(self.constant == whole.constant, matches!(self.constant, Err(CommitError::Unavailable(_))));
        // What is damaged is left out, and nothing else is.
        let whole_live = whole.live.iter().flatten().zip(ENTITIES.iter().filter(|name| **name != "b"));
        let loads = |name: &str| self.entities[ENTITIES.iter().position(|entity| *entity == name).unwrap()].is_ok();
        let expected: Vec<_> = whole_live.filter(|(_, name)| loads(name)).map(|(live, _)| live.clone()).collect();
        check(self.live == Ok(expected), false);
        reported
    }
}

/// Two live entities and one that is not, with everything that an entity can have.
async fn fill(store: &RedisStore, epoch: Epoch) {
    let text = |what: String| Bytes::from(what.repeat(5));
    for name in ENTITIES {
        for n in 0..4_u64 {
            let key = Bytes::from(format!("{name}/{n}"));
            let write = Write {
                snapshot: (n == 1).then(|| text(format!("state of {name} "))),
                live: (n == 0).then_some(name != "b"),
                answers: vec![Answer { key: key.clone(), at_ms: n, value: text(format!("answer {n} ")) }],
                index: vec![IndexChange::Put { key, value: text(format!("entry {n} ")) }],
                ..contract::write(name, 2 * n, &[&format!("one {n}"), &format!("two {n}")])
            };
            store.commit(Batch { shard: SHARD, epoch, writes: vec![write] }).await.unwrap();
        }
    }
    store.constant("name", Bytes::from_static(b"value")).await.unwrap();
}

fn damaged(value: &[u8], others: &[(Place, Vec<u8>)], dice: &mut Rng) -> (Vec<u8>, &'static str) {
    let mut changed = value.to_vec();
    let at = dice.usize(..changed.len());
    match dice.usize(..8) {
        0 => {
            let len = 1 + dice.usize(..(changed.len() - at));
            changed[at..at + len].iter_mut().for_each(|byte| *byte = dice.u8(..));
            (changed, "garbage")
        }
        1 => {
            changed.truncate(at);
            (changed, "torn")
        }
        2 => {
            changed.extend((0..1 + dice.usize(..20)).map(|_| dice.u8(..)));
            (changed, "longer")
        }
        3 => (others[dice.usize(..others.len())].1.clone(), "another's"),
        4 => {
            let other = dice.usize(..changed.len());
            changed.swap(at, other);
            (changed, "swapped bytes")
        }
        _ => {
            changed[at] ^= 1 << dice.usize(..8);
            (changed, "a bit")
        }
    }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |number| number.parse().expect("a number"))
}

#[test]
fn whatever_bytes_change_nothing_wrong_is_read() {
    let server = RedisServer::start(&[]);
    let mut raw = server.connection();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (store, _) = runtime.block_on(connect(server.url(), Durability::Memory));
    let epoch = runtime.block_on(store.acquire(SHARD)).unwrap();
    runtime.block_on(fill(&store, epoch));
    let whole = runtime.block_on(Held::by(&store));
    let all = records(&mut raw);
    let (mut reported, mut harmless) = (0, 0);
    let first = number("STORE_SEED", 1) as u64;
    for seed in first..first + number("STORE_DAMAGES", DAMAGES) as u64 {
        let mut dice = Rng::with_seed(seed);
        let (place, value) = &all[dice.usize(..all.len())];
        let (changed, what) = damaged(value, &all, &mut dice);
        place.set(&mut raw, &changed);
        let told = format!("STORE_DAMAGES=1 STORE_SEED={seed}: {what} in {place:?}");
        let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async {
                let mut found = Held::by(&store).await.assert_right_or_reported(&whole);
                if place.holds_the_epoch() && changed != *value {
                    let write = contract::write("a", 8, &["never"]);
                    let refusal = store.commit(Batch { shard: SHARD, epoch, writes: vec![write] }).await;
                    assert!(matches!(refusal, Err(CommitError::Unavailable(_))), "{refusal:?}");
                    found += 1;
                }
                found
            })
        }));
        let found = judged.unwrap_or_else(|panic| {
            eprintln!("{told}");
            std::panic::resume_unwind(panic)
        });
        assert!(changed == *value || found > 0, "nobody noticed: {told}");
        if found > 0 {
            reported += 1
        } else {
            harmless += 1
        }
        place.set(&mut raw, value);
    }
    assert_eq!(runtime.block_on(Held::by(&store)), whole);
    println!("{} records, {reported} damages reported, {harmless} changed nothing", all.len());
}
