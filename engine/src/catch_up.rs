//! A session that begins to follow a conversation is sent the events that it has not seen, and then
//! everything that happened meanwhile: exactly once, in order (guarantee G3).

use std::rc::Rc;
use std::sync::Arc;

use jono_domain::account::Audience;
use jono_domain::conversation::{Entry, Event};
use jono_domain::limits::PAGE_EVENTS_MAX;
use jono_domain::message::Address;
use jono_domain::notice::{Deadlines, Notice};
use jono_points::{KillPoint, Rule, is_broken, pass};
use jono_store::{LogRange, ReadError};

use crate::codec;
use crate::delivery::{Delivery, SessionRef, Shared};
use crate::entity::Parcel;
use crate::followers::Standing;
use crate::host::Host;
use crate::kind::{key_of, shard_of};
use crate::limits::RELOAD_PAUSE_MS;
use crate::output::{CatchUp, Output, unavailable};
use crate::request::{Follow, Outcome};

impl Host {
    pub(crate) fn catch_up(self: &Rc<Self>, mut catch_up: CatchUp, deliveries: &mut Vec<(SessionRef, Delivery)>) {
        // A session that has more than there is has seen another log: it is sent this one from its beginning.
        if catch_up.follow.after > catch_up.head {
            catch_up.follow.after = 0;
        }
        let is_conversation = matches!(catch_up.follow.what, Address::Conversation(_));
        if !is_conversation || catch_up.follow.after == catch_up.head {
            return self.caught_up(catch_up, Vec::new(), deliveries);
        }
        let host = Rc::clone(self);
        actix_rt::spawn(async move {
            match host.read_missing(&catch_up).await {
                Ok(entries) => {
                    pass(KillPoint::MissingRead);
                    let mut deliveries = Vec::new();
                    host.caught_up(catch_up, entries, &mut deliveries);
                    host.deliver(deliveries);
                }
                // Who did not ask cannot ask again.
                Err(ReadError::Unavailable(_)) if catch_up.unasked => {
                    host.clock.sleep_until(host.clock.now() + RELOAD_PAUSE_MS).await;
                    host.give(catch_up.follow.what, Parcel::FollowAgain(catch_up.into()));
                }
                Err(_) => host.turn_away(catch_up),
            }
        });
    }

    async fn read_missing(&self, catch_up: &CatchUp) -> Result<Vec<Entry>, ReadError> {
        let CatchUp { follow, head, audience, .. } = catch_up;
        let range =
            if head - follow.after > PAGE_EVENTS_MAX as u64 { LogRange::Before(head + 1) } else { LogRange::After(follow.after) };
        let entries = self.read_entries(follow.what, range, PAGE_EVENTS_MAX).await?;
        let missing = entries.into_iter().filter(|(entry, _)| entry.seq <= *head && entry.is_for(*audience));
        let mut missing: Vec<(Entry, usize)> = missing.collect();
        let mut bytes = 0;
        let newest = missing.iter().rev().take_while(|(_, size)| {
            bytes += size;
            bytes <= follow.bytes_max
        });
        let fit = newest.count().max(1).min(missing.len());
        Ok(missing.drain(missing.len() - fit..).map(|(entry, _)| entry).collect())
    }

    /// A part of a conversation's log, each entry with its stored size in bytes.
    pub(crate) async fn read_entries(
        &self,
        what: Address,
        range: LogRange,
        limit: usize,
    ) -> Result<Vec<(Entry, usize)>, ReadError> {
        let shard = shard_of(what, self.shard_count);
        let records = self.store.read_log(shard, key_of(what), range, limit).await;
        let entries = records.and_then(|records| {
            let decoded = records.iter().map(|(seq, bytes)| match codec::decode::<Event>(bytes) {
                Ok(Event::Entry(mut entry)) => {
                    if is_broken(Rule::EventsStayAsWritten) {
                        entry.at = self.clock.now();
                    }
                    Ok((*entry, bytes.len()))
                }
                Ok(_) | Err(_) => Err(ReadError::Corrupt(format!("record {seq} is not an entry"))),
            });
            decoded.collect()
        });
        match &entries {
            Ok(_) => {}
            Err(error @ ReadError::Unavailable(_)) => tracing::warn!(?what, %error, "a log could not be read"),
            Err(error @ ReadError::Corrupt(_)) => {
                self.counters.damaged.add(1);
                tracing::error!(?what, %error, "a log is damaged");
            }
        }
        entries
    }

    fn caught_up(self: &Rc<Self>, catch_up: CatchUp, entries: Vec<Entry>, deliveries: &mut Vec<(SessionRef, Delivery)>) {
        let standing = catch_up.followers.borrow().standing(catch_up.ticket);
        match standing {
            Standing::Expected => {}
            Standing::Lost if catch_up.unasked => {
                return self.give(catch_up.follow.what, Parcel::FollowAgain(catch_up.into()));
            }
            Standing::Lost => return self.turn_away(catch_up),
            // Its client has left, and does not listen; or it was forgotten by mistake, and asks again.
            Standing::Gone => return catch_up.follow.reply_to.answer(Err(unavailable()), deliveries),
        }
        let CatchUp { follow, ticket, audience, state, unasked, followers, .. } = catch_up;
        let Follow { session, what, after, reply_to, .. } = follow;
        let from_seq = from_seq(&entries, audience, after);
        match what {
            Address::Conversation(conversation) if unasked => {
                deliveries.push((session, Delivery::Following { conversation, state: Box::new(state), audience, from_seq }));
            }
            _ => reply_to.answer(Ok(Outcome::Following { state, audience, from_seq }), deliveries),
        }
        if let Address::Conversation(conversation) = what {
            deliveries.extend(entries.into_iter().map(|entry| {
                let notice = Notice::Entry { conversation, entry: Arc::new(entry), deadlines: Deadlines::default() };
                (session, Delivery::Notice(Shared::new(notice)))
            }));
        }
        followers.borrow_mut().caught_up(ticket, deliveries);
    }

    /// It cannot be told what it has not seen: it does not follow, and may ask again.
    fn turn_away(self: &Rc<Self>, catch_up: CatchUp) {
        let CatchUp { follow, followers, ticket, .. } = catch_up;
        let led = followers.borrow_mut().remove_ticket(ticket);
        led.into_iter()
            .flatten()
            .for_each(|conversation| self.post_unfollow(follow.session, Address::Conversation(conversation)));
        self.give(follow.what, Parcel::Recount);
        self.send([Output::Reply(follow.reply_to, Err(unavailable()))]);
    }
}

/// Behind which number the events begin: what was asked for, or more where some are left out.
fn from_seq(entries: &[Entry], audience: Audience, after: u64) -> u64 {
    entries.first().map_or(after, |first| first.prev_for(audience).max(after))
}
