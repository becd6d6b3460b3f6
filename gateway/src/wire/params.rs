//! What methods are asked with: one struct each. Unknown members are ignored; lengths and rules are
//! checked by the domain, forms here.

use std::collections::BTreeMap;

use jono_domain::agent::{CannedScope, Status};
use jono_domain::id::{AgentId, ConversationId, QueueId};
use jono_engine::request::View;
use schemars::JsonSchema;
use serde::Deserialize;

use super::id::{Id, Key};
use super::metadata::Metadata;

/// Nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Nothing {}

/// As what a session is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OpenRole {
    /// A visitor of a site.
    Customer,
    /// An agent, person or bot; operators too.
    Agent,
}

/// `session.open`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SessionOpen {
    /// Customer or agent.
    pub role: OpenRole,
    /// Customers: the public key of the site; names the organisation.
    pub site: Option<String>,
    /// Customers: the resume token of the last session, which brings the same customer back.
    pub resume: Option<String>,
    /// Agents: an agent token, or the desk token of a sign-in.
    pub token: Option<String>,
    /// Customers: what they call themselves.
    pub name: Option<String>,
    /// Customers: their language, such as `fi-FI`; becomes metadata of what they start.
    pub locale: Option<String>,
    /// Customers: the page they are on, an object of scalars; becomes metadata of what they start.
    pub page: Option<Metadata>,
    /// Customers: becomes metadata of what they start.
    pub metadata: Option<Metadata>,
    /// Per conversation the last event that the client has: the ones after it are sent. At most 256.
    pub since: Option<BTreeMap<Id<ConversationId>, u64>>,
    /// The `log` that the numbers in `since` belong to, from the last result. If the server's is another one, they count for
    /// nothing: everything is sent, and `resumed` is false.
    pub log: Option<String>,
}

/// Methods that need a conversation alone.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct InConversation {
    /// Which conversation.
    pub conversation: Id<ConversationId>,
}

/// Methods that change a conversation and need nothing more.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ChangeConversation {
    /// Which conversation.
    pub conversation: Id<ConversationId>,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// Methods under a claim.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct UnderClaim {
    /// Which conversation.
    pub conversation: Id<ConversationId>,
    /// Agents: the claim's number; a write under an old one is refused with `claim_lost`.
    pub claim: Option<u64>,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// `conversation.start`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ConversationStart {
    /// One of the queues of `session.open`'s result.
    pub queue: Id<QueueId>,
    /// The first message.
    pub message: Option<String>,
    /// What the customer calls themselves; otherwise as given to `session.open`.
    pub name: Option<String>,
    /// Added to what was given to `session.open`.
    pub metadata: Option<Metadata>,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// `message.send`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct MessageSend {
    /// Where.
    pub conversation: Id<ConversationId>,
    /// At most 16 KiB; line breaks are kept.
    pub text: String,
    /// Agents: the claim's number; a write under an old one is refused with `claim_lost`.
    pub claim: Option<u64>,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// `typing.set`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TypingSet {
    /// Where.
    pub conversation: Id<ConversationId>,
    /// Begun (say so again every few seconds) or stopped.
    pub typing: bool,
    /// Customers: what is typed so far; agents see it where the queue shows it.
    pub preview: Option<String>,
}

/// `receipt.read`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReceiptRead {
    /// Where.
    pub conversation: Id<ConversationId>,
    /// The number of the last event that was read.
    pub seq: u64,
}

/// `conversation.history`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct History {
    /// Of which conversation.
    pub conversation: Id<ConversationId>,
    /// The events after this number. Neither: from the beginning.
    pub after: Option<u64>,
    /// The last events before this number.
    pub before: Option<u64>,
    /// At most this many, by default 100, at most 500.
    pub limit: Option<u32>,
}

/// `conversation.follow`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ConversationFollow {
    /// Which conversation.
    pub conversation: Id<ConversationId>,
    /// The last event that the client has; by default none.
    pub after: Option<u64>,
}

