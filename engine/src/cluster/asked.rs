//! Requests of this process's sessions that are under way, wherever they are: each is answered exactly once, though what carried
//! it, or the answer, may have died on the way. Every request has a key here, so sending it again does nothing twice (G2).

use std::collections::BTreeMap;

use bytes::Bytes;
use jono_domain::message::Address;
use jono_domain::reply::Refusal;
use jono_domain::time::Time;
use jono_store::ShardId;

use super::limits::{ASK_AGAIN_AFTER_MS, ASK_GIVEN_UP_AFTER_MS, ASKED_MAX, UNAVAILABLE_AGAIN_AFTER_MS};
use crate::delivery::SessionRef;
use crate::limits::RETRY_AFTER_MS;
use crate::request::{Answer, ReplyTo};

/// Requests by their number, which grows: so they are sent again in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    last: u64,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    reply_to: ReplyTo,
    shard: ShardId,
    /// The letter, as it is sent; `None` until it is known.
    item: Bytes,
    /// Who follows what, if it asks for that.
    follows: Option<(SessionRef, Address)>,
    asked_at: Time,
    again_at: Time,
}

/// What a look through the requests found.
#[derive(Debug, Default)]
pub(crate) struct Due {
    /// To be sent again, in order.
    pub(crate) again: Vec<(ShardId, Bytes)>,
    /// To be told that there is no answer.
    pub(crate) given_up: Vec<ReplyTo>,
}

impl Asked {
    /// A number for a request that is about to be sent; `None` when too many are under way.
    pub(crate) fn number(&mut self) -> Option<u64> {
        if self.waiting.len() >= ASKED_MAX {
            return None;
        }
        self.last += 1;
        Some(self.last)
    }

    /// The request of that number is sent.
    pub(crate) fn wait(
        &mut self,
        number: u64,
        reply_to: ReplyTo,
        (shard, item): (ShardId, Bytes),
        follows: Option<(SessionRef, Address)>,
        now: Time,
    ) {
        let waiting = Waiting { reply_to, shard, item, follows, asked_at: now, again_at: now + ASK_AGAIN_AFTER_MS };
        self.waiting.insert(number, waiting);
    }

    /// An answer has come. `None`: it was answered before, or is asked again since the answer was only that its
    /// owner could not serve it.
    pub(crate) fn answered(&mut self, number: u64, answer: Answer, now: Time) -> Option<(ReplyTo, Answer)> {
        if let Err(Refusal::Unavailable { retry_after_ms }) = &answer
            && *retry_after_ms <= RETRY_AFTER_MS
            && let Some(waiting) = self.waiting.get_mut(&number)
            && now.since_ms(waiting.asked_at) < ASK_GIVEN_UP_AFTER_MS
        {
            waiting.again_at = now + UNAVAILABLE_AGAIN_AFTER_MS;
            return None;
        }
        self.waiting.remove(&number).map(|waiting| (waiting.reply_to, answer))
    }

    /// The request is not under way after all; gives back who asked.
    pub(crate) fn withdraw(&mut self, number: u64) -> Option<ReplyTo> {
        self.waiting.remove(&number).map(|waiting| waiting.reply_to)
    }

