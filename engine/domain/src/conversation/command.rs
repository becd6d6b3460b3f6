//! What can be asked of a conversation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metadata::{MetadataValue, check_metadata};
use crate::account::Author;
use crate::id::{AgentId, CustomerId, OrganisationId, QueueId};
use crate::reply::Refusal;
use crate::text::{check_name, check_text};
use crate::time::Time;

/// What a conversation starts with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Whose customers they are.
    pub organisation: OrganisationId,
    /// Who begins it.
    pub customer: CustomerId,
    /// What they call themselves, if they said so.
    pub customer_name: Option<String>,
    /// What the page told.
    pub metadata: Vec<(String, MetadataValue)>,
    /// The first message.
    pub message: Option<String>,
    /// Their place in the order of waiting.
    pub priority: i8,
}

impl Start {
    /// Is everything within its limits? Asked before room is kept in a queue, and again at the end.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] and [`Refusal::Invalid`].
    pub fn check(&self) -> Result<(), Refusal> {
        self.customer_name.as_deref().map_or(Ok(()), check_name)?;
        self.message.as_deref().map_or(Ok(()), check_text)?;
        check_metadata(&BTreeMap::new(), self.metadata.iter().map(|(key, value)| (key, Some(value))))
    }
}

/// A command. Those marked *internal* come from other machines only; no client can send them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// *Internal*: the queue has admitted the customer.
    Start {
        /// What it starts with.
        start: Box<Start>,
        /// The queue that admitted it.
        queue: QueueId,
        /// Place in the queue.
        position: u32,
        /// Estimated wait.
        wait_ms: Option<u64>,
    },
    /// A message.
    Send {
        /// The agent's claim.
        claim: Option<u64>,
        /// The text.
        text: String,
    },
    /// The author types, or has stopped.
    Type {
        /// Begun or stopped.
        typing: bool,
        /// What is typed so far.
        preview: Option<String>,
    },
    /// The author has read up to here.
    Read {
        /// The event's number.
        seq: u64,
    },
    /// The agent takes it.
    Claim {
        /// Set by the queue that offered it after a pick, with the number of offers that missed.
        picked: Option<(QueueId, u8)>,
    },
    /// The holder gives it back to the queue.
    Release {
        /// The claim.
        claim: Option<u64>,
    },
    /// The holder is still there.
    Touch {
        /// The claim.
        claim: Option<u64>,
    },
    /// To another agent of the queue.
    Assign {
        /// The claim, if somebody holds it.
        claim: Option<u64>,
        /// To whom.
        to: AgentId,
        /// *Internal*: the agent's own session has agreed (online, has room).
        accepted: bool,
    },
    /// To another queue.
    Transfer {
        /// The claim, if somebody holds it.
        claim: Option<u64>,
        /// Which queue.
        to: QueueId,
        /// For the agents there.
        note: Option<String>,
        /// *Internal*: the queue has admitted it.
        admitted: bool,
    },
    /// The end.
    Close {
        /// The agent's claim.
        claim: Option<u64>,
    },
    /// A note for agents.
    AddNote {
        /// The text.
        text: String,
    },
    /// Sets a tag that the organisation defines.
    AddTag {
        /// Its name.
        tag: String,
    },
    /// Takes a tag away.
    RemoveTag {
        /// Its name.
        tag: String,
    },
    /// Moves it in the order of waiting.
    Prioritise {
        /// Higher is served first.
        priority: i8,
    },
    /// The page, or an agent, tells more about the customer. `None` removes an entry.
    UpdateMetadata {
        /// What changed.
        changes: Vec<(String, Option<MetadataValue>)>,
    },
    /// The customer's opinion, after the end.
    Rate {
        /// 1 (bad) to 5 (good).
        rating: u8,
        /// In words.
        comment: Option<String>,
    },
    /// Blocks its customer; the agent's right is checked here, the block is the customer's.
    BlockCustomer {
        /// For how long; `None` is for ever.
        duration_ms: Option<u64>,
    },
    /// Ends the block of its customer.
    UnblockCustomer,
    /// *Internal*: the customer was blocked (`Some`) or unblocked.
    CustomerBlocked {
        /// Until when, `Some(None)` for ever.
        blocked: Option<Option<Time>>,
        /// By whom.
        by: Author,
    },
    /// *Internal*: the queue tells the place of the one who waits there.
    Place {
        /// Which queue.
        queue: QueueId,
        /// 1-based.
        position: u32,
        /// Estimated wait.
        wait_ms: Option<u64>,
        /// Why it is worse than the last one.
        reason: Option<crate::notice::WorseReason>,
    },
    /// *Internal*: so many sessions follow.
    Followed {
        /// Of the customer.
        customers: usize,
    },
    /// *Internal*: another machine lost track and asks for an announcement.
    Announce {
        /// Whom to tell.
        to: crate::message::Address,
    },
    /// *Internal*: settings of the queue may have changed.
    Refresh,
    /// Only asks for the state.
    Describe,
}
