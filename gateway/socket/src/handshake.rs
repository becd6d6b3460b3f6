//! Owns the judgement of an upgrade request: RFC 6455, 4.2.1, then the gateway's own word.

use crate::session::Session;
use actix_http::{
    HttpMessage as _, Request, StatusCode,
    header::{self, HeaderMap, HeaderName},
};
use std::net::IpAddr;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Decides on upgrade requests before the handshake; one clone per worker.
pub trait Admit: Clone + Send + 'static {
    /// What it makes.
    type Session: Session;

    /// The session for this request, or why not. Runs on the worker's thread: it must not block.
    /// A session that is made but never opened (the peer went away) is dropped without a call.
    ///
    /// # Errors
    /// The refusal is sent as the HTTP response.
    fn admit(&self, head: &UpgradeHead<'_>) -> Result<Self::Session, HttpRefusal>;
}

/// An upgrade request, valid by RFC 6455.
pub struct UpgradeHead<'a> {
    request: &'a Request,
    ip: IpAddr,
    subprotocol: Option<&'static str>,
}

impl UpgradeHead<'_> {
    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.request.path()
    }

    /// The query, without the `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.request.uri().query()
    }

    /// The `Origin`; browsers always send one, others may not.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.header(&header::ORIGIN)
    }

    /// The first value of a header, if it is text.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// The other end of the TCP connection: a reverse proxy, if there is one.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The subprotocol that will be agreed on: the first offered that is supported.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&'static str> {
        self.subprotocol
    }
}

/// Why an upgrade is refused, as the HTTP response says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRefusal {
    /// The status; an error.
    pub status: StatusCode,
    /// The body, plain text.
    pub reason: String,
}

impl HttpRefusal {
    /// A refusal with this status and text.
    #[must_use]
    pub fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}

/// A handshake that may be completed.
pub(crate) struct Handshake {
    pub(crate) accept: String,
    pub(crate) subprotocol: Option<&'static str>,
}

/// Judges the request by RFC 6455.
pub(crate) fn judge(request: &Request, supported: &'static [&'static str]) -> Result<Handshake, HttpRefusal> {
    let refuse = |status, reason| Err(HttpRefusal::new(status, reason));
    let headers = request.headers();
    if request.method() != actix_http::Method::GET {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "an upgrade is a GET");
    }
    if !has_token(headers, &header::UPGRADE, "websocket") || !has_token(headers, &header::CONNECTION, "upgrade") {
        return refuse(StatusCode::UPGRADE_REQUIRED, "only websocket is spoken here");
    }
    if !has_token(headers, &header::SEC_WEBSOCKET_VERSION, "13") {
        return refuse(StatusCode::UPGRADE_REQUIRED, "websocket version 13 only");
    }
    let key = headers.get(&header::SEC_WEBSOCKET_KEY);
    let Some(key) = key.map(|key| key.as_bytes()).filter(|key| is_key(key)) else {
        return refuse(StatusCode::BAD_REQUEST, "bad sec-websocket-key");
    };
    Ok(Handshake {
        accept: derive_accept_key(key),
        subprotocol: tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)
            .find_map(|offered| supported.iter().copied().find(|known| *known == offered)),
    })
}

pub(crate) fn head<'a>(request: &'a Request, ip: IpAddr, handshake: &Handshake) -> UpgradeHead<'a> {
    UpgradeHead { request, ip, subprotocol: handshake.subprotocol }
}

/// 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(is_base64)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}
