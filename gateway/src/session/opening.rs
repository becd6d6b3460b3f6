//! The steps of `session.open`: who it is, then the account and its queues, then the conversations,
//! then one result; everything else that comes meanwhile waits behind it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jono_domain::conversation::Body;
use jono_domain::id::{AgentId, ConversationId, CustomerId, QueueId};
use jono_domain::limits::{PAGE_EVENTS_MAX, TEXT_BYTES_MAX};
use jono_domain::message::{Address, Order};
use jono_domain::notice::Notice;
use jono_domain::organisation::{Organisation, Presence};
use jono_domain::queue;
use jono_domain::reply::{AgentView, CustomerView, QueueSummary, Refusal, Reply};
use jono_domain::text::check_name;
use jono_engine::delivery::{Delivery, SessionRef};
use jono_engine::directory::Directory;
use jono_engine::request::{Answer, Outcome, Request};
use serde_json::value::RawValue;

use super::gateway::{Gateway, Origin};
use super::limits::{
    HELD_BACK_BYTES_MAX, HELD_BACK_MAX, OPENED_CONVERSATIONS_BYTES, OPENED_CONVERSATIONS_BYTES_MAX, OPENED_LIST_BYTES,
    OPENING_AT_ONCE, PAGE_BYTES_MAX, QUEUES_AT_OPEN_AGENT_MAX, QUEUES_AT_OPEN_CUSTOMER_MAX, SINCE_MAX,
};
use super::open::{Context, Open, Then};
use super::party::{AgentParty, CustomerParty, Party};
use super::render::{self, Reader};
use super::replies::Slot;
use crate::auth::random_bits;
use crate::wire::envelope::{BATCH_MAX, read_params};
use crate::wire::error::{BUSY_RETRY_MS, WireError};
use crate::wire::id::Id;
use crate::wire::params::{OpenRole, SessionOpen};
use crate::wire::results::{Made, Me, Part, SessionOpened, ShownLimits, ShownOrganisation};
use crate::wire::shown::{AnyConversation, BlockedUntil, OrganisationName, ShownTag};

/// A session that has not said who it is.
pub(super) struct Fresh {
    pub(super) origin: Option<Box<Origin>>,
    /// Numbers of an attempt that failed are not used again: its answers may still come.
    pub(super) next_request: u64,
}

/// A session whose `session.open` is under way.
pub(super) struct Opening {
    slot: Slot,
    /// Kept for another try, if this one fails for want of room.
    origin: Option<Box<Origin>>,
    open: Open,
    since: BTreeMap<ConversationId, u64>,
    /// Answers to come, by request.
    expected: BTreeMap<u64, Expected>,
    /// What is followed or being asked for: it must be unfollowed if this does not end well.
    asked: Vec<Address>,
    account: Option<AccountView>,
    board: Vec<(AgentId, Presence)>,
    wanted_queues: Vec<QueueId>,
    queues: Vec<QueueSummary>,
    /// Conversations still to be followed, and from where.
    to_follow: Option<VecDeque<(ConversationId, u64)>>,
    /// The result's conversations, as JSON.
    conversations: Vec<Made<AnyConversation<'static>>>,
    conversations_bytes: usize,
    held_back: Vec<Delivery>,
    held_back_bytes: usize,
    is_complete: bool,
    was_resumed: bool,
}

enum Expected {
    Account,
    Organisation,
    Subscription(QueueId),
    Queue,
    Conversation(ConversationId, u64),
}

enum AccountView {
    Customer(CustomerView),
    Agent(Box<AgentView>),
}

/// A `session.open` that is answered at once, with an error.
pub(super) struct Failed {
    pub(super) error: WireError,
    /// The credential is wrong: the connection is closed, and the client must not come back with it.
    pub(super) is_final: bool,
}

impl From<WireError> for Failed {
    fn from(error: WireError) -> Self {
        Self { error, is_final: false }
    }
}

fn turned_away(error: WireError) -> Failed {
    Failed { error, is_final: true }
}

