//! The events of a conversation's log as clients see them.

use jono_domain::account::Audience;
use jono_domain::conversation::{self, CloseCause, Entry, ReleaseCause};
use jono_domain::id::{ConversationId, CustomerId, QueueId};
use jono_domain::notice::Deadlines;
use jono_engine::directory::Directory;
use schemars::JsonSchema;
use serde::Serialize;

use super::id::Id;
use super::metadata::ShownMetadata;
use super::shown::{AgentName, By, ms};

/// Bytes of a text that a search hit shows; more is cut.
pub const HIT_TEXT_BYTES: usize = 2_048;

/// One event of a conversation.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct Event<'a> {
    /// In which conversation.
    pub conversation: Id<ConversationId>,
    /// Its number: 1, 2, 3, ...
    pub seq: u64,
    /// The number of the event before it that this audience may see; 0 if there is none. A client that
    /// has not seen that one has missed something.
    pub prev: u64,
    /// When it happened, ms since 1970.
    pub at: u64,
    /// Who did it.
    pub by: By<'a>,
    /// What happened.
    #[serde(flatten)]
    pub what: What<'a>,
    /// Live events only: when the claim is dropped, ms since 1970; absent: never, as things stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_at: Option<u64>,
    /// Live events only: when the conversation is closed, ms since 1970; absent: never, as things stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_at: Option<u64>,
}

/// What happened: `type` and `body`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", content = "body", rename_all = "snake_case")]
#[schemars(rename = "What")]
pub enum What<'a> {
    /// A customer began it.
    Started {
        /// The visitor.
        customer: Id<CustomerId>,
        /// What they call themselves.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        /// Agents only: what the page told.
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<ShownMetadata<'a>>,
        /// Place in the order of waiting.
        priority: i8,
    },
    /// It waits in a queue.
    Queued {
        /// Which.
        queue: Id<QueueId>,
        /// The place it got.
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<u32>,
        /// The wait that was estimated.
        #[serde(skip_serializing_if = "Option::is_none")]
        wait_ms: Option<u64>,
    },
    /// An agent took it.
    Claimed {
        /// Who.
        agent: AgentName<'a>,
        /// The claim's number.
        claim: u64,
    },
    /// The claim ended; it waits again.
    Released {
        /// Whose it was.
        agent: AgentName<'a>,
        /// Why.
        cause: ShownReleaseCause,
    },
    /// It was given to an agent.
    Assigned {
        /// Who held it.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<AgentName<'a>>,
        /// Who holds it now.
        to: AgentName<'a>,
        /// The claim's number.
        claim: u64,
    },
    /// It waits in another queue.
    Transferred {
        /// Where it was.
        from: Id<QueueId>,
        /// Where it is.
        to: Id<QueueId>,
    },
    /// A message.
    Message {
        /// The text.
        text: &'a str,
        /// Search hits only: the text is longer than what is shown.
        #[serde(skip_serializing_if = "is_false")]
        cut: bool,
    },
    /// Agents only: a note.
    Note {
        /// The text.
        text: &'a str,
        /// Search hits only: the text is longer than what is shown.
        #[serde(skip_serializing_if = "is_false")]
        cut: bool,
    },
    /// Agents only: a tag was set.
    Tagged {
        /// Which.
        tag: &'a str,
    },
    /// Agents only: a tag was taken away.
    Untagged {
        /// Which.
        tag: &'a str,
    },
    /// Agents only: it moved in the order of waiting.
    Prioritised {
        /// Higher is served first.
        priority: i8,
    },
    /// Agents only: more is known about the customer.
    Metadata {
        /// What changed.
        changes: ShownMetadata<'a>,
    },
    /// The customer cannot write.
    Blocked {
        /// Until when, ms since 1970; absent: until somebody unblocks them.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<u64>,
    },
    /// The customer can write again.
    Unblocked {},
    /// It ended.
    Closed {
        /// Why.
        cause: ShownCloseCause,
    },
    /// The customer's opinion.
    Rated {
        /// 1 (bad) to 5 (good).
        rating: u8,
        /// In words.
        #[serde(skip_serializing_if = "Option::is_none")]
        comment: Option<&'a str>,
    },
}

/// Why a claim ended.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ReleaseCause")]
pub enum ShownReleaseCause {
    /// The holder gave it back.
    Manual,
    /// The holder did nothing for too long.
    Inactive,
}

