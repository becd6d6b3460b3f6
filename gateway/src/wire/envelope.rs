//! Owns the envelope of JSON-RPC 2.0: what is a request, and how answers are put together. Knows no
//! method.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::error::WireError;

/// Requests in one batch.
pub const BATCH_MAX: usize = 32;
/// Bytes of an id, as JSON: it is kept until the answer.
pub const ID_BYTES_MAX: usize = 128;
/// Bytes of a method's name: longer ones are none of ours.
const METHOD_BYTES_MAX: usize = 64;

/// A request's id: the JSON that the client wrote, given back as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// The id of answers to what had none that could be read.
    pub const NULL: &'static str = "null";

    /// As JSON.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

/// A request, its parameters not yet read.
#[derive(Debug)]
pub struct Call<'a> {
    /// Without an id no answer is sent.
    pub id: Option<RequestId>,
    /// Which method.
    pub method: Cow<'a, str>,
    /// An object, as text.
    pub params: Option<&'a RawValue>,
}

/// What is wrong with a message that is no request, and the id to say it under.
#[derive(Debug, PartialEq)]
pub struct Malformed {
    /// `None` is `null`.
    pub id: Option<RequestId>,
    /// What.
    pub error: WireError,
}

/// One text frame.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// One request.
    Single(Result<Call<'a>, Malformed>),
    /// Several, answered together.
    Batch(Vec<Result<Call<'a>, Malformed>>),
}

/// Reads one text frame. Nothing is copied but ids; the depth of what is nested costs no stack.
#[must_use]
pub fn read(text: &str) -> Incoming<'_> {
    let is_batch = text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('[');
    if !is_batch {
        return Incoming::Single(read_call(text));
    }
    match serde_json::from_str::<Batch<'_>>(text) {
        Ok(Batch(members)) if members.is_empty() => {
            Incoming::Single(Err(malformed(WireError::invalid_request("an empty batch"))))
        }
        Ok(Batch(members)) => Incoming::Batch(members.into_iter().map(|member| read_call(member.get())).collect()),
        Err(error) if error.classify() == Category::Data => {
            Incoming::Single(Err(malformed(WireError::invalid_request("a batch holds at most 32 requests"))))
        }
        Err(_) => Incoming::Single(Err(malformed(WireError::parse()))),
    }
}

fn malformed(error: WireError) -> Malformed {
    Malformed { id: None, error }
}

struct Batch<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Batch<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Batch<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a batch")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Batch<'de>, A::Error> {
                let mut batch = Vec::new();
                while let Some(member) = members.next_element::<&'de RawValue>()? {
                    if batch.len() == BATCH_MAX {
                        return Err(A::Error::custom("too long"));
                    }
                    batch.push(member);
                }
                Ok(Batch(batch))
            }
        }
        deserializer.deserialize_seq(Members)
    }
}

/// The members of an object that matter here; of the same name the last would count in many readers and
/// the first in others, so twice is an error.
#[derive(Default)]
struct Envelope<'a> {
    jsonrpc: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a request object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Envelope<'de>, A::Error> {
                let mut envelope = Envelope::default();
                while let Some((name, value)) = members.next_entry::<Name<'de>, &'de RawValue>()? {
                    let slot = match &*name.0 {
                        "jsonrpc" => &mut envelope.jsonrpc,
                        "id" => &mut envelope.id,
                        "method" => &mut envelope.method,
                        "params" => &mut envelope.params,
                        _ => continue,
                    };
                    if slot.replace(value).is_some() {
                        return Err(A::Error::custom("a member stands twice"));
                    }
                }
                Ok(envelope)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A member's name: borrowed, unless it holds escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

