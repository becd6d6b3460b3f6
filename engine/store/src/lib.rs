//! Durable records for the engine: what a store must promise, and the stores that do.
//!
//! A store knows bytes, sequence numbers and shards. It does not know what a conversation is: the
//! engine encodes and decodes. Every store passes the same [`contract`] suite.
//!
//! One *entity* (a conversation, a queue, an agent, ...) has
//! * a **log**: records numbered 1, 2, 3, ... without a hole,
//! * a **snapshot**: the entity's state after some record, so that loading reads little,
//! * **answers**: what was answered to requests that carried a key, kept for a day,
//! * **index** entries: ordered keys that lists are read from,
//! * a **live** mark: entities that must come back at start because they have deadlines.
//!
//! All of an entity's changes of one step are one [`Write`]; it is applied wholly or not at all.
//!
//! Nothing of one shard can be seen or changed through another, but for lists and constants, which
//! are the whole store's. How long keys may be, and how large a batch: [`limits`].

use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub mod contract;
mod exchange;
mod fjall_store;
pub mod limits;
mod memory;
mod memory_exchange;
mod record;
mod redis_store;

pub use exchange::{Exchange, ExchangeError, Member, NodeId, Owner, Picture, Position};
pub use fjall_store::{FjallStore, OpenError};
pub use memory::{CommitFault, Faults, MemoryStore};
pub use memory_exchange::{ExchangeFaults, MemoryExchange};
pub use redis_store::{ConnectError, Finding, RedisExchange, RedisOptions, RedisStats, RedisStore, Verdict, examine};

/// A logical shard. Entities hash to shards; a shard has one writer at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// The number of a shard's ownership; grows with every owner. A commit under an old epoch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The name of an entity inside the store: a kind byte and an id, chosen by the engine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityKey(pub Bytes);

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Nothing is synced: a crash of the machine, or of the process, may lose it.
    Memory,
    /// Synced every second: survives the process, not the last second before a power cut.
    Second,
    /// Synced before the acknowledgement: survives a power cut.
    Disk,
    /// On a second machine before the acknowledgement: survives the loss of one with its disk.
    Replica,
}

/// Everything that one entity changes in one step.
#[derive(Clone, Debug)]
pub struct Write {
    /// Whose records these are.
    pub entity: EntityKey,
    /// The number of the entity's last log record before this write; 0 for a new entity.
    /// A store that has another number refuses with [`CommitError::Conflict`].
    pub expected_seq: u64,
    /// Appended to the log as `expected_seq + 1`, `+ 2`, ...
    pub log: Vec<Bytes>,
    /// The state after this write's last record; `None` when the log alone brings it back.
    pub snapshot: Option<Bytes>,
    /// Sets or clears the mark that brings the entity back at start; `None` leaves it.
    pub live: Option<bool>,
    /// Answers to requests that carried a key.
    pub answers: Vec<Answer>,
    /// Changes of ordered lists.
    pub index: Vec<IndexChange>,
}

/// The remembered answer of one request, found again by its key within the entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Author and request key, as the engine combines them (at most 64 bytes).
    pub key: Bytes,
    /// When it was given, in milliseconds since 1970; [`Store::forget_answers`] goes by it.
    pub at_ms: u64,
    /// The encoded answer.
    pub value: Bytes,
}

/// One change of an ordered list. Keys are global over all shards of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexChange {
    /// Sets the entry.
    Put {
        /// Ordered bytewise.
        key: Bytes,
        /// Opaque.
        value: Bytes,
    },
    /// Removes the entry, if it is there.
    Delete {
        /// Ordered bytewise.
        key: Bytes,
    },
}

/// The writes of one shard that are committed together: all or nothing.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The shard all these entities hash to.
    pub shard: ShardId,
    /// The epoch under which the writer owns the shard.
    pub epoch: Epoch,
    /// In order; one entity may appear several times.
    pub writes: Vec<Write>,
}

/// An entity as it was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The number of the last log record, 0 if there is none.
    pub seq: u64,
    /// The newest snapshot and the number of the log record it includes.
    pub snapshot: Option<(u64, Bytes)>,
    /// The log records after the snapshot, in order (number, bytes).
    pub tail: Vec<(u64, Bytes)>,
    /// Every remembered answer.
    pub answers: Vec<Answer>,
}

