//! The Redis of the simulation: one server that carries out whole calls one after the other, as scripts are, over connections
//! on which requests and answers take their time, and are lost when it is cut.
//!
//! What calls do is what `jono_store`'s stores in memory do, which pass the same contract as Redis does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jono_store::{Epoch, MemoryExchange, MemoryStore, NodeId, ShardId, Store as _};
use tokio::sync::oneshot;

use crate::timeline::{MS, Micros, SECOND, Timeline};

/// After so long without an answer a connection is given up; so is what it was asked for.
const CALL_PATIENCE: Micros = 3 * SECOND;
/// More are not given in the second that may be lost.
const EPOCHS_SKIPPED: usize = 16;
/// How often the server brings to disk what it has taken, where it does not do so for every commit.
const SYNC_EVERY: Micros = SECOND;

/// What a caller is told when there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It did not happen.
    Undone,
    /// It may have happened, or may happen yet.
    Unknown,
}

/// How the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    /// Takes requests and does nothing.
    Frozen,
    Down,
}

/// The server.
pub struct SimRedis {
    timeline: Arc<Timeline>,
    server: Mutex<Server>,
}

type Waiter = Box<dyn FnOnce(&mut Server) + Send>;
type Work = Box<dyn FnOnce(&mut Server) + Send>;

/// What the server has.
pub struct Server {
    /// Records.
    pub records: MemoryStore,
    /// Members, owners, boxes.
    pub exchange: MemoryExchange,
    /// What is on its disk, where that is less than what it has confirmed.
    synced: Option<(Micros, MemoryStore, MemoryExchange)>,
    state: State,
    /// Came while it was frozen.
    held: Vec<Work>,
    /// Counts its starts: what was asked of the one before is lost.
    life: u64,
    /// Who waits for something to come into a box.
    waiting: BTreeMap<NodeId, Vec<Waiter>>,
    /// Every call takes so much longer.
    slow: Micros,
    /// How many answers of a thousand are lost.
    answers_lost: u64,
    /// Seed of what is kept with the data.
    pub secret: u64,
    /// The epochs that were given, kept apart from the records.
    pub epochs: BTreeMap<ShardId, Epoch>,
    /// A batch was taken under an epoch that was over.
    pub unfenced: Option<String>,
}

impl Server {
    /// Those who wait for the box look again.
    pub fn arrived(&mut self, node: NodeId) {
        for waiter in self.waiting.remove(&node).unwrap_or_default() {
            waiter(self);
        }
    }

    /// Called once when something has come.
    pub fn wait_for(&mut self, node: NodeId, waiter: Waiter) {
        self.waiting.entry(node).or_default().push(waiter);
    }
}

impl SimRedis {
    /// An empty one. With `loses_tail`, what it has confirmed in the last second is lost when it is killed.
    #[must_use]
    pub fn start(timeline: &Arc<Timeline>, loses_tail: bool, small_boxes: bool, secret: u64) -> Arc<Self> {
        let records = MemoryStore::new();
        let exchange = if small_boxes { MemoryExchange::with_box_limits(48, 1 << 20) } else { MemoryExchange::new() };
        let synced = loses_tail.then(|| (0, records.copy(), exchange.copy()));
        let server = Server {
            records,
            exchange,
            synced,
            state: State::Up,
            held: Vec::new(),
            life: 0,
            waiting: BTreeMap::new(),
            slow: 0,
            answers_lost: 0,
            secret,
            epochs: BTreeMap::new(),
            unfenced: None,
        };
        let redis = Arc::new(Self { timeline: Arc::clone(timeline), server: Mutex::new(server) });
        if loses_tail {
            redis.sync();
        }
        redis
    }

    /// A look into it, past all connections.
    pub fn server(&self) -> MutexGuard<'_, Server> {
        // A panic in here is a defect of the simulator and ends the run.
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sync(self: &Arc<Self>) {
        let redis = Arc::clone(self);
        self.timeline.after(SYNC_EVERY, move || {
            {
                let mut server = redis.server();
                if server.state == State::Up {
                    server.synced = Some((redis.timeline.now(), server.records.copy(), server.exchange.copy()));
                }
            }
            redis.sync();
        });
    }

