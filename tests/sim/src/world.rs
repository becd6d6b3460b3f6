//! Everything together: runs what is ready in an order that chance decides, and lets time pass when nothing is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use fastrand::Rng;
use futures_util::FutureExt as _;
use jono_store::{Exchange as _, NodeId};
use tokio::sync::mpsc;

use crate::client::{Around, Client};
use crate::mail::{Mail, ToClient, ToGateway, Wake};
use crate::oracle::{Oracle, Promise};
use crate::plan::{Fault, Plan};
use crate::process::Process;
use crate::redis::SimRedis;
use crate::timeline::{MS, Micros, SECOND, Timeline};

/// More turns at one moment are a loop that never ends.
const TURNS_MAX: u64 = 200_000;

/// Everything together.
pub struct World {
    /// What is to happen.
    pub plan: Plan,
    /// When.
    pub timeline: Arc<Timeline>,
    /// The server.
    pub redis: Arc<SimRedis>,
    /// Connections.
    pub mail: Arc<Mail>,
    /// What is known.
    pub oracle: Oracle,
    /// Those that run, by number.
    pub processes: Vec<Option<Process>>,
    /// People.
    pub clients: Vec<Client>,
    /// Queues of the organisations.
    pub queues: Vec<Vec<String>>,
    /// New things are begun.
    pub is_busy: bool,
    /// What ends is started again.
    pub is_supervised: bool,
    deeds: BinaryHeap<Reverse<(Micros, usize)>>,
    what: Vec<Option<Deed>>,
    chance: Rng,
    is_healed: bool,
    /// Comes after so many turns, whatever is under way then.
    sudden: Option<(u64, Fault)>,
}

/// What comes suddenly does so after fewer turns than this.
const SUDDEN_TURNS_MAX: u64 = 40;

#[derive(Debug)]
enum Deed {
    Begin(Fault),
    Start(usize),
    Resume(usize),
    Mend(usize),
    Thaw,
    Restart,
    Calm,
}

