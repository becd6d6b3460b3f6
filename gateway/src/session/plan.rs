//! What each method asks of the engine. Reads only: `open` carries it out.
//!
//! Commands that the domain marks *internal* are never built here.

use jono_domain::agent;
use jono_domain::conversation::{self, MetadataValue, Start};
use jono_domain::customer;
use jono_domain::id::{AgentId, ConversationId, CustomerId, OrganisationId, QueueId};
use jono_domain::limits::PAGE_EVENTS_MAX;
use jono_domain::message::{Address, Order};
use jono_domain::organisation::{self, Change, Organisation};
use jono_domain::queue;
use jono_domain::reply::Refusal;
use jono_domain::text::check_name;
use jono_domain::time::Time;
use jono_engine::directory::Directory;
use jono_engine::request::Query;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::gateway::Ids;
use super::limits::{
    CURSOR_BYTES_MAX, FOLLOWED_PER_AGENT_MAX, FOLLOWED_PER_CUSTOMER_MAX, HISTORY_DEFAULT, HITS_PER_PAGE, QUEUES_PER_PAGE,
    ROWS_PER_PAGE, SEARCH_BYTES_MAX, SUBSCRIBED_MAX,
};
use super::party::{CustomerParty, Party};
use super::render::{self, Render, written};
use super::tracks::Tracks;
use crate::wire::envelope::read_params;
use crate::wire::error::WireError;
use crate::wire::event::shows_position;
use crate::wire::id::Key;
use crate::wire::methods::Call;
use crate::wire::params as p;
use crate::wire::results as r;

/// What is to be done for a request.
pub(super) enum Ask {
    /// Answer at once, with this JSON.
    Answer(String),
    /// Ask one entity.
    Send { order: Order, key: Option<String>, render: Render },
    /// Follow an entity.
    Follow { what: Address, after: u64, render: Render },
    /// Follow an entity no longer.
    Unfollow(Address),
    /// Ask over several entities.
    Query { query: Query, render: Render },
    /// Ask for the numbers of these queues.
    Queues { queues: Vec<QueueId>, cursor: Option<String> },
    /// Answer, and close.
    Close,
}

/// What a plan is made from.
pub(super) struct Known<'a> {
    pub(super) party: &'a Party,
    pub(super) tracks: &'a Tracks,
    pub(super) subscribed: &'a [QueueId],
    pub(super) directory: &'a Directory,
    pub(super) ids: &'a Ids,
    pub(super) now: Time,
}

type Params<'a> = Option<&'a RawValue>;

