//! Owns every limit of the socket layer: each with its unit in the name and its reason beside it.

use std::{io, time::Duration};

/// Slots of the heartbeat wheel. 32 spreads 15 000 sockets into visits of 470.
pub(crate) const WHEEL_SLOTS: usize = 32;

/// Input thrown away after our Close before the peer is cut off. A peer that still sends a
/// message or two is polite; one that sends more is not reading what we said.
pub(crate) const DISCARD_BYTES_MAX: usize = 1024 * 1024;

/// Messages delivered to a worker's sockets before their outboxes are written and the worker's
/// other tasks get their turn: about a millisecond of work.
pub(crate) const TOLD_AT_ONCE_MAX: usize = 1024;

/// Sockets closed at once while draining, for the same reason.
pub(crate) const DRAINED_AT_ONCE_MAX: usize = 512;

/// What one process grants its sockets. Start from `SocketLimits::default()` and change fields.
#[derive(Clone, Debug)]
pub struct SocketLimits {
    /// Largest message and largest frame accepted, bytes. A longer one is answered with 1009 as soon
    /// as its length is announced, before any of it is buffered.
    pub message_bytes_max: usize,
    /// Largest frame sent, bytes. A longer text goes out in fragments of this size, so that the
    /// codec's buffer stays small whatever is sent.
    pub fragment_bytes: usize,
    /// The codec's read buffer, bytes, allocated for every socket: most of what an idle socket costs
    /// (measured: 512 / 1024 / 4096 bytes give 2.5 / 3.0 / 6.2 KB resident).
    pub read_buffer_bytes: usize,
    /// Bytes the codec collects before it writes by itself. 0 costs five times the throughput at depth.
    pub write_buffer_bytes: usize,
    /// Bytes that may wait for one socket's peer to read (G12). More, and the socket is closed with
    /// 4003; also the most that one call of a session may send.
    pub outbox_bytes_max: usize,
    /// Bytes that may wait for all sockets of one worker together. Over it, a socket whose peer is
    /// behind is closed with 4003 on its next message; peers that keep up are not affected.
    pub outbox_bytes_per_worker_max: usize,
    /// A socket is not read while more than this many bytes wait to be sent to it.
    pub read_pause_bytes: usize,
    /// Messages that may wait for one worker. Over it nothing is queued: the sockets addressed are
    /// closed with 4003, so that nobody misses a message without knowing.
    pub told_waiting_max: usize,
    /// Open sockets of the process; an upgrade over it is answered with 503.
    pub sockets_max: usize,
    /// Open sockets of one address (IPv6: of one /64); an upgrade over it is answered with 429.
    pub sockets_per_address_max: usize,
    /// TCP connections of one address that are not (yet) sockets: handshakes and plain HTTP. One over
    /// it is closed unanswered.
    pub connections_per_address_max: usize,
    /// New TCP connections per second of one address. One over it is closed unanswered.
    pub connections_per_second_per_address: u32,
    /// New TCP connections of one address that may come at once.
    pub connections_burst_per_address: u32,
    /// Whether 127.0.0.0/8 and ::1 are free of the limits by address: a reverse proxy or a load test
    /// on the same host is one address for everybody.
    pub loopback_exempt: bool,
    /// TCP connections of one worker that are not sockets; the worker accepts no more until one ends.
    /// Each holds two buffers of 8 KiB.
    pub connections_per_worker_max: usize,
    /// Frames per second from one peer, control frames and fragments included; then 4005.
    pub frames_per_second: u32,
    /// Frames that may come at once.
    pub frames_burst: u32,
    /// Bytes per second from one peer; then 4005.
    pub bytes_per_second: u32,
    /// Bytes that may come at once; at least two largest messages.
    pub bytes_burst: u32,
    /// A peer silent for this long has been sent a ping, milliseconds.
    pub heartbeat_ms: u64,
    /// A peer silent for this long has been cut off, milliseconds (G10: 25 s).
    pub silent_ms: u64,
    /// Time from the handshake to [`Socket::confirm_open`](crate::Socket::confirm_open), milliseconds;
    /// then 4000.
    pub open_within_ms: u64,
    /// Time for a request head to arrive, and for the answer to an upgrade to be taken, milliseconds.
    pub handshake_ms: u64,
    /// Time from the decision to close until the connection is reset, milliseconds: for the Close to
    /// reach the peer and its answer to come back.
    pub closing_ms: u64,
    /// Idle time of a plain HTTP connection between requests, milliseconds.
    pub keep_alive_ms: u64,
    /// `SO_SNDBUF`, bytes (Linux doubles it). Without it the kernel takes up to 4 MB a socket for a
    /// peer that does not read.
    pub send_buffer_bytes: usize,
    /// `TCP_USER_TIMEOUT`, milliseconds: sent bytes not acknowledged for so long end the connection.
    pub user_timeout_ms: u64,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            message_bytes_max: 64 * 1024,
            fragment_bytes: 16 * 1024,
            read_buffer_bytes: 1024,
            write_buffer_bytes: 4096,
            outbox_bytes_max: 256 * 1024,
            outbox_bytes_per_worker_max: 64 * 1024 * 1024,
            read_pause_bytes: 64 * 1024,
            told_waiting_max: 1024 * 1024,
            sockets_max: 100_000,
            sockets_per_address_max: 256,
            connections_per_address_max: 128,
            connections_per_second_per_address: 50,
            connections_burst_per_address: 200,
            loopback_exempt: true,
            connections_per_worker_max: 8192,
            frames_per_second: 500,
            frames_burst: 1000,
            bytes_per_second: 512 * 1024,
            bytes_burst: 1024 * 1024,
            heartbeat_ms: 20_000,
            silent_ms: 25_000,
            open_within_ms: 10_000,
            handshake_ms: 5_000,
            closing_ms: 2_000,
            keep_alive_ms: 15_000,
            send_buffer_bytes: 64 * 1024,
            user_timeout_ms: 20_000,
        }
    }
}

