//! An open session: requests go to the engine, answers and notices to the client.

use std::collections::VecDeque;
use std::sync::Arc;

use jono_domain::account::{Audience, Role};
use jono_domain::conversation::RowState;
use jono_domain::id::{ConversationId, QueueId};
use jono_domain::message::{Address, Order};
use jono_domain::notice::Notice;
use jono_domain::queue;
use jono_domain::reply::Reply;
use jono_domain::time::Time;
use jono_engine::delivery::{Delivery, SessionRef, Shared};
use jono_engine::directory::Directory;
use jono_engine::request::{Answer, Follow, Outcome, Query, ReplyTo, Request};
use jono_points::{KillPoint, Rule, is_broken, pass};
use jono_socket::Text;
use serde_json::value::RawValue;

use super::gateway::Gateway;
use super::limits::{BEHIND_OVER_BYTES, Buckets, FOLLOW_BYTES};
use super::party::Party;
use super::plan::{self, Ask, Known};
use super::render::{self, Reader, Render};
use super::replies::{Replies, Slot};
use super::seam::Sink;
use super::starts::Network;
use super::tracks::Tracks;
use crate::wire::error::{BUSY_RETRY_MS, WireError};
use crate::wire::id::Id;
use crate::wire::methods::{Method, Rate};
use crate::wire::notifications::{self, Unfollowed, say};

/// What a call of the session may use.
pub(super) struct Context<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) replies: &'a mut Replies,
    /// The peer's address, if it is counted by that.
    pub(super) network: Option<Network>,
    pub(super) sink: &'a mut dyn Sink,
    pub(super) now: Time,
}

impl Context<'_> {
    pub(super) fn session(&self) -> SessionRef {
        SessionRef { gateway: self.gateway.number, session: self.sink.id() }
    }
}

/// A session that has said who it is.
pub(super) struct Open {
    pub(super) party: Party,
    pub(super) tracks: Tracks,
    /// Queues that are followed, sorted.
    subscribed: Vec<QueueId>,
    pub(super) pending: Vec<Pending>,
    next_request: u64,
    buckets: Buckets,
    /// Conversations whose log must be read, in turn; `sent` and `behind` are in their tracks.
    pub(super) behind: VecDeque<ConversationId>,
    /// Conversations that are to be followed when the peer has read what was sent.
    pub(super) follow_later: VecDeque<(ConversationId, u64)>,
    /// A page of the log, or a conversation to be followed, is on its way.
    pub(super) is_going_on: bool,
    /// `session.open` is not answered yet: nothing goes on by itself.
    pub(super) is_opening: bool,
    /// What is to be followed again: see `moving`.
    pub(super) anew: Vec<Address>,
}

/// A request that waits for answers: those to the numbers `first..first + count`.
pub(super) struct Pending {
    first: u64,
    count: u64,
    left: u64,
    slot: Slot,
    pub(super) render: Render,
}

impl Open {
    pub(super) fn new(party: Party, next_request: u64) -> Self {
        Self {
            party,
            tracks: Tracks::default(),
            subscribed: Vec::new(),
            pending: Vec::new(),
            next_request,
            buckets: Buckets::default(),
            behind: VecDeque::new(),
            follow_later: VecDeque::new(),
            is_going_on: false,
            is_opening: true,
            anew: Vec::new(),
        }
    }

    // ---- what the client asks

    /// A call of a method that the table knows; `session.open` and `ping` are answered elsewhere.
    pub(super) fn call(&mut self, method: &Method, params: Option<&RawValue>, slot: Slot, context: &mut Context<'_>) -> Then {
        let directory = context.gateway.engine.directory();
        match self.planned(method, params, &directory, context) {
            Err(error) => context.replies.say(slot, Err(error), context.sink),
            Ok(Ask::Answer(result)) => context.replies.say(slot, Ok(result), context.sink),
            Ok(Ask::Close) => {
                context.replies.say(slot, Ok(render::done()), context.sink);
                return Then::Close;
            }
            Ok(Ask::Send { order, key, render }) => self.send(order, key, slot, render, context),
            Ok(Ask::Follow { what, after, render }) => self.follow(what, after, slot, render, context),
            Ok(Ask::Query { query, render }) => self.query(query, slot, render, context),
            Ok(Ask::Queues { queues, cursor }) => self.describe_queues(queues, cursor, slot, context),
            Ok(Ask::Unfollow(what)) => {
                self.unfollow(what, context);
                context.replies.say(slot, Ok(render::done()), context.sink);
            }
        }
        Then::GoOn
    }

