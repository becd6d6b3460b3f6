//! The frame around every stored record: a version byte and a checksum.
//!
//! ```text
//! byte 0      version of the frame, 1
//! bytes 1-4   CRC-32 (IEEE), little endian, over: version, space, length of the key (u32, little
//!             endian), key, payload
//! bytes 5-    payload
//! ```
//!
//! Space and key are in the checksum, but not in the frame, so a sound record found in a wrong place
//! is as corrupt as a torn one. Does not know what a payload means.

use crate::ReadError;

/// The version that is written. Another one is not guessed at: it reads as corrupt.
const VERSION: u8 = 1;

/// Bytes before the payload.
const HEADER_BYTES: usize = 5;

/// The kinds of records. The numbers are stored (in the checksum): never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Space {
    /// Log records.
    Log = 1,
    /// The number of an entity's last log record.
    Head = 2,
    /// The newest snapshot.
    Snapshot = 3,
    /// Answers by entity and key.
    Answer = 4,
    /// When an entity may have answers to be forgotten.
    AnswerTime = 5,
    /// Entries of ordered lists.
    Index = 6,
    /// Marks of live entities.
    Live = 7,
    /// Epochs, constants, the version of the format.
    Meta = 8,
    /// What processes send each other; never in a directory.
    Parcels = 9,
}

impl Space {
    /// Those that a directory has.
    pub(crate) const ALL: [Self; 8] =
        [Self::Log, Self::Head, Self::Snapshot, Self::Answer, Self::AnswerTime, Self::Index, Self::Live, Self::Meta];

    /// The name on the disk.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Head => "heads",
            Self::Snapshot => "snapshots",
            Self::Answer => "answers",
            Self::AnswerTime => "answers_by_time",
            Self::Index => "index",
            Self::Live => "live",
            Self::Meta => "meta",
            Self::Parcels => "parcels",
        }
    }
}

/// Frames the concatenation of `parts` for one place.
pub(crate) fn seal(space: Space, key: &[u8], parts: [&[u8]; 2]) -> Vec<u8> {
    let [first, second] = parts;
    let mut sealed = Vec::with_capacity(HEADER_BYTES + first.len() + second.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(&[0; 4]);
    sealed.extend_from_slice(first);
    sealed.extend_from_slice(second);
    let sum = checksum(space, key, &sealed[HEADER_BYTES..]);
    sealed[1..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    sealed
}

/// The payload of a record that was read at this place.
pub(crate) fn open<'a>(space: Space, key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], ReadError> {
    let corrupt = |what: &str| Err(ReadError::Corrupt(format!("{}: {what}", space.name())));
    let Some((header, payload)) = sealed.split_first_chunk::<HEADER_BYTES>() else {
        return corrupt("the record is torn");
    };
    let [version, sum @ ..] = *header;
    if version != VERSION {
        return corrupt(&format!("unknown version {version} of a record"));
    }
    if u32::from_le_bytes(sum) != checksum(space, key, payload) {
        return corrupt("the checksum does not match");
    }
    Ok(payload)
}

/// The checksum of what `sum` is of (0: of nothing) with `bytes` behind it.
pub(crate) fn sum_on(sum: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(sum);
    hasher.update(bytes);
    hasher.finalize()
}

/// Sixteen bits that spread names evenly; part of stored keys, so it never changes.
pub(crate) fn spread(name: &[u8]) -> u16 {
    crc32fast::hash(name) as u16
}

fn checksum(space: Space, key: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[VERSION, space as u8]);
    hasher.update(&(key.len() as u32).to_le_bytes());
    hasher.update(key);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let sealed = seal(Space::Log, b"key", [b"pay", b"load"]);
        assert_eq!(sealed, *b"\x01\x4b\x20\xe5\xd4payload");
        assert_eq!(open(Space::Log, b"key", &sealed).unwrap(), b"payload");
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let sealed = seal(Space::Snapshot, b"key", [b"", b"the state after some record"]);
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let found = open(Space::Snapshot, b"key", &damaged);
            assert!(matches!(found, Err(ReadError::Corrupt(_))), "bit {bit}: {found:?}");
        }
    }

    #[test]
    fn every_torn_record_is_noticed() {
        let sealed = seal(Space::Log, b"key", [b"", b"payload"]);
        for len in 0..sealed.len() {
            let found = open(Space::Log, b"key", &sealed[..len]);
            assert!(matches!(found, Err(ReadError::Corrupt(_))), "{len} bytes: {found:?}");
        }
    }

    #[test]
    fn a_record_in_a_wrong_place_is_noticed() {
        let sealed = seal(Space::Log, b"key", [b"", b"payload"]);
        assert!(open(Space::Log, b"kex", &sealed).is_err());
        assert!(open(Space::Head, b"key", &sealed).is_err());
        // The border between key and payload is part of the checksum too.
        let shifted = seal(Space::Log, b"keyp", [b"", b"ayload"]);
        assert_ne!(sealed[1..5], shifted[1..5]);
    }

    #[test]
    fn an_empty_payload_is_a_record() {
        let sealed = seal(Space::Live, b"k", [b"", b""]);
        assert_eq!(open(Space::Live, b"k", &sealed).unwrap(), b"");
    }
}