    /// As SIGSTOP.
    pub fn freeze(&self) {
        let mut server = self.server();
        if server.state == State::Up {
            server.state = State::Frozen;
        }
    }

    /// As SIGCONT: what came meanwhile is done first.
    pub fn thaw(&self) {
        let mut server = self.server();
        if server.state == State::Frozen {
            server.state = State::Up;
            for work in std::mem::take(&mut server.held) {
                work(&mut server);
            }
        }
    }

    /// As kill -9. Says since when what was confirmed is lost, if it is.
    pub fn kill(&self) -> Option<Micros> {
        let mut server = self.server();
        server.state = State::Down;
        server.life += 1;
        server.held.clear();
        server.waiting.clear();
        let (since, records, exchange) = server.synced.as_ref()?;
        let (since, records, exchange) = (*since, records.copy(), exchange.copy());
        // Identities never come twice, also not those of another tail that was lost.
        let identity = server.life;
        (0..=identity).for_each(|_| exchange.faults().change_log_identity());
        exchange.skip_numbers(identity as u32 * 100_000);
        // As with Redis, whose epochs are in part by lot, none is given twice.
        for shard in server.epochs.keys().copied() {
            (0..EPOCHS_SKIPPED).for_each(|_| drop(records.acquire(shard).now_or_never()));
        }
        server.records = records;
        server.epochs.clear();
        server.exchange = exchange;
        Some(since)
    }

    /// It is there again.
    pub fn restart(&self) {
        let mut server = self.server();
        if server.state == State::Down {
            server.state = State::Up;
            server.life += 1;
        }
    }

    /// From now on every call takes so much longer, and so many answers of a thousand are lost.
    pub fn disturb(&self, slow: Micros, answers_lost: u64) {
        let mut server = self.server();
        (server.slow, server.answers_lost) = (slow, answers_lost);
    }

    /// A connection.
    #[must_use]
    pub fn connect(self: &Arc<Self>) -> Arc<Line> {
        Arc::new(Line {
            redis: Arc::clone(self),
            is_cut: AtomicBool::new(false),
            late: AtomicU64::new(0),
            under_way: Mutex::default(),
        })
    }
}

/// Where the answer to a call goes: to whoever waits, once.
struct Slot<T> {
    answer: Mutex<Option<oneshot::Sender<T>>>,
    lost: Box<dyn Fn(Lost) -> T + Send + Sync>,
}

impl<T> Slot<T> {
    fn answer(&self, answer: T) {
        if let Some(sender) = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Who asked may have gone.
            let _ = sender.send(answer);
        }
    }
}

trait Failing: Send + Sync {
    fn fail(&self, lost: Lost);
    fn is_over(&self) -> bool;
}

impl<T: Send> Failing for Slot<T> {
    fn fail(&self, lost: Lost) {
        self.answer((self.lost)(lost));
    }

    fn is_over(&self) -> bool {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// A process's connection to the server.
pub struct Line {
    redis: Arc<SimRedis>,
    is_cut: AtomicBool,
    /// Requests take so much longer.
    late: AtomicU64,
    under_way: Mutex<Vec<Arc<dyn Failing>>>,
}

/// Sends the answer of a call.
pub struct Reply<T> {
    slot: Arc<Slot<T>>,
    timeline: Arc<Timeline>,
    life: u64,
    redis: Arc<SimRedis>,
    takes: Micros,
}

impl<T: Send + 'static> Reply<T> {
    /// The answer is on its way. It gets lost on a bad day, or with the server.
    pub fn send(self, server: &Server, answer: T) {
        let Reply { slot, timeline, life, redis, takes } = self;
        if timeline.happens(server.answers_lost) {
            return timeline.after(takes + 20 * MS, move || slot.fail(Lost::Unknown));
        }
        timeline.after(takes, move || {
            if redis.server().life == life {
                slot.answer(answer);
            } else {
                slot.fail(Lost::Unknown);
            }
        });
    }
}

impl Line {
    /// When things happen.
    pub fn timeline(&self) -> &Arc<Timeline> {
        &self.redis.timeline
    }

