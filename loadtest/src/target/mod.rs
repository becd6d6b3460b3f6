//! What is loaded: the seam between the generator and the protocol of a server.
//!
//! The generator owns sockets, schedule, clocks, texts and judgement; an adapter owns bytes. One adapter serves all
//! connections of a generator process on one thread. It keeps no clock, waits for nothing and never sees a socket:
//! it is told what was heard and what to do, writes frames into [`Frames`], and tells what it understood as [`Told`].
//!
//! To add a target: implement [`Target`] in a file of its own (`echo.rs` is the smallest, `jono.rs` the fullest one), and
//! add a line to [`KNOWN`] and one to `play_target` in `play/mod.rs`.
//!
//! # What a connection goes through
//!
//! 1. The socket is upgraded as [`Target::upgrade`] says, then [`Target::opened`] writes the first frames, if the client
//!    speaks first. The sign-in may take any number of frames. When it is over: [`Told::Ready`], exactly once a connection.
//! 2. Conversations. With [`Reach::queue`] the customer is told to [`Action::Begin`], an agent to [`Action::Pick`] (see there). Without a
//!    queue both sides are told to [`Action::Join`], and each answers [`Told::Joined`] when it would be shown messages; a
//!    side that has nothing to do for that tells so at once.
//! 3. [`Action::Send`]: the text is sent as it is (escaped as the protocol wants it). [`Told::Acknowledged`] when the server has
//!    said to the *sender* that the message is stored, [`Told::Delivered`] when the *other side* reads it, and for every message that a
//!    connection is shown, its own among them (the generator tells them apart by [`Tag::side`]). The adapter need not remember texts: [`Told::shown`]
//!    reads conversation and number out of the text that came.
//! 4. After a connection was lost [`Target::lost`] is called and, if the user comes back, step 1 begins again with the same
//!    `Session`; what is in there decides whether the target can resume. Messages without acknowledgement are then sent again
//!    with the same number, if [`Reach::repeats`] says that the target tells repeats apart.
//!
//! # Cost
//!
//! There may be 20 000 connections in a process: `Session` should be a few dozen bytes for customers (box what is rare). The
//! functions are called for every frame: write into what is given, allocate nothing that is not kept. Answers to pings of
//! WebSocket are given by the socket; pings of the protocol (Engine.IO's `2`) are the adapter's.

pub mod echo;
pub mod ejabberd;
pub mod jono;
pub mod nats;
pub mod socketio;
mod tag;

use std::collections::BTreeMap;

pub use crate::socket::{Frame, Frames};
pub use tag::{Side, TAG_BYTES, Tag, Writing};

/// Names of the targets, as scenarios and `--target` give them, each with what it is.
pub const KNOWN: &[(&str, &str)] = &[
    ("jono", "Jono, over /v1/ws"),
    ("echo", "a server that returns every frame"),
    ("socketio", "Socket.IO over Redis streams"),
    ("nats", "NATS JetStream over WebSocket"),
    ("ejabberd", "ejabberd with its archive, XMPP over WebSocket"),
];

/// What an adapter is made of: `new(&Settings)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Settings {
    /// One of [`KNOWN`].
    pub name: String,
    /// Path and query of the URL; empty where the target has a usual one.
    pub path: String,
    /// The table `target.options` of the scenario, for what only this target knows.
    pub options: BTreeMap<String, String>,
    /// For Jono: what was prepared for this process.
    pub place: jono::Place,
}

/// A protocol that can be loaded. See the module.
pub trait Target {
    /// What a connection remembers, kept over reconnects.
    type Session: Default;

    /// What it can do.
    fn reach(&self) -> Reach;

    /// How this user's socket is upgraded.
    fn upgrade(&self, who: Who) -> Upgrade;

    /// The socket is open: write what the client says first.
    fn opened(&mut self, who: Who, session: &mut Self::Session, out: &mut Frames<'_>, told: &mut Vec<Told>);

    /// Do this. What [`Reach`] says is impossible never comes.
    fn act(&mut self, who: Who, session: &mut Self::Session, action: Action<'_>, out: &mut Frames<'_>, told: &mut Vec<Told>);

    /// One whole message came (fragments are joined).
    ///
    /// # Errors
    /// What came makes no sense at all: the connection is given up and the text shown. Refusals of single requests are no
    /// errors but [`Told::Refused`].
    fn heard(
        &mut self,
        who: Who,
        session: &mut Self::Session,
        frame: Frame<'_>,
        out: &mut Frames<'_>,
        told: &mut Vec<Told>,
    ) -> Result<(), String>;

    /// The connection is gone.
    fn lost(&mut self, who: Who, session: &mut Self::Session) {
        let _ = (who, session);
    }
}

/// What a target can do; scenarios that ask for more are refused before anything is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// There are agents. Without them (echo) the customer is shown its own messages, and that is the delivery.
    pub agents: bool,
    /// Customers wait in a queue and are picked; otherwise customers and agents are paired beforehand.
    pub queue: bool,
    /// [`Action::Typing`].
    pub typing: bool,
    /// [`Action::HandOver`].
    pub hand_over: bool,
    /// [`Action::Note`].
    pub notes: bool,
    /// A message sent again with the same number is applied once.
    pub repeats: bool,
    /// A user that comes back is sent what it missed; otherwise that is lost by design and not counted as loss.
    pub resumes: bool,
}

/// Whose connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// A visitor; the number is unique over all processes of a run.
    Customer(u32),
    /// Somebody who answers; numbered from 0 over all processes of a run.
    Agent(u32),
}

/// The HTTP request that begins a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// Path and query.
    pub path: String,
    /// `Sec-WebSocket-Protocol`, if one must be asked for.
    pub subprotocol: Option<&'static str>,
}

