//! What a session needs of the engine and of its socket, as traits: the real ones and, in tests, fakes.

use std::sync::Arc;

use jono_domain::account::Who;
use jono_domain::message::Address;
use jono_engine::Engine;
use jono_engine::delivery::SessionRef;
use jono_engine::directory::Directory;
use jono_engine::request::{Follow, Full, Query, ReplyTo, Request};
use jono_socket::{Socket, Text};

/// The engine, as sessions use it. See [`Engine`].
pub trait Backend: Send + Sync + 'static {
    /// Asks one entity.
    ///
    /// # Errors
    /// [`Full`].
    fn send(&self, request: Request) -> Result<(), Full>;
    /// Begins to follow an entity.
    ///
    /// # Errors
    /// [`Full`].
    fn follow(&self, follow: Follow) -> Result<(), Full>;
    /// Follows it no longer.
    fn unfollow(&self, session: SessionRef, what: Address);
    /// Asks over several entities.
    ///
    /// # Errors
    /// [`Full`].
    fn query(&self, who: Who, query: Query, reply_to: ReplyTo) -> Result<(), Full>;
    /// All settings.
    fn directory(&self) -> Arc<Directory>;
    /// The identity of the log.
    fn log_identity(&self) -> u64;
    /// No other process has any part of it.
    fn is_alone(&self) -> bool;
}

impl Backend for Engine {
    fn send(&self, request: Request) -> Result<(), Full> {
        Engine::send(self, request)
    }

    fn follow(&self, follow: Follow) -> Result<(), Full> {
        Engine::follow(self, follow)
    }

    fn unfollow(&self, session: SessionRef, what: Address) {
        Engine::unfollow(self, session, what);
    }

    fn query(&self, who: Who, query: Query, reply_to: ReplyTo) -> Result<(), Full> {
        Engine::query(self, who, query, reply_to)
    }

    fn directory(&self) -> Arc<Directory> {
        Engine::directory(self)
    }

    fn log_identity(&self) -> u64 {
        Engine::log_identity(self)
    }

    fn is_alone(&self) -> bool {
        Engine::is_alone(self)
    }
}

/// The socket, as sessions use it. See [`Socket`].
pub trait Sink {
    /// The socket's name as a number.
    fn id(&self) -> u64;
    /// Sends a text.
    fn send(&mut self, text: Text);
    /// Closes behind what was sent.
    fn close(&mut self, code: u16, reason: &'static str);
    /// The client has said who it is.
    fn confirm_open(&mut self);
    /// Asks for one call when everything sent is taken.
    fn tell_when_drained(&mut self);
    /// Bytes that wait for the peer.
    fn outbox_bytes(&self) -> usize;
}

impl Sink for Socket<'_> {
    fn id(&self) -> u64 {
        Socket::id(self).to_bits()
    }

    fn send(&mut self, text: Text) {
        Socket::send(self, text);
    }

    fn close(&mut self, code: u16, reason: &'static str) {
        Socket::close(self, code, reason);
    }

    fn confirm_open(&mut self) {
        Socket::confirm_open(self);
    }

    fn tell_when_drained(&mut self) {
        Socket::tell_when_drained(self);
    }

    fn outbox_bytes(&self) -> usize {
        Socket::outbox_bytes(self)
    }
}
