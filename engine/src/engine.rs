//! The way into the engine, and its start and end.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_rt::Arbiter;
use arc_swap::ArcSwap;
use bytes::Bytes;
use jono_domain::account::Who;
use jono_domain::limits::KEY_KEPT_MS;
use jono_domain::message::{Address, Order};
use jono_domain::reply::Refusal;
use jono_store::{CommitError, EntityKey, ReadError, ShardId, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::bus::{Bus, Inbox, LocalBus};
use crate::clock::{Clock, SystemClock};
use crate::counters::Counters;
use crate::delivery::{Deliver, SessionRef};
use crate::directory::Directory;
use crate::host::{Common, Host};
use crate::kind::{address_of, last_organisation_key};
use crate::lease::Alone;
use crate::letter::{Ask, Letter};
use crate::limits::{FORGET_AT_ONCE, FORGET_EVERY_MS, QUERIES_MAX, RECOVERY_PAGE, START_PATIENCE_MS, STOP_PATIENCE_MS};
use crate::output::{Output, unavailable};
use crate::request::{Answer, Follow, Full, Query, ReplyTo, Request};
use crate::shard::Shard;

/// Orders at which an entity panics: a bug on demand, for tests.
pub type PanicIf = fn(&Order) -> bool;

/// How the engine runs.
#[derive(Clone)]
pub struct EngineConfig {
    /// Threads that run entities; 0 is one for every two cores.
    pub arbiters: usize,
    /// Logical shards of a new store; a store keeps the number that it was made with.
    pub shards: u16,
    /// Where `now` comes from.
    pub clock: Arc<dyn Clock>,
    /// For tests.
    pub panic_if: Option<PanicIf>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { arbiters: 0, shards: 256, clock: SystemClock::start(), panic_if: None }
    }
}

