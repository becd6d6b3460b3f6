//! Things as clients see them, made from the domain's words; names of agents and queues come from
//! the organisation.

use jono_domain::account::{AccountKind, Author, Role};
use jono_domain::agent::{CannedScope, PresenceCause, Status};
use jono_domain::conversation::{Row, RowState};
use jono_domain::id::{AgentId, ConversationId, CustomerId, OrganisationId, QueueId};
use jono_domain::organisation::{Organisation, Presence, TagDefinition};
use jono_domain::reply::{CannedMessage, ConversationView, QueueSummary};
use jono_domain::time::Time;
use jono_engine::directory::Directory;
use schemars::JsonSchema;
use serde::Serialize;

use super::id::Id;
use super::metadata::ShownMetadata;

/// An agent, named.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "AgentName")]
pub struct AgentName<'a> {
    /// Who.
    pub id: Id<AgentId>,
    /// What they are called; empty for an account that was removed.
    pub name: &'a str,
}

impl<'a> AgentName<'a> {
    /// The agent with the name from the settings.
    #[must_use]
    pub fn of(agent: AgentId, directory: &'a Directory) -> Self {
        let account = directory.of_agent(agent).and_then(|organisation| organisation.accounts.get(&agent));
        Self { id: Id(agent), name: account.map_or("", |account| &account.name) }
    }
}

/// Who did something.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(rename = "By")]
pub enum By<'a> {
    /// The visitor.
    Customer {
        /// Who.
        id: Id<CustomerId>,
    },
    /// An agent, person or bot.
    Agent {
        /// Who.
        id: Id<AgentId>,
        /// What they are called.
        name: &'a str,
    },
    /// A timer or the server.
    System,
}

impl<'a> By<'a> {
    /// The author, named.
    #[must_use]
    pub fn of(author: Author, directory: &'a Directory) -> Self {
        match author {
            Author::Customer(customer) => By::Customer { id: Id(customer) },
            Author::Agent(agent) => By::Agent { id: Id(agent), name: AgentName::of(agent, directory).name },
            Author::System => By::System,
        }
    }
}

/// Where a conversation is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConversationState {
    /// Waits in its queue.
    Waiting,
    /// Is served by an agent.
    Active,
    /// Has ended.
    Closed,
}

impl From<RowState> for ConversationState {
    fn from(state: RowState) -> Self {
        match state {
            RowState::Waiting => Self::Waiting,
            RowState::Active => Self::Active,
            RowState::Closed => Self::Closed,
        }
    }
}

/// How far somebody has read.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Mark")]
pub struct Mark<'a> {
    /// Who.
    pub by: By<'a>,
    /// Up to which event.
    pub seq: u64,
}

/// A block.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct BlockedUntil {
    /// Until when, ms since 1970; absent: until somebody unblocks them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// A customer, as agents see them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShownCustomer")]
pub struct ShownCustomer<'a> {
    /// Who.
    pub id: Id<CustomerId>,
    /// What they call themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// Is a session of theirs connected?
    pub connected: bool,
}

/// A conversation, as agents see it. List rows leave out what is marked *full*.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "AgentConversation")]
pub struct AgentConversation<'a> {
    /// Which.
    pub id: Id<ConversationId>,
    /// In which queue.
    pub queue: Id<QueueId>,
    /// Whose.
    pub customer: ShownCustomer<'a>,
    /// Where it is in its life.
    pub state: ConversationState,
    /// How the last message begins.
    pub preview: &'a str,
    /// When it was written; before any, when the conversation started. Ms since 1970.
    pub last_message_at: u64,
    /// Customer's messages that no agent has read; counted up to 100.
    pub unread: u32,
    /// When it began, ms since 1970.
    pub started_at: u64,
    /// When the customer first began to wait, ms since 1970.
    pub waiting_since: u64,
    /// Higher is served first.
    pub priority: i8,
    /// Who serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<AgentName<'a>>,
    /// The number of the last claim.
    pub claim: u64,
    /// When the claim is dropped without activity of its holder, ms since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_at: Option<u64>,
    /// When it is closed without activity of the customer, ms since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_at: Option<u64>,
    /// Its tags.
    pub tags: &'a [String],
    /// The number of its last event.
    pub head: u64,
    /// *Full*: place in the queue as the customer was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// *Full*: estimated wait as the customer was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// *Full*: what is known about the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<ShownMetadata<'a>>,
    /// *Full*: how far each reader has read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marks: Option<Vec<Mark<'a>>>,
    /// *Full*: the customer's rating, 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<u8>,
    /// *Full*: the customer is blocked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<BlockedUntil>,
    /// Where it is followed: the events after this number are sent. Higher than what was asked for is a gap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_seq: Option<u64>,
}

