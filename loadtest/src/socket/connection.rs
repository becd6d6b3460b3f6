//! One connection: connecting, upgrading, open. Idle it owns no buffer: what is read and written passes through buffers that all
//! connections of a thread share.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use super::frame::{self, Frame, Frames, Opcode};
use crate::target::Upgrade;

/// The shared read buffer: what one call of the kernel returns at most.
const READ_BYTES: usize = 256 * 1024;
/// Longest answer to the upgrade.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// What may wait to be written to one peer before the generator calls it stuck.
const PENDING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What the connections of a thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    read: Vec<u8>,
    out: Vec<u8>,
    payload: Vec<u8>,
    mask: u32,
}

impl Shared {
    pub fn new(seed: u64) -> Self {
        // The state of an xorshift must not be 0.
        Self { read: vec![0; READ_BYTES], out: Vec::new(), payload: Vec::new(), mask: (seed as u32) | 1 }
    }
}

/// What a connection says when it is ready for something.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// The upgrade succeeded.
    Open,
    /// A whole message.
    Message(Frame<'a>),
    /// It is over.
    Over(String),
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Upgrading,
    Open,
    /// A Close frame was sent; what comes is read until the peer's.
    Closing,
}

/// A WebSocket as a client.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    state: State,
    /// The beginning of a frame whose rest has not come.
    partial: Vec<u8>,
    /// The fragments of a message so far, with whether it is text.
    fragments: Option<Box<(bool, Vec<u8>)>>,
    /// What the kernel has not taken yet.
    pending: Vec<u8>,
}

impl Connection {
    /// Begins to connect from a local address, or from whichever the kernel chooses. `receive_bytes` makes the receive buffer small.
    pub fn begin(to: SocketAddr, from: Option<IpAddr>, receive_bytes: Option<usize>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(from) = from {
            socket.bind(&SocketAddr::new(from, 0).into())?;
        }
        match socket.connect(&to.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
        let stream = TcpStream::from_std(socket.into());
        Ok(Self { stream, state: State::Connecting, partial: Vec::new(), fragments: None, pending: Vec::new() })
    }

    /// For the poll.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Messages can be written.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// The socket may be written: connected, or room for what waits.
    pub fn writable(&mut self, upgrade: impl FnOnce() -> Upgrade, host: &str) -> Result<(), String> {
        if self.state == State::Connecting {
            if let Some(error) = self.stream.take_error().map_err(|error| error.to_string())? {
                return Err(format!("cannot connect: {error}"));
            }
            match self.stream.peer_addr() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(()),
                Err(error) => return Err(format!("cannot connect: {error}")),
            }
            self.state = State::Upgrading;
            let head = head(&upgrade(), host);
            return self.push(head.as_bytes());
        }
        self.flush()
    }

    /// Writes frames.
    pub fn write(&mut self, shared: &mut Shared, frames: impl FnOnce(&mut Frames<'_>)) -> Result<usize, String> {
        let mut out = std::mem::take(&mut shared.out);
        out.clear();
        let mut writer = Frames::new(&mut out, &mut shared.payload, &mut shared.mask);
        frames(&mut writer);
        let written = writer.written();
        let pushed = if out.is_empty() || self.state == State::Closing { Ok(()) } else { self.push(&out) };
        shared.out = out;
        pushed.map(|()| written)
    }

    /// Says goodbye; the peer's Close or end follows.
    pub fn close(&mut self, shared: &mut Shared, code: u16) {
        // It may be gone already, which is what was wanted.
        let _ = self.write(shared, |frames| frames.message(Opcode::Close, |bytes| bytes.extend_from_slice(&code.to_be_bytes())));
        self.state = State::Closing;
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.pending.is_empty() {
            let taken = self.offer(bytes)?;
            self.pending.extend_from_slice(&bytes[taken..]);
        } else {
            self.pending.extend_from_slice(bytes);
        }
        if self.pending.len() > PENDING_BYTES_MAX { Err("the server takes nothing".to_owned()) } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), String> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        let taken = self.offer(&pending)?;
        if taken < pending.len() {
            self.pending = pending[taken..].to_vec();
        }
        Ok(())
    }

