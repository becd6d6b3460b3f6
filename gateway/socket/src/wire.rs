//! Owns the seam between an asynchronous transport and the codec, which reads and writes as if it
//! blocked: would-block stands for pending, and every byte read passes the meter first.

use crate::{meter::Meter, stats::bump, worker::Worker};
use actix_codec::{AsyncRead, AsyncWrite, ReadBuf};
use bytes::{Buf as _, BytesMut};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

/// A stream that can carry sockets. TLS streams give the TCP stream inside.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + 'static {
    /// The TCP connection below, for its options.
    fn tcp(&self) -> Option<&tokio::net::TcpStream>;
}

impl Transport for tokio::net::TcpStream {
    fn tcp(&self) -> Option<&tokio::net::TcpStream> {
        Some(self)
    }
}

/// The transport as the codec sees it during one call, metered.
pub(crate) struct Wire<'a, 'c, T> {
    pub(crate) io: &'a mut T,
    pub(crate) early: &'a mut BytesMut,
    pub(crate) meter: &'a mut Meter,
    pub(crate) heard_ms: &'a mut u64,
    pub(crate) written_peak: &'a mut usize,
    pub(crate) worker: &'a Worker,
    pub(crate) cx: &'a mut Context<'c>,
}

impl<T: Transport> io::Read for Wire<'_, '_, T> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if self.meter.fault().is_some() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let count = if self.early.is_empty() {
            let mut buffer = ReadBuf::new(space);
            match Pin::new(&mut *self.io).poll_read(self.cx, &mut buffer) {
                Poll::Ready(done) => done?,
                Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
            }
            buffer.filled().len()
        } else {
            let count = self.early.len().min(space.len());
            self.early.copy_to_slice(&mut space[..count]);
            if self.early.is_empty() {
                *self.early = BytesMut::new();
            }
            count
        };
        if count == 0 {
            return Ok(0);
        }
        *self.heard_ms = self.worker.now_ms();
        bump(&self.worker.counts().bytes_in, count as u64);
        let limits = &self.worker.limits;
        match self.meter.pass(&space[..count], limits, *self.heard_ms) {
            0 => Err(io::ErrorKind::InvalidData.into()),
            passed => Ok(passed),
        }
    }
}

impl<T: Transport> io::Write for Wire<'_, '_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match Pin::new(&mut *self.io).poll_write(self.cx, bytes) {
            Poll::Ready(done) => done,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match Pin::new(&mut *self.io).poll_flush(self.cx) {
            Poll::Ready(done) => done,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}
