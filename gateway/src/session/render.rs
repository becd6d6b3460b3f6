//! What is made of the engine's answers.

use std::collections::BTreeMap;

use jono_domain::account::Audience;
use jono_domain::conversation::Entry;
use jono_domain::id::{AgentId, ConversationId, QueueId};
use jono_domain::message::Address;
use jono_domain::organisation::{Account, Organisation, Presence};
use jono_domain::reply::{CannedMessage, ConversationView, QueueSummary, Reply};
use jono_engine::directory::Directory;
use jono_engine::request::{Answer, Hit, Outcome};
use serde::Serialize;

use super::limits::PAGE_BYTES;
use crate::wire::error::WireError;
use crate::wire::event::Event;
use crate::wire::id::Id;
use crate::wire::results as r;
use crate::wire::results::Made;
use crate::wire::shown::{
    AgentConversation, AgentName, AgentQueue, AnyConversation, AnyQueue, Canned, Colleague, ConversationState,
    CustomerConversation, CustomerQueue, ShownTag,
};

/// How the answer to a request becomes a result.
#[derive(Debug)]
pub(super) enum Render {
    /// `{}`.
    Done,
    /// The event that was written, if one was.
    Written,
    /// A conversation has begun.
    Started { shows_position: bool },
    /// A claim.
    Claimed,
    /// A conversation as it stands; for one that is followed, from where it is told.
    Conversation { from_seq: Option<u64> },
    /// A conversation that is followed from now on, unless the client has changed its mind.
    Follow { conversation: ConversationId, after: u64, is_cancelled: bool },
    /// The same, not asked for by the client.
    FollowLater { conversation: ConversationId, after: u64 },
    /// A conversation as it stands, which the account may have been given.
    PerhapsGiven { conversation: ConversationId },
    /// What is followed already, asked for again since others serve it now.
    FollowAnew { what: Address },
    /// A conversation that the engine has led the session to, asked for, should whoever led it there not serve it any more.
    Confirm { conversation: ConversationId, after: u64 },
    /// A part of a log.
    History { conversation: ConversationId, forward: bool },
    /// A part of a log for a client that was behind, and the last event it had heard of when that was asked.
    CatchUp { conversation: ConversationId, heard: Option<u64> },
    /// The deadlines of a conversation whose client has caught up: events from the log carry none.
    Deadlines { conversation: ConversationId },
    /// A page of a list.
    Rows,
    /// A page of a search.
    Found,
    /// A queue as it stands.
    Queue,
    /// A queue that is followed from now on.
    Subscribe { queue: QueueId, is_cancelled: bool },
    /// Several queues; one answer each.
    Queues { wanted: Vec<QueueId>, summaries: Vec<QueueSummary>, cursor: Option<String> },
    /// The agents and their presence.
    Agents { queue: Option<QueueId>, after: Option<AgentId> },
    /// Canned messages.
    Canned { cursor: Option<String> },
}

impl Render {
    /// The session asks this of its own accord: its client has no part in it.
    pub(super) fn is_own(&self) -> bool {
        matches!(self, Render::FollowAnew { .. } | Render::Confirm { .. } | Render::PerhapsGiven { .. })
    }
}

/// For whom it is rendered.
pub(super) struct Reader<'a> {
    pub(super) audience: Audience,
    pub(super) organisation: Option<&'a Organisation>,
    pub(super) directory: &'a Directory,
}

/// As JSON.
pub(super) fn written<T: Serialize>(result: &T) -> String {
    serde_json::to_string(result).expect("what is shown has text keys and no failing parts")
}

/// Nothing to add.
pub(super) fn done() -> String {
    written(&r::Done {})
}

/// A refusal, with agents named.
pub(super) fn refused(refusal: &jono_domain::reply::Refusal, directory: &Directory) -> WireError {
    WireError::of(refusal, |agent| serde_json::to_value(AgentName::of(agent, directory)).unwrap_or(serde_json::Value::Null))
}

