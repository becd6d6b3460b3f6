//! Group commit: what a shard's entities decided while the commit before was under way is committed as
//! one batch. Nothing leaves before what it rests on is confirmed.

use std::rc::Rc;

use bytes::Bytes;
use jono_domain::account::Who;
use jono_domain::message::{Address, Order};
use jono_store::{Batch, CommitError, Epoch, Loaded, ShardId, Write};

use crate::host::Host;
use crate::letter::{Ask, Letter};
use crate::limits::{BYTES_PER_COMMIT_MAX, TALES_AGAIN_MAX, WRITES_PER_COMMIT_MAX};
use crate::output::Output;
use crate::request::ReplyTo;

/// One step of an entity that waits to be committed.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) entity: Address,
    /// `None` when the step changed nothing, but must not be told before earlier steps are confirmed.
    pub(crate) write: Option<Write>,
    pub(crate) outputs: Vec<Output>,
    /// What another entity told, when the step makes it so: if the step is lost, it is told again.
    pub(crate) tale: Option<Tale>,
    /// By what the write is known again in the store, once it has left.
    trace: Option<Trace>,
}

/// What one entity told another, and how often before.
#[derive(Debug)]
pub(crate) struct Tale {
    pub(crate) order: Order,
    pub(crate) told: u8,
}

impl Tale {
    /// Once more, unless that was in vain too often.
    pub(crate) fn again(self) -> Option<Output> {
        if self.told >= TALES_AGAIN_MAX {
            tracing::error!(entity = ?self.order.address(), "what another entity told cannot be stored: given up");
            return None;
        }
        let (order, hops) = (self.order, self.told + 1);
        Some(Output::Post(Letter::Ask(Ask { who: Who::Engine, key: None, order, reply_to: ReplyTo::Nobody, hops })))
    }
}

/// What a write leaves behind; one that only remembers an answer leaves nothing that others must be told.
#[derive(Debug)]
enum Trace {
    /// The log goes up to here.
    Log(u64),
    /// The snapshot is this.
    Snapshot(Bytes),
}

impl Step {
    pub(crate) fn new(entity: Address, write: Option<Write>, outputs: Vec<Output>, tale: Option<Tale>) -> Self {
        Self { entity, write, outputs, tale, trace: None }
    }

    fn take_write(&mut self) -> Option<Write> {
        let write = self.write.take()?;
        self.trace = match &write.snapshot {
            _ if !write.log.is_empty() => Some(Trace::Log(write.expected_seq + write.log.len() as u64)),
            Some(snapshot) => Some(Trace::Snapshot(snapshot.clone())),
            None => None,
        };
        Some(write)
    }
}

/// Whether these steps of one entity and one commit are in what was loaded afterwards. The commit holds all of
/// them or none, so the surest trace tells: the log, else the last snapshot.
pub(crate) fn were_stored(steps: &[Step], loaded: &Loaded) -> bool {
    let traces = || steps.iter().rev().filter_map(|step| step.trace.as_ref());
    let log = traces().find(|trace| matches!(trace, Trace::Log(_)));
    match log.or_else(|| traces().next()) {
        Some(Trace::Log(seq)) => loaded.seq >= *seq,
        Some(Trace::Snapshot(snapshot)) => loaded.snapshot.as_ref().is_some_and(|(_, stored)| stored == snapshot),
        None => false,
    }
}

/// One shard that this process owns.
#[derive(Debug)]
pub(crate) struct Shard {
    epoch: Epoch,
    waiting: Vec<Step>,
    under_way: bool,
    flush_planned: bool,
    /// It is about to be given back: what was decided is committed, and nothing is decided any more.
    is_closing: bool,
}

