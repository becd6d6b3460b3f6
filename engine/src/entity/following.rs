//! The sessions that follow an entity: who may, who comes and goes.

use std::rc::Rc;

use jono_domain::account::Who;
use jono_domain::message::Address;
use jono_domain::reply::Reply;

use super::{Entity, Parcel};
use crate::cluster::limits::{BEAT_EVERY_MS, TRIES_MAX};
use crate::delivery::SessionRef;
use crate::kind::Kind;
use crate::letter::Letter;
use crate::output::{CatchUp, FollowAgain, Output, unavailable};
use crate::request::{Follow, Outcome};

impl<M: Kind> Entity<M> {
    pub(super) fn follow(&mut self, follow: Follow, unasked: bool) {
        tracing::trace!(what = ?self.address, session = ?follow.session, unasked, "follows");
        if self.host.bus.has_gone(follow.session) {
            return;
        }
        if unasked && !self.host.bus.reaches(follow.session) {
            return self.follow_when_reached(follow);
        }
        let admitted = {
            let directory = self.host.directory.load();
            let context = self.context(&directory, follow.who);
            self.state.admit(self.id, &context).map(|audience| (audience, self.state.describe(self.id, audience, &context)))
        };
        let (audience, state) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => return self.submit(None, vec![Output::Reply(follow.reply_to, Err(refusal))], None),
        };
        let followers = Rc::clone(self.followers.get_or_insert_with(|| self.host.followers_of(self.address)));
        let head = match &state {
            Reply::Conversation(view) => view.head,
            _ => 0,
        };
        let again = followers.borrow_mut().again(follow.session, unasked);
        if let Some(is_live) = again {
            let outcome = is_live.then_some(Outcome::Following { state, audience, from_seq: head });
            return self.submit(None, vec![Output::Reply(follow.reply_to, outcome.ok_or_else(unavailable))], None);
        }
        let ticket = self.host.next_ticket();
        followers.borrow_mut().add(ticket, &follow, audience, head, unasked);
        let catch_up = CatchUp { follow, unasked, audience, head, state, followers, ticket };
        self.submit(None, vec![Output::CatchUp(Box::new(catch_up))], None);
        self.count_followers();
    }

    /// Others lead it here from a process that has just joined and is not known yet: it would not hear of it.
    fn follow_when_reached(&self, follow: Follow) {
        let (host, address) = (Rc::clone(&self.host), self.address);
        actix_rt::spawn(async move {
            for _ in 0..TRIES_MAX {
                host.clock.sleep_until(host.clock.now() + BEAT_EVERY_MS).await;
                if host.bus.reaches(follow.session) {
                    return host.give(address, Parcel::Letter(Letter::Follow { follow, unasked: true }));
                }
            }
        });
    }

    /// It has left in the meantime, or begins anew: with what there is now, if it still may.
    pub(super) fn follow_again(&mut self, again: FollowAgain) {
        let FollowAgain { follow, unasked, ticket } = again;
        let session = follow.session;
        let followers = Rc::clone(self.followers.get_or_insert_with(|| self.host.followers_of(self.address)));
        let led = followers.borrow_mut().remove_ticket(ticket);
        let Some(led) = led else {
            self.count_followers();
            return self.submit(None, vec![Output::Reply(follow.reply_to, Err(unavailable()))], None);
        };
        self.follow(follow, unasked);
        let left = followers.borrow_mut().inherit(session, led);
        left.into_iter().for_each(|conversation| self.host.post_unfollow(session, Address::Conversation(conversation)));
        self.count_followers();
    }

    pub(super) fn unfollow(&mut self, session: SessionRef, is_led: bool) {
        tracing::trace!(what = ?self.address, ?session, is_led, "unfollows");
        let Some(followers) = &self.followers else { return };
        let led = followers.borrow_mut().remove(session, is_led);
        // In order behind whatever led it there.
        led.into_iter().flatten().for_each(|conversation| self.host.post_unfollow(session, Address::Conversation(conversation)));
        self.count_followers();
    }

    /// Tells the machine how many follow, if it cares, and forgets an empty list.
    pub(super) fn count_followers(&mut self) {
        let Some(followers) = &self.followers else { return };
        let (customers, agents) = followers.borrow().counts();
        tracing::trace!(what = ?self.address, customers, agents, "is followed");
        if customers + agents == 0 {
            self.host.drop_followers(self.address);
            self.followers = None;
        }
        if let Some(command) = M::followed(customers, agents) {
            self.tell(&command);
        }
    }

    /// The engine's own command.
    fn tell(&mut self, command: &M::Command) {
        let events = {
            let directory = self.host.directory.load();
            let context = self.context(&directory, Who::Engine);
            self.state.decide(self.id, command, &context)
        };
        // The engine's own commands are facts: a machine that refuses one has nothing to do with it.
        if let Ok(events) = events {
            self.apply(&events, Vec::new());
            self.set_alarm();
        }
    }

    /// The sessions that may not follow any more.
    pub(super) fn expel(&self) -> Option<Output> {
        let followers = self.followers.as_ref()?;
        let directory = self.host.directory.load();
        let followed = followers.borrow();
        let barred =
            followed.iter().filter(|follower| self.state.admit(self.id, &self.context(&directory, follower.who)).is_err());
        let sessions: Vec<SessionRef> = barred.map(|follower| follower.session).collect();
        (!sessions.is_empty()).then(|| Output::Expel(Rc::clone(followers), self.address, sessions))
    }
}
