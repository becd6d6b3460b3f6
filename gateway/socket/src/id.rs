//! Owns the name of a socket. Knows nothing of what is behind it.

use std::fmt;

/// Bits of the slot number: 16 million sockets a worker, far over what descriptors allow.
const SLOT_BITS: u32 = 24;
/// Bits of the generation: a slot must be reused 16 million times before a stale name fits again,
/// and slots are reused in turn, oldest first.
const GENERATION_BITS: u32 = 24;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

/// Slots one worker can name.
pub(crate) const SLOTS_MAX: usize = 1 << SLOT_BITS;

/// Names one socket of one [`serve`](crate::serve) call, for as long as it is open.
///
/// Worker (16 bits), slot (24 bits) and the slot's generation (24 bits). What is told under a stale
/// name reaches nobody; it never reaches a newer socket in the same slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(u64);

impl SocketId {
    pub(crate) fn new(worker: u16, slot: u32, generation: u32) -> Self {
        debug_assert!((slot as usize) < SLOTS_MAX, "a slot number fits its bits");
        Self(
            u64::from(worker) << (SLOT_BITS + GENERATION_BITS)
                | u64::from(slot) << GENERATION_BITS
                | u64::from(generation & GENERATION_MASK),
        )
    }

    /// The name as a number, for messages that leave the process and come back.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The name from its number. Any number is allowed; one that names no open socket reaches nobody.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn worker(self) -> usize {
        (self.0 >> (SLOT_BITS + GENERATION_BITS)) as usize
    }

    pub(crate) fn slot(self) -> usize {
        (self.0 >> GENERATION_BITS) as usize & (SLOTS_MAX - 1)
    }

    pub(crate) fn generation(self) -> u32 {
        self.0 as u32 & GENERATION_MASK
    }
}

/// The generation after this one; wraps within its bits.
pub(crate) fn next_generation(generation: u32) -> u32 {
    generation.wrapping_add(1) & GENERATION_MASK
}

impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}.{}", self.worker(), self.slot(), self.generation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_survive_the_way_through_bits() {
        let id = SocketId::new(65_535, 16_777_215, 16_777_215);
        let back = SocketId::from_bits(id.to_bits());
        assert_eq!(id, back);
        assert_eq!((back.worker(), back.slot(), back.generation()), (65_535, 16_777_215, 16_777_215));
        assert_eq!(format!("{:?}", SocketId::new(3, 70_000, 9)), "3:70000.9");
    }

    #[test]
    fn the_generation_wraps_within_its_bits() {
        assert_eq!(next_generation(16_777_215), 0);
        assert_eq!(SocketId::new(0, 0, 0).generation(), 0);
    }
}
