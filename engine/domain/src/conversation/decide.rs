//! What may happen to a conversation, and what may not.

use jono_points::{Rule, is_broken};

use super::event::{Body, CloseCause, Event, ReleaseCause};
use super::metadata::{MetadataValue, check_metadata};
use super::{Command, Conversation, Phase};
use crate::account::{Audience, Author, Who};
use crate::id::{AgentId, ConversationId, QueueId};
use crate::limits::{PRIORITY_MAX, PRIORITY_MIN, TAGS_MAX, TEXT_BYTES_MAX, TYPING_GRAINS};
use crate::machine::Context;
use crate::message::{Address, Order};
use crate::notice::WorseReason;
use crate::reply::Refusal;
use crate::text::check_text;
use crate::time::Time;
use crate::{agent, customer, queue};

type Decision = Result<Vec<Event>, Refusal>;

/// How often a pick is offered another conversation after the one before was taken meanwhile.
const PICKS_MISSED_MAX: u8 = 16;

/// Where a pick goes on when the conversation that it was sent to cannot be served at all: back to the queue,
/// which offers another one.
#[must_use]
pub fn pick_elsewhere(command: &Command) -> Option<Order> {
    match command {
        Command::Claim { picked: Some((queue, missed)) } if *missed < PICKS_MISSED_MAX => {
            Some(Order::Queue(*queue, Box::new(queue::Command::Pick { missed: missed + 1 })))
        }
        _ => None,
    }
}

pub(super) fn decide(state: &Conversation, id: ConversationId, command: &Command, context: &Context<'_>) -> Decision {
    match adopt_policy(state, context) {
        None => decide_under_policy(state, id, command, context),
        Some(adopted) => {
            // The new settings hold for this very command already.
            let mut state = state.clone();
            super::evolve::evolve(&mut state, &adopted);
            let mut events = decide_under_policy(&state, id, command, context)?;
            events.insert(0, adopted);
            Ok(events)
        }
    }
}

fn decide_under_policy(state: &Conversation, id: ConversationId, command: &Command, context: &Context<'_>) -> Decision {
    Ok(match command {
        Command::Start { start, queue, position, wait_ms } => self::start(state, start, *queue, (*position, *wait_ms), context)?,
        Command::Send { claim, text } => send(state, *claim, text, context)?,
        Command::Type { typing, preview } => type_(state, *typing, preview.as_deref(), context)?,
        Command::Read { seq } => read(state, *seq, context)?,
        Command::Claim { picked } => self::claim(state, *picked, context)?,
        Command::Release { claim } => release(state, *claim, context)?,
        Command::Touch { claim } => {
            state.holding(state.agent(context)?, *claim)?;
            vec![Event::AgentActive(context.now)]
        }
        Command::Assign { claim, to, accepted } => assign(state, id, *claim, *to, *accepted, context)?,
        Command::Transfer { claim, to, note, admitted } => {
            transfer(state, id, (*claim, *to, note.as_deref(), *admitted), context)?
        }
        Command::Close { claim } => close(state, *claim, context)?,
        Command::AddNote { text } => {
            check_text(text)?;
            edit(state, Body::NoteAdded { text: text.clone() }, context)?
        }
        Command::AddTag { tag } => add_tag(state, tag, context)?,
        Command::RemoveTag { tag } if state.tags.contains(tag) => edit(state, Body::Untagged { tag: tag.clone() }, context)?,
        Command::RemoveTag { .. } => state.agent(context).map(|_| Vec::new())?,
        Command::Prioritise { priority } => prioritise(state, *priority, context)?,
        Command::UpdateMetadata { changes } => update_metadata(state, changes, context)?,
        Command::Rate { rating, comment } => rate(state, *rating, comment.as_deref(), context)?,
        Command::BlockCustomer { duration_ms } => {
            let by = state.agent(context)?;
            vec![ask_customer(state, customer::Command::Block { duration_ms: *duration_ms, by })]
        }
        Command::UnblockCustomer => {
            let by = state.agent(context)?;
            vec![ask_customer(state, customer::Command::Unblock { by })]
        }
        Command::CustomerBlocked { blocked, by } => customer_blocked(state, *blocked, *by, context),
        Command::Place { queue, position, wait_ms, reason } => place(state, *queue, (*position, *wait_ms), *reason),
        Command::Followed { customers } => followed(state, *customers, context),
        Command::Announce { to } => vec![Event::AnnouncementAsked(*to)],
        Command::Refresh => Vec::new(),
        Command::Describe => state.audience(context).map(|_| Vec::new())?,
    })
}

