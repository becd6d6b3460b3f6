//! Errors as clients get them: `{"error": {"reason", "message", "field"?}}` with a status.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use jono_domain::reply::Refusal;
use schemars::JsonSchema;
use serde::Serialize;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    error: Error,
}

/// The stable part is `reason`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Error {
    /// One of the protocol's reasons.
    reason: &'static str,
    /// For people.
    message: String,
    /// Which field of the request has no acceptable value.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// When to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// What is allowed at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u64>,
}

/// The body of every answer with a status of 400 or more.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Body {
    error: Error,
}

impl Problem {
    pub(super) fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, error: Error { reason, message: message.into(), field: None, retry_after_ms: None, max: None } }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    pub(super) fn invalid(field: &str, message: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message);
        problem.error.field = Some(field.to_owned());
        problem
    }

    pub(super) fn in_field(mut self, field: Option<&str>) -> Self {
        self.error.field = field.map(str::to_owned);
        self
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such thing")
    }

    pub(super) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "this credential may not do that")
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    pub(super) fn rate_limited(retry_after_ms: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too often").after(retry_after_ms)
    }

    pub(super) fn busy(retry_after_ms: u64) -> Self {
        let message = "more than can be served now; nothing was done";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).after(retry_after_ms)
    }

    fn after(mut self, retry_after_ms: u64) -> Self {
        self.error.retry_after_ms = Some(retry_after_ms);
        self
    }

    pub(super) fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(ms) = self.error.retry_after_ms {
            response.insert_header((RETRY_AFTER, ms.div_ceil(1000).to_string()));
        }
        response.json(Body { error: self.error.clone() })
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let conflict = |reason, message: &str| Self::new(StatusCode::CONFLICT, reason, message);
        match refusal {
            Refusal::Forbidden => Self::forbidden(),
            Refusal::NotFound => Self::not_found(),
            Refusal::Conflict(why) => conflict("conflict", &why),
            Refusal::Invalid(field) => Self::invalid(&field, format!("`{field}` has no acceptable value")),
            Refusal::ClaimHeld { .. } => conflict("claim_held", "somebody else holds the claim"),
            Refusal::ClaimLost { .. } => conflict("claim_lost", "the claim is over"),
            Refusal::QueueClosed { .. } => conflict("queue_closed", "the queue is closed"),
            Refusal::QueueFull => conflict("queue_full", "the queue is full"),
            Refusal::QueueEmpty => conflict("queue_empty", "nobody waits"),
            Refusal::NoAgents => conflict("no_agents", "no agent is online"),
            Refusal::Blocked { .. } => Self::new(StatusCode::FORBIDDEN, "blocked", "the customer is blocked"),
            Refusal::ConversationClosed => conflict("conversation_closed", "the conversation has ended"),
            Refusal::TooLarge { max } => {
                let message = format!("too long or too many: at most {max}");
                let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too_large", message);
                problem.error.max = Some(max);
                problem
            }
            Refusal::RateLimited { retry_after_ms } => Self::rate_limited(retry_after_ms),
            Refusal::Busy { retry_after_ms } => Self::busy(retry_after_ms),
            Refusal::Unavailable { retry_after_ms } => {
                let message = "the outcome is unknown; repeat with the same Idempotency-Key";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).after(retry_after_ms)
            }
            Refusal::NotSupported => Self::new(StatusCode::NOT_IMPLEMENTED, "not_supported", "this server does not do that"),
        }
    }
}