impl<'a> AgentConversation<'a> {
    /// A list row.
    #[must_use]
    pub fn row(row: &'a Row, directory: &'a Directory) -> Self {
        Self {
            id: Id(row.conversation),
            queue: Id(row.queue),
            customer: ShownCustomer { id: Id(row.customer), name: row.customer_name.as_deref(), connected: row.connected },
            state: row.state.into(),
            preview: &row.preview,
            last_message_at: row.last_message_at.0,
            unread: row.unread,
            started_at: row.started_at.0,
            waiting_since: row.waiting_since.0,
            priority: row.priority,
            holder: row.holder.map(|holder| AgentName::of(holder, directory)),
            claim: row.claim,
            release_at: ms(row.deadlines.release_at),
            close_at: ms(row.deadlines.close_at),
            tags: &row.tags,
            head: row.head,
            position: None,
            wait_ms: None,
            metadata: None,
            marks: None,
            rating: None,
            blocked: None,
            from_seq: None,
        }
    }

    /// The full view.
    #[must_use]
    pub fn full(view: &'a ConversationView, from_seq: Option<u64>, directory: &'a Directory) -> Self {
        Self {
            head: view.head,
            position: view.position,
            wait_ms: view.wait_ms,
            metadata: Some(ShownMetadata(view.metadata.iter().map(|(key, value)| (key.as_str(), Some(value))).collect())),
            marks: Some(marks(view, directory)),
            rating: view.rating,
            blocked: view.blocked.map(blocked),
            from_seq,
            ..Self::row(&view.row, directory)
        }
    }
}

/// A conversation, as its customer sees it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "CustomerConversation")]
pub struct CustomerConversation<'a> {
    /// Which.
    pub id: Id<ConversationId>,
    /// In which queue.
    pub queue: Id<QueueId>,
    /// Where it is in its life.
    pub state: ConversationState,
    /// When it began, ms since 1970.
    pub started_at: u64,
    /// Who serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<AgentName<'a>>,
    /// When it is closed without activity of the customer, ms since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_at: Option<u64>,
    /// When the claim is dropped without activity of its holder, ms since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_at: Option<u64>,
    /// The number of the last event that customers may see.
    pub head: u64,
    /// Place in the queue, from 1, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// Estimated wait, when something is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// How far each reader has read.
    pub marks: Vec<Mark<'a>>,
    /// The rating that was given, 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<u8>,
    /// The customer cannot write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<BlockedUntil>,
    /// Where it is followed: the events after this number are sent. Higher than what was asked for is a gap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_seq: Option<u64>,
}

impl<'a> CustomerConversation<'a> {
    /// The view.
    #[must_use]
    pub fn of(view: &'a ConversationView, from_seq: Option<u64>, directory: &'a Directory) -> Self {
        let row = &view.row;
        Self {
            id: Id(row.conversation),
            queue: Id(row.queue),
            state: row.state.into(),
            started_at: row.started_at.0,
            holder: row.holder.map(|holder| AgentName::of(holder, directory)),
            close_at: ms(row.deadlines.close_at),
            release_at: ms(row.deadlines.release_at),
            head: view.head,
            position: view.position,
            wait_ms: view.wait_ms,
            marks: marks(view, directory),
            rating: view.rating,
            blocked: view.blocked.map(blocked),
            from_seq,
        }
    }
}

/// A conversation for either audience; only for schemas.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Conversation")]
pub enum AnyConversation<'a> {
    /// As agents see it.
    Agent(AgentConversation<'a>),
    /// As its customer sees it.
    Customer(CustomerConversation<'a>),
}

fn marks<'a>(view: &ConversationView, directory: &'a Directory) -> Vec<Mark<'a>> {
    view.marks.iter().map(|(author, seq)| Mark { by: By::of(*author, directory), seq: *seq }).collect()
}

pub(super) fn blocked(until: Option<Time>) -> BlockedUntil {
    BlockedUntil { until: ms(until) }
}

pub(super) fn ms(at: Option<Time>) -> Option<u64> {
    at.map(|at| at.0)
}

/// A queue, as agents see it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "AgentQueue")]
pub struct AgentQueue<'a> {
    /// Which.
    pub id: Id<QueueId>,
    /// Its name.
    pub name: &'a str,
    /// Does it take customers now?
    pub open: bool,
    /// How many wait.
    pub waiting: u32,
    /// How many are being served.
    pub active: u32,
    /// Customers' messages that nobody has read.
    pub unread: u32,
    /// When the one who waits longest began, ms since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_waiting_since: Option<u64>,
}

impl<'a> AgentQueue<'a> {
    /// The numbers with the name from the settings.
    #[must_use]
    pub fn of(summary: &QueueSummary, directory: &'a Directory) -> Self {
        Self {
            id: Id(summary.queue),
            name: queue_name(summary.queue, directory),
            open: summary.open,
            waiting: summary.waiting,
            active: summary.active,
            unread: summary.unread,
            longest_waiting_since: ms(summary.longest_waiting_since),
        }
    }
}

/// A queue, as customers see it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "CustomerQueue")]
pub struct CustomerQueue<'a> {
    /// Which.
    pub id: Id<QueueId>,
    /// Its name.
    pub name: &'a str,
    /// Does it take customers now?
    pub open: bool,
}

