//! What machines send: to each other, and to the sessions that follow them.

use serde::{Deserialize, Serialize};

use crate::account::Audience;
use crate::id::{AgentId, ConversationId, CustomerId, OrganisationId, QueueId};
use crate::notice::Notice;
use crate::{agent, conversation, customer, organisation, queue};

/// Names any entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Address {
    /// An organisation.
    Organisation(OrganisationId),
    /// A queue.
    Queue(QueueId),
    /// An agent.
    Agent(AgentId),
    /// A customer.
    Customer(CustomerId),
    /// A conversation.
    Conversation(ConversationId),
}

/// A command together with the entity it is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Order {
    /// For an organisation.
    Organisation(OrganisationId, Box<organisation::Command>),
    /// For a queue.
    Queue(QueueId, Box<queue::Command>),
    /// For an agent.
    Agent(AgentId, Box<agent::Command>),
    /// For a customer.
    Customer(CustomerId, Box<customer::Command>),
    /// For a conversation.
    Conversation(ConversationId, Box<conversation::Command>),
}

impl Order {
    /// Whom it is for.
    #[must_use]
    pub fn address(&self) -> Address {
        match self {
            Order::Organisation(id, _) => Address::Organisation(*id),
            Order::Queue(id, _) => Address::Queue(*id),
            Order::Agent(id, _) => Address::Agent(*id),
            Order::Customer(id, _) => Address::Customer(*id),
            Order::Conversation(id, _) => Address::Conversation(*id),
        }
    }
}

impl Order {
    /// Whether it does no harm when it comes twice, or late: it only asks, or says what has been true since. Nothing needs to be
    /// remembered of it.
    #[must_use]
    pub fn may_come_twice(&self) -> bool {
        use conversation::Command as Talk;
        match self {
            Order::Organisation(_, command) => {
                matches!(**command, organisation::Command::Describe | organisation::Command::ListPresence)
            }
            Order::Queue(_, command) => {
                matches!(**command, queue::Command::Describe | queue::Command::List { .. } | queue::Command::RowsOf { .. })
            }
            Order::Agent(_, command) => matches!(**command, agent::Command::Describe),
            Order::Customer(_, command) => matches!(**command, customer::Command::Describe),
            Order::Conversation(_, command) => {
                matches!(**command, Talk::Describe | Talk::Type { .. } | Talk::Read { .. } | Talk::Touch { .. })
            }
        }
    }
}

/// An instruction to the shell. Every one may be carried out twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Another entity should know; nobody waits for an answer.
    Tell(Order),
    /// Another entity answers the request under way, on the same credential and key.
    Forward(Order),
    /// The sessions that follow this entity are told; `None` means both audiences.
    Publish(Option<Audience>, Notice),
    /// The sessions that follow this entity begin to follow that conversation too.
    FollowConversation(ConversationId),
    /// Sessions that may no longer see this entity stop following it.
    RecheckFollowers,
    /// The organisation's settings are now these: every process should use them.
    PublishOrganisation,
}

/// A change of a stored list, see [`crate::conversation::closed_prefix`].
#[derive(Clone, Debug, PartialEq)]
pub enum IndexChange {
    /// Sets the row under the key.
    Put {
        /// Ordered bytewise.
        key: Vec<u8>,
        /// The row.
        row: Box<conversation::Row>,
    },
    /// Removes the row.
    Delete {
        /// Ordered bytewise.
        key: Vec<u8>,
    },
}
