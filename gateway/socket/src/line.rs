//! Owns the transport and the codec of one socket: bytes in, frames out, buffers that do not grow.
//!
//! The codec's context is used apart from its stream, so that one value holds both and nobody splits
//! anything. Must not know sessions, close policy or the hub.

use crate::{
    meter::{Fault, Meter},
    session::Door,
    stats::bump,
    wire::{Transport, Wire},
    worker::Worker,
};
use actix_codec::ReadBuf;
use bytes::{Bytes, BytesMut};
use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio_tungstenite::tungstenite::{
    Error, Message, Utf8Bytes,
    protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext, frame::coding::CloseCode},
};

/// A buffer of this size is given back as soon as the socket is dry; a smaller excess waits for the
/// wheel, so that busy sockets do not allocate all the time.
const GIVE_BACK_AT_ONCE_BYTES: usize = 16 * 1024;

/// What a read brought.
pub(crate) enum Incoming {
    Text(Utf8Bytes),
    /// A ping or a pong; nothing to do.
    Control,
    /// The peer's Close; the codec has the answer ready.
    Close(Option<u16>),
    /// Nothing more for now.
    Dry,
    /// The closing handshake is done.
    Finished,
    /// The connection is gone.
    Lost,
    /// The peer violates the rules; close with this code.
    Violation(u16, &'static str),
}

/// How far a write came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// All is written.
    Clear,
    /// The connection takes no more for now; the waker is registered.
    Blocked,
    /// The closing handshake is done.
    Finished,
    /// The connection is gone.
    Lost,
}

pub(crate) struct Line<T> {
    io: T,
    /// Bytes that came behind the handshake.
    early: BytesMut,
    codec: WebSocketContext,
    meter: Meter,
    worker: Rc<Worker>,
    pub(crate) heard_ms: u64,
    /// Most bytes handed to the codec for one write since the buffers were last given back.
    written_peak: usize,
    /// The last read found nothing more, so the codec holds no unread input but a frame's beginning.
    dry: bool,
}

impl<T: Transport> Line<T> {
    pub(crate) fn new(io: T, early: BytesMut, worker: Rc<Worker>) -> Self {
        let now_ms = worker.now_ms();
        Self {
            io,
            early,
            codec: codec(&worker),
            meter: Meter::new(&worker.limits, now_ms),
            heard_ms: now_ms,
            written_peak: 0,
            dry: false,
            worker,
        }
    }

    pub(crate) fn read(&mut self, cx: &mut Context<'_>) -> Incoming {
        let (codec, mut wire) = self.split(cx);
        let read = codec.read(&mut wire);
        self.dry = false;
        match read {
            Ok(Message::Text(text)) => Incoming::Text(text),
            Ok(Message::Ping(_) | Message::Pong(_)) => Incoming::Control,
            Ok(Message::Close(frame)) => Incoming::Close(frame.map(|frame| frame.code.into())),
            Ok(Message::Binary(_)) => Incoming::Violation(1003, "text only"),
            Ok(Message::Frame(_)) => Incoming::Violation(1002, "protocol error"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                self.dry = true;
                Incoming::Dry
            }
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => Incoming::Finished,
            Err(error) => match self.meter.fault() {
                Some(Fault::Protocol) => Incoming::Violation(1002, "protocol error"),
                Some(Fault::Binary) => Incoming::Violation(1003, "text only"),
                Some(Fault::Rate) => Incoming::Violation(4005, "rate"),
                None => failure(&error),
            },
        }
    }