/// The settings of the queue as they are now, if they are not those in force.
pub(super) fn adopt_policy(state: &Conversation, context: &Context<'_>) -> Option<Event> {
    let policy = context.organisation?.queue(state.about?.queue)?.settings.policy;
    (state.life.is_open() && policy != state.life.policy).then_some(Event::PolicyAdopted(policy))
}

fn entries(state: &Conversation, bodies: impl IntoIterator<Item = Body>, context: &Context<'_>) -> Vec<Event> {
    let drafted = state.log.draft(context.now, context.who.author(), bodies);
    drafted.into_iter().map(|entry| Event::Entry(Box::new(entry))).collect()
}

fn start(
    state: &Conversation,
    start: &super::Start,
    queue: QueueId,
    place: (u32, Option<u64>),
    context: &Context<'_>,
) -> Decision {
    if let Some(about) = state.about {
        // The same start again: it is answered again, and nothing happens twice.
        return if about.customer == start.customer { Ok(Vec::new()) } else { Err(Refusal::NotFound) };
    }
    let policy =
        context.organisation.and_then(|organisation| organisation.queue(queue)).ok_or(Refusal::NotFound)?.settings.policy;
    start.check()?;
    let (position, wait_ms) = if policy.show_position { place } else { (0, None) };
    let mut bodies = vec![
        Body::Started {
            organisation: start.organisation,
            customer: start.customer,
            customer_name: start.customer_name.clone(),
            metadata: start.metadata.clone(),
            priority: start.priority.clamp(PRIORITY_MIN, PRIORITY_MAX),
            policy,
        },
        Body::Queued { queue, position, wait_ms },
    ];
    if let Some(text) = &start.message {
        bodies.push(Body::Message { text: text.clone() });
    }
    Ok(entries(state, bodies, context))
}

fn send(state: &Conversation, claim: Option<u64>, text: &str, context: &Context<'_>) -> Decision {
    match (state.audience(context)?, context.who) {
        (Audience::Customer, _) => {
            state.open()?;
            if let Some(until) = state.is_blocked(context.now) {
                return Err(Refusal::Blocked { until });
            }
        }
        (Audience::Agent, Who::Agent(_, agent)) => state.holding(agent, claim)?,
        (Audience::Agent, Who::Customer(..) | Who::Root | Who::Engine) => return Err(Refusal::Forbidden),
    }
    check_text(text)?;
    Ok(entries(state, [Body::Message { text: text.to_owned() }], context))
}

/// The end of the grain that `now` lies in: see [`TYPING_GRAINS`].
fn rounded_up(now: Time, window_ms: u64) -> Time {
    let grain = (window_ms / TYPING_GRAINS).max(1);
    Time(now.0.div_ceil(grain).saturating_mul(grain))
}

fn customer_active(state: &Conversation, context: &Context<'_>) -> Option<Event> {
    let active = rounded_up(context.now, state.life.policy.close_after_ms);
    (active > state.life.customer_active_at).then_some(Event::CustomerActive(active))
}

fn type_(state: &Conversation, typing: bool, preview: Option<&str>, context: &Context<'_>) -> Decision {
    if preview.is_some_and(|preview| preview.len() > TEXT_BYTES_MAX) {
        return Err(Refusal::TooLarge { max: TEXT_BYTES_MAX as u64 });
    }
    let by = context.who.author();
    let mut events = Vec::new();
    match state.audience(context)? {
        Audience::Customer => {
            state.open()?;
            if let Some(until) = state.is_blocked(context.now) {
                return Err(Refusal::Blocked { until });
            }
            events.extend(customer_active(state, context));
        }
        Audience::Agent => {
            state.holding(state.agent(context)?, None)?;
            let active = rounded_up(context.now, state.life.policy.release_after_ms);
            if active > state.life.agent_active_at {
                events.push(Event::AgentActive(active));
            }
        }
    }
    let preview = preview.filter(|_| typing && state.life.policy.typing_preview && matches!(by, Author::Customer(_)));
    events.push(Event::Typed { by, typing, preview: preview.map(str::to_owned) });
    Ok(events)
}

fn read(state: &Conversation, seq: u64, context: &Context<'_>) -> Decision {
    let audience = state.audience(context)?;
    assert!(!is_broken(Rule::NothingPanics) || seq < state.log.head_for(audience), "a mark is behind the head");
    if seq > state.log.head_for(audience) {
        return Err(Refusal::invalid("seq"));
    }
    let reader = context.who.author();
    Ok(if state.log.mark_moves(reader, seq) { vec![Event::Marked(reader, seq)] } else { Vec::new() })
}

