//! The steps of `session.open`: who it is, then the account and its queues, then the conversations,
//! then one result; everything else that comes meanwhile waits behind it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jono_domain::id::{AgentId, ConversationId, QueueId};
use jono_domain::message::{Address, Order};
use jono_domain::organisation::Presence;
use jono_domain::queue;
use jono_domain::reply::{AgentView, CustomerView, QueueSummary, Reply};
use jono_engine::delivery::{Delivery, SessionRef};
use jono_engine::directory::Directory;
use jono_engine::request::{Answer, Outcome, Request};
use jono_points::{KillPoint, Rule, is_broken, pass};
use serde_json::value::RawValue;

use super::admission::{Admitted, Failed, admitted, turned_away};
use super::gateway::{Gateway, Origin};
use super::held_back::HeldBack;
use super::limits::{
    OPENED_CONVERSATIONS_BYTES, OPENED_CONVERSATIONS_BYTES_MAX, OPENING_AT_ONCE, QUEUES_AT_OPEN_AGENT_MAX,
    QUEUES_AT_OPEN_CUSTOMER_MAX,
};
use super::open::{Context, Open, Then};
use super::party::Party;
use super::render::{self, Reader};
use super::replies::Slot;
use crate::wire::error::{BUSY_RETRY_MS, WireError};
use crate::wire::results::Made;
use crate::wire::shown::AnyConversation;

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
    pub(super) open: Open,
    pub(super) since: BTreeMap<ConversationId, u64>,
    /// Answers to come, by request.
    expected: BTreeMap<u64, Expected>,
    /// What is followed or being asked for: it must be unfollowed if this does not end well.
    asked: Vec<Address>,
    pub(super) account: Option<AccountView>,
    pub(super) board: Vec<(AgentId, Presence)>,
    pub(super) wanted_queues: Vec<QueueId>,
    pub(super) queues: Vec<QueueSummary>,
    /// Conversations still to be followed, and from where.
    to_follow: Option<VecDeque<(ConversationId, u64)>>,
    /// The result's conversations, as JSON.
    pub(super) conversations: Vec<Made<AnyConversation<'static>>>,
    conversations_bytes: usize,
    held_back: HeldBack,
    pub(super) is_complete: bool,
    pub(super) was_resumed: bool,
    /// See [`Gateway::moves`], at the beginning.
    moves: (u64, u64),
}

enum Expected {
    Account,
    Organisation,
    Subscription(QueueId),
    Queue,
    Conversation(ConversationId, u64),
}

pub(super) enum AccountView {
    Customer(CustomerView),
    Agent(Box<AgentView>),
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
    let Admitted { party, since, was_resumed, is_other_log } = match admitted {
        Ok(admitted) => admitted,
        Err(Failed { error, is_final }) => {
            context.replies.say(slot, Err(error), context.sink);
            return Progress::Failed { fresh, is_final };
        }
    };
    pass(KillPoint::SessionOpening);
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
        held_back: HeldBack::default(),
        is_complete: !is_other_log,
        was_resumed,
        moves: context.gateway.moves(),
    });
    match opening.ask_for_account(&directory, context) {
        Ok(()) => Progress::Opening(opening),
        Err(Full) => opening.fail(WireError::busy(BUSY_RETRY_MS), false, context),
    }
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
        if is_broken(Rule::ResumedMeansComplete) {
            chosen.retain(|(conversation, _)| own.contains(conversation));
        }
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
                self.hold_back(other, context);
                Progress::Opening(self)
            }
        }
    }

    fn answered(&mut self, expected: Expected, answer: Answer, context: &Context<'_>) -> Result<(), Failed> {
        let outcome = match answer {
            Ok(outcome) => outcome,
            Err(refusal) if refusal.is_for_later() => {
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
                if self.open.party.agent().is_some()
                    && !self.since.contains_key(&conversation)
                    && !self.open.party.is_given(&view.row)
                {
                    // The account's list was a moment old.
                    context.gateway.engine.unfollow(context.session(), Address::Conversation(conversation));
                    return Ok(());
                }
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

    /// What came before the result is sent behind it.
    fn hold_back(&mut self, delivery: Delivery, context: &Context<'_>) {
        let is_led = |conversation| {
            let is_expected = |it: &Expected| matches!(it, Expected::Conversation(expected, _) if *expected == conversation);
            self.open.tracks.get(conversation).is_some() || self.expected.values().any(is_expected)
        };
        if let Some(conversation) = self.held_back.keep(delivery, self.open.party.audience(), is_led) {
            // No room for its state: followed when the result is sent.
            context.gateway.engine.unfollow(context.session(), Address::Conversation(conversation));
        }
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
        self.held_back.leave(session, gateway);
    }

    fn finish(mut self: Box<Self>, context: &mut Context<'_>) -> Progress {
        if !self.open.still_stands(context) {
            // Nothing of what the account may not see any more is told.
            return self.expire(context);
        }
        let mut later = self.to_follow.take().unwrap_or_default();
        for conversation in self.held_back.take_later() {
            if !later.iter().any(|(other, _)| *other == conversation) {
                later.push_back((conversation, self.since.get(&conversation).copied().unwrap_or(0)));
            }
        }
        // Resuming what will be told later cannot be promised.
        self.is_complete &= later.iter().all(|(conversation, _)| !self.since.contains_key(conversation));
        let result = self.result(!later.is_empty(), context);
        let Self { slot, mut open, held_back, moves, .. } = *self;
        let session = context.session();
        tracing::debug!(socket = session.session, who = ?open.party.who(), "session open");
        context.gateway.enter(open.party.account(), session.session);
        let (moved, reset) = context.gateway.moves();
        if reset != moves.1 {
            // What was learnt meanwhile may not stand: it must begin anew, like all others.
            context.sink.close(1012, "resume");
        }
        context.sink.confirm_open();
        context.replies.say(slot, Ok(result), context.sink);
        pass(KillPoint::SessionOpened);
        open.follow_later(later);
        let then = held_back.tell(&mut open, context);
        if then == Then::GoOn {
            open.opened();
            if moved != moves.0 {
                open.follow_everything_anew(context);
            }
            open.go_on(context);
        }
        Progress::Open(Box::new(open), then)
    }

    /// The rights with which it was begun do not stand any more.
    fn expire(self: Box<Self>, context: &mut Context<'_>) -> Progress {
        self.leave(context.session(), context.gateway);
        context.replies.say(self.slot, Err(WireError::unauthorized("the account's rights have changed")), context.sink);
        Progress::Open(Box::new(self.open), Then::Expire)
    }
}
