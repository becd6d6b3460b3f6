//! A process: an engine and, where it takes clients, a gateway, on an executor of its own. It stands still when nobody runs that
//! one, and is gone without a word when it is dropped.

use std::collections::BTreeMap;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

use jono_engine::clock::Clock as _;
use jono_engine::cluster::ClusterConfig;
use jono_engine::{Engine, EngineConfig, Threads};
use jono_gateway::auth::Auth;
use jono_gateway::session::{Gateway, Ids, Life, SessionSettings, Sink, Told};
use jono_socket::{Closed, Text};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::clock::SimClock;
use crate::mail::{Pipe, ToGateway};
use crate::redis::{Line, SimRedis};
use crate::store::{SimExchange, SimStore};
use crate::timeline::Timeline;

/// How often sessions are visited that could not go on; the socket layer does so every 2.5 s.
const TICK_MS: u64 = 2_500;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Serves shards.
    Engine,
    /// Takes clients.
    Gateway,
    /// Both, among others.
    Both,
    /// Both, and nobody else is there.
    Alone,
}

impl Part {
    /// Does it take clients?
    #[must_use]
    pub fn takes_clients(self) -> bool {
        self != Self::Engine
    }
}

/// The machine that a process runs on.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// What its wall is wrong by.
    pub wrong_by_ms: i64,
    /// Millionths by which its clock runs fast.
    pub drift: i64,
}

#[derive(Default)]
struct Ready(AtomicBool);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A process that runs.
pub struct Process {
    /// What it does.
    pub part: Part,
    local: Pin<Box<LocalSet>>,
    ready: Arc<Ready>,
    /// Stands still, as by SIGSTOP.
    pub is_paused: bool,
    /// To the server.
    pub line: Arc<Line>,
    /// What its gateway hears.
    pub inbox: mpsc::UnboundedSender<ToGateway>,
    started: Arc<Started>,
    pipes: Arc<Mutex<BTreeMap<u64, Arc<Pipe>>>>,
    /// Its clock.
    pub clock: Arc<SimClock>,
}

#[derive(Default)]
struct Started {
    engine: Mutex<Option<Engine>>,
    has_ended: AtomicBool,
}

impl Process {
    /// Starts one.
    #[must_use]
    pub fn start(part: Part, machine: Machine, shards: u16, timeline: &Arc<Timeline>, redis: &Arc<SimRedis>) -> Self {
        let line = redis.connect();
        let clock = SimClock::start(timeline, machine.wrong_by_ms, machine.drift);
        let (inbox, heard) = mpsc::unbounded_channel();
        let (started, pipes) = (Arc::new(Started::default()), Arc::default());
        let life = life(
            Begin {
                part,
                shards,
                timeline: Arc::clone(timeline),
                line: Arc::clone(&line),
                clock: Arc::clone(&clock),
                inbox: inbox.clone(),
                started: Arc::clone(&started),
                pipes: Arc::clone(&pipes),
            },
            heard,
        );
        let local = Box::pin(LocalSet::new());
        local.spawn_local(life);
        let ready = Arc::new(Ready(AtomicBool::new(true)));
        Self { part, local, ready, is_paused: false, line, inbox, started, pipes, clock }
    }

    /// Has it something to do, and may it?
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.is_paused && self.ready.0.load(Ordering::Relaxed)
    }

    /// Does some of it.
    pub fn run(&mut self) {
        self.ready.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&self.ready));
        // It is over when it says so.
        let _ = self.local.as_mut().poll(&mut Context::from_waker(&waker));
    }

    /// Its engine, once it serves.
    #[must_use]
    pub fn engine(&self) -> Option<Engine> {
        self.started.engine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It has come to its end by itself: it could not start, or was asked to go.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.started.has_ended.load(Ordering::Relaxed)
    }

    /// As kill -9, or after its end.
    pub fn end(self) {
        self.line.cut();
        for pipe in self.pipes.lock().unwrap_or_else(PoisonError::into_inner).values() {
            pipe.gone();
        }
    }

    /// Runs something of it, for whoever sets things up.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.local.spawn_local(task);
        self.ready.0.store(true, Ordering::Relaxed);
    }
}

struct Begin {
    part: Part,
    shards: u16,
    timeline: Arc<Timeline>,
    line: Arc<Line>,
    clock: Arc<SimClock>,
    inbox: mpsc::UnboundedSender<ToGateway>,
    started: Arc<Started>,
    pipes: Arc<Mutex<BTreeMap<u64, Arc<Pipe>>>>,
}

