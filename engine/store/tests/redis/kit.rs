//! What these tests share.

use std::cell::Cell;

use jono_store::{
    Batch, CommitError, Durability, Epoch, RedisExchange, RedisOptions, RedisStore, ShardId, Store, Write, contract,
};
use jono_test_redis::RedisServer;

/// The shard that most tests use.
pub const SHARD: ShardId = ShardId(1);

/// Configuration that gives [`Durability::Disk`].
pub const DISK: &[&str] = &["appendonly yes", "appendfsync always"];

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A store of the level on this server.
pub async fn connect(url: impl Into<String>, durability: Durability) -> (RedisStore, RedisExchange) {
    RedisStore::connect(RedisOptions::new(url).with_durability(durability)).await.unwrap()
}

/// A new prefix each time: an empty store on a server that is used already.
pub fn fresh(options: RedisOptions) -> RedisOptions {
    thread_local!(static COUNT: Cell<u32> = const { Cell::new(0) });
    let count = COUNT.replace(COUNT.get() + 1);
    RedisOptions { prefix: format!("p{count}"), ..options }
}

pub async fn commit(store: &RedisStore, epoch: Epoch, writes: Vec<Write>) -> Result<(), CommitError> {
    store.commit(Batch { shard: SHARD, epoch, writes }).await
}

/// Writes record `seq` of entity `e`.
pub async fn append(store: &RedisStore, epoch: Epoch, seq: u64) -> Result<(), CommitError> {
    commit(store, epoch, vec![contract::write("e", seq - 1, &[&seq.to_string()])]).await
}

pub async fn seq(store: &RedisStore) -> u64 {
    store.load(SHARD, contract::entity("e")).await.unwrap().seq
}

/// Repeats what may fail for a while until it does not.
///
/// # Panics
/// When it fails for a minute.
pub async fn eventually<T, E: std::fmt::Debug>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T, E>) -> T {
    let start = std::time::Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(start.elapsed().as_secs() < 60, "{what}: {error:?}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A server at level `disk`, a store on it, and the epoch of [`SHARD`].
pub async fn started() -> (RedisServer, RedisStore, Epoch) {
    let server = RedisServer::start(DISK);
    let (store, _) = connect(server.url(), Durability::Disk).await;
    let epoch = store.acquire(SHARD).await.unwrap();
    (server, store, epoch)
}
