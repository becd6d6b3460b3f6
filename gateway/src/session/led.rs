//! Owns what becomes of a session's being led to a conversation when the session has ended, or ends before it hears of it.

use std::fmt;
use std::sync::Weak;

use jono_domain::id::ConversationId;
use jono_domain::message::Address;
use jono_engine::delivery::{Delivery, SessionRef};

use super::gateway::Gateway;

/// The engine has led a session to a conversation, and counts it as connected there. Unless the session takes that,
/// and so will unfollow when it ends, the engine is told that it does not follow: wherever this is dropped, on whichever thread.
pub struct Led {
    /// [`Delivery::Following`], until it is taken.
    delivery: Delivery,
    session: SessionRef,
    gateway: Weak<Gateway>,
}

impl Led {
    pub(super) fn new(session: SessionRef, delivery: Delivery, gateway: Weak<Gateway>) -> Self {
        Self { delivery, session, gateway }
    }

    /// The session follows, and will say when it does not.
    pub(super) fn take(mut self) -> Delivery {
        let nothing = Delivery::Unfollowed(ConversationId::from_bits(0));
        std::mem::replace(&mut self.delivery, nothing)
    }
}

impl Drop for Led {
    fn drop(&mut self) {
        if let (Delivery::Following { conversation, .. }, Some(gateway)) = (&self.delivery, self.gateway.upgrade()) {
            gateway.engine.unfollow(self.session, Address::Conversation(*conversation));
        }
    }
}

impl fmt::Debug for Led {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Led").field(&self.delivery).field(&self.session).finish()
    }
}
