//! One socket's conversation with the engine.
//!
//! A session is a synchronous state machine: it is called with what came from the client or from the
//! engine and with the time, and asks and sends through two traits (`seam`), so that tests drive it
//! without either. It has no rules of the domain: what it keeps of a conversation is how far its
//! client has been told.
//!
//! Reading order: `gateway` (what sessions share), `life` (fresh, opening, open), `opening` (the steps of
//! `session.open`), `admission` (who it is), `led` (where it is led unasked), `held_back` (what comes meanwhile), `opened` (the result), `open`
//! (requests and deliveries), `plan` (what each method asks of the engine), `render` (what is made of the
//! answers), `tracks` (how far the client has been told), `catching_up` (how it comes to have the rest),
//! `moving` (what is followed elsewhere from now on), `replies`, `starts` (what one address may begin), `limits`.

use std::sync::Arc;

use jono_socket::{Closed, Session, Socket};

mod accounts;
mod admission;
mod catching_up;
mod gateway;
mod held_back;
mod led;
mod life;
mod limits;
mod moving;
mod open;
mod opened;
mod opening;
mod party;
mod plan;
mod render;
mod replies;
mod seam;
mod starts;
mod tracks;

#[cfg(test)]
mod tests;

pub use gateway::{Gateway, GatewayAdmit, Ids, SOCKET_PATH, SUBPROTOCOLS, SessionSettings, Tell, Told};
pub use led::Led;
pub use life::Life;
pub use limits::{Allowance, Rates, SessionLimits};
pub use seam::{Backend, Sink};
pub use starts::Starts;

use crate::auth::now;
use gateway::Origin;
use starts::Network;

/// A session behind a socket: `Life` with the clock of the machine.
pub struct WireSession(Life);

impl WireSession {
    pub(self) fn new(gateway: Arc<Gateway>, network: Option<Network>, origin: Option<Box<Origin>>) -> Self {
        Self(Life::new(gateway, network, origin))
    }
}

impl Session for WireSession {
    type Message = Told;

    fn opened(&mut self, socket: &mut Socket<'_>) {
        self.0.opened(socket);
    }

    fn received(&mut self, text: &str, socket: &mut Socket<'_>) {
        self.0.received(text, now(), socket);
    }

    fn told(&mut self, message: Told, socket: &mut Socket<'_>) {
        self.0.told(message, now(), socket);
    }

    fn drained(&mut self, socket: &mut Socket<'_>) {
        self.0.go_on(now(), socket);
    }

    fn ticked(&mut self, socket: &mut Socket<'_>) {
        if self.0.has_more() {
            self.0.go_on(now(), socket);
        }
    }

    fn closed(&mut self, cause: Closed) {
        self.0.closed(cause);
    }
}
