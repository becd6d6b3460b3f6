//! What a step sends once it is confirmed.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use jono_domain::account::{Audience, Who};
use jono_domain::id::ConversationId;
use jono_domain::message::{Address, Effect, Order};
use jono_domain::notice::Notice;
use jono_domain::organisation::Organisation;
use jono_domain::reply::{Refusal, Reply};
use jono_points::{KillPoint, pass};

use crate::delivery::{Delivery, SessionRef, Shared};
use crate::entity::Parcel;
use crate::followers::Followers;
use crate::host::Host;
use crate::letter::{Ask, Letter};
use crate::limits::{RETRY_AFTER_MS, UNASKED_BYTES_MAX};
use crate::request::{Answer, Follow, ReplyTo};

/// The followers of one entity, shared by the entity and the host.
pub(crate) type SharedFollowers = Rc<RefCell<Followers>>;

/// One thing to send.
#[derive(Debug)]
pub(crate) enum Output {
    /// An answer.
    Reply(ReplyTo, Answer),
    /// A letter to another entity; a forwarded request is in here with its asker.
    Post(Letter),
    /// To the followers.
    Publish(SharedFollowers, Option<Audience>, Arc<Shared<Notice>>),
    /// The followers follow that conversation too.
    FollowConversation(SharedFollowers, ConversationId),
    /// Sessions that may not follow any more.
    Expel(SharedFollowers, Address, Vec<SessionRef>),
    /// A new follower is sent what it has not seen.
    CatchUp(Box<CatchUp>),
    /// The settings of an organisation, for everybody.
    PublishOrganisation(Box<Organisation>),
}

/// A follower that begins.
#[derive(Debug)]
pub(crate) struct CatchUp {
    pub(crate) follow: Follow,
    pub(crate) unasked: bool,
    pub(crate) audience: Audience,
    /// What there is.
    pub(crate) head: u64,
    /// The state at that moment.
    pub(crate) state: Reply,
    pub(crate) followers: SharedFollowers,
    /// Names the place among the followers.
    pub(crate) ticket: u64,
}

/// A follower that has waited in vain for what it has not seen.
#[derive(Debug)]
pub(crate) struct FollowAgain {
    pub(crate) follow: Follow,
    pub(crate) unasked: bool,
    pub(crate) ticket: u64,
}

impl From<CatchUp> for Box<FollowAgain> {
    fn from(catch_up: CatchUp) -> Self {
        let CatchUp { follow, unasked, ticket, .. } = catch_up;
        Box::new(FollowAgain { follow, unasked, ticket })
    }
}

/// Who asked for what a step does, as far as its outputs go on with the request.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) who: Who,
    pub(crate) key: Option<String>,
    pub(crate) reply_to: ReplyTo,
    pub(crate) hops: u8,
}

impl Asker {
    pub(crate) fn forward(self, order: Order) -> Letter {
        Letter::Ask(Ask { who: self.who, key: self.key, order, reply_to: self.reply_to, hops: self.hops.saturating_add(1) })
    }
}

/// The answer when the outcome is open: repeat with the same key.
pub(crate) fn unavailable() -> Refusal {
    Refusal::Unavailable { retry_after_ms: RETRY_AFTER_MS }
}

/// The answer when there is no room: nothing was done.
pub(crate) fn busy() -> Refusal {
    Refusal::Busy { retry_after_ms: RETRY_AFTER_MS }
}

/// The answer to a session that left, or was made to, before it was sent what it asked for.
pub(crate) fn unfollowed_meanwhile() -> Refusal {
    Refusal::conflict("unfollowed meanwhile")
}

