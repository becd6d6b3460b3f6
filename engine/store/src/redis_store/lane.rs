//! The commits of one shard, one after the other.
//!
//! Each has a number. The script remembers the last one that it applied, so one that is sent twice (the connection broke before its
//! answer came) is applied once, and one that comes out of a swamp long after everybody gave it up is not applied at all: before
//! anything else happens in the shard, reading included, the lane moves the number on (it *settles*).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jono_points::{KillPoint, pass};
use redis::Value;
use tokio::sync::{mpsc, oneshot};

use super::batch::Prepared;
use super::call::Call;
use super::failure::Failure;
use super::gate::Pass;
use super::keys::Keys;
use super::script;
use super::servers::Servers;
use super::stats::count;
use super::{limits, sealed, value};
use crate::{CommitError, EntityKey, Epoch, ReadError, ShardId};

/// Bits of an epoch that are drawn by lot. The rest counts. So an epoch that a server gave, and lost in a failover, is not given
/// again to somebody else.
const LOT_BITS: u32 = 20;

/// What a lane is asked for.
pub(super) enum Job {
    /// The pass shows that it has not ended.
    Commit(Box<Prepared>, oneshot::Sender<Result<(), CommitError>>, Pass),
    Acquire(oneshot::Sender<Result<Epoch, CommitError>>),
    Settle(oneshot::Sender<Result<(), Failure>>),
}

/// What Redis has confirmed to this process.
#[derive(Default)]
struct Confirmed {
    /// The last epoch that was acquired.
    epoch: AtomicU64,
    /// The number of the last change.
    number: AtomicU64,
}

/// The way to a shard's lane.
#[derive(Clone)]
pub(super) struct Lane {
    jobs: mpsc::Sender<Job>,
    unsettled: Arc<AtomicBool>,
    confirmed: Arc<Confirmed>,
}

impl Lane {
    /// Starts a lane; it ends with its last handle.
    pub(super) fn start(
        shard: ShardId,
        writer: &str,
        keys: &Keys,
        servers: &Arc<Servers>,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let (jobs, coming) = mpsc::channel(limits::LANE_CALLS_MAX);
        let unsettled = Arc::new(AtomicBool::new(false));
        let confirmed = Arc::new(Confirmed::default());
        let shard_keys = keys.shard(shard);
        let worker = Worker {
            shard,
            slot: shard_keys.slot,
            own: shard_keys.of_shard("own"),
            writer: writer.to_owned(),
            number: 0,
            servers: Arc::clone(servers),
            unsettled: Arc::clone(&unsettled),
            confirmed: Arc::clone(&confirmed),
        };
        (Self { jobs, unsettled, confirmed }, worker.run(coming))
    }

    /// Adds a job behind the others.
    pub(super) fn add(&self, job: Job) -> Result<(), CommitError> {
        self.jobs.try_send(job).map_err(|_| CommitError::Unavailable("too many commits of the shard are waiting".into()))
    }

    /// The epoch that was acquired last, and the number of the last change that Redis confirmed.
    pub(super) fn confirmed(&self) -> (Epoch, u64) {
        (Epoch(self.confirmed.epoch.load(Ordering::Acquire)), self.confirmed.number.load(Ordering::Acquire))
    }

    /// Makes sure that nothing which was given up is applied any more. At once, unless something was given up.
    pub(super) async fn settle(&self) -> Result<(), ReadError> {
        if !self.unsettled.load(Ordering::Acquire) {
            return Ok(());
        }
        let (answer, settled) = oneshot::channel();
        let unavailable = |why: String| ReadError::Unavailable(why);
        self.add(Job::Settle(answer)).map_err(|error| unavailable(error.to_string()))?;
        let settled = settled.await.map_err(|_| unavailable("the store is closing".into()))?;
        settled.map_err(|failure| unavailable(failure.into_why()))
    }
}

struct Worker {
    shard: ShardId,
    slot: usize,
    own: Vec<u8>,
    writer: String,
    number: u64,
    servers: Arc<Servers>,
    unsettled: Arc<AtomicBool>,
    confirmed: Arc<Confirmed>,
}

