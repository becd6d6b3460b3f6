//! Answers of Redis taken apart.

use redis::Value;

/// What an answer of another shape than the command has is: a Redis that is none.
pub(super) fn misshapen(what: &str) -> String {
    format!("an answer of Redis has the wrong shape: {what}")
}

/// Bytes, if there are any.
pub(super) fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        Value::VerbatimString { text, .. } => Some(text.into_bytes()),
        Value::Okay => Some(b"OK".to_vec()),
        Value::Int(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// Bytes as text.
pub(super) fn text(value: Value) -> Option<String> {
    bytes(value).and_then(|bytes| String::from_utf8(bytes).ok())
}

/// A number, also when it is written out.
pub(super) fn number(value: Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(number).ok(),
        other => text(other)?.parse().ok(),
    }
}

/// The parts of a list; of a map its keys and values in turn.
pub(super) fn list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(parts) | Value::Set(parts) => Some(parts),
        Value::Map(pairs) => Some(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect()),
        _ => None,
    }
}

/// Exactly so many parts.
pub(super) fn parts<const N: usize>(value: Value) -> Option<[Value; N]> {
    list(value)?.try_into().ok()
}

/// Keys and values in turn, as pairs.
pub(super) fn pairs(value: Value) -> Option<Vec<(Value, Value)>> {
    let mut parts = list(value)?.into_iter();
    let mut pairs = Vec::with_capacity(parts.len() / 2);
    while let Some(key) = parts.next() {
        pairs.push((key, parts.next()?));
    }
    Some(pairs)
}
