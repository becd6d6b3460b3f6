//! Group commit: what a shard's entities decided while the commit before was under way is committed as one batch.
//! Nothing leaves before what it rests on is confirmed.
//!
//! One task for all shards of an arbiter: what is confirmed together leaves together, so that whoever receives it is woken once.

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jono_points::{KillPoint, Rule, is_broken, pass};
use jono_store::{Batch, CommitError, Epoch, ShardId};
use tokio::sync::Notify;

use crate::host::Host;
use crate::shard::{Shard, Step};

/// The shards that have something to commit.
#[derive(Debug, Default)]
pub(crate) struct Line {
    shards: RefCell<Vec<ShardId>>,
    has_some: Notify,
}

impl Line {
    fn put(&self, shard: ShardId) {
        let mut shards = self.shards.borrow_mut();
        if shards.is_empty() {
            self.has_some.notify_one();
        }
        shards.push(shard);
    }

    fn take(&self) -> Vec<ShardId> {
        std::mem::take(&mut *self.shards.borrow_mut())
    }
}

/// A commit that has come back.
struct Committed {
    shard: ShardId,
    epoch: Epoch,
    steps: Vec<Step>,
    outcome: Result<(), CommitError>,
}

type Commits = FuturesUnordered<BoxedCommit>;
type BoxedCommit = std::pin::Pin<Box<dyn Future<Output = Committed>>>;

impl Host {
    /// Hands a step in. It is committed with whatever else comes before the arbiter's next turn.
    pub(crate) fn submit(self: &Rc<Self>, shard: ShardId, step: Step) {
        let mut shards = self.shards.borrow_mut();
        let Some(state) = shards.get_mut(&shard) else {
            drop(shards);
            return self.failed(Vec::new(), vec![step]);
        };
        if state.push(step) {
            self.line.put(shard);
        }
    }

    /// Commits what is handed in, for ever.
    pub(crate) async fn commit(self: Rc<Self>) {
        let mut commits = Commits::new();
        loop {
            tokio::select! {
                // What is confirmed leaves before anything else is begun.
                biased;
                Some(first) = commits.next(), if !commits.is_empty() => {
                    let mut all = vec![first];
                    while let Some(Some(next)) = commits.next().now_or_never() {
                        all.push(next);
                    }
                    self.committed(all);
                }
                () = self.line.has_some.notified() => {
                    // Everything that is ready to run on this arbiter decides first, and joins the batch.
                    tokio::task::yield_now().await;
                }
            }
            for shard in self.line.take() {
                self.begin(shard, &commits);
            }
        }
    }

    fn begin(self: &Rc<Self>, shard: ShardId, commits: &Commits) {
        let (epoch, (writes, mut steps)) = {
            let mut shards = self.shards.borrow_mut();
            let Some(state) = shards.get_mut(&shard) else { return };
            let Some(begun) = state.begin() else { return };
            (state.epoch(), begun)
        };
        if writes.is_empty() {
            // The store has not been asked whose shard it is. Whoever stood still while these waited may not be its owner any more.
            if self.tenure.holds_or_misses(self.clock.now()) {
                self.confirmed(steps);
            } else {
                self.failed(Vec::new(), steps);
            }
            if let Some(state) = self.shards.borrow_mut().get_mut(&shard)
                && state.end()
            {
                self.line.put(shard);
            }
            return;
        }
        if is_broken(Rule::CommitsAreAwaited) {
            self.send(steps.iter_mut().flat_map(|step| std::mem::take(&mut step.outputs)).collect::<Vec<_>>());
        }
        self.counters.commits.add(1);
        self.counters.writes.add(writes.len() as u64);
        let commit: BoxFuture<'static, _> = self.store.commit(Batch { shard, epoch, writes });
        commits.push(Box::pin(async move { Committed { shard, epoch, steps, outcome: commit.await } }));
        pass(KillPoint::CommitBegun);
    }

    fn committed(self: &Rc<Self>, all: Vec<Committed>) {
        let mut confirmed = Vec::new();
        for Committed { shard, epoch, steps, outcome } in all {
            // Meanwhile the shard may have been given back, and have come again under another epoch.
            let is_here = self.epoch_of(shard) == Some(epoch);
            match outcome {
                Ok(()) if is_here => confirmed.extend(steps),
                Ok(()) => self.send(steps.into_iter().flat_map(|step| step.outputs).collect::<Vec<_>>()),
                Err(_) if is_broken(Rule::FailedCommitsAreUndone) => confirmed.extend(steps),
                Err(error) => self.not_committed((shard, epoch), is_here, steps, &error),
            }
            if is_here
                && let Some(state) = self.shards.borrow_mut().get_mut(&shard)
                && state.end()
            {
                self.line.put(shard);
            }
        }
        if !confirmed.is_empty() {
            pass(KillPoint::CommitConfirmed);
        }
        self.confirmed(confirmed);
    }

