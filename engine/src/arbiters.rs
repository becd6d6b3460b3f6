//! The threads that run entities, and the work for them that is not for one entity.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use actix_rt::Arbiter;
use futures_util::{StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use jono_domain::account::Who;
use jono_domain::limits::KEY_KEPT_MS;
use jono_points::{KillPoint, Rule, is_broken, pass};
use jono_store::{Epoch, NodeId, ShardId};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use crate::bus::Inbox;
use crate::cluster::is_session_of;
use crate::delivery::Moved;
use crate::engine::StartError;
use crate::host::{Common, Host};
use crate::kind::last_organisation_key;
use crate::limits::{ACQUIRE_AT_ONCE, FORGET_AT_ONCE, FORGET_EVERY_MS, READ_AT_ONCE};
use crate::output::Output;
use crate::request::{Query, ReplyTo};
use crate::tenancy::AdoptError;

/// Work for an arbiter that is not for one entity.
pub(crate) enum Job {
    /// A question; the permit is held until it is answered.
    Find(Who, Query, ReplyTo, OwnedSemaphorePermit),
    /// Tells whether nothing is under way.
    Quiet(oneshot::Sender<bool>),
    /// Serve a shard; tells whether that came to be.
    Adopt(ShardId, Epoch, oneshot::Sender<bool>),
    /// Serve these shards no more; orderly or at once.
    Leave(Moved, bool, oneshot::Sender<()>),
    /// Others serve these shards now: tell them what they should know.
    Announce(Moved),
    /// The sessions of that process are gone.
    Forget(NodeId),
    /// As before, and say when.
    ForgetAndSay(NodeId, oneshot::Sender<()>),
    /// The end.
    Stop,
}

/// On which threads the engine runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// On its own: one for each arbiter, and one for what goes on between processes.
    #[default]
    Own,
    /// On the caller's: all of it becomes tasks of the `LocalSet` in which it is started, so that whoever runs that one
    /// decides what happens when, and ends all of it at any moment by dropping it. For simulations.
    Callers,
}

/// All arbiters of a process.
pub(crate) struct Arbiters {
    jobs: Vec<mpsc::UnboundedSender<Job>>,
    on: Threads,
    threads: Mutex<Vec<Arbiter>>,
}

impl Arbiters {
    /// For a process that is alone. The future resolves when everything is read.
    pub(crate) fn start_owning_all(
        common: &Common,
        inboxes: Vec<Inbox>,
        on: Threads,
    ) -> (Arc<Self>, impl Future<Output = Result<(), StartError>> + use<>) {
        let count = inboxes.len();
        // Entities need their organisation's settings, so all arbiters read organisations first.
        let (go, gone) = watch::channel(false);
        let mut organisations_read = Vec::new();
        let mut all_read = Vec::new();
        let arbiters = Self::start(common, inboxes, on, |index| {
            let shards = (0..common.shard_count).filter(|shard| usize::from(*shard) % count == index).map(ShardId);
            let (first, first_read) = oneshot::channel();
            let (second, second_read) = oneshot::channel();
            organisations_read.push(first_read);
            all_read.push(second_read);
            Some(Recovery { shards: shards.collect(), go: gone.clone(), organisations: first, all: second })
        });
        let read = async move {
            all(organisations_read).await?;
            go.send_replace(true);
            all(all_read).await
        };
        (arbiters, read)
    }

    /// For a process whose shards come later.
    pub(crate) fn start_owning_none(common: &Common, inboxes: Vec<Inbox>, on: Threads) -> Arc<Self> {
        Self::start(common, inboxes, on, |_| None)
    }

    fn start(
        common: &Common,
        inboxes: Vec<Inbox>,
        on: Threads,
        mut recovery: impl FnMut(usize) -> Option<Recovery>,
    ) -> Arc<Self> {
        let mut arbiters = Self { jobs: Vec::new(), on, threads: Mutex::default() };
        for (index, inbox) in inboxes.into_iter().enumerate() {
            let (sender, receiver) = mpsc::unbounded_channel();
            let recovery = recovery(index);
            let common = common.clone();
            arbiters.begin(move || {
                actix_rt::spawn(run(common, inbox, receiver, recovery));
            });
            arbiters.jobs.push(sender);
        }
        Arc::new(arbiters)
    }