    /// How much the kernel takes now.
    fn offer(&mut self, bytes: &[u8]) -> Result<usize, String> {
        let mut taken = 0;
        while taken < bytes.len() {
            match self.stream.write(&bytes[taken..]) {
                Ok(0) => return Err("the connection takes nothing".to_owned()),
                Ok(count) => taken += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(taken)
    }

    /// The socket may be read: calls `heard` for everything that came, until the kernel has no more, or once with at most `bytes_max`.
    pub fn readable(
        &mut self,
        shared: &mut Shared,
        bytes_max: Option<usize>,
        mut heard: impl FnMut(&mut Self, &mut Shared, Event<'_>),
    ) {
        let mut buffer = std::mem::take(&mut shared.read);
        let mut more = true;
        while more {
            let kept = self.partial.len();
            if buffer.len() < kept + READ_BYTES / 2 {
                buffer.resize(kept + READ_BYTES, 0);
            }
            buffer[..kept].copy_from_slice(&self.partial);
            self.partial = Vec::new();
            let end = bytes_max.map_or(buffer.len(), |bytes| buffer.len().min(kept + bytes));
            match self.stream.read(&mut buffer[kept..end]) {
                Ok(0) => {
                    heard(self, shared, Event::Over("the server closed the connection".to_owned()));
                    more = false;
                }
                Ok(count) => {
                    // A read that did not fill the buffer has emptied the socket.
                    more = bytes_max.is_none() && kept + count == end;
                    if let Err(why) = self.take_in(&buffer[..kept + count], shared, &mut heard) {
                        heard(self, shared, Event::Over(why));
                        more = false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.partial = buffer[..kept].to_vec();
                    more = false;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.partial = buffer[..kept].to_vec(),
                Err(error) => {
                    heard(self, shared, Event::Over(error.to_string()));
                    more = false;
                }
            }
        }
        shared.read = buffer;
    }

    fn take_in(
        &mut self,
        bytes: &[u8],
        shared: &mut Shared,
        heard: &mut impl FnMut(&mut Self, &mut Shared, Event<'_>),
    ) -> Result<(), String> {
        let mut rest = bytes;
        if matches!(self.state, State::Connecting | State::Upgrading) {
            let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") else {
                self.partial = rest.to_vec();
                return if rest.len() > HEAD_BYTES_MAX { Err("an endless answer to the upgrade".to_owned()) } else { Ok(()) };
            };
            upgraded(&rest[..end])?;
            rest = &rest[end + 4..];
            self.state = State::Open;
            heard(self, shared, Event::Open);
        }
        loop {
            match frame::read(rest) {
                frame::Read::Incomplete => break,
                frame::Read::Bad(why) => return Err(why.to_owned()),
                frame::Read::Whole { opcode, last, payload, bytes } => {
                    self.frame(opcode, last, payload, shared, heard)?;
                    rest = &rest[bytes..];
                }
            }
        }
        self.partial = rest.to_vec();
        Ok(())
    }

    fn frame(
        &mut self,
        opcode: Opcode,
        last: bool,
        payload: &[u8],
        shared: &mut Shared,
        heard: &mut impl FnMut(&mut Self, &mut Shared, Event<'_>),
    ) -> Result<(), String> {
        let message = |text: bool, payload| if text { Frame::Text(payload) } else { Frame::Binary(payload) };
        match opcode {
            Opcode::Text | Opcode::Binary if last => {
                heard(self, shared, Event::Message(message(opcode == Opcode::Text, payload)))
            }
            Opcode::Text | Opcode::Binary => self.fragments = Some(Box::new((opcode == Opcode::Text, payload.to_vec()))),
            Opcode::Continuation => {
                let mut fragments = self.fragments.take().ok_or("a fragment of nothing")?;
                fragments.1.extend_from_slice(payload);
                if fragments.1.len() > frame::MESSAGE_BYTES_MAX {
                    return Err("a message of more than 4 MiB".to_owned());
                }
                if last {
                    heard(self, shared, Event::Message(message(fragments.0, &fragments.1)));
                } else {
                    self.fragments = Some(fragments);
                }
            }
            Opcode::Ping => {
                self.write(shared, |frames| frames.message(Opcode::Pong, |bytes| bytes.extend_from_slice(payload)))?;
            }
            Opcode::Pong => {}
            Opcode::Close => {
                let code = payload.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
                if self.state == State::Open {
                    self.close(shared, code);
                }
                return Err(format!("closed with {code} {}", String::from_utf8_lossy(payload.get(2..).unwrap_or_default()))
                    .trim_end()
                    .to_owned());
            }
        }
        Ok(())
    }
}

fn head(upgrade: &Upgrade, host: &str) -> String {
    // The key need not be random: nothing between here and the server caches answers.
    let subprotocol = upgrade.subprotocol.map_or(String::new(), |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    format!(
        "GET {} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: am9uby1sb2FkLTEyMzQ1Ng==\r\n{subprotocol}\r\n",
        upgrade.path
    )
}

fn upgraded(head: &[u8]) -> Result<(), String> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    match line.split(' ').nth(1) {
        Some("101") => Ok(()),
        _ => Err(format!("the upgrade was answered with {line:?}")),
    }
}
