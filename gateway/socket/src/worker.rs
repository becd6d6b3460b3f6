//! Owns what all sockets of one worker share and none of them owns: the coarse clock, the limits,
//! the bytes waiting, the deadlines. Everything here is on the worker's own thread.

use crate::{
    id::SocketId,
    limits::SocketLimits,
    stats::{SocketStats, WorkerCounts},
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

/// What is due for a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The session must be confirmed by now.
    Open,
    /// The connection must be gone by now.
    Closing,
}

pub(crate) struct Worker {
    pub(crate) index: u16,
    pub(crate) limits: Arc<SocketLimits>,
    stats: Arc<SocketStats>,
    origin: Instant,
    now_ms: Cell<u64>,
    outbox_bytes: Cell<usize>,
    opening: RefCell<VecDeque<(u64, SocketId)>>,
    closing: RefCell<VecDeque<(u64, SocketId)>>,
}

impl Worker {
    pub(crate) fn new(index: u16, limits: Arc<SocketLimits>, stats: Arc<SocketStats>) -> Self {
        Self {
            index,
            limits,
            stats,
            origin: Instant::now(),
            now_ms: Cell::new(0),
            outbox_bytes: Cell::new(0),
            opening: RefCell::default(),
            closing: RefCell::default(),
        }
    }

    pub(crate) fn counts(&self) -> &WorkerCounts {
        self.stats.worker(usize::from(self.index))
    }

    /// Milliseconds since the worker started, as of the wheel's last step.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    pub(crate) fn read_clock(&self) -> u64 {
        let now_ms = self.origin.elapsed().as_millis() as u64;
        self.now_ms.set(now_ms);
        self.counts().outbox_bytes.store(self.outbox_bytes.get(), Relaxed);
        now_ms
    }

    pub(crate) fn outbox_bytes(&self) -> usize {
        self.outbox_bytes.get()
    }

    pub(crate) fn outbox_grew(&self, bytes: usize) {
        self.outbox_bytes.set(self.outbox_bytes.get() + bytes);
    }

    pub(crate) fn outbox_shrank(&self, bytes: usize) {
        debug_assert!(self.outbox_bytes.get() >= bytes, "bytes leave once");
        self.outbox_bytes.set(self.outbox_bytes.get().saturating_sub(bytes));
    }

    /// All deadlines of a kind are equally long, so that each kind is a queue.
    pub(crate) fn arm(&self, due: Due, id: SocketId) {
        let (queue, after_ms) = match due {
            Due::Open => (&self.opening, self.limits.open_within_ms),
            Due::Closing => (&self.closing, self.limits.closing_ms),
        };
        let due_ms = self.origin.elapsed().as_millis() as u64 + after_ms;
        queue.borrow_mut().push_back((due_ms, id));
    }

    /// The next socket whose deadline has passed.
    pub(crate) fn next_due(&self, now_ms: u64) -> Option<(Due, SocketId)> {
        for (due, queue) in [(Due::Open, &self.opening), (Due::Closing, &self.closing)] {
            let mut queue = queue.borrow_mut();
            if queue.front().is_some_and(|(at, _)| *at <= now_ms) {
                let id = queue.pop_front().map(|(_, id)| id);
                if queue.is_empty() {
                    queue.shrink_to_fit();
                }
                return id.map(|id| (due, id));
            }
        }
        None
    }
}