/// What has become of a `session.open`.
pub(super) enum Progress {
    /// Not all answers are there.
    Opening(Box<Opening>),
    /// Answered; open.
    Open(Box<Open>, Then),
    /// Answered with an error; the client may try again, if it is not final.
    Failed { fresh: Fresh, is_final: bool },
}

/// Begins: checks who it is and asks the engine for the account.
pub(super) fn begin(params: Option<&RawValue>, slot: Slot, fresh: Fresh, context: &mut Context<'_>) -> Progress {
    let directory = context.gateway.engine.directory();
    let admitted = admitted(params, fresh.origin.as_deref(), &directory, context);
    let (party, since, was_resumed) = match admitted {
        Ok(admitted) => admitted,
        Err(Failed { error, is_final }) => {
            context.replies.say(slot, Err(error), context.sink);
            return Progress::Failed { fresh, is_final };
        }
    };
    let mut opening = Box::new(Opening {
        slot,
        origin: fresh.origin,
        open: Open::new(party, fresh.next_request),
        since,
        expected: BTreeMap::new(),
        asked: Vec::new(),
        account: None,
        board: Vec::new(),
        wanted_queues: Vec::new(),
        queues: Vec::new(),
        to_follow: None,
        conversations: Vec::new(),
        conversations_bytes: 0,
        held_back: Vec::new(),
        held_back_bytes: 0,
        is_complete: true,
        was_resumed,
    });
    match opening.ask_for_account(&directory, context) {
        Ok(()) => Progress::Opening(opening),
        Err(Full) => opening.fail(WireError::busy(BUSY_RETRY_MS), false, context),
    }
}

type Admitted = (Party, BTreeMap<ConversationId, u64>, bool);

/// Who it is, by what they show.
fn admitted(
    params: Option<&RawValue>,
    origin: Option<&Origin>,
    directory: &Directory,
    context: &Context<'_>,
) -> Result<Admitted, Failed> {
    let params: SessionOpen = read_params(params)?;
    let since: BTreeMap<_, _> = params.since.iter().flatten().map(|(id, seq)| (id.0, *seq)).collect();
    if since.len() > SINCE_MAX {
        return Err(WireError::too_large(SINCE_MAX as u64).into());
    }
    let (party, was_resumed) = match params.role {
        OpenRole::Customer => customer(params, origin, directory, context)?,
        OpenRole::Agent => (agent(&params, origin, directory, context)?, false),
    };
    Ok((party, since, was_resumed))
}

fn customer(
    params: SessionOpen,
    origin: Option<&Origin>,
    directory: &Directory,
    context: &Context<'_>,
) -> Result<(Party, bool), Failed> {
    let key = params.site.ok_or_else(|| WireError::invalid_params(Some("site"), "a customer names the site"))?;
    let unknown = || turned_away(WireError::unauthorized("no such site"));
    let (organisation, site) = directory.site(&key).ok_or_else(unknown)?;
    let config = organisation.sites.get(&site).ok_or_else(unknown)?;
    let is_allowed = |origin: &Origin| config.origins.is_empty() || config.origins.iter().any(|allowed| origin.is(allowed));
    if !origin.is_none_or(is_allowed) {
        return Err(turned_away(WireError::refused("forbidden", "not from pages of this origin")));
    }
    let resumed = match &params.resume {
        None => None,
        Some(token) => {
            let resumed = context.gateway.auth.customer_at(token, context.now).filter(|(id, _)| *id == organisation.id);
            Some(resumed.ok_or_else(|| turned_away(WireError::unauthorized("the resume token is not valid")))?.1)
        }
    };
    if let Some(name) = &params.name {
        check_name(name).map_err(|refusal| WireError::of(&refusal, |_| serde_json::Value::Null))?;
    }
    let mut metadata = params.metadata.unwrap_or_default().into_set();
    let page = params.page.unwrap_or_default().into_set();
    metadata.extend(super::party::page_metadata(page, params.locale));
    let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.bytes()).sum();
    if bytes > PAGE_BYTES_MAX {
        return Err(WireError::too_large(PAGE_BYTES_MAX as u64).into());
    }
    let party = CustomerParty {
        organisation: organisation.id,
        customer: resumed.unwrap_or_else(|| CustomerId::from_bits(random_bits())),
        site,
        name: params.name,
        metadata,
    };
    Ok((Party::Customer(Box::new(party)), resumed.is_some()))
}

