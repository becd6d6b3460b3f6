//! A session's life: fresh, opening, open, closing. Whatever comes from the client passes through here.

use std::sync::Arc;

use jono_domain::time::Time;
use jono_engine::delivery::SessionRef;
use jono_socket::{Closed, Text};

use super::gateway::{Gateway, Origin, Told};
use super::open::{Context, Open, Then};
use super::opening::{self, Fresh, Opening, Progress};
use super::replies::{Replies, Slot};
use super::seam::Sink;
use super::starts::Network;
use crate::wire::envelope::{self, Call, Incoming, Malformed};
use crate::wire::error::WireError;
use crate::wire::methods::{self, Method};
use crate::wire::notifications::{Nothing, say};
use crate::wire::results::Pong;

/// A session, without its socket and its clock: what every socket has one of, and what simulations drive.
pub struct Life {
    gateway: Arc<Gateway>,
    state: State,
    replies: Replies,
    /// The peer's address, if it is counted by that.
    network: Option<Network>,
    /// The socket, once it is open.
    socket: u64,
    /// The close is decided: nothing is listened to any more.
    is_closing: bool,
}

enum State {
    Fresh(Fresh),
    Opening(Box<Opening>),
    Open(Box<Open>),
    /// Ended, or in the midst of a step.
    Closing,
}

impl Life {
    /// Of a client that is no page, and is not counted by its address.
    #[must_use]
    pub fn of_client(gateway: Arc<Gateway>) -> Self {
        Self::new(gateway, None, None)
    }

    pub(super) fn new(gateway: Arc<Gateway>, network: Option<Network>, origin: Option<Box<Origin>>) -> Self {
        Self {
            gateway,
            state: State::Fresh(Fresh { origin, next_request: 1 }),
            replies: Replies::default(),
            network,
            socket: 0,
            is_closing: false,
        }
    }

    /// The socket is open; nothing comes before this.
    pub fn opened(&mut self, sink: &mut dyn Sink) {
        self.socket = sink.id();
    }

    /// One text frame.
    pub fn received(&mut self, text: &str, now: Time, sink: &mut dyn Sink) {
        match envelope::read(text) {
            Incoming::Single(call) => self.one(call, None, now, sink),
            Incoming::Batch(calls) => {
                let batch = self.replies.begin(calls.len());
                for call in calls {
                    self.one(call, Some(batch), now, sink);
                }
            }
        }
    }

    fn one(&mut self, call: Result<Call<'_>, Malformed>, batch: Option<u32>, now: Time, sink: &mut dyn Sink) {
        if self.is_closing {
            return;
        }
        let Call { id, method, params } = match call {
            Ok(call) => call,
            Err(Malformed { id, error }) => return self.replies.say(Slot::malformed(id, batch), Err(error), sink),
        };
        let slot = Slot::of(id, batch);
        let method = Method::find(&method);
        let state = std::mem::replace(&mut self.state, State::Closing);
        let context = &mut Context { gateway: &self.gateway, replies: &mut self.replies, network: self.network, sink, now };
        self.state = match (state, method) {
            (State::Closing, _) => State::Closing,
            (state, None) => {
                context.replies.say(slot, Err(WireError::method_not_found()), context.sink);
                state
            }
            (state, Some(Method { call: methods::Call::Ping, .. })) => {
                let pong = super::render::written(&Pong { now: now.0 });
                context.replies.say(slot, Ok(pong), context.sink);
                state
            }
            (State::Fresh(fresh), Some(Method { call: methods::Call::SessionOpen, .. })) => {
                if slot.is_silent() {
                    let error = WireError::invalid_request("session.open needs an id");
                    context.replies.say(Slot::malformed(None, batch), Err(error), context.sink);
                    State::Fresh(fresh)
                } else {
                    went_on(opening::begin(params, slot, fresh, context), context, &mut self.is_closing)
                }
            }
            (state @ State::Opening(_), Some(Method { call: methods::Call::SessionOpen, .. })) => {
                context.replies.say(slot, Err(WireError::conflict("the session is being opened")), context.sink);
                state
            }
            (state @ State::Open(_), Some(Method { call: methods::Call::SessionOpen, .. })) => {
                context.replies.say(slot, Err(WireError::conflict("the session is open")), context.sink);
                state
            }
            (state @ (State::Fresh(_) | State::Opening(_)), Some(_)) => {
                context.replies.say(slot, Err(WireError::unauthorized("session.open comes first")), context.sink);
                state
            }
            (State::Open(mut open), Some(method)) => {
                let then = open.call(method, params, slot, context);
                self.went(open, then, sink)
            }
        };
    }

