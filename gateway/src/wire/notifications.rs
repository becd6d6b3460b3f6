//! What the server says without being asked: one struct each, the table of all, and the encoding of
//! the engine's notices for each audience.

use jono_domain::account::Audience;
use jono_domain::agent::PresenceCause;
use jono_domain::id::{AgentId, ConversationId, QueueId};
use jono_domain::notice::{Notice, Warning, WorseReason};
use jono_engine::delivery::Shared;
use jono_engine::directory::Directory;
use jono_socket::Text;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::envelope;
use super::event::{Event, shows_agents_more};
use super::id::Id;
use super::methods::Roles;
use super::shown::{AgentConversation, AgentQueue, AnyConversation, By, Canned, ShownCause, ShownStatus, ms};

/// Bytes of a canned.changed that is sent whole; a longer list is read with `canned.list`.
const CANNED_BYTES_MAX: usize = 64 * 1024;

/// `conversation.unfollowed`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Unfollowed {
    /// Which conversation.
    pub conversation: Id<ConversationId>,
}

/// `queue.renewed`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct QueueRenewed {
    /// Which queue.
    pub queue: Id<QueueId>,
}

/// `conversation.updated`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Updated<'a> {
    /// The rows as they are now.
    pub conversations: Vec<AgentConversation<'a>>,
}

/// Why a position became worse.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PositionReason {
    /// Someone with priority came.
    Priority,
    /// Someone who had waited longer came back.
    Returned,
}

/// `conversation.position`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Position {
    /// Which conversation.
    pub conversation: Id<ConversationId>,
    /// From 1.
    pub position: u32,
    /// Estimated wait, when something is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// Why it is worse than the last one told, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<PositionReason>,
}

/// Which deadline is near.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineWarning {
    /// `release_at`.
    Release,
    /// `close_at`.
    Close,
}

/// `conversation.deadline`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Deadline {
    /// Which conversation.
    pub conversation: Id<ConversationId>,
    /// When the claim is dropped, ms since 1970; absent: never, as things stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_at: Option<u64>,
    /// When the conversation is closed, ms since 1970; absent: never, as things stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_at: Option<u64>,
    /// Said once, some time before the deadline (a setting of the queue, by default 60 s).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<DeadlineWarning>,
}

/// `typing.changed`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Typing")]
pub struct Typing<'a> {
    /// Where.
    pub conversation: Id<ConversationId>,
    /// Who.
    pub by: By<'a>,
    /// Begun or stopped. Without news for some seconds, take it as stopped.
    pub typing: bool,
    /// Agents only, where the queue shows it: what the customer has typed so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<&'a str>,
}

/// `receipt.changed`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Receipt")]
pub struct Receipt<'a> {
    /// Where.
    pub conversation: Id<ConversationId>,
    /// Who has read.
    pub by: By<'a>,
    /// Up to which event.
    pub seq: u64,
}

/// `notification.raised`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Raised")]
pub struct Raised<'a> {
    /// In which queue.
    pub queue: Id<QueueId>,
    /// In which conversation.
    pub conversation: Id<ConversationId>,
    /// How the message begins.
    pub preview: &'a str,
}

/// `agent.presence`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AgentPresence {
    /// Who.
    pub agent: Id<AgentId>,
    /// Presence now.
    pub status: ShownStatus,
    /// Is a session of theirs connected?
    pub connected: bool,
    /// Since when the status is this, ms since 1970.
    pub since: u64,
    /// Why.
    pub cause: ShownCause,
}

/// `customer.blocked`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CustomerBlocked {
    /// Cannot write, or can again.
    pub blocked: bool,
    /// Until when, ms since 1970; absent while blocked: until somebody unblocks them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// `canned.changed`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CannedChanged")]
pub struct CannedChanged<'a> {
    /// All personal ones as they are now; absent when they are too many: read them with `canned.list`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canned: Option<Vec<Canned<'a>>>,
}

/// Notifications that say it all with their name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Nothing {}