impl Reader<'_> {
    /// The result of a request that needs nothing but its answer.
    pub(super) fn result(&self, render: &Render, answer: Answer) -> Result<String, WireError> {
        let outcome = answer.map_err(|refusal| refused(&refusal, self.directory))?;
        Ok(match (render, outcome) {
            (Render::Done, Outcome::Reply(_)) => done(),
            (Render::Written, Outcome::Reply(Reply::Stored { seq, at })) => {
                written(&r::Written { seq: Some(seq), at: Some(at.0) })
            }
            (Render::Written, Outcome::Reply(_)) => done(),
            (Render::Started { shows_position }, Outcome::Reply(Reply::Started { conversation, position, wait_ms })) => {
                let state = if position.is_some() { ConversationState::Waiting } else { ConversationState::Active };
                let (position, wait_ms) = (position.filter(|_| *shows_position), wait_ms.filter(|_| *shows_position));
                written(&r::Started { conversation: Id(conversation), state, position, wait_ms })
            }
            (Render::Claimed, Outcome::Reply(Reply::Claimed { conversation, claim, release_at })) => {
                let release_at = release_at.map(|at| at.0);
                written(&r::Claimed { conversation: Id(conversation), claim, release_at })
            }
            (Render::Conversation { from_seq }, Outcome::Reply(Reply::Conversation(view))) => {
                written(&self.conversation(&view, *from_seq))
            }
            (Render::History { conversation, forward }, Outcome::History { entries, head }) => {
                self.history(*conversation, *forward, &entries, head)
            }
            (Render::Rows, Outcome::Rows { rows, cursor }) => {
                let conversations = rows.iter().map(|row| AgentConversation::row(row, self.directory)).collect();
                written(&r::ListPage { conversations, cursor: cursor.as_deref() })
            }
            (Render::Found, Outcome::Found { hits, cursor }) => self.found(&hits, cursor),
            (Render::Queue, Outcome::Reply(Reply::Queue(summary))) => written(&self.queue(&summary)),
            (Render::Agents { queue, after }, Outcome::Reply(Reply::Presence(board))) => self.agents(*queue, *after, &board),
            (Render::Canned { cursor }, Outcome::Reply(Reply::Agent(view))) => self.canned(&view.canned, cursor.as_deref()),
            (_, outcome) => return Err(unexpected(&outcome)),
        })
    }

    /// A conversation for this audience.
    pub(super) fn conversation<'a>(&'a self, view: &'a ConversationView, from_seq: Option<u64>) -> Made<AnyConversation<'a>> {
        match self.audience {
            Audience::Agent => Made::of(&AgentConversation::full(view, from_seq, self.directory)).into(),
            Audience::Customer => Made::of(&CustomerConversation::of(view, from_seq, self.directory)).into(),
        }
    }

    /// A queue for this audience.
    pub(super) fn queue(&self, summary: &QueueSummary) -> Made<AnyQueue<'_>> {
        match self.audience {
            Audience::Agent => Made::of(&AgentQueue::of(summary, self.directory)).into(),
            Audience::Customer => Made::of(&CustomerQueue::of(summary, self.directory)).into(),
        }
    }

    /// The queues that were asked for, in that order.
    pub(super) fn queues(&self, wanted: &[QueueId], summaries: &[QueueSummary], cursor: Option<String>) -> String {
        let known = wanted.iter().filter_map(|queue| summaries.iter().find(|summary| summary.queue == *queue));
        written(&r::QueuePage { queues: known.map(|summary| self.queue(summary)).collect(), cursor })
    }

    fn history(&self, conversation: ConversationId, forward: bool, entries: &[Entry], head: u64) -> String {
        let made = |entry| Some(Made::of(&Event::of(conversation, entry, None, self.audience, self.directory)?));
        let mut events = Vec::new();
        let mut bytes = 0;
        let mut last = None;
        let mut walk = |entry| {
            let Some(event) = made(entry) else {
                return true;
            };
            bytes += event.bytes();
            if bytes > PAGE_BYTES && !events.is_empty() {
                return false;
            }
            events.push(event);
            last = Some(entry);
            true
        };
        // What is cut off is what is farthest from where the reader stands.
        if forward {
            let _ = entries.iter().all(&mut walk);
        } else {
            let _ = entries.iter().rev().all(&mut walk);
        }
        let more = last.is_some_and(|last| if forward { last.seq < head } else { last.prev_for(self.audience) > 0 });
        if !forward {
            events.reverse();
        }
        written(&r::HistoryPage { events, head, more })
    }

    /// The engine ends a page with a whole conversation, which may hold any number of hits.
    fn found(&self, hits: &[Hit], cursor: Option<String>) -> String {
        let made = hits.iter().filter_map(|hit| {
            let event = Event::hit(hit.row.conversation, &hit.entry, self.directory)?;
            let conversation = AgentConversation::row(&hit.row, self.directory);
            Some((String::new(), Made::of(&r::ShownHit { conversation, event })))
        });
        let (hits, rest) = page(made, PAGE_BYTES);
        written(&r::SearchPage { hits, cut: rest.is_some(), cursor })
    }

    fn agents(&self, queue: Option<QueueId>, after: Option<AgentId>, board: &[(AgentId, Presence)]) -> String {
        let wanted = |agent, account: &Account| {
            after.is_none_or(|after| agent > after) && queue.is_none_or(|queue| account.queues.contains(&queue))
        };
        let colleagues = self.organisation.into_iter().flat_map(|organisation| colleagues(organisation, board, wanted));
        let (agents, cursor) = page(colleagues, PAGE_BYTES);
        written(&r::AgentPage { agents, cursor })
    }

    fn canned(&self, personal: &[CannedMessage], cursor: Option<&str>) -> String {
        let shared = self.organisation.map(Organisation::canned_messages).unwrap_or_default();
        let (canned, cursor) =
            page(canned(personal, &shared).filter(|(at, _)| cursor.is_none_or(|cursor| at.as_str() > cursor)), PAGE_BYTES);
        written(&r::CannedPage { canned, cursor })
    }
}