    /// Begins something that may take long, on one more thread, which ends with the others.
    pub(crate) fn begin(&self, task: impl FnOnce() + Send + 'static) {
        match self.on {
            Threads::Callers => task(),
            Threads::Own => {
                let arbiter = Arbiter::new();
                arbiter.spawn_fn(task);
                self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(arbiter);
            }
        }
    }

    /// To one of them, in turn; says whether it is there.
    pub(crate) fn send(&self, index: usize, job: Job) -> bool {
        self.jobs[index % self.jobs.len()].send(job).is_ok()
    }

    /// To all of them.
    pub(crate) fn tell(&self, job: impl Fn() -> Job) {
        for jobs in &self.jobs {
            // One that has stopped has nothing to do any more.
            let _ = jobs.send(job());
        }
    }

    pub(crate) async fn are_quiet(&self) -> bool {
        for jobs in &self.jobs {
            let (sender, receiver) = oneshot::channel();
            if jobs.send(Job::Quiet(sender)).is_ok() && !receiver.await.unwrap_or(true) {
                return false;
            }
        }
        true
    }

    /// Resolves when the shard is served, or will not be.
    pub(crate) async fn adopt(&self, shard: ShardId, epoch: Epoch) -> bool {
        let (sender, receiver) = oneshot::channel();
        self.send(usize::from(shard.0), Job::Adopt(shard, epoch, sender)) && receiver.await.unwrap_or(false)
    }

    /// Begins at once; resolves when nothing of these shards is left here.
    pub(crate) fn leave(&self, shards: &Moved, is_orderly: bool) -> impl Future<Output = ()> + use<> {
        over(self.all(|sender| Job::Leave(shards.clone(), is_orderly, sender)))
    }

    /// Begins at once; resolves when nobody of that process follows anything here any more.
    pub(crate) fn forget(&self, node: NodeId) -> impl Future<Output = ()> + use<> {
        over(self.all(|sender| Job::ForgetAndSay(node, sender)))
    }

    fn all(&self, job: impl Fn(oneshot::Sender<()>) -> Job) -> Vec<oneshot::Receiver<()>> {
        let mut done = Vec::new();
        for jobs in &self.jobs {
            let (sender, receiver) = oneshot::channel();
            if jobs.send(job(sender)).is_ok() {
                done.push(receiver);
            }
        }
        done
    }

    pub(crate) fn stop(&self) {
        self.tell(|| Job::Stop);
        for arbiter in self.threads.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            arbiter.stop();
        }
    }
}

async fn over(done: Vec<oneshot::Receiver<()>>) {
    for receiver in done {
        // An arbiter that is gone has nothing left.
        let _ = receiver.await;
    }
}

async fn all(reads: Vec<oneshot::Receiver<Result<(), StartError>>>) -> Result<(), StartError> {
    for read in reads {
        read.await.map_err(|_| StartError::Unknown("an entity"))??;
    }
    Ok(())
}

/// What an arbiter of a process that is alone begins with.
struct Recovery {
    shards: Vec<ShardId>,
    go: watch::Receiver<bool>,
    organisations: oneshot::Sender<Result<(), StartError>>,
    all: oneshot::Sender<Result<(), StartError>>,
}

impl Recovery {
    async fn run(mut self, host: &Rc<Host>) -> bool {
        let read = self.read_organisations(host).await;
        let failed = read.is_err();
        let _ = self.organisations.send(read);
        if failed || self.go.wait_for(|go| *go).await.is_err() {
            return false;
        }
        // The store reads some shards while the entities of others start.
        let reads = self.shards.iter().map(|shard| host.recover_live(*shard, Some(last_organisation_key()), None));
        let mut reads = futures_util::stream::iter(reads).buffer_unordered(READ_AT_ONCE);
        let mut read = Ok(());
        while let Some(one) = reads.next().await {
            read = read.and(one);
        }
        drop(reads);
        self.all.send(read.map_err(StartError::from)).is_ok()
    }