/// Why the engine did not start.
#[derive(Debug)]
pub enum StartError {
    /// The store could not be read.
    Read(ReadError),
    /// The store could not be written.
    Commit(CommitError),
    /// The store holds something that this Jono does not know.
    Unknown(&'static str),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "the store cannot be read: {error}"),
            Self::Commit(error) => write!(f, "the store cannot be written: {error}"),
            Self::Unknown(what) => write!(f, "the store holds {what} of another version"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<ReadError> for StartError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<CommitError> for StartError {
    fn from(error: CommitError) -> Self {
        Self::Commit(error)
    }
}

/// A handle on the running engine; clones are cheap.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Running>,
}

struct Running {
    bus: Arc<LocalBus>,
    common: Common,
    arbiters: Vec<(Arbiter, tokio::sync::mpsc::UnboundedSender<Job>)>,
    next_arbiter: AtomicUsize,
    /// One permit for each question that may be under way.
    queries: Arc<Semaphore>,
    stopping: AtomicBool,
    secret: [u8; 32],
    log_identity: u64,
}

/// Work for an arbiter that is not for one entity.
enum Job {
    Find(Who, Query, ReplyTo, OwnedSemaphorePermit),
    /// Tells whether nothing is under way.
    Quiet(oneshot::Sender<bool>),
    Stop,
}

impl Engine {
    /// Starts the shards and brings back every live entity; timers that fell due meanwhile fire. Call
    /// inside an actix `System`.
    ///
    /// # Errors
    /// [`StartError`], when the store cannot be read or written.
    pub async fn start(store: Arc<dyn Store>, config: EngineConfig) -> Result<Engine, StartError> {
        let shard_count = shard_count(&*store, config.shards).await?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let arbiter_count = if config.arbiters == 0 { cores.div_ceil(2) } else { config.arbiters }.min(usize::from(shard_count));
        let secret = constant(&*store, "secret").await?;
        let log_identity = constant::<8>(&*store, "log identity").await?;
        let (bus, inboxes) = LocalBus::new(shard_count, arbiter_count);
        let common = Common {
            shard_count,
            lease: Arc::new(Alone(Arc::clone(&store))),
            store,
            bus: Arc::clone(&bus) as Arc<dyn Bus>,
            directory: Arc::new(ArcSwap::default()),
            clock: config.clock,
            counters: Arc::new(Counters::default()),
            panic_if: config.panic_if,
        };
        let mut arbiters = Vec::new();
        let mut organisations_read = Vec::new();
        let mut all_read = Vec::new();
        // Entities need their organisation's settings, so all arbiters read organisations first.
        let (go, gone) = tokio::sync::watch::channel(false);
        for (index, inbox) in inboxes.into_iter().enumerate() {
            let shards = (0..shard_count).filter(|shard| usize::from(*shard) % arbiter_count == index).map(ShardId);
            let (first, first_read) = oneshot::channel();
            let (second, second_read) = oneshot::channel();
            let (jobs, inbox_of_jobs) = tokio::sync::mpsc::unbounded_channel();
            let begin = Begin {
                shards: shards.collect(),
                inbox,
                jobs: inbox_of_jobs,
                go: gone.clone(),
                organisations: first,
                all: second,
            };
            let arbiter = Arbiter::new();
            let common = common.clone();
            arbiter.spawn_fn(move || {
                actix_rt::spawn(begin.run(common));
            });
            arbiters.push((arbiter, jobs));
            organisations_read.push(first_read);
            all_read.push(second_read);
        }
        let shared = Running {
            bus,
            common,
            arbiters,
            next_arbiter: AtomicUsize::new(0),
            queries: Arc::new(Semaphore::new(QUERIES_MAX)),
            stopping: AtomicBool::new(false),
            secret,
            log_identity: u64::from_be_bytes(log_identity),
        };
        let engine = Engine { shared: Arc::new(shared) };
        let begun = async {
            all(organisations_read).await?;
            go.send_replace(true);
            all(all_read).await
        };
        if let Err(error) = begun.await {
            engine.stop_arbiters();
            return Err(error);
        }
        engine.settle(START_PATIENCE_MS).await;
        Ok(engine)
    }

    /// Asks one entity.
    ///
    /// # Errors
    /// [`Full`]: nothing was done, and nothing will be answered.
    pub fn send(&self, request: Request) -> Result<(), Full> {
        let Request { who, key, order, reply_to } = request;
        self.post(Letter::Ask(Ask { who, key, order, reply_to, hops: 0 }))
    }

    /// Asks one entity and waits.
    ///
    /// # Errors
    /// The entity's refusal, or that the engine is busy or stopping.
    pub async fn ask(&self, who: Who, key: Option<String>, order: Order) -> Answer {
        let (sender, receiver) = oneshot::channel();
        let request = Request { who, key, order, reply_to: ReplyTo::Once(sender) };
        if self.send(request).is_err() {
            return Err(Refusal::Busy { retry_after_ms: crate::limits::RETRY_AFTER_MS });
        }
        receiver.await.unwrap_or_else(|_| Err(unavailable()))
    }

    /// A session begins to follow an entity.
    ///
    /// # Errors
    /// [`Full`]: nothing was done, and nothing will be answered.
    pub fn follow(&self, follow: Follow) -> Result<(), Full> {
        self.post(Letter::Follow { follow, unasked: false })
    }

    /// A session no longer follows an entity. Never refused.
    pub fn unfollow(&self, session: SessionRef, what: Address) {
        let _ = self.shared.bus.post(Letter::Unfollow { session, what });
    }

    /// Asks over several entities, or into the past.
    ///
    /// # Errors
    /// [`Full`]: nothing was done, and nothing will be answered.
    pub fn query(&self, who: Who, query: Query, reply_to: ReplyTo) -> Result<(), Full> {
        if self.is_stopping() {
            return Err(Full);
        }
        let permit = Arc::clone(&self.shared.queries).try_acquire_owned().map_err(|_| {
            self.shared.common.counters.refused_busy.add(1);
            Full
        })?;
        let next = self.shared.next_arbiter.fetch_add(1, Ordering::Relaxed) % self.shared.arbiters.len();
        self.shared.arbiters[next].1.send(Job::Find(who, query, reply_to, permit)).map_err(|_| Full)
    }

    fn post(&self, letter: Letter) -> Result<(), Full> {
        if self.is_stopping() {
            return Err(Full);
        }
        self.shared.bus.post(letter).map_err(|_| {
            self.shared.common.counters.refused_busy.add(1);
            Full
        })
    }

    fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Relaxed)
    }

