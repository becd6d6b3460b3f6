//! What methods answer: one struct each.

use std::borrow::Cow;

use jono_domain::id::{AgentId, ConversationId, CustomerId};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::event::{Event, is_false};
use super::id::Id;
use super::shown::{
    AgentConversation, AnyConversation, AnyQueue, BlockedUntil, Canned, Colleague, ConversationState, OrganisationName,
    ShownKind, ShownRole, ShownStatus, ShownTag,
};

/// JSON that was made before, of a known type.
pub struct Made<T>(pub Box<RawValue>, std::marker::PhantomData<T>);

impl<T> std::fmt::Debug for Made<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.get())
    }
}

impl<T: Serialize> Made<T> {
    /// Makes it.
    #[must_use]
    pub fn of(value: &T) -> Self {
        let made = serde_json::value::to_raw_value(value).expect("what is shown has text keys and no failing parts");
        Self(made, std::marker::PhantomData)
    }
}

impl<T> Made<T> {
    /// The same JSON, as one of several types.
    #[must_use]
    pub fn into<U>(self) -> Made<U> {
        Made(self.0, std::marker::PhantomData)
    }

    /// Its length in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.get().len()
    }
}

impl<T> Serialize for Made<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Made<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }
}

/// Done; there is nothing to add.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Done {}

/// `ping`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Pong {
    /// The server's time, ms since 1970.
    pub now: u64,
}

/// Who the session is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(rename = "Me")]
pub enum Me<'a> {
    /// A customer.
    Customer {
        /// Who.
        id: Id<CustomerId>,
        /// What they call themselves.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        /// They cannot write.
        #[serde(skip_serializing_if = "Option::is_none")]
        blocked: Option<BlockedUntil>,
    },
    /// An agent.
    Agent {
        /// Who.
        id: Id<AgentId>,
        /// What they are called.
        name: &'a str,
        /// Person or bot.
        account: ShownKind,
        /// Agent or operator.
        role: ShownRole,
        /// Presence, before this session counts.
        status: ShownStatus,
        /// Canned messages, personal and shared.
        canned: Vec<Made<Canned<'a>>>,
    },
}

/// The organisation, with what agents get to know of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Organisation")]
pub struct ShownOrganisation<'a> {
    /// Its id and name.
    #[serde(flatten)]
    pub named: OrganisationName<'a>,
    /// Agents only: the tags that can be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Made<ShownTag<'a>>>>,
    /// Agents only: the colleagues and their presence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<Made<Colleague<'a>>>>,
}

/// What this server accepts.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct ShownLimits {
    /// Bytes of a message's text.
    pub message_bytes: usize,
    /// Bytes of a text frame.
    pub frame_bytes: usize,
    /// Requests in a batch.
    pub batch: usize,
    /// Events in a page of history.
    pub history: usize,
    /// Requests of one session that may wait for an answer.
    pub requests: usize,
}

/// Lists of `session.open`'s result that can be too long for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Read the rest with `agent.list`.
    Agents,
    /// Read the rest with `canned.list`.
    Canned,
    /// Read the rest with `queue.list`.
    Queues,
    /// Read the rest with `tag.list`.
    Tags,
    /// The rest come as `conversation.followed`.
    Conversations,
}

/// `session.open`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionOpened")]
pub struct SessionOpened<'a> {
    /// The session's name, for logs and questions.
    pub session: String,
    /// Customers: the token that brings the same customer back, from any tab and through any gateway, for 30 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
    /// Complete: for every conversation in `since`, everything after it is sent. Without `since`: a resume
    /// token was accepted.
    pub resumed: bool,
    /// Which log the numbers belong to; another one means that the server's data are new: forget everything.
    pub log: String,
    /// Who the session is.
    pub me: Me<'a>,
    /// Where.
    pub organisation: ShownOrganisation<'a>,
    /// Customers: those that the site offers, in its order. Agents: those they serve; operators: all.
    pub queues: Vec<Made<AnyQueue<'a>>>,
    /// The conversations that the session follows now, each with `from_seq`. The events after that come as
    /// notifications behind this result.
    pub conversations: Vec<Made<AnyConversation<'a>>>,
    /// Customers: conversations that have ended and can still be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Vec<Id<ConversationId>>>,
    /// Lists in here that were too long and are cut.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<Part>,
    /// What this server accepts.
    pub limits: ShownLimits,
    /// The server's time, ms since 1970.
    pub now: u64,
}

/// `conversation.start`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Started {
    /// The new conversation; the session follows it.
    pub conversation: Id<ConversationId>,
    /// Where it is in its life.
    pub state: ConversationState,
    /// Place in the queue, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// Estimated wait, when something is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// An event was written; both absent when there was nothing to change.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Written {
    /// The event's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Its time, ms since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// `conversation.claim`, `queue.pick`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Claimed {
    /// Which conversation; all sessions of the agent follow it now.
    pub conversation: Id<ConversationId>,
    /// The claim's number, for writing.
    pub claim: u64,
    /// When the claim is dropped without activity, ms since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_at: Option<u64>,
}

/// `conversation.history`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "HistoryPage")]
pub struct HistoryPage<'a> {
    /// In order.
    pub events: Vec<Made<Event<'a>>>,
    /// The number of the last event that the asker may see.
    pub head: u64,
    /// There is more in the direction that was asked for: the page was cut by `limit`, or at 128 KiB.
    pub more: bool,
}

/// `conversation.list`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ListPage")]
pub struct ListPage<'a> {
    /// In the order of the view.
    pub conversations: Vec<AgentConversation<'a>>,
    /// Asks for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<&'a str>,
}

/// A message that was found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Hit")]
pub struct ShownHit<'a> {
    /// The conversation it is in.
    pub conversation: AgentConversation<'a>,
    /// The event that holds it; texts over 2 KiB are cut.
    pub event: Event<'a>,
}

/// `conversation.search`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SearchPage")]
pub struct SearchPage<'a> {
    /// Newest conversations first.
    pub hits: Vec<Made<ShownHit<'a>>>,
    /// More messages of the last conversation match than fit a page: look for them there.
    #[serde(skip_serializing_if = "is_false")]
    pub cut: bool,
    /// Goes on searching; may be present with few hits or none, when much had to be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// `queue.list`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "QueuePage")]
pub struct QueuePage<'a> {
    /// Customers: those that the site offers. Agents: those they serve; operators: all.
    pub queues: Vec<Made<AnyQueue<'a>>>,
    /// Asks for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// `agent.list`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AgentPage")]
pub struct AgentPage<'a> {
    /// In the order of their ids.
    pub agents: Vec<Made<Colleague<'a>>>,
    /// Asks for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// `canned.list`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CannedPage")]
pub struct CannedPage<'a> {
    /// Personal ones, then shared ones, each in the order of their keywords.
    pub canned: Vec<Made<Canned<'a>>>,
    /// Asks for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// `tag.list`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TagPage")]
pub struct TagPage<'a> {
    /// In the order of their names.
    pub tags: Vec<Made<ShownTag<'a>>>,
    /// Asks for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