    /// The session does not follow that any more: a request to do so must not come late.
    pub(crate) fn unfollow(&mut self, session: SessionRef, what: Address) -> Vec<ReplyTo> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let taken_back = self.waiting.iter().filter(|(_, waiting)| waiting.follows == Some((session, what)));
        let taken_back: Vec<u64> = taken_back.map(|(number, _)| *number).collect();
        taken_back.into_iter().filter_map(|number| self.withdraw(number)).collect()
    }

    /// What must be done at this moment.
    pub(crate) fn due(&mut self, now: Time) -> Due {
        let mut due = Due::default();
        let old = self.waiting.iter().filter(|(_, waiting)| now.since_ms(waiting.asked_at) >= ASK_GIVEN_UP_AFTER_MS);
        let old: Vec<u64> = old.map(|(number, _)| *number).collect();
        due.given_up = old.into_iter().filter_map(|number| self.withdraw(number)).collect();
        for waiting in self.waiting.values_mut().filter(|waiting| waiting.again_at <= now) {
            waiting.again_at = now + ASK_AGAIN_AFTER_MS;
            due.again.push((waiting.shard, waiting.item.clone()));
        }
        due
    }

    /// Owners have changed: everything that may have been lost with the old ones is sent again at once. That is what was for
    /// them, and what may have been sent on to them.
    pub(crate) fn owners_changed(&mut self, now: Time) {
        self.waiting.values_mut().for_each(|waiting| waiting.again_at = now);
    }

    /// Nothing can be answered any more.
    pub(crate) fn give_up(&mut self) -> Vec<ReplyTo> {
        std::mem::take(&mut self.waiting).into_values().map(|waiting| waiting.reply_to).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use jono_domain::id::ConversationId;
    use jono_domain::reply::Reply;

    use super::*;
    use crate::request::Outcome;

    const SESSION: SessionRef = SessionRef { gateway: 0, session: 5 };

    fn asked(asked: &mut Asked, now: u64) -> u64 {
        let number = asked.number().unwrap();
        let item = (ShardId(1), Bytes::from(number.to_string()));
        asked.wait(number, ReplyTo::Session { session: SESSION, request: number }, item, None, Time(now));
        number
    }

    fn items(due: &Due) -> Vec<String> {
        due.again.iter().map(|(_, item)| String::from_utf8(item.to_vec()).unwrap()).collect()
    }

    fn unavailable(retry_after_ms: u64) -> Answer {
        Err(Refusal::Unavailable { retry_after_ms })
    }

    #[test]
    fn a_request_is_sent_again_until_it_is_answered_once() {
        let mut table = Asked::default();
        let (first, second) = (asked(&mut table, 0), asked(&mut table, 1));
        assert!(items(&table.due(Time(ASK_AGAIN_AFTER_MS - 1))).is_empty());
        assert_eq!(items(&table.due(Time(ASK_AGAIN_AFTER_MS + 1))), ["1", "2"], "in order");
        assert!(items(&table.due(Time(ASK_AGAIN_AFTER_MS + 2))).is_empty());
        let done = || Ok(Outcome::Reply(Reply::Done));
        assert!(table.answered(first, done(), Time(1)).is_some());
        assert!(table.answered(first, done(), Time(1)).is_none(), "the second answer goes to nobody");
        table.owners_changed(Time(2_500));
        assert_eq!(items(&table.due(Time(2_500))), ["2"]);
        let due = table.due(Time(1 + ASK_GIVEN_UP_AFTER_MS));
        assert_eq!((due.given_up.len(), table.len()), (1, 0));
        assert!(table.answered(second, done(), Time(0)).is_none());
    }

    #[test]
    fn unavailable_is_asked_again_while_that_may_help() {
        let mut table = Asked::default();
        let number = asked(&mut table, 0);
        assert!(table.answered(number, unavailable(RETRY_AFTER_MS), Time(10)).is_none());
        assert_eq!(items(&table.due(Time(10 + UNAVAILABLE_AGAIN_AFTER_MS))), ["1"]);
        assert!(table.answered(number, unavailable(60_000), Time(20)).is_some(), "quarantined: it does not help");
        let number = asked(&mut table, 0);
        assert!(table.answered(number, unavailable(RETRY_AFTER_MS), Time(ASK_GIVEN_UP_AFTER_MS)).is_some());
    }

    #[test]
    fn to_follow_is_taken_back_by_unfollowing() {
        let mut table = Asked::default();
        let what = Address::Conversation(ConversationId::from_bits(1));
        let number = table.number().unwrap();
        table.wait(number, ReplyTo::Nobody, (ShardId(1), Bytes::new()), Some((SESSION, what)), Time(0));
        asked(&mut table, 0);
        assert_eq!(table.unfollow(SESSION, what).len(), 1);
        assert_eq!(table.len(), 1);
    }
}