    /// The settings of every organisation, as they are now.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.shared.common.directory.load_full()
    }

    /// Deliveries to sessions with this gateway number go to `deliver`.
    pub fn attach_gateway(&self, deliver: Arc<dyn Deliver>) -> u32 {
        self.shared.bus.attach(&deliver)
    }

    /// Random bytes that are kept with the data: keys for tokens are derived from them.
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        self.shared.secret
    }

    /// Random, kept with the data: another log has another identity.
    #[must_use]
    pub fn log_identity(&self) -> u64 {
        self.shared.log_identity
    }

    /// For metrics.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.common.counters)
    }

    /// Letters that wait for arbiters.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.bus.waiting()
    }

    /// The engine's clock.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.shared.common.clock)
    }

    /// Takes nothing more, finishes what is under way, and closes the store.
    pub async fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.settle(STOP_PATIENCE_MS).await;
        self.stop_arbiters();
        self.shared.common.store.close().await;
    }

    fn stop_arbiters(&self) {
        for (arbiter, jobs) in &self.shared.arbiters {
            let _ = jobs.send(Job::Stop);
            arbiter.stop();
        }
    }

    /// Waits until nothing is under way.
    async fn settle(&self, patience_ms: u64) {
        // Two quiet looks in a row, since one entity's last word may be another's first.
        let mut quiet = 0;
        let patience = tokio::time::Instant::now() + Duration::from_millis(patience_ms);
        while quiet < 2 && tokio::time::Instant::now() < patience {
            quiet = if self.is_quiet().await { quiet + 1 } else { 0 };
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn is_quiet(&self) -> bool {
        for (_, jobs) in &self.shared.arbiters {
            let (sender, receiver) = oneshot::channel();
            let asked = jobs.send(Job::Quiet(sender));
            if asked.is_ok() && !receiver.await.unwrap_or(true) {
                return false;
            }
        }
        self.waiting() == 0 && self.shared.queries.available_permits() == QUERIES_MAX
    }
}

async fn all(reads: Vec<oneshot::Receiver<Result<(), StartError>>>) -> Result<(), StartError> {
    for read in reads {
        read.await.map_err(|_| StartError::Unknown("an entity"))??;
    }
    Ok(())
}

/// What an arbiter begins with.
struct Begin {
    shards: Vec<ShardId>,
    inbox: Inbox,
    jobs: tokio::sync::mpsc::UnboundedReceiver<Job>,
    go: tokio::sync::watch::Receiver<bool>,
    organisations: oneshot::Sender<Result<(), StartError>>,
    all: oneshot::Sender<Result<(), StartError>>,
}

impl Begin {
    async fn run(self, common: Common) {
        let Begin { shards, inbox, mut jobs, mut go, organisations, all } = self;
        let host = Host::new(common);
        // Letters between entities that come back are delivered while others are still being read.
        host.run(inbox);
        let read = host.read_organisations(&shards).await;
        let failed = read.is_err();
        let _ = organisations.send(read);
        if failed || go.wait_for(|go| *go).await.is_err() {
            return;
        }
        let _ = all.send(host.read_live(&shards).await);
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
                Job::Stop => return,
            }
        }
    }
}

impl Host {
    async fn read_organisations(self: &Rc<Self>, shards: &[ShardId]) -> Result<(), StartError> {
        for shard in shards {
            let epoch = self.lease.acquire(*shard).await?;
            self.shards.borrow_mut().insert(*shard, Shard::new(epoch));
            self.read_pages(*shard, None, Some(&last_organisation_key())).await?;
        }
        // Every organisation has published its settings once its entity has started.
        while !self.is_idle() {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn read_live(self: &Rc<Self>, shards: &[ShardId]) -> Result<(), StartError> {
        for shard in shards {
            self.read_pages(*shard, Some(last_organisation_key()), None).await?;
        }
        Ok(())
    }

    async fn read_pages(
        self: &Rc<Self>,
        shard: ShardId,
        after: Option<EntityKey>,
        last: Option<&EntityKey>,
    ) -> Result<(), StartError> {
        let mut after = after;
        loop {
            let page = self.store.load_live(shard, after, RECOVERY_PAGE).await?;
            let Some((key, _)) = page.last() else { return Ok(()) };
            after = Some(key.clone());
            for (key, loaded) in page {
                if last.is_some_and(|last| key > *last) {
                    return Ok(());
                }
                let address = address_of(&key).ok_or(StartError::Unknown("an entity"))?;
                self.counters.recovered.add(1);
                self.recover(address, loaded);
            }
            tokio::task::yield_now().await;
        }
    }

    fn forget_old_answers(self: &Rc<Self>) {
        // One arbiter does it for all: the one that owns the first shard.
        if !self.shards.borrow().contains_key(&ShardId(0)) {
            return;
        }
        let host = Rc::clone(self);
        actix_rt::spawn(async move {
            loop {
                host.clock.sleep_until(host.clock.now() + FORGET_EVERY_MS).await;
                let before = host.clock.now() - KEY_KEPT_MS;
                loop {
                    match host.store.forget_answers(before.0, FORGET_AT_ONCE).await {
                        Ok(FORGET_AT_ONCE) => {}
                        Ok(_) => break,
                        Err(error) => {
                            tracing::warn!(%error, "old answers could not be removed");
                            break;
                        }
                    }
                }
            }
        });
    }
}

/// The number of shards is part of the data.
async fn shard_count(store: &dyn Store, wanted: u16) -> Result<u16, StartError> {
    let stored = store.constant("shards", Bytes::copy_from_slice(&wanted.max(1).to_be_bytes())).await?;
    let bytes: [u8; 2] = stored[..].try_into().map_err(|_| StartError::Unknown("a number of shards"))?;
    Ok(u16::from_be_bytes(bytes).max(1))
}

/// Random bytes that are kept with the data.
async fn constant<const N: usize>(store: &dyn Store, name: &'static str) -> Result<[u8; N], StartError> {
    let mut fresh = [0u8; N];
    getrandom::fill(&mut fresh).map_err(|_| StartError::Unknown("random numbers"))?;
    let stored = store.constant(name, Bytes::copy_from_slice(&fresh)).await?;
    stored[..].try_into().map_err(|_| StartError::Unknown("a constant"))
}
