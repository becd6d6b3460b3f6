//! Owns one socket's life: reading, writing, closing, and the calls to its session. Everything that
//! happens to a socket goes through here, whether its own task or the hub is driving.

use crate::{
    limits::DISCARD_BYTES_MAX,
    line::{Flow, Incoming, Line},
    session::{Closed, Door, Session, Socket},
    stats::bump,
    wire::Transport,
    worker::{Due, Worker},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    task::{Context, Poll, Waker},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Calls of `drained` before the worker's other sockets get their turn.
const DRAINED_IN_A_ROW_MAX: usize = 16;

/// Where a socket is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The session is served.
    Open,
    /// A Close was sent or received; reads until the closing handshake is done.
    Closing,
    /// The input cannot be understood any more; our Close goes out, nothing is read.
    Failing,
    /// Our side has ended; this many more input bytes are thrown away.
    Discarding { left: usize },
    /// Nothing more will happen.
    Ended,
}

pub(crate) struct Core<S, T> {
    /// Gone when `closed` has been called.
    session: Option<S>,
    pub(crate) door: Door,
    line: Line<T>,
    phase: Phase,
    /// The Close that goes out behind the outbox.
    farewell: Option<(u16, &'static str)>,
    /// Wakes the socket's task; none before its first poll.
    waker: Option<Waker>,
    worker: Rc<Worker>,
}

impl<S: Session, T: Transport> Core<S, T> {
    pub(crate) fn new(session: S, door: Door, line: Line<T>, worker: Rc<Worker>) -> Self {
        Self { session: Some(session), door, line, phase: Phase::Open, farewell: None, waker: None, worker }
    }

