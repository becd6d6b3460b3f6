//! Owns the way of answers to the client: alone, or gathered into the one text of a batch.

use jono_domain::reply::Refusal;
use jono_socket::Text;

use super::limits::{ANSWERS_WAITING_BYTES, BATCH_ANSWER_BYTES, BATCH_LARGE_ANSWER_BYTES, LARGE_ANSWER_BYTES};
use super::seam::Sink;
use crate::wire::envelope::{self, RequestId};
use crate::wire::error::{BUSY_RETRY_MS, WireError};

/// Where an answer goes.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    to: To,
    batch: Option<u32>,
}

#[derive(Clone, Debug)]
enum To {
    /// The request had no id: done without an answer.
    Nobody,
    /// The request's id could not be read.
    Null,
    Id(RequestId),
}

impl Slot {
    /// For something the session does on its own.
    pub(super) const SILENT: Slot = Slot { to: To::Nobody, batch: None };

    /// For a request.
    pub(super) fn of(id: Option<RequestId>, batch: Option<u32>) -> Self {
        Self { to: id.map_or(To::Nobody, To::Id), batch }
    }

    /// For something that is no request: it is answered whatever its id.
    pub(super) fn malformed(id: Option<RequestId>, batch: Option<u32>) -> Self {
        Self { to: id.map_or(To::Null, To::Id), batch }
    }

    /// Will the answer be seen?
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.to, To::Nobody)
    }
}

/// A batch whose answers are not all there yet.
struct Batch {
    number: u32,
    left: usize,
    answers: String,
}

/// The batches under way. Each waits for at least one request, so there are no more of them than of those.
#[derive(Default)]
pub(super) struct Replies {
    batches: Vec<Batch>,
    next: u32,
}

impl Replies {
    /// A batch of so many requests begins.
    pub(super) fn begin(&mut self, requests: usize) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.batches.push(Batch { number: self.next, left: requests, answers: String::new() });
        self.next
    }

    /// Answers one request.
    pub(super) fn say(&mut self, slot: Slot, answer: Result<String, WireError>, sink: &mut dyn Sink) {
        let id = match &slot.to {
            To::Nobody => None,
            To::Null => Some(RequestId::NULL),
            To::Id(id) => Some(id.as_json()),
        };
        match slot.batch {
            None => {
                if let Some(id) = id {
                    let text = written(id, answer);
                    let waiting = sink.outbox_bytes() + text.len();
                    let fits = text.len() < LARGE_ANSWER_BYTES || waiting <= ANSWERS_WAITING_BYTES;
                    let text = if fits { text } else { envelope::error(id, &WireError::busy(BUSY_RETRY_MS)) };
                    sink.send(Text::from(text));
                }
            }
            Some(number) => self.gather(number, id.map(|id| (id, written(id, answer))), sink),
        }
    }

    fn gather(&mut self, number: u32, answer: Option<(&str, String)>, sink: &mut dyn Sink) {
        let Some(at) = self.batches.iter().position(|batch| batch.number == number) else {
            return;
        };
        let gathered: usize = self.batches.iter().map(|batch| batch.answers.len()).sum();
        let batch = &mut self.batches[at];
        if let Some((id, text)) = answer {
            let is_large = text.len() >= LARGE_ANSWER_BYTES;
            let max = if is_large { BATCH_LARGE_ANSWER_BYTES } else { BATCH_ANSWER_BYTES };
            let text = if gathered + text.len() <= max {
                text
            } else {
                let shorter = envelope::error(id, &over(is_large));
                if shorter.len() < text.len() { shorter } else { text }
            };
            batch.answers.push(if batch.answers.is_empty() { '[' } else { ',' });
            batch.answers.push_str(&text);
        }
        batch.left -= 1;
        if batch.left == 0 {
            let batch = self.batches.swap_remove(at);
            send_batch(batch, sink);
        }
        if self.batches.is_empty() {
            self.batches = Vec::new();
        }
    }

    /// Sends what there is of every batch: the session ends.
    pub(super) fn finish(&mut self, sink: &mut dyn Sink) {
        for batch in std::mem::take(&mut self.batches) {
            send_batch(batch, sink);
        }
    }
}

/// Instead of an answer that a batch has no room for. A small one may be that of something that was done:
/// the client asks again with the same key.
fn over(is_large: bool) -> WireError {
    if is_large {
        WireError::too_large(BATCH_LARGE_ANSWER_BYTES as u64)
    } else {
        let refusal = Refusal::Unavailable { retry_after_ms: BUSY_RETRY_MS };
        WireError::of(&refusal, |_| serde_json::Value::Null)
    }
}

fn send_batch(batch: Batch, sink: &mut dyn Sink) {
    // A batch of requests without ids has no answer.
    if !batch.answers.is_empty() {
        sink.send(Text::from(batch.answers + "]"));
    }
}

fn written(id: &str, answer: Result<String, WireError>) -> String {
    match answer {
        Ok(result) => envelope::result(id, &result),
        Err(error) => envelope::error(id, &error),
    }
}
