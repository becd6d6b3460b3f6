//! The way into the engine, and its start and end.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use jono_domain::account::Who;
use jono_domain::message::{Address, Order};
use jono_points::{KillPoint, pass};
use jono_store::{CommitError, ExchangeError, ReadError, Store};
use tokio::sync::{Semaphore, oneshot};

use crate::arbiters::{Arbiters, Job, Threads};
use crate::bus::{Bus, Inbox, LocalBus};
use crate::clock::{Clock, SystemClock};
use crate::cluster::limits::OWNED_PATIENCE_MS;
use crate::cluster::{ClusterBus, ClusterConfig, Node, NodeHandle, settings};
use crate::constants::Constants;
use crate::counters::Counters;
use crate::delivery::{Deliver, SessionRef};
use crate::directory::Directory;
use crate::host::Common;
use crate::lease::Tenure;
use crate::letter::{Ask, Letter};
use crate::limits::{QUERIES_MAX, START_PATIENCE_MS, STOP_PATIENCE_MS};
use crate::output::{busy, unavailable};
use crate::request::{Answer, Follow, Full, Query, ReplyTo, Request};

/// How often it is looked whether nothing is under way.
const QUIET_LOOK_EVERY_MS: u64 = 2;

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
    /// Where it runs.
    pub threads: Threads,
    /// For tests.
    pub panic_if: Option<PanicIf>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { arbiters: 0, shards: 256, clock: SystemClock::start(), threads: Threads::Own, panic_if: None }
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
    /// Another process has taken the records over meanwhile.
    Replaced,
    /// The other processes cannot be reached.
    Exchange(ExchangeError),
    /// No process serves shards.
    Unserved,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "the store cannot be read: {error}"),
            Self::Commit(error) => write!(f, "the store cannot be written: {error}"),
            Self::Unknown(what) => write!(f, "the store holds {what} of another version"),
            Self::Replaced => f.write_str("another process has taken the store over"),
            Self::Exchange(error) => write!(f, "the other processes cannot be reached: {error}"),
            Self::Unserved => f.write_str("no process serves: start one with `--role engine` or `--role all` on the same Redis"),
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
    local: Arc<LocalBus>,
    common: Common,
    arbiters: Arc<Arbiters>,
    /// The process among others, unless it is alone.
    node: Option<NodeHandle>,
    next_arbiter: AtomicUsize,
    /// One permit for each question that may be under way.
    queries: Arc<Semaphore>,
    stopping: AtomicBool,
    constants: Constants,
}

impl Running {
    fn new(
        local: Arc<LocalBus>,
        common: Common,
        arbiters: Arc<Arbiters>,
        node: Option<NodeHandle>,
        constants: Constants,
    ) -> Self {
        Self {
            local,
            common,
            arbiters,
            node,
            next_arbiter: AtomicUsize::new(0),
            queries: Arc::new(Semaphore::new(QUERIES_MAX)),
            stopping: AtomicBool::new(false),
            constants,
        }
    }
}

impl Engine {
    /// Starts alone with the store: owns every shard, and brings back every live entity; timers that fell due meanwhile
    /// fire. Call inside an actix `System`.
    ///
    /// # Errors
    /// [`StartError`], when the store cannot be read or written.
    pub async fn start(store: Arc<dyn Store>, config: EngineConfig) -> Result<Engine, StartError> {
        let (common, local, inboxes, constants) = Self::prepare(store, &config, Tenure::for_ever(), true).await?;
        let (arbiters, read) = Arbiters::start_owning_all(&common, inboxes, config.threads);
        let engine = Engine { shared: Arc::new(Running::new(local, common, arbiters, None, constants)) };
        if let Err(error) = read.await {
            engine.shared.arbiters.stop();
            return Err(error);
        }
        engine.settle(START_PATIENCE_MS).await;
        Ok(engine)
    }

    /// Starts as one process among others that share the store, and waits until every shard has an owner.
    /// Call inside an actix `System`.
    ///
    /// # Errors
    /// [`StartError`], when the store or the exchange cannot be reached, or nobody owns shards for
    /// [`OWNED_PATIENCE_MS`](crate::cluster::limits::OWNED_PATIENCE_MS) (no process that serves shards runs).
    pub async fn start_among(store: Arc<dyn Store>, config: EngineConfig, cluster: ClusterConfig) -> Result<Engine, StartError> {
        let tenure = Tenure::not_yet();
        let (mut common, local, inboxes, constants) =
            Self::prepare(store, &config, Arc::clone(&tenure), cluster.serves_shards).await?;
        let bus = ClusterBus::new(
            Arc::clone(&local),
            common.shard_count,
            tenure,
            Arc::clone(&common.clock),
            Arc::clone(&common.counters),
        );
        common.bus = Arc::clone(&bus) as Arc<dyn Bus>;
        settings::read_all(&common.store, common.shard_count, &common.directory).await?;
        let arbiters = Arbiters::start_owning_none(&common, inboxes, config.threads);
        let joined = Self::join(cluster, common.clone(), bus, Arc::clone(&arbiters), constants).await;
        let mut node = match joined {
            Ok(node) => node,
            Err(error) => {
                arbiters.stop();
                return Err(error);
            }
        };
        let clock = Arc::clone(&common.clock);
        let serves = tokio::select! {
            biased;
            () = node.serves() => true,
            () = clock.rest(OWNED_PATIENCE_MS) => false,
        };
        let engine = Engine { shared: Arc::new(Running::new(local, common, arbiters, Some(node), constants)) };
        if !serves {
            engine.stop().await;
            return Err(StartError::Unserved);
        }
        Ok(engine)
    }

