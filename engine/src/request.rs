//! What can be asked of the engine, and what it answers.

use jono_domain::account::{Audience, Who};
use jono_domain::conversation::{Entry, Row};
use jono_domain::id::{ConversationId, QueueId};
use jono_domain::message::{Address, Order};
use jono_domain::reply::{Refusal, Reply};
use jono_domain::time::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::oneshot;

use crate::delivery::{Delivery, SessionRef};

/// To whom an answer goes. A request is answered exactly once, unless the process ends first.
#[derive(Debug, Default)]
pub enum ReplyTo {
    /// To a session, as a [`crate::delivery::Delivery::Answer`], in order with what else it is told.
    Session {
        /// Which.
        session: SessionRef,
        /// The session's own number for the request.
        request: u64,
    },
    /// To whoever waits.
    Once(oneshot::Sender<Answer>),
    /// Nobody waits.
    #[default]
    Nobody,
}

impl ReplyTo {
    /// Answers: at once, or with the deliveries.
    pub(crate) fn answer(self, answer: Answer, deliveries: &mut Vec<(SessionRef, Delivery)>) {
        match self {
            ReplyTo::Session { session, request } => deliveries.push((session, Delivery::Answer { request, answer })),
            // Whoever asked may have gone.
            ReplyTo::Once(sender) => drop(sender.send(answer)),
            ReplyTo::Nobody => {}
        }
    }
}

/// Between processes: a session and its number. Whoever waits in this process is given a number before a request leaves it.
impl Serialize for ReplyTo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let session = match self {
            ReplyTo::Session { session, request } => Some((*session, *request)),
            ReplyTo::Once(_) | ReplyTo::Nobody => None,
        };
        session.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ReplyTo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let session = Option::<(SessionRef, u64)>::deserialize(deserializer)?;
        Ok(session.map_or(ReplyTo::Nobody, |(session, request)| ReplyTo::Session { session, request }))
    }
}

/// A request to one entity.
#[derive(Debug)]
pub struct Request {
    /// Whose credential it came with.
    pub who: Who,
    /// Chosen by the client; repeating it gives the first answer (guarantee G2).
    pub key: Option<String>,
    /// What is asked of whom. The caller must not pass commands that are *internal*.
    pub order: Order,
    /// To whom the answer goes.
    pub reply_to: ReplyTo,
}

/// A session begins to follow an entity: it is told what happens there from now on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Follow {
    /// The session.
    pub session: SessionRef,
    /// Its credential.
    pub who: Who,
    /// What it follows. Agents follow themselves, their organisation, queues and conversations;
    /// customers follow themselves and conversations.
    pub what: Address,
    /// For conversations: the last event that the session has; the ones after it are sent. Following
    /// again while following changes nothing and sends nothing.
    pub after: u64,
    /// At most about so many bytes of missing events are sent, the newest; at least one event. What is left
    /// out shows as a gap (see [`Outcome::Following`]).
    pub bytes_max: usize,
    /// The entity's id was made a moment ago, for this session: nothing can be stored under it, and it is not
    /// loaded for this. A visitor who only looks costs no actor.
    pub is_new: bool,
    /// Answered with [`Outcome::Following`].
    pub reply_to: ReplyTo,
}

/// A question over several entities, or into the past.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// A part of a conversation's log.
    /// It ends early where its events would be larger than [`crate::limits::HISTORY_BYTES_MAX`].
    History {
        /// Which.
        conversation: ConversationId,
        /// The part after (`true`) or before (`false`) this number.
        forward: bool,
        /// See `forward`.
        from: u64,
        /// At most this many events.
        limit: usize,
    },
    /// Lists (SPEC section 2).
    List {
        /// Which list.
        view: View,
        /// Only this queue; `None` is every queue that the agent serves.
        queue: Option<QueueId>,
        /// Where the page before ended.
        cursor: Option<String>,
        /// At most this many rows.
        limit: usize,
    },
    /// Messages that contain all words of the text, newest conversations first.
    Search {
        /// What to look for.
        text: String,
        /// Only this queue.
        queue: Option<QueueId>,
        /// Only messages written then or later.
        from: Option<Time>,
        /// Only messages written before.
        to: Option<Time>,
        /// Where the page before ended.
        cursor: Option<String>,
        /// A page ends with the conversation that brings it to so many hits.
        limit: usize,
    },
}

/// Which list of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Waiting, then those in progress; in each group the oldest last message first.
    Open,
    /// Held by the asking agent; oldest last message first.
    Mine,
    /// Ended; newest first.
    Closed,
}

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The conversation it is in.
    pub row: Row,
    /// The event that holds it.
    pub entry: Entry,
}

/// A yes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// What the entity answered.
    Reply(Reply),
    /// The session follows now; the events after `from_seq` are on their way.
    Following {
        /// The state as it is.
        state: Reply,
        /// As which audience.
        audience: Audience,
        /// The first event that is sent has a higher number than this. Larger than the `after` that was asked
        /// for means a gap: the events between can be read by [`Query::History`].
        from_seq: u64,
    },
    /// A part of a log.
    History {
        /// In order; only what the asker may see.
        entries: Vec<Entry>,
        /// The number of the last event that the asker may see.
        head: u64,
    },
    /// A page of a list.
    Rows {
        /// In order.
        rows: Vec<Row>,
        /// Where the next page begins, if there is one.
        cursor: Option<String>,
    },
    /// A page of a search.
    Found {
        /// Newest conversations first.
        hits: Vec<Hit>,
        /// Where the search goes on. Present also when a page is short because much had to be read.
        cursor: Option<String>,
    },
}

/// What a request is answered with.
pub type Answer = Result<Outcome, Refusal>;

/// The engine's queue for this part is full: answer `busy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;