/// The plan for a call that this party may make.
pub(super) fn plan(call: Call, params: Params<'_>, known: &Known<'_>) -> Result<Ask, WireError> {
    use conversation::Command as Do;
    match call {
        Call::Ping => Ok(Ask::Answer(written(&r::Pong { now: known.now.0 }))),
        Call::SessionOpen => Err(WireError::conflict("the session is open")),
        Call::SessionClose => read::<p::Nothing>(params).map(|_| Ask::Close),
        Call::ConversationStart => start(read(params)?, known),
        Call::MessageSend => {
            let p::MessageSend { conversation, text, claim, key } = read(params)?;
            Ok(write(conversation.0, Do::Send { claim, text }, key))
        }
        Call::TypingSet => {
            let p::TypingSet { conversation, typing, preview } = read(params)?;
            Ok(act(conversation.0, Do::Type { typing, preview }, None))
        }
        Call::ReceiptRead => {
            let p::ReceiptRead { conversation, seq } = read(params)?;
            Ok(act(conversation.0, Do::Read { seq }, None))
        }
        Call::ConversationGet => {
            let p::InConversation { conversation } = read(params)?;
            Ok(in_conversation(conversation.0, Do::Describe, None, Render::Conversation { from_seq: None }))
        }
        Call::ConversationHistory => history(&read(params)?),
        Call::ConversationFollow => follow(&read(params)?, known),
        Call::ConversationUnfollow => {
            let p::InConversation { conversation } = read(params)?;
            Ok(Ask::Unfollow(Address::Conversation(conversation.0)))
        }
        Call::QueuePick => {
            let p::ChangeQueue { queue, key } = read(params)?;
            Ok(in_queue(queue.0, queue::Command::Pick { missed: 0 }, key, Render::Claimed))
        }
        Call::ConversationClaim => {
            let p::ChangeConversation { conversation, key } = read(params)?;
            Ok(in_conversation(conversation.0, Do::Claim { picked: None }, key, Render::Claimed))
        }
        Call::ConversationRelease => {
            let p::UnderClaim { conversation, claim, key } = read(params)?;
            Ok(write(conversation.0, Do::Release { claim }, key))
        }
        Call::ConversationTouch => {
            let p::UnderClaim { conversation, claim, key } = read(params)?;
            Ok(act(conversation.0, Do::Touch { claim }, key))
        }
        Call::ConversationAssign => {
            let p::Assign { conversation, agent, claim, key } = read(params)?;
            Ok(write(conversation.0, Do::Assign { claim, to: agent.0, accepted: false }, key))
        }
        Call::ConversationTransfer => transfer(read(params)?),
        Call::ConversationClose => {
            let p::UnderClaim { conversation, claim, key } = read(params)?;
            Ok(write(conversation.0, Do::Close { claim }, key))
        }
        Call::ConversationLeave => {
            let p::ChangeConversation { conversation, key } = read(params)?;
            Ok(write(conversation.0, Do::Close { claim: None }, key))
        }
        Call::ConversationRate => {
            let p::Rate { conversation, rating, comment, key } = read(params)?;
            Ok(write(conversation.0, Do::Rate { rating, comment }, key))
        }
        Call::NoteAdd => {
            let p::NoteAdd { conversation, text, key } = read(params)?;
            Ok(write(conversation.0, Do::AddNote { text }, key))
        }
        Call::TagAdd => {
            let p::Tag { conversation, tag, key } = read(params)?;
            Ok(write(conversation.0, Do::AddTag { tag }, key))
        }
        Call::TagRemove => {
            let p::Tag { conversation, tag, key } = read(params)?;
            Ok(write(conversation.0, Do::RemoveTag { tag }, key))
        }
        Call::PrioritySet => {
            let p::PrioritySet { conversation, priority, key } = read(params)?;
            Ok(write(conversation.0, Do::Prioritise { priority }, key))
        }
        Call::MetadataUpdate => {
            let p::MetadataUpdate { conversation, metadata, key } = read(params)?;
            Ok(write(conversation.0, Do::UpdateMetadata { changes: metadata.0 }, key))
        }
        Call::CustomerBlock => {
            let p::Block { conversation, duration_ms, key } = read(params)?;
            Ok(act(conversation.0, Do::BlockCustomer { duration_ms }, key))
        }
        Call::CustomerUnblock => {
            let p::ChangeConversation { conversation, key } = read(params)?;
            Ok(act(conversation.0, Do::UnblockCustomer, key))
        }
        Call::ConversationList => list(read(params)?),
        Call::ConversationSearch => search(read(params)?),
        Call::QueueList => queues(&read(params)?, known),
        Call::QueueSubscribe => subscribe(&read(params)?, known),
        Call::QueueUnsubscribe => {
            let p::InQueue { queue } = read(params)?;
            Ok(Ask::Unfollow(Address::Queue(queue.0)))
        }
        Call::QueueOpen => {
            let p::ChangeQueue { queue, key } = read(params)?;
            Ok(in_queue(queue.0, queue::Command::SetOpen { open: true }, key, Render::Done))
        }
        Call::QueueClose => {
            let p::ChangeQueue { queue, key } = read(params)?;
            Ok(in_queue(queue.0, queue::Command::SetOpen { open: false }, key, Render::Done))
        }
        Call::PresenceSet => {
            let p::PresenceSet { status, key } = read(params)?;
            as_agent(agent::Command::SetStatus { status: status.into() }, key, Render::Done, known)
        }
        Call::AgentList => agents(&read(params)?, known),
        Call::CannedList => {
            let p::Page { cursor } = read(params)?;
            as_agent(agent::Command::Describe, None, Render::Canned { cursor: checked(cursor)? }, known)
        }
        Call::CannedSet => {
            let p::CannedSet { keyword, text, scope, key } = read(params)?;
            canned(keyword, Some(text), scope.unwrap_or_default(), key, known)
        }
        Call::CannedRemove => {
            let p::CannedRemove { keyword, scope, key } = read(params)?;
            canned(keyword, None, scope.unwrap_or_default(), key, known)
        }
        Call::TagList => {
            let p::Page { cursor } = read(params)?;
            let cursor = checked(cursor)?;
            Ok(Ask::Answer(render::tags(organisation(known)?, cursor.as_deref())))
        }
    }
}

fn read<P: DeserializeOwned>(params: Params<'_>) -> Result<P, WireError> {
    read_params(params)
}

fn refused(refusal: &Refusal) -> WireError {
    WireError::of(refusal, |_| serde_json::Value::Null)
}

fn not_found() -> WireError {
    refused(&Refusal::NotFound)
}

fn organisation<'a>(known: &Known<'a>) -> Result<&'a Organisation, WireError> {
    let organisation = known.directory.organisation(known.party.organisation());
    organisation.map(|organisation| &**organisation).ok_or_else(not_found)
}