    fn planned(
        &mut self,
        method: &Method,
        params: Option<&RawValue>,
        directory: &Directory,
        context: &Context<'_>,
    ) -> Result<Ask, WireError> {
        if !method.roles.include(self.party.role()) {
            return Err(WireError::forbidden());
        }
        let limits = &context.gateway.settings.limits;
        let rates = match self.party {
            Party::Customer(_) => &limits.customer,
            Party::Agent(_) => &limits.agent,
        };
        self.buckets.take(method.rate, rates, context.now).map_err(WireError::rate_limited)?;
        let known = Known {
            party: &self.party,
            tracks: &self.tracks,
            subscribed: &self.subscribed,
            directory,
            ids: &context.gateway.settings.ids,
            now: context.now,
        };
        let ask = plan::plan(method.call, params, &known)?;
        let waits = !matches!(ask, Ask::Answer(_) | Ask::Close | Ask::Unfollow(_));
        // What the session asks of its own accord does not count.
        if waits && self.pending.iter().filter(|pending| !pending.render.is_own()).count() >= limits.requests {
            return Err(WireError::busy(BUSY_RETRY_MS));
        }
        if let (Rate::Start, Party::Customer(_), Some(network)) = (method.rate, &self.party, context.network) {
            let settings = &context.gateway.settings;
            let taken = settings.starts.take(network, settings.limits.starts_per_address, context.now);
            taken.map_err(WireError::rate_limited)?;
        }
        Ok(ask)
    }

    pub(super) fn send(&mut self, order: Order, key: Option<String>, slot: Slot, render: Render, context: &mut Context<'_>) {
        pass(KillPoint::RequestDecoded);
        let reply_to = self.reply_to(context);
        let asked = context.gateway.engine.send(Request { who: self.party.who(), key, order, reply_to });
        self.wait(asked.is_ok(), slot, render, context);
    }

    fn follow(&mut self, what: Address, after: u64, slot: Slot, render: Render, context: &mut Context<'_>) {
        let reply_to = self.reply_to(context);
        let asked = context.gateway.engine.follow(self.following(what, after, reply_to, context));
        self.wait(asked.is_ok(), slot, render, context);
    }

    pub(super) fn following(&self, what: Address, after: u64, reply_to: ReplyTo, context: &Context<'_>) -> Follow {
        let (session, who) = (context.session(), self.party.who());
        Follow { session, who, what, after, bytes_max: FOLLOW_BYTES, is_new: false, reply_to }
    }

    fn query(&mut self, query: Query, slot: Slot, render: Render, context: &mut Context<'_>) {
        let reply_to = self.reply_to(context);
        let asked = context.gateway.engine.query(self.party.who(), query, reply_to);
        self.wait(asked.is_ok(), slot, render, context);
    }

    /// One answer for many questions. Those behind a full queue of the engine count as answered.
    fn describe_queues(&mut self, queues: Vec<QueueId>, cursor: Option<String>, slot: Slot, context: &mut Context<'_>) {
        let first = self.next_request;
        let mut asked = 0;
        for queue in &queues {
            let order = Order::Queue(*queue, Box::new(queue::Command::Describe));
            let reply_to = self.reply_to(context);
            if context.gateway.engine.send(Request { who: self.party.who(), key: None, order, reply_to }).is_err() {
                break;
            }
            self.next_request += 1;
            asked += 1;
        }
        if (asked as usize) < queues.len() {
            return context.replies.say(slot, Err(WireError::busy(BUSY_RETRY_MS)), context.sink);
        }
        let render = Render::Queues { wanted: queues, summaries: Vec::new(), cursor };
        let pending = Pending { first, count: asked, left: asked, slot, render };
        if asked == 0 {
            let directory = context.gateway.engine.directory();
            self.answered_in_full(pending, Ok(Outcome::Reply(Reply::Done)), &directory, context);
        } else {
            self.pending.push(pending);
        }
    }

    pub(super) fn reply_to(&self, context: &Context<'_>) -> ReplyTo {
        ReplyTo::Session { session: context.session(), request: self.next_request }
    }

    /// The number that the next request will have.
    pub(super) fn next_request(&self) -> u64 {
        self.next_request
    }

    /// The number of the request that was just made.
    pub(super) fn made(&mut self) -> u64 {
        let request = self.next_request;
        self.next_request += 1;
        request
    }

    pub(super) fn wait(&mut self, is_asked: bool, slot: Slot, render: Render, context: &mut Context<'_>) {
        if is_asked {
            let first = self.made();
            self.pending.push(Pending { first, count: 1, left: 1, slot, render });
        } else {
            context.replies.say(slot, Err(WireError::busy(BUSY_RETRY_MS)), context.sink);
        }
    }

