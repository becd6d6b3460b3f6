//! A conversation as one line of a list, and the stored list of those that ended.

use serde::{Deserialize, Serialize};

use super::{Conversation, Phase};
use crate::id::{AgentId, ConversationId, CustomerId, QueueId};
use crate::notice::Deadlines;
use crate::time::Time;

/// Where a conversation is in its life, as lists show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RowState {
    /// Waits: the group *New*.
    Waiting,
    /// Is served: the group *In progress*.
    Active,
    /// Has ended.
    Closed,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which conversation.
    pub conversation: ConversationId,
    /// In which queue.
    pub queue: QueueId,
    /// Whose.
    pub customer: CustomerId,
    /// What they call themselves.
    pub customer_name: Option<String>,
    /// Where it is in its life.
    pub state: RowState,
    /// How the last message begins.
    pub preview: String,
    /// When the last message was written; before any, when it started.
    pub last_message_at: Time,
    /// Customer's messages that no agent has read.
    pub unread: u32,
    /// When it began.
    pub started_at: Time,
    /// When the customer began to wait, first.
    pub waiting_since: Time,
    /// Higher is served first.
    pub priority: i8,
    /// Who serves it.
    pub holder: Option<AgentId>,
    /// The number of the last claim.
    pub claim: u64,
    /// Its deadlines.
    pub deadlines: Deadlines,
    /// Its tags.
    pub tags: Vec<String>,
    /// Is the customer connected?
    pub connected: bool,
    /// The last event's number: an announcement with a lower one is stale.
    pub head: u64,
}

impl Conversation {
    /// This conversation as a line of a list.
    #[must_use]
    pub fn row(&self, id: ConversationId) -> Row {
        Row {
            conversation: id,
            queue: self.queue(),
            customer: self.customer(),
            customer_name: self.customer_name.clone(),
            state: match self.life.phase {
                Phase::Nothing | Phase::Waiting => RowState::Waiting,
                Phase::Active { .. } => RowState::Active,
                Phase::Closed { .. } => RowState::Closed,
            },
            preview: self.preview.clone(),
            last_message_at: self.last_message_at,
            unread: self.unread.len() as u32,
            started_at: self.started_at,
            waiting_since: self.life.waiting_since,
            priority: self.life.priority,
            holder: self.life.holder(),
            claim: self.life.claim,
            deadlines: self.life.deadlines(),
            tags: self.tags.iter().cloned().collect(),
            connected: self.life.disconnected_since.is_none(),
            head: self.log.head,
        }
    }
}

/// The stored list of a queue's ended conversations, newest first: keys with this prefix.
#[must_use]
pub fn closed_prefix(queue: QueueId) -> Vec<u8> {
    let mut key = Vec::with_capacity(41);
    key.push(b'c');
    key.extend_from_slice(&queue.bits().to_be_bytes());
    key
}

/// The place of one conversation in that list.
#[must_use]
pub fn closed_key(queue: QueueId, closed_at: Time, conversation: ConversationId) -> Vec<u8> {
    let mut key = closed_prefix(queue);
    key.extend_from_slice(&(u64::MAX - closed_at.0).to_be_bytes());
    key.extend_from_slice(&conversation.bits().to_be_bytes());
    key
}
