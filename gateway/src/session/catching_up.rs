//! Owns how a client comes to have every event of what it follows (G3): live ones while it keeps up, and
//! pages of the log where it does not, or where something is missing before. One page at a time, as the
//! peer reads; conversations that had no room in `session.open`'s result come the same way.
//!
//! It keeps no events: what the peer has no room for is read again.

use std::collections::VecDeque;
use std::sync::Arc;

use jono_domain::conversation::Command;
use jono_domain::id::ConversationId;
use jono_domain::limits::PAGE_EVENTS_MAX;
use jono_domain::message::{Address, Order};
use jono_domain::notice::Notice;
use jono_domain::reply::{ConversationView, Reply};
use jono_engine::delivery::Shared;
use jono_engine::directory::Directory;
use jono_engine::request::{Answer, Outcome, Query};
use jono_socket::Text;

use super::limits::{BEHIND_OVER_BYTES, CATCH_UP_EVENTS, CAUGHT_UP_BELOW_BYTES};
use super::open::{Context, Open, send_encoded, tell_unfollowed};
use super::render::{Reader, Render};
use super::replies::Slot;
use super::tracks::Step;
use crate::wire::event::Event;
use crate::wire::notifications::{self, say};

impl Open {
    // ---- what is followed, and from where

    /// The session follows the conversation from now on. The client has `after`; the engine sends what comes
    /// after `from_seq`, which may be later. What lies between is read from the log, as far back as is sent at
    /// all. Returns from where the client is told.
    pub(super) fn track(&mut self, conversation: ConversationId, (after, from_seq): (u64, u64), head: u64) -> u64 {
        let from_seq = from_seq.min(head);
        let earliest = head.saturating_sub(PAGE_EVENTS_MAX as u64);
        let told_from = after.max(earliest).min(from_seq);
        if self.tracks.follow(conversation, told_from) && told_from < from_seq {
            self.heard(conversation, from_seq);
        }
        told_from
    }

    /// Events up to this one must be read from the log.
    pub(super) fn heard(&mut self, conversation: ConversationId, seq: u64) {
        if self.tracks.get_mut(conversation).is_some_and(|track| track.fall_behind(seq)) {
            self.behind.push_back(conversation);
        }
    }

    /// An event that the client may not have been sent.
    pub(super) fn missed(&mut self, conversation: ConversationId, seq: u64) {
        if self.tracks.get(conversation).is_some_and(|track| track.sent < seq) {
            self.heard(conversation, seq);
        }
    }

    /// The session follows a conversation that the client did not ask for; `(after, from_seq)` as above.
    pub(super) fn given(
        &mut self,
        conversation: ConversationId,
        view: &ConversationView,
        from: (u64, u64),
        context: &mut Context<'_>,
    ) {
        if let Some(track) = self.tracks.get(conversation) {
            // Told already. If that left a hole, the log fills it.
            if from.1.min(view.head) > track.sent {
                self.heard(conversation, view.head);
                self.go_on(context);
            }
            return;
        }
        let from_seq = self.track(conversation, from, view.head);
        let directory = context.gateway.engine.directory();
        let reader = Reader { audience: self.party.audience(), organisation: None, directory: &directory };
        let followed = say("conversation.followed", &reader.conversation(view, Some(from_seq)));
        context.sink.send(Text::from(followed));
        self.go_on(context);
    }

    // ---- live events

    /// A followed conversation has a new event, `(seq, prev)`.
    pub(super) fn grown(
        &mut self,
        conversation: ConversationId,
        (seq, prev): (u64, u64),
        notice: &Arc<Shared<Notice>>,
        context: &mut Context<'_>,
    ) {
        let Some(track) = self.tracks.get_mut(conversation) else {
            return;
        };
        match track.hear(seq, prev) {
            Step::Skip => {}
            Step::Send if context.sink.outbox_bytes() <= BEHIND_OVER_BYTES => {
                track.sent = seq;
                send_encoded(notice, self.party.audience(), context);
            }
            Step::Send | Step::FallBehind => {
                self.heard(conversation, seq);
                self.go_on(context);
            }
        }
    }

    // ---- reading on from the log

    /// Conversations to be followed when there is room.
    pub(super) fn follow_later(&mut self, conversations: VecDeque<(ConversationId, u64)>) {
        self.follow_later = conversations;
    }

    /// The last event that the client has of a conversation that it waits to be led to.
    pub(super) fn has_until(&self, conversation: ConversationId) -> Option<u64> {
        let waits = self.follow_later.iter().find(|(later, _)| *later == conversation).map(|(_, after)| *after);
        waits.or_else(|| {
            self.pending.iter().find_map(|pending| match pending.render {
                Render::FollowLater { conversation: later, after } if later == conversation => Some(after),
                _ => None,
            })
        })
    }

