//! The loop, and what everything in it shares.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::Failure;
use super::desk::Desks;
use super::ledger::Ledger;
use super::link::{Order, Plan, Report};
use super::phases::Progress;
use super::recorder::Recorder;
use super::texts::Texts;
use super::users::User;
use super::visits::Dialogue;
use crate::clock::{Alarm, MILLISECOND_NS, now_ns};
use crate::dice::Dice;
use crate::socket::Shared;
use crate::target::{Reach, Side, Target};

const ALARM: Token = Token(usize::MAX - 1);
/// Sockets looked at between two looks at the clock.
const EVENTS_MAX: usize = 1_024;
/// Timers rung, or messages sent, between two looks at the sockets.
const DUE_MAX: usize = 256;
/// Longest wait without anything to do: how late an order may be taken.
const IDLE: Duration = Duration::from_millis(100);

/// Something that is to happen at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// Connect that user.
    Connect(u32),
    /// Cut that user's connection.
    Cut(u32),
    /// Read a little for a slow reader.
    SlowRead(u32),
    /// An agent sees that somebody waits.
    Pick,
    /// Somebody in that conversation begins to type.
    Typing(u32),
    /// The next turn of a visit.
    Turn(u32),
    /// End a visit.
    End(u32),
    /// Send again what the server could not tell the customer, or the agent, about.
    Again(u32, bool),
    /// Ask again to be put into the queue.
    Begin(u32),
    /// A second is over.
    Interval,
    /// Look whether everything has come.
    Look,
    /// The next phase begins.
    Phase,
}

/// How far a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its customer is not there yet.
    Absent,
    /// Asked to begin, or both sides are joining.
    Beginning,
    Waiting,
    Served,
    HandingOver,
    Ended,
}

/// What is known of one conversation.
#[derive(Debug)]
pub(super) struct Conversation {
    pub stage: Stage,
    /// Index of the customer's user.
    pub customer: u32,
    /// Index of the user of the agent who holds it.
    pub agent: Option<u32>,
    /// It had another agent before, who may still be shown things.
    pub handed_over: bool,
    /// Its customer reads slowly: times do not count.
    pub slow: bool,
    pub joined: u8,
    pub phase: u16,
    pub begun_ns: u64,
    pub ledger: Ledger,
    /// Only of visits.
    pub dialogue: Option<Box<Dialogue>>,
}

/// See the module.
pub(super) struct Generator<T: Target> {
    pub target: T,
    pub reach: Reach,
    pub plan: Plan,
    pub poll: Poll,
    pub alarm: Alarm,
    pub shared: Shared,
    pub users: Vec<User<T::Session>>,
    /// Users of visits that are over.
    pub free_users: Vec<u32>,
    pub conversations: Vec<Conversation>,
    /// Conversations of the population, in which messages arrive.
    pub lasting: u32,
    pub desks: Desks,
    pub due: BinaryHeap<Reverse<(u64, u64, Due)>>,
    due_count: u64,
    pub recorder: Recorder,
    pub texts: Texts,
    /// Where texts are written.
    pub text: String,
    pub dice: Dice,
    pub progress: Progress,
    orders: Receiver<Order>,
    pub reports: Sender<Report>,
    stopped: bool,
}

impl<T: Target> Generator<T> {
    pub fn new(target: T, plan: Plan, orders: Receiver<Order>, reports: Sender<Report>) -> Result<Self, Failure> {
        let poll = Poll::new()?;
        let alarm = Alarm::new()?;
        poll.registry().register(&mut SourceFd(&alarm.fd()), ALARM, Interest::READABLE)?;
        let seed = plan.scenario.seed;
        Ok(Self {
            reach: target.reach(),
            target,
            poll,
            alarm,
            shared: Shared::new(seed ^ u64::from(plan.worker)),
            users: Vec::new(),
            free_users: Vec::new(),
            conversations: Vec::new(),
            lasting: 0,
            desks: Desks::default(),
            due: BinaryHeap::new(),
            due_count: 0,
            recorder: Recorder::new(plan.scenario.phases.len()),
            texts: Texts::new(&plan.scenario.texts).map_err(Failure::other)?,
            text: String::new(),
            dice: Dice::new(seed, u64::from(plan.worker)),
            progress: Progress::default(),
            plan,
            orders,
            reports,
            stopped: false,
        })
    }

