//! One organisation with one queue, one agent and one conversation, as the pure machines see them. Knows no engine.

use jono_domain::account::{AccountKind, Role, Who};
use jono_domain::conversation::{self, Conversation, Row, RowState, Start};
use jono_domain::id::{AgentId, ConversationId, CustomerId, OrganisationId, QueueId};
use jono_domain::notice::Deadlines;
use jono_domain::organisation::{Account, Organisation, QueueConfig, QueueSettings, TagDefinition};
use jono_domain::time::Time;
use jono_domain::{Context, Machine};

/// The tenant.
pub const ORGANISATION: OrganisationId = OrganisationId::from_bits(1);
/// Its only queue.
pub const QUEUE: QueueId = QueueId::from_bits(2);
/// Its only agent.
pub const AGENT: AgentId = AgentId::from_bits(3);
/// The visitor of [`CONVERSATION`].
pub const CUSTOMER: CustomerId = CustomerId::from_bits(4);
/// The conversation of [`CUSTOMER`].
pub const CONVERSATION: ConversationId = ConversationId::from_bits(5);
/// A tag that the organisation defines.
pub const TAG: &str = "parcel";
/// A message as people write it: 54 bytes, near the median of the replayed conversations.
pub const TEXT: &str = "It says that the parcel is at the depot since Monday.";

/// The agent's credential.
pub const AS_AGENT: Who = Who::Agent(ORGANISATION, AGENT);
/// The visitor's credential.
pub const AS_CUSTOMER: Who = Who::Customer(ORGANISATION, CUSTOMER);

/// The agent's account, without credentials.
#[must_use]
pub fn account() -> Account {
    Account {
        name: "Anna".into(),
        kind: AccountKind::Person,
        role: Role::Agent,
        queues: [QUEUE].into(),
        login: None,
        password_hash: None,
        tokens: [].into(),
        disabled: false,
    }
}

/// The queue's settings: the defaults.
#[must_use]
pub fn queue_config() -> QueueConfig {
    QueueConfig { name: "Sales".into(), settings: QueueSettings::default() }
}

/// The organisation with its queue and agent.
#[must_use]
pub fn organisation() -> Organisation {
    Organisation {
        id: ORGANISATION,
        created: true,
        name: "Acme".into(),
        queues: [(QUEUE, queue_config())].into(),
        accounts: [(AGENT, account())].into(),
        tags: [(TAG.into(), TagDefinition::default())].into(),
        ..Organisation::default()
    }
}

/// What a decision of this credential looks at, so many ms after 1970.
#[must_use]
pub fn context(organisation: &Organisation, who: Who, now_ms: u64) -> Context<'_> {
    Context { now: Time(now_ms), who, organisation: Some(organisation) }
}

/// One whole step without the shell: decided, made so, reacted to. Returns how many effects follow, so that nothing of it
/// can be left out. A refused command is a step of none.
pub fn step<M: Machine>(state: &mut M, id: M::Id, command: &M::Command, context: &Context<'_>) -> usize {
    let events = state.decide(id, command, context).unwrap_or_default();
    events.iter().for_each(|event| state.evolve(event));
    events.iter().map(|event| state.react(id, event).len()).sum()
}

/// What a visitor begins with.
#[must_use]
pub fn start(customer: CustomerId) -> Start {
    Start {
        organisation: ORGANISATION,
        customer,
        customer_name: None,
        metadata: Vec::new(),
        message: Some("Hello".into()),
        priority: 0,
    }
}

/// The order that begins [`CONVERSATION`].
#[must_use]
pub fn start_command() -> conversation::Command {
    conversation::Command::Start { start: Box::new(start(CUSTOMER)), queue: QUEUE, position: 1, wait_ms: None }
}

/// The conversation, waiting.
#[must_use]
pub fn waiting_conversation(organisation: &Organisation) -> Conversation {
    let mut state = Conversation::default();
    step(&mut state, CONVERSATION, &start_command(), &context(organisation, AS_CUSTOMER, 1_000));
    state
}

/// The conversation, claimed by the agent under claim 1.
#[must_use]
pub fn active_conversation(organisation: &Organisation) -> Conversation {
    let mut state = waiting_conversation(organisation);
    let claim = conversation::Command::Claim { picked: None };
    step(&mut state, CONVERSATION, &claim, &context(organisation, AS_AGENT, 2_000));
    state
}

/// The line of a list for the conversation of this number.
#[must_use]
pub fn row(number: u64, state: RowState) -> Row {
    Row {
        conversation: ConversationId::from_bits(u128::from(number) + 100),
        queue: QUEUE,
        customer: CustomerId::from_bits(u128::from(number)),
        customer_name: None,
        state,
        preview: "Where is my order?".into(),
        last_message_at: Time(number),
        unread: 1,
        started_at: Time(number),
        waiting_since: Time(number),
        priority: 0,
        holder: None,
        claim: 0,
        deadlines: Deadlines::default(),
        tags: Vec::new(),
        connected: true,
        head: 3,
    }
}