/// `conversation.assign`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Assign {
    /// Which conversation.
    pub conversation: Id<ConversationId>,
    /// To whom; online, and serving the queue.
    pub agent: Id<AgentId>,
    /// The claim's number, if somebody holds it.
    pub claim: Option<u64>,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// `conversation.transfer`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Transfer {
    /// Which conversation.
    pub conversation: Id<ConversationId>,
    /// To this queue; or give `agent`.
    pub queue: Option<Id<QueueId>>,
    /// To this agent, as `conversation.assign`; or give `queue`.
    pub agent: Option<Id<AgentId>>,
    /// For the agents of that queue.
    pub note: Option<String>,
    /// The claim's number, if somebody holds it.
    pub claim: Option<u64>,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// `conversation.rate`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Rate {
    /// Which conversation; it has ended.
    pub conversation: Id<ConversationId>,
    /// 1 (bad) to 5 (good).
    #[schemars(range(min = 1, max = 5))]
    pub rating: u8,
    /// In words.
    pub comment: Option<String>,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// `note.add`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NoteAdd {
    /// Where.
    pub conversation: Id<ConversationId>,
    /// At most 16 KiB; never shown to customers.
    pub text: String,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// `tag.add`, `tag.remove`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Tag {
    /// On which conversation.
    pub conversation: Id<ConversationId>,
    /// One of the organisation's tags.
    pub tag: String,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// `priority.set`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct PrioritySet {
    /// Of which conversation.
    pub conversation: Id<ConversationId>,
    /// -9 to 9; higher is served first, 0 is what a conversation starts with.
    #[schemars(range(min = -9, max = 9))]
    pub priority: i8,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// `metadata.update`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct MetadataUpdate {
    /// Of which conversation.
    pub conversation: Id<ConversationId>,
    /// What changes.
    pub metadata: Metadata,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// `customer.block`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Block {
    /// The customer of this conversation.
    pub conversation: Id<ConversationId>,
    /// For how long; without it, until somebody unblocks them.
    pub duration_ms: Option<u64>,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListView {
    /// Waiting, then those in progress; in each group the oldest last message first.
    Open,
    /// Held by the asking agent; the oldest last message first.
    Mine,
    /// Ended; newest first.
    Closed,
}

impl From<ListView> for View {
    fn from(view: ListView) -> Self {
        match view {
            ListView::Open => View::Open,
            ListView::Mine => View::Mine,
            ListView::Closed => View::Closed,
        }
    }
}

/// `conversation.list`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct List {
    /// Which list.
    pub view: ListView,
    /// Only this queue; otherwise every queue that the agent serves.
    pub queue: Option<Id<QueueId>>,
    /// `cursor` of the page before.
    pub cursor: Option<String>,
    /// At most this many, by default and at most 50.
    pub limit: Option<u32>,
}

/// `conversation.search`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Search {
    /// Words that a message must all contain; at most 200 characters.
    pub text: String,
    /// Only this queue; otherwise every queue that the agent serves.
    pub queue: Option<Id<QueueId>>,
    /// Only messages written then or later, ms since 1970.
    pub from: Option<u64>,
    /// Only messages written before, ms since 1970.
    pub to: Option<u64>,
    /// `cursor` of the page before.
    pub cursor: Option<String>,
    /// A page ends with the conversation that brings it to so many hits; by default and at most 20.
    pub limit: Option<u32>,
}

/// Methods that need a queue alone.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct InQueue {
    /// Which queue.
    pub queue: Id<QueueId>,
}

/// Methods that change a queue and need nothing more.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ChangeQueue {
    /// Which queue.
    pub queue: Id<QueueId>,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// Lists that come in pages.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Page {
    /// `cursor` of the page before.
    pub cursor: Option<String>,
}

/// Presence as chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PresenceStatus {
    /// Serves; may be assigned to.
    Online,
    /// Connected, but not to be assigned to.
    Away,
    /// Not there.
    Offline,
}

impl From<PresenceStatus> for Status {
    fn from(status: PresenceStatus) -> Self {
        match status {
            PresenceStatus::Online => Status::Online,
            PresenceStatus::Away => Status::Away,
            PresenceStatus::Offline => Status::Offline,
        }
    }
}

/// `presence.set`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct PresenceSet {
    /// What is chosen.
    pub status: PresenceStatus,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// `agent.list`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AgentList {
    /// Only those who serve this queue.
    pub queue: Option<Id<QueueId>>,
    /// `cursor` of the page before.
    pub cursor: Option<String>,
}

/// Whose a canned message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The agent's own.
    #[default]
    Personal,
    /// The organisation's; operators only.
    Shared,
}

impl From<Scope> for CannedScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Personal => CannedScope::Personal,
            Scope::Shared => CannedScope::Shared,
        }
    }
}

/// `canned.set`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CannedSet {
    /// What is typed behind `/`: at most 64 bytes without white space.
    pub keyword: String,
    /// What it becomes; placeholders such as `[agent]` are filled by clients.
    pub text: String,
    /// Whose it is, by default `personal`.
    pub scope: Option<Scope>,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}

/// `canned.remove`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CannedRemove {
    /// Which.
    pub keyword: String,
    /// Whose it is, by default `personal`.
    pub scope: Option<Scope>,
    /// See [Idempotency](#idempotency).
    pub key: Option<Key>,
}
