//! What a record holds: the bytes of its payload.
//!
//! ```text
//! heads               end (u64)
//! snapshots           end (u64), state
//! answers             end (u64), at_ms (u64), answer
//! log                 0, record; or 1, count (u32), length (u32) of each, the records
//! live, answers_by_time       nothing
//! index, meta         as it was given; an epoch is a number (u64)
//! ```
//!
//! *end* is the number of the entity's last log record when this was written. A write with log records
//! leaves its end in one record beside the log: with its snapshot, else with its answers, else as a
//! head. The greatest of them is the head of the log, and a log that ends elsewhere is damaged.

use bytes::Bytes;

use crate::ReadError;
use crate::record::Space;

/// One record follows.
const ONE: u8 = 0;
/// A table of records follows.
const SEVERAL: u8 = 1;

/// Appends what stands before the records of a write; says whether the only record still has to follow.
pub(super) fn write_log(out: &mut Vec<u8>, records: &[Bytes]) -> Option<Bytes> {
    if let [record] = records {
        out.push(ONE);
        return Some(record.clone());
    }
    out.push(SEVERAL);
    out.extend_from_slice(&(records.len() as u32).to_be_bytes());
    for record in records {
        out.extend_from_slice(&(record.len() as u32).to_be_bytes());
    }
    for record in records {
        out.extend_from_slice(record);
    }
    None
}

/// Gives out the log records of a write that ends with number `end`, and says the first one's number.
pub(super) fn read_log(payload: &Bytes, end: u64, mut each: impl FnMut(u64, Bytes)) -> Result<u64, ReadError> {
    read_log_wanted(payload, end, &mut each).ok_or_else(|| misshapen(Space::Log))
}

fn read_log_wanted(payload: &Bytes, end: u64, each: &mut impl FnMut(u64, Bytes)) -> Option<u64> {
    match *payload.first()? {
        ONE => {
            each(end, payload.slice(1..));
            Some(end)
        }
        SEVERAL => {
            let (count, table) = payload[1..].split_first_chunk()?;
            let count = u32::from_be_bytes(*count);
            let first = (end + 1).checked_sub(u64::from(count)).filter(|first| *first > 0 && *first <= end)?;
            let (lengths, _) = table.split_at_checked(4 * count as usize)?;
            let mut at = 5 + lengths.len();
            for (seq, length) in (first..).zip(lengths.as_chunks().0) {
                let behind = at.checked_add(u32::from_be_bytes(*length) as usize).filter(|behind| *behind <= payload.len())?;
                each(seq, payload.slice(at..behind));
                at = behind;
            }
            (at == payload.len()).then_some(first)
        }
        _ => None,
    }
}

/// The number that a payload begins with, and the rest.
pub(super) fn split_number(payload: &Bytes) -> Option<(u64, Bytes)> {
    let (number, rest) = payload.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), payload.slice_ref(rest)))
}

/// The payload of a head.
pub(super) fn read_head(payload: &Bytes) -> Result<u64, ReadError> {
    let number = (&**payload).try_into().map_err(|_| misshapen(Space::Head))?;
    Ok(u64::from_be_bytes(number))
}

/// End and state of a snapshot.
pub(super) fn read_snapshot(payload: &Bytes) -> Result<(u64, Bytes), ReadError> {
    split_number(payload).ok_or_else(|| misshapen(Space::Snapshot))
}

/// End, moment and value of an answer.
pub(super) fn read_answer(payload: &Bytes) -> Result<(u64, u64, Bytes), ReadError> {
    let split = || {
        let (end, rest) = split_number(payload)?;
        let (at_ms, value) = split_number(&rest)?;
        Some((end, at_ms, value))
    };
    split().ok_or_else(|| misshapen(Space::Answer))
}

fn misshapen(space: Space) -> ReadError {
    ReadError::Corrupt(format!("{}: of a wrong shape", space.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(records: &[&'static str]) -> Bytes {
        let records: Vec<Bytes> = records.iter().map(|record| Bytes::from_static(record.as_bytes())).collect();
        let mut out = Vec::new();
        let last = write_log(&mut out, &records);
        out.extend_from_slice(&last.unwrap_or_default());
        out.into()
    }

    fn read(payload: &Bytes, end: u64) -> Result<Vec<(u64, Bytes)>, ReadError> {
        let mut records = Vec::new();
        read_log(payload, end, |seq, record| records.push((seq, record))).map(|_| records)
    }

    #[test]
    fn records_of_a_write_come_back_with_their_numbers() {
        for records in [&["one"][..], &[""], &["one", "two"], &["", "two", ""]] {
            let expected =
                (7 - records.len() as u64 + 1..).zip(records.iter().map(|record| Bytes::from_static(record.as_bytes())));
            assert_eq!(read(&written(records), 7), Ok(expected.collect()));
        }
        assert_eq!(written(&["ab", "c"]), "\x01\0\0\0\x02\0\0\0\x02\0\0\0\x01abc");
    }

    #[test]
    fn what_is_no_log_record_is_refused() {
        let whole = written(&["one", "two"]);
        for len in 0..whole.len() {
            assert!(read(&whole.slice(..len), 7).is_err(), "{len}");
        }
        assert!(read(&whole, 1).is_err(), "there is no number 0");
        assert!(read(&Bytes::from_static(b"\x01\xFF\xFF\xFF\xFF"), u64::MAX - 1).is_err());
        assert!(read(&Bytes::from_static(b"\x02rest"), 7).is_err());
    }
}