    /// The node lives on an arbiter of its own, so that entities that have much to do do not keep it from beating.
    async fn join(
        cluster: ClusterConfig,
        common: Common,
        bus: Arc<ClusterBus>,
        arbiters: Arc<Arbiters>,
        constants: Constants,
    ) -> Result<NodeHandle, StartError> {
        let (joined, has_joined) = oneshot::channel();
        let of_node = Arc::clone(&arbiters);
        arbiters.begin(move || {
            actix_rt::spawn(async move {
                match Node::join(cluster, common, bus, of_node, constants).await {
                    Ok((handle, life)) => {
                        let _ = joined.send(Ok(handle));
                        life.await;
                    }
                    Err(error) => drop(joined.send(Err(StartError::Exchange(error)))),
                }
            });
        });
        has_joined.await.map_err(|_| StartError::Unknown("an exchange"))?
    }

    async fn prepare(
        store: Arc<dyn Store>,
        config: &EngineConfig,
        tenure: Arc<Tenure>,
        serves_shards: bool,
    ) -> Result<(Common, Arc<LocalBus>, Vec<Inbox>, Constants), StartError> {
        let constants = Constants::of(&*store, config.shards).await?;
        let shard_count = constants.shard_count;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let arbiters = match config.arbiters {
            _ if !serves_shards => 1,
            0 => cores.div_ceil(2),
            arbiters => arbiters,
        };
        let (local, inboxes) = LocalBus::new(shard_count, arbiters.min(usize::from(shard_count)));
        let common = Common {
            shard_count,
            tenure,
            store,
            bus: Arc::clone(&local) as Arc<dyn Bus>,
            directory: Arc::new(ArcSwap::default()),
            clock: Arc::clone(&config.clock),
            counters: Arc::new(Counters::default()),
            panic_if: config.panic_if,
        };
        Ok((common, local, inboxes, constants))
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
            return Err(busy());
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
        let _ = self.shared.common.bus.post(Letter::Unfollow { session, what, is_led: false });
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
        let next = self.shared.next_arbiter.fetch_add(1, Ordering::Relaxed);
        if self.shared.arbiters.send(next, Job::Find(who, query, reply_to, permit)) { Ok(()) } else { Err(Full) }
    }

    fn post(&self, letter: Letter) -> Result<(), Full> {
        if self.is_stopping() {
            return Err(Full);
        }
        self.shared.common.bus.post(letter).map_err(|_| {
            self.shared.common.counters.refused_busy.add(1);
            Full
        })
    }

    fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Relaxed)
    }

    /// Does it own everything, with no other process beside it?
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.shared.node.is_none()
    }

    /// The settings of every organisation, as they are now.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.shared.common.directory.load_full()
    }

    /// Deliveries to sessions with this gateway number go to `deliver`.
    pub fn attach_gateway(&self, deliver: Arc<dyn Deliver>) -> u64 {
        self.shared.local.attach(&deliver)
    }

    /// Random bytes that are kept with the data: keys for tokens are derived from them.
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        self.shared.constants.secret
    }

    /// Random, kept with the data: another log has another identity. Among others it changes when records that were confirmed
    /// may have been lost.
    #[must_use]
    pub fn log_identity(&self) -> u64 {
        self.shared.node.as_ref().map_or(self.shared.constants.log_identity, NodeHandle::log_identity)
    }

    /// Is everything served? Alone, always; among others, when this process is in touch and every shard has an owner.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.shared.node.as_ref().is_none_or(NodeHandle::is_serving)
    }

    /// Resolves when the store has been emptied and others have begun anew on it, under another secret: what this process signs
    /// is worth nothing to them. It serves nothing any more, and should be ended and started again. Alone, never.
    pub async fn outlived(&self) {
        match self.shared.node.clone() {
            Some(mut node) => node.outlived().await,
            None => std::future::pending().await,
        }
    }

    /// For metrics.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.common.counters)
    }

    /// Letters that wait for arbiters.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.local.waiting()
    }

    /// The engine's clock.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.shared.common.clock)
    }

    /// Takes nothing more, finishes what is under way, and closes the store. Among others, their processes take over first.
    pub async fn stop(&self) {
        if let Some(node) = &self.shared.node {
            node.leave().await;
        }
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.settle(STOP_PATIENCE_MS).await;
        pass(KillPoint::EngineSettled);
        self.shared.arbiters.stop();
        self.shared.common.store.close().await;
    }

    /// Ends as a process does that is killed: nothing is finished, nobody is told. For tests.
    #[doc(hidden)]
    pub fn crash(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.arbiters.stop();
    }

    /// Waits until nothing is under way.
    async fn settle(&self, patience_ms: u64) {
        // Two quiet looks in a row, since one entity's last word may be another's first.
        let mut quiet = 0;
        for _ in 0..patience_ms / QUIET_LOOK_EVERY_MS {
            quiet = if self.is_quiet().await { quiet + 1 } else { 0 };
            if quiet == 2 {
                return;
            }
            self.shared.common.clock.rest(QUIET_LOOK_EVERY_MS).await;
        }
    }

    async fn is_quiet(&self) -> bool {
        self.shared.arbiters.are_quiet().await && self.waiting() == 0 && self.shared.queries.available_permits() == QUERIES_MAX
    }
}
