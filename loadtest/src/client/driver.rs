//! The task behind a client: connects, opens the session, carries requests, and begins anew when the
//! connection falls.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot, watch};

use super::limits::{
    ANSWER_MAX, AWAY_MAX, BACKOFF_FIRST, BACKOFF_MAX, CLOSE_MAX, OPEN_MAX, POSTPONE_MAX, RATE_PAUSE, SILENT_MAX,
};
use super::line::{Heard, Line};
use super::wire::{self, Incoming, Opened, Refusal};
use super::{Answer, CallError, ClientConfig, Command, Ended, Identity, Notification, Observer, Standing, Totals};
use crate::dice::Dice;

/// A request that has no answer yet.
struct Pending {
    method: &'static str,
    params: Value,
    reply: oneshot::Sender<Result<Answer, CallError>>,
    /// When it left first.
    sent: Option<Instant>,
    /// When it left on the connection that is.
    sent_here: Option<Instant>,
    /// When it may leave again, if the server asked to wait.
    not_before: Option<Instant>,
}

/// Why a connection is over.
enum Over {
    /// Connect again, after this pause if there is one.
    Again(String, Option<Duration>),
    /// Do not.
    Never(Ended),
}

impl Over {
    fn again(why: impl Into<String>) -> Self {
        Self::Again(why.into(), None)
    }
}

pub(super) struct Driver {
    config: ClientConfig,
    observer: Rc<RefCell<dyn Observer>>,
    totals: Rc<Totals>,
    inbox: mpsc::UnboundedReceiver<Command>,
    standing: watch::Sender<Standing>,
    pending: BTreeMap<u64, Pending>,
    last_id: u64,
    url: usize,
    resume: Option<String>,
    opened_before: bool,
    dice: Dice,
}

impl Driver {
    pub fn new(
        config: ClientConfig,
        observer: Rc<RefCell<dyn Observer>>,
        totals: Rc<Totals>,
        inbox: mpsc::UnboundedReceiver<Command>,
        standing: watch::Sender<Standing>,
    ) -> Self {
        let dice = Dice::new(config.seed, 1);
        Self {
            url: config.url_first,
            config,
            observer,
            totals,
            inbox,
            standing,
            pending: BTreeMap::new(),
            last_id: 0,
            resume: None,
            opened_before: false,
            dice,
        }
    }

    pub async fn run(mut self) {
        let ended = self.live().await;
        self.standing.send_modify(|standing| {
            standing.connected = false;
            standing.changed_at = Instant::now();
            standing.ended = Some(ended.clone());
        });
        for (_, pending) in std::mem::take(&mut self.pending) {
            let _ = pending.reply.send(Err(CallError::Ended(ended.clone())));
        }
    }

    async fn live(&mut self) -> Ended {
        let mut attempt = 0;
        let mut away_since = Instant::now();
        loop {
            let opened_at = self.opened_at();
            let over = self.connection().await;
            if self.opened_at() != opened_at {
                attempt = 0;
                away_since = Instant::now();
            }
            let (why, pause) = match over {
                Over::Never(ended) => return ended,
                Over::Again(why, pause) => (why, pause),
            };
            self.standing.send_modify(|standing| {
                standing.connected = false;
                standing.changed_at = Instant::now();
            });
            let url = &self.config.urls[self.url % self.config.urls.len()];
            if !self.opened_before && !self.config.patient_at_start {
                return Ended::Hopeless(format!("{url}: {why}"));
            }
            if away_since.elapsed() > AWAY_MAX {
                return Ended::Hopeless(format!("{url}: no session for {} s: {why}", AWAY_MAX.as_secs()));
            }
            if let Some(ended) = self.pause(attempt, pause).await {
                return ended;
            }
            attempt += 1;
            self.url += 1;
        }
    }

    /// Tells one opened session from the next.
    fn opened_at(&self) -> Option<*const Opened> {
        self.standing.borrow().opened.as_ref().map(Rc::as_ptr)
    }

