//! Who acts: customers, agents, and the system itself.

use serde::{Deserialize, Serialize};

use crate::id::{AgentId, CustomerId, OrganisationId};

/// What drives an agent account. A bot is an agent that a program drives: same rights, same protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountKind {
    /// A person.
    Person,
    /// A program.
    Bot,
}

/// What an agent account may do beyond serving its queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Serves the queues it is a member of.
    Agent,
    /// Administers the organisation as well, and sees all its queues.
    Operator,
}

/// Who wrote or did something; kept in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Author {
    /// The visitor.
    Customer(CustomerId),
    /// An agent, person or bot.
    Agent(AgentId),
    /// A timer or the engine.
    System,
}

/// Whose credential a request came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Who {
    /// A visitor of one of the organisation's sites.
    Customer(OrganisationId, CustomerId),
    /// An agent of the organisation; its role and queues are looked up when it matters.
    Agent(OrganisationId, AgentId),
    /// Whoever holds the root key: creates organisations.
    Root,
    /// Another entity, or the engine itself.
    Engine,
}

impl Who {
    /// The author that this credential writes as.
    #[must_use]
    pub fn author(self) -> Author {
        match self {
            Who::Customer(_, customer) => Author::Customer(customer),
            Who::Agent(_, agent) => Author::Agent(agent),
            Who::Root | Who::Engine => Author::System,
        }
    }

    /// The organisation behind the credential.
    #[must_use]
    pub fn organisation(self) -> Option<OrganisationId> {
        match self {
            Who::Customer(organisation, _) | Who::Agent(organisation, _) => Some(organisation),
            Who::Root | Who::Engine => None,
        }
    }
}

/// For whom something is encoded: the two audiences see different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Audience {
    /// The visitor.
    Customer,
    /// Agents who may see the conversation.
    Agent,
}