/// Personal canned messages, then shared ones, each with its place in that order.
pub(super) fn canned<'a>(
    personal: &'a [CannedMessage],
    shared: &'a [CannedMessage],
) -> impl Iterator<Item = (String, Made<Canned<'a>>)> {
    let placed =
        |prefix: char| move |canned: &'a CannedMessage| (format!("{prefix}{}", canned.keyword), Made::of(&Canned::from(canned)));
    personal.iter().map(placed('p')).chain(shared.iter().map(placed('s')))
}

/// The organisation's agents in the order of their ids, each with its id as text.
pub(super) fn colleagues<'a>(
    organisation: &'a Organisation,
    board: &[(AgentId, Presence)],
    wanted: impl Fn(AgentId, &Account) -> bool,
) -> impl Iterator<Item = (String, Made<Colleague<'a>>)> {
    let board: BTreeMap<_, _> = board.iter().copied().collect();
    organisation.accounts.iter().filter_map(move |(agent, account)| {
        let colleague = wanted(*agent, account).then(|| Colleague::of(*agent, organisation, board.get(agent)))??;
        Some((agent.to_string(), Made::of(&colleague)))
    })
}

/// A page of the organisation's tags.
pub(super) fn tags(organisation: &Organisation, after: Option<&str>) -> String {
    let tags = organisation.tags.iter().filter(|(tag, _)| after.is_none_or(|after| tag.as_str() > after));
    let (tags, cursor) = page(tags.map(|(tag, definition)| (tag.clone(), Made::of(&ShownTag::of(tag, definition)))), PAGE_BYTES);
    written(&r::TagPage { tags, cursor })
}

/// As many as fit, at least one; and the place of the last if there are more.
pub(super) fn page<T>(items: impl Iterator<Item = (String, Made<T>)>, bytes_max: usize) -> (Vec<Made<T>>, Option<String>) {
    let mut page = Vec::new();
    let mut bytes = 0;
    let mut last = None;
    for (place, item) in items {
        bytes += item.bytes();
        if bytes > bytes_max && !page.is_empty() {
            return (page, last);
        }
        page.push(item);
        last = Some(place);
    }
    (page, None)
}

/// The engine answered something else than was asked: a bug, said once here.
pub(super) fn unexpected(outcome: &Outcome) -> WireError {
    let kind = match outcome {
        Outcome::Reply(_) => "a reply",
        Outcome::Following { .. } => "following",
        Outcome::History { .. } => "history",
        Outcome::Rows { .. } => "rows",
        Outcome::Found { .. } => "hits",
    };
    tracing::error!(kind, "an answer that does not belong to its request");
    WireError::internal()
}
