//! What travels to an entity.

use jono_domain::account::Who;
use jono_domain::message::{Address, Order};
use jono_domain::reply::Refusal;
use jono_domain::{conversation, queue};
use serde::{Deserialize, Serialize};

use crate::delivery::SessionRef;
use crate::request::{Answer, Follow, Outcome, ReplyTo};

/// One thing for one entity.
#[derive(Debug, Serialize, Deserialize)]
pub enum Letter {
    /// A command, and to whom the answer goes.
    Ask(Ask),
    /// A session begins to follow.
    Follow {
        /// Who, what, from where.
        follow: Follow,
        /// The session did not ask: it is told with [`crate::delivery::Delivery::Following`].
        unasked: bool,
    },
    /// A session no longer follows.
    Unfollow {
        /// Which session.
        session: SessionRef,
        /// What.
        what: Address,
        /// Only if it was led there, and has not asked for it itself.
        is_led: bool,
    },
}

/// A command on its way.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ask {
    /// Whose credential.
    pub who: Who,
    /// Chosen by the client.
    pub key: Option<String>,
    /// What is asked of whom.
    pub order: Order,
    /// To whom the answer goes.
    pub reply_to: ReplyTo,
    /// How often it was forwarded.
    pub hops: u8,
}

impl Letter {
    /// A command that nobody waits for, from one entity to another.
    #[must_use]
    pub fn tell(order: Order) -> Self {
        Letter::Ask(Ask { who: Who::Engine, key: None, order, reply_to: ReplyTo::Nobody, hops: 0 })
    }

    /// For whom it is.
    #[must_use]
    pub fn address(&self) -> Address {
        match self {
            Letter::Ask(ask) => ask.order.address(),
            Letter::Follow { follow, .. } => follow.what,
            Letter::Unfollow { what, .. } => *what,
        }
    }

    /// May it be refused when there is too much to do? What entities tell each other may not, being bounded
    /// by what came from outside; nor may the end of a session.
    #[must_use]
    pub fn is_from_outside(&self) -> bool {
        match self {
            Letter::Ask(ask) => !self.is_tale() && ask.hops == 0,
            Letter::Follow { unasked, .. } => !unasked,
            Letter::Unfollow { .. } => false,
        }
    }

    /// What one entity tells another, with nobody waiting behind it.
    #[must_use]
    pub fn is_tale(&self) -> bool {
        match self {
            Letter::Ask(ask) => ask.who == Who::Engine,
            Letter::Follow { .. } | Letter::Unfollow { .. } => false,
        }
    }

    /// A tale that its teller will not tell again by itself, should the receiver's process die with it. Everything else is
    /// told anew by [`Machine::announce`](jono_domain::Machine::announce).
    pub(crate) fn is_told_once(&self) -> bool {
        match self {
            Letter::Ask(Ask { who: Who::Engine, order: Order::Conversation(_, command), .. }) => {
                // Whether its customer is blocked, and a conversation's place, are told anew as they are now. To repeat what was
                // told before, one thing after the other, would undo a block for a moment. Who asks how things stand asks again.
                !matches!(
                    **command,
                    conversation::Command::Place { .. }
                        | conversation::Command::CustomerBlocked { .. }
                        | conversation::Command::Announce { .. }
                )
            }
            Letter::Ask(Ask { who: Who::Engine, order: Order::Queue(queue, command), .. }) => match &**command {
                // A conversation that has left a queue does not announce itself there any more.
                queue::Command::Announce { row } => row.state == conversation::RowState::Closed || row.queue != *queue,
                queue::Command::AnnounceAll { .. } => false,
                _ => true,
            },
            Letter::Ask(_) | Letter::Follow { .. } | Letter::Unfollow { .. } => false,
        }
    }

    /// Who waits for the answer.
    pub(crate) fn reply_to_mut(&mut self) -> Option<&mut ReplyTo> {
        match self {
            Letter::Ask(ask) => Some(&mut ask.reply_to),
            Letter::Follow { follow, .. } => Some(&mut follow.reply_to),
            Letter::Unfollow { .. } => None,
        }
    }

    /// To whom a refusal goes.
    #[must_use]
    pub fn into_reply_to(self) -> ReplyTo {
        match self {
            Letter::Ask(ask) => ask.reply_to,
            Letter::Follow { follow, .. } => follow.reply_to,
            Letter::Unfollow { .. } => ReplyTo::Nobody,
        }
    }
}

/// A yes or no of the domain as the engine's answer.
pub(crate) fn answered(reply: Result<jono_domain::reply::Reply, Refusal>) -> Answer {
    reply.map(Outcome::Reply)
}
