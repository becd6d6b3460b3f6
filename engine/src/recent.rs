//! What became of the last requests where nothing stored tells it: refusals, and where requests were sent on that came from
//! another entity. A process among others sends a request again when it hears nothing, so one request may arrive as several
//! letters: the later ones must meet the same fate, or a pick would claim a second customer whom nobody is told of.

use std::collections::VecDeque;

use jono_domain::message::Order;

use crate::delivery::SessionRef;
use crate::request::{Answer, ReplyTo};

/// How many are remembered. A request is sent again for some seconds; an entity that answers more than so many refusals
/// meanwhile is asked in vain by a crowd, of whom each repeats by itself.
const KEPT_MAX: usize = 256;

/// Names one request of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ident(SessionRef);

impl Ident {
    /// Of a request that may come again: one that its process has given a number.
    pub(crate) fn of(reply_to: Option<&ReplyTo>) -> Option<Self> {
        match reply_to? {
            ReplyTo::Session { session, .. } if crate::cluster::is_numbered(*session) => Some(Self(*session)),
            ReplyTo::Session { .. } | ReplyTo::Once(_) | ReplyTo::Nobody => None,
        }
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    Answered(Box<Answer>),
    SentOn(Order),
}

/// An entity's last ones.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<(Ident, Order, Fate)>);

impl Recent {
    pub(crate) fn remember(&mut self, ident: Ident, order: Order, fate: Fate) {
        if self.0.len() >= KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((ident, order, fate));
    }

    /// The same request with the same order: one that comes back on its way, with another, is not meant.
    pub(crate) fn find(&self, ident: Ident, order: &Order) -> Option<Fate> {
        self.0.iter().rev().find(|(other, asked, _)| *other == ident && asked == order).map(|(.., fate)| fate.clone())
    }
}

#[cfg(test)]
mod tests {
    use jono_domain::id::QueueId;
    use jono_domain::queue;
    use jono_domain::reply::Refusal;

    use super::*;

    #[test]
    fn a_letter_that_comes_again_meets_the_same_fate() {
        let pick = |missed| Order::Queue(QueueId::from_bits(1), Box::new(queue::Command::Pick { missed }));
        let ident = |session| Ident(SessionRef { gateway: 1 << 8, session });
        let empty = || Fate::Answered(Box::new(Err(Refusal::QueueEmpty)));
        let mut recent = Recent::default();
        recent.remember(ident(1), pick(0), empty());
        assert_eq!(recent.find(ident(1), &pick(0)), Some(empty()));
        assert_eq!(recent.find(ident(1), &pick(1)), None, "it comes back on its way");
        assert_eq!(recent.find(ident(2), &pick(0)), None);
        for session in 0..2 * KEPT_MAX as u64 {
            recent.remember(ident(10 + session), pick(0), empty());
        }
        assert_eq!((recent.0.len(), recent.find(ident(1), &pick(0))), (KEPT_MAX, None));
    }
}