impl Shard {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self { epoch, waiting: Vec::new(), under_way: false, flush_planned: false, is_closing: false }
    }

    pub(crate) fn close(&mut self) {
        self.is_closing = true;
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.is_closing
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.under_way
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What was decided and will not be committed any more.
    pub(crate) fn into_waiting(self) -> Vec<Step> {
        self.waiting
    }

    /// The next batch: as many steps as fit, at least one.
    fn take(&mut self) -> Vec<Step> {
        let (mut writes, mut bytes) = (0, 0);
        let fit = self.waiting.iter().take_while(|step| {
            let Some(write) = &step.write else { return true };
            writes += 1;
            bytes += write.snapshot.as_ref().map_or(0, Bytes::len) + write.log.iter().map(Bytes::len).sum::<usize>();
            writes == 1 || (writes <= WRITES_PER_COMMIT_MAX && bytes <= BYTES_PER_COMMIT_MAX)
        });
        let count = fit.count();
        self.waiting.drain(..count).collect()
    }
}

impl Host {
    /// Hands a step in. It is committed with whatever else comes before the arbiter's next turn.
    pub(crate) fn submit(self: &Rc<Self>, shard: ShardId, step: Step) {
        let mut shards = self.shards.borrow_mut();
        let Some(state) = shards.get_mut(&shard) else {
            drop(shards);
            return self.failed(Vec::new(), vec![step]);
        };
        state.waiting.push(step);
        if !state.under_way && !state.flush_planned {
            state.flush_planned = true;
            drop(shards);
            let host = Rc::clone(self);
            actix_rt::spawn(async move {
                // Everything that is ready to run on this arbiter decides first, and joins the batch.
                tokio::task::yield_now().await;
                host.flush(shard);
            });
        }
    }

    fn flush(self: &Rc<Self>, shard: ShardId) {
        loop {
            let mut shards = self.shards.borrow_mut();
            let Some(state) = shards.get_mut(&shard) else { return };
            state.flush_planned = false;
            if state.under_way || state.waiting.is_empty() {
                return;
            }
            let mut steps = state.take();
            let writes: Vec<Write> = steps.iter_mut().filter_map(Step::take_write).collect();
            if writes.is_empty() {
                drop(shards);
                self.confirmed(steps);
                continue;
            }
            state.under_way = true;
            let epoch = state.epoch;
            let batch = Batch { shard, epoch, writes };
            drop(shards);
            self.counters.commits.add(1);
            self.counters.writes.add(batch.writes.len() as u64);
            let commit = self.store.commit(batch);
            let host = Rc::clone(self);
            actix_rt::spawn(async move {
                let outcome = commit.await;
                host.committed(shard, epoch, steps, outcome);
            });
            return;
        }
    }

    fn committed(self: &Rc<Self>, shard: ShardId, epoch: Epoch, steps: Vec<Step>, outcome: Result<(), CommitError>) {
        // Meanwhile the shard may have been given back, and have come again under another epoch.
        let is_current = |state: &&mut Shard| state.epoch == epoch;
        if let Some(state) = self.shards.borrow_mut().get_mut(&shard).filter(is_current) {
            state.under_way = false;
        }
        match outcome {
            Ok(()) => self.confirmed(steps),
            Err(error) => {
                self.counters.commits_failed.add(1);
                tracing::error!(shard = shard.0, %error, "a commit failed: its entities are loaded again");
                // Whatever was decided meanwhile may rest on what was not committed.
                let mut shards = self.shards.borrow_mut();
                let state = shards.get_mut(&shard).filter(is_current);
                let is_known = state.is_some();
                let waiting = state.map(|state| std::mem::take(&mut state.waiting));
                if matches!(error, CommitError::Fenced { .. }) {
                    self.counters.commits_fenced.add(1);
                    if is_known {
                        shards.remove(&shard);
                    }
                }
                drop(shards);
                let waiting = waiting.unwrap_or_default();
                if matches!(error, CommitError::Unknown(_)) {
                    self.failed(steps, waiting);
                } else {
                    self.failed(Vec::new(), steps.into_iter().chain(waiting).collect());
                }
            }
        }
        self.flush(shard);
    }
}
