//! One shard that this process owns: what its entities decided and what is not committed yet.

use bytes::Bytes;
use jono_domain::account::Who;
use jono_domain::message::{Address, Order};
use jono_store::{Epoch, Loaded, Write};

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
    /// It is in the line of those to be committed next.
    is_in_line: bool,
    /// It is about to be given back: what was decided is committed, and nothing is decided any more.
    is_closing: bool,
}

impl Shard {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self { epoch, waiting: Vec::new(), under_way: false, is_in_line: false, is_closing: false }
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

    /// Puts a step behind the others; says whether the shard must be put in line.
    pub(crate) fn push(&mut self, step: Step) -> bool {
        self.waiting.push(step);
        !self.under_way && !std::mem::replace(&mut self.is_in_line, true)
    }

    /// The shard's turn has come: the next batch, and the steps behind it, if there is anything and nothing is under way.
    pub(crate) fn begin(&mut self) -> Option<(Vec<Write>, Vec<Step>)> {
        self.is_in_line = false;
        if self.under_way || self.waiting.is_empty() {
            return None;
        }
        let mut steps = self.take();
        let writes: Vec<Write> = steps.iter_mut().filter_map(Step::take_write).collect();
        self.under_way = !writes.is_empty();
        Some((writes, steps))
    }

    /// What was under way is not any more; says whether the shard must be put in line again.
    pub(crate) fn end(&mut self) -> bool {
        self.under_way = false;
        !self.waiting.is_empty() && !std::mem::replace(&mut self.is_in_line, true)
    }

    /// Whatever waits is given up: it may rest on what was not committed.
    pub(crate) fn give_up(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.waiting)
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
