//! A socket that sends whatever bytes it is given: for input that no decent client makes.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::PATIENCE;

/// A text frame's opcode.
pub const TEXT: u8 = 1;
/// A binary frame's opcode.
pub const BINARY: u8 = 2;
/// A close frame's opcode.
pub const CLOSE: u8 = 8;
/// A ping's opcode.
pub const PING: u8 = 9;

/// A TCP connection on which WebSocket has been agreed.
pub struct RawSocket {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// A whole, masked frame.
#[must_use]
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame_head(opcode, payload.len() as u64);
    bytes.extend(payload);
    bytes
}

/// The head of a final, masked frame that announces so many bytes. The mask is zero, so that what follows may
/// be written as it is.
#[must_use]
pub fn frame_head(opcode: u8, announced: u64) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match announced {
        0..=125 => bytes.push(0x80 | announced as u8),
        126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((announced as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(announced.to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes
}

impl RawSocket {
    /// Connects and agrees on WebSocket.
    ///
    /// # Panics
    /// When that is refused.
    pub async fn open(address: &str) -> Self {
        let (status, socket) = Self::upgrade(address, "/v1/ws", &[]).await;
        assert_eq!(status, 101, "the upgrade is refused");
        socket
    }

    /// Asks for an upgrade; the status that was answered.
    ///
    /// # Panics
    /// When nothing is answered.
    pub async fn upgrade(address: &str, path: &str, fields: &[(&str, &str)]) -> (u16, Self) {
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        for (name, value) in fields {
            request += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{request}\r\n").as_bytes()).await.expect("a request can be sent");
        let mut socket = Self { stream, unread: Vec::new() };
        let end = loop {
            if let Some(end) = socket.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            assert!(socket.more().await.expect("an answer comes"), "the connection was closed unanswered");
        };
        let head = String::from_utf8_lossy(&socket.unread[..end]).into_owned();
        socket.unread.drain(..end + 4);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, socket)
    }

    /// Sends these bytes. A peer that has closed meanwhile may refuse them.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends as much of these bytes as the peer takes within a short time; says whether it took all.
    pub async fn push(&mut self, bytes: &[u8]) -> io::Result<bool> {
        match timeout(std::time::Duration::from_millis(200), self.stream.write_all(bytes)).await {
            Ok(written) => written.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// The next frame: opcode and payload. `None` at the end of the connection.
    ///
    /// # Panics
    /// When neither comes.
    pub async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((opcode, payload, length)) = whole_frame(&self.unread) {
                self.unread.drain(..length);
                return Some((opcode, payload));
            }
            // A reset is an end as well.
            if !self.more().await.unwrap_or(false) {
                return None;
            }
        }
    }

    /// The next text.
    ///
    /// # Panics
    /// When the connection ends before.
    pub async fn text(&mut self) -> String {
        loop {
            match self.next().await {
                Some((TEXT, payload)) => return String::from_utf8(payload).expect("text is UTF-8"),
                Some((CLOSE, payload)) => panic!("closed: {payload:?}"),
                Some(_) => {}
                None => panic!("the connection has ended"),
            }
        }
    }

    /// Reads until the end; the close code, if there was one.
    pub async fn close_code(&mut self) -> Option<u16> {
        let mut code = None;
        while let Some((opcode, payload)) = self.next().await {
            if opcode == CLOSE {
                code = payload.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
                // As RFC 6455 wants: the close is answered.
                let _ = self.send(&frame(CLOSE, &payload)).await;
            }
        }
        code
    }

    async fn more(&mut self) -> io::Result<bool> {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await;
        Ok(read.expect("the server does something")? > 0)
    }
}

/// The frame at the beginning of these bytes, and its length; servers do not mask.
fn whole_frame(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let (opcode, short) = (bytes.first()? & 0x0f, bytes.get(1)? & 0x7f);
    let (begin, length) = match short {
        126 => (4, u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize),
        127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize),
        length => (2, length as usize),
    };
    Some((opcode, bytes.get(begin..begin + length)?.to_vec(), begin + length))
}
