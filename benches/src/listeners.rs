//! The sessions of a gateway that only counts what they are told.

use std::sync::Arc;

use jono_domain::account::Who;
use jono_domain::message::Address;
use jono_domain::notice::Notice;
use jono_engine::Engine;
use jono_engine::delivery::{Deliver, Delivery, SessionRef};
use jono_engine::request::{Follow, ReplyTo};
use tokio::sync::watch;

/// How much has been told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Answers to requests of sessions.
    pub answers: u64,
    /// New events of conversations.
    pub entries: u64,
    /// Pushes of changed list rows.
    pub rows: u64,
}

/// The gateway.
#[derive(Debug)]
pub struct Listeners {
    told: watch::Sender<Told>,
}

impl Listeners {
    /// Attaches to the engine; its sessions are of the gateway number that comes with it.
    #[must_use]
    pub fn attach(engine: &Engine) -> (Arc<Self>, u64) {
        let listeners = Arc::new(Self { told: watch::Sender::new(Told::default()) });
        let number = engine.attach_gateway(listeners.clone());
        (listeners, number)
    }

    /// What was told so far.
    #[must_use]
    pub fn told(&self) -> Told {
        *self.told.borrow()
    }

    /// Waits until enough has been told.
    pub async fn until(&self, is_enough: impl FnMut(&Told) -> bool) {
        let mut told = self.told.subscribe();
        told.wait_for(is_enough).await.expect("the sender lives as long as the listeners");
    }
}

impl Deliver for Listeners {
    fn deliver(&self, batch: Vec<(SessionRef, Delivery)>) {
        self.told.send_modify(|told| {
            for (_, delivery) in &batch {
                match delivery {
                    Delivery::Answer { .. } => told.answers += 1,
                    Delivery::Notice(notice) => match &notice.value {
                        Notice::Entry { .. } => told.entries += 1,
                        Notice::Rows(_) => told.rows += 1,
                        _ => {}
                    },
                    Delivery::Following { .. } | Delivery::Unfollowed(_) => {}
                }
            }
        });
    }
}

/// A session's wish to follow, answered to the session.
#[must_use]
pub fn follow(session: SessionRef, who: Who, what: Address) -> Follow {
    let reply_to = ReplyTo::Session { session, request: 1 };
    Follow { session, who, what, after: 0, bytes_max: 1024, is_new: false, reply_to }
}