/// Which log records to read; at most `limit`, in ascending order of number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogRange {
    /// The first `limit` records after this number.
    After(u64),
    /// The last `limit` records before this number.
    Before(u64),
}

/// Why a commit did not happen, or may not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitError {
    /// Somebody else owns the shard now. Nothing was applied, and nothing ever will be under this epoch.
    Fenced {
        /// The epoch that the store knows.
        current: Epoch,
    },
    /// An entity's log does not end where the writer thought. Nothing was applied.
    Conflict {
        /// Whose.
        entity: EntityKey,
        /// Where it ends.
        actual_seq: u64,
    },
    /// Nothing was applied; trying again later may work.
    Unavailable(String),
    /// It may have been applied or not: the writer must load again what it wanted to change.
    Unknown(String),
}

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// Trying again later may work.
    Unavailable(String),
    /// A record is torn, or its checksum does not match: it is never delivered.
    Corrupt(String),
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fenced { current } => write!(f, "fenced: the shard is at epoch {}", current.0),
            Self::Conflict { actual_seq, .. } => {
                write!(f, "conflict: the log ends at {actual_seq}")
            }
            Self::Unavailable(why) => write!(f, "unavailable: {why}"),
            Self::Unknown(why) => write!(f, "unknown outcome: {why}"),
        }
    }
}

impl std::error::Error for CommitError {}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "unavailable: {why}"),
            Self::Corrupt(what) => write!(f, "corrupt: {what}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// What the engine needs of a store. Calls return at once; the work is done elsewhere.
///
/// A store whose disk fails answers [`CommitError::Unavailable`] and [`ReadError::Unavailable`] until
/// the disk works again, and then goes on by itself, under the same epochs.
pub trait Store: Send + Sync + 'static {
    /// Makes the caller the owner of a shard: the answer is larger than every epoch before it.
    /// Afterwards commits under older epochs are refused for ever. Before the first time, nobody can
    /// commit: that is [`CommitError::Fenced`] with epoch 0.
    fn acquire(&self, shard: ShardId) -> BoxFuture<'static, Result<Epoch, CommitError>>;

    /// Applies a batch. When this resolves with `Ok`, the batch is as durable as the store's
    /// [`Durability`] says. Commits of one shard are applied in the order of the calls; a refused one
    /// leaves the others alone. The commit is under way when the call returns: to drop the future is
    /// only not to hear of it. A batch over one of the [`limits`], or with an empty key, is
    /// [`CommitError::Unavailable`].
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), CommitError>>;

    /// Reads one entity; an unknown one is [`Loaded::default`].
    fn load(&self, shard: ShardId, entity: EntityKey) -> BoxFuture<'static, Result<Loaded, ReadError>>;

    /// Reads live entities of a shard in key order, after `after`, at most `limit`. Damaged ones are
    /// left out, so that they do not keep their shard from starting; only an empty page (of a limit
    /// above 0) is the end.
    #[allow(clippy::type_complexity)]
    fn load_live(
        &self,
        shard: ShardId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(EntityKey, Loaded)>, ReadError>>;

    /// Reads a part of an entity's log. Like all reads, it sees every commit that was confirmed
    /// before the call, and at most [`limits::PAGE_MAX`] records.
    #[allow(clippy::type_complexity)]
    fn read_log(
        &self,
        shard: ShardId,
        entity: EntityKey,
        range: LogRange,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(u64, Bytes)>, ReadError>>;

    /// Reads index entries whose key starts with `prefix`, in key order, after `after`, at most `limit`.
    #[allow(clippy::type_complexity)]
    fn scan(
        &self,
        prefix: Bytes,
        after: Option<Bytes>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<(Bytes, Bytes)>, ReadError>>;

    /// Removes answers given before this moment, the oldest first, at most `limit`; says how many
    /// went. An answer that was given again counts from the later moment.
    fn forget_answers(&self, before_ms: u64, limit: usize) -> BoxFuture<'static, Result<usize, CommitError>>;

    /// A value kept with the data under a name: the stored one, or `default`, which then is stored.
    fn constant(&self, name: &'static str, default: Bytes) -> BoxFuture<'static, Result<Bytes, CommitError>>;

    /// What an acknowledged commit survives.
    fn durability(&self) -> Durability;

    /// Confirms everything that was committed, synced, and refuses what comes later. When it
    /// resolves, the store can be opened anew.
    fn close(&self) -> BoxFuture<'static, ()>;
}
