//! Owns the texts waiting for one peer to read, counted in bytes, and cuts them into frames.

use crate::{text::Text, worker::Worker};
use bytes::Bytes;
use std::{collections::VecDeque, rc::Rc};
use tokio_tungstenite::tungstenite::protocol::frame::{
    Frame,
    coding::{Data, OpCode},
};

/// What a waiting text costs beside its bytes; so that a crowd of empty ones is not free.
const ENTRY_BYTES: usize = std::mem::size_of::<Text>();

/// Entries an empty outbox keeps room for.
const KEPT_ROOM: usize = 16;

pub(crate) struct Outbox {
    waiting: VecDeque<Text>,
    /// How much of the first text has left already.
    sent_of_first: usize,
    bytes: usize,
    worker: Rc<Worker>,
}

impl Outbox {
    pub(crate) fn new(worker: Rc<Worker>) -> Self {
        Self { waiting: VecDeque::new(), sent_of_first: 0, bytes: 0, worker }
    }

    /// Bytes that wait, [`ENTRY_BYTES`] for each text included; 0 means empty.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the text, or says that it does not fit: over the socket's limit, or over the worker's
    /// while this socket's peer is behind.
    pub(crate) fn push(&mut self, text: Text, peer_is_behind: bool) -> Result<(), OutboxFull> {
        let limits = &self.worker.limits;
        let cost = text.len() + ENTRY_BYTES;
        let over = self.bytes + cost > limits.outbox_bytes_max;
        let worker_over = self.worker.outbox_bytes() + cost > limits.outbox_bytes_per_worker_max;
        if over || (worker_over && peer_is_behind) {
            return Err(OutboxFull);
        }
        self.bytes += cost;
        self.worker.outbox_grew(cost);
        self.waiting.push_back(text);
        Ok(())
    }

    /// The next frame, and whether it ends its text.
    pub(crate) fn next_frame(&mut self) -> Option<(Frame, bool)> {
        let fragment_bytes = self.worker.limits.fragment_bytes;
        let first = self.waiting.front()?;
        let from = self.sent_of_first;
        let to = first.len().min(from + fragment_bytes);
        let last = to == first.len();
        let opcode = OpCode::Data(if from == 0 { Data::Text } else { Data::Continue });
        let payload: Bytes = first.bytes().slice(from..to);
        let cost = payload.len() + if last { ENTRY_BYTES } else { 0 };
        self.bytes -= cost;
        self.worker.outbox_shrank(cost);
        if last {
            self.sent_of_first = 0;
            self.waiting.pop_front();
            if self.waiting.is_empty() && self.waiting.capacity() > KEPT_ROOM {
                self.waiting = VecDeque::new();
            }
        } else {
            self.sent_of_first = to;
        }
        Some((Frame::message(payload, opcode, last), last))
    }

    /// Throws away what waits.
    pub(crate) fn clear(&mut self) {
        self.worker.outbox_shrank(self.bytes);
        self.bytes = 0;
        self.sent_of_first = 0;
        self.waiting = VecDeque::new();
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The outbox does not take more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutboxFull;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limits::SocketLimits, stats::SocketStats};
    use std::sync::Arc;

    fn worker(limits: SocketLimits) -> Rc<Worker> {
        let stats = Arc::new(SocketStats::new(1));
        Rc::new(Worker::new(0, Arc::new(limits), stats))
    }

    #[test]
    fn a_long_text_leaves_in_fragments_and_is_counted_down() {
        let worker = worker(SocketLimits { fragment_bytes: 4, ..SocketLimits::default() });
        let mut outbox = Outbox::new(worker.clone());
        outbox.push(Text::from("abcdefghij"), false).unwrap();
        let mut seen = Vec::new();
        while let Some((frame, last)) = outbox.next_frame() {
            let text = String::from_utf8(frame.payload().to_vec()).unwrap();
            seen.push((text, frame.header().is_final, last, outbox.bytes()));
        }
        let expected = [("abcd", false, 6 + ENTRY_BYTES), ("efgh", false, 2 + ENTRY_BYTES), ("ij", true, 0)];
        let expected = expected.map(|(text, last, left)| (text.to_string(), last, last, left));
        assert_eq!(seen, expected);
        assert_eq!(worker.outbox_bytes(), 0);
    }

    #[test]
    fn over_the_workers_limit_only_those_behind_are_refused() {
        let worker = worker(SocketLimits { outbox_bytes_per_worker_max: 8 + ENTRY_BYTES, ..SocketLimits::default() });
        let mut slow = Outbox::new(worker.clone());
        let mut quick = Outbox::new(worker.clone());
        slow.push(Text::from("12345678"), true).unwrap();
        assert_eq!(slow.push(Text::from("9"), true), Err(OutboxFull));
        quick.push(Text::from("hello"), false).unwrap();
        drop(slow);
        assert_eq!(worker.outbox_bytes(), 5 + ENTRY_BYTES);
    }
}
