//! What happens to a conversation.

use serde::{Deserialize, Serialize};

use super::MetadataValue;
use crate::account::Author;
use crate::id::{AgentId, CustomerId, OrganisationId, QueueId};
use crate::log;
use crate::message::Order;
use crate::notice::{Warning, WorseReason};
use crate::organisation::Policy;
use crate::time::Time;

/// An entry of a conversation's log.
pub type Entry = log::Entry<Body>;

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// A customer began it.
    Started {
        /// The tenant.
        organisation: OrganisationId,
        /// The visitor.
        customer: CustomerId,
        /// What they call themselves.
        customer_name: Option<String>,
        /// What the page told; not shown to customers.
        metadata: Vec<(String, MetadataValue)>,
        /// Place in the order of waiting.
        priority: i8,
        /// What the queue's settings say.
        policy: Policy,
    },
    /// It waits in a queue.
    Queued {
        /// Which.
        queue: QueueId,
        /// Where the customer stood, as told; 0 where the queue does not show it.
        position: u32,
        /// Estimated wait, as told.
        wait_ms: Option<u64>,
    },
    /// An agent took it.
    Claimed {
        /// Who.
        agent: AgentId,
        /// The claim's number.
        claim: u64,
    },
    /// The claim ended; it waits again.
    Released {
        /// Whose it was.
        agent: AgentId,
        /// Why.
        cause: ReleaseCause,
    },
    /// It was given to an agent.
    Assigned {
        /// Who held it.
        from: Option<AgentId>,
        /// Who holds it now.
        to: AgentId,
        /// The claim's number.
        claim: u64,
    },
    /// It waits in another queue.
    Transferred {
        /// Where it was.
        from: QueueId,
        /// Where it is.
        to: QueueId,
        /// Who held it.
        holder: Option<AgentId>,
        /// What that queue's settings say.
        policy: Policy,
    },
    /// A message.
    Message {
        /// The text, line breaks and all.
        text: String,
    },
    /// A note for agents.
    NoteAdded {
        /// The text.
        text: String,
    },
    /// A tag was set.
    Tagged {
        /// Its name.
        tag: String,
    },
    /// A tag was taken away.
    Untagged {
        /// Its name.
        tag: String,
    },
    /// It moved in the order of waiting.
    Prioritised {
        /// Higher is served first.
        priority: i8,
    },
    /// More is known about the customer.
    MetadataChanged {
        /// `None` removes the entry.
        changes: Vec<(String, Option<MetadataValue>)>,
    },
    /// The customer cannot write.
    Blocked {
        /// Until when; `None` is for ever.
        until: Option<Time>,
    },
    /// The customer can write again.
    Unblocked,
    /// It ended.
    Closed {
        /// Why.
        cause: CloseCause,
        /// Who held it.
        holder: Option<AgentId>,
    },
    /// The customer's opinion.
    Rated {
        /// 1 to 5.
        rating: u8,
        /// In words.
        comment: Option<String>,
    },
}

impl log::Body for Body {
    fn is_for_customers(&self) -> bool {
        match self {
            Body::Started { .. }
            | Body::Queued { .. }
            | Body::Claimed { .. }
            | Body::Released { .. }
            | Body::Assigned { .. }
            | Body::Transferred { .. }
            | Body::Message { .. }
            | Body::Blocked { .. }
            | Body::Unblocked
            | Body::Closed { .. }
            | Body::Rated { .. } => true,
            Body::NoteAdded { .. }
            | Body::Tagged { .. }
            | Body::Untagged { .. }
            | Body::Prioritised { .. }
            | Body::MetadataChanged { .. } => false,
        }
    }
}

/// Why a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReleaseCause {
    /// The holder gave it back.
    Manual,
    /// The holder did nothing for too long (L8).
    Inactive,
}

/// Why a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CloseCause {
    /// The agent ended it.
    Agent,
    /// The customer left.
    Customer,
    /// The customer did nothing for too long (L9).
    Inactive,
}

/// An event. Only entries are logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Logged.
    Entry(Box<Entry>),
    /// Kept: the holder was active; counts up to that moment.
    AgentActive(Time),
    /// Kept: the customer was active; counts up to that moment.
    CustomerActive(Time),
    /// Kept: somebody has read.
    Marked(Author, u64),
    /// Kept: the customer is connected (`None`), or has not been since then.
    Disconnected(Option<Time>),
    /// Kept: the queue's settings changed.
    PolicyAdopted(Policy),
    /// Passing: typing goes to whoever looks.
    Typed {
        /// Who.
        by: Author,
        /// Begun or stopped.
        typing: bool,
        /// What they have typed.
        preview: Option<String>,
    },
    /// Kept, so that it is told once: a deadline is near; for the deadline as it stood.
    Warned(Warning, Time),
    /// Passing: the customer's place.
    Placed {
        /// 1-based.
        position: u32,
        /// Estimated.
        wait_ms: Option<u64>,
        /// Why it is worse.
        reason: Option<WorseReason>,
    },
    /// Passing: another machine must agree first, and will answer.
    Asked(Box<Order>),
    /// Passing: somebody asked how things stand.
    AnnouncementAsked(crate::message::Address),
}