    /// Drives the socket from its own task until a message came, or nothing can be done, or it has
    /// ended. Reads first; when the read is dry, writes.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Utf8Bytes>> {
        if !self.waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
        loop {
            let was = self.phase;
            match self.phase {
                Phase::Open | Phase::Closing => {
                    let paused = self.phase == Phase::Open && self.reading_is_paused();
                    let mut dry = paused;
                    if !paused {
                        match self.line.read(cx) {
                            Incoming::Text(text) if self.phase == Phase::Open => {
                                bump(&self.worker.counts().messages_in, 1);
                                return Poll::Ready(Some(text));
                            }
                            Incoming::Text(_) | Incoming::Control => {}
                            Incoming::Close(code) => self.peer_closed(code),
                            Incoming::Dry => dry = true,
                            Incoming::Finished => self.finished(),
                            Incoming::Lost => self.lost(),
                            Incoming::Violation(code, reason) => self.fail(code, reason),
                        }
                    }
                    if dry {
                        let flow = self.write(cx);
                        let resumed = paused && flow == Flow::Clear;
                        if self.phase == was && !resumed {
                            return Poll::Pending;
                        }
                    }
                }
                Phase::Failing => match self.write(cx) {
                    Flow::Clear => self.discard(),
                    Flow::Blocked => return Poll::Pending,
                    Flow::Finished | Flow::Lost => {}
                },
                Phase::Discarding { mut left } => {
                    let done = self.line.poll_discard(&mut left, cx);
                    self.phase = Phase::Discarding { left };
                    match done {
                        Poll::Ready(()) => self.phase = Phase::Ended,
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Phase::Ended => return Poll::Ready(None),
            }
        }
    }

    pub(crate) fn opened(&mut self) {
        self.call(|session, socket| session.opened(socket));
    }

    pub(crate) fn received(&mut self, text: &str) {
        self.call(|session, socket| session.received(text, socket));
    }

    /// Delivers a message of the switchboard; the hub writes afterwards. Much is written at once, so
    /// that a peer that reads is never over its limit.
    pub(crate) fn told(&mut self, message: S::Message) {
        self.call(|session, socket| session.told(message, socket));
        if self.reading_is_paused() {
            self.write_from_outside();
        }
    }

    /// The wheel's visit.
    pub(crate) fn visit(&mut self, now_ms: u64) {
        if self.phase != Phase::Open {
            return;
        }
        let limits = &self.worker.limits;
        let turn_ms = limits.turn_ms();
        let silence_ms = now_ms.saturating_sub(self.line.heard_ms);
        if silence_ms >= limits.silent_ms - turn_ms {
            bump(&self.worker.counts().silent, 1);
            self.end_session(Closed::Silent);
            return self.reset();
        }
        let ping = silence_ms >= limits.heartbeat_ms - turn_ms && !self.door.peer_is_behind;
        self.call(|session, socket| session.ticked(socket));
        if let Some(waker) = self.waker.take() {
            if ping && self.phase == Phase::Open {
                self.line.ping(&mut Context::from_waker(&waker));
            }
            self.waker = Some(waker);
        }
        self.write_from_outside();
        if self.phase == Phase::Open && !self.door.peer_is_behind {
            self.line.give_back(false);
        }
    }

    pub(crate) fn expire(&mut self, due: Due) {
        match due {
            Due::Open if self.phase == Phase::Open && !self.door.confirmed => {
                self.close_from_outside(4000, "not opened in time");
            }
            Due::Open => {}
            Due::Closing => self.reset(),
        }
    }

    /// Closes for the server's own reasons; what the session has sent still goes out.
    pub(crate) fn close_from_outside(&mut self, code: u16, reason: &'static str) {
        self.close(code, reason);
        self.write_from_outside();
    }

    /// A message for this socket could not be queued.
    pub(crate) fn overrun(&mut self) {
        if self.phase == Phase::Open {
            self.door.outbox.clear();
            self.close_from_outside(4003, "too slow");
        }
    }

    /// Ends at once, with a reset.
    pub(crate) fn reset(&mut self) {
        if self.phase != Phase::Ended {
            self.line.reset_when_dropped();
            self.door.outbox.clear();
            self.phase = Phase::Ended;
            self.wake();
        }
    }

    /// Makes sure of `closed`; for the actor's own end.
    pub(crate) fn dropped(&mut self) {
        if self.session.is_some() {
            bump(&self.worker.counts().aborted, 1);
            self.end_session(Closed::Aborted);
        }
        self.phase = Phase::Ended;
        self.waker = None;
    }

    /// Writes while the hub is driving: under the task's own waker, so that the task goes on when the
    /// connection takes more. A task that is already waiting to write is left alone.
    pub(crate) fn write_from_outside(&mut self) {
        let writes = matches!(self.phase, Phase::Open | Phase::Closing | Phase::Failing);
        if !writes || self.door.peer_is_behind {
            return;
        }
        let Some(waker) = self.waker.take() else {
            return; // The task's first poll is still to come, and writes.
        };
        let before = self.phase;
        self.write(&mut Context::from_waker(&waker));
        self.waker = Some(waker);
        let more = self.door.outbox.bytes() > 0 && !self.door.peer_is_behind;
        if self.phase != before || more {
            self.wake();
        }
    }

    fn reading_is_paused(&self) -> bool {
        self.door.outbox.bytes() > self.worker.limits.read_pause_bytes
    }

    /// Writes what waits; a finished or lost connection moves the phase on.
    fn write(&mut self, cx: &mut Context<'_>) -> Flow {
        for _ in 0..DRAINED_IN_A_ROW_MAX {
            let flow = self.line.write(&mut self.door, &mut self.farewell, cx);
            match flow {
                Flow::Clear if self.phase == Phase::Open => {
                    self.line.give_back(true);
                    if std::mem::take(&mut self.door.wants_drained) {
                        self.call(|session, socket| session.drained(socket));
                        continue;
                    }
                }
                Flow::Clear | Flow::Blocked => {}
                Flow::Finished => self.finished(),
                Flow::Lost => self.lost(),
            }
            return flow;
        }
        self.wake();
        Flow::Clear
    }

    /// One call of the session, and what follows from it.
    fn call(&mut self, call: impl FnOnce(&mut S, &mut Socket<'_>)) {
        let Some(session) = self.session.as_mut() else {
            return;
        };
        let mut socket = Socket::new(&mut self.door);
        if catch_unwind(AssertUnwindSafe(|| call(session, &mut socket))).is_err() {
            tracing::error!(socket = ?self.door.id, "a session panicked");
            bump(&self.worker.counts().panics, 1);
            self.door.outbox.clear();
            self.farewell = Some((1011, "internal error"));
            self.worker.counts().closed(1011);
            self.leave_open(Phase::Closing, Closed::Panicked);
        } else if self.door.overflowed {
            self.close(4003, "too slow");
        } else if let Some((code, reason)) = self.door.close.take() {
            self.close(code, reason);
        }
    }

    fn close(&mut self, code: u16, reason: &'static str) {
        if self.phase == Phase::Open {
            self.farewell = Some((code, reason));
            self.worker.counts().closed(code);
            self.leave_open(Phase::Closing, Closed::Here { code });
        }
    }

    /// The input is not understood any more.
    fn fail(&mut self, code: u16, reason: &'static str) {
        if self.phase == Phase::Open {
            self.farewell = Some((code, reason));
            self.worker.counts().closed(code);
            self.leave_open(Phase::Failing, Closed::Here { code });
        } else {
            self.phase = Phase::Failing;
        }
    }

    fn peer_closed(&mut self, code: Option<u16>) {
        // The codec takes nothing behind a Close it has received, and has its own answer.
        self.door.outbox.clear();
        self.farewell = None;
        if self.phase == Phase::Open {
            bump(&self.worker.counts().by_peer, 1);
            self.leave_open(Phase::Closing, Closed::ByPeer { code });
        }
    }

    fn lost(&mut self) {
        if self.phase == Phase::Open {
            bump(&self.worker.counts().lost, 1);
            self.end_session(Closed::Lost);
        }
        self.door.outbox.clear();
        self.phase = Phase::Ended;
    }

    /// Both Closes have gone their ways; the server ends the connection first (RFC 6455, 7.1.1).
    fn finished(&mut self) {
        self.door.outbox.clear();
        self.phase = Phase::Ended;
    }

    /// Input that nobody reads would turn our end into a reset, and the reset would eat our Close.
    fn discard(&mut self) {
        self.door.outbox.clear();
        self.phase = Phase::Discarding { left: DISCARD_BYTES_MAX };
    }

    fn leave_open(&mut self, phase: Phase, cause: Closed) {
        self.phase = phase;
        self.worker.arm(Due::Closing, self.door.id);
        self.end_session(cause);
        self.wake();
    }

    fn end_session(&mut self, cause: Closed) {
        if let Some(mut session) = self.session.take() {
            let ended = catch_unwind(AssertUnwindSafe(move || session.closed(cause)));
            if ended.is_err() {
                tracing::error!(socket = ?self.door.id, "a session panicked while closing");
                bump(&self.worker.counts().panics, 1);
            }
        }
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}
