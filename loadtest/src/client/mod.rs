//! One JSON-RPC client of Jono that does not give up: it reconnects, resumes, and repeats what was
//! not answered, with the same key.
//!
//! Owns the connection and the requests under way; what the server tells goes to an [`Observer`], in
//! the order in which it came. Knows nothing of scripts and judgement.
//!
//! Everything here runs on one thread: clients are made inside a [`tokio::task::LocalSet`].

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot, watch};

mod driver;
pub mod limits;
mod line;
mod wire;

pub use wire::{Author, AuthorKind, Event, Opened, QueueRow, Refusal};

use driver::Driver;

/// Who a client is.
#[derive(Clone, Debug)]
pub enum Identity {
    /// A visitor of a site; the server says which one.
    Customer {
        /// The public key of the embed.
        site: String,
        /// What they call themselves.
        name: Option<String>,
    },
    /// An agent account.
    Agent {
        /// Its secret.
        token: String,
    },
}

/// How a client is made.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where to connect: `ws://host:port/path`. After a failure the next one is tried.
    pub urls: Vec<String>,
    /// Which one is tried first.
    pub url_first: usize,
    /// Who it is.
    pub identity: Identity,
    /// What its keys begin with: no two clients ever may share it, not even of different runs.
    pub key_prefix: String,
    /// Whether the very first connection may take several attempts.
    pub patient_at_start: bool,
    /// For the jitter.
    pub seed: u64,
}

/// Something the server said by itself.
#[derive(Clone, Copy, Debug)]
pub struct Notification<'a> {
    /// What it is.
    pub method: &'a str,
    /// Not parsed yet: most are not looked at.
    pub params: &'a RawValue,
}

/// Is told everything that a client is told, in order. Called from the client's task: it must not block.
pub trait Observer {
    /// What the session has seen, for `session.open`: conversation and last `seq`.
    fn since(&mut self) -> Vec<(String, u64)>;
    /// A session was opened, with that `since`; the notifications that follow belong to it.
    fn opened(&mut self, opened: &Opened, since: &[(String, u64)]);
    /// See [`Notification`].
    fn notified(&mut self, notification: Notification<'_>);
}

/// Counted over all clients of a run.
#[derive(Debug, Default)]
pub struct Totals {
    /// Sessions opened again after a connection was lost.
    pub reconnects: Cell<u64>,
    /// Requests sent again, with the same key, because their answer never came.
    pub repeats: Cell<u64>,
    /// Requests sent again because the answer was `busy`, `unavailable` or `rate_limited`.
    pub postponed: Cell<u64>,
    /// Text frames received.
    pub frames: Cell<u64>,
    /// Reconnections that the server said were not complete (`resumed: false`).
    pub resumed_with_gap: Cell<u64>,
    /// Why connections ended, and how often: close codes and other causes.
    pub endings: RefCell<std::collections::BTreeMap<String, u64>>,
}

impl Totals {
    fn count(cell: &Cell<u64>) {
        cell.set(cell.get() + 1);
    }
}

/// Why a client does nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Closed,
    /// It makes no sense to go on; in words.
    Hopeless(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the client was closed"),
            Self::Hopeless(why) => f.write_str(why),
        }
    }
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq)]
pub enum CallError {
    /// The server's no, after waiting where it asked to wait.
    Refused(Refusal),
    /// The client ended before an answer came.
    Ended(Ended),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Ended(ended) => ended.fmt(f),
        }
    }
}

/// A call's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// As the method has it.
    pub result: Value,
    /// When the request left first.
    pub sent: Instant,
    /// From then to the answer, reconnections included.
    pub took: Duration,
}

impl Answer {
    /// The number of the event that the request became, if it became one.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.result.get("seq").and_then(Value::as_u64)
    }
}

enum Command {
    Call { method: &'static str, params: Value, reply: oneshot::Sender<Result<Answer, CallError>> },
    Drop,
    Close,
}

/// How the connection stands.
#[derive(Clone, Debug)]
struct Standing {
    opened: Option<Rc<Opened>>,
    connected: bool,
    changed_at: Instant,
    ended: Option<Ended>,
}

/// A cheap handle; when the last one is gone the client closes.
#[derive(Clone)]
pub struct Client {
    commands: mpsc::UnboundedSender<Command>,
    standing: watch::Receiver<Standing>,
    key_prefix: Rc<str>,
    keys: Rc<Cell<u64>>,
}

impl Client {
    /// Connects in the background.
    pub fn start(config: ClientConfig, observer: Rc<RefCell<dyn Observer>>, totals: Rc<Totals>) -> Self {
        let (commands, inbox) = mpsc::unbounded_channel();
        let first = Standing { opened: None, connected: false, changed_at: Instant::now(), ended: None };
        let (tell, standing) = watch::channel(first);
        let key_prefix: Rc<str> = config.key_prefix.as_str().into();
        tokio::task::spawn_local(Driver::new(config, observer, totals, inbox, tell).run());
        Self { commands, standing, key_prefix, keys: Rc::default() }
    }

    /// Waits until a session is open; what the server said to the last `session.open`.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn opened(&self) -> Result<Rc<Opened>, Ended> {
        let mut standing = self.standing.clone();
        let settled = standing.wait_for(|standing| standing.ended.is_some() || (standing.connected && standing.opened.is_some()));
        let standing = settled.await.map_err(|_| Ended::Closed)?.clone();
        match (standing.ended, standing.opened) {
            (Some(ended), _) => Err(ended),
            (None, opened) => opened.ok_or(Ended::Closed),
        }
    }

    /// Asks something that changes nothing.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn ask(&self, method: &'static str, params: Value) -> Result<Answer, CallError> {
        let (reply, answer) = oneshot::channel();
        let gone = |_| CallError::Ended(self.ended().unwrap_or(Ended::Closed));
        self.commands.send(Command::Call { method, params, reply }).map_err(|_| gone(()))?;
        answer.await.unwrap_or_else(|_| Err(gone(())))
    }

    /// Asks for a change: the request carries a key of its own, so that it happens once however often it is sent.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn change(&self, method: &'static str, mut params: Value) -> Result<Answer, CallError> {
        let number = self.keys.get();
        self.keys.set(number + 1);
        params["key"] = Value::String(format!("{}-{number}", self.key_prefix));
        self.ask(method, params).await
    }

    /// Lets the connection fall, as a bad network would; the client resumes.
    pub fn drop_connection(&self) {
        let _ = self.commands.send(Command::Drop);
    }

    /// Ends the session.
    pub fn close(&self) {
        let _ = self.commands.send(Command::Close);
    }

    /// Whether it was connected all the time since then: if not, waiting for something says nothing.
    #[must_use]
    pub fn was_connected_since(&self, then: Instant) -> bool {
        let standing = self.standing.borrow();
        standing.connected && standing.changed_at <= then
    }

    /// Why it does nothing any more, if so.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.standing.borrow().ended.clone()
    }
}