fn claim(state: &Conversation, picked: Option<(QueueId, u8)>, context: &Context<'_>) -> Decision {
    if let Some((queue, missed)) = picked
        && (state.life.phase != Phase::Waiting || state.queue() != queue)
    {
        return pick_missed(queue, missed);
    }
    let agent = state.agent(context)?;
    match state.life.phase {
        Phase::Active { holder } if holder != agent && is_broken(Rule::ClaimsExclude) => {
            Ok(entries(state, [Body::Claimed { agent, claim: state.life.claim + 1 }], context))
        }
        Phase::Waiting => Ok(entries(state, [Body::Claimed { agent, claim: state.life.claim + 1 }], context)),
        Phase::Active { holder } if holder == agent => Ok(Vec::new()),
        Phase::Active { holder } => Err(Refusal::ClaimHeld { holder, release_at: state.life.deadlines().release_at }),
        Phase::Closed { .. } => Err(Refusal::ConversationClosed),
        Phase::Nothing => Err(Refusal::NotFound),
    }
}

/// Somebody was faster: the queue hears how things stand, and offers the next one.
fn pick_missed(queue: QueueId, missed: u8) -> Decision {
    if missed >= PICKS_MISSED_MAX {
        return Err(Refusal::QueueEmpty);
    }
    let again = queue::Command::Pick { missed: missed + 1 };
    Ok(vec![Event::AnnouncementAsked(Address::Queue(queue)), Event::Asked(Box::new(Order::Queue(queue, Box::new(again))))])
}

fn release(state: &Conversation, claim: Option<u64>, context: &Context<'_>) -> Decision {
    let agent = state.agent(context)?;
    state.holding(agent, claim)?;
    Ok(entries(state, [Body::Released { agent, cause: ReleaseCause::Manual }], context))
}

fn assign(
    state: &Conversation,
    id: ConversationId,
    claim: Option<u64>,
    to: AgentId,
    accepted: bool,
    context: &Context<'_>,
) -> Decision {
    let by = state.agent(context)?;
    state.movable_by(by, claim)?;
    let account = context.organisation.and_then(|organisation| organisation.account(to)).filter(|account| !account.disabled);
    if !account.is_some_and(|account| account.queues.contains(&state.queue())) {
        return Err(Refusal::NotFound);
    }
    if state.life.holder() == Some(to) {
        return Ok(Vec::new());
    }
    if !accepted {
        let ask = agent::Command::AcceptHandover { conversation: id, claim };
        return Ok(vec![Event::Asked(Box::new(Order::Agent(to, Box::new(ask))))]);
    }
    Ok(entries(state, [Body::Assigned { from: state.life.holder(), to, claim: state.life.claim + 1 }], context))
}

fn transfer(
    state: &Conversation,
    id: ConversationId,
    (claim, to, note, admitted): (Option<u64>, QueueId, Option<&str>, bool),
    context: &Context<'_>,
) -> Decision {
    let by = state.agent(context)?;
    state.movable_by(by, claim)?;
    let organisation = context.organisation.ok_or(Refusal::NotFound)?;
    let target = organisation.queue(to).ok_or(Refusal::NotFound)?;
    if to == state.queue() {
        return Err(Refusal::conflict("the conversation is in that queue already"));
    }
    let allowed = organisation.queue(state.queue()).and_then(|queue| queue.settings.transfer_targets.as_ref());
    if allowed.is_some_and(|targets| !targets.contains(&to)) {
        return Err(Refusal::Forbidden);
    }
    if let Some(note) = note {
        check_text(note)?;
    }
    if !admitted {
        let reason = queue::Admission::Transfer { claim, note: note.map(str::to_owned) };
        let ask = queue::Command::Admit { conversation: id, reason: Box::new(reason) };
        return Ok(vec![Event::Asked(Box::new(Order::Queue(to, Box::new(ask))))]);
    }
    let moved = Body::Transferred { from: state.queue(), to, holder: state.life.holder(), policy: target.settings.policy };
    let note = note.map(|text| Body::NoteAdded { text: text.to_owned() });
    // The note first: afterwards its author may no longer see the conversation.
    Ok(entries(state, note.into_iter().chain([moved]), context))
}

fn close(state: &Conversation, claim: Option<u64>, context: &Context<'_>) -> Decision {
    let cause = match state.audience(context)? {
        Audience::Customer => {
            state.open()?;
            CloseCause::Customer
        }
        Audience::Agent => {
            state.movable_by(state.agent(context)?, claim)?;
            CloseCause::Agent
        }
    };
    Ok(entries(state, [Body::Closed { cause, holder: state.life.holder() }], context))
}

