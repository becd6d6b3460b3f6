//! A log that people read: numbered entries, what each audience sees, and how far each reader is.
//!
//! It knows nothing of queues or claims; a team channel or a private conversation is a log without
//! the support life cycle around it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::{Audience, Author};
use crate::limits::READERS_MAX;
use crate::time::Time;

/// What a log holds: something that knows who may see it.
pub trait Body {
    /// May customers see it? Agents see everything.
    fn is_for_customers(&self) -> bool;
}

/// One entry of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry<B> {
    /// 1, 2, 3, ... without a hole.
    pub seq: u64,
    /// The last number before this one that customers may see; 0 if there is none.
    pub prev_for_customers: u64,
    /// When it was decided.
    pub at: Time,
    /// By whom.
    pub by: Author,
    /// What happened.
    pub body: B,
}

impl<B: Body> Entry<B> {
    /// Whether this audience may see it.
    pub fn is_for(&self, audience: Audience) -> bool {
        match audience {
            Audience::Agent => true,
            Audience::Customer => self.body.is_for_customers(),
        }
    }

    /// The number of the entry before this one that the audience may see.
    pub fn prev_for(&self, audience: Audience) -> u64 {
        match audience {
            Audience::Agent => self.seq - 1,
            Audience::Customer => self.prev_for_customers,
        }
    }
}

/// Where a log stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The last number.
    pub head: u64,
    /// The last number that customers may see.
    pub head_for_customers: u64,
    /// How far each reader has read.
    pub marks: BTreeMap<Author, u64>,
}

impl Log {
    /// The last number that the audience may see.
    #[must_use]
    pub fn head_for(&self, audience: Audience) -> u64 {
        match audience {
            Audience::Agent => self.head,
            Audience::Customer => self.head_for_customers,
        }
    }

    /// Numbers entries that will follow the head, in order.
    pub fn draft<B: Body>(&self, at: Time, by: Author, bodies: impl IntoIterator<Item = B>) -> Vec<Entry<B>> {
        let mut seq = self.head;
        let mut prev_for_customers = self.head_for_customers;
        bodies
            .into_iter()
            .map(|body| {
                seq += 1;
                let entry = Entry { seq, prev_for_customers, at, by, body };
                if entry.body.is_for_customers() {
                    prev_for_customers = seq;
                }
                entry
            })
            .collect()
    }

    /// The log has grown by this entry.
    pub fn append<B: Body>(&mut self, entry: &Entry<B>) {
        debug_assert_eq!(entry.seq, self.head + 1, "entries come in order");
        self.head = entry.seq;
        if entry.body.is_for_customers() {
            self.head_for_customers = entry.seq;
        }
    }

    /// Would this mark move the reader forward? Marks never go back nor beyond the head.
    #[must_use]
    pub fn mark_moves(&self, reader: Author, seq: u64) -> bool {
        seq <= self.head && seq > self.marks.get(&reader).copied().unwrap_or(0)
    }

    /// The reader has read so far. Of too many readers the one longest behind is forgotten.
    pub fn mark(&mut self, reader: Author, seq: u64) {
        self.marks.insert(reader, seq);
        if self.marks.len() > READERS_MAX {
            let behind =
                self.marks.iter().filter(|(other, _)| **other != reader).min_by_key(|(_, seq)| **seq).map(|(reader, _)| *reader);
            if let Some(behind) = behind {
                self.marks.remove(&behind);
            }
        }
    }
}
