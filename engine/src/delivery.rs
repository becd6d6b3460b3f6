//! What leaves the engine for sessions.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use jono_domain::account::Audience;
use jono_domain::id::ConversationId;
use jono_domain::message::Address;
use jono_domain::notice::Notice;
use jono_domain::reply::Reply;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use jono_store::ShardId;

use crate::kind::shard_of;
use crate::request::Answer;

/// Names a session of some gateway process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionRef {
    /// The gateway, as [`crate::Engine::attach_gateway`] numbered it.
    pub gateway: u64,
    /// The gateway's own number for the session.
    pub session: u64,
}

/// One thing for one session. Deliveries to a session arrive in the order in which they were made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Delivery {
    /// The answer to a request of the session.
    Answer {
        /// The number that the session gave the request.
        request: u64,
        /// The answer.
        answer: Answer,
    },
    /// A notice; the same `Arc` goes to every session that is told.
    Notice(Arc<Shared<Notice>>),
    /// The session follows a conversation that it did not ask for: one it was given, or that another
    /// session of the same account began. Its events after `from_seq` come next. It counts as connected there until it is said
    /// to [unfollow](crate::Engine::unfollow) it: also if it has ended, or ends without having heard of this.
    Following {
        /// Which.
        conversation: ConversationId,
        /// The state as it is.
        state: Box<Reply>,
        /// As which audience.
        audience: Audience,
        /// See [`crate::request::Outcome::Following`].
        from_seq: u64,
    },
    /// The session no longer follows that conversation: it may not see it any more.
    Unfollowed(ConversationId),
}

/// Takes deliveries to a gateway's sessions. Called on the engine's threads: it must not block.
pub trait Deliver: Send + Sync + 'static {
    /// In order, for each session.
    fn deliver(&self, batch: Vec<(SessionRef, Delivery)>);

    /// Other processes serve these entities now, or the same ones have forgotten who follows: every session follows again what
    /// it follows there, from where it is. Also told, of none, when requests are taken again that were refused for a while.
    fn moved(&self, _moved: &Moved) {}

    /// What was confirmed may have been lost (another log, see [`crate::Engine::log_identity`]), or this process is another to the
    /// others than before: every session begins anew.
    fn reset(&self) {}
}

/// Entities that other processes serve now, by their shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved(Arc<[bool]>);

impl Moved {
    /// These, of so many.
    pub(crate) fn new(shards: impl IntoIterator<Item = ShardId>, shard_count: u16) -> Self {
        let mut moved = vec![false; usize::from(shard_count)];
        for shard in shards {
            if let Some(moved) = moved.get_mut(usize::from(shard.0)) {
                *moved = true;
            }
        }
        Self(moved.into())
    }

    /// All of so many.
    pub(crate) fn everything(shard_count: u16) -> Self {
        Self(vec![true; usize::from(shard_count)].into())
    }

    /// These entities, with whatever else is in their shards.
    #[must_use]
    pub fn of(addresses: impl IntoIterator<Item = Address>, shard_count: u16) -> Self {
        Self::new(addresses.into_iter().map(|address| shard_of(address, shard_count)), shard_count)
    }

    /// Is the entity one of them?
    #[must_use]
    pub fn holds(&self, address: Address) -> bool {
        self.holds_shard(shard_of(address, self.0.len() as u16))
    }

    pub(crate) fn holds_shard(&self, shard: ShardId) -> bool {
        self.0.get(usize::from(shard.0)).copied().unwrap_or(false)
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.0.contains(&true)
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = ShardId> {
        self.0.iter().enumerate().filter(|(_, moved)| **moved).map(|(shard, _)| ShardId(shard as u16))
    }
}

/// A value that goes to many receivers, with room for what they make of it: each audience's encoding
/// is made once, by whoever needs it first, and shared.
pub struct Shared<T> {
    /// The value.
    pub value: T,
    encoded: [OnceLock<Box<dyn Any + Send + Sync>>; 2],
}

impl<T: std::fmt::Debug> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.fmt(f)
    }
}

/// Only the value: every process encodes for its own sessions.
impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Self { value, encoded: [OnceLock::new(), OnceLock::new()] })
    }
}

impl<T> Shared<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Arc<Self> {
        Arc::new(Self { value, encoded: [OnceLock::new(), OnceLock::new()] })
    }

    /// What the audience gets: made at the first call, cloned afterwards. All callers of one process
    /// use the same type `E`.
    pub fn encoded<E: Any + Clone + Send + Sync>(&self, audience: Audience, make: impl Fn(&T) -> E) -> E {
        let slot = match audience {
            Audience::Customer => &self.encoded[0],
            Audience::Agent => &self.encoded[1],
        };
        let encoded = slot.get_or_init(|| Box::new(make(&self.value)));
        encoded.downcast_ref::<E>().cloned().unwrap_or_else(|| make(&self.value))
    }
}
