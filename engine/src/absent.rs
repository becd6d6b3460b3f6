//! What comes for an entity that is not loaded, and need not load it.

use std::rc::Rc;

use jono_domain::account::Who;
use jono_domain::customer::Customer;
use jono_domain::id::CustomerId;
use jono_domain::machine::{Context, Machine as _};
use jono_domain::message::Address;

use crate::delivery::SessionRef;
use crate::entity::Parcel;
use crate::host::Host;
use crate::kind::shard_of;
use crate::letter::{Ask, Letter};
use crate::output::{CatchUp, Output, unavailable};
use crate::request::{Follow, Outcome};

impl Host {
    /// Deals with it, or gives it back: then the entity must be loaded.
    pub(crate) fn without_entity(self: &Rc<Self>, address: Address, parcel: Parcel) -> Option<Parcel> {
        if !self.owns(shard_of(address, self.shard_count)) {
            self.turn_away_stranger(parcel);
            return None;
        }
        match parcel {
            // Who follows matters to none that is unloaded: see `Machine::minds_followers`.
            Parcel::Letter(Letter::Unfollow { session, is_led, .. }) => self.forget_follower(address, session, is_led),
            Parcel::Letter(Letter::Follow { follow, unasked }) => match address {
                Address::Customer(customer) if follow.is_new && !self.later.holds(address) => {
                    self.follow_new(customer, follow, unasked);
                }
                _ => return Some(Parcel::Letter(Letter::Follow { follow, unasked })),
            },
            Parcel::Letter(Letter::Ask(ask)) => return self.put_off(ask).map(|ask| Parcel::Letter(Letter::Ask(ask))),
            parcel => return Some(parcel),
        }
        None
    }

    /// Keeps for later what the entity need not hear now, and answers for one that sleeps; gives back everything else.
    fn put_off(self: &Rc<Self>, ask: Ask) -> Option<Ask> {
        if ask.who != Who::Engine {
            return Some(ask);
        }
        if self.may_wait(&ask.order) {
            self.later.put(ask.order);
            return None;
        }
        (!self.is_heard_asleep(&ask.order)).then_some(ask)
    }

    /// Its entity is none of this process's business: perhaps any more.
    fn turn_away_stranger(self: &Rc<Self>, parcel: Parcel) {
        let reply_to = match parcel {
            Parcel::Letter(letter) => letter.into_reply_to(),
            Parcel::FollowAgain(again) => again.follow.reply_to,
            Parcel::Wake(_) | Parcel::Reload | Parcel::Recount | Parcel::Announce(_) => return,
        };
        self.send([Output::Reply(reply_to, Err(unavailable()))]);
    }

    /// A session follows a customer that it has just become: there is nothing to load.
    fn follow_new(self: &Rc<Self>, customer: CustomerId, follow: Follow, unasked: bool) {
        if self.bus.has_gone(follow.session) {
            return;
        }
        let (state, directory) = (Customer::default(), self.directory.load());
        let organisation = follow.who.organisation().and_then(|id| directory.organisation(id));
        let context = Context { now: self.clock.now(), who: follow.who, organisation: organisation.map(|found| &**found) };
        let audience = match state.admit(customer, &context) {
            Ok(audience) => audience,
            Err(refusal) => return self.send([Output::Reply(follow.reply_to, Err(refusal))]),
        };
        let state = state.describe(customer, audience, &context);
        let followers = self.followers_of(follow.what);
        let again = followers.borrow_mut().again(follow.session, unasked);
        if let Some(is_live) = again {
            let outcome = is_live.then_some(Outcome::Following { state, audience, from_seq: 0 });
            return self.send([Output::Reply(follow.reply_to, outcome.ok_or_else(unavailable))]);
        }
        let ticket = self.next_ticket();
        followers.borrow_mut().add(ticket, &follow, audience, 0, unasked);
        let catch_up = CatchUp { follow, unasked, audience, head: 0, state, followers, ticket };
        self.send([Output::CatchUp(Box::new(catch_up))]);
    }

    /// A session no longer follows an entity that is not loaded.
    fn forget_follower(&self, address: Address, session: SessionRef, is_led: bool) {
        tracing::trace!(what = ?address, ?session, is_led, "unfollows, and is not loaded");
        let Some(followers) = self.known_followers(address) else { return };
        let led = followers.borrow_mut().remove(session, is_led);
        led.into_iter().flatten().for_each(|conversation| self.post_unfollow(session, Address::Conversation(conversation)));
        if followers.borrow().is_empty() {
            self.drop_followers(address);
        }
    }
}
