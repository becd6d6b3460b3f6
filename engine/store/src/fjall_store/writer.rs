//! The one thread that changes the tables.
//!
//! It takes what has queued up, judges it, applies it as one group, syncs as the durability level
//! says, and only then answers. After an error of the disk nothing is acknowledged any more: what the
//! kernel still holds of a failed sync is unknown, so only a new opening can tell what is stored. The
//! failure is reported, and whatever comes until the queue is closed is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fjall::PersistMode;
use jono_points::{KillPoint, pass};
use tokio::sync::oneshot;

use super::damage::Damage;
use super::forgetting::forget;
use super::group::{Group, Known, Newest, unreadable};
use super::keys;
use super::tables::{Tables, reason};
use crate::record::Space;
use crate::{Batch, CommitError, Durability, Epoch, ShardId};

/// How often [`Durability::Second`] syncs.
const SYNC_EVERY: Duration = Duration::from_secs(1);

type Answer<T> = oneshot::Sender<Result<T, CommitError>>;

/// Is told why there will be no more commits, once or several times.
pub(super) type OnFailure = Arc<dyn Fn(&str) + Send + Sync>;

/// What the writer is asked for.
pub(super) enum Command {
    Commit { batch: Batch, bytes: usize, answer: Answer<()> },
    Acquire { shard: ShardId, answer: Answer<Epoch> },
    Constant { name: &'static str, default: Bytes, answer: Answer<Bytes> },
    Forget { before_ms: u64, limit: usize, answer: Answer<usize> },
}

/// Sends the answer that was decided, or, given an error, that one.
type Confirm = Box<dyn FnOnce(Option<CommitError>) + Send>;

/// Why a group was not acknowledged.
enum Failure {
    /// Nothing reached the disk.
    NotApplied(String),
    /// Some of it may have.
    Unknown(String),
}

/// The state of the thread.
pub(super) struct Writer {
    tables: Tables,
    damage: Arc<Damage>,
    durability: Durability,
    /// Bytes of commits that wait in the channel.
    queued_bytes: Arc<AtomicUsize>,
    known: Known,
    group: Group,
    confirms: Vec<Confirm>,
    /// When what was written since the last sync must be synced.
    sync_at: Option<Instant>,
    /// The end of the log that was acknowledged last.
    newest: Option<Newest>,
    /// Set after an error of the disk, for ever.
    failed: Option<String>,
    on_failure: OnFailure,
}

impl Writer {
    pub(super) fn new(
        tables: Tables,
        damage: Arc<Damage>,
        durability: Durability,
        queued_bytes: Arc<AtomicUsize>,
        on_failure: OnFailure,
    ) -> Self {
        Self {
            tables,
            damage,
            durability,
            queued_bytes,
            known: Known::default(),
            group: Group::default(),
            confirms: Vec::new(),
            sync_at: None,
            newest: None,
            failed: None,
            on_failure,
        }
    }

