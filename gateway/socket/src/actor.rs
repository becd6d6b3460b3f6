//! Owns the actor of one socket: it lives as long as the connection, receives what the connection
//! brings, and gives the socket's slot and permit back when it ends, however it ends.

use crate::{
    core::Core,
    gate::Permit,
    hub::{Hub, Member},
    id::SocketId,
    line::Line,
    outbox::Outbox,
    session::{Door, Session},
    wire::Transport,
    worker::Due,
};
use actix::{Actor, Context, StreamHandler};
use bytes::BytesMut;
use futures_util::Stream;
use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{self, Poll},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// A socket's core, shared by its actor, the stream the actor reads, and the hub; all on one thread,
/// and never borrowed across a call into another of them.
struct Shared<S, T> {
    core: RefCell<Core<S, T>>,
    marked: Cell<bool>,
}

/// Makes a connection that has shaken hands into a socket.
pub(crate) fn start<S: Session, T: Transport>(
    hub: &Rc<Hub<S::Message>>,
    id: SocketId,
    session: S,
    connection: (T, BytesMut),
    peer: SocketAddr,
    permit: Permit,
) {
    let worker = Rc::clone(&hub.worker);
    let door = Door {
        id,
        peer,
        outbox: Outbox::new(Rc::clone(&worker)),
        close: None,
        confirmed: false,
        overflowed: false,
        wants_drained: false,
        peer_is_behind: false,
    };
    let (io, early) = connection;
    let line = Line::new(io, early, Rc::clone(&worker));
    let shared = Rc::new(Shared { core: RefCell::new(Core::new(session, door, line, worker)), marked: Cell::new(false) });
    SocketActor { shared, hub: Rc::clone(hub), id, _permit: permit }.start();
}

struct SocketActor<S: Session, T: Transport> {
    shared: Rc<Shared<S, T>>,
    hub: Rc<Hub<S::Message>>,
    id: SocketId,
    _permit: Permit,
}

impl<S: Session, T: Transport> Actor for SocketActor<S, T> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.shared.core.borrow_mut().opened();
        let member: Rc<dyn Member<S::Message>> = self.shared.clone();
        self.hub.enter(self.id, member);
        Self::add_stream(Inbound(Rc::clone(&self.shared)), ctx);
    }
}

impl<S: Session, T: Transport> StreamHandler<Utf8Bytes> for SocketActor<S, T> {
    fn handle(&mut self, text: Utf8Bytes, _: &mut Self::Context) {
        self.shared.core.borrow_mut().received(text.as_str());
    }
}

impl<S: Session, T: Transport> Drop for SocketActor<S, T> {
    fn drop(&mut self) {
        self.shared.core.borrow_mut().dropped();
        self.hub.leave(self.id);
    }
}

/// The stream that drives the socket; ends with the connection, and the actor with it.
struct Inbound<S, T>(Rc<Shared<S, T>>);

impl<S: Session, T: Transport> Stream for Inbound<S, T> {
    type Item = Utf8Bytes;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Utf8Bytes>> {
        self.0.core.borrow_mut().poll(cx)
    }
}

impl<S: Session, T: Transport> Member<S::Message> for Shared<S, T> {
    fn tell(&self, message: S::Message) {
        self.core.borrow_mut().told(message);
    }

    fn write(&self) {
        self.marked.set(false);
        self.core.borrow_mut().write_from_outside();
    }

    fn visit(&self, now_ms: u64) {
        self.core.borrow_mut().visit(now_ms);
    }

    fn expire(&self, due: Due) {
        self.core.borrow_mut().expire(due);
    }

    fn close(&self, code: u16, reason: &'static str) {
        self.core.borrow_mut().close_from_outside(code, reason);
    }

    fn overrun(&self) {
        self.core.borrow_mut().overrun();
    }

    fn reset(&self) {
        self.core.borrow_mut().reset();
    }

    fn mark(&self) -> bool {
        !self.marked.replace(true)
    }
}
