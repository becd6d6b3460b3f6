//! What the writer remembers of entities, so that a commit usually needs no read: where their logs
//! end, and from when on their answers are marked for being forgotten.
//!
//! Two generations: what was used since the last turn, and what was used before. At a turn the older
//! one is forgotten. That keeps what is in use, in bounded memory, without an order to maintain.

use std::collections::HashMap;

/// Entities of one generation: at some 100 bytes each, both together take 6 MB.
const GENERATION_MAX: usize = 32 * 1024;

#[derive(Clone, Copy, Debug)]
struct Remembered {
    end: u64,
    /// There is a mark of this moment or an earlier one; the greatest moment when none is known of.
    marked_ms: u64,
}

/// By place.
#[derive(Debug, Default)]
pub(super) struct Heads {
    recent: HashMap<Vec<u8>, Remembered>,
    older: HashMap<Vec<u8>, Remembered>,
}

impl Heads {
    /// The number of the entity's last record.
    pub(super) fn end(&self, place: &[u8]) -> Option<u64> {
        self.recent.get(place).or_else(|| self.older.get(place)).map(|remembered| remembered.end)
    }

    pub(super) fn set_end(&mut self, place: &[u8], end: u64) {
        match self.recent.get_mut(place) {
            Some(remembered) => remembered.end = end,
            None => {
                let marked_ms = self.older.get(place).map_or(u64::MAX, |older| older.marked_ms);
                self.recent.insert(place.to_vec(), Remembered { end, marked_ms });
            }
        }
    }

    /// Whether an answer of this moment needs a mark, which is remembered as set. Of an entity whose
    /// end was set in this generation.
    pub(super) fn must_mark(&mut self, place: &[u8], at_ms: u64) -> bool {
        match self.recent.get_mut(place) {
            Some(remembered) if remembered.marked_ms <= at_ms => false,
            Some(remembered) => {
                remembered.marked_ms = at_ms;
                true
            }
            None => true,
        }
    }

    /// The entity's marks are gone but for this one.
    pub(super) fn set_mark(&mut self, place: &[u8], at_ms: Option<u64>) {
        if let Some(end) = self.end(place) {
            self.recent.insert(place.to_vec(), Remembered { end, marked_ms: at_ms.unwrap_or(u64::MAX) });
        }
    }

    /// Forgets the older generation when the recent one is full. Only when everything remembered is
    /// also stored: in the middle of a group a forgotten end would be read back stale.
    pub(super) fn turn(&mut self) {
        if self.recent.len() >= GENERATION_MAX {
            self.older = std::mem::take(&mut self.recent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_survives_a_turn_and_memory_is_bounded() {
        let mut heads = Heads::default();
        for round in 0..5 {
            for n in 0..GENERATION_MAX {
                heads.set_end(format!("{round}/{n}").as_bytes(), 1);
            }
            heads.turn();
            heads.set_end(b"used", round);
        }
        assert_eq!(heads.end(b"used"), Some(4));
        assert_eq!(heads.end(b"4/0"), Some(1));
        assert_eq!(heads.end(b"0/0"), None);
    }

    #[test]
    fn an_entity_is_marked_once_unless_clocks_go_back() {
        let mut heads = Heads::default();
        heads.set_end(b"e", 1);
        assert!(heads.must_mark(b"e", 1000));
        assert!(!heads.must_mark(b"e", 1000));
        heads.recent.extend((0..GENERATION_MAX).map(|n| (n.to_be_bytes().to_vec(), Remembered { end: 1, marked_ms: 0 })));
        heads.turn();
        heads.set_end(b"e", 2);
        assert!(!heads.must_mark(b"e", 2000), "remembered over a turn");
        assert!(heads.must_mark(b"e", 999));
        heads.set_mark(b"e", Some(1500));
        assert!(!heads.must_mark(b"e", 1500));
        heads.set_mark(b"e", None);
        assert!(heads.must_mark(b"e", 1600));
    }
}