    /// The client follows that no longer, even if it is still being answered that it does.
    pub(super) fn unfollow(&mut self, what: Address, context: &mut Context<'_>) {
        let mut was_followed = false;
        match what {
            Address::Conversation(conversation) => {
                was_followed |= self.tracks.unfollow(conversation);
                self.follow_later.retain(|(later, _)| *later != conversation);
            }
            Address::Queue(queue) => {
                if let Ok(at) = self.subscribed.binary_search(&queue) {
                    self.subscribed.remove(at);
                    was_followed = true;
                }
            }
            Address::Organisation(_) | Address::Agent(_) | Address::Customer(_) => {}
        }
        for pending in &mut self.pending {
            match &mut pending.render {
                Render::Follow { conversation, is_cancelled, .. } if what == Address::Conversation(*conversation) => {
                    *is_cancelled = true;
                    was_followed = true;
                }
                Render::Subscribe { queue, is_cancelled } if what == Address::Queue(*queue) => {
                    *is_cancelled = true;
                    was_followed = true;
                }
                _ => {}
            }
        }
        if was_followed {
            context.gateway.engine.unfollow(context.session(), what);
        }
    }

    // ---- what the engine tells

    /// One delivery. `session.open` has been answered.
    pub(super) fn told(&mut self, delivery: Delivery, context: &mut Context<'_>) -> Then {
        match delivery {
            Delivery::Answer { request, answer } => self.answered(request, answer, context),
            Delivery::Notice(notice) => return self.noticed(&notice, context),
            Delivery::Following { conversation, state, from_seq, .. } => {
                if let Reply::Conversation(view) = *state {
                    if self.party.agent().is_some()
                        && view.row.state == RowState::Closed
                        && self.tracks.get(conversation).is_none()
                    {
                        // Whoever gave it had not heard of its end.
                        context.gateway.engine.unfollow(context.session(), Address::Conversation(conversation));
                        return Then::GoOn;
                    }
                    // A client that waits to be led there may have a part of it.
                    let after = self.has_until(conversation).unwrap_or(0).min(view.head);
                    self.given(conversation, &view, (after, from_seq.max(after)), context);
                    self.confirm(conversation, context);
                }
            }
            Delivery::Unfollowed(conversation) => {
                if self.tracks.unfollow(conversation) {
                    tell_unfollowed(conversation, context);
                }
            }
        }
        Then::GoOn
    }

    fn answered(&mut self, request: u64, answer: Answer, context: &mut Context<'_>) {
        pass(KillPoint::AnswerReceived);
        let at = self.pending.iter().position(|pending| (pending.first..pending.first + pending.count).contains(&request));
        let Some(at) = at else {
            tracing::error!(request, "an answer to nothing that was asked");
            return;
        };
        let pending = &mut self.pending[at];
        pending.left -= 1;
        if let (Render::Queues { summaries, .. }, Ok(Outcome::Reply(Reply::Queue(summary)))) = (&mut pending.render, &answer) {
            summaries.push(summary.clone());
        }
        if pending.left > 0 {
            return;
        }
        let pending = self.pending.swap_remove(at);
        if self.pending.is_empty() {
            // An idle session keeps no room for requests.
            self.pending = Vec::new();
        }
        let directory = context.gateway.engine.directory();
        self.answered_in_full(pending, answer, &directory, context);
    }

    fn answered_in_full(&mut self, pending: Pending, answer: Answer, directory: &Directory, context: &mut Context<'_>) {
        let Pending { slot, render, .. } = pending;
        let organisation = directory.organisation(self.party.organisation());
        let reader = Reader { audience: self.party.audience(), organisation: organisation.map(|it| &**it), directory };
        let result = match (render, answer) {
            (Render::CatchUp { conversation, heard }, answer) => {
                return self.read_on((conversation, heard), answer, directory, context);
            }
            (Render::Deadlines { conversation }, answer) => {
                if let Ok(Outcome::Reply(Reply::Conversation(view))) = answer
                    && self.tracks.get(conversation).is_some()
                {
                    let notice = Notice::Deadline { conversation, deadlines: view.row.deadlines, warning: None };
                    send_encoded(&Shared::new(notice), self.party.audience(), context);
                }
                return;
            }
            (Render::PerhapsGiven { conversation }, answer) => return self.perhaps_given(conversation, answer, context),
            (Render::FollowAnew { what }, answer) => return self.follows_anew(what, answer, context),
            (Render::Confirm { conversation, after }, answer) => {
                return self.confirmed((conversation, after), answer, context);
            }
            (Render::FollowLater { conversation, after }, answer) => {
                return self.follows_later((conversation, after), answer, context);
            }
            (Render::Queues { wanted, summaries, cursor }, _) => Ok(reader.queues(&wanted, &summaries, cursor)),
            (Render::Follow { is_cancelled: true, .. } | Render::Subscribe { is_cancelled: true, .. }, _) => {
                Err(WireError::conflict("unfollowed meanwhile"))
            }
            (
                Render::Follow { conversation, after, .. },
                Ok(Outcome::Following { state: Reply::Conversation(view), from_seq, .. }),
            ) => {
                // Given meanwhile by the engine, it is told from where it was given.
                let given = self.tracks.get(conversation).map(|track| track.sent);
                let from_seq = given.unwrap_or_else(|| self.track(conversation, (after, from_seq), view.head));
                let result = render::written(&reader.conversation(&view, Some(from_seq)));
                context.replies.say(slot, Ok(result), context.sink);
                return self.go_on(context);
            }
            (Render::Subscribe { queue, .. }, Ok(Outcome::Following { state: Reply::Queue(summary), .. })) => {
                self.subscribe(queue);
                Ok(render::written(&reader.queue(&summary)))
            }
            (render, answer) => reader.result(&render, answer),
        };
        context.replies.say(slot, result, context.sink);
    }

