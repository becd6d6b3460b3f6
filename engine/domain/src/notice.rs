//! What a session is told without having asked.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::Author;
use crate::conversation::{Entry, Row};
use crate::id::{AgentId, ConversationId, QueueId};
use crate::organisation::Presence;
use crate::reply::{CannedMessage, QueueSummary};
use crate::time::Time;

/// One thing that sessions are told; the gateway encodes it once per audience.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Notice {
    /// A conversation's log has grown.
    Entry {
        /// Which conversation.
        conversation: ConversationId,
        /// The new event.
        entry: Arc<Entry>,
        /// The deadlines after it.
        deadlines: Deadlines,
    },
    /// The customer's place in the queue.
    Position {
        /// Which conversation.
        conversation: ConversationId,
        /// 1-based.
        position: u32,
        /// Estimated, `None` when nothing is known.
        wait_ms: Option<u64>,
        /// Why it is worse than the last one told, if it is.
        reason: Option<WorseReason>,
    },
    /// Deadlines that moved without an event, or are near.
    Deadline {
        /// Which conversation.
        conversation: ConversationId,
        /// As they are now.
        deadlines: Deadlines,
        /// Set once, a minute (a setting) before the deadline.
        warning: Option<Warning>,
    },
    /// Somebody types, or has stopped.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        by: Author,
        /// Begun or stopped.
        typing: bool,
        /// What they have typed, for agents, where the queue shows it.
        preview: Option<String>,
    },
    /// Somebody has read.
    Receipt {
        /// Where.
        conversation: ConversationId,
        /// Who.
        by: Author,
        /// Up to which event.
        seq: u64,
    },
    /// List rows changed, came, or went; at most [`crate::limits::ROWS_PER_NOTICE`].
    Rows(Vec<Arc<Row>>),
    /// A queue's numbers changed.
    Queue(QueueSummary),
    /// A message nobody serves yet.
    Raised {
        /// In which queue.
        queue: QueueId,
        /// In which conversation.
        conversation: ConversationId,
        /// How the message begins.
        preview: String,
    },
    /// An agent came, went, or stepped aside.
    Presence {
        /// Who.
        agent: AgentId,
        /// So.
        presence: Presence,
    },
    /// The customer was blocked (`Some`, until then or for ever) or may write again.
    Blocked(Option<Option<Time>>),
    /// The agent's own canned messages changed.
    Canned(Vec<CannedMessage>),
    /// The organisation's settings, queues or people changed: read them again.
    OrganisationChanged,
}

/// A conversation's deadlines as server times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadlines {
    /// When the claim is dropped.
    pub release_at: Option<Time>,
    /// When the conversation is closed.
    pub close_at: Option<Time>,
}

/// Which deadline is near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Warning {
    /// `release_at`.
    Release,
    /// `close_at`.
    Close,
}

/// Why a position became worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorseReason {
    /// Someone with priority came.
    Priority,
    /// Someone who had waited longer came back.
    Returned,
}
