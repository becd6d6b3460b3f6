//! Owns the upgrade hook: from an HTTP connection to a socket, or to a refusal. It ends when the
//! socket's actor has started, so that the HTTP connection's buffers go (kept, a socket costs 8 KB
//! instead of 3).

use crate::{
    actor,
    gate::{Connecting, Gate},
    handshake::{self, Admit, Handshake, HttpRefusal},
    hub::Hub,
    limits::DISCARD_BYTES_MAX,
    session::Session,
    stats::{Refused, bump},
    wire::Transport,
};
use actix_codec::Framed;
use actix_http::{
    Request, Response, StatusCode,
    body::BodySize,
    h1::{Codec, Message},
    header,
};
use bytes::{Bytes, BytesMut};
use futures_util::SinkExt as _;
use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

/// What the hook needs, one per worker.
pub(crate) struct Upgrade<A: Admit> {
    pub(crate) admit: A,
    pub(crate) hub: Rc<Hub<<A::Session as Session>::Message>>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) subprotocols: &'static [&'static str],
}

impl<A: Admit> Upgrade<A> {
    /// Handles one upgrade request to its end.
    pub(crate) async fn handle<T: Transport>(&self, request: Request, mut framed: Framed<T, Codec>) {
        let counts = self.hub.worker.counts();
        let (refusal, why) = match self.prepare(&request) {
            Ok((handshake, session, permit, peer)) => {
                // With the request goes the connection's place among those that are not sockets.
                drop(request);
                let patience = Duration::from_millis(self.hub.worker.limits.handshake_ms);
                let answered = timeout(patience, accept(&mut framed, &handshake)).await;
                let Ok(Ok(())) = answered else { return };
                let Some(id) = self.hub.reserve() else { return };
                bump(&counts.accepted, 1);
                let parts = framed.into_parts();
                // Copied: the buffer of the HTTP connection is 8 KiB, and mostly empty.
                let connection = (parts.io, BytesMut::from(&parts.read_buf[..]));
                return actor::start(&self.hub, id, session, connection, peer, permit);
            }
            Err(refused) => refused,
        };
        counts.refused(why);
        drop(request);
        let patience = Duration::from_millis(self.hub.worker.limits.closing_ms);
        // A peer that does not take its refusal goes without.
        let _ = timeout(patience, refuse(framed, refusal)).await;
    }

    #[expect(clippy::type_complexity, reason = "the four things a socket starts from")]
    fn prepare(
        &self,
        request: &Request,
    ) -> Result<(Handshake, A::Session, crate::gate::Permit, SocketAddr), (HttpRefusal, Refused)> {
        let unnamed = || HttpRefusal::new(StatusCode::BAD_REQUEST, "no peer address");
        let peer = request.peer_addr();
        let peer = peer.ok_or_else(|| (unnamed(), Refused::Malformed))?;
        let handshake = handshake::judge(request, self.subprotocols).map_err(|refusal| (refusal, Refused::Malformed))?;
        let permit = self.gate.admit(peer.ip()).map_err(|why| {
            let (status, reason) = match why {
                Refused::AddressFull => (StatusCode::TOO_MANY_REQUESTS, "too many sockets of this address"),
                Refused::Draining => (StatusCode::SERVICE_UNAVAILABLE, "server going"),
                Refused::Full | Refused::Malformed | Refused::NotAdmitted | Refused::AddressRate => {
                    (StatusCode::SERVICE_UNAVAILABLE, "full")
                }
            };
            (HttpRefusal::new(status, reason), why)
        })?;
        let session = self
            .admit
            .admit(&handshake::head(request, peer.ip(), &handshake))
            .map_err(|refusal| (refusal, Refused::NotAdmitted))?;
        Ok((handshake, session, permit, peer))
    }
}

/// Switches protocols, behind whatever was answered on the connection before.
async fn accept<T: Transport>(framed: &mut Framed<T, Codec>, handshake: &Handshake) -> std::io::Result<()> {
    let mut response = Response::build(StatusCode::SWITCHING_PROTOCOLS);
    response.upgrade("websocket");
    response.insert_header((header::SEC_WEBSOCKET_ACCEPT, handshake.accept.as_str()));
    if let Some(subprotocol) = handshake.subprotocol {
        response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, subprotocol));
    }
    let response = response.finish().drop_body();
    framed.send(Message::Item((response, BodySize::None))).await
}

/// Answers with an error and lingers until the peer has read it: else what it still sends would
/// turn our end into a reset, and the reset would eat the answer.
async fn refuse<T: Transport>(mut framed: Framed<T, Codec>, refusal: HttpRefusal) -> std::io::Result<()> {
    let mut response = Response::build(refusal.status);
    response.force_close();
    response.content_type("text/plain; charset=utf-8");
    if refusal.status == StatusCode::UPGRADE_REQUIRED {
        response.insert_header((header::UPGRADE, "websocket"));
        response.insert_header((header::SEC_WEBSOCKET_VERSION, "13"));
    }
    let body = Bytes::from(refusal.reason);
    let size = BodySize::Sized(body.len() as u64);
    let response = response.finish().drop_body();
    framed.feed(Message::Item((response, size))).await?;
    framed.send(Message::Chunk(Some(body))).await?;
    let mut io = framed.into_parts().io;
    io.shutdown().await?;
    let mut space = [0; 1024];
    let mut left = DISCARD_BYTES_MAX;
    loop {
        match (io.read(&mut space).await?, left) {
            (0, _) => return Ok(()),
            (count, more) if count <= more => left -= count,
            _ => return Ok(()),
        }
    }
}

/// Sets a new connection's options and takes its place; a connection over the limits of its address
/// is ended. The place is kept in the connection's extensions.
pub(crate) fn connected<T: Transport>(
    io: &T,
    extensions: &mut actix_http::Extensions,
    gate: &Arc<Gate>,
    worker: &crate::worker::Worker,
) {
    let Some(tcp) = io.tcp() else { return };
    let Ok(peer) = tcp.peer_addr() else { return };
    let socket = socket2::SockRef::from(tcp);
    let user_timeout = Duration::from_millis(worker.limits.user_timeout_ms);
    // Both fail only on a connection that is gone already.
    let _ = socket.set_send_buffer_size(worker.limits.send_buffer_bytes);
    let _ = socket.set_tcp_user_timeout(Some(user_timeout));
    match gate.connect(peer.ip()) {
        Some(place) => {
            extensions.insert::<Connecting>(place);
        }
        None => {
            worker.counts().refused(Refused::AddressRate);
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }
}