    /// The queues that are followed, sorted.
    pub(super) fn subscribed(&self) -> &[QueueId] {
        &self.subscribed
    }

    /// The session follows the queue now.
    pub(super) fn subscribe(&mut self, queue: QueueId) {
        if let Err(at) = self.subscribed.binary_search(&queue) {
            self.subscribed.insert(at, queue);
        }
    }

    fn noticed(&mut self, notice: &Arc<Shared<Notice>>, context: &mut Context<'_>) -> Then {
        pass(KillPoint::NoticeReceived);
        let audience = self.party.audience();
        match &notice.value {
            Notice::Entry { conversation, entry, .. } => {
                if entry.is_for(audience) {
                    self.grown(*conversation, (entry.seq, entry.prev_for(audience)), notice, context);
                }
                return Then::GoOn;
            }
            Notice::OrganisationChanged if self.party.agent().is_some() && !self.still_stands(context) => return Then::Expire,
            Notice::Typing { .. } if context.sink.outbox_bytes() > BEHIND_OVER_BYTES => return Then::GoOn,
            Notice::Queue(summary) if self.subscribed.binary_search(&summary.queue).is_err() => return Then::GoOn,
            Notice::Raised { queue, .. } if self.subscribed.binary_search(queue).is_err() => return Then::GoOn,
            other => {
                let about = notifications::conversation_of(other);
                if about.is_some_and(|conversation| self.tracks.get(conversation).is_none()) {
                    return Then::GoOn;
                }
            }
        }
        send_encoded(notice, audience, context);
        Then::GoOn
    }

    // ---- the end

    /// Does the credential still stand, with the rights that the session was opened with?
    pub(super) fn still_stands(&self, context: &Context<'_>) -> bool {
        let Party::Agent(party) = &self.party else {
            return true;
        };
        let directory = context.gateway.engine.directory();
        let signed_in = &party.signed_in;
        let account = directory.organisation(signed_in.organisation).and_then(|it| it.account(signed_in.agent));
        let has_rights = account.is_some_and(|account| {
            let is_operator = account.role == Role::Operator;
            account.role == party.role && (is_operator || account.queues == party.queues)
        });
        has_rights && context.gateway.auth.still_holds(&directory, signed_in)
    }

    /// Follows nothing any more. What was asked for and not answered yet counts.
    pub(super) fn leave(&self, session: SessionRef, gateway: &Gateway) {
        let engine = &gateway.engine;
        for conversation in self.tracks.conversations() {
            engine.unfollow(session, Address::Conversation(conversation));
        }
        for queue in &self.subscribed {
            engine.unfollow(session, Address::Queue(*queue));
        }
        for pending in &self.pending {
            match pending.render {
                Render::Follow { conversation, is_cancelled: false, .. } | Render::FollowLater { conversation, .. } => {
                    engine.unfollow(session, Address::Conversation(conversation));
                }
                Render::Subscribe { queue, is_cancelled: false } => engine.unfollow(session, Address::Queue(queue)),
                _ => {}
            }
        }
        let own = self.party.own().filter(|_| !is_broken(Rule::ClosedSessionsLeave));
        own.for_each(|what| engine.unfollow(session, what));
    }
}

/// What becomes of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    /// The client said so.
    Close,
    /// What it was opened with does not stand any more.
    Expire,
}

/// The client learns that it follows the conversation no more.
pub(super) fn tell_unfollowed(conversation: ConversationId, context: &mut Context<'_>) {
    let unfollowed = say("conversation.unfollowed", &Unfollowed { conversation: Id(conversation) });
    context.sink.send(Text::from(unfollowed));
}

pub(super) fn send_encoded(notice: &Shared<Notice>, audience: Audience, context: &mut Context<'_>) {
    let directory = context.gateway.engine.directory();
    let text = notifications::encoded(notice, audience, &directory);
    if !text.is_empty() {
        context.sink.send(text);
    }
}