    /// Works until all senders are gone and everything they sent is answered, then syncs; whether all
    /// went well.
    pub(super) fn run(&mut self, commands: &Receiver<Command>) -> bool {
        loop {
            match self.next(commands) {
                Ok(command) => {
                    self.take(command);
                    while !self.group.is_full() {
                        let Ok(command) = commands.try_recv() else {
                            break;
                        };
                        self.take(command);
                    }
                    self.finish_group();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.sync_if_due();
        }
        if self.failed.is_some() {
            return false;
        }
        let synced = self.tables.persist(PersistMode::SyncAll);
        synced.inspect_err(|error| tracing::error!(%error, "the last sync of the store failed")).is_ok()
    }

    pub(super) fn into_newest(self) -> Option<Newest> {
        self.newest
    }

    fn next(&self, commands: &Receiver<Command>) -> Result<Command, RecvTimeoutError> {
        match self.sync_at {
            Some(at) => commands.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Commit { batch, bytes, answer } => {
                self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
                let outcome = self.usable().and_then(|()| self.group.add(&mut self.known, &self.tables, &self.damage, &batch));
                self.confirm_with(answer, outcome);
            }
            Command::Acquire { shard, answer } => {
                let outcome = self.usable().and_then(|()| self.group.acquire(&mut self.known, &self.tables, shard));
                self.confirm_with(answer, outcome);
            }
            // These read what is stored, so what is staged must be stored first.
            Command::Constant { name, default, answer } => {
                self.finish_group();
                let outcome = self.usable().and_then(|()| self.constant(name, default));
                self.confirm_with(answer, outcome);
            }
            Command::Forget { before_ms, limit, answer } => {
                self.finish_group();
                let outcome = self.usable().and_then(|()| self.forget(before_ms, limit));
                self.confirm_with(answer, outcome);
            }
        }
    }

    fn usable(&self) -> Result<(), CommitError> {
        match &self.failed {
            Some(why) => Err(CommitError::Unavailable(format!("failed: {why}"))),
            None => Ok(()),
        }
    }

    /// Answers when the group is done. A refusal waits too: it may rest on a staged write.
    fn confirm_with<T: Send + 'static>(&mut self, answer: Answer<T>, outcome: Result<T, CommitError>) {
        self.confirms.push(Box::new(move |failure| {
            let outcome = match (failure, outcome) {
                (None, outcome) => outcome,
                (Some(failure), Ok(_)) => Err(failure),
                (Some(failure), Err(_)) => Err(CommitError::Unavailable(failure.to_string())),
            };
            // Nobody may be waiting any more; what is stored stays stored.
            let _ = answer.send(outcome);
        }));
    }

    fn constant(&mut self, name: &'static str, default: Bytes) -> Result<Bytes, CommitError> {
        let key = keys::constant(name);
        if let Some(stored) = self.tables.view().get(Space::Meta, &key).map_err(unreadable)? {
            return Ok(stored);
        }
        self.group.put(Space::Meta, &[&key], &[], default.clone());
        self.group.must_sync = true;
        Ok(default)
    }

    fn forget(&mut self, before_ms: u64, limit: usize) -> Result<usize, CommitError> {
        forget(&self.tables.view(), &mut self.group, &mut self.known.heads, before_ms, limit).map_err(unreadable)
    }

    /// Applies and syncs the group, then answers all of it.
    fn finish_group(&mut self) {
        let group = std::mem::take(&mut self.group);
        let failure = match self.apply(group) {
            Ok(()) => None,
            Err(failure) => {
                let (Failure::NotApplied(why) | Failure::Unknown(why)) = &failure;
                self.fail(why);
                Some(match failure {
                    Failure::NotApplied(why) => CommitError::Unavailable(why),
                    Failure::Unknown(why) => CommitError::Unknown(why),
                })
            }
        };
        self.known.heads.turn();
        for confirm in self.confirms.drain(..) {
            confirm(failure.clone());
            pass(KillPoint::CommitAnswered);
        }
    }

    fn fail(&mut self, why: &str) {
        self.failed = Some(why.into());
        self.sync_at = None;
        (self.on_failure)(why);
    }

    fn apply(&mut self, mut group: Group) -> Result<(), Failure> {
        if group.len() == 0 {
            return Ok(());
        }
        // At least to the operating system, so that what was acknowledged outlives these tables.
        let mode = match self.durability {
            Durability::Disk | Durability::Replica => PersistMode::SyncData,
            Durability::Second if group.must_sync => PersistMode::SyncData,
            Durability::Second | Durability::Memory => PersistMode::Buffer,
        };
        self.tables.wait_for_room().map_err(|error| Failure::NotApplied(reason(&error)))?;
        let newest = group.newest.take();
        let mut change = self.tables.change(group.len(), mode);
        group.fill(&mut change);
        pass(KillPoint::CommitStaged);
        // fjall syncs before it makes the change visible, so nothing is read that may yet be lost.
        change.commit().map_err(|error| match error {
            fjall::Error::Poisoned => Failure::NotApplied(reason(&error)),
            other => Failure::Unknown(reason(&other)),
        })?;
        pass(KillPoint::CommitApplied);
        self.newest = newest.or(self.newest.take());
        if self.durability == Durability::Second {
            self.sync_at.get_or_insert_with(|| Instant::now() + SYNC_EVERY);
        }
        Ok(())
    }

    fn sync_if_due(&mut self) {
        if self.sync_at.is_none_or(|at| Instant::now() < at) {
            return;
        }
        self.sync_at = None;
        if let Err(error) = self.tables.persist(PersistMode::SyncData) {
            self.fail(&reason(&error));
        }
    }
}