    /// `session.open` is answered.
    pub(super) fn opened(&mut self) {
        self.is_opening = false;
    }

    /// Is there something that waits for room?
    pub(super) fn has_more(&self) -> bool {
        let waits = !self.behind.is_empty() || !self.follow_later.is_empty();
        (waits && !self.is_going_on) || !self.anew.is_empty()
    }

    /// The next page of a log, or the next conversation to be followed, if the peer has room.
    pub(super) fn go_on(&mut self, context: &mut Context<'_>) {
        if self.is_opening || !self.has_more() {
            return;
        }
        self.go_on_anew(context);
        if self.is_going_on {
            return;
        }
        if context.sink.outbox_bytes() > CAUGHT_UP_BELOW_BYTES {
            return context.sink.tell_when_drained();
        }
        while let Some(conversation) = self.behind.front().copied() {
            let Some(track) = self.tracks.get(conversation).filter(|track| track.behind.is_some()) else {
                self.behind.pop_front();
                continue;
            };
            let heard = track.behind;
            let query = Query::History { conversation, forward: true, from: track.sent, limit: CATCH_UP_EVENTS };
            let reply_to = self.reply_to(context);
            // A full queue of the engine: the next tick tries again.
            self.is_going_on = context.gateway.engine.query(self.party.who(), query, reply_to).is_ok();
            if self.is_going_on {
                self.wait(true, Slot::SILENT, Render::CatchUp { conversation, heard }, context);
            }
            return;
        }
        if let Some((conversation, after)) = self.follow_later.pop_front() {
            if self.tracks.get(conversation).is_some() {
                return self.go_on(context);
            }
            self.is_going_on = true;
            let what = Address::Conversation(conversation);
            let reply_to = self.reply_to(context);
            if context.gateway.engine.follow(self.following(what, after, reply_to, context)).is_ok() {
                self.wait(true, Slot::SILENT, Render::FollowLater { conversation, after }, context);
            } else {
                self.is_going_on = false;
                self.follow_later.push_front((conversation, after));
            }
        }
    }

    /// It follows what there was no room for before, or may not.
    pub(super) fn follows_later(
        &mut self,
        (conversation, after): (ConversationId, u64),
        answer: Answer,
        context: &mut Context<'_>,
    ) {
        self.is_going_on = false;
        match answer {
            Ok(Outcome::Following { state: Reply::Conversation(view), from_seq, .. }) => {
                self.given(conversation, &view, (after, from_seq), context);
            }
            // The next tick tries again.
            Err(refusal) if refusal.is_for_later() => return self.follow_later.push_back((conversation, after)),
            Ok(_) | Err(_) => {}
        }
        self.go_on(context);
    }

    /// A page of a log has come for a client that was behind; it had heard of `heard` when that was asked.
    pub(super) fn read_on(
        &mut self,
        (conversation, heard): (ConversationId, Option<u64>),
        answer: Answer,
        directory: &Directory,
        context: &mut Context<'_>,
    ) {
        self.is_going_on = false;
        let audience = self.party.audience();
        let Some(track) = self.tracks.get_mut(conversation) else {
            return self.go_on(context);
        };
        match answer {
            Ok(Outcome::History { entries, head }) => {
                if entries.is_empty() {
                    track.found_nothing(head, heard);
                }
                for entry in &entries {
                    if context.sink.outbox_bytes() > BEHIND_OVER_BYTES {
                        // The rest is read again when the peer has room: nothing is kept for it here.
                        break;
                    }
                    if entry.seq <= track.sent {
                        continue;
                    }
                    if let Some(event) = Event::of(conversation, entry, None, audience, directory) {
                        context.sink.send(Text::from(notifications::event(&event)));
                    }
                    track.sent = entry.seq;
                }
                if track.caught_up(head) {
                    self.ask_deadlines(conversation, context);
                }
                self.go_on(context);
            }
            Err(refusal) if refusal.is_for_later() => {} // The next tick tries again.
            Ok(_) | Err(_) => {
                // It may not be seen any more; without it there is no keeping the promise.
                self.unfollow(Address::Conversation(conversation), context);
                tell_unfollowed(conversation, context);
                self.go_on(context);
            }
        }
    }

    /// Events of the log carry no deadlines: a client that was behind is told how they stand now.
    fn ask_deadlines(&mut self, conversation: ConversationId, context: &mut Context<'_>) {
        let order = Order::Conversation(conversation, Box::new(Command::Describe));
        self.send(order, None, Slot::SILENT, Render::Deadlines { conversation }, context);
    }
}