    /// Plays everything; what was found out goes to `reports`.
    pub fn run(mut self) -> Result<(), Failure> {
        self.populate();
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut alarm_at = 0;
        while !self.progress.is_over() {
            self.take_orders()?;
            let more = self.ring()? | self.arrive();
            let next = self.due.peek().map(|Reverse((at, ..))| *at).into_iter().chain(self.next_arrival()).min();
            let timeout = if more { Some(Duration::ZERO) } else { Some(IDLE) };
            if let Some(at) = next.filter(|at| !more && *at != alarm_at) {
                self.alarm.set(at)?;
                alarm_at = at;
            }
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.token() {
                    // It rings once for each time set, and is edge-triggered: nothing needs to be read.
                    ALARM => alarm_at = 0,
                    Token(user) => self.ready(user as u32, event.is_writable()),
                }
            }
        }
        self.finish();
        Ok(())
    }

    fn take_orders(&mut self) -> Result<(), Failure> {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Go(at_ns) => self.go(at_ns),
                Order::Stop => self.stopped = true,
            }
        }
        if self.stopped { Err(Failure::other("stopped")) } else { Ok(()) }
    }

    /// Remembers to do something.
    pub fn later(&mut self, at_ns: u64, due: Due) {
        self.due_count += 1;
        self.due.push(Reverse((at_ns, self.due_count, due)));
    }

    pub fn later_ms(&mut self, from_ns: u64, ms: f64, due: Due) {
        self.later(from_ns + (ms * MILLISECOND_NS as f64) as u64, due);
    }

    /// Does what is due; answers whether more is.
    fn ring(&mut self) -> Result<bool, Failure> {
        for _ in 0..DUE_MAX {
            match self.due.peek() {
                Some(Reverse((at, _, due))) if *at <= now_ns() => {
                    let (at, due) = (*at, *due);
                    self.due.pop();
                    self.happen(at, due)?;
                }
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    fn happen(&mut self, at: u64, due: Due) -> Result<(), Failure> {
        match due {
            Due::Connect(user) => self.connect(user),
            Due::Cut(user) => self.cut(user, at),
            Due::SlowRead(user) => self.slow_read(user),
            Due::Pick => self.pick(at),
            Due::Typing(conversation) => self.type_something(conversation),
            Due::Turn(conversation) => self.turn(conversation, at),
            Due::End(conversation) => self.end(conversation),
            Due::Again(conversation, false) => self.send_again(conversation, Side::Customer),
            Due::Again(conversation, true) => self.send_again(conversation, Side::Agent),
            Due::Begin(conversation) => self.begin(conversation),
            Due::Interval => self.interval(at),
            Due::Look => self.look(at)?,
            Due::Phase => self.next_phase(at),
        }
        Ok(())
    }

    /// Lets messages and visitors arrive that are due; answers whether more are.
    pub fn arrive(&mut self) -> bool {
        for _ in 0..DUE_MAX {
            let now = now_ns();
            let message = self.progress.messages.as_mut().and_then(|arrivals| arrivals.take(now));
            if let Some(at) = message {
                self.message(at);
            }
            let visitor = self.progress.visitors.as_mut().and_then(|arrivals| arrivals.take(now));
            if let Some(at) = visitor {
                self.visitor(at);
            }
            if message.is_none() && visitor.is_none() {
                return false;
            }
        }
        true
    }

    fn next_arrival(&self) -> impl Iterator<Item = u64> {
        let arrivals = [&self.progress.messages, &self.progress.visitors];
        arrivals.into_iter().flatten().filter_map(crate::schedule::Arrivals::next_ns)
    }
}
