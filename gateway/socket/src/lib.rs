//! The socket layer: from a listener to sessions that receive and send text, one actix actor per
//! socket.
//!
//! Owns the listener, the HTTP service and its upgrade hook, the handshake, the codec with its
//! limits, the outboxes, the heartbeats, the drain and the close codes of RFC 6455 and of overload.
//! Knows no JSON, no protocol of Jono and no engine.
//!
//! In reading order: [`serve`] starts the workers. A connection that asks for an upgrade is judged
//! by the RFC, by the [limits](SocketLimits) and by the gateway's [`Admit`], which makes a
//! [`Session`]. The session lives in the socket's actor and is called with a [`Socket`] through
//! which it sends [`Text`]s. Other threads reach it through the [`Switchboard`], by [`SocketId`].
//! [`Closed`] says how it ended; [`SocketStats`] counts everything.
//!
//! Below: `upgrade` hands a connection over to `actor`; `core` is the socket's life, on top of
//! `line` (codec on `wire`, the transport), `meter` (checks below the codec) and `outbox`; `hub` holds the
//! sockets of one worker, `worker` what they share, `gate` what the workers share.
//!
//! | close code | when |
//! |---|---|
//! | 1002, 1003, 1007, 1009 | RFC 6455: protocol error, binary frame, not UTF-8, too large |
//! | 1011 | the session panicked |
//! | 1012 | the server is draining |
//! | 4000 | not [confirmed](Socket::confirm_open) within `open_within_ms` |
//! | 4003 | too slow: more waits for the peer than its outbox holds |
//! | 4005 | more frames or bytes than granted |

mod serve;
pub use serve::{ServeConfig, SocketServer, listen, serve};

mod handshake;
pub use handshake::{Admit, HttpRefusal, UpgradeHead};

mod session;
pub use session::{Closed, Session, Socket};

mod text;
pub use text::Text;

mod id;
pub use id::SocketId;

mod switchboard;
pub use switchboard::Switchboard;

mod limits;
pub use limits::SocketLimits;

mod stats;
pub use stats::{SocketCounts, SocketStats};

mod actor;
mod core;
mod gate;
mod hub;
mod line;
mod meter;
mod outbox;
mod upgrade;
mod wire;
mod worker;

pub use actix_http::{StatusCode, header};