    fn not_committed(self: &Rc<Self>, (shard, epoch): (ShardId, Epoch), is_here: bool, steps: Vec<Step>, error: &CommitError) {
        self.counters.commits_failed.add(1);
        let is_fenced = matches!(error, CommitError::Fenced { .. });
        if is_fenced {
            self.counters.commits_fenced.add(1);
            self.tenure.fence(shard, epoch);
        }
        if !is_here {
            tracing::warn!(shard = shard.0, %error, "a commit failed when its shard had gone");
            return self.outlived(steps);
        }
        tracing::error!(shard = shard.0, %error, "a commit failed: its entities are loaded again");
        let waiting = {
            let mut shards = self.shards.borrow_mut();
            let waiting = shards.get_mut(&shard).map(Shard::give_up).unwrap_or_default();
            if is_fenced {
                shards.remove(&shard);
            }
            waiting
        };
        if matches!(error, CommitError::Unknown(_)) {
            self.failed(steps, waiting);
        } else {
            self.failed(Vec::new(), steps.into_iter().chain(waiting).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arc_swap::ArcSwap;
    use jono_domain::id::ConversationId;
    use jono_domain::message::Address;
    use jono_domain::reply::Refusal;
    use jono_domain::time::Time;
    use jono_store::MemoryStore;
    use tokio::sync::oneshot;

    use super::*;
    use crate::bus::LocalBus;
    use crate::clock::ManualClock;
    use crate::counters::Counters;
    use crate::host::Common;
    use crate::lease::Tenure;
    use crate::output::{Output, unavailable};
    use crate::request::ReplyTo;

    const ENTITY: Address = Address::Conversation(ConversationId::from_bits(1));

    fn host(tenure: &Arc<Tenure>) -> Rc<Host> {
        let (bus, _inboxes) = LocalBus::new(1, 1);
        Host::new(Common {
            shard_count: 1,
            store: Arc::new(MemoryStore::new()),
            tenure: Arc::clone(tenure),
            bus,
            directory: Arc::new(ArcSwap::default()),
            clock: ManualClock::at(Time(10)),
            counters: Arc::new(Counters::default()),
            panic_if: None,
        })
    }

    #[test]
    fn what_comes_of_a_commit_under_an_earlier_epoch_concerns_nobody_who_is_here_now() {
        for outcome in [CommitError::Unknown("late".into()), CommitError::Fenced { current: Epoch(3) }] {
            let host = host(&Tenure::for_ever());
            host.own(ShardId(0), Epoch(2));
            let (sender, mut answer) = oneshot::channel();
            let said = Output::Reply(ReplyTo::Once(sender), Err(Refusal::QueueEmpty));
            let steps = vec![Step::new(ENTITY, None, vec![said], None)];
            host.committed(vec![Committed { shard: ShardId(0), epoch: Epoch(1), steps, outcome: Err(outcome) }]);
            assert_eq!(answer.try_recv().expect("it is answered"), Err(unavailable()));
            assert_eq!(host.epoch_of(ShardId(0)), Some(Epoch(2)));
            assert!(host.residents.borrow().is_empty(), "nobody reads what others have written, and takes it for this");
        }
    }

    #[test]
    fn what_rests_on_no_write_is_said_by_an_owner_only() {
        for (until, expected) in [(11, Refusal::QueueEmpty), (10, unavailable())] {
            let tenure = Tenure::not_yet();
            tenure.extend(Time(until));
            let host = host(&tenure);
            host.own(ShardId(0), Epoch(1));
            let (sender, mut answer) = oneshot::channel();
            let refusal = Output::Reply(ReplyTo::Once(sender), Err(Refusal::QueueEmpty));
            host.submit(ShardId(0), Step::new(ENTITY, None, vec![refusal], None));
            host.begin(ShardId(0), &Commits::new());
            assert_eq!(answer.try_recv().expect("it is answered"), Err(expected));
            assert_eq!(tenure.take_missed(), until == 10, "whoever beats hears of it");
        }
    }
}
