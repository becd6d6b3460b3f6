//! What a request is answered with: a reply, or a refusal with a stable reason.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::agent::{CannedScope, Status};
use crate::conversation::Row;
use crate::id::{AgentId, ConversationId, CustomerId, QueueId};
use crate::organisation::Presence;
use crate::time::Time;

/// A legal no. What the world fails at (a store that is away) is [`Refusal::Unavailable`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The credential is right, but may not do this.
    Forbidden,
    /// No such thing, or none that this credential may know of.
    NotFound,
    /// It does not fit the state as it is; the text says why.
    Conflict(String),
    /// A field has no acceptable value.
    Invalid(Cow<'static, str>),
    /// Somebody else holds the claim.
    ClaimHeld {
        /// Who.
        holder: AgentId,
        /// When it will be dropped if they do nothing.
        release_at: Option<Time>,
    },
    /// The claim under which this was written is over.
    ClaimLost {
        /// Who holds it now, if anybody.
        holder: Option<AgentId>,
        /// The claim's number now.
        claim: u64,
    },
    /// The queue takes nobody now.
    QueueClosed {
        /// When it opens again, if that is known.
        next_open_at: Option<Time>,
    },
    /// As many wait as the queue allows.
    QueueFull,
    /// Nobody waits in the queue.
    QueueEmpty,
    /// The agent, or every agent, is not online.
    NoAgents,
    /// The customer is blocked.
    Blocked {
        /// Until when; `None` is until somebody unblocks them.
        until: Option<Time>,
    },
    /// The conversation has ended.
    ConversationClosed,
    /// Too long, too many.
    TooLarge {
        /// What is allowed, in the unit of the field.
        max: u64,
    },
    /// Too often.
    RateLimited {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// More than can be served now; nothing was done.
    Busy {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The store is away, or the outcome is unknown; repeat with the same key.
    Unavailable {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// This server, or this queue, does not do that.
    NotSupported,
}

impl Refusal {
    /// A field that has no acceptable value.
    #[must_use]
    pub fn invalid(field: &'static str) -> Self {
        Self::Invalid(Cow::Borrowed(field))
    }

    /// The same may be granted a little later: nothing has been judged.
    #[must_use]
    pub fn is_for_later(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unavailable { .. } | Self::RateLimited { .. })
    }

    /// A conflict with its reason.
    #[must_use]
    pub fn conflict(why: &str) -> Self {
        Self::Conflict(why.to_owned())
    }
}

/// A yes, with what the asker needs next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// Done; there is nothing to add.
    Done,
    /// Stored as this event.
    Stored {
        /// The event's number.
        seq: u64,
        /// Its time.
        at: Time,
    },
    /// The conversation has begun.
    Started {
        /// Its id.
        conversation: ConversationId,
        /// 1-based, `None` when it does not wait.
        position: Option<u32>,
        /// Estimated, `None` when nothing is known.
        wait_ms: Option<u64>,
    },
    /// The claim is the asker's.
    Claimed {
        /// Of which conversation.
        conversation: ConversationId,
        /// Its number.
        claim: u64,
        /// When it will be dropped without activity.
        release_at: Option<Time>,
    },
    /// A conversation as it stands.
    Conversation(Box<ConversationView>),
    /// A queue as it stands.
    Queue(QueueSummary),
    /// An agent as it stands.
    Agent(Box<AgentView>),
    /// A customer as it stands.
    Customer(CustomerView),
    /// An organisation's agents and their presence.
    Presence(Vec<(AgentId, Presence)>),
    /// Rows of a list, in order.
    Rows(Vec<Row>),
    /// Something was made that has a number or name of its own.
    Created(String),
}

/// A conversation as one audience sees it; the events are sent apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConversationView {
    /// As agents see it in lists; for customers the gateway shows a part of it.
    pub row: Row,
    /// The number of the last event that the audience may see.
    pub head: u64,
    /// Last told position, while it waits.
    pub position: Option<u32>,
    /// Last told estimate, while it waits.
    pub wait_ms: Option<u64>,
    /// What is known about the customer; empty for the customer.
    pub metadata: BTreeMap<String, crate::conversation::MetadataValue>,
    /// How far each reader has read.
    pub marks: Vec<(crate::account::Author, u64)>,
    /// The customer's rating.
    pub rating: Option<u8>,
    /// Blocked until (`Some(None)` is for ever).
    pub blocked: Option<Option<Time>>,
}

/// A queue in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueSummary {
    /// Which.
    pub queue: QueueId,
    /// Does it take customers now?
    pub open: bool,
    /// How many wait.
    pub waiting: u32,
    /// How many are being served.
    pub active: u32,
    /// Customers' messages nobody has read, over all its conversations.
    pub unread: u32,
    /// When the one who waits longest began.
    pub longest_waiting_since: Option<Time>,
}

/// An agent's own view of their session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentView {
    /// Which.
    pub agent: AgentId,
    /// Presence now.
    pub status: Status,
    /// What the agent holds, and in which queue.
    pub held: Vec<(ConversationId, QueueId)>,
    /// Personal canned messages.
    pub canned: Vec<CannedMessage>,
}

/// A canned message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CannedMessage {
    /// What is typed behind `/`.
    pub keyword: String,
    /// What it becomes; placeholders such as `[agent]` are the client's to fill.
    pub text: String,
    /// Whose it is.
    pub scope: CannedScope,
}

/// What a customer may still reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerView {
    /// Which.
    pub customer: CustomerId,
    /// Conversations that have not ended.
    pub open: Vec<ConversationId>,
    /// The last ones that have.
    pub ended: Vec<ConversationId>,
    /// Blocked until (`Some(None)` is for ever).
    pub blocked: Option<Option<Time>>,
}