fn read_call(text: &str) -> Result<Call<'_>, Malformed> {
    let invalid = |id: Option<RequestId>, detail| Malformed { id, error: WireError::invalid_request(detail) };
    let envelope = serde_json::from_str::<Envelope<'_>>(text).map_err(|error| match error.classify() {
        Category::Data => invalid(None, "not a request object"),
        Category::Io | Category::Syntax | Category::Eof => malformed(WireError::parse()),
    })?;
    let id = match envelope.id {
        None => None,
        Some(raw) => Some(read_id(raw).ok_or_else(|| invalid(None, "an id is a string, a number or null, not long"))?),
    };
    if envelope.jsonrpc.is_none_or(|version| version.get() != "\"2.0\"") {
        return Err(invalid(id, "jsonrpc must be \"2.0\""));
    }
    let method = envelope.method.and_then(|method| serde_json::from_str::<Name<'_>>(method.get()).ok());
    let Some(Name(method)) = method else {
        return Err(invalid(id, "method must be a string"));
    };
    if method.len() > METHOD_BYTES_MAX {
        return Err(Malformed { id, error: WireError::method_not_found() });
    }
    match envelope.params {
        Some(params) if !matches!(params.get().as_bytes()[0], b'{' | b'[' | b'n') => Err(invalid(id, "params must be an object")),
        params => Ok(Call { id, method, params }),
    }
}

fn read_id(raw: &RawValue) -> Option<RequestId> {
    let text = raw.get();
    let good = match text.as_bytes().first()? {
        b'"' => serde_json::from_str::<Name<'_>>(text).is_ok(),
        b'-' | b'0'..=b'9' => true,
        _ => text == RequestId::NULL,
    };
    (good && text.len() <= ID_BYTES_MAX).then(|| RequestId(text.into()))
}

/// Reads the parameters of a method. None at all are an empty object.
///
/// # Errors
/// -32602, with the field where that can be told.
pub fn read_params<P: DeserializeOwned>(params: Option<&RawValue>) -> Result<P, WireError> {
    let text = match params.map(RawValue::get) {
        None | Some("null") => "{}",
        Some(text) => text,
    };
    if !text.starts_with('{') {
        return Err(WireError::invalid_params(None, "parameters are given by name, in an object"));
    }
    serde_json::from_str(text).map_err(|error| {
        let detail = error.to_string();
        let field = match detail.strip_prefix("missing field `").or_else(|| detail.strip_prefix("duplicate field `")) {
            Some(rest) => rest.split('`').next().map(str::to_owned),
            None => member_at(text, offset_of(text, &error)),
        };
        let detail: String = detail.chars().take(200).collect();
        WireError::invalid_params(field.as_deref(), &detail)
    })
}

/// How far into the text the error was found, in bytes.
fn offset_of(text: &str, error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    lines.map(str::len).sum::<usize>() + error.column()
}

/// The member of an object whose value begins last, not behind the offset.
fn member_at(text: &str, offset: usize) -> Option<String> {
    struct Starts<'a>(&'a str, usize);
    impl<'de> Visitor<'de> for Starts<'de> {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut last = None;
            while let Ok(Some((Name(name), value))) = members.next_entry::<Name<'de>, &'de RawValue>() {
                let start = value.get().as_ptr() as usize - self.0.as_ptr() as usize;
                if start <= self.1 && name.len() <= METHOD_BYTES_MAX {
                    last = Some(name.into_owned());
                }
            }
            Ok(last)
        }
    }
    serde_json::Deserializer::from_str(text).deserialize_map(Starts(text, offset)).ok().flatten()
}

/// An answer that carries a result, which must be JSON.
#[must_use]
pub fn result(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

/// An answer that carries an error.
#[must_use]
pub fn error(id: &str, error: &WireError) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, error.to_json())
}

/// Room for a notification, so that one of a usual length is written without moving: an event's own
/// parts take some 300 bytes, and a message mostly fewer.
const NOTIFICATION_BYTES: usize = 512;

/// A notification with parameters, which must have text keys and no failing parts.
#[must_use]
pub fn notification<P: Serialize>(method: &str, params: &P) -> String {
    let mut text = Vec::with_capacity(NOTIFICATION_BYTES);
    for part in [r#"{"jsonrpc":"2.0","method":""#, method, r#"","params":"#] {
        text.extend_from_slice(part.as_bytes());
    }
    serde_json::to_writer(&mut text, params).expect("what is shown has text keys and no failing parts");
    text.push(b'}');
    String::from_utf8(text).expect("JSON is UTF-8")
}
