//! A session that begins to follow a conversation is sent the events that it has not seen, and then
//! everything that happened meanwhile: exactly once, in order (guarantee G3).

use std::rc::Rc;
use std::sync::Arc;

use jono_domain::account::Audience;
use jono_domain::conversation::{Entry, Event};
use jono_domain::limits::PAGE_EVENTS_MAX;
use jono_domain::message::Address;
use jono_domain::notice::{Deadlines, Notice};
use jono_store::LogRange;

use crate::codec;
use crate::delivery::{Delivery, SessionRef, Shared};
use crate::host::Host;
use crate::kind::{key_of, shard_of};
use crate::output::{CatchUp, unavailable};
use crate::request::{Outcome, ReplyTo};

impl Host {
    pub(crate) fn catch_up(self: &Rc<Self>, mut catch_up: CatchUp, deliveries: &mut Vec<(SessionRef, Delivery)>) {
        // A session that has more than there is has seen another log: it is sent this one from its beginning.
        if catch_up.after > catch_up.head {
            catch_up.after = 0;
        }
        if !matches!(catch_up.what, Address::Conversation(_)) || catch_up.after == catch_up.head {
            self.caught_up(catch_up, Vec::new(), deliveries);
            return;
        }
        let host = Rc::clone(self);
        actix_rt::spawn(async move {
            let mut deliveries = Vec::new();
            match host.read_missing(&catch_up).await {
                Some(entries) => host.caught_up(catch_up, entries, &mut deliveries),
                None => {
                    let CatchUp { what, session, reply_to, .. } = catch_up;
                    host.post_unfollow(session, what);
                    host.send([crate::output::Output::Reply(reply_to, Err(unavailable()))]);
                }
            }
            host.deliver(deliveries);
        });
    }

    async fn read_missing(&self, catch_up: &CatchUp) -> Option<Vec<Entry>> {
        let range = if catch_up.head - catch_up.after > PAGE_EVENTS_MAX as u64 {
            LogRange::Before(catch_up.head + 1)
        } else {
            LogRange::After(catch_up.after)
        };
        let entries = self.read_entries(catch_up.what, range, PAGE_EVENTS_MAX).await?;
        let missing = entries.into_iter().filter(|(entry, _)| entry.seq <= catch_up.head && entry.is_for(catch_up.audience));
        let mut missing: Vec<(Entry, usize)> = missing.collect();
        let mut bytes = 0;
        let newest = missing.iter().rev().take_while(|(_, size)| {
            bytes += size;
            bytes <= catch_up.bytes_max
        });
        let fit = newest.count().max(1).min(missing.len());
        Some(missing.drain(missing.len() - fit..).map(|(entry, _)| entry).collect())
    }

    /// A part of a conversation's log, each entry with its stored size in bytes; `None` when it cannot be
    /// read now, or is damaged.
    pub(crate) async fn read_entries(&self, what: Address, range: LogRange, limit: usize) -> Option<Vec<(Entry, usize)>> {
        let shard = shard_of(what, self.shard_count);
        let records = match self.store.read_log(shard, key_of(what), range, limit).await {
            Ok(records) => records,
            Err(error) => {
                tracing::warn!(?what, %error, "a log could not be read");
                return None;
            }
        };
        let decoded = records.iter().map(|(_, bytes)| match codec::decode::<Event>(bytes) {
            Ok(Event::Entry(entry)) => Some((*entry, bytes.len())),
            Ok(_) | Err(_) => None,
        });
        let entries: Option<Vec<_>> = decoded.collect();
        if entries.is_none() {
            self.counters.damaged.add(1);
            tracing::error!(?what, "a log holds a record that cannot be read");
        }
        entries
    }

    fn caught_up(self: &Rc<Self>, catch_up: CatchUp, entries: Vec<Entry>, deliveries: &mut Vec<(SessionRef, Delivery)>) {
        let CatchUp { what, session, audience, after, state, reply_to, unasked, followers, .. } = catch_up;
        let from_seq = from_seq(&entries, audience, after);
        if unasked {
            if let Address::Conversation(conversation) = what {
                deliveries.push((session, Delivery::Following { conversation, state: Box::new(state), audience, from_seq }));
            }
        } else {
            let answer = Ok(Outcome::Following { state, audience, from_seq });
            match reply_to {
                ReplyTo::Session { session, request } => deliveries.push((session, Delivery::Answer { request, answer })),
                ReplyTo::Once(sender) => drop(sender.send(answer)),
                ReplyTo::Nobody => {}
            }
        }
        if let Address::Conversation(conversation) = what {
            deliveries.extend(entries.into_iter().map(|entry| {
                let notice = Notice::Entry { conversation, entry: Arc::new(entry), deadlines: Deadlines::default() };
                (session, Delivery::Notice(Shared::new(notice)))
            }));
        }
        let kept_up = followers.borrow_mut().caught_up(session, deliveries);
        if !kept_up && followers.borrow().contains(session) {
            self.post_unfollow(session, what);
            if let Address::Conversation(conversation) = what {
                deliveries.push((session, Delivery::Unfollowed(conversation)));
            }
        }
    }
}

/// Behind which number the events begin: what was asked for, or more where some are left out.
fn from_seq(entries: &[Entry], audience: Audience, after: u64) -> u64 {
    entries.first().map_or(after, |first| first.prev_for(audience).max(after))
}