/// Who talks in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Unique over all processes of a run. Below 2^24.
    pub conversation: u32,
    /// The number of the customer.
    pub customer: u32,
    /// The number of the agent.
    pub agent: u32,
}

/// What a user does.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Both sides, targets without a queue: make sure that messages of this conversation arrive. Answer: [`Told::Joined`].
    Join(Pair),
    /// Customer: wait in the queue. Answers: [`Told::Begun`], later [`Told::Claimed`].
    Begin {
        /// Which conversation this will be.
        conversation: u32,
    },
    /// Agent: take whoever is next. Answer: [`Told::Picked`] or [`Told::NothingWaits`].
    Pick,
    /// Write a message. Answers: [`Told::Acknowledged`] here, [`Told::Delivered`] on the other side.
    Send {
        /// Who talks.
        pair: Pair,
        /// 0, 1, 2, ... of this side of this conversation. Below 2^24.
        number: u32,
        /// Begins with the [`Tag`]. No control characters but line breaks.
        text: &'a str,
    },
    /// Agent: write a note, which customers must never be shown. Answer: [`Told::Acknowledged`] is not told for it.
    Note {
        /// Where.
        conversation: u32,
        /// Begins with a [`Tag`] of [`Side::Note`].
        text: &'a str,
    },
    /// Begin or stop to type; no answer is expected.
    Typing {
        /// Where.
        conversation: u32,
        /// Begin.
        typing: bool,
    },
    /// Agent: give it to another one. Answer: [`Told::Held`] on that one's connection.
    HandOver {
        /// What.
        conversation: u32,
        /// The number of the other agent.
        to: u32,
    },
    /// Either side ends the conversation. Answer: [`Told::Ended`] on both.
    End {
        /// Which.
        conversation: u32,
    },
    /// Close the session in good order, if the protocol has such a thing. The socket is closed afterwards.
    Leave,
}

/// What an adapter understood. Small and without text, since there are millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The sign-in is over. `complete`: after coming back, whether everything that was missed is sent; `None` the first time.
    Ready {
        /// See above.
        complete: Option<bool>,
    },
    /// This side would be shown messages of the conversation.
    Joined {
        /// Which.
        conversation: u32,
    },
    /// The customer waits.
    Begun {
        /// Which.
        conversation: u32,
    },
    /// The customer was shown that somebody took the conversation.
    Claimed {
        /// Which.
        conversation: u32,
    },
    /// The pick of that agent has taken this conversation. May be told on another connection than the agent's.
    Picked {
        /// Which.
        conversation: u32,
        /// The number of the agent.
        agent: u32,
    },
    /// The pick found nobody.
    NothingWaits,
    /// This agent holds the conversation now without having picked it.
    Held {
        /// Which.
        conversation: u32,
        /// The number of the agent.
        agent: u32,
    },
    /// The sender's message is stored, as far as the target promises.
    Acknowledged {
        /// Which.
        conversation: u32,
        /// Of the message.
        number: u32,
    },
    /// This connection was shown a message or a note: one of the other side, or its own.
    Delivered {
        /// What its text says.
        tag: Tag,
        /// The text is what was written.
        intact: bool,
    },
    /// The other side types, or has stopped.
    Typing {
        /// Where.
        conversation: u32,
    },
    /// The conversation has ended.
    Ended {
        /// Which.
        conversation: u32,
    },
    /// The server did not do it.
    Refused {
        /// What.
        about: About,
        /// Why.
        reason: Reason,
    },
    /// The target's own numbering (Jono's `prev`) shows a hole, a repetition or an event of somebody else.
    Wrong(Wrong),
}

impl Told {
    /// [`Told::Delivered`], if there is a mark in what a connection was shown.
    #[must_use]
    pub fn shown(bytes: &[u8], writing: Writing) -> Option<Self> {
        Tag::find(bytes, writing).map(|(tag, intact)| Self::Delivered { tag, intact })
    }
}

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The sign-in: the user is given up.
    SignIn,
    /// [`Action::Join`].
    Join(u32),
    /// [`Action::Begin`].
    Begin(u32),
    /// [`Action::Pick`].
    Pick,
    /// [`Action::Send`].
    Send {
        /// Which.
        conversation: u32,
        /// Of the message.
        number: u32,
    },
    /// [`Action::HandOver`].
    HandOver(u32),
    /// [`Action::End`].
    End(u32),
    /// Something else.
    Other,
}

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// This user asks too often.
    RateLimited,
    /// The server has too much to do.
    Busy,
    /// The server cannot tell whether it was done.
    Unavailable,
    /// The queue is closed or full.
    QueueShut,
    /// Another agent holds the conversation, or it has ended.
    Lost,
    /// The credentials are wrong.
    Unauthorised,
    /// Anything else.
    Other,
}

/// A broken promise that shows without knowing what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// An event came twice.
    Repeated,
    /// An event is missing before this one, or they came in another order.
    Hole,
    /// Somebody was shown what is not theirs.
    Foreign,
}

/// Writes a text as the inside of a JSON string.
pub fn json_escape(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut clean_from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escaped: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b" ",
            _ => continue,
        };
        out.extend_from_slice(&bytes[clean_from..at]);
        out.extend_from_slice(escaped);
        clean_from = at + 1;
    }
    out.extend_from_slice(&bytes[clean_from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_texts_are_read_back_as_they_were() {
        let text = "a \"quoted\" back\\slash\nand ä, tab\t.";
        let mut out = b"\"".to_vec();
        json_escape(&mut out, text);
        out.push(b'"');
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }
}
