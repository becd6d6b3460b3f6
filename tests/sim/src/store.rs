//! What a process has of the simulated Redis: a store and an exchange, as the real ones are to the engine.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use jono_store::{
    Batch, CommitError, Durability, EntityKey, Epoch, Exchange, ExchangeError, Loaded, LogRange, NodeId, Owner, Picture,
    Position, ReadError, ShardId, Store,
};

use crate::redis::{Line, Lost, Reply, Server};
use crate::timeline::SECOND;

/// The store of one process.
pub struct SimStore(pub Arc<Line>);

/// The exchange of one process.
pub struct SimExchange(pub Arc<Line>);

fn not_committed(lost: Lost) -> CommitError {
    match lost {
        Lost::Undone => CommitError::Unavailable("simulated".into()),
        Lost::Unknown => CommitError::Unknown("simulated".into()),
    }
}

fn not_read(_: Lost) -> ReadError {
    ReadError::Unavailable("simulated".into())
}

fn not_exchanged(lost: Lost) -> ExchangeError {
    match lost {
        Lost::Undone => ExchangeError::Unavailable("simulated".into()),
        Lost::Unknown => ExchangeError::Unknown("simulated".into()),
    }
}

/// Stores in memory answer at once.
fn now<T>(call: BoxFuture<'static, T>) -> T {
    call.now_or_never().expect("what is in memory does not wait")
}

impl Store for SimStore {
    fn acquire(&self, shard: ShardId) -> BoxFuture<'static, Result<Epoch, CommitError>> {
        self.0.call(
            |lost| Err(not_committed(lost)),
            move |server| {
                let epoch = now(server.records.acquire(shard))?;
                server.epochs.insert(shard, epoch);
                Ok(epoch)
            },
        )
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), CommitError>> {
        self.0.call(
            |lost| Err(not_committed(lost)),
            move |server| {
                let (shard, epoch) = (batch.shard, batch.epoch);
                now(server.records.commit(batch))?;
                let current = server.epochs.get(&shard).copied().unwrap_or(epoch);
                if epoch < current {
                    server.unfenced =
                        Some(format!("shard {} was written under epoch {}, and {} was given", shard.0, epoch.0, current.0));
                }
                Ok(())
            },
        )
    }

    fn load(&self, shard: ShardId, entity: EntityKey) -> BoxFuture<'static, Result<Loaded, ReadError>> {
        self.0.call(|lost| Err(not_read(lost)), move |server| now(server.records.load(shard, entity)))
    }

    fn load_live(
        &self,
        shard: ShardId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(EntityKey, Loaded)>, ReadError>> {
        self.0.call(|lost| Err(not_read(lost)), move |server| now(server.records.load_live(shard, after, limit)))
    }

    fn read_log(
        &self,
        shard: ShardId,
        entity: EntityKey,
        range: LogRange,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(u64, Bytes)>, ReadError>> {
        self.0.call(|lost| Err(not_read(lost)), move |server| now(server.records.read_log(shard, entity, range, limit)))
    }

    fn scan(
        &self,
        prefix: Bytes,
        after: Option<Bytes>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(Bytes, Bytes)>, ReadError>> {
        self.0.call(|lost| Err(not_read(lost)), move |server| now(server.records.scan(prefix, after, limit)))
    }

    fn forget_answers(&self, before_ms: u64, limit: usize) -> BoxFuture<'static, Result<usize, CommitError>> {
        self.0.call(|lost| Err(not_committed(lost)), move |server| now(server.records.forget_answers(before_ms, limit)))
    }

    /// Random ones are what the seed says, so that every run has the same.
    fn constant(&self, name: &'static str, default: Bytes) -> BoxFuture<'static, Result<Bytes, CommitError>> {
        self.0.call(
            |lost| Err(not_committed(lost)),
            move |server| {
                let default = if default.len() >= 8 { of_seed(server.secret, name, default.len()) } else { default };
                now(server.records.constant(name, default))
            },
        )
    }

    fn durability(&self) -> Durability {
        Durability::Disk
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        ready(()).boxed()
    }
}

fn of_seed(seed: u64, name: &str, bytes: usize) -> Bytes {
    let mut chance = fastrand::Rng::with_seed(name.bytes().fold(seed, |seed, byte| seed.wrapping_mul(31) + u64::from(byte)));
    std::iter::repeat_with(|| chance.u8(..)).take(bytes).collect()
}

impl Exchange for SimExchange {
    fn join(&self, card: Bytes) -> BoxFuture<'static, Result<NodeId, ExchangeError>> {
        self.0.call(|lost| Err(not_exchanged(lost)), move |server| now(server.exchange.join(card)))
    }

    fn beat(&self, node: NodeId, card: Bytes, known_owners: u64) -> BoxFuture<'static, Result<Picture, ExchangeError>> {
        self.0.call(|lost| Err(not_exchanged(lost)), move |server| now(server.exchange.beat(node, card, known_owners)))
    }

    fn look(&self) -> BoxFuture<'static, Result<Picture, ExchangeError>> {
        self.0.call(|lost| Err(not_exchanged(lost)), move |server| now(server.exchange.look()))
    }

    fn remove(&self, node: NodeId) -> BoxFuture<'static, Result<(), ExchangeError>> {
        self.0.call(
            |lost| Err(not_exchanged(lost)),
            move |server| {
                let removed = now(server.exchange.remove(node));
                server.arrived(node);
                removed
            },
        )
    }

    fn publish_owners(&self, owners: Vec<(ShardId, Owner)>) -> BoxFuture<'static, Result<(), ExchangeError>> {
        self.0.call(|lost| Err(not_exchanged(lost)), move |server| now(server.exchange.publish_owners(owners)))
    }

    fn send(&self, to: NodeId, parcels: Vec<Bytes>) -> BoxFuture<'static, Result<(), ExchangeError>> {
        self.0.call(
            |lost| Err(not_exchanged(lost)),
            move |server| {
                let sent = now(server.exchange.send(to, parcels));
                server.arrived(to);
                sent
            },
        )
    }

    fn receive(
        &self,
        node: NodeId,
        after: Position,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Vec<(Position, Bytes)>, ExchangeError>> {
        let patience = patience.as_micros() as u64;
        let timeline = Arc::clone(self.0.timeline());
        let lost = |lost| Err(not_exchanged(lost));
        let received = self.0.begin(lost, patience + SECOND, move |server, reply| look_or_wait(server, node, after, reply));
        async move {
            let (late, is_late) = tokio::sync::oneshot::channel();
            timeline.after(patience, move || {
                let _ = late.send(());
            });
            tokio::select! {
                biased;
                parcels = received => parcels,
                _ = is_late => Ok(Vec::new()),
            }
        }
        .boxed()
    }
}

type Parcels = Result<Vec<(Position, Bytes)>, ExchangeError>;

fn look_or_wait(server: &mut Server, node: NodeId, after: Position, reply: Reply<Parcels>) {
    match server.exchange.receive_now(node, after) {
        Ok(parcels) if parcels.is_empty() => {
            server.wait_for(node, Box::new(move |server| look_or_wait(server, node, after, reply)));
        }
        outcome => reply.send(server, outcome),
    }
}
