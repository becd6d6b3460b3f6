//! What the processes of one system share besides records: who is there, who owns which shard, and a
//! box for each process that the others put parcels into.
//!
//! It does not know what a parcel means, nor who should own what. Every exchange passes the same
//! contract suite.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::{Epoch, ShardId};

/// A process of the system, from its start to its end. A number is never given twice, and never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// A process that has joined and has not been removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub node: NodeId,
    /// How often it has beaten. Others watch it grow on clocks of their own; no clock is compared with another.
    pub beat: u64,
    /// What it says of itself: opaque here.
    pub card: Bytes,
}

/// Who owns a shard, as its owner has published it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `None`: it was given back, and nobody has taken it yet.
    pub node: Option<NodeId>,
    /// Under which epoch.
    pub epoch: Epoch,
}

/// What there is at the moment of a beat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Everybody, the caller too, by number.
    pub members: Vec<Member>,
    /// Grows when a shard's owner changes.
    pub owners_version: u64,
    /// The owners that were ever published; `None` when nothing changed since the version that the caller knew.
    pub owners: Option<Vec<(ShardId, Owner)>>,
    /// Names the records: it changes when some that were confirmed may have been lost (a store that came back
    /// empty, or older), so that nobody goes on with numbers that were given before.
    pub log_identity: u64,
}

/// Where in its box a process has read to; [`Position::START`] is before everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64, pub u64);

impl Position {
    /// Before everything.
    pub const START: Position = Position(0, 0);
}

/// Why something did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExchangeError {
    /// That process is not (any more) a member: it has no box.
    Gone,
    /// The box is full: its owner does not read.
    Full,
    /// It did not happen; trying again later may work.
    Unavailable(String),
    /// It may have happened or not. To repeat it is allowed: receivers know parcels again.
    Unknown(String),
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("that process is not a member"),
            Self::Full => f.write_str("its box is full"),
            Self::Unavailable(why) => write!(f, "unavailable: {why}"),
            Self::Unknown(why) => write!(f, "unknown outcome: {why}"),
        }
    }
}

impl std::error::Error for ExchangeError {}

/// What a process of a system of several needs of the others.
pub trait Exchange: Send + Sync + 'static {
    /// A new member with an empty box.
    fn join(&self, card: Bytes) -> BoxFuture<'static, Result<NodeId, ExchangeError>>;

    /// Counts the member's beat up by one, says anew what it is, and answers with the picture. A member that
    /// was removed is [`ExchangeError::Gone`].
    fn beat(&self, node: NodeId, card: Bytes, known_owners: u64) -> BoxFuture<'static, Result<Picture, ExchangeError>>;

    /// The picture without being a member, for whoever only looks.
    fn look(&self) -> BoxFuture<'static, Result<Picture, ExchangeError>>;

    /// Removes a member and its box. One that is not there is no error.
    fn remove(&self, node: NodeId) -> BoxFuture<'static, Result<(), ExchangeError>>;

    /// Publishes who owns shards. Each is ignored if a later epoch was published for it, or under the same epoch that
    /// it was given back.
    fn publish_owners(&self, owners: Vec<(ShardId, Owner)>) -> BoxFuture<'static, Result<(), ExchangeError>>;

    /// Puts parcels into a box, in order, all or none. What would bring it over one of the
    /// [`limits`](crate::limits) is
    /// [`ExchangeError::Full`]. Parcels of calls that follow each other (the next made
    /// after the answer to the one before) arrive in that order.
    fn send(&self, to: NodeId, parcels: Vec<Bytes>) -> BoxFuture<'static, Result<(), ExchangeError>>;

    /// What is in the box behind a position, in order; waits for at most `patience` if there is nothing, and
    /// answers with nothing then. Parcels that were in the box and have been lost are simply not there:
    /// senders number theirs. What is before `after` may be dropped.
    #[allow(clippy::type_complexity)]
    fn receive(
        &self,
        node: NodeId,
        after: Position,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Vec<(Position, Bytes)>, ExchangeError>>;
}
