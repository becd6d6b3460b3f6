//! Owns what comes before `session.open` is answered: it is told behind the result, in order and in
//! bounded memory. What there is no room for is remembered by number and read again.

use std::collections::{BTreeMap, BTreeSet};

use jono_domain::account::Audience;
use jono_domain::conversation::Body;
use jono_domain::id::ConversationId;
use jono_domain::message::Address;
use jono_domain::notice::Notice;
use jono_domain::reply::Reply;
use jono_engine::delivery::{Delivery, SessionRef};

use super::gateway::Gateway;
use super::limits::{HELD_BACK_BYTES_MAX, HELD_BACK_MAX};
use super::open::{Context, Open, Then};

/// Bytes of a delivery besides its texts.
const EACH_BYTES: usize = 128;
/// The same of a conversation's state.
const STATE_BYTES: usize = 1_024;

/// The deliveries that wait.
#[derive(Default)]
pub(super) struct HeldBack {
    all: Vec<Delivery>,
    bytes: usize,
    /// Something did not fit: no more is kept, so that what is kept has no hole.
    is_full: bool,
    /// The last event that was not kept, of each conversation that is led to or asked for.
    missed: BTreeMap<ConversationId, u64>,
    /// Conversations whose state was not kept.
    later: BTreeSet<ConversationId>,
    has_organisation_changed: bool,
}

impl HeldBack {
    /// Keeps it, or what must be known of it. `is_led`: does the session follow the conversation without what
    /// is held back, or will it? Names a conversation that must be unfollowed, and followed later.
    pub(super) fn keep(
        &mut self,
        delivery: Delivery,
        audience: Audience,
        is_led: impl Fn(ConversationId) -> bool,
    ) -> Option<ConversationId> {
        match &delivery {
            Delivery::Notice(notice) => match &notice.value {
                Notice::Entry { entry, .. } if !entry.is_for(audience) => return None,
                Notice::Entry { conversation, entry, .. } => {
                    let bytes = match &entry.body {
                        Body::Message { text } | Body::NoteAdded { text } => text.len(),
                        _ => 0,
                    };
                    if !self.has_room(bytes) {
                        if self.is_followed(*conversation, is_led) {
                            self.miss(*conversation, entry.seq);
                        }
                        return None;
                    }
                }
                // Rights depend on it. Once is enough: what it says is that everything is read anew.
                Notice::OrganisationChanged if std::mem::replace(&mut self.has_organisation_changed, true) => return None,
                Notice::OrganisationChanged => {}
                // The state that follows supersedes it, or the client reads it anew.
                _ if !self.has_room(0) => return None,
                _ => {}
            },
            Delivery::Following { conversation, state, .. } => {
                let (head, bytes) = match &**state {
                    Reply::Conversation(view) => {
                        let metadata = view.metadata.iter().map(|(key, value)| key.len() + value.bytes());
                        (view.head, STATE_BYTES + view.row.preview.len() + metadata.sum::<usize>())
                    }
                    _ => (0, 0),
                };
                if !self.has_room(bytes) {
                    if self.is_followed(*conversation, is_led) {
                        self.miss(*conversation, head);
                        return None;
                    }
                    self.later.insert(*conversation);
                    return Some(*conversation);
                }
            }
            Delivery::Unfollowed(conversation) => {
                self.later.remove(conversation);
                self.missed.remove(conversation);
                // No more of them than there are conversations that are followed without it.
                if !self.has_room(0) && !self.is_followed(*conversation, is_led) {
                    return None;
                }
            }
            Delivery::Answer { .. } => return None,
        }
        self.all.push(delivery);
        None
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        self.bytes += EACH_BYTES + bytes;
        self.is_full |= self.all.len() >= HELD_BACK_MAX || self.bytes > HELD_BACK_BYTES_MAX;
        !self.is_full
    }

    fn miss(&mut self, conversation: ConversationId, seq: u64) {
        let missed = self.missed.entry(conversation).or_default();
        *missed = seq.max(*missed);
    }

    /// Will the session follow it when what is kept has been told?
    fn is_followed(&self, conversation: ConversationId, is_led: impl Fn(ConversationId) -> bool) -> bool {
        let said = self.all.iter().rev().find_map(|delivery| match delivery {
            Delivery::Following { conversation: of, .. } if *of == conversation => Some(true),
            Delivery::Unfollowed(of) if *of == conversation => Some(false),
            _ => None,
        });
        said.unwrap_or_else(|| is_led(conversation))
    }

    /// The conversations that are to be followed when there is room.
    pub(super) fn take_later(&mut self) -> BTreeSet<ConversationId> {
        std::mem::take(&mut self.later)
    }

    /// The session follows nothing any more.
    pub(super) fn leave(&self, session: SessionRef, gateway: &Gateway) {
        self.all.iter().for_each(|delivery| leave(delivery, session, gateway));
    }

    /// Tells it all, if the session stands; what did not fit is read from the log when the session goes on.
    pub(super) fn tell(self, open: &mut Open, context: &mut Context<'_>) -> Then {
        let mut then = Then::GoOn;
        for delivery in self.all {
            if then == Then::GoOn {
                then = open.told(delivery, context);
            } else {
                leave(&delivery, context.session(), context.gateway);
            }
        }
        for (conversation, seq) in self.missed {
            open.missed(conversation, seq);
        }
        then
    }
}

fn leave(delivery: &Delivery, session: SessionRef, gateway: &Gateway) {
    if let Delivery::Following { conversation, .. } = delivery {
        gateway.engine.unfollow(session, Address::Conversation(*conversation));
    }
}