impl SocketLimits {
    /// Says which limits contradict each other.
    pub(crate) fn check(&self) -> io::Result<()> {
        let wrong = if self.silent_ms < self.heartbeat_ms + 2 * WHEEL_SLOTS as u64 {
            "silent_ms must be at least 64 ms over heartbeat_ms"
        } else if self.heartbeat_ms <= self.turn_ms() {
            "heartbeat_ms must be over half its distance to silent_ms"
        } else if (self.bytes_burst as usize) < 2 * self.message_bytes_max {
            "bytes_burst must hold two largest messages"
        } else if self.frames_burst == 0 || self.connections_burst_per_address == 0 {
            "a burst of 0 lets nothing through"
        } else if self.fragment_bytes == 0 || self.message_bytes_max == 0 {
            "messages and fragments need at least a byte"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, wrong))
    }

    /// Time between two visits of the wheel to one socket. Two visits fit between the ping and the
    /// end, so that a peer has at least one turn to answer: a ping at `heartbeat - turn .. heartbeat`
    /// of silence, the end at `silent - turn .. silent`.
    pub(crate) fn turn_ms(&self) -> u64 {
        (self.silent_ms - self.heartbeat_ms) / 2
    }

    /// Time between two steps of the wheel.
    pub(crate) fn tick(&self) -> Duration {
        Duration::from_micros((self.turn_ms() * 1000 / WHEEL_SLOTS as u64).max(1000))
    }

    /// The codec's write buffer, hard limit: what is collected, one frame more, and headers. With the
    /// codec's own default (none) a ping flood by a peer that does not read took 189 MB in 0.7 s.
    pub(crate) fn write_buffer_bytes_max(&self) -> usize {
        const HEADERS: usize = 1024;
        self.write_buffer_bytes + self.fragment_bytes + HEADERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_agree_with_each_other_and_with_g10() {
        let limits = SocketLimits::default();
        limits.check().unwrap();
        assert_eq!(limits.turn_ms(), 2_500);
        assert!(limits.silent_ms <= 25_000);
    }

    #[test]
    fn contradictions_are_refused() {
        let limits = SocketLimits { heartbeat_ms: 25_000, ..SocketLimits::default() };
        assert_eq!(limits.check().unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