    /// Writes the outbox and then `farewell`, as far as the connection takes it: feeds all, flushes
    /// once. The farewell is taken when the codec has it.
    pub(crate) fn write(&mut self, door: &mut Door, farewell: &mut Option<(u16, &'static str)>, cx: &mut Context<'_>) -> Flow {
        let flow = match self.feed(door, farewell, cx) {
            Ok(()) => Flow::Clear,
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Flow::Blocked,
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => Flow::Finished,
            Err(_) => Flow::Lost,
        };
        door.peer_is_behind = flow == Flow::Blocked;
        flow
    }

    fn feed(&mut self, door: &mut Door, farewell: &mut Option<(u16, &'static str)>, cx: &mut Context<'_>) -> Result<(), Error> {
        let (codec, mut wire) = self.split(cx);
        // What an earlier write or a pong left in the codec goes first: then a frame always fits.
        codec.flush(&mut wire)?;
        let (mut texts, mut frames, mut bytes) = (0, 0, 0);
        let mut fed = Ok(());
        while fed.is_ok() {
            let Some((frame, last)) = door.outbox.next_frame() else {
                break;
            };
            texts += u64::from(last);
            frames += 1;
            bytes += frame.payload().len();
            // A write that would block has taken the frame into the codec's buffer.
            fed = codec.write(&mut wire, Message::Frame(frame));
        }
        if frames > 0 {
            *wire.written_peak = bytes.max(*wire.written_peak);
            bump(&wire.worker.counts().messages_out, texts);
            bump(&wire.worker.counts().bytes_out, bytes as u64);
        }
        fed?;
        if let Some((code, reason)) = farewell.take() {
            let frame = CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::from_static(reason) };
            return codec.close(&mut wire, Some(frame));
        }
        match frames {
            0 => Ok(()),
            _ => codec.flush(&mut wire),
        }
    }

    /// Puts a ping behind what is written; says nothing when the connection takes no more.
    pub(crate) fn ping(&mut self, cx: &mut Context<'_>) {
        let (codec, mut wire) = self.split(cx);
        // A lost connection shows itself to the next read.
        let _ = codec.write(&mut wire, Message::Ping(Bytes::new())).and_then(|()| codec.flush(&mut wire));
    }

    /// The codec, and the transport as the codec shall see it.
    fn split<'a, 'c>(&'a mut self, cx: &'a mut Context<'c>) -> (&'a mut WebSocketContext, Wire<'a, 'c, T>) {
        let wire = Wire {
            io: &mut self.io,
            early: &mut self.early,
            meter: &mut self.meter,
            heard_ms: &mut self.heard_ms,
            written_peak: &mut self.written_peak,
            worker: &self.worker,
            cx,
        };
        (&mut self.codec, wire)
    }

    /// Gives grown buffers back, when nothing is in them: the caller's last write came back clear, the
    /// last read came back dry, and the meter stands between messages.
    pub(crate) fn give_back(&mut self, at_once: bool) {
        let limits = &self.worker.limits;
        let received = self.meter.peak() as usize;
        let kept = match at_once {
            true => (GIVE_BACK_AT_ONCE_BYTES, GIVE_BACK_AT_ONCE_BYTES),
            false => (limits.read_buffer_bytes, limits.write_buffer_bytes / 4),
        };
        let grown = received > kept.0 || self.written_peak > kept.1;
        if grown && self.dry && self.meter.at_message_boundary() {
            self.codec = codec(&self.worker);
            self.meter.forget_peak();
            self.written_peak = 0;
        }
    }

    /// Ends our side and throws away what still comes; ready when the peer has ended too, or has
    /// sent more than it may.
    pub(crate) fn poll_discard(&mut self, left: &mut usize, cx: &mut Context<'_>) -> Poll<()> {
        let shut = Pin::new(&mut self.io).poll_shutdown(cx);
        let mut space = [0; 2048];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) => match left.checked_sub(buffer.filled().len()) {
                    Some(rest) if !buffer.filled().is_empty() => *left = rest,
                    _ if shut.is_pending() => return Poll::Pending,
                    _ => return Poll::Ready(()),
                },
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Makes the end of the stream a reset, so that the kernel gives its buffers back at once.
    pub(crate) fn reset_when_dropped(&self) {
        if let Some(tcp) = self.io.tcp() {
            // Fails only on a connection that is gone already.
            let _ = tcp.set_zero_linger();
        }
    }
}

/// A codec with empty buffers.
fn codec(worker: &Worker) -> WebSocketContext {
    let limits = &worker.limits;
    let config = WebSocketConfig::default()
        .read_buffer_size(limits.read_buffer_bytes)
        .write_buffer_size(limits.write_buffer_bytes)
        .max_write_buffer_size(limits.write_buffer_bytes_max())
        .max_message_size(Some(limits.message_bytes_max))
        .max_frame_size(Some(limits.message_bytes_max));
    WebSocketContext::new(Role::Server, Some(config))
}

/// What an error of the codec's own means: RFC 6455, 7.4.1.
fn failure(error: &Error) -> Incoming {
    use tokio_tungstenite::tungstenite::error::ProtocolError;
    match error {
        Error::Capacity(_) => Incoming::Violation(1009, "too large"),
        Error::Utf8(_) => Incoming::Violation(1007, "not UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Incoming::Lost,
        Error::Protocol(_) => Incoming::Violation(1002, "protocol error"),
        // The rest is the connection's end, or belongs to clients.
        _ => Incoming::Lost,
    }
}