    async fn read_organisations(&self, host: &Rc<Host>) -> Result<(), StartError> {
        let acquires = self.shards.iter().map(|shard| {
            host.store.acquire(*shard).map_ok(|epoch| {
                pass(KillPoint::ShardAcquired);
                host.own(*shard, epoch);
            })
        });
        futures_util::stream::iter(acquires).buffer_unordered(ACQUIRE_AT_ONCE).try_collect::<()>().await?;
        let last = last_organisation_key();
        let reads = self.shards.iter().map(|shard| host.recover_live(*shard, None, Some(&last)));
        futures_util::stream::iter(reads).buffer_unordered(READ_AT_ONCE).try_collect::<()>().await?;
        // Every organisation has published its settings once its entity has started.
        while !host.is_idle() {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

impl From<AdoptError> for StartError {
    fn from(error: AdoptError) -> Self {
        match error {
            AdoptError::Read(error) => Self::Read(error),
            AdoptError::Unknown => Self::Unknown("an entity"),
            AdoptError::Lost => Self::Replaced,
        }
    }
}

async fn run(common: Common, inbox: Inbox, mut jobs: mpsc::UnboundedReceiver<Job>, recovery: Option<Recovery>) {
    let host = Host::new(common);
    // Letters between entities that come back are delivered while others are still being read.
    host.run(inbox);
    if let Some(recovery) = recovery
        && !recovery.run(&host).await
    {
        return;
    }
    host.forget_old_answers();
    while let Some(job) = jobs.recv().await {
        match job {
            Job::Find(who, query, reply_to, permit) => {
                let host = Rc::clone(&host);
                actix_rt::spawn(async move {
                    let answer = host.find(who, query).await;
                    host.send([Output::Reply(reply_to, answer)]);
                    drop(permit);
                });
            }
            Job::Quiet(sender) => drop(sender.send(host.is_idle())),
            Job::Adopt(shard, epoch, done) => {
                let host = Rc::clone(&host);
                actix_rt::spawn(async move {
                    let adopted = host.adopt(shard, epoch).await;
                    if let Err(error) = &adopted {
                        tracing::warn!(shard = shard.0, ?error, "a shard could not be brought back");
                    }
                    let _ = done.send(adopted.is_ok());
                });
            }
            Job::Leave(shards, is_orderly, done) => {
                let host = Rc::clone(&host);
                actix_rt::spawn(async move {
                    host.leave(&shards, is_orderly).await;
                    let _ = done.send(());
                });
            }
            Job::Announce(_) if is_broken(Rule::NewOwnersAreTold) => {}
            Job::Announce(moved) => {
                let host = Rc::clone(&host);
                actix_rt::spawn(async move { host.announce(&moved).await });
            }
            Job::Forget(node) => host.forget_sessions(|session| is_session_of(session, node)),
            Job::ForgetAndSay(node, done) => {
                host.forget_sessions(|session| is_session_of(session, node));
                let _ = done.send(());
            }
            Job::Stop => return,
        }
    }
}

impl Host {
    fn forget_old_answers(self: &Rc<Self>) {
        let host = Rc::clone(self);
        actix_rt::spawn(async move {
            loop {
                host.clock.sleep_until(host.clock.now() + FORGET_EVERY_MS).await;
                // One arbiter does it for all: the one that owns the first shard.
                if host.owns(ShardId(0)) {
                    host.forget_answers_once().await;
                }
            }
        });
    }

    async fn forget_answers_once(&self) {
        let before = self.clock.now() - KEY_KEPT_MS;
        loop {
            match self.store.forget_answers(before.0, FORGET_AT_ONCE).await {
                Ok(FORGET_AT_ONCE) => {}
                Ok(_) => return,
                Err(error) => return tracing::warn!(%error, "old answers could not be removed"),
            }
        }
    }
}
