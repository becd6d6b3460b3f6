//! The agents: their sessions, and who of them picks. Whom a pick yields is the server's decision; the
//! desk hands what was picked to whoever plays that conversation.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use super::judge::Difference;
use super::report::{Tally, add};
use super::seat::Seat;
use crate::client::{CallError, Ended, Opened};

/// A session picks while it holds at most so many more than the one that holds least.
const BALANCE: usize = 2;
/// Pause after an empty queue: the queue hears of conversations a moment after their customers do.
const EMPTY_PAUSE: Duration = Duration::from_millis(20);
/// Pause after any other refusal.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);

/// One agent session.
pub(crate) struct Session {
    pub seat: Seat,
    /// The account's id.
    pub account: String,
    /// For people.
    pub name: String,
    /// Conversations that it works on.
    held: Cell<usize>,
    /// Tags that the organisation defines.
    pub tags: Vec<String>,
}

impl Session {
    pub fn new(number: usize, seat: Seat, opened: &Opened) -> Self {
        let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let tags = opened.organisation.get("tags").and_then(Value::as_array);
        let tags = tags.into_iter().flatten().map(|tag| text(tag, "tag")).filter(|tag| !tag.is_empty()).collect();
        let name = format!("agent session {number} ({})", text(&opened.me, "name"));
        Self { seat, account: opened.my_id().to_owned(), name, held: Cell::new(0), tags }
    }
}

/// A conversation was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub session: usize,
    pub claim: u64,
}

/// All agents of a run, one queue.
pub(crate) struct Desk {
    pub sessions: Vec<Session>,
    queue: String,
    tally: Rc<Tally>,
    /// Ours that wait for a pick.
    waiting: RefCell<HashSet<String>>,
    /// Who plays which conversation.
    plays: RefCell<HashMap<String, mpsc::UnboundedSender<Taken>>>,
    over: RefCell<HashSet<String>>,
    /// Picked before the answer to their start came; or not ours at all.
    unknown: RefCell<HashMap<String, Taken>>,
    picking: Cell<usize>,
    wake: Notify,
}

impl Desk {
    pub fn new(sessions: Vec<Session>, queue: String, tally: Rc<Tally>) -> Rc<Self> {
        Rc::new(Self {
            sessions,
            queue,
            tally,
            waiting: RefCell::default(),
            plays: RefCell::default(),
            over: RefCell::default(),
            unknown: RefCell::default(),
            picking: Cell::default(),
            wake: Notify::new(),
        })
    }

    /// A conversation has begun: somebody shall pick it.
    pub fn expect(&self, conversation: &str) -> mpsc::UnboundedReceiver<Taken> {
        let (tell, taken) = mpsc::unbounded_channel();
        match self.unknown.borrow_mut().remove(conversation) {
            Some(early) => {
                let _ = tell.send(early);
            }
            None => {
                self.waiting.borrow_mut().insert(conversation.to_owned());
            }
        }
        self.plays.borrow_mut().insert(conversation.to_owned(), tell);
        self.wake.notify_waiters();
        taken
    }

    /// A conversation is over, or given up.
    pub fn forget(&self, conversation: &str) {
        self.waiting.borrow_mut().remove(conversation);
        self.plays.borrow_mut().remove(conversation);
        self.over.borrow_mut().insert(conversation.to_owned());
    }

    /// It was taken otherwise than by a pick that we know of.
    pub fn no_longer_waits(&self, conversation: &str) {
        self.waiting.borrow_mut().remove(conversation);
    }

    pub fn hold(&self, session: usize) {
        add_to(&self.sessions[session].held, 1);
    }

    pub fn let_go(&self, session: usize) {
        let held = &self.sessions[session].held;
        held.set(held.get().saturating_sub(1));
        self.wake.notify_waiters();
    }

    /// Every conversation of ours that was ever taken up here.
    pub fn is_ours(&self, conversation: &str) -> bool {
        self.over.borrow().contains(conversation) || self.plays.borrow().contains_key(conversation)
    }

    /// Picked, and nobody's: of an earlier run, or of somebody else.
    pub fn foreign(&self) -> Vec<(String, Taken)> {
        self.unknown.borrow_mut().drain().collect()
    }

    async fn wanted(&self, session: usize) {
        loop {
            let least = self.sessions.iter().map(|session| session.held.get()).min().unwrap_or_default();
            let may = self.sessions[session].held.get() <= least + BALANCE;
            if may && self.waiting.borrow().len() > self.picking.get() {
                return;
            }
            self.wake.notified().await;
        }
    }

    /// Picks whenever somebody waits and it is this session's turn.
    pub async fn pick_on(self: Rc<Self>, session: usize) -> Ended {
        loop {
            self.wanted(session).await;
            add_to(&self.picking, 1);
            let picked = self.sessions[session].seat.client.change("queue.pick", json!({ "queue": self.queue })).await;
            match picked {
                Ok(answer) => {
                    let conversation = answer.result.get("conversation").and_then(Value::as_str).unwrap_or_default();
                    let claim = answer.result.get("claim").and_then(Value::as_u64).unwrap_or_default();
                    add(&self.tally.picks, 1);
                    self.tally.picked_at.set(Some(Instant::now()));
                    self.picked(conversation, Taken { session, claim });
                }
                Err(CallError::Refused(refusal)) if refusal.reason() == "queue_empty" => {
                    add(&self.tally.picks_empty, 1);
                    tokio::time::sleep(EMPTY_PAUSE).await;
                }
                Err(CallError::Refused(refusal)) => {
                    // Holding as many as one can is legal, and passes.
                    if refusal.reason() != "conflict" {
                        self.tally.differ(Difference {
                            script: String::new(),
                            conversation: String::new(),
                            view: self.sessions[session].name.clone(),
                            check: "refused",
                            expected: "queue.pick to yield a conversation".to_owned(),
                            got: refusal.to_string(),
                        });
                    }
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
                Err(CallError::Ended(ended)) => return ended,
            }
            self.picking.set(self.picking.get() - 1);
            self.wake.notify_waiters();
        }
    }

    fn picked(&self, conversation: &str, taken: Taken) {
        self.waiting.borrow_mut().remove(conversation);
        if let Some(play) = self.plays.borrow().get(conversation) {
            let _ = play.send(taken);
        } else if !self.over.borrow().contains(conversation) {
            self.unknown.borrow_mut().insert(conversation.to_owned(), taken);
        }
    }
}

fn add_to(cell: &Cell<usize>, more: usize) {
    cell.set(cell.get() + more);
}
