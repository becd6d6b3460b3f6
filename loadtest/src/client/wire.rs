//! What is on the wire: frames, events, refusals. The only module that knows their JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Identity;

/// A frame from the server, looked at as little as possible.
#[derive(Deserialize)]
pub(super) struct Incoming<'a> {
    #[serde(default)]
    pub id: Option<u64>,
    #[serde(borrow, default)]
    pub method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub result: Option<&'a RawValue>,
    #[serde(default)]
    pub error: Option<Refusal>,
}

/// The server's no.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Refusal {
    /// JSON-RPC's code.
    pub code: i64,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// `reason` and what belongs to it.
    #[serde(default)]
    pub data: Value,
}

impl Refusal {
    /// The stable part; empty for malformed requests.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.data.get("reason").and_then(Value::as_str).unwrap_or_default()
    }

    /// How long to wait before asking again, if that is what is wanted.
    pub(super) fn retry_after_ms(&self) -> Option<u64> {
        use super::limits::{POSTPONE_DEFAULT_MS, POSTPONE_ONCE_MAX_MS};
        match self.reason() {
            "busy" | "unavailable" | "rate_limited" => {
                let named = self.data.get("retry_after_ms").and_then(Value::as_u64);
                Some(named.unwrap_or(POSTPONE_DEFAULT_MS).clamp(1, POSTPONE_ONCE_MAX_MS))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)?;
        if self.data.is_null() { Ok(()) } else { write!(f, " {}", self.data) }
    }
}

/// What kind of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorKind {
    /// The visitor.
    Customer,
    /// An agent, person or bot.
    Agent,
    /// A timer, or the server.
    System,
}

/// Who did it; names are not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Author {
    /// What kind of somebody.
    pub kind: AuthorKind,
    /// Which one; empty for the system.
    #[serde(default)]
    pub id: String,
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            AuthorKind::System => f.write_str("system"),
            AuthorKind::Customer | AuthorKind::Agent => f.write_str(&self.id),
        }
    }
}

/// One entry of a conversation's log, as an audience is shown it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Event {
    /// Which conversation. Absent where the context says it.
    #[serde(default)]
    pub conversation: String,
    /// Its number.
    pub seq: u64,
    /// The number of the one before it that the audience may see.
    pub prev: u64,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Who.
    pub by: Author,
    /// `message`, `claimed`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// What else there is to say.
    #[serde(default)]
    pub body: Value,
}

impl Event {
    /// The text of a message or note.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.body.get("text").and_then(Value::as_str)
    }
}

/// A queue in a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct QueueRow {
    /// Which.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: String,
}

/// The answer to `session.open`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Opened {
    /// Brings the same customer back.
    #[serde(default)]
    pub resume: Option<String>,
    /// Everything since `since` is on its way.
    #[serde(default)]
    pub resumed: bool,
    /// Which log; another one is another store.
    #[serde(default)]
    pub log: String,
    /// The account.
    pub me: Value,
    /// The tenant, with what agents are told of it.
    #[serde(default)]
    pub organisation: Value,
    /// Those that the session may use.
    #[serde(default)]
    pub queues: Vec<QueueRow>,
    /// Those that the session follows from now on.
    #[serde(default)]
    pub conversations: Vec<Value>,
}

impl Opened {
    /// Whose session it is.
    #[must_use]
    pub fn my_id(&self) -> &str {
        self.me.get("id").and_then(Value::as_str).unwrap_or_default()
    }
}

pub(super) fn request(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

pub(super) fn open_params(identity: &Identity, resume: Option<&str>, since: &[(String, u64)]) -> Value {
    let mut params = match identity {
        Identity::Customer { site, name } => json!({ "role": "customer", "site": site, "name": name }),
        Identity::Agent { token } => json!({ "role": "agent", "token": token }),
    };
    if let Value::Object(fields) = &mut params {
        fields.retain(|_, value| !value.is_null());
    }
    if let Some(resume) = resume {
        params["resume"] = resume.into();
    }
    if !since.is_empty() {
        let since: BTreeMap<&str, u64> = since.iter().map(|(conversation, seq)| (conversation.as_str(), *seq)).collect();
        params["since"] = json!(since);
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_how_long_to_wait_only_where_waiting_helps() {
        let refusal = |data: Value| Refusal { code: -32000, message: String::new(), data };
        assert_eq!(refusal(json!({"reason": "busy", "retry_after_ms": 70})).retry_after_ms(), Some(70));
        assert_eq!(refusal(json!({"reason": "unavailable"})).retry_after_ms(), Some(200));
        assert_eq!(refusal(json!({"reason": "claim_lost", "retry_after_ms": 70})).retry_after_ms(), None);
    }

    #[test]
    fn absent_things_are_not_sent() {
        let customer = Identity::Customer { site: "s".into(), name: None };
        assert_eq!(open_params(&customer, None, &[]), json!({"role": "customer", "site": "s"}));
        let again = open_params(&customer, Some("r"), &[("conv_1".into(), 4)]);
        assert_eq!(again, json!({"role": "customer", "site": "s", "resume": "r", "since": {"conv_1": 4}}));
    }
}
