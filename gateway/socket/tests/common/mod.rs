//! A server whose sessions do what they are told by text, and clients for it.

#![allow(dead_code, reason = "each test binary uses its part")]

use futures_util::{SinkExt as _, StreamExt as _};
use jono_socket::{
    Admit, Closed, HttpRefusal, ServeConfig, Session, Socket, SocketCounts, SocketId, SocketLimits, SocketServer, StatusCode,
    Text, UpgradeHead, listen, serve,
};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub type Client = WebSocketStream<TcpStream>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Opened(SocketId),
    Closed(SocketId, Closed),
}

pub struct Puppet {
    id: Option<SocketId>,
    /// Texts of a stream still to be sent.
    left: usize,
    events: UnboundedSender<Event>,
}

impl Session for Puppet {
    type Message = Text;

    fn opened(&mut self, socket: &mut Socket<'_>) {
        self.id = Some(socket.id());
        let _ = self.events.send(Event::Opened(socket.id()));
    }

    fn received(&mut self, text: &str, socket: &mut Socket<'_>) {
        match text.split_once(' ').unwrap_or((text, "")) {
            ("panic", _) => panic!("as the test asked"),
            ("confirm", _) => socket.confirm_open(),
            ("close", code) => {
                socket.send(Text::from("bye"));
                socket.close(code.parse().unwrap(), "asked");
            }
            ("produce", bytes) => {
                let length: usize = bytes.parse().unwrap();
                socket.send(Text::from("x".repeat(length)));
            }
            ("stream", count) => {
                self.left = count.parse().unwrap();
                self.drained(socket);
            }
            _ => socket.send(Text::from(text)),
        }
    }

    fn drained(&mut self, socket: &mut Socket<'_>) {
        for _ in 0..self.left.min(3) {
            self.left -= 1;
            socket.send(Text::from(format!("{:>50000}", self.left)));
        }
        if self.left > 0 {
            socket.tell_when_drained();
        }
    }

    fn told(&mut self, message: Text, socket: &mut Socket<'_>) {
        assert_ne!(message.as_str(), "panic", "as the test asked");
        socket.send(message);
    }

    fn closed(&mut self, cause: Closed) {
        let id = self.id.expect("opened comes first");
        let _ = self.events.send(Event::Closed(id, cause));
    }
}

#[derive(Clone)]
struct Door(UnboundedSender<Event>);

impl Admit for Door {
    type Session = Puppet;

    fn admit(&self, head: &UpgradeHead<'_>) -> Result<Puppet, HttpRefusal> {
        if head.path() != "/ws" {
            return Err(HttpRefusal::new(StatusCode::NOT_FOUND, "no socket here"));
        }
        if head.origin().is_some_and(|origin| origin != "http://good") {
            return Err(HttpRefusal::new(StatusCode::FORBIDDEN, "bad origin"));
        }
        Ok(Puppet { id: None, left: 0, events: self.0.clone() })
    }
}

pub struct Running {
    pub server: SocketServer<Text>,
    pub events: UnboundedReceiver<Event>,
}

pub fn start(limits: SocketLimits) -> Running {
    let (sender, events) = unbounded_channel();
    let mut config = ServeConfig::new(listen(([127, 0, 0, 1], 0).into()).unwrap());
    config.workers = 2;
    config.limits = limits;
    config.subprotocols = &["jono.v1"];
    let app = || {
        let hello = actix_web::web::get().to(|| async { "hello" });
        actix_web::App::new().route("/hello", hello)
    };
    let server = serve(config, app, |_| Door(sender)).unwrap();
    Running { server, events }
}

impl Running {
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    pub fn counts(&self) -> SocketCounts {
        self.server.stats().counts()
    }

    /// A client whose socket is open, and the socket's id. One at a time.
    pub async fn connect(&mut self) -> (Client, SocketId) {
        let client = connect(self.addr()).await;
        match self.event().await {
            Event::Opened(id) => (client, id),
            Event::Closed(..) => panic!("a socket closed while another was to open"),
        }
    }

    pub async fn event(&mut self) -> Event {
        within(self.events.recv()).await.expect("the server lives")
    }

    pub async fn stop(self) {
        within(self.server.drain(PATIENCE)).await.unwrap();
    }
}

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.expect("what the test waits for happens")
}

pub async fn connect(address: SocketAddr) -> Client {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!("ws://{address}/ws");
    within(client_async(request, stream)).await.unwrap().0
}

pub async fn say(client: &mut Client, text: impl Into<String>) {
    client.send(Message::text(text.into())).await.unwrap();
}

/// The next text; pings are passed over.
pub async fn hear(client: &mut Client) -> String {
    loop {
        match within(client.next()).await {
            Some(Ok(Message::Text(text))) => return text.to_string(),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("a text was expected, not {other:?}"),
        }
    }
}

/// Reads on to the Close; its code.
pub async fn close_code(client: &mut Client) -> u16 {
    loop {
        match within(client.next()).await {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(_)) => {}
            other => panic!("a Close with a code was expected, not {other:?}"),
        }
    }
}

/// A handshake's request, for clients that are not.
pub fn request(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// A connection that has shaken hands and speaks bytes from there on.
pub async fn connect_raw(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = request("/ws", "");
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    stream
}

pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Everything to the end of the stream.
pub async fn read_rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.unwrap();
    String::from_utf8_lossy(&rest).into_owned()
}

/// A masked frame with a mask of zeros, at most 65 535 bytes.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The next frame of a server: first byte and payload.
pub async fn read_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let first = within(stream.read_u8()).await.unwrap();
    let length = match within(stream.read_u8()).await.unwrap() {
        126 => usize::from(stream.read_u16().await.unwrap()),
        length => usize::from(length),
    };
    let mut payload = vec![0; length];
    within(stream.read_exact(&mut payload)).await.unwrap();
    (first, payload)
}

/// Reads frames up to the Close; its code.
pub async fn raw_close_code(stream: &mut TcpStream) -> u16 {
    loop {
        let (first, payload) = read_frame(stream).await;
        if first == 0x88 {
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}

/// Resident memory of this process.
pub fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
}
