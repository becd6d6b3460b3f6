//! What is stored, as bytes. The only module that names `bincode`.
//!
//! Every record starts with a version byte, so that a later Jono can read what this one wrote.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The form that this Jono writes.
pub const VERSION: u8 = 1;

/// The bytes are not what this Jono can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Written by a later Jono.
    UnknownVersion(u8),
    /// Not a record.
    Malformed,
}

/// The record of a value.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    bytes.push(VERSION);
    bincode::serde::encode_into_std_write(value, &mut bytes, bincode::config::standard())
        .expect("writing to memory does not fail, and our types have no unsupported parts");
    bytes
}

/// The value of a record.
///
/// # Errors
/// [`DecodeError`]; nothing else, whatever the bytes are.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => {
            let config = bincode::config::standard().with_limit::<{ 64 * 1024 * 1024 }>();
            match bincode::serde::decode_from_slice(body, config) {
                Ok((value, read)) if read == body.len() => Ok(value),
                Ok(_) | Err(_) => Err(DecodeError::Malformed),
            }
        }
        Some((version, _)) => Err(DecodeError::UnknownVersion(*version)),
        None => Err(DecodeError::Malformed),
    }
}