fn agent(params: &SessionOpen, origin: Option<&Origin>, directory: &Directory, context: &Context<'_>) -> Result<Party, Failed> {
    let wrong = || turned_away(WireError::unauthorized("the token is not valid"));
    let token = params.token.as_deref();
    let token = token.ok_or_else(|| WireError::invalid_params(Some("token"), "an agent shows a token"))?;
    if !context.gateway.admits_desk(origin) {
        return Err(turned_away(WireError::refused("forbidden", "not from pages of this origin")));
    }
    let signed_in = context.gateway.auth.agent_at(directory, token, context.now).ok_or_else(wrong)?;
    let account = directory.organisation(signed_in.organisation).and_then(|it| it.account(signed_in.agent));
    let account = account.ok_or_else(wrong)?;
    Ok(Party::Agent(Box::new(AgentParty { signed_in, role: account.role, queues: account.queues.clone() })))
}

/// The engine has no room.
struct Full;

impl Opening {
    // ---- asking

    fn ask_for_account(&mut self, directory: &Directory, context: &mut Context<'_>) -> Result<(), Full> {
        let organisation = directory.organisation(self.open.party.organisation());
        let mut queues = organisation.map(|organisation| self.open.party.queues(organisation)).unwrap_or_default();
        let own: BTreeSet<QueueId> = match &self.open.party {
            Party::Customer(party) => {
                let customer = Address::Customer(party.customer);
                self.follow(customer, 0, Expected::Account, context)?;
                queues.truncate(QUEUES_AT_OPEN_CUSTOMER_MAX);
                BTreeSet::new()
            }
            Party::Agent(party) => {
                let (agent, organisation) = (party.signed_in.agent, party.signed_in.organisation);
                let own = party.queues.clone();
                self.follow(Address::Agent(agent), 0, Expected::Account, context)?;
                self.follow(Address::Organisation(organisation), 0, Expected::Organisation, context)?;
                // All of the agent's own are subscribed to, also those that the result has no room for.
                for queue in &own {
                    self.follow(Address::Queue(*queue), 0, Expected::Subscription(*queue), context)?;
                }
                queues.truncate(QUEUES_AT_OPEN_AGENT_MAX);
                own
            }
        };
        for queue in queues.iter().filter(|queue| !own.contains(queue)) {
            let reply_to = self.open.reply_to(context);
            let order = Order::Queue(*queue, Box::new(queue::Command::Describe));
            let who = self.open.party.who();
            context.gateway.engine.send(Request { who, key: None, order, reply_to }).map_err(|_| Full)?;
            self.expected.insert(self.open.made(), Expected::Queue);
        }
        self.wanted_queues = queues;
        Ok(())
    }

    fn follow(&mut self, what: Address, after: u64, expected: Expected, context: &Context<'_>) -> Result<(), Full> {
        let reply_to = self.open.reply_to(context);
        let mut follow = self.open.following(what, after, reply_to, context);
        follow.is_new = matches!(expected, Expected::Account) && !self.was_resumed && matches!(what, Address::Customer(_));
        context.gateway.engine.follow(follow).map_err(|_| Full)?;
        self.asked.push(what);
        self.expected.insert(self.open.made(), expected);
        Ok(())
    }

