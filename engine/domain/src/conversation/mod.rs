//! The conversation: its log, its life, and the claim. It is the truth about itself; queues and
//! agents hold copies that it announces.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::account::{Audience, Author};
use crate::id::{ConversationId, CustomerId, OrganisationId, QueueId};
use crate::log::Log;
use crate::machine::{Context, Machine, Weight};
use crate::message::{Effect, IndexChange};
use crate::reply::{ConversationView, Refusal, Reply};
use crate::time::Time;

mod access;
mod command;
mod decide;
mod event;
mod evolve;
mod life;
mod metadata;
mod react;
mod row;
#[cfg(test)]
mod tests;

pub use command::{Command, Start};
pub use decide::pick_elsewhere;
pub use event::{Body, CloseCause, Entry, Event, ReleaseCause};
pub use life::{Life, Phase};
pub use metadata::MetadataValue;
pub use row::{Row, RowState, closed_key, closed_prefix};

/// Whose conversation it is, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The tenant.
    pub organisation: OrganisationId,
    /// The visitor.
    pub customer: CustomerId,
    /// The queue it waits in or was taken from.
    pub queue: QueueId,
}

/// The state of one conversation. The log's texts are not in here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// `None` until it is started.
    pub about: Option<About>,
    /// When it was started.
    pub started_at: Time,
    /// What the customer calls themselves.
    pub customer_name: Option<String>,
    /// Numbers and read marks.
    pub log: Log,
    /// Queue, claim, clocks.
    pub life: Life,
    /// What is known about the customer.
    pub metadata: BTreeMap<String, MetadataValue>,
    /// Set by agents.
    pub tags: BTreeSet<String>,
    /// How the last message begins.
    pub preview: String,
    /// When it was written.
    pub last_message_at: Time,
    /// The numbers of the customer's messages that no agent has read; at most [`UNREAD_KEPT`].
    pub unread: Vec<u64>,
    /// The customer's opinion.
    pub rating: Option<u8>,
    /// Until when the customer is blocked (a copy; the customer's own entity is the truth).
    pub blocked: Option<Option<Time>>,
    /// Place and estimate as the customer was told.
    pub place: Option<(u32, Option<u64>)>,
}

/// Unread messages are counted up to this many; a client shows "99+".
pub const UNREAD_KEPT: usize = 100;

impl Conversation {
    fn queue(&self) -> QueueId {
        self.about.map_or(QueueId::from_bits(0), |about| about.queue)
    }

    fn customer(&self) -> CustomerId {
        self.about.map_or(CustomerId::from_bits(0), |about| about.customer)
    }

    /// Place and estimate, where the customer is shown them.
    fn place_shown(&self) -> Option<(u32, Option<u64>)> {
        self.place.filter(|_| self.life.phase == Phase::Waiting && self.life.policy.show_position)
    }

    fn is_blocked(&self, now: Time) -> Option<Option<Time>> {
        self.blocked.filter(|until| until.is_none_or(|until| until > now))
    }
}

impl Machine for Conversation {
    type Id = ConversationId;
    type Command = Command;
    type Event = Event;

    fn decide(&self, id: ConversationId, command: &Command, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
        decide::decide(self, id, command, context)
    }

    fn evolve(&mut self, event: &Event) {
        evolve::evolve(self, event);
    }

    fn react(&self, id: ConversationId, event: &Event) -> Vec<Effect> {
        react::react(self, id, event)
    }

    fn answer(&self, id: ConversationId, command: &Command, events: &[Event], context: &Context<'_>) -> Option<Reply> {
        if events.iter().any(|event| matches!(event, Event::Asked(_))) {
            return None;
        }
        Some(match command {
            Command::Start { .. } => {
                let place = self.place_shown();
                Reply::Started {
                    conversation: id,
                    position: place.map(|(position, _)| position),
                    wait_ms: place.and_then(|(_, wait_ms)| wait_ms),
                }
            }
            Command::Claim { .. } => {
                Reply::Claimed { conversation: id, claim: self.life.claim, release_at: self.life.deadlines().release_at }
            }
            Command::Describe => self.describe(id, self.audience(context).unwrap_or(Audience::Customer), context),
            _ => events
                .iter()
                .find_map(|event| match event {
                    Event::Entry(entry) => Some(Reply::Stored { seq: entry.seq, at: entry.at }),
                    _ => None,
                })
                .unwrap_or(Reply::Done),
        })
    }

