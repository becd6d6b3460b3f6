//! Just enough HTTP for the admin API: one request a connection, JSON both ways.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

const WAIT_MAX: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Asks, and answers with the body.
pub(super) fn ask(to: SocketAddr, method: &str, path: &str, token: &str, body: Option<&Value>) -> Result<Value, String> {
    let (status, body) = exchange(to, method, path, token, body).map_err(|error| format!("{method} {path}: {error}"))?;
    let value = serde_json::from_str(&body).unwrap_or(Value::Null);
    if (200..300).contains(&status) { Ok(value) } else { Err(format!("{method} {path}: {status} {body}")) }
}

fn exchange(to: SocketAddr, method: &str, path: &str, token: &str, body: Option<&Value>) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&to, WAIT_MAX)?;
    stream.set_read_timeout(Some(WAIT_MAX))?;
    let body = body.map_or(String::new(), Value::to_string);
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other("no answer of HTTP"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, body.to_owned()))
}
