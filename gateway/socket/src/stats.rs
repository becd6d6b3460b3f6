//! Owns the counters of the socket layer. One set per worker, so that workers do not share a cache
//! line; readers add them up.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Close codes counted by themselves; others are counted under 0.
const CODES: [u16; 15] = [0, 1000, 1001, 1002, 1003, 1007, 1009, 1011, 1012, 4000, 4001, 4002, 4003, 4004, 4005];

/// Why an upgrade or a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Not a WebSocket handshake, or a broken one.
    Malformed,
    /// The gateway's [`Admit`](crate::Admit) said no.
    NotAdmitted,
    /// `sockets_max` is reached.
    Full,
    /// Too many sockets of one address.
    AddressFull,
    /// Too many connections of one address, or too fast.
    AddressRate,
    /// The server is draining.
    Draining,
}

const REFUSED: usize = 6;

/// Counters of one worker.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct WorkerCounts {
    pub(crate) accepted: AtomicU64,
    pub(crate) messages_in: AtomicU64,
    pub(crate) messages_out: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) told: AtomicU64,
    pub(crate) told_stale: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) silent: AtomicU64,
    pub(crate) by_peer: AtomicU64,
    pub(crate) aborted: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) outbox_bytes: AtomicUsize,
    refused: [AtomicU64; REFUSED],
    closed: [AtomicU64; CODES.len()],
}

impl WorkerCounts {
    pub(crate) fn refused(&self, why: Refused) {
        bump(&self.refused[why as usize], 1);
    }

    pub(crate) fn closed(&self, code: u16) {
        let at = CODES.iter().position(|known| *known == code).unwrap_or(0);
        bump(&self.closed[at], 1);
    }
}

/// Adds to a counter.
pub(crate) fn bump(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Relaxed);
}

/// The counters of one [`serve`](crate::serve) call; shared by reference, read at any time.
pub struct SocketStats {
    pub(crate) open: AtomicUsize,
    workers: Vec<WorkerCounts>,
}

/// What the counters say at one moment. Everything but `open` and
/// `outbox_bytes` only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketCounts {
    /// Sockets now, those being closed included.
    pub open: usize,
    /// Bytes waiting in outboxes now.
    pub outbox_bytes: usize,
    /// Handshakes completed.
    pub accepted: u64,
    /// Refused: not a handshake, or a broken one.
    pub refused_malformed: u64,
    /// Refused by [`Admit`](crate::Admit).
    pub refused_not_admitted: u64,
    /// Refused: the process is full.
    pub refused_full: u64,
    /// Refused: the address has its sockets.
    pub refused_address_full: u64,
    /// Cut off unanswered: connections of one address, too many or too fast.
    pub refused_address_rate: u64,
    /// Refused: draining.
    pub refused_draining: u64,
    /// Text messages received.
    pub messages_in: u64,
    /// Text messages written.
    pub messages_out: u64,
    /// Bytes received, framing included.
    pub bytes_in: u64,
    /// Bytes of messages written, framing not included.
    pub bytes_out: u64,
    /// Messages delivered to sessions by the switchboard.
    pub told: u64,
    /// Messages for sockets that were gone.
    pub told_stale: u64,
    /// Sockets that ended without a Close.
    pub lost: u64,
    /// Sockets cut off for silence.
    pub silent: u64,
    /// Sockets closed by their peers.
    pub by_peer: u64,
    /// Sockets dropped with their worker.
    pub aborted: u64,
    /// Panics of sessions.
    pub panics: u64,
    /// Sockets closed from here, by close code; 0 stands for all codes not listed in the protocol.
    pub closed: Vec<(u16, u64)>,
}

impl SocketStats {
    pub(crate) fn new(workers: usize) -> Self {
        Self { open: AtomicUsize::new(0), workers: (0..workers).map(|_| WorkerCounts::default()).collect() }
    }

    pub(crate) fn worker(&self, index: usize) -> &WorkerCounts {
        &self.workers[index]
    }

    /// Sockets open now, those being closed included.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// All counters, added up over the workers.
    #[must_use]
    pub fn counts(&self) -> SocketCounts {
        let sum = |pick: fn(&WorkerCounts) -> &AtomicU64| self.workers.iter().map(|w| pick(w).load(Relaxed)).sum();
        let refused = |why: Refused| {
            let loads = self.workers.iter().map(|w| &w.refused[why as usize]);
            loads.map(|counter| counter.load(Relaxed)).sum()
        };
        let outbox = self.workers.iter().map(|w| w.outbox_bytes.load(Relaxed));
        let closed = CODES.iter().enumerate().map(|(at, code)| {
            let loads = self.workers.iter().map(|w| w.closed[at].load(Relaxed));
            (*code, loads.sum())
        });
        SocketCounts {
            open: self.open(),
            outbox_bytes: outbox.sum(),
            accepted: sum(|w| &w.accepted),
            refused_malformed: refused(Refused::Malformed),
            refused_not_admitted: refused(Refused::NotAdmitted),
            refused_full: refused(Refused::Full),
            refused_address_full: refused(Refused::AddressFull),
            refused_address_rate: refused(Refused::AddressRate),
            refused_draining: refused(Refused::Draining),
            messages_in: sum(|w| &w.messages_in),
            messages_out: sum(|w| &w.messages_out),
            bytes_in: sum(|w| &w.bytes_in),
            bytes_out: sum(|w| &w.bytes_out),
            told: sum(|w| &w.told),
            told_stale: sum(|w| &w.told_stale),
            lost: sum(|w| &w.lost),
            silent: sum(|w| &w.silent),
            by_peer: sum(|w| &w.by_peer),
            aborted: sum(|w| &w.aborted),
            panics: sum(|w| &w.panics),
            closed: closed.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

impl SocketCounts {
    /// How many sockets were closed from here with `code`.
    #[must_use]
    pub fn closed_with(&self, code: u16) -> u64 {
        let found = self.closed.iter().find(|(known, _)| *known == code);
        found.map_or(0, |(_, count)| *count)
    }
}
