//! WebSocket connections, thousands of them on one thread: frames, the handshake, non-blocking sockets. Knows no protocol above.

mod connection;
mod frame;

pub(crate) use connection::{Connection, Event, Shared};
pub use frame::{Frame, Frames};