    /// The account is known: which conversations, and from where?
    fn choose_conversations(&mut self) -> VecDeque<(ConversationId, u64)> {
        let (own, reachable): (Vec<_>, Vec<_>) = match &self.account {
            Some(AccountView::Customer(view)) => (view.open.clone(), view.ended.clone()),
            // Whether an agent may see the others is for each of them to say.
            Some(AccountView::Agent(view)) => {
                (view.held.iter().map(|(conversation, _)| *conversation).collect(), self.since.keys().copied().collect())
            }
            None => (Vec::new(), Vec::new()),
        };
        let after = |conversation| self.since.get(&conversation).copied();
        // First those that the client knows: they decide whether the session is resumed.
        let known = own.iter().chain(reachable.iter().filter(|it| !own.contains(it)));
        let mut chosen: VecDeque<_> = known.filter_map(|it| Some((*it, after(*it)?))).collect();
        let reached: BTreeSet<_> = chosen.iter().map(|(conversation, _)| *conversation).collect();
        self.is_complete &= self.since.keys().all(|conversation| reached.contains(conversation));
        chosen.extend(own.iter().filter(|it| after(**it).is_none()).map(|it| (*it, 0)));
        chosen
    }

    // ---- being answered

    /// One delivery while the answer is not sent.
    pub(super) fn told(mut self: Box<Self>, delivery: Delivery, context: &mut Context<'_>) -> Progress {
        match delivery {
            Delivery::Answer { request, answer } => match self.expected.remove(&request) {
                Some(expected) => match self.answered(expected, answer, context) {
                    Ok(()) => self.step(context),
                    Err(Failed { error, is_final }) => self.fail(error, is_final, context),
                },
                None => Progress::Opening(self),
            },
            other => {
                self.hold_back(other);
                Progress::Opening(self)
            }
        }
    }

    fn answered(&mut self, expected: Expected, answer: Answer, context: &Context<'_>) -> Result<(), Failed> {
        let outcome = match answer {
            Ok(outcome) => outcome,
            Err(refusal @ (Refusal::Busy { .. } | Refusal::Unavailable { .. } | Refusal::RateLimited { .. })) => {
                return Err(WireError::of(&refusal, |_| serde_json::Value::Null).into());
            }
            Err(_) => return self.refused(&expected),
        };
        match (expected, outcome) {
            (Expected::Account, Outcome::Following { state: Reply::Customer(view), .. }) => {
                self.account = Some(AccountView::Customer(view));
            }
            (Expected::Account, Outcome::Following { state: Reply::Agent(view), .. }) => {
                self.account = Some(AccountView::Agent(view));
            }
            (Expected::Organisation, Outcome::Following { state: Reply::Presence(board), .. }) => self.board = board,
            (Expected::Subscription(queue), Outcome::Following { state: Reply::Queue(summary), .. }) => {
                self.open.subscribe(queue);
                self.queues.push(summary);
            }
            (Expected::Queue, Outcome::Reply(Reply::Queue(summary))) => self.queues.push(summary),
            (
                Expected::Conversation(conversation, after),
                Outcome::Following { state: Reply::Conversation(view), from_seq, .. },
            ) => {
                let from_seq = self.open.track(conversation, (after, from_seq), view.head);
                if self.since.contains_key(&conversation) {
                    self.is_complete &= from_seq <= after && after <= view.head;
                }
                let directory = context.gateway.engine.directory();
                let reader = Reader { audience: self.open.party.audience(), organisation: None, directory: &directory };
                let shown = reader.conversation(&view, Some(from_seq));
                if self.conversations_bytes + shown.bytes() > OPENED_CONVERSATIONS_BYTES_MAX {
                    // It does not fit: told later, from the beginning.
                    self.open.tracks.unfollow(conversation);
                    context.gateway.engine.unfollow(context.session(), Address::Conversation(conversation));
                    self.to_follow.get_or_insert_default().push_back((conversation, after));
                    self.conversations_bytes = OPENED_CONVERSATIONS_BYTES_MAX;
                    return Ok(());
                }
                self.conversations_bytes += shown.bytes();
                self.conversations.push(shown.into());
            }
            (_, outcome) => return Err(render::unexpected(&outcome).into()),
        }
        Ok(())
    }

