//! Requests of this process's sessions that are under way, wherever they are: each is answered exactly once, though what carried
//! it, or the answer, may have died on the way. Every request has a key here, so sending it again does nothing twice (G2).
//!
//! What is sent again goes before what is asked later: otherwise a customer's messages would change places when a shard moves.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Those that are to be sent again. Whatever is asked of the same shard meanwhile waits behind them.
    held_up: BTreeSet<(ShardId, u64)>,
}

#[derive(Debug)]
struct Waiting {
    reply_to: ReplyTo,
    shard: ShardId,
    /// The letter, as it is sent.
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

    /// The request of that number is made. Says whether it may be sent at once; otherwise it is due when those before it are.
    pub(crate) fn wait(
        &mut self,
        number: u64,
        reply_to: ReplyTo,
        (shard, item): (ShardId, Bytes),
        follows: Option<(SessionRef, Address)>,
        now: Time,
    ) -> bool {
        let is_free = self.held_up.range((shard, 0)..=(shard, u64::MAX)).next().is_none();
        let again_at = if is_free { now + ASK_AGAIN_AFTER_MS } else { now };
        if !is_free {
            self.held_up.insert((shard, number));
        }
        self.waiting.insert(number, Waiting { reply_to, shard, item, follows, asked_at: now, again_at });
        is_free
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
            self.held_up.insert((waiting.shard, number));
            return None;
        }
        self.withdraw(number).map(|reply_to| (reply_to, answer))
    }

    /// The request is not under way after all; gives back who asked.
    pub(crate) fn withdraw(&mut self, number: u64) -> Option<ReplyTo> {
        let waiting = self.waiting.remove(&number)?;
        self.held_up.remove(&(waiting.shard, number));
        Some(waiting.reply_to)
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
        // Shards where the first of those that are held up must wait longer.
        let mut later = BTreeSet::new();
        for (number, waiting) in &mut self.waiting {
            let is_held_up = self.held_up.contains(&(waiting.shard, *number));
            if is_held_up && (later.contains(&waiting.shard) || waiting.again_at > now) {
                later.insert(waiting.shard);
            } else if waiting.again_at <= now {
                self.held_up.remove(&(waiting.shard, *number));
                waiting.again_at = now + ASK_AGAIN_AFTER_MS;
                due.again.push((waiting.shard, waiting.item.clone()));
            }
        }
        due
    }

    /// Owners change: everything that may be lost with the old ones is sent again. What was for them, at once and before
    /// anything else is sent to the new ones; everything else soon, since it may have been sent on to them.
    pub(crate) fn owners_changed(&mut self, is_meant: impl Fn(ShardId) -> bool, now: Time) {
        for (number, waiting) in &mut self.waiting {
            if is_meant(waiting.shard) {
                waiting.again_at = now;
                self.held_up.insert((waiting.shard, *number));
            } else {
                waiting.again_at = waiting.again_at.min(now + UNAVAILABLE_AGAIN_AFTER_MS);
            }
        }
    }

    /// Nothing can be answered any more.
    pub(crate) fn give_up(&mut self) -> Vec<ReplyTo> {
        self.held_up.clear();
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
        table.owners_changed(|shard| shard == ShardId(1), Time(2_500));
        assert_eq!(items(&table.due(Time(2_500))), ["2"]);
        table.owners_changed(|_| false, Time(2_600));
        assert!(items(&table.due(Time(2_600))).is_empty());
        assert_eq!(items(&table.due(Time(2_600 + UNAVAILABLE_AGAIN_AFTER_MS))), ["2"], "it may have been sent on");
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
    fn what_is_sent_again_goes_before_what_is_asked_later() {
        let mut table = Asked::default();
        let first = asked(&mut table, 0);
        assert!(table.answered(first, unavailable(RETRY_AFTER_MS), Time(10)).is_none());
        asked(&mut table, 20);
        assert!(items(&table.due(Time(30))).is_empty(), "the second waits behind the first");
        let other = table.number().unwrap();
        assert!(table.wait(other, ReplyTo::Nobody, (ShardId(2), Bytes::new()), None, Time(30)), "of another shard");
        assert_eq!(items(&table.due(Time(10 + UNAVAILABLE_AGAIN_AFTER_MS))), ["1", "2"]);
        let number = table.number().unwrap();
        assert!(table.wait(number, ReplyTo::Nobody, (ShardId(1), Bytes::new()), None, Time(300)), "nothing is held up any more");
        table.owners_changed(|_| true, Time(400));
        assert!(table.answered(first, Ok(Outcome::Reply(Reply::Done)), Time(400)).is_some(), "the old owner had done it");
        assert_eq!(items(&table.due(Time(400)))[0], "2");
        assert!(table.held_up.is_empty());
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