impl Worker {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.recv().await {
            // Whoever asked may have gone; what was asked for has happened all the same.
            match job {
                Job::Commit(batch, answer, _pass) => drop(answer.send(self.commit(&batch).await)),
                Job::Acquire(answer) => drop(answer.send(self.acquire().await)),
                Job::Settle(answer) => drop(answer.send(self.settle().await)),
            }
        }
    }

    async fn call(&self, call: &Call) -> Result<Value, Failure> {
        self.servers.call(self.slot, usize::from(self.shard.0), call).await
    }

    /// The number of the next change.
    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    async fn settle(&mut self) -> Result<(), Failure> {
        if self.unsettled.load(Ordering::Acquire) {
            let number = self.next_number();
            let mut command = script::SETTLE.on(std::slice::from_ref(&self.own));
            command.arg(&self.writer).arg(number);
            // Replicas need not confirm it: one that takes over has nothing in its sockets.
            self.call(&Call::write(&script::SETTLE, command)).await?;
            self.unsettled.store(false, Ordering::Release);
        }
        Ok(())
    }

    async fn commit(&mut self, batch: &Prepared) -> Result<(), CommitError> {
        self.settle().await.map_err(|failure| CommitError::Unavailable(failure.into_why()))?;
        let number = self.next_number();
        let mut command = script::COMMIT.on(&batch.keys);
        command.arg(&self.writer).arg(number).arg(&batch.epoch).arg(batch.heads.len());
        for (entity, _) in &batch.heads {
            command.arg(&*entity.0);
        }
        for (_, expected) in &batch.heads {
            command.arg(expected);
        }
        batch.arguments(|argument| {
            command.arg(argument);
        });
        let call = Call::commit(&script::COMMIT, command);
        pass(KillPoint::CommitStaged);
        let first = match self.call(&call).await {
            Ok(answer) => {
                pass(KillPoint::CommitApplied);
                return self.judge(answer, batch);
            }
            Err(failure) => failure,
        };
        let why = match first {
            Failure::Refused(why) => return Err(CommitError::Unavailable(why)),
            Failure::Silent(why) => why,
            Failure::Lost(why) => {
                // Sent again under its number, it can be answered for certain. What is refused now may have been
                // applied at first.
                let again = self.call(&call).await.map(|answer| self.judge(answer, batch));
                if let Ok(Ok(())) = again {
                    return Ok(());
                }
                why
            }
        };
        self.unsettled.store(true, Ordering::Release);
        Err(CommitError::Unknown(why))
    }

    fn judge(&self, answer: Value, batch: &Prepared) -> Result<(), CommitError> {
        let unknown = || CommitError::Unknown(value::misshapen("a commit"));
        let mut answer = value::list(answer).ok_or_else(unknown)?.into_iter();
        let mut part = || answer.next().and_then(value::bytes).ok_or_else(unknown);
        match &*part()? {
            b"done" => match &batch.contradiction {
                None => {
                    count(&self.servers.supplies().counters.commits);
                    self.confirmed.number.store(self.number, Ordering::Release);
                    Ok(())
                }
                Some(contradiction) => Err(contradiction.clone()),
            },
            b"fenced" => Err(match sealed::open_epoch(batch.shard, &part()?) {
                Ok(current) => CommitError::Fenced { current },
                Err(damage) => CommitError::Unavailable(damage.to_string()),
            }),
            b"conflict" => {
                let entity = EntityKey(part()?.into());
                let stored = part()?;
                let actual = if stored.is_empty() { Ok(0) } else { sealed::open_head(batch.shard, &entity, &stored) };
                Err(match actual {
                    Ok(actual_seq) => CommitError::Conflict { entity, actual_seq },
                    Err(damage) => CommitError::Unavailable(damage.to_string()),
                })
            }
            b"damaged" => {
                // The next call says anew what was written last.
                self.unsettled.store(true, Ordering::Release);
                Err(CommitError::Unavailable("what Redis knows of the shard's owner and last commit is damaged".into()))
            }
            _ => Err(unknown()),
        }
    }

    /// Compares and sets until nobody else was quicker.
    async fn acquire(&mut self) -> Result<Epoch, CommitError> {
        self.settle().await.map_err(|failure| CommitError::Unavailable(failure.into_why()))?;
        let mut known = Vec::new();
        for _ in 0..limits::ACQUIRE_ATTEMPTS_MAX {
            let current =
                sealed::open_epoch(self.shard, &known).map_err(|damage| CommitError::Unavailable(damage.to_string()))?;
            let next = next_epoch(current)?;
            let number = self.next_number();
            let mut command = script::ACQUIRE.on(std::slice::from_ref(&self.own));
            command.arg(&self.writer).arg(number).arg(&known).arg(sealed::seal_epoch(self.shard, next));
            let answer = self.call(&Call::commit(&script::ACQUIRE, command)).await.map_err(|failure| match failure {
                Failure::Refused(why) => CommitError::Unavailable(why),
                Failure::Lost(why) | Failure::Silent(why) => {
                    self.unsettled.store(true, Ordering::Release);
                    CommitError::Unknown(why)
                }
            })?;
            let mut answer = value::list(answer).unwrap_or_default().into_iter().filter_map(value::bytes);
            match (answer.next().as_deref(), answer.next()) {
                (Some(b"done"), _) => {
                    self.confirmed.number.store(self.number, Ordering::Release);
                    self.confirmed.epoch.store(next.0, Ordering::Release);
                    return Ok(next);
                }
                (Some(b"other"), Some(stored)) => known = stored,
                (Some(b"damaged"), _) => {
                    self.unsettled.store(true, Ordering::Release);
                    return Err(CommitError::Unavailable(
                        "what Redis knows of the shard's owner and last commit is damaged".into(),
                    ));
                }
                _ => return Err(CommitError::Unknown(value::misshapen("an acquisition"))),
            }
        }
        Err(CommitError::Unavailable("others take the shard again and again".into()))
    }
}

/// A larger epoch that nobody else comes upon.
fn next_epoch(current: Epoch) -> Result<Epoch, CommitError> {
    let lot = getrandom::u32().map_err(|error| CommitError::Unavailable(error.to_string()))?;
    let count = (current.0 >> LOT_BITS) + 1;
    Ok(Epoch(count << LOT_BITS | u64::from(lot >> (u32::BITS - LOT_BITS))))
}