async fn life(begin: Begin, mut heard: mpsc::UnboundedReceiver<ToGateway>) {
    let Begin { part, shards, timeline, line, clock, inbox, started, pipes } = begin;
    let config = EngineConfig { arbiters: 1, shards, clock: clock.clone(), threads: Threads::Callers, ..EngineConfig::default() };
    let store = Arc::new(SimStore(Arc::clone(&line)));
    let engine = match part {
        Part::Alone => Engine::start(store, config).await,
        Part::Engine | Part::Gateway | Part::Both => {
            let cluster = ClusterConfig {
                exchange: Arc::new(SimExchange(line)),
                serves_shards: part != Part::Gateway,
                serves_clients: part != Part::Engine,
                name: String::new(),
                version: String::new(),
            };
            Engine::start_among(store, config, cluster).await
        }
    };
    let Ok(engine) = engine else { return started.has_ended.store(true, Ordering::Relaxed) };
    *started.engine.lock().unwrap_or_else(PoisonError::into_inner) = Some(engine.clone());
    let ids = Arc::clone(&timeline);
    let settings = SessionSettings { ids: Ids::of(move || ids.bits()), ..SessionSettings::default() };
    let auth = Arc::new(Auth::new(engine.secret()));
    let tell = move |told: &mut dyn Iterator<Item = (u64, Told)>| {
        for (socket, told) in told {
            // The process is as good as gone.
            let _ = inbox.send(ToGateway::Told(socket, told));
        }
    };
    let gateway = Gateway::attach_to(engine.clone(), auth, settings, Arc::new(tell));
    let mut hosting = Hosting { gateway, clock, sessions: BTreeMap::new(), pipes };
    let mut tick_at = hosting.clock.now() + TICK_MS;
    loop {
        let heard = tokio::select! {
            biased;
            heard = heard.recv() => heard,
            () = hosting.clock.sleep_until(tick_at) => {
                hosting.tick();
                tick_at = hosting.clock.now() + TICK_MS;
                continue;
            }
        };
        let Some(heard) = heard else { break };
        if matches!(heard, ToGateway::Stop) {
            hosting.gateway.drain();
            hosting.close_all();
            break;
        }
        hosting.hear(heard);
    }
    drop(heard);
    engine.stop().await;
    started.has_ended.store(true, Ordering::Relaxed);
}

/// The sockets of a gateway.
struct Hosting {
    gateway: Arc<Gateway>,
    clock: Arc<SimClock>,
    sessions: BTreeMap<u64, (Life, SimSink)>,
    pipes: Arc<Mutex<BTreeMap<u64, Arc<Pipe>>>>,
}

impl Hosting {
    fn hear(&mut self, heard: ToGateway) {
        let now = self.clock.now();
        match heard {
            ToGateway::Open(pipe) => {
                let number = pipe.number;
                self.pipes.lock().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::clone(&pipe));
                let (mut life, mut sink) = (Life::of_client(Arc::clone(&self.gateway)), SimSink { pipe, is_closed: false });
                life.opened(&mut sink);
                self.sessions.insert(number, (life, sink));
            }
            ToGateway::Text(number, text) => self.with(number, |life, sink| life.received(&text, now, sink)),
            ToGateway::Told(number, told) => self.with(number, |life, sink| life.told(told, now, sink)),
            ToGateway::Drained(number) => self.with(number, |life, sink| life.go_on(now, sink)),
            ToGateway::Closed(number) => self.close(number),
            ToGateway::Stop => {}
        }
    }

    /// As the socket layer visits all of its sockets.
    fn tick(&mut self) {
        let now = self.clock.now();
        for (life, sink) in self.sessions.values_mut().filter(|(life, _)| life.has_more()) {
            life.go_on(now, sink);
        }
    }

    fn with(&mut self, number: u64, act: impl FnOnce(&mut Life, &mut SimSink)) {
        let Some((life, sink)) = self.sessions.get_mut(&number) else { return };
        act(life, sink);
        if sink.is_closed {
            self.close(number);
        }
    }

    fn close(&mut self, number: u64) {
        self.pipes.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        if let Some((mut life, sink)) = self.sessions.remove(&number) {
            sink.pipe.close();
            life.closed(Closed::Lost);
        }
    }

    fn close_all(&mut self) {
        let all: Vec<u64> = self.sessions.keys().copied().collect();
        all.into_iter().for_each(|number| self.close(number));
    }
}

/// A socket, as a session sees it.
struct SimSink {
    pipe: Arc<Pipe>,
    is_closed: bool,
}

impl Sink for SimSink {
    fn id(&self) -> u64 {
        self.pipe.number
    }

    fn send(&mut self, text: Text) {
        self.pipe.send(text);
    }

    fn close(&mut self, _: u16, _: &'static str) {
        self.is_closed = true;
    }

    fn confirm_open(&mut self) {}

    fn tell_when_drained(&mut self) {
        if self.pipe.waiting() > 0 {
            self.pipe.tell_when_drained();
        }
    }

    fn outbox_bytes(&self) -> usize {
        self.pipe.waiting()
    }
}