/// Everything that an effect says, but for forwarding, which needs the asker.
pub(crate) fn output_of(effect: Effect, followers: &SharedFollowers, settings: Option<&Organisation>) -> Option<Output> {
    match effect {
        Effect::Tell(order) => Some(Output::Post(Letter::tell(order))),
        Effect::Forward(_) | Effect::RecheckFollowers => None,
        Effect::Publish(audience, notice) => {
            let heard = !followers.borrow().is_empty();
            heard.then(|| Output::Publish(Rc::clone(followers), audience, Shared::new(notice)))
        }
        Effect::FollowConversation(conversation) => Some(Output::FollowConversation(Rc::clone(followers), conversation)),
        Effect::PublishOrganisation => settings.map(|settings| Output::PublishOrganisation(Box::new(settings.clone()))),
    }
}

impl Host {
    /// Sends.
    pub(crate) fn send(self: &Rc<Self>, outputs: impl IntoIterator<Item = Output>) {
        let mut deliveries = Vec::new();
        for output in outputs {
            match output {
                Output::Reply(reply_to, answer) => reply_to.answer(answer, &mut deliveries),
                Output::Post(letter) => self.post(letter, &mut deliveries),
                Output::Publish(followers, audience, notice) => {
                    followers.borrow_mut().publish(audience, &notice, &mut deliveries)
                }
                Output::FollowConversation(followers, conversation) => {
                    self.follow_conversation(&followers, conversation, &mut deliveries)
                }
                Output::Expel(followers, what, sessions) => {
                    for session in sessions {
                        followers.borrow_mut().remove(session, false);
                        if let Address::Conversation(conversation) = what {
                            deliveries.push((session, Delivery::Unfollowed(conversation)));
                        }
                    }
                    self.give(what, Parcel::Recount);
                }
                Output::CatchUp(catch_up) => self.catch_up(*catch_up, &mut deliveries),
                Output::PublishOrganisation(organisation) => {
                    self.directory.rcu(|directory| directory.with(&organisation));
                    self.bus.settings_changed(organisation.id);
                }
            }
        }
        self.deliver(deliveries);
    }

    pub(crate) fn deliver(&self, deliveries: Vec<(SessionRef, Delivery)>) {
        if !deliveries.is_empty() {
            self.counters.deliveries.add(deliveries.len() as u64);
            pass(KillPoint::DeliveriesReady);
            self.bus.deliver(deliveries);
            pass(KillPoint::DeliveriesHandedOver);
        }
    }

    fn post(&self, letter: Letter, deliveries: &mut Vec<(SessionRef, Delivery)>) {
        let is_tale = letter.is_tale();
        if !is_tale {
            pass(KillPoint::ForwardDue);
        }
        if let Err(letter) = self.bus.post(letter) {
            letter.into_reply_to().answer(Err(busy()), deliveries);
        }
        pass(if is_tale { KillPoint::TaleTold } else { KillPoint::RequestForwarded });
    }

    fn follow_conversation(
        &self,
        followers: &SharedFollowers,
        conversation: ConversationId,
        deliveries: &mut Vec<(SessionRef, Delivery)>,
    ) {
        followers.borrow_mut().lead(conversation);
        for follower in followers.borrow().iter() {
            self.post(lead(follower.session, follower.who, conversation), deliveries);
        }
    }

    /// Others serve conversations that sessions were led to: the new ones are told, should the old ones have taken that
    /// with them. Sessions that follow already notice nothing.
    pub(crate) fn lead_again(&self, followers: &SharedFollowers, is_meant: impl Fn(ConversationId) -> bool) {
        let led = followers.borrow().led(is_meant);
        let mut deliveries = Vec::new();
        led.into_iter().for_each(|(session, who, conversation)| self.post(lead(session, who, conversation), &mut deliveries));
        self.deliver(deliveries);
    }
}

/// The session begins to follow a conversation that it did not ask for.
fn lead(session: SessionRef, who: Who, conversation: ConversationId) -> Letter {
    let follow = Follow {
        session,
        who,
        what: Address::Conversation(conversation),
        after: 0,
        bytes_max: UNASKED_BYTES_MAX,
        is_new: false,
        reply_to: ReplyTo::Nobody,
    };
    Letter::Follow { follow, unasked: true }
}