/// One kind of notification, as it is documented.
pub struct Notification {
    /// Its method.
    pub name: &'static str,
    /// Who gets it.
    pub roles: Roles,
    /// When it comes.
    pub summary: &'static str,
    /// The schema of its `params`.
    pub params: fn(&mut SchemaGenerator) -> Schema,
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

/// All of them.
pub const NOTIFICATIONS: &[Notification] = &[
    Notification {
        name: "conversation.event",
        roles: Roles::ALL,
        summary: "A followed conversation's log has grown. Exactly once for each event the session may see, in order; `prev` names the one before.",
        params: schema::<Event<'static>>,
    },
    Notification {
        name: "conversation.followed",
        roles: Roles::ALL,
        summary: "The session follows a conversation without having asked: it was given to the agent, or begun in another tab. Its events after `from_seq` come next.",
        params: schema::<AnyConversation<'static>>,
    },
    Notification {
        name: "conversation.unfollowed",
        roles: Roles::ALL,
        summary: "The session may no longer see the conversation.",
        params: schema::<Unfollowed>,
    },
    Notification {
        name: "conversation.position",
        roles: Roles::CUSTOMER,
        summary: "The customer's place in the queue, at most every 2 s (beyond the hundredth: 10 s).",
        params: schema::<Position>,
    },
    Notification {
        name: "conversation.deadline",
        roles: Roles::ALL,
        summary: "Deadlines that moved without an event, or are near.",
        params: schema::<Deadline>,
    },
    Notification {
        name: "typing.changed",
        roles: Roles::ALL,
        summary: "Somebody types, or has stopped. Not stored.",
        params: schema::<Typing<'static>>,
    },
    Notification {
        name: "receipt.changed",
        roles: Roles::ALL,
        summary: "Somebody has read.",
        params: schema::<Receipt<'static>>,
    },
    Notification {
        name: "conversation.updated",
        roles: Roles::AGENT,
        summary: "Rows of a subscribed queue's lists came, changed, or ended (`state: closed`), or moved to another queue. \
                  At most 25 together; a queue's changes are pushed at most every 100 ms.",
        params: schema::<Updated<'static>>,
    },
    Notification {
        name: "queue.updated",
        roles: Roles::AGENT,
        summary: "A subscribed queue's numbers changed, at most every 100 ms.",
        params: schema::<AgentQueue<'static>>,
    },
    Notification {
        name: "queue.renewed",
        roles: Roles::AGENT,
        summary: "Another process serves the subscribed queue now: rows of its lists may have come and gone unseen. \
                  Read them again with `conversation.list`.",
        params: schema::<QueueRenewed>,
    },
    Notification {
        name: "notification.raised",
        roles: Roles::AGENT,
        summary: "A customer wrote in a subscribed queue, and nobody serves them yet.",
        params: schema::<Raised<'static>>,
    },
    Notification {
        name: "agent.presence",
        roles: Roles::AGENT,
        summary: "An agent of the organisation came, went, or stepped aside.",
        params: schema::<AgentPresence>,
    },
    Notification {
        name: "customer.blocked",
        roles: Roles::CUSTOMER,
        summary: "The customer was blocked, or may write again.",
        params: schema::<CustomerBlocked>,
    },
    Notification {
        name: "canned.changed",
        roles: Roles::AGENT,
        summary: "The agent's personal canned messages changed.",
        params: schema::<CannedChanged<'static>>,
    },
    Notification {
        name: "organisation.changed",
        roles: Roles::AGENT,
        summary: "Settings, queues, people, tags or shared canned messages changed: read what you show again. When your own account, role or queues changed, the connection is closed with 4004 instead.",
        params: schema::<Nothing>,
    },
    Notification {
        name: "server.draining",
        roles: Roles::ALL,
        summary: "This server is going. The connection will be closed with 1012: resume at once.",
        params: schema::<Nothing>,
    },
];

/// The notice for an audience, encoded at most once per process; empty when it is not for it.
#[must_use]
pub fn encoded(notice: &Shared<Notice>, audience: Audience, directory: &Directory) -> Text {
    // Most are the same for both: made once, under the name of one of them.
    let audience = if is_alike(&notice.value) { Audience::Agent } else { audience };
    notice.encoded(audience, |notice| encode(notice, audience, directory).map_or_else(Text::default, Text::from))
}

/// Whether both audiences get the notice, and the same bytes of it.
fn is_alike(notice: &Notice) -> bool {
    match notice {
        Notice::Entry { entry, .. } => {
            let same_prev = entry.prev_for(Audience::Agent) == entry.prev_for(Audience::Customer);
            entry.is_for(Audience::Customer) && same_prev && !shows_agents_more(&entry.body)
        }
        Notice::Typing { preview, .. } => preview.is_none(),
        Notice::Position { .. } | Notice::Deadline { .. } | Notice::Receipt { .. } => true,
        Notice::Rows(_)
        | Notice::Queue(_)
        | Notice::Raised { .. }
        | Notice::Presence { .. }
        | Notice::Blocked(_)
        | Notice::Canned(_)
        | Notice::OrganisationChanged => false,
    }
}

/// One event as a notification; `None` if the audience may not see it.
#[must_use]
pub fn event(event: &Event<'_>) -> String {
    say("conversation.event", event)
}

/// A notification with parameters.
#[must_use]
pub fn say<P: Serialize>(method: &str, params: &P) -> String {
    envelope::notification(method, params)
}

fn encode(notice: &Notice, audience: Audience, directory: &Directory) -> Option<String> {
    let for_agents = audience == Audience::Agent;
    Some(match notice {
        Notice::Entry { conversation, entry, deadlines } => {
            event(&Event::of(*conversation, entry, Some(*deadlines), audience, directory)?)
        }
        Notice::Position { conversation, position, wait_ms, reason } => {
            let reason = reason.map(|reason| match reason {
                WorseReason::Priority => PositionReason::Priority,
                WorseReason::Returned => PositionReason::Returned,
            });
            let position = Position { conversation: Id(*conversation), position: *position, wait_ms: *wait_ms, reason };
            say("conversation.position", &position)
        }
        Notice::Deadline { conversation, deadlines, warning } => {
            let warning = warning.map(|warning| match warning {
                Warning::Release => DeadlineWarning::Release,
                Warning::Close => DeadlineWarning::Close,
            });
            let (release_at, close_at) = (ms(deadlines.release_at), ms(deadlines.close_at));
            say("conversation.deadline", &Deadline { conversation: Id(*conversation), release_at, close_at, warning })
        }
        Notice::Typing { conversation, by, typing, preview } => {
            let preview = preview.as_deref().filter(|_| for_agents);
            let by = By::of(*by, directory);
            say("typing.changed", &Typing { conversation: Id(*conversation), by, typing: *typing, preview })
        }
        Notice::Receipt { conversation, by, seq } => {
            let by = By::of(*by, directory);
            say("receipt.changed", &Receipt { conversation: Id(*conversation), by, seq: *seq })
        }
        Notice::Rows(rows) if for_agents => {
            let conversations = rows.iter().map(|row| AgentConversation::row(row, directory)).collect();
            say("conversation.updated", &Updated { conversations })
        }
        Notice::Queue(summary) if for_agents => say("queue.updated", &AgentQueue::of(summary, directory)),
        Notice::Raised { queue, conversation, preview } if for_agents => {
            say("notification.raised", &Raised { queue: Id(*queue), conversation: Id(*conversation), preview })
        }
        Notice::Presence { agent, presence } if for_agents => {
            let cause: PresenceCause = presence.cause;
            let presence = AgentPresence {
                agent: Id(*agent),
                status: presence.status.into(),
                connected: presence.connected,
                since: presence.since.0,
                cause: cause.into(),
            };
            say("agent.presence", &presence)
        }
        Notice::Blocked(blocked) if !for_agents => {
            let until = blocked.and_then(ms);
            say("customer.blocked", &CustomerBlocked { blocked: blocked.is_some(), until })
        }
        Notice::Canned(canned) if for_agents => {
            let bytes: usize = canned.iter().map(|canned| canned.text.len() + canned.keyword.len()).sum();
            let all = || canned.iter().map(Canned::from).collect();
            say("canned.changed", &CannedChanged { canned: (bytes <= CANNED_BYTES_MAX).then(all) })
        }
        Notice::OrganisationChanged if for_agents => say("organisation.changed", &Nothing {}),
        Notice::Rows(_)
        | Notice::Queue(_)
        | Notice::Raised { .. }
        | Notice::Presence { .. }
        | Notice::Blocked(_)
        | Notice::Canned(_)
        | Notice::OrganisationChanged => return None,
    })
}

/// The conversation that a notice is about, for those that only its followers get.
#[must_use]
pub fn conversation_of(notice: &Notice) -> Option<ConversationId> {
    match notice {
        Notice::Entry { conversation, .. }
        | Notice::Position { conversation, .. }
        | Notice::Deadline { conversation, .. }
        | Notice::Typing { conversation, .. }
        | Notice::Receipt { conversation, .. } => Some(*conversation),
        Notice::Rows(_)
        | Notice::Queue(_)
        | Notice::Raised { .. }
        | Notice::Presence { .. }
        | Notice::Blocked(_)
        | Notice::Canned(_)
        | Notice::OrganisationChanged => None,
    }
}