    /// Something came from another thread.
    pub fn told(&mut self, told: Told, now: Time, sink: &mut dyn Sink) {
        if self.is_closing {
            return;
        }
        let state = std::mem::replace(&mut self.state, State::Closing);
        let context = &mut Context { gateway: &self.gateway, replies: &mut self.replies, network: self.network, sink, now };
        let told = match (told, &state) {
            // From now on the session unfollows it when it ends.
            (Told::Led(led), State::Opening(_) | State::Open(_)) => Told::Delivery(led.take()),
            (told, _) => told,
        };
        self.state = match (told, state) {
            (_, State::Closing) => State::Closing,
            (Told::Delivery(delivery), State::Open(mut open)) => {
                let then = open.told(delivery, context);
                self.went(open, then, sink)
            }
            (Told::Delivery(delivery), State::Opening(opening)) => {
                went_on(opening.told(delivery, context), context, &mut self.is_closing)
            }
            // Of an open that failed.
            (Told::Delivery(_) | Told::Led(_), state) => state,
            (Told::Moved(moved), State::Open(mut open)) => {
                open.moved(&moved, context);
                State::Open(open)
            }
            // It will find that out when it is open.
            (Told::Moved(_), state) => state,
            (Told::Reset, state @ State::Fresh(_)) => state,
            (Told::Reset, state) => {
                self.is_closing = true;
                sink.close(1012, "resume");
                state
            }
            (Told::Superseded, state) => {
                self.is_closing = true;
                sink.close(4002, "superseded");
                state
            }
            (Told::Draining, state) => {
                sink.send(Text::from(say("server.draining", &Nothing {})));
                state
            }
        };
    }

    /// The peer has taken everything that was sent.
    pub fn go_on(&mut self, now: Time, sink: &mut dyn Sink) {
        if let State::Open(open) = &mut self.state {
            open.go_on(&mut Context { gateway: &self.gateway, replies: &mut self.replies, network: self.network, sink, now });
        }
    }

    /// Is there something that could not go on for want of room, here or in the engine?
    pub fn has_more(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.has_more())
    }

    /// The socket is closed: nothing is followed any more.
    pub fn closed(&mut self, cause: Closed) {
        let session = SessionRef { gateway: self.gateway.number, session: self.socket };
        match std::mem::replace(&mut self.state, State::Closing) {
            State::Fresh(_) | State::Closing => {}
            State::Opening(opening) => opening.leave(session, &self.gateway),
            State::Open(open) => {
                tracing::debug!(socket = self.socket, who = ?open.party.who(), ?cause, "session closed");
                open.leave(session, &self.gateway);
                self.gateway.leave(open.party.account(), self.socket);
            }
        }
    }

    fn went(&mut self, open: Box<Open>, then: Then, sink: &mut dyn Sink) -> State {
        match then {
            Then::GoOn => {}
            Then::Close => {
                self.replies.finish(sink);
                sink.close(1000, "done");
            }
            Then::Expire => sink.close(4004, "session expired"),
        }
        self.is_closing = then != Then::GoOn;
        // Kept until `closed`, which unfollows.
        State::Open(open)
    }
}

fn went_on(progress: Progress, context: &mut Context<'_>, is_closing: &mut bool) -> State {
    match progress {
        Progress::Opening(opening) => State::Opening(opening),
        Progress::Open(open, then) => {
            if then == Then::Expire {
                *is_closing = true;
                context.sink.close(4004, "session expired");
            }
            State::Open(open)
        }
        Progress::Failed { fresh, is_final } => {
            if is_final {
                *is_closing = true;
                context.replies.finish(context.sink);
                context.sink.close(4001, "credentials refused");
            }
            State::Fresh(fresh)
        }
    }
}
