//! Errors as clients see them. `data.reason` is the stable part; texts are for people.

use jono_domain::id::AgentId;
use jono_domain::reply::Refusal;
use serde_json::{Map, Value, json};

/// The text was not JSON.
pub const PARSE: i32 = -32_700;
/// It was JSON, but no request.
pub const INVALID_REQUEST: i32 = -32_600;
/// There is no such method.
pub const METHOD_NOT_FOUND: i32 = -32_601;
/// A parameter is missing or has no acceptable value.
pub const INVALID_PARAMS: i32 = -32_602;
/// The server has a bug, or does not understand itself.
pub const INTERNAL: i32 = -32_603;
/// Everything else; `data.reason` says what.
pub const REFUSED: i32 = -32_000;

/// How long a client is told to wait when a queue of this process is full, milliseconds.
pub const BUSY_RETRY_MS: u64 = 500;

/// Every `data.reason`, with what else `data` carries and when it is given.
pub const REASONS: &[(&str, &str, &str)] = &[
    ("unauthorized", "", "No session is open yet, or the credential is wrong (then the connection is closed with 4001)."),
    ("forbidden", "", "The credential is right, but may not do this."),
    ("not_found", "", "No such thing; also for everything that belongs to others."),
    ("conflict", "`detail`", "It does not fit the state as it is."),
    ("claim_held", "`holder`, `release_at?`", "Another agent serves the conversation."),
    ("claim_lost", "`holder?`, `claim`", "The claim under which this was written is over."),
    ("queue_closed", "`next_open_at?`", "The queue takes nobody now."),
    ("queue_full", "", "As many wait as the queue allows."),
    ("queue_empty", "", "Nobody waits in the queue."),
    ("no_agents", "", "The agent, or every agent, is not online."),
    ("blocked", "`until?`", "The customer is blocked; without `until`, for ever."),
    ("conversation_closed", "", "The conversation has ended."),
    ("too_large", "`max`", "Too long or too many; `max` is in the unit of the field."),
    ("rate_limited", "`retry_after_ms`", "This session asks too often. Nothing was done."),
    ("busy", "`retry_after_ms`", "More than can be served now. Nothing was done."),
    ("unavailable", "`retry_after_ms`", "The store is away or the outcome is unknown: repeat with the same `key`."),
    ("not_supported", "", "This server, or this queue, does not do that."),
];

/// One error object.
#[derive(Clone, Debug, PartialEq)]
pub struct WireError {
    /// One of the codes above.
    pub code: i32,
    /// For people.
    pub message: &'static str,
    /// For programs.
    pub data: Option<Value>,
}

impl WireError {
    /// Not JSON.
    #[must_use]
    pub fn parse() -> Self {
        Self { code: PARSE, message: "parse error", data: None }
    }

    /// Not a request.
    #[must_use]
    pub fn invalid_request(detail: &str) -> Self {
        Self { code: INVALID_REQUEST, message: "invalid request", data: Some(json!({ "detail": detail })) }
    }

    /// No such method.
    #[must_use]
    pub fn method_not_found() -> Self {
        Self { code: METHOD_NOT_FOUND, message: "method not found", data: None }
    }

    /// Bad parameters.
    #[must_use]
    pub fn invalid_params(field: Option<&str>, detail: &str) -> Self {
        let mut data = Map::new();
        if let Some(field) = field {
            data.insert("field".into(), field.into());
        }
        data.insert("detail".into(), detail.into());
        Self { code: INVALID_PARAMS, message: "invalid params", data: Some(data.into()) }
    }

    /// A bug here.
    #[must_use]
    pub fn internal() -> Self {
        Self { code: INTERNAL, message: "internal error", data: None }
    }

    /// A refusal with a reason alone.
    #[must_use]
    pub fn refused(reason: &'static str, message: &'static str) -> Self {
        Self::with(reason, message, [])
    }

    /// No session is open.
    #[must_use]
    pub fn unauthorized(message: &'static str) -> Self {
        Self::refused("unauthorized", message)
    }

    /// The wrong role.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::refused("forbidden", "not with this credential")
    }

    /// Too often.
    #[must_use]
    pub fn rate_limited(retry_after_ms: u64) -> Self {
        Self::with("rate_limited", "too often", [("retry_after_ms", retry_after_ms.into())])
    }

    /// Too much under way.
    #[must_use]
    pub fn busy(retry_after_ms: u64) -> Self {
        Self::with("busy", "busy", [("retry_after_ms", retry_after_ms.into())])
    }

    /// Too many or too long.
    #[must_use]
    pub fn too_large(max: u64) -> Self {
        Self::with("too_large", "too large", [("max", max.into())])
    }

    /// It does not fit.
    #[must_use]
    pub fn conflict(detail: &str) -> Self {
        Self::with("conflict", "conflict", [("detail", detail.into())])
    }

    /// `data.reason`, if it has one.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.data.as_ref()?.get("reason")?.as_str()
    }

    fn with<const N: usize>(reason: &'static str, message: &'static str, more: [(&str, Value); N]) -> Self {
        let mut data = Map::new();
        data.insert("reason".into(), reason.into());
        for (name, value) in more {
            if !value.is_null() {
                data.insert(name.into(), value);
            }
        }
        Self { code: REFUSED, message, data: Some(data.into()) }
    }

    /// The error object as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        match &self.data {
            Some(data) => json!({ "code": self.code, "message": self.message, "data": data }).to_string(),
            None => json!({ "code": self.code, "message": self.message }).to_string(),
        }
    }
}

impl WireError {
    /// A refusal; `agent` says how an agent is shown.
    #[must_use]
    pub fn of(refusal: &Refusal, agent: impl Fn(AgentId) -> Value) -> Self {
        let time = |at: &Option<jono_domain::time::Time>| at.map_or(Value::Null, |at| at.0.into());
        match refusal {
            Refusal::Forbidden => Self::forbidden(),
            Refusal::NotFound => Self::refused("not_found", "not found"),
            Refusal::Conflict(detail) => Self::conflict(detail),
            Refusal::Invalid(field) => Self::invalid_params(Some(field), "no acceptable value"),
            Refusal::ClaimHeld { holder, release_at } => {
                let more = [("holder", agent(*holder)), ("release_at", time(release_at))];
                Self::with("claim_held", "another agent serves the conversation", more)
            }
            Refusal::ClaimLost { holder, claim } => {
                let more = [("holder", holder.map_or(Value::Null, agent)), ("claim", (*claim).into())];
                Self::with("claim_lost", "that claim is over", more)
            }
            Refusal::QueueClosed { next_open_at } => {
                Self::with("queue_closed", "the queue is closed", [("next_open_at", time(next_open_at))])
            }
            Refusal::QueueFull => Self::refused("queue_full", "the queue is full"),
            Refusal::QueueEmpty => Self::refused("queue_empty", "nobody waits"),
            Refusal::NoAgents => Self::refused("no_agents", "no agent is online"),
            Refusal::Blocked { until } => Self::with("blocked", "blocked", [("until", time(until))]),
            Refusal::ConversationClosed => Self::refused("conversation_closed", "the conversation has ended"),
            Refusal::TooLarge { max } => Self::too_large(*max),
            Refusal::RateLimited { retry_after_ms } => Self::rate_limited(*retry_after_ms),
            Refusal::Busy { retry_after_ms } => Self::busy(*retry_after_ms),
            Refusal::Unavailable { retry_after_ms } => {
                Self::with("unavailable", "unavailable", [("retry_after_ms", (*retry_after_ms).into())])
            }
            Refusal::NotSupported => Self::refused("not_supported", "not supported"),
        }
    }
}
