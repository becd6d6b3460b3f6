//! The ends of logs that the writer remembers, so that a commit usually needs no read.
//!
//! Two generations: what was used since the last turn, and what was used before. At a turn the older
//! one is forgotten. That keeps what is in use, in bounded memory, without an order to maintain.

use std::collections::HashMap;

/// Entities of one generation: at some 100 bytes each, both together take 6 MB.
const GENERATION_MAX: usize = 32 * 1024;

/// Keys as in the heads table, with the number of the entity's last record.
#[derive(Debug, Default)]
pub(super) struct Heads {
    recent: HashMap<Vec<u8>, u64>,
    older: HashMap<Vec<u8>, u64>,
}

impl Heads {
    pub(super) fn get(&self, key: &[u8]) -> Option<u64> {
        self.recent.get(key).or_else(|| self.older.get(key)).copied()
    }

    pub(super) fn set(&mut self, key: Vec<u8>, seq: u64) {
        self.recent.insert(key, seq);
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
                heads.set(format!("{round}/{n}").into_bytes(), 1);
            }
            heads.turn();
            heads.set(b"used".to_vec(), round);
        }
        assert_eq!(heads.get(b"used"), Some(4));
        assert_eq!(heads.get(b"4/0"), Some(1));
        assert_eq!(heads.get(b"0/0"), None);
    }
}