    fn next_deadline(&self) -> Option<Time> {
        self.life.next_deadline()
    }

    fn expire(&self, _id: ConversationId, now: Time) -> Vec<Event> {
        let deadlines = self.life.deadlines();
        let release = deadlines.release_at.filter(|at| *at <= now);
        let close = deadlines.close_at.filter(|at| *at <= now);
        let entry =
            |body| self.log.draft(now, Author::System, [body]).into_iter().map(|entry| Event::Entry(Box::new(entry))).collect();
        match (release, close, self.life.holder()) {
            (Some(release), close, Some(agent)) if close.is_none_or(|close| release <= close) => {
                entry(Body::Released { agent, cause: ReleaseCause::Inactive })
            }
            (_, Some(_), _) => entry(Body::Closed { cause: CloseCause::Inactive, holder: self.life.holder() }),
            _ => self.life.due_warnings(now).into_iter().map(|(warning, deadline)| Event::Warned(warning, deadline)).collect(),
        }
    }

    fn weight(event: &Event) -> Weight {
        match event {
            Event::Entry(_) => Weight::Logged,
            Event::AgentActive(_)
            | Event::CustomerActive(_)
            | Event::Marked(..)
            | Event::Disconnected(_)
            | Event::PolicyAdopted(_)
            | Event::Warned(..) => Weight::Kept,
            Event::Typed { .. } | Event::Placed { .. } | Event::Asked(_) | Event::AnnouncementAsked(_) => Weight::Passing,
        }
    }

    fn index(&self, id: ConversationId, event: &Event) -> Vec<IndexChange> {
        // Everything that shows in the row of an ended conversation puts the row anew.
        match (event, self.life.phase) {
            (Event::Entry(_) | Event::Marked(..), Phase::Closed { at, .. }) => {
                vec![IndexChange::Put { key: closed_key(self.queue(), at, id), row: Box::new(self.row(id)) }]
            }
            _ => Vec::new(),
        }
    }

    fn recovered(&self, id: ConversationId, context: &Context<'_>) -> (Vec<Event>, Vec<Effect>) {
        if !self.life.is_open() {
            return (Vec::new(), Vec::new());
        }
        let mut events = Vec::new();
        if self.life.disconnected_since.is_none() {
            events.push(Event::Disconnected(Some(context.now)));
        }
        events.extend(decide::adopt_policy(self, context));
        let mut after = self.clone();
        events.iter().for_each(|event| after.evolve(event));
        (events, react::announce_all(&after, id))
    }

    fn announce(&self, id: ConversationId) -> Vec<Effect> {
        if self.life.is_open() { react::announce_all(self, id) } else { Vec::new() }
    }

    fn admit(&self, _id: ConversationId, context: &Context<'_>) -> Result<Audience, Refusal> {
        self.audience(context)
    }

    fn describe(&self, id: ConversationId, audience: Audience, context: &Context<'_>) -> Reply {
        let place = self.place_shown();
        Reply::Conversation(Box::new(ConversationView {
            row: self.row(id),
            head: self.log.head_for(audience),
            position: place.map(|(position, _)| position),
            wait_ms: place.and_then(|(_, wait_ms)| wait_ms),
            metadata: if audience == Audience::Agent { self.metadata.clone() } else { BTreeMap::new() },
            marks: self.log.marks.iter().map(|(author, seq)| (*author, *seq)).collect(),
            rating: self.rating,
            blocked: self.is_blocked(context.now),
        }))
    }

    fn followed(customers: usize, _agents: usize) -> Option<Command> {
        Some(Command::Followed { customers })
    }

    fn minds_followers(&self) -> bool {
        self.life.is_open()
    }

    fn is_live(&self) -> bool {
        self.life.is_open()
    }

    fn organisation(&self) -> Option<OrganisationId> {
        self.about.map(|about| about.organisation)
    }
}