    /// A no that will stay one.
    fn refused(&mut self, expected: &Expected) -> Result<(), Failed> {
        match expected {
            Expected::Account | Expected::Organisation => Err(turned_away(WireError::unauthorized("the account is not there"))),
            Expected::Subscription(_) | Expected::Queue => Ok(()),
            Expected::Conversation(conversation, _) => {
                self.is_complete &= !self.since.contains_key(conversation);
                Ok(())
            }
        }
    }

    /// Asks for the next, or ends.
    fn step(mut self: Box<Self>, context: &mut Context<'_>) -> Progress {
        if self.to_follow.is_none() {
            if !self.expected.is_empty() {
                return Progress::Opening(self);
            }
            self.to_follow = Some(self.choose_conversations());
        }
        while self.expected.len() < OPENING_AT_ONCE && self.conversations_bytes < OPENED_CONVERSATIONS_BYTES {
            let Some((conversation, after)) = self.to_follow.as_mut().and_then(VecDeque::pop_front) else {
                break;
            };
            let expected = Expected::Conversation(conversation, after);
            if self.follow(Address::Conversation(conversation), after, expected, context).is_err() {
                return self.fail(WireError::busy(BUSY_RETRY_MS), false, context);
            }
        }
        if self.expected.is_empty() { self.finish(context) } else { Progress::Opening(self) }
    }

    /// What came before the result is sent behind it. Of events no more are kept than a peer may be
    /// behind: the others are read from the log.
    fn hold_back(&mut self, delivery: Delivery) {
        let has_room = self.held_back.len() < HELD_BACK_MAX && self.held_back_bytes < HELD_BACK_BYTES_MAX;
        match &delivery {
            Delivery::Notice(notice) => match &notice.value {
                Notice::Entry { conversation, entry, .. } if !has_room => {
                    self.held_back_bytes = HELD_BACK_BYTES_MAX;
                    self.open.heard(*conversation, entry.seq);
                    return;
                }
                Notice::Entry { entry, .. } => {
                    self.held_back_bytes += match &entry.body {
                        Body::Message { text } | Body::NoteAdded { text } => text.len(),
                        _ => 0,
                    };
                }
                // The state that follows supersedes it, or the client reads it anew.
                _ if !has_room => return,
                _ => {}
            },
            Delivery::Following { .. } | Delivery::Unfollowed(_) | Delivery::Answer { .. } => {}
        }
        self.held_back.push(delivery);
    }

    // ---- the end

    fn fail(self: Box<Self>, error: WireError, is_final: bool, context: &mut Context<'_>) -> Progress {
        self.leave(context.session(), context.gateway);
        context.replies.say(self.slot, Err(error), context.sink);
        Progress::Failed { fresh: Fresh { origin: self.origin, next_request: self.open.next_request() }, is_final }
    }

    /// Follows nothing any more.
    pub(super) fn leave(&self, session: SessionRef, gateway: &Gateway) {
        for what in &self.asked {
            gateway.engine.unfollow(session, *what);
        }
        for delivery in &self.held_back {
            if let Delivery::Following { conversation, .. } = delivery {
                gateway.engine.unfollow(session, Address::Conversation(*conversation));
            }
        }
    }

    fn finish(mut self: Box<Self>, context: &mut Context<'_>) -> Progress {
        let later = self.to_follow.take().unwrap_or_default();
        // Resuming what will be told later cannot be promised.
        self.is_complete &= later.iter().all(|(conversation, _)| !self.since.contains_key(conversation));
        let result = self.result(!later.is_empty(), context);
        let Self { slot, mut open, held_back, .. } = *self;
        let session = context.session();
        tracing::debug!(socket = session.session, who = ?open.party.who(), "session open");
        context.gateway.enter(open.party.account(), session.session);
        context.sink.confirm_open();
        context.replies.say(slot, Ok(result), context.sink);
        open.follow_later(later);
        let mut then = Then::GoOn;
        for delivery in held_back {
            if then == Then::GoOn {
                then = open.told(delivery, context);
            }
        }
        open.opened();
        open.go_on(context);
        Progress::Open(Box::new(open), then)
    }

