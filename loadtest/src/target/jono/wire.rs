//! The texts of Jono's protocol, as far as the adapter needs them: ids that say what a request was for, and the parts of answers.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::{About, Frames, Reason, Told};

/// What a request was for, in the lowest four bits of its id; the bits above say which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Start,
    Pick,
    Send,
    End,
    HandOver,
    Other,
}

const KINDS: [Kind; 7] = [Kind::Open, Kind::Start, Kind::Pick, Kind::Send, Kind::End, Kind::HandOver, Kind::Other];
/// Bits of a message's number within an id; an id has at most 53, since some JSON readers know only floating numbers.
const NUMBER_BITS: u32 = 24;

/// The id of a request.
pub(super) fn request_id(kind: Kind, conversation: u32, number: u32) -> u64 {
    let kind = KINDS.iter().position(|known| *known == kind).expect("every kind is listed") as u64;
    (u64::from(conversation) << (NUMBER_BITS + 4)) | (u64::from(number) << 4) | kind
}

#[derive(Deserialize)]
pub(super) struct Incoming<'a> {
    pub id: Option<u64>,
    #[serde(borrow)]
    pub method: Option<&'a str>,
    #[serde(borrow)]
    pub params: Option<&'a RawValue>,
    #[serde(borrow)]
    pub result: Option<&'a RawValue>,
    #[serde(borrow)]
    pub error: Option<Failure<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Failure<'a> {
    #[serde(borrow)]
    pub data: Option<FailureData<'a>>,
}

#[derive(Deserialize)]
pub(super) struct FailureData<'a> {
    pub reason: Option<&'a str>,
}

#[derive(Deserialize)]
pub(super) struct Event<'a> {
    pub conversation: &'a str,
    pub seq: u64,
    pub prev: u64,
    #[serde(rename = "type")]
    pub kind: &'a str,
    #[serde(borrow)]
    pub body: &'a RawValue,
}

#[derive(Deserialize)]
pub(super) struct Opened<'a> {
    pub resume: Option<&'a str>,
    #[serde(default)]
    pub resumed: bool,
    #[serde(borrow, default)]
    pub conversations: Vec<Followed<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Followed<'a> {
    pub id: &'a str,
    pub claim: Option<u64>,
    pub from_seq: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct Taken<'a> {
    pub conversation: &'a str,
    pub claim: u64,
}

pub(super) fn question(id: u64) -> Option<(Kind, u32, u32)> {
    let kind = *KINDS.get((id & 15) as usize)?;
    let number = (id >> 4) & ((1 << NUMBER_BITS) - 1);
    Some((kind, (id >> (NUMBER_BITS + 4)) as u32, number as u32))
}

pub(super) fn refused(id: Option<u64>, failure: &Failure<'_>, told: &mut Vec<Told>) -> Result<(), String> {
    let word = failure.data.as_ref().and_then(|data| data.reason).unwrap_or_default();
    let (kind, conversation, number) = id.and_then(question).ok_or("a refusal of a question that nobody asked")?;
    let reason = match word {
        "rate_limited" => Reason::RateLimited,
        "busy" => Reason::Busy,
        "unavailable" => Reason::Unavailable,
        "queue_closed" | "queue_full" => Reason::QueueShut,
        "claim_held" | "claim_lost" | "conversation_closed" | "not_found" => Reason::Lost,
        "unauthorized" | "forbidden" => Reason::Unauthorised,
        _ => Reason::Other,
    };
    let about = match kind {
        Kind::Pick if word == "queue_empty" => {
            told.push(Told::NothingWaits);
            return Ok(());
        }
        Kind::Open => About::SignIn,
        Kind::Start => About::Begin(conversation),
        Kind::Pick => About::Pick,
        Kind::Send => About::Send { conversation, number },
        Kind::End => About::End(conversation),
        Kind::HandOver => About::HandOver(conversation),
        Kind::Other => About::Other,
    };
    told.push(Told::Refused { about, reason });
    Ok(())
}

pub(super) fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("an answer of an unknown form: {error}"))
}

/// `{"jsonrpc":"2.0","id":..,"method":"..","params":{` and what `params` appends, without the closing braces.
pub(super) fn request(out: &mut Frames<'_>, id: u64, method: &str, params: impl FnOnce(&mut Vec<u8>)) {
    out.text(|bytes| {
        append(bytes, &["{\"jsonrpc\":\"2.0\",\"id\":", &id.to_string(), ",\"method\":\"", method, "\",\"params\":{"]);
        params(bytes);
        bytes.extend_from_slice(b"}}");
    });
}

pub(super) fn append(bytes: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        bytes.extend_from_slice(part.as_bytes());
    }
}