impl<'a> CustomerQueue<'a> {
    /// What customers see of the numbers.
    #[must_use]
    pub fn of(summary: &QueueSummary, directory: &'a Directory) -> Self {
        Self { id: Id(summary.queue), name: queue_name(summary.queue, directory), open: summary.open }
    }
}

/// A queue for either audience; only for schemas.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Queue")]
pub enum AnyQueue<'a> {
    /// As agents see it.
    Agent(AgentQueue<'a>),
    /// As customers see it.
    Customer(CustomerQueue<'a>),
}

fn queue_name(queue: QueueId, directory: &Directory) -> &str {
    let config = directory.of_queue(queue).and_then(|organisation| organisation.queue(queue));
    config.map_or("", |config| &config.name)
}

/// Presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShownStatus {
    /// Serves; may be assigned to.
    Online,
    /// Connected, but not to be assigned to.
    Away,
    /// Not there.
    Offline,
}

impl From<Status> for ShownStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Online => Self::Online,
            Status::Away => Self::Away,
            Status::Offline => Self::Offline,
        }
    }
}

/// Why presence changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShownCause {
    /// The agent said so.
    Chosen,
    /// The first connection opened.
    Connected,
    /// The last connection closed.
    Disconnected,
    /// The last connection closed long ago.
    TimedOut,
}

impl From<PresenceCause> for ShownCause {
    fn from(cause: PresenceCause) -> Self {
        match cause {
            PresenceCause::Chosen => Self::Chosen,
            PresenceCause::Connected => Self::Connected,
            PresenceCause::Disconnected => Self::Disconnected,
            PresenceCause::TimedOut => Self::TimedOut,
        }
    }
}

/// What drives an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShownKind {
    /// A person.
    Person,
    /// A program.
    Bot,
}

impl From<AccountKind> for ShownKind {
    fn from(kind: AccountKind) -> Self {
        match kind {
            AccountKind::Person => Self::Person,
            AccountKind::Bot => Self::Bot,
        }
    }
}

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShownRole {
    /// Serves its queues.
    Agent,
    /// Administers the organisation as well.
    Operator,
}

impl From<Role> for ShownRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Agent => Self::Agent,
            Role::Operator => Self::Operator,
        }
    }
}

/// A colleague.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Colleague")]
pub struct Colleague<'a> {
    /// Who.
    pub id: Id<AgentId>,
    /// What they are called.
    pub name: &'a str,
    /// Person or bot.
    pub kind: ShownKind,
    /// Presence.
    pub status: ShownStatus,
    /// Is a session of theirs connected?
    pub connected: bool,
    /// Since when the status is this, ms since 1970; 0 for those who never were here.
    pub since: u64,
    /// Why it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<ShownCause>,
}

impl<'a> Colleague<'a> {
    /// An account with its place on the board.
    #[must_use]
    pub fn of(agent: AgentId, organisation: &'a Organisation, presence: Option<&Presence>) -> Option<Self> {
        let account = organisation.account(agent)?;
        Some(Self {
            id: Id(agent),
            name: &account.name,
            kind: account.kind.into(),
            status: presence.map_or(ShownStatus::Offline, |presence| presence.status.into()),
            connected: presence.is_some_and(|presence| presence.connected),
            since: presence.map_or(0, |presence| presence.since.0),
            cause: presence.map(|presence| presence.cause.into()),
        })
    }
}

/// Whose a canned message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShownScope {
    /// The agent's own.
    Personal,
    /// The organisation's.
    Shared,
}

/// A canned message.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Canned")]
pub struct Canned<'a> {
    /// What is typed behind `/`.
    pub keyword: &'a str,
    /// What it becomes; placeholders such as `[agent]` are filled by clients.
    pub text: &'a str,
    /// Whose it is.
    pub scope: ShownScope,
}

impl<'a> From<&'a CannedMessage> for Canned<'a> {
    fn from(canned: &'a CannedMessage) -> Self {
        let scope = match canned.scope {
            CannedScope::Personal => ShownScope::Personal,
            CannedScope::Shared => ShownScope::Shared,
        };
        Self { keyword: &canned.keyword, text: &canned.text, scope }
    }
}

/// A tag that the organisation defines.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "TagDefinition")]
pub struct ShownTag<'a> {
    /// Its name.
    pub tag: &'a str,
    /// Tags are listed in groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<&'a str>,
    /// CSS colour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour: Option<&'a str>,
}

impl<'a> ShownTag<'a> {
    /// A tag with its definition.
    #[must_use]
    pub fn of(tag: &'a str, definition: &'a TagDefinition) -> Self {
        Self { tag, group: definition.group.as_deref(), colour: definition.colour.as_deref() }
    }
}

/// An organisation.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrganisationName")]
pub struct OrganisationName<'a> {
    /// Which.
    pub id: Id<OrganisationId>,
    /// Its name.
    pub name: &'a str,
}
