//! As much HTTP as the admin API needs: one request on a connection of its own.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::PATIENCE;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    /// The head, without the status line.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A field of the head.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The body, of an answer with this status.
    ///
    /// # Panics
    /// When it has another.
    pub fn with_status(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }
}

/// A request with a JSON body and a bearer.
///
/// # Panics
/// When there is no answer.
pub async fn request(address: &str, method: &str, path: &str, bearer: Option<&str>, body: Option<&Value>) -> Answer {
    let authorization = bearer.map(|bearer| format!("Bearer {bearer}"));
    let mut fields = Vec::new();
    fields.extend(authorization.as_deref().map(|value| ("Authorization", value)));
    fields.extend(body.map(|_| ("Content-Type", "application/json")));
    let body = body.map(Value::to_string);
    let answer = try_request(address, method, path, &fields, body.as_deref()).await;
    answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

/// A request with any fields and body.
///
/// # Errors
/// When there is no answer.
pub async fn try_request(
    address: &str,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    body: Option<&str>,
) -> io::Result<Answer> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in fields {
        head += &format!("{name}: {value}\r\n");
    }
    let body = body.unwrap_or_default();
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        io::Result::Ok(bytes)
    };
    let bytes = timeout(PATIENCE, exchange).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (first, head) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = first.split(' ').nth(1)?.parse().ok()?;
    let answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
    // Whoever asks for the end of the connection is told the length of what comes.
    (answer.field("transfer-encoding").is_none()).then_some(answer)
}