    /// Calls the server: `work` happens there as one step, now or later or never.
    pub fn call<T: Send + 'static>(
        &self,
        lost: impl Fn(Lost) -> T + Send + Sync + 'static,
        work: impl FnOnce(&mut Server) -> T + Send + 'static,
    ) -> BoxFuture<'static, T> {
        self.begin(lost, CALL_PATIENCE, |server, reply| {
            let answer = work(server);
            reply.send(server, answer);
        })
    }

    /// As [`Line::call`], with an answer that may come later.
    pub fn begin<T: Send + 'static>(
        &self,
        lost: impl Fn(Lost) -> T + Send + Sync + 'static,
        patience: Micros,
        work: impl FnOnce(&mut Server, Reply<T>) + Send + 'static,
    ) -> BoxFuture<'static, T> {
        let (sender, receiver) = oneshot::channel();
        let slot = Arc::new(Slot { answer: Mutex::new(Some(sender)), lost: Box::new(lost) });
        let timeline = Arc::clone(&self.redis.timeline);
        if self.is_cut.load(Ordering::Relaxed) {
            let slot = Arc::clone(&slot);
            timeline.after(MS, move || slot.fail(Lost::Undone));
        } else {
            let failing: Arc<dyn Failing> = slot.clone();
            {
                let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
                if under_way.len() >= 64 {
                    under_way.retain(|slot| !slot.is_over());
                }
                under_way.push(failing);
            }
            let (life, slow) = {
                let server = self.redis.server();
                (server.life, server.slow)
            };
            let (there, back) = (travel(&timeline) + slow + self.late.load(Ordering::Relaxed), travel(&timeline));
            let reply = Reply {
                slot: Arc::clone(&slot),
                timeline: Arc::clone(&timeline),
                life,
                redis: Arc::clone(&self.redis),
                takes: back,
            };
            let redis = Arc::clone(&self.redis);
            let refused = Arc::clone(&slot);
            timeline.after(there, move || {
                let mut server = redis.server();
                match server.state {
                    // The server that it was sent to is gone; or there is none to connect to.
                    State::Down => refused.fail(Lost::Undone),
                    _ if server.life != life => refused.fail(Lost::Undone),
                    State::Frozen => server.held.push(Box::new(move |server| work(server, reply))),
                    State::Up => work(&mut server, reply),
                }
            });
            let late = Arc::clone(&slot);
            timeline.after(patience, move || late.fail(Lost::Unknown));
        }
        async move {
            match receiver.await {
                Ok(answer) => answer,
                // The simulation is over.
                Err(_) => std::future::pending().await,
            }
        }
        .boxed()
    }

    /// Nothing passes any more. What is under way may have happened, and may happen yet.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
        let under_way = std::mem::take(&mut *self.under_way.lock().unwrap_or_else(PoisonError::into_inner));
        for slot in under_way {
            self.redis.timeline.after(MS, move || slot.fail(Lost::Unknown));
        }
    }

    /// From now on requests arrive so much later, as behind packets that are sent again and again.
    pub fn delay(&self, by: Micros) {
        self.late.store(by, Ordering::Relaxed);
    }

    /// Everything passes again.
    pub fn mend(&self) {
        self.late.store(0, Ordering::Relaxed);
        self.is_cut.store(false, Ordering::Relaxed);
    }
}

/// How long a request or an answer takes: mostly little, sometimes much.
fn travel(timeline: &Timeline) -> Micros {
    match timeline.below(100) {
        0 => timeline.below(80 * MS),
        1..=9 => timeline.below(5 * MS),
        _ => 50 + timeline.below(400),
    }
}
