//! What went wrong with a call, as far as its caller must know: was it surely not applied, or nobody knows?

use redis::{RedisError, Value};

use super::address::Address;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It was surely not applied.
    Refused(String),
    /// It may have been applied; the server, or what is in its place, can be asked.
    Lost(String),
    /// It may have been applied; the server does not answer.
    Silent(String),
}

impl Failure {
    pub(super) fn into_why(self) -> String {
        match self {
            Self::Refused(why) | Self::Lost(why) | Self::Silent(why) => why,
        }
    }
}

/// What one server made of a command.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was carried out.
    Answer(Value),
    /// The slot lives there now.
    Moved(Address),
    /// Ask there, this once.
    Ask(Address),
    /// The slot is on the move, and only a part of the keys is here.
    TryAgain,
    /// The script must be loaded first.
    NoScript,
    /// It was not carried out.
    Failed(Failure),
}

/// What these codes begin was refused before anything was carried out. Everything else is taken as if it might have come
/// out of the middle of a script.
const REFUSALS: [&str; 14] = [
    "LOADING",
    "CLUSTERDOWN",
    "READONLY",
    "MASTERDOWN",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "BUSY",
    "NOAUTH",
    "NOPERM",
    "WRONGPASS",
    "CROSSSLOT",
    "DENIED",
    "UNBLOCKED",
];

/// Judges what came back from a server.
pub(super) fn judge(value: Value, from: &Address) -> Outcome {
    let Value::ServerError(error) = value else {
        return Outcome::Answer(value);
    };
    let details = error.details().unwrap_or_default();
    // "<slot> <address>"
    let target = || details.split(' ').nth(1).and_then(|text| Address::parse(text, from));
    let why = || format!("{from} answered {} {details}", error.code());
    match error.code() {
        "MOVED" => target().map_or_else(|| Outcome::Failed(Failure::Refused(why())), Outcome::Moved),
        "ASK" => target().map_or_else(|| Outcome::Failed(Failure::Refused(why())), Outcome::Ask),
        "TRYAGAIN" => Outcome::TryAgain,
        "NOSCRIPT" => Outcome::NoScript,
        code if REFUSALS.contains(&code) => Outcome::Failed(Failure::Refused(why())),
        _ => Outcome::Failed(Failure::Lost(why())),
    }
}

/// Judges an error of the client while a command was under way.
pub(super) fn under_way(error: &RedisError, to: &Address) -> Failure {
    match error.is_timeout() {
        true => Failure::Silent(format!("{to} has not answered in time")),
        false => Failure::Lost(format!("the connection to {to} broke: {error}")),
    }
}
