//! Owns the contract between a socket and what the gateway plugs into it. Must not know how a
//! socket works.

use crate::{id::SocketId, outbox::Outbox, text::Text};
use std::net::SocketAddr;

/// What the gateway plugs in: one value per socket, living inside the socket's actor, on the
/// worker's thread.
///
/// Calls come one at a time. They must not block: all sockets of the worker wait. After each call
/// everything sent in it is written at once. A panic in any of them closes this socket with 1011 and
/// disturbs no other.
pub trait Session: Sized + 'static {
    /// What other threads may tell a session, through the [`Switchboard`](crate::Switchboard).
    type Message: Send + 'static;

    /// The handshake is done; called first, once. From here on `closed` is certain to follow.
    fn opened(&mut self, socket: &mut Socket<'_>) {
        let _ = socket;
    }

    /// A text message came. The text lies in the socket's read buffer: copy what is kept.
    fn received(&mut self, text: &str, socket: &mut Socket<'_>);

    /// A message came through the switchboard.
    fn told(&mut self, message: Self::Message, socket: &mut Socket<'_>);

    /// Everything sent has been taken by the connection, as asked for by
    /// [`Socket::tell_when_drained`]. The way to send more than an outbox holds: some, then more here.
    fn drained(&mut self, socket: &mut Socket<'_>) {
        let _ = socket;
    }

    /// Once per turn of the heartbeat wheel, `(silent_ms - heartbeat_ms) / 2`, by default 2.5 s; for
    /// housekeeping that needs no precision. Costs a visit to every socket: keep it trivial.
    fn ticked(&mut self, socket: &mut Socket<'_>) {
        let _ = socket;
    }

    /// The socket is closed for the session: exactly once after `opened`, whatever ended it, and
    /// nothing is called afterwards. The connection itself may last `closing_ms` longer, for the
    /// Close to arrive.
    fn closed(&mut self, cause: Closed);
}

/// What ended a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The peer sent a Close, with this code if any.
    ByPeer {
        /// The peer's code.
        code: Option<u16>,
    },
    /// The session, a limit, a violation of RFC 6455 or the drain closed it with this code.
    Here {
        /// Our code.
        code: u16,
    },
    /// The connection ended without a Close: end of stream, reset, time-out of the kernel.
    Lost,
    /// Nothing came for `silent_ms`, not even an answer to a ping.
    Silent,
    /// The session panicked; the peer got 1011.
    Panicked,
    /// The worker stopped.
    Aborted,
}

/// What a session may do with its socket, during one call.
pub struct Socket<'a> {
    door: &'a mut Door,
}

impl<'a> Socket<'a> {
    pub(crate) fn new(door: &'a mut Door) -> Self {
        Self { door }
    }

    /// The socket's name, to be handed to those who shall tell it something.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.door.id
    }

    /// The other end of the TCP connection: a reverse proxy, if there is one.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.door.peer
    }

    /// Sends a text message; written, with everything else sent in this call, after the call.
    ///
    /// What does not fit the outbox (`outbox_bytes_max`) closes the socket with 4003. Ignored once
    /// the socket is being closed.
    pub fn send(&mut self, text: Text) {
        let door = &mut *self.door;
        if door.overflowed || door.close.is_some() {
            return;
        }
        if door.outbox.push(text, door.peer_is_behind).is_err() {
            door.overflowed = true;
            door.outbox.clear();
        }
    }

    /// Closes the socket after what was sent before; the first call counts. `code` must be one that
    /// RFC 6455 lets an endpoint send, `reason` at most 123 bytes.
    pub fn close(&mut self, code: u16, reason: &'static str) {
        debug_assert!(reason.len() <= 123, "a Close reason fits a control frame");
        self.door.close.get_or_insert((code, reason));
    }

    /// The session has said who it is: the socket is no longer closed with 4000 after
    /// `open_within_ms`.
    pub fn confirm_open(&mut self) {
        self.door.confirmed = true;
    }

    /// Asks for one call of [`Session::drained`], when everything sent has been taken by the
    /// connection; soon, if it takes everything at once.
    pub fn tell_when_drained(&mut self) {
        self.door.wants_drained = true;
    }

    /// Bytes sent and not yet taken by the connection.
    #[must_use]
    pub fn outbox_bytes(&self) -> usize {
        self.door.outbox.bytes()
    }
}

/// The part of a socket that its session can reach, whatever the transport.
pub(crate) struct Door {
    pub(crate) id: SocketId,
    pub(crate) peer: SocketAddr,
    pub(crate) outbox: Outbox,
    pub(crate) close: Option<(u16, &'static str)>,
    pub(crate) confirmed: bool,
    pub(crate) overflowed: bool,
    /// The session wants to know when the outbox is empty.
    pub(crate) wants_drained: bool,
    /// The connection did not take all of the last write.
    pub(crate) peer_is_behind: bool,
}