fn checked(cursor: Option<String>) -> Result<Option<String>, WireError> {
    match cursor {
        Some(cursor) if cursor.len() > CURSOR_BYTES_MAX => Err(bad_cursor()),
        cursor => Ok(cursor),
    }
}

fn bad_cursor() -> WireError {
    WireError::invalid_params(Some("cursor"), "not a cursor of this list")
}

fn in_conversation(id: ConversationId, command: conversation::Command, key: Option<Key>, render: Render) -> Ask {
    Ask::Send { order: Order::Conversation(id, Box::new(command)), key: key.map(|key| key.0), render }
}

/// Something that becomes an event.
fn write(id: ConversationId, command: conversation::Command, key: Option<Key>) -> Ask {
    in_conversation(id, command, key, Render::Written)
}

/// Something that does not.
fn act(id: ConversationId, command: conversation::Command, key: Option<Key>) -> Ask {
    in_conversation(id, command, key, Render::Done)
}

fn in_queue(id: QueueId, command: queue::Command, key: Option<Key>, render: Render) -> Ask {
    Ask::Send { order: Order::Queue(id, Box::new(command)), key: key.map(|key| key.0), render }
}

fn as_agent(command: agent::Command, key: Option<Key>, render: Render, known: &Known<'_>) -> Result<Ask, WireError> {
    let agent: AgentId = known.party.agent().ok_or_else(WireError::forbidden)?;
    Ok(Ask::Send { order: Order::Agent(agent, Box::new(command)), key: key.map(|key| key.0), render })
}

fn in_organisation(command: organisation::Command, key: Option<Key>, render: Render, known: &Known<'_>) -> Ask {
    let order = Order::Organisation(known.party.organisation(), Box::new(command));
    Ask::Send { order, key: key.map(|key| key.0), render }
}

fn start(params: p::ConversationStart, known: &Known<'_>) -> Result<Ask, WireError> {
    let Party::Customer(party) = known.party else {
        return Err(WireError::forbidden());
    };
    let queue = params.queue.0;
    // Only what the site offers: other queues, and other organisations', are as if they were not there.
    if !known.party.queues(organisation(known)?).contains(&queue) {
        return Err(not_found());
    }
    let name = params.name.or_else(|| party.name.clone());
    if let Some(name) = &name {
        check_name(name).map_err(|refusal| refused(&refusal))?;
    }
    let start = Start {
        organisation: OrganisationId::from_bits(0), // The customer's own entity fills in both.
        customer: CustomerId::from_bits(0),
        customer_name: name,
        metadata: merged(party, params.metadata.unwrap_or_default().into_set()),
        message: params.message,
        priority: 0,
    };
    // The engine goes on with the first id for a repeated key.
    let conversation = ConversationId::from_bits(known.ids.next());
    let command = customer::Command::Start { conversation, queue, start: Box::new(start) };
    Ok(Ask::Send {
        order: Order::Customer(party.customer, Box::new(command)),
        key: params.key.map(|key| key.0),
        render: Render::Started { shows_position: shows_position(queue, known.directory) },
    })
}

/// What the page told at `session.open`, and what it tells now, which counts.
fn merged(party: &CustomerParty, now: Vec<(String, MetadataValue)>) -> Vec<(String, MetadataValue)> {
    let before = party.metadata.iter().filter(|(key, _)| now.iter().all(|(other, _)| other != key));
    let mut all: Vec<_> = before.cloned().collect();
    all.extend(now);
    all
}

fn history(params: &p::History) -> Result<Ask, WireError> {
    let (forward, from) = match (params.after, params.before) {
        (Some(_), Some(_)) => return Err(WireError::invalid_params(Some("before"), "after or before, not both")),
        (None, Some(before)) => (false, before),
        (after, None) => (true, after.unwrap_or(0)),
    };
    let limit = params.limit.map_or(HISTORY_DEFAULT, |limit| (limit as usize).clamp(1, PAGE_EVENTS_MAX));
    let conversation = params.conversation.0;
    let query = Query::History { conversation, forward, from, limit };
    Ok(Ask::Query { query, render: Render::History { conversation, forward } })
}

