//! Owns the way from other threads to the workers: one inbox per worker, one wake per worker and
//! call. Must not know sockets.

use crate::id::SocketId;
use futures_util::task::AtomicWaker;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Poll, Waker},
};

/// Tells sessions things, from any thread. Cheap to clone; outlives the server harmlessly.
pub struct Switchboard<M> {
    ports: Arc<[Port<M>]>,
}

impl<M> Clone for Switchboard<M> {
    fn clone(&self) -> Self {
        Self { ports: Arc::clone(&self.ports) }
    }
}

impl<M: Send + 'static> Switchboard<M> {
    pub(crate) fn new(workers: usize, waiting_max: usize) -> Self {
        Self { ports: (0..workers).map(|_| Port::new(waiting_max)).collect() }
    }

    /// Tells one session. Messages from one thread to one session keep their order. If the socket is
    /// gone, the message is dropped; its session's `closed` has said so.
    pub fn tell(&self, id: SocketId, message: M) {
        if let Some(port) = self.ports.get(id.worker()) {
            let refused = port.lock().push(id, message);
            port.waker.wake();
            drop(refused);
        }
    }

    /// Tells many sessions: each worker concerned is locked once and woken once.
    pub fn tell_many(&self, messages: impl IntoIterator<Item = (SocketId, M)>) {
        let mut by_worker: Vec<Vec<(SocketId, M)>> = Vec::new();
        by_worker.resize_with(self.ports.len(), Vec::new);
        for (id, message) in messages {
            if let Some(batch) = by_worker.get_mut(id.worker()) {
                batch.push((id, message));
            }
        }
        for (port, batch) in self.ports.iter().zip(by_worker) {
            if batch.is_empty() {
                continue;
            }
            let mut inbox = port.lock();
            let refused: Vec<M> = batch.into_iter().filter_map(|(id, message)| inbox.push(id, message)).collect();
            drop(inbox);
            port.waker.wake();
            // What ends with a message may tell others: not while the inbox is locked.
            drop(refused);
        }
    }

    /// Messages waiting for the workers now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let waiting = self.ports.iter().map(|port| port.lock().messages.len());
        waiting.sum()
    }

    pub(crate) fn port(&self, worker: usize) -> &Port<M> {
        &self.ports[worker]
    }

    pub(crate) fn order(&self, order: Order) {
        for port in self.ports.iter() {
            port.order.fetch_max(order as u8, Ordering::SeqCst);
            port.waker.wake();
        }
    }
}

/// What the server orders of all workers; a later one includes the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    Serve = 0,
    Drain = 1,
    Abort = 2,
}

/// One worker's inbox.
pub(crate) struct Port<M> {
    inbox: Mutex<Inbox<M>>,
    order: AtomicU8,
    waker: AtomicWaker,
}

struct Inbox<M> {
    messages: Vec<(SocketId, M)>,
    /// Sockets that missed a message because the inbox was full; they must be closed.
    overrun: BTreeSet<SocketId>,
    waiting_max: usize,
}

/// What a worker takes from its inbox at once.
pub(crate) struct Taken<M> {
    pub(crate) messages: Vec<(SocketId, M)>,
    pub(crate) overrun: BTreeSet<SocketId>,
}

impl<M> Inbox<M> {
    /// Gives back what there is no room for.
    #[must_use]
    fn push(&mut self, id: SocketId, message: M) -> Option<M> {
        if self.messages.len() < self.waiting_max {
            self.messages.push((id, message));
            return None;
        }
        self.overrun.insert(id);
        Some(message)
    }
}

impl<M> Port<M> {
    fn new(waiting_max: usize) -> Self {
        let inbox = Inbox { messages: Vec::new(), overrun: BTreeSet::new(), waiting_max };
        Self { inbox: Mutex::new(inbox), order: AtomicU8::new(Order::Serve as u8), waker: AtomicWaker::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inbox<M>> {
        // Pushing and taking leave the inbox whole at every step, so a poisoned one is usable.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has come since, and the order when it rose over `known`; else waits. `room` is an empty
    /// vector whose memory is used again.
    pub(crate) fn poll_take(&self, waker: &Waker, known: Order, room: &mut Vec<(SocketId, M)>) -> Poll<(Taken<M>, Order)> {
        self.waker.register(waker);
        let order = match self.order.load(Ordering::SeqCst) {
            0 => Order::Serve,
            1 => Order::Drain,
            _ => Order::Abort,
        };
        let mut inbox = self.lock();
        if inbox.messages.is_empty() && inbox.overrun.is_empty() && order == known {
            return Poll::Pending;
        }
        let taken = Taken {
            messages: std::mem::replace(&mut inbox.messages, std::mem::take(room)),
            overrun: std::mem::take(&mut inbox.overrun),
        };
        Poll::Ready((taken, order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_inbox_remembers_whom_it_failed() {
        let board = Switchboard::new(1, 2);
        let id = |slot| SocketId::new(0, slot, 0);
        board.tell_many([(id(1), "a"), (id(2), "b"), (id(3), "c"), (id(3), "d")]);
        board.tell(SocketId::new(7, 0, 0), "nowhere");
        let waker = futures_util::task::noop_waker();
        let taken = board.port(0).poll_take(&waker, Order::Serve, &mut Vec::new());
        let Poll::Ready((taken, order)) = taken else { panic!("something waits") };
        assert_eq!(taken.messages, [(id(1), "a"), (id(2), "b")]);
        assert_eq!(taken.overrun.into_iter().collect::<Vec<_>>(), [id(3)]);
        assert_eq!(order, Order::Serve);
        assert_eq!(board.waiting(), 0);
    }

    #[test]
    fn a_message_that_is_not_taken_may_tell_as_it_ends() {
        struct Echo(Option<Arc<Switchboard<Echo>>>);
        impl Drop for Echo {
            fn drop(&mut self) {
                if let Some(board) = &self.0 {
                    board.tell(SocketId::new(0, 2, 0), Echo(None));
                }
            }
        }
        let board = Arc::new(Switchboard::new(1, 1));
        let echo = || Echo(Some(Arc::clone(&board)));
        board.tell(SocketId::new(0, 1, 0), Echo(None));
        board.tell(SocketId::new(0, 1, 0), echo());
        board.tell_many([(SocketId::new(0, 1, 0), echo()), (SocketId::new(7, 1, 0), echo())]);
        assert_eq!(board.port(0).lock().overrun.len(), 2);
    }
}