/// Why a conversation ended.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CloseCause")]
pub enum ShownCloseCause {
    /// An agent ended it.
    Agent,
    /// The customer left.
    Customer,
    /// The customer did nothing for too long.
    Inactive,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it may skip by reference")]
pub(super) fn is_false(value: &bool) -> bool {
    !*value
}

impl<'a> Event<'a> {
    /// The entry as the audience sees it; `None` if it may not. `deadlines` are those after a live event.
    #[must_use]
    pub fn of(
        conversation: ConversationId,
        entry: &'a Entry,
        deadlines: Option<Deadlines>,
        audience: Audience,
        directory: &'a Directory,
    ) -> Option<Self> {
        entry.is_for(audience).then(|| Self {
            conversation: Id(conversation),
            seq: entry.seq,
            prev: entry.prev_for(audience),
            at: entry.at.0,
            by: By::of(entry.by, directory),
            what: What::of(&entry.body, audience, directory),
            release_at: deadlines.and_then(|deadlines| ms(deadlines.release_at)),
            close_at: deadlines.and_then(|deadlines| ms(deadlines.close_at)),
        })
    }

    /// The entry as a search hit: long texts are cut.
    #[must_use]
    pub fn hit(conversation: ConversationId, entry: &'a Entry, directory: &'a Directory) -> Option<Self> {
        let mut event = Self::of(conversation, entry, None, Audience::Agent, directory)?;
        if let What::Message { text, cut } | What::Note { text, cut } = &mut event.what
            && text.len() > HIT_TEXT_BYTES
        {
            let mut end = HIT_TEXT_BYTES;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            *text = &text[..end];
            *cut = true;
        }
        Some(event)
    }
}

impl<'a> What<'a> {
    fn of(body: &'a conversation::Body, audience: Audience, directory: &'a Directory) -> Self {
        use conversation::Body;
        let agent = |agent| AgentName::of(agent, directory);
        match body {
            Body::Started { customer, customer_name, metadata, priority, .. } => What::Started {
                customer: Id(*customer),
                name: customer_name.as_deref(),
                metadata: (audience == Audience::Agent)
                    .then(|| ShownMetadata(metadata.iter().map(|(key, value)| (key.as_str(), Some(value))).collect())),
                priority: *priority,
            },
            Body::Queued { queue, position, wait_ms } => {
                let told = audience == Audience::Agent || shows_position(*queue, directory);
                What::Queued { queue: Id(*queue), position: told.then_some(*position), wait_ms: wait_ms.filter(|_| told) }
            }
            Body::Claimed { agent: who, claim } => What::Claimed { agent: agent(*who), claim: *claim },
            Body::Released { agent: who, cause } => What::Released {
                agent: agent(*who),
                cause: match cause {
                    ReleaseCause::Manual => ShownReleaseCause::Manual,
                    ReleaseCause::Inactive => ShownReleaseCause::Inactive,
                },
            },
            Body::Assigned { from, to, claim } => What::Assigned { from: from.map(agent), to: agent(*to), claim: *claim },
            Body::Transferred { from, to, .. } => What::Transferred { from: Id(*from), to: Id(*to) },
            Body::Message { text } => What::Message { text, cut: false },
            Body::NoteAdded { text } => What::Note { text, cut: false },
            Body::Tagged { tag } => What::Tagged { tag },
            Body::Untagged { tag } => What::Untagged { tag },
            Body::Prioritised { priority } => What::Prioritised { priority: *priority },
            Body::MetadataChanged { changes } => What::Metadata {
                changes: ShownMetadata(changes.iter().map(|(key, value)| (key.as_str(), value.as_ref())).collect()),
            },
            Body::Blocked { until } => What::Blocked { until: ms(*until) },
            Body::Unblocked => What::Unblocked {},
            Body::Closed { cause, .. } => What::Closed {
                cause: match cause {
                    CloseCause::Agent => ShownCloseCause::Agent,
                    CloseCause::Customer => ShownCloseCause::Customer,
                    CloseCause::Inactive => ShownCloseCause::Inactive,
                },
            },
            Body::Rated { rating, comment } => What::Rated { rating: *rating, comment: comment.as_deref() },
        }
    }
}

/// Whether agents are shown parts of what happened that customers are not.
#[must_use]
pub fn shows_agents_more(body: &conversation::Body) -> bool {
    use conversation::Body;
    match body {
        Body::Started { .. } | Body::Queued { .. } => true,
        Body::Claimed { .. }
        | Body::Released { .. }
        | Body::Assigned { .. }
        | Body::Transferred { .. }
        | Body::Message { .. }
        | Body::NoteAdded { .. }
        | Body::Tagged { .. }
        | Body::Untagged { .. }
        | Body::Prioritised { .. }
        | Body::MetadataChanged { .. }
        | Body::Blocked { .. }
        | Body::Unblocked
        | Body::Closed { .. }
        | Body::Rated { .. } => false,
    }
}

/// Does the queue tell its customers their place?
#[must_use]
pub fn shows_position(queue: QueueId, directory: &Directory) -> bool {
    let config = directory.of_queue(queue).and_then(|organisation| organisation.queue(queue));
    config.is_none_or(|config| config.settings.policy.show_position)
}
