//! What a test plans to go wrong in a [`MemoryStore`](super::MemoryStore).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::{Inner, lock};
use crate::{Batch, CommitError};

/// How a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// Answers [`CommitError::Unavailable`]; nothing is applied.
    Unavailable,
    /// Answers [`CommitError::Unknown`]; the batch is applied.
    UnknownApplied,
    /// Answers [`CommitError::Unknown`]; nothing is applied.
    UnknownLost,
}

/// A handle that plans the faults of a [`MemoryStore`](super::MemoryStore).
#[derive(Clone, Debug)]
pub struct Faults(Arc<Mutex<Inner>>);

impl Faults {
    pub(super) fn new(inner: Arc<Mutex<Inner>>) -> Self {
        Self(inner)
    }

    /// The next `count` commits, after those planned before, fail like this.
    pub fn fail_commits(&self, count: usize, fault: CommitFault) {
        lock(&self.0).plan.commits.extend(std::iter::repeat_n(fault, count));
    }

    /// The next `count` reads answer [`ReadError::Unavailable`](crate::ReadError::Unavailable).
    pub fn fail_reads(&self, count: usize) {
        lock(&self.0).plan.reads += count;
    }

    /// From now on commits wait; they are neither applied nor answered.
    pub fn hold_commits(&self) {
        lock(&self.0).plan.holding = true;
    }

    /// Commits that wait.
    #[must_use]
    pub fn held_commits(&self) -> usize {
        lock(&self.0).plan.held.len()
    }

    /// Applies and answers the oldest waiting commit; says whether there was one.
    pub fn release_one(&self) -> bool {
        let mut inner = lock(&self.0);
        let Some((batch, answer)) = inner.plan.held.pop_front() else {
            return false;
        };
        let outcome = inner.commit(&batch);
        drop(inner);
        // Nobody may be waiting any more; the commit has happened all the same.
        let _ = answer.send(outcome);
        true
    }

    /// Applies and answers what waits, in order, and holds nothing any more.
    pub fn release_commits(&self) {
        lock(&self.0).plan.holding = false;
        while self.release_one() {}
    }
}

/// A commit that waits, and whom to tell.
type Held = (Batch, oneshot::Sender<Result<(), CommitError>>);

/// What is planned.
#[derive(Debug, Default)]
pub(super) struct Plan {
    commits: VecDeque<CommitFault>,
    reads: usize,
    holding: bool,
    held: VecDeque<Held>,
}

impl Plan {
    pub(super) fn next_commit_fault(&mut self) -> Option<CommitFault> {
        self.commits.pop_front()
    }

    pub(super) fn next_read_fails(&mut self) -> bool {
        let fails = self.reads > 0;
        self.reads = self.reads.saturating_sub(1);
        fails
    }

    /// Also while older commits wait for their turn, so that the order stays.
    pub(super) fn is_holding(&self) -> bool {
        self.holding || !self.held.is_empty()
    }

    pub(super) fn hold(&mut self, batch: Batch, answer: oneshot::Sender<Result<(), CommitError>>) {
        self.held.push_back((batch, answer));
    }
}
