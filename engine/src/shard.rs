//! Group commit: what a shard's entities decided while the commit before was under way is committed as
//! one batch. Nothing leaves before what it rests on is confirmed.

use std::rc::Rc;

use jono_domain::message::Address;
use jono_store::{Batch, CommitError, Epoch, ShardId, Write};

use crate::host::Host;
use crate::limits::WRITES_PER_COMMIT_MAX;
use crate::output::Output;

/// One step of an entity that waits to be committed.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) entity: Address,
    /// `None` when the step changed nothing, but must not be told before earlier steps are confirmed.
    pub(crate) write: Option<Write>,
    pub(crate) outputs: Vec<Output>,
}

/// One shard that this process owns.
#[derive(Debug)]
pub(crate) struct Shard {
    epoch: Epoch,
    waiting: Vec<Step>,
    under_way: bool,
    flush_planned: bool,
}

impl Shard {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self { epoch, waiting: Vec::new(), under_way: false, flush_planned: false }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.under_way
    }

    /// The next batch: as many steps as fit.
    fn take(&mut self) -> Vec<Step> {
        let mut writes = 0;
        let fit = self.waiting.iter().take_while(|step| {
            writes += usize::from(step.write.is_some());
            writes <= WRITES_PER_COMMIT_MAX
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
            return self.failed(vec![step]);
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
            let writes: Vec<Write> = steps.iter_mut().filter_map(|step| step.write.take()).collect();
            if writes.is_empty() {
                drop(shards);
                self.confirmed(steps);
                continue;
            }
            state.under_way = true;
            let batch = Batch { shard, epoch: state.epoch, writes };
            drop(shards);
            self.counters.commits.add(1);
            self.counters.writes.add(batch.writes.len() as u64);
            let commit = self.store.commit(batch);
            let host = Rc::clone(self);
            actix_rt::spawn(async move {
                let outcome = commit.await;
                host.committed(shard, steps, outcome);
            });
            return;
        }
    }

    fn committed(self: &Rc<Self>, shard: ShardId, steps: Vec<Step>, outcome: Result<(), CommitError>) {
        if let Some(state) = self.shards.borrow_mut().get_mut(&shard) {
            state.under_way = false;
        }
        match outcome {
            Ok(()) => self.confirmed(steps),
            Err(error) => {
                self.counters.commits_failed.add(1);
                tracing::error!(shard = shard.0, %error, "a commit failed: its entities are loaded again");
                let mut failed = steps;
                let mut shards = self.shards.borrow_mut();
                if matches!(error, CommitError::Fenced { .. }) {
                    self.counters.commits_fenced.add(1);
                    failed.extend(shards.remove(&shard).into_iter().flat_map(|state| state.waiting));
                } else if let Some(state) = shards.get_mut(&shard) {
                    // Whatever was decided meanwhile may rest on what was not committed.
                    failed.append(&mut state.waiting);
                }
                drop(shards);
                self.failed(failed);
            }
        }
        self.flush(shard);
    }
}