    /// Waits before the next attempt; requests are accepted meanwhile.
    async fn pause(&mut self, attempt: u32, at_least: Option<Duration>) -> Option<Ended> {
        let backoff = BACKOFF_FIRST.saturating_mul(1 << attempt.min(10)).min(BACKOFF_MAX);
        let jittered = backoff.mul_f64(0.5 + self.dice.below(1000) as f64 / 2000.0);
        let until = tokio::time::Instant::now() + jittered.max(at_least.unwrap_or_default());
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return None,
                command = self.inbox.recv() => match command {
                    Some(Command::Call { method, params, reply }) => { self.enqueue(method, params, reply); }
                    Some(Command::Drop) => {}
                    Some(Command::Close) | None => return Some(Ended::Closed),
                },
            }
        }
    }

    fn enqueue(&mut self, method: &'static str, params: Value, reply: oneshot::Sender<Result<Answer, CallError>>) -> u64 {
        self.last_id += 1;
        let pending = Pending { method, params, reply, sent: None, sent_here: None, not_before: None };
        self.pending.insert(self.last_id, pending);
        self.last_id
    }

    async fn connection(&mut self) -> Over {
        let url = self.config.urls[self.url % self.config.urls.len()].clone();
        let mut line = match Line::connect(&url).await {
            Ok(line) => line,
            Err(why) => return Over::again(why),
        };
        let over = match self.open(&mut line).await {
            Ok(()) => self.serve(&mut line).await,
            Err(over) => over,
        };
        if let Over::Again(why, _) = &over {
            *self.totals.endings.borrow_mut().entry(why.clone()).or_default() += 1;
        }
        over
    }

    async fn open(&mut self, line: &mut Line) -> Result<(), Over> {
        let since = self.observer.borrow_mut().since();
        self.last_id += 1;
        let id = self.last_id;
        line.send(wire::request(id, "session.open", &wire::open_params(&self.config.identity, self.resume.as_deref(), &since)));
        let deadline = tokio::time::Instant::now() + OPEN_MAX;
        loop {
            let heard = tokio::time::timeout_at(deadline, line.hear()).await;
            match heard.map_err(|_| Over::again("session.open was not answered"))? {
                Heard::Alive => {}
                Heard::Closed(code, reason) => return Err(self.closed(code, &reason)),
                Heard::Lost(why) => return Err(Over::again(why)),
                Heard::Text(text) => {
                    let frame = parse(&text)?;
                    if frame.id != Some(id) {
                        self.hear(&text)?;
                    } else if let Some(refusal) = frame.error {
                        return Err(open_refused(&refusal));
                    } else {
                        return self.has_opened(frame.result, &since);
                    }
                }
            }
        }
    }

    fn has_opened(&mut self, result: Option<&RawValue>, since: &[(String, u64)]) -> Result<(), Over> {
        let text = result.map_or("null", RawValue::get);
        let opened: Opened = serde_json::from_str(text)
            .map_err(|error| Over::Never(Ended::Hopeless(format!("session.open has no good answer: {error}: {text}"))))?;
        Totals::count(&self.totals.frames);
        if self.opened_before {
            Totals::count(&self.totals.reconnects);
            if !opened.resumed && !since.is_empty() {
                Totals::count(&self.totals.resumed_with_gap);
            }
        }
        self.opened_before = true;
        if let (Identity::Customer { .. }, Some(resume)) = (&self.config.identity, &opened.resume) {
            self.resume = Some(resume.clone());
        }
        self.observer.borrow_mut().opened(&opened, since);
        self.standing.send_modify(|standing| {
            *standing = Standing { opened: Some(Rc::new(opened)), connected: true, changed_at: Instant::now(), ended: None };
        });
        Ok(())
    }

    async fn serve(&mut self, line: &mut Line) -> Over {
        for pending in self.pending.values_mut() {
            pending.sent_here = None;
        }
        self.send_due(line);
        let mut heard_at = Instant::now();
        let mut look = tokio::time::interval(Duration::from_secs(1));
        loop {
            let postponed = self.pending.values().filter_map(|pending| pending.not_before).min();
            let wake = postponed.unwrap_or_else(|| Instant::now() + ANSWER_MAX);
            tokio::select! {
                heard = line.hear() => {
                    heard_at = Instant::now();
                    match heard {
                        Heard::Alive => {}
                        Heard::Text(text) => if let Err(over) = self.hear(&text) { return over },
                        Heard::Closed(code, reason) => return self.closed(code, &reason),
                        Heard::Lost(why) => return Over::again(why),
                    }
                }
                command = self.inbox.recv() => match command {
                    Some(Command::Call { method, params, reply }) => {
                        let id = self.enqueue(method, params, reply);
                        self.send(line, id);
                    }
                    Some(Command::Drop) => return Over::again("dropped on purpose"),
                    Some(Command::Close) | None => return self.close(line).await,
                },
                () = tokio::time::sleep_until(wake.into()) => self.send_due(line),
                _ = look.tick() => {
                    let late = |pending: &Pending| pending.sent_here.is_some_and(|at| at.elapsed() > ANSWER_MAX);
                    if let Some(pending) = self.pending.values().find(|pending| late(pending)) {
                        return Over::again(format!("{} was not answered within {} s", pending.method, ANSWER_MAX.as_secs()));
                    }
                    if heard_at.elapsed() > SILENT_MAX {
                        return Over::again("the server is silent");
                    }
                }
            }
        }
    }

    /// Sends what is neither under way on this connection nor to wait.
    fn send_due(&mut self, line: &Line) {
        let now = Instant::now();
        let due = |pending: &Pending| pending.sent_here.is_none() && pending.not_before.is_none_or(|at| at <= now);
        let due: Vec<u64> = self.pending.iter().filter(|(_, pending)| due(pending)).map(|(id, _)| *id).collect();
        for id in due {
            self.send(line, id);
        }
    }

    fn send(&mut self, line: &Line, id: u64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            let now = Instant::now();
            if pending.sent.is_some() && pending.not_before.is_none() {
                Totals::count(&self.totals.repeats);
            }
            pending.not_before = None;
            pending.sent_here = Some(now);
            pending.sent.get_or_insert(now);
            line.send(wire::request(id, pending.method, &pending.params));
        }
    }

    fn hear(&mut self, text: &str) -> Result<(), Over> {
        Totals::count(&self.totals.frames);
        let frame = parse(text)?;
        match (&frame.method, frame.id) {
            (Some(method), _) => {
                if let Some(params) = frame.params {
                    self.observer.borrow_mut().notified(Notification { method, params });
                }
                Ok(())
            }
            (None, Some(id)) => self.answered(id, frame.result, frame.error),
            (None, None) => {
                let why = frame.error.map_or_else(|| text.to_owned(), |refusal| refusal.to_string());
                Err(Over::Never(Ended::Hopeless(format!("an answer to nothing: {why}"))))
            }
        }
    }

    fn answered(&mut self, id: u64, result: Option<&RawValue>, error: Option<Refusal>) -> Result<(), Over> {
        // An answer without a question: to a request that was given up. None is, so it is a second answer.
        let Some(pending) = self.pending.get_mut(&id) else {
            return Err(Over::Never(Ended::Hopeless(format!("request {id} was answered twice, or never asked"))));
        };
        let sent = pending.sent.unwrap_or_else(Instant::now);
        if let Some(wait_ms) = error.as_ref().and_then(Refusal::retry_after_ms)
            && sent.elapsed() < POSTPONE_MAX
        {
            Totals::count(&self.totals.postponed);
            // Up to a quarter more, so that those who were refused together do not come back together.
            let wait_ms = wait_ms + self.dice.below(wait_ms / 4 + 10);
            pending.not_before = Some(Instant::now() + Duration::from_millis(wait_ms));
            pending.sent_here = None;
            return Ok(());
        }
        let answer = match error {
            Some(refusal) => Err(CallError::Refused(refusal)),
            None => {
                let result = serde_json::from_str(result.map_or("null", RawValue::get)).unwrap_or(Value::Null);
                Ok(Answer { result, sent, took: sent.elapsed() })
            }
        };
        if let Some(pending) = self.pending.remove(&id) {
            let _ = pending.reply.send(answer);
        }
        Ok(())
    }

    fn closed(&self, code: u16, reason: &str) -> Over {
        let why = format!("closed with {code} {reason}").trim_end().to_owned();
        match code {
            4001 => Over::Never(Ended::Hopeless(format!("the credentials were refused ({why})"))),
            4002 => Over::Never(Ended::Hopeless(format!("somebody else uses this session ({why})"))),
            4004 => Over::Never(Ended::Hopeless(format!("the session has expired ({why})"))),
            4005 => Over::Again(why, Some(RATE_PAUSE)),
            _ => Over::again(why),
        }
    }

    async fn close(&mut self, line: &mut Line) -> Over {
        self.last_id += 1;
        line.send(wire::request(self.last_id, "session.close", &Value::Object(serde_json::Map::new())));
        let goodbye = async { while let Heard::Text(_) | Heard::Alive = line.hear().await {} };
        let _ = tokio::time::timeout(CLOSE_MAX, goodbye).await;
        Over::Never(Ended::Closed)
    }
}

fn parse(text: &str) -> Result<Incoming<'_>, Over> {
    serde_json::from_str(text).map_err(|error| Over::Never(Ended::Hopeless(format!("not JSON-RPC: {error}: {text}"))))
}

fn open_refused(refusal: &Refusal) -> Over {
    match refusal.retry_after_ms() {
        Some(wait_ms) => Over::Again(format!("session.open: {refusal}"), Some(Duration::from_millis(wait_ms))),
        None => Over::Never(Ended::Hopeless(format!("session.open was refused: {refusal}"))),
    }
}
