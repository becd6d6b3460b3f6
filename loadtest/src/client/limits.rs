//! Every limit of a client, with its reason.

use std::time::Duration;

/// A connection and its handshake on a working machine take milliseconds.
pub const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The server gives us ten seconds for `session.open`; it gets as long to answer.
pub const OPEN_MAX: Duration = Duration::from_secs(10);
/// First pause before connecting again; doubles up to [`BACKOFF_MAX`], each with jitter.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// Longest pause before connecting again: a restarted server is found soon.
pub const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Without a session for so long, the server is not coming back.
pub const AWAY_MAX: Duration = Duration::from_secs(120);
/// A connection that leaves a request unanswered for so long is dropped, and the request repeated elsewhere.
pub const ANSWER_MAX: Duration = Duration::from_secs(30);
/// A request that is still refused with `busy` and the like after so long is given up.
pub const POSTPONE_MAX: Duration = Duration::from_secs(120);
/// Pause where the server names none, and the shortest one.
pub const POSTPONE_DEFAULT_MS: u64 = 200;
/// Longest pause that the server may ask for.
pub const POSTPONE_ONCE_MAX_MS: u64 = 10_000;
/// Pause after a close with 4005 (rate).
pub const RATE_PAUSE: Duration = Duration::from_secs(2);
/// The server pings every 20 s: silence for so long means that nobody is there.
pub const SILENT_MAX: Duration = Duration::from_secs(60);
/// How long the server may take to close after `session.close`.
pub const CLOSE_MAX: Duration = Duration::from_secs(2);
/// Bytes of a socket's read buffer: hundreds of clients live in one process.
pub const READ_BUFFER_BYTES: usize = 8 * 1024;
