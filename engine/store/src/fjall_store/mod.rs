//! The embedded store: fjall in a directory, with threads of its own, since its calls block.
//!
//! Here is the handle: it checks, queues and waits, and never touches the disk. In reading order:
//! [`service`] (in service, out of it, and in again), [`open`] (directory, format, start check),
//! [`journals`] (what opening makes sure of first), [`tables`] (fjall), [`keys`] and [`payloads`]
//! (the bytes of a record), [`threads`] (the threads and their queues), [`writer`] (the thread that
//! commits), [`group`] (what is committed together), [`heads`] (what the writer remembers),
//! [`forgetting`] (old answers), [`reader`] (what the reader threads do), [`sweep`] (entities brought
//! together) with [`cursor`] (a place in a table), [`damage`] (the quarantine).

mod cursor;
mod damage;
mod forgetting;
mod group;
mod heads;
mod journals;
mod keys;
mod open;
mod payloads;
mod reader;
mod service;
mod sweep;
mod tables;
mod threads;
mod writer;

use std::path::Path;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::oneshot;

pub use open::OpenError;

use crate::{Batch, CommitError, Durability, EntityKey, Epoch, Loaded, LogRange, ReadError, ShardId, Store, limits};
use reader::Reader;
use service::Service;
use writer::Command;

/// Records in a directory of this machine.
///
/// What an acknowledged commit survives, by [`Durability`]:
///
/// | | killed process | power cut |
/// |---|---|---|
/// | `Disk` | yes | yes |
/// | `Second` | yes: it has reached the operating system | but for the last second |
/// | `Memory` | yes, likewise | no |
///
/// At every level what is found again is a prefix of what was committed, batches whole. At `Second`
/// a new epoch and a new constant are synced at once.
///
/// A commit is under way when [`commit`](Store::commit) returns: dropping its future only means not
/// to hear of it.
///
/// # When the disk fails
///
/// A write or a sync that fails leaves the commits of its group [`CommitError::Unknown`] and puts the
/// store out of service: commits answer [`CommitError::Unavailable`], reads
/// [`ReadError::Unavailable`]. It then opens its directory again by itself, after 1 s and from then
/// on with pauses of up to 30 s, until the disk has room and syncs, everything acknowledged is found
/// again, and what the kernel showed of a failed sync is on the disk. Then service resumes: epochs go
/// on, so nobody acquires anything anew, and a commit that was `Unknown` is now either there or not
/// for good. Meanwhile the directory stays locked; [`close`](Store::close) ends the attempts.
///
/// After a failed sync the kernel may go on showing bytes that are not on the disk. So a directory
/// that was not closed in order, by this process or another, has its journals written and synced once
/// more before anything is served from them.
///
/// Dropping the store waits for its threads, as `close` does, but blocks meanwhile.
#[derive(Debug)]
pub struct FjallStore {
    service: Service,
    durability: Durability,
}

impl FjallStore {
    /// Opens the directory, creating it if need be. Blocks: for as long as fjall reads its journals
    /// (some 200 MiB at most, more when commits come faster than tables are written out), and the
    /// start check reads the live entities. After an end that was not an orderly close, the journals
    /// are also written once more: see `When the disk fails`.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open(dir: &Path, durability: Durability) -> Result<Self, OpenError> {
        match durability {
            Durability::Replica => Err(OpenError::NoReplica),
            Durability::Memory | Durability::Second | Durability::Disk => {
                Ok(Self { service: Service::start(dir, durability)?, durability })
            }
        }
    }

    /// Entities whose records do not read, as the last opening's check and later reads found out.
    /// Loading one answers [`ReadError::Corrupt`]; [`load_live`](Store::load_live) leaves it out.
    #[must_use]
    pub fn damaged(&self) -> Vec<EntityKey> {
        self.service.damage().list()
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(Reader<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, ReadError>> {
        let (answer, outcome) = oneshot::channel();
        let job = Box::new(move |reader: Reader<'_>| {
            // Nobody may be waiting any more.
            let _ = answer.send(read(reader));
        });
        match self.service.send_read(job) {
            // The job is dropped unanswered when reading panics, which fjall may do on damaged files.
            Ok(()) => async move { outcome.await.unwrap_or_else(|_| Err(ReadError::Corrupt("reading panicked".into()))) }.boxed(),
            Err(why) => ready(Err(ReadError::Unavailable(why))).boxed(),
        }
    }

    fn write<T: Send + 'static>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, CommitError>>) -> Command,
    ) -> BoxFuture<'static, Result<T, CommitError>> {
        let (answer, outcome) = oneshot::channel();
        match self.service.send_command(command(answer)) {
            Ok(()) => {
                async move { outcome.await.unwrap_or_else(|_| Err(CommitError::Unknown("the writer is gone".into()))) }.boxed()
            }
            Err(why) => ready(Err(CommitError::Unavailable(why))).boxed(),
        }
    }
}

impl Store for FjallStore {
    fn acquire(&self, shard: ShardId) -> BoxFuture<'static, Result<Epoch, CommitError>> {
        self.write(|answer| Command::Acquire { shard, answer })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), CommitError>> {
        if let Err(refusal) = limits::check(&batch) {
            return ready(Err(refusal)).boxed();
        }
        let bytes = limits::batch_bytes(&batch);
        self.write(|answer| Command::Commit { batch, bytes, answer })
    }

    fn load(&self, shard: ShardId, entity: EntityKey) -> BoxFuture<'static, Result<Loaded, ReadError>> {
        self.read(move |reader| reader.load(shard, &entity))
    }

    fn load_live(
        &self,
        shard: ShardId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(EntityKey, Loaded)>, ReadError>> {
        let limit = limit.min(limits::PAGE_MAX);
        self.read(move |reader| reader.load_live(shard, after.as_ref(), limit))
    }

    fn read_log(
        &self,
        shard: ShardId,
        entity: EntityKey,
        range: LogRange,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(u64, Bytes)>, ReadError>> {
        let limit = limit.min(limits::PAGE_MAX);
        self.read(move |reader| reader.read_log(shard, &entity, range, limit))
    }

    fn scan(
        &self,
        prefix: Bytes,
        after: Option<Bytes>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(Bytes, Bytes)>, ReadError>> {
        let limit = limit.min(limits::PAGE_MAX);
        self.read(move |reader| reader.scan(&prefix, after.as_deref(), limit))
    }

    fn forget_answers(&self, before_ms: u64, limit: usize) -> BoxFuture<'static, Result<usize, CommitError>> {
        let limit = limit.min(limits::PAGE_MAX);
        self.write(|answer| Command::Forget { before_ms, limit, answer })
    }

    fn constant(&self, name: &'static str, default: Bytes) -> BoxFuture<'static, Result<Bytes, CommitError>> {
        self.write(|answer| Command::Constant { name, default, answer })
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.service.close()
    }
}
