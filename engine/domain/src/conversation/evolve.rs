//! How events change a conversation.

use jono_points::{Rule, is_broken};

use super::event::{Body, Entry, Event};
use super::{About, Conversation, Phase, UNREAD_KEPT};
use crate::account::Author;
use crate::id::QueueId;
use crate::notice::Warning;
use crate::text::preview;
use crate::time::Time;

pub(super) fn evolve(state: &mut Conversation, event: &Event) {
    match event {
        Event::Entry(entry) => {
            state.log.append(entry);
            note_activity(state, entry);
            record(state, entry);
        }
        Event::AgentActive(until) => state.life.agent_active_at = state.life.agent_active_at.max(*until),
        Event::CustomerActive(until) => state.life.customer_active_at = state.life.customer_active_at.max(*until),
        Event::Marked(reader, seq) => {
            state.log.mark(*reader, *seq);
            if matches!(reader, Author::Agent(_)) {
                state.unread.retain(|unread| unread > seq);
            }
        }
        Event::Disconnected(since) => state.life.disconnected_since = *since,
        Event::PolicyAdopted(policy) => state.life.policy = *policy,
        Event::Warned(Warning::Release, deadline) => state.life.warned_release = Some(*deadline),
        Event::Warned(Warning::Close, deadline) => state.life.warned_close = Some(*deadline),
        Event::Placed { position, wait_ms, .. } => state.place = Some((*position, *wait_ms)),
        Event::Typed { .. } | Event::Asked(_) | Event::AnnouncementAsked(_) => {}
    }
}

/// Whoever writes is active (L8, L9).
fn note_activity(state: &mut Conversation, entry: &Entry) {
    match entry.by {
        Author::Agent(agent) if state.life.holder() == Some(agent) => {
            state.life.agent_active_at = state.life.agent_active_at.max(entry.at);
        }
        Author::Customer(_) if is_broken(Rule::MessagesMoveTheClose) => {}
        Author::Customer(_) => state.life.customer_active_at = state.life.customer_active_at.max(entry.at),
        Author::Agent(_) | Author::System => {}
    }
}

fn record(state: &mut Conversation, entry: &Entry) {
    let at = entry.at;
    match &entry.body {
        Body::Started { organisation, customer, customer_name, metadata, priority, policy } => {
            state.about = Some(About { organisation: *organisation, customer: *customer, queue: QueueId::from_bits(0) });
            state.started_at = at;
            state.last_message_at = at;
            state.customer_name.clone_from(customer_name);
            state.metadata = metadata.iter().cloned().collect();
            state.life.waiting_since = at;
            state.life.priority = *priority;
            state.life.policy = *policy;
            // Who begins waits for an answer.
            state.life.unanswered_since = Some(at);
            // Until a session of the customer follows, nobody is there.
            state.life.disconnected_since = Some(at);
        }
        Body::Queued { queue, position, wait_ms } => {
            enter(state, *queue);
            state.place = (*position > 0).then_some((*position, *wait_ms));
        }
        Body::Claimed { agent, claim } => hold(state, *agent, *claim, at),
        Body::Assigned { to, claim, .. } => hold(state, *to, *claim, at),
        Body::Released { .. } => state.life.phase = Phase::Waiting,
        Body::Transferred { to, policy, .. } => {
            enter(state, *to);
            state.life.policy = *policy;
        }
        Body::Message { text } => message(state, entry, text),
        Body::NoteAdded { .. } => {}
        Body::Tagged { tag } => {
            state.tags.insert(tag.clone());
        }
        Body::Untagged { tag } => {
            state.tags.remove(tag);
        }
        Body::Prioritised { priority } => state.life.priority = *priority,
        Body::MetadataChanged { changes } => {
            for (key, value) in changes {
                match value {
                    Some(value) => state.metadata.insert(key.clone(), value.clone()),
                    None => state.metadata.remove(key),
                };
            }
        }
        Body::Blocked { until } => state.blocked = Some(*until),
        Body::Unblocked => state.blocked = None,
        Body::Closed { cause, .. } => {
            state.life.phase = Phase::Closed { at, cause: *cause };
            state.place = None;
        }
        Body::Rated { rating, .. } => state.rating = Some(*rating),
    }
}

fn enter(state: &mut Conversation, queue: QueueId) {
    if let Some(about) = &mut state.about {
        about.queue = queue;
    }
    state.life.phase = Phase::Waiting;
    state.place = None;
}

fn hold(state: &mut Conversation, agent: crate::id::AgentId, claim: u64, at: Time) {
    if state.life.phase == Phase::Waiting {
        // The close clock stood still while the customer waited connected: it begins anew. A hand-over does not move it.
        state.life.customer_active_at = state.life.customer_active_at.max(at);
    }
    state.life.phase = Phase::Active { holder: agent };
    state.life.claim = claim;
    state.life.agent_active_at = at;
    state.place = None;
}

fn message(state: &mut Conversation, entry: &Entry, text: &str) {
    state.preview = preview(text);
    state.last_message_at = entry.at;
    match entry.by {
        Author::Customer(_) => {
            state.life.unanswered_since.get_or_insert(entry.at);
            if state.unread.len() < UNREAD_KEPT {
                state.unread.push(entry.seq);
            }
        }
        Author::Agent(_) => {
            state.life.unanswered_since = None;
            state.unread.clear();
        }
        Author::System => {}
    }
}