    fn result(&mut self, has_later: bool, context: &Context<'_>) -> String {
        let directory = context.gateway.engine.directory();
        let nobody = Organisation::default();
        let organisation = directory.organisation(self.open.party.organisation()).map_or(&nobody, |it| &**it);
        let reader = Reader { audience: self.open.party.audience(), organisation: Some(organisation), directory: &directory };
        let mut incomplete = Vec::new();
        let mut cut = |part: Part, is_cut: bool| {
            if is_cut {
                incomplete.push(part);
            }
        };
        let known = self.wanted_queues.iter().filter_map(|queue| self.queues.iter().find(|it| it.queue == *queue));
        let (queues, more) = render::page(known.map(|it| (String::new(), reader.queue(it))), OPENED_LIST_BYTES);
        cut(Part::Queues, more.is_some() || self.open.party.queues(organisation).len() > queues.len());
        cut(Part::Conversations, has_later);

        let shared = organisation.canned_messages();
        let (me, ended, tags, agents, resume) = match (&self.open.party, &self.account) {
            (Party::Customer(party), account) => {
                let (blocked, ended) = match account {
                    Some(AccountView::Customer(view)) => (view.blocked, view.ended.clone()),
                    Some(AccountView::Agent(_)) | None => (None, Vec::new()),
                };
                let blocked = blocked.map(|until| BlockedUntil { until: until.map(|until| until.0) });
                let me = Me::Customer { id: Id(party.customer), name: party.name.as_deref(), blocked };
                let resume = context.gateway.auth.resume_token(party.organisation, party.customer, context.now);
                (me, Some(ended.into_iter().map(Id).collect()), None, None, Some(resume))
            }
            (Party::Agent(party), account) => {
                let agent = party.signed_in.agent;
                let settings = organisation.account(agent);
                let (status, personal) = match account {
                    Some(AccountView::Agent(view)) => (view.status, view.canned.as_slice()),
                    Some(AccountView::Customer(_)) | None => (jono_domain::agent::Status::Offline, [].as_slice()),
                };
                let (canned, more) = render::page(render::canned(personal, &shared), OPENED_LIST_BYTES);
                cut(Part::Canned, more.is_some());
                let tags =
                    organisation.tags.iter().map(|(tag, definition)| (tag.clone(), Made::of(&ShownTag::of(tag, definition))));
                let (tags, more) = render::page(tags, OPENED_LIST_BYTES);
                cut(Part::Tags, more.is_some());
                let (agents, more) = render::page(render::colleagues(organisation, &self.board, |_, _| true), OPENED_LIST_BYTES);
                cut(Part::Agents, more.is_some());
                let me = Me::Agent {
                    id: Id(agent),
                    name: settings.map_or("", |account| &account.name),
                    account: settings.map_or(jono_domain::account::AccountKind::Person, |account| account.kind).into(),
                    role: party.role.into(),
                    status: status.into(),
                    canned,
                };
                (me, None, Some(tags), Some(agents), None)
            }
        };
        let session = context.session();
        render::written(&SessionOpened {
            session: format!("ses_{:x}_{:x}", session.gateway, session.session),
            resume,
            resumed: if self.since.is_empty() { self.was_resumed } else { self.is_complete },
            log: format!("log_{:016x}", context.gateway.engine.log_identity()),
            me,
            organisation: ShownOrganisation {
                named: OrganisationName { id: Id(organisation.id), name: &organisation.name },
                tags,
                agents,
            },
            queues,
            conversations: std::mem::take(&mut self.conversations),
            ended,
            incomplete,
            limits: ShownLimits {
                message_bytes: TEXT_BYTES_MAX,
                frame_bytes: context.gateway.settings.limits.frame_bytes,
                batch: BATCH_MAX,
                history: PAGE_EVENTS_MAX,
                requests: context.gateway.settings.limits.requests,
            },
            now: context.now.0,
        })
    }
}