impl World {
    /// Nobody is there yet.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let timeline = Arc::new(Timeline::new(plan.seed));
        let redis = SimRedis::start(&timeline, plan.loses_tail, plan.small_boxes, plan.seed);
        let mail = Mail::new(&timeline);
        Self {
            timeline,
            redis,
            mail,
            oracle: Oracle::default(),
            processes: plan.parts.iter().map(|_| None).collect(),
            clients: Vec::new(),
            queues: Vec::new(),
            is_busy: false,
            is_supervised: true,
            deeds: BinaryHeap::new(),
            what: Vec::new(),
            chance: Rng::with_seed(plan.seed.wrapping_add(77)),
            is_healed: false,
            sudden: None,
            plan,
        }
    }

    /// The moment.
    pub fn now(&self) -> Micros {
        self.timeline.now()
    }

    fn later(&mut self, at: Micros, deed: Deed) {
        self.deeds.push(Reverse((at, self.what.len())));
        self.what.push(Some(deed));
    }

    /// All processes start, one after the other.
    pub fn start_processes(&mut self) {
        for process in 0..self.plan.parts.len() {
            let at = self.now() + self.chance.u64(0..300) * MS;
            self.later(at, Deed::Start(process));
        }
    }

    /// From now on things go wrong as planned.
    pub fn plan_faults(&mut self) {
        let now = self.now();
        for (at, fault) in self.plan.faults.clone() {
            self.later(now + at, Deed::Begin(fault));
        }
    }

    /// Nothing is wrong any more, and nothing goes wrong.
    pub fn heal(&mut self) {
        self.is_healed = true;
        self.redis.restart();
        self.redis.thaw();
        self.redis.disturb(0, 0);
        self.redis.server().exchange.faults().lose_no_more();
        self.sudden = None;
        for process in self.processes.iter_mut().flatten() {
            process.is_paused = false;
            process.line.mend();
        }
        for number in 0..self.processes.len() {
            if self.processes[number].is_none() {
                self.start(number);
            }
        }
    }

    fn start(&mut self, number: usize) {
        if self.processes[number].is_none() {
            let (part, machine) = (self.plan.parts[number], self.plan.machines[number]);
            self.processes[number] = Some(Process::start(part, machine, self.plan.shards, &self.timeline, &self.redis));
        }
    }

    fn end(&mut self, number: usize, again_after: Micros) {
        if let Some(process) = self.processes[number].take() {
            process.end();
            let at = self.now() + again_after;
            self.later(at, Deed::Start(number));
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Micros) {
        let end = self.now() + time;
        self.until(end, |_| false);
    }

    /// Lets time pass until then, or until something is so. Says whether it is.
    pub fn until(&mut self, end: Micros, is_so: impl Fn(&Self) -> bool) -> bool {
        loop {
            self.settle();
            if is_so(self) {
                return true;
            }
            if !self.oracle.violations.is_empty() {
                return false;
            }
            let next = self.deeds.peek().map_or(end, |Reverse((at, _))| (*at).min(end));
            if let Some(action) = self.timeline.advance(next) {
                action();
                continue;
            }
            match self.deeds.peek() {
                Some(Reverse((at, _))) if *at <= self.now() => {
                    if let Some(Reverse((_, number))) = self.deeds.pop()
                        && let Some(deed) = self.what[number].take()
                    {
                        self.carry_out(deed);
                    }
                }
                _ => return false,
            }
        }
    }

    /// Everybody does what there is to do at this moment.
    fn settle(&mut self) {
        self.oracle.now = self.now();
        for _ in 0..TURNS_MAX {
            let ready: Vec<usize> = (0..self.processes.len())
                .filter(|number| self.processes[*number].as_ref().is_some_and(Process::is_ready))
                .collect();
            if let Some(number) = self.chance.choice(&ready).copied() {
                let Some(process) = self.processes[number].as_mut() else { continue };
                tracing::trace!(at_ms = self.timeline.now() / MS, number, "runs");
                process.run();
                let has_ended = process.has_ended();
                if let Some(unfenced) = self.redis.server().unfenced.take() {
                    self.oracle.broken(Promise::Fenced, unfenced);
                }
                if let Some(panic) = crate::run::take_panic() {
                    self.oracle.broken(Promise::NoPanic, panic);
                }
                if has_ended {
                    let again = if self.is_supervised { self.chance.u64(100..900) * MS } else { 3_600 * SECOND };
                    self.end(number, again);
                }
                match self.sudden.take() {
                    Some((0, fault)) => {
                        let now = self.timeline.now();
                        self.begin(now, fault);
                    }
                    later => self.sudden = later.map(|(turns, fault)| (turns - 1, fault)),
                }
                continue;
            }
            let Some((pipe, client, what)) = self.mail.next() else { return };
            self.note(client, &what);
            self.with_client(client, |client, around| client.take(pipe, what, around));
            if !self.oracle.violations.is_empty() {
                return;
            }
        }
        self.oracle.broken(Promise::Served, "something goes on for ever at one moment".into());
    }

    fn note(&self, client: usize, what: &ToClient) {
        match what {
            ToClient::Text(text) => tracing::info!(at_ms = self.now() / MS, client, text = text.as_str(), "told"),
            ToClient::Closed => tracing::info!(at_ms = self.now() / MS, client, "closed"),
            ToClient::Wake(_) => {}
        }
        self.timeline.note(&[client as u8]);
        if let ToClient::Text(text) = what {
            self.timeline.note(text.as_str().as_bytes());
        }
    }

    /// A client does something.
    pub fn with_client(&mut self, number: usize, act: impl FnOnce(&mut Client, &mut Around<'_>)) {
        let gateways: Vec<mpsc::UnboundedSender<ToGateway>> = self
            .processes
            .iter()
            .flatten()
            .filter(|process| process.part.takes_clients())
            .map(|process| process.inbox.clone())
            .collect();
        let mut around = Around {
            mail: &self.mail,
            oracle: &mut self.oracle,
            gateways: &gateways,
            queues: &self.queues,
            rules: &self.plan.rules,
            is_busy: self.is_busy,
        };
        act(&mut self.clients[number], &mut around);
    }

    /// A client comes.
    pub fn admit(&mut self, client: Client) {
        let number = self.clients.len();
        self.clients.push(client);
        let wait = self.chance.u64(0..200) * MS;
        self.mail.wake(number, wait, Wake::Connect);
        self.mail.wake(number, wait, Wake::Tick);
    }

    fn carry_out(&mut self, deed: Deed) {
        let now = self.now();
        tracing::info!(at_ms = now / MS, ?deed, "deed");
        match deed {
            Deed::Start(number) => self.start(number),
            Deed::Begin(_) if self.is_healed => {}
            // Most processes end or stop in the midst of what they do, and not when everybody waits.
            Deed::Begin(fault @ (Fault::Kill(..) | Fault::Pause(..))) if self.sudden.is_none() && self.chance.u32(0..8) > 0 => {
                self.sudden = Some((self.chance.u64(0..SUDDEN_TURNS_MAX), fault));
            }
            Deed::Begin(fault) => self.begin(now, fault),
            Deed::Resume(number) => {
                if let Some(process) = &mut self.processes[number] {
                    process.is_paused = false;
                }
            }
            Deed::Mend(number) => {
                if let Some(process) = &self.processes[number] {
                    process.line.mend();
                }
            }
            Deed::Thaw => self.redis.thaw(),
            Deed::Restart => self.redis.restart(),
            Deed::Calm => self.redis.disturb(0, 0),
        }
    }

    fn begin(&mut self, now: Micros, fault: Fault) {
        match fault {
            Fault::Kill(number, time) => self.end(number, time),
            Fault::Stop(number) => {
                if let Some(process) = &self.processes[number] {
                    // One that has not started yet ends as soon as it has.
                    let _ = process.inbox.send(ToGateway::Stop);
                }
            }
            Fault::Pause(number, time) => {
                if let Some(process) = &mut self.processes[number] {
                    process.is_paused = true;
                    self.later(now + time, Deed::Resume(number));
                }
            }
            Fault::CutLine(number, time) => {
                if let Some(process) = &self.processes[number] {
                    process.line.cut();
                    self.later(now + time, Deed::Mend(number));
                }
            }
            Fault::DelayLine(number, time, by) => {
                if let Some(process) = &self.processes[number] {
                    process.line.delay(by);
                    self.later(now + time, Deed::Mend(number));
                }
            }
            Fault::FreezeRedis(time) => {
                self.redis.freeze();
                self.later(now + time, Deed::Thaw);
            }
            Fault::KillRedis(time) => {
                if let Some(since) = self.redis.kill() {
                    let logs = self.clients.iter().filter_map(Client::log).map(str::to_owned).collect();
                    self.oracle.lost(since, logs);
                }
                self.later(now + time, Deed::Restart);
            }
            Fault::Disturb(time, slow, answers_lost) => {
                self.redis.disturb(slow, answers_lost);
                self.later(now + time, Deed::Calm);
            }
            Fault::LoseParcels(number, count) => {
                let server = self.redis.server();
                let members: Vec<NodeId> = server
                    .exchange
                    .look()
                    .now_or_never()
                    .and_then(Result::ok)
                    .map(|picture| picture.members.iter().map(|member| member.node).collect())
                    .unwrap_or_default();
                if let Some(node) = members.get(number % members.len().max(1)) {
                    server.exchange.faults().lose_parcels(*node, count);
                }
            }
            Fault::CutClients(share) => {
                for number in 0..self.clients.len() {
                    if self.timeline.happens(share) {
                        self.with_client(number, Client::cut);
                    }
                }
            }
            Fault::SetWall(number, by_ms) => {
                let wrong = &mut self.plan.machines[number].wrong_by_ms;
                let most = (self.plan.rules.skew_ms / 2) as i64;
                *wrong = (*wrong + by_ms).clamp(-most, most);
            }
        }
    }
}
