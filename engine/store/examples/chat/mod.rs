//! The work that the rates are measured with.

use bytes::Bytes;
use jono_store::{Answer, IndexChange, Write, contract};

/// Bytes of a record, about a short chat message with its envelope.
pub const RECORD_BYTES: usize = 200;

/// What one chat message changes: a record, an answer, a list entry, and now and then a snapshot.
pub fn message(place: usize, seq: u64) -> Write {
    let text = Bytes::from(vec![b'x'; RECORD_BYTES]);
    Write {
        log: vec![text.clone()],
        snapshot: seq.is_multiple_of(64).then(|| text.clone()),
        answers: vec![Answer { key: Bytes::from(format!("{seq:032}")), at_ms: seq, value: Bytes::from_static(b"ok") }],
        index: vec![IndexChange::Put { key: Bytes::from(format!("list/{place}")), value: Bytes::new() }],
        ..contract::write(&format!("c{place:016}"), seq - 1, &[])
    }
}