fn follow(params: &p::ConversationFollow, known: &Known<'_>) -> Result<Ask, WireError> {
    let conversation = params.conversation.0;
    if let Some(track) = known.tracks.get(conversation) {
        let render = Render::Conversation { from_seq: Some(track.sent) };
        return Ok(in_conversation(conversation, conversation::Command::Describe, None, render));
    }
    let max = match known.party {
        Party::Customer(_) => FOLLOWED_PER_CUSTOMER_MAX,
        Party::Agent(_) => FOLLOWED_PER_AGENT_MAX,
    };
    if known.tracks.len() >= max {
        return Err(WireError::too_large(max as u64));
    }
    let what = Address::Conversation(conversation);
    let after = params.after.unwrap_or(0);
    Ok(Ask::Follow { what, after, render: Render::Follow { conversation, after, is_cancelled: false } })
}

fn transfer(params: p::Transfer) -> Result<Ask, WireError> {
    let p::Transfer { conversation, queue, agent, note, claim, key } = params;
    let command = match (queue, agent) {
        (Some(queue), None) => conversation::Command::Transfer { claim, to: queue.0, note, admitted: false },
        (None, Some(agent)) => conversation::Command::Assign { claim, to: agent.0, accepted: false },
        (Some(_), Some(_)) | (None, None) => {
            return Err(WireError::invalid_params(Some("queue"), "exactly one of queue and agent"));
        }
    };
    Ok(write(conversation.0, command, key))
}

fn list(params: p::List) -> Result<Ask, WireError> {
    let query = Query::List {
        view: params.view.into(),
        queue: params.queue.map(|queue| queue.0),
        cursor: checked(params.cursor)?,
        limit: params.limit.map_or(ROWS_PER_PAGE, |limit| (limit as usize).clamp(1, ROWS_PER_PAGE)),
    };
    Ok(Ask::Query { query, render: Render::Rows })
}

fn search(params: p::Search) -> Result<Ask, WireError> {
    if params.text.len() > SEARCH_BYTES_MAX {
        return Err(WireError::too_large(SEARCH_BYTES_MAX as u64));
    }
    if params.text.trim().is_empty() {
        return Err(WireError::invalid_params(Some("text"), "nothing to look for"));
    }
    let query = Query::Search {
        text: params.text,
        queue: params.queue.map(|queue| queue.0),
        from: params.from.map(Time),
        to: params.to.map(Time),
        cursor: checked(params.cursor)?,
        limit: params.limit.map_or(HITS_PER_PAGE, |limit| (limit as usize).clamp(1, HITS_PER_PAGE)),
    };
    Ok(Ask::Query { query, render: Render::Found })
}

fn queues(params: &p::Page, known: &Known<'_>) -> Result<Ask, WireError> {
    let all = known.party.queues(organisation(known)?);
    let begin = match params.cursor.as_deref() {
        None => 0,
        Some(cursor) => {
            let last: QueueId = cursor.parse().map_err(|_| bad_cursor())?;
            all.iter().position(|queue| *queue == last).ok_or_else(bad_cursor)? + 1
        }
    };
    let page: Vec<_> = all[begin..].iter().copied().take(QUEUES_PER_PAGE).collect();
    let has_more = begin + page.len() < all.len();
    let cursor = page.last().filter(|_| has_more).map(QueueId::to_string);
    Ok(Ask::Queues { queues: page, cursor })
}

fn subscribe(params: &p::InQueue, known: &Known<'_>) -> Result<Ask, WireError> {
    let queue = params.queue.0;
    if known.subscribed.binary_search(&queue).is_ok() {
        return Ok(in_queue(queue, queue::Command::Describe, None, Render::Queue));
    }
    if known.subscribed.len() >= SUBSCRIBED_MAX {
        return Err(WireError::too_large(SUBSCRIBED_MAX as u64));
    }
    let render = Render::Subscribe { queue, is_cancelled: false };
    Ok(Ask::Follow { what: Address::Queue(queue), after: 0, render })
}

fn agents(params: &p::AgentList, known: &Known<'_>) -> Result<Ask, WireError> {
    let queue = params.queue.map(|queue| queue.0);
    if queue.is_some_and(|queue| organisation(known).is_ok_and(|organisation| organisation.queue(queue).is_none())) {
        return Err(not_found());
    }
    let after = match params.cursor.as_deref() {
        None => None,
        Some(cursor) => Some(cursor.parse().map_err(|_| bad_cursor())?),
    };
    Ok(in_organisation(organisation::Command::ListPresence, None, Render::Agents { queue, after }, known))
}

fn canned(keyword: String, text: Option<String>, scope: p::Scope, key: Option<Key>, known: &Known<'_>) -> Result<Ask, WireError> {
    match scope {
        p::Scope::Personal => as_agent(agent::Command::SetCanned { keyword, text }, key, Render::Done, known),
        p::Scope::Shared => {
            let change = organisation::Command::Change(Box::new(Change::PutCanned { keyword, text }));
            Ok(in_organisation(change, key, Render::Done, known))
        }
    }
}
