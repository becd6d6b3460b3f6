//! Who is told what has happened to a conversation.

use std::sync::Arc;

use jono_points::{Rule, is_broken};

use super::event::{Body, Entry, Event};
use super::{Conversation, Phase};
use crate::account::Audience;
use crate::id::{AgentId, ConversationId, QueueId};
use crate::message::{Address, Effect, Order};
use crate::notice::Notice;
use crate::{agent, customer, queue};

pub(super) fn react(state: &Conversation, id: ConversationId, event: &Event) -> Vec<Effect> {
    match event {
        Event::Entry(entry) => entry_effects(state, id, entry),
        Event::AgentActive(_) | Event::CustomerActive(_) => vec![deadline(state, id, None), announce(state, id, state.queue())],
        Event::Marked(by, seq) => vec![
            Effect::Publish(None, Notice::Receipt { conversation: id, by: *by, seq: *seq }),
            announce(state, id, state.queue()),
        ],
        Event::Disconnected(_) | Event::PolicyAdopted(_) => vec![deadline(state, id, None), announce(state, id, state.queue())],
        Event::Typed { by, typing, preview } => typed(id, *by, *typing, preview.as_deref()),
        Event::Warned(warning, _) => vec![deadline(state, id, Some(*warning))],
        Event::Placed { position, wait_ms, reason } if state.life.policy.show_position => {
            let notice = Notice::Position { conversation: id, position: *position, wait_ms: *wait_ms, reason: *reason };
            vec![Effect::Publish(Some(Audience::Customer), notice)]
        }
        Event::Placed { .. } => Vec::new(),
        Event::Asked(order) => vec![Effect::Forward((**order).clone())],
        Event::AnnouncementAsked(to) => match to {
            Address::Queue(queue) => vec![announce(state, id, *queue)],
            Address::Agent(agent) => vec![tell_agent(state, id, *agent)],
            Address::Customer(_) => tell_customer(state, id).into_iter().collect(),
            Address::Organisation(_) | Address::Conversation(_) => Vec::new(),
        },
    }
}

/// Everything that others should know about an open conversation.
pub(super) fn announce_all(state: &Conversation, id: ConversationId) -> Vec<Effect> {
    let mut effects = vec![announce(state, id, state.queue())];
    effects.extend(tell_customer(state, id));
    effects.extend(state.life.holder().map(|holder| tell_agent(state, id, holder)));
    effects
}

fn entry_effects(state: &Conversation, id: ConversationId, entry: &Entry) -> Vec<Effect> {
    let notice = Notice::Entry { conversation: id, entry: Arc::new(entry.clone()), deadlines: state.life.deadlines() };
    let mut effects = vec![Effect::Publish(None, notice)];
    match &entry.body {
        Body::Started { .. } => effects.extend(tell_customer(state, id)),
        Body::Claimed { agent, .. } => effects.push(tell_agent(state, id, *agent)),
        Body::Assigned { from, to, .. } => {
            effects.extend(from.map(|from| tell_agent(state, id, from)));
            effects.push(tell_agent(state, id, *to));
            effects.extend(from.map(|_| Effect::RecheckFollowers));
        }
        Body::Released { agent, .. } => effects.extend([tell_agent(state, id, *agent), Effect::RecheckFollowers]),
        Body::Transferred { from, holder, .. } => {
            effects.push(announce(state, id, *from));
            effects.extend(holder.map(|holder| tell_agent(state, id, holder)));
            effects.push(Effect::RecheckFollowers);
        }
        Body::Closed { holder, .. } => {
            effects.extend(tell_customer(state, id));
            if let Some(holder) = holder {
                effects.extend([tell_agent(state, id, *holder), Effect::RecheckFollowers]);
            }
        }
        Body::Queued { .. }
        | Body::Message { .. }
        | Body::NoteAdded { .. }
        | Body::Tagged { .. }
        | Body::Untagged { .. }
        | Body::Prioritised { .. }
        | Body::MetadataChanged { .. }
        | Body::Blocked { .. }
        | Body::Unblocked
        | Body::Rated { .. } => {}
    }
    let is_kept_secret = matches!(entry.body, Body::Closed { .. }) && is_broken(Rule::EndsAreTold);
    // One announcement for all entries of a step.
    if entry.seq == state.log.head && !is_kept_secret {
        effects.push(announce(state, id, state.queue()));
    }
    effects
}

fn announce(state: &Conversation, id: ConversationId, queue: QueueId) -> Effect {
    let command = queue::Command::Announce { row: Arc::new(state.row(id)) };
    Effect::Tell(Order::Queue(queue, Box::new(command)))
}

fn tell_agent(state: &Conversation, id: ConversationId, agent: AgentId) -> Effect {
    let held = (state.life.holder() == Some(agent)).then(|| state.queue());
    Effect::Tell(Order::Agent(agent, Box::new(agent::Command::Hold { conversation: id, held })))
}

fn tell_customer(state: &Conversation, id: ConversationId) -> Option<Effect> {
    let about = state.about?;
    let open = !matches!(state.life.phase, Phase::Closed { .. });
    let command = customer::Command::Announce { organisation: about.organisation, conversation: id, open };
    Some(Effect::Tell(Order::Customer(about.customer, Box::new(command))))
}

fn deadline(state: &Conversation, id: ConversationId, warning: Option<crate::notice::Warning>) -> Effect {
    Effect::Publish(None, Notice::Deadline { conversation: id, deadlines: state.life.deadlines(), warning })
}

fn typed(id: ConversationId, by: crate::account::Author, typing: bool, preview: Option<&str>) -> Vec<Effect> {
    let notice = |preview: Option<&str>| Notice::Typing { conversation: id, by, typing, preview: preview.map(str::to_owned) };
    match preview {
        None => vec![Effect::Publish(None, notice(None))],
        // What the customer has typed is for agents; their own other tabs only hear that they type.
        Some(preview) => vec![
            Effect::Publish(Some(Audience::Agent), notice(Some(preview))),
            Effect::Publish(Some(Audience::Customer), notice(None)),
        ],
    }
}