/// A change that agents may make while the conversation is open and for some time after.
fn edit(state: &Conversation, body: Body, context: &Context<'_>) -> Decision {
    state.agent(context)?;
    state.editable(context.now)?;
    Ok(entries(state, [body], context))
}

fn add_tag(state: &Conversation, tag: &str, context: &Context<'_>) -> Decision {
    state.agent(context)?;
    if !context.organisation.is_some_and(|organisation| organisation.tags.contains_key(tag)) {
        return Err(Refusal::NotFound);
    }
    if state.tags.contains(tag) {
        return Ok(Vec::new());
    }
    if state.tags.len() >= TAGS_MAX {
        return Err(Refusal::TooLarge { max: TAGS_MAX as u64 });
    }
    edit(state, Body::Tagged { tag: tag.to_owned() }, context)
}

fn prioritise(state: &Conversation, priority: i8, context: &Context<'_>) -> Decision {
    state.agent(context)?;
    state.open()?;
    if !(PRIORITY_MIN..=PRIORITY_MAX).contains(&priority) {
        return Err(Refusal::invalid("priority"));
    }
    if priority == state.life.priority {
        return Ok(Vec::new());
    }
    Ok(entries(state, [Body::Prioritised { priority }], context))
}

/// The place as the queue sees it now; worse than the one told before only with a reason (L3).
fn place(state: &Conversation, queue: QueueId, place: (u32, Option<u64>), reason: Option<WorseReason>) -> Vec<Event> {
    // A queue that it has left meanwhile has nothing to say.
    if state.life.phase != Phase::Waiting || state.queue() != queue || state.place == Some(place) {
        return Vec::new();
    }
    let worse = state.place.is_some_and(|(before, _)| before < place.0);
    let reason = worse.then_some(reason.unwrap_or(WorseReason::Returned));
    vec![Event::Placed { position: place.0, wait_ms: place.1, reason }]
}

fn update_metadata(state: &Conversation, changes: &[(String, Option<MetadataValue>)], context: &Context<'_>) -> Decision {
    let audience = state.audience(context)?;
    match audience {
        Audience::Customer => state.open()?,
        Audience::Agent => state.editable(context.now)?,
    }
    check_metadata(&state.metadata, changes.iter().map(|(key, value)| (key, value.as_ref())))?;
    let changes: Vec<_> = changes.iter().filter(|(key, value)| state.metadata.get(key) != value.as_ref()).cloned().collect();
    if changes.is_empty() {
        // A page that tells the same again is alive all the same (L9).
        return Ok(if audience == Audience::Customer {
            customer_active(state, context).into_iter().collect()
        } else {
            Vec::new()
        });
    }
    Ok(entries(state, [Body::MetadataChanged { changes }], context))
}

fn rate(state: &Conversation, rating: u8, comment: Option<&str>, context: &Context<'_>) -> Decision {
    if state.audience(context)? != Audience::Customer {
        return Err(Refusal::Forbidden);
    }
    if !(1..=5).contains(&rating) {
        return Err(Refusal::invalid("rating"));
    }
    if let Some(comment) = comment {
        check_text(comment)?;
        if let Some(until) = state.is_blocked(context.now) {
            return Err(Refusal::Blocked { until });
        }
    }
    match state.life.phase {
        Phase::Closed { .. } if state.rating.is_some() => Err(Refusal::conflict("rated already")),
        Phase::Closed { .. } => Ok(entries(state, [Body::Rated { rating, comment: comment.map(str::to_owned) }], context)),
        Phase::Nothing | Phase::Waiting | Phase::Active { .. } => Err(Refusal::conflict("rate after the end")),
    }
}

fn ask_customer(state: &Conversation, command: customer::Command) -> Event {
    Event::Asked(Box::new(Order::Customer(state.customer(), Box::new(command))))
}

fn customer_blocked(state: &Conversation, blocked: Option<Option<Time>>, by: Author, context: &Context<'_>) -> Vec<Event> {
    if !state.life.is_open() || blocked == state.blocked {
        return Vec::new();
    }
    let body = match blocked {
        Some(until) => Body::Blocked { until },
        None => Body::Unblocked,
    };
    let drafted = state.log.draft(context.now, by, [body]);
    drafted.into_iter().map(|entry| Event::Entry(Box::new(entry))).collect()
}

fn followed(state: &Conversation, customers: usize, context: &Context<'_>) -> Vec<Event> {
    match (state.life.is_open(), customers > 0, state.life.disconnected_since) {
        (true, true, Some(_)) => vec![Event::Disconnected(None)],
        (true, false, None) => vec![Event::Disconnected(Some(context.now))],
        _ => Vec::new(),
    }
}
