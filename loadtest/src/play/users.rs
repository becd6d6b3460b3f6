//! Users and their connections: made, opened, lost, made again.

use std::net::{IpAddr, Ipv4Addr};

use mio::{Interest, Token};

use super::generator::{Due, Generator};
use crate::clock::{SECOND_NS, now_ns};
use crate::measure::Metric;
use crate::socket::{Connection, Event};
use crate::target::{Action, Target, Who};

/// First pause before connecting again, milliseconds; it doubles up to [`BACKOFF_MAX_MS`].
const BACKOFF_MS: f64 = 50.0;
const BACKOFF_MAX_MS: f64 = 3_000.0;
/// Receive buffer of a slow reader: the kernel doubles it and adds its own.
const SLOW_RECEIVE_BYTES: usize = 4_096;

/// One virtual user.
#[derive(Debug)]
pub(super) struct User<S> {
    pub who: Who,
    pub session: S,
    pub connection: Option<Connection>,
    /// Signed in.
    pub ready: bool,
    /// Signed in before: the next time counts as coming back.
    pub known: bool,
    pub slow: bool,
    /// Does not come back.
    pub gone: bool,
    pub attempts: u8,
    /// When the connection was to be there, and in which phase that was.
    pub intended_ns: u64,
    pub phase: u16,
    /// The conversation of a customer.
    pub conversation: Option<u32>,
}

impl<S: Default> User<S> {
    pub fn new(who: Who) -> Self {
        Self {
            who,
            session: S::default(),
            connection: None,
            ready: false,
            known: false,
            slow: false,
            gone: false,
            attempts: 0,
            intended_ns: 0,
            phase: 0,
            conversation: None,
        }
    }
}

impl<T: Target> Generator<T> {
    /// A user that is to connect at that time.
    pub fn expect_user(&mut self, user: u32, at_ns: u64) {
        self.is_away_since(user, at_ns);
        self.later(at_ns, Due::Connect(user));
    }

    fn is_away_since(&mut self, user: u32, at_ns: u64) {
        let user = &mut self.users[user as usize];
        (user.intended_ns, user.phase) = (at_ns, self.recorder.phase);
    }

    /// Who is not there at the end counts with the time until then, as messages that never came do.
    pub fn count_those_away(&mut self, now: u64) {
        for user in self.users.iter().filter(|user| !user.ready && !user.gone) {
            let metric = if user.known { Metric::Resume } else { Metric::Connect };
            self.recorder.time(metric, user.phase, now.saturating_sub(user.intended_ns));
        }
    }

    pub fn connect(&mut self, index: u32) {
        let user = &mut self.users[index as usize];
        if user.gone || user.connection.is_some() {
            return;
        }
        let to = self.plan.addresses[index as usize % self.plan.addresses.len()];
        let receive_bytes = user.slow.then_some(SLOW_RECEIVE_BYTES);
        let from = source(index, self.plan.worker, self.plan.workers, self.plan.scenario.population.source_addresses);
        let begun = Connection::begin(to, from.filter(|_| to.ip().is_loopback()), receive_bytes).and_then(|mut connection| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(connection.stream(), Token(index as usize), interest)?;
            Ok(connection)
        });
        match begun {
            Ok(connection) => user.connection = Some(connection),
            Err(error) => self.connect_again(index, format!("cannot connect: {error}")),
        }
    }

    fn connect_again(&mut self, index: u32, why: String) {
        self.recorder.now().numbers.connect_failures += 1;
        self.recorder.ending(why);
        self.back_off(index);
    }

    fn back_off(&mut self, index: u32) {
        let user = &mut self.users[index as usize];
        let pause = (BACKOFF_MS * f64::from(1u32 << user.attempts.min(10))).min(BACKOFF_MAX_MS);
        user.attempts = user.attempts.saturating_add(1);
        let pause = pause * (0.5 + self.dice.unit());
        self.later_ms(now_ns(), pause, Due::Connect(index));
    }

    /// The socket of a user is ready for something.
    pub fn ready(&mut self, index: u32, writable: bool) {
        let Some(user) = self.users.get_mut(index as usize) else { return };
        if writable && let Some(connection) = &mut user.connection {
            let address = self.plan.addresses[index as usize % self.plan.addresses.len()];
            let written = connection.writable(|| self.target.upgrade(user.who), &address.to_string());
            if let Err(why) = written {
                self.lost(index, why);
                return;
            }
        }
        if !(user.slow && user.ready) {
            self.read(index, None);
        }
    }

    pub fn slow_read(&mut self, index: u32) {
        let bytes = self.plan.scenario.population.slow_bytes_per_second as usize;
        if !self.users[index as usize].slow {
            return;
        }
        self.read(index, Some(bytes));
        if self.users[index as usize].ready {
            self.later(now_ns() + SECOND_NS, Due::SlowRead(index));
        }
    }

    pub fn read(&mut self, index: u32, bytes_max: Option<usize>) {
        let user = &mut self.users[index as usize];
        let Some(mut connection) = user.connection.take() else { return };
        let (who, session, target) = (user.who, &mut user.session, &mut self.target);
        let mut told = Vec::new();
        let mut over = None;
        // What is read together came together, so one look at the clock does for it.
        let now = now_ns();
        connection.readable(&mut self.shared, bytes_max, |connection, shared, event| {
            let mut understood = Ok(());
            let written = match event {
                Event::Open => connection.write(shared, |frames| target.opened(who, session, frames, &mut told)),
                Event::Message(frame) => {
                    connection.write(shared, |frames| understood = target.heard(who, session, frame, frames, &mut told))
                }
                Event::Over(why) => Err(why),
            };
            if let Err(why) = written.and(understood) {
                over.get_or_insert(why);
            }
        });
        user.connection = Some(connection);
        for told in told {
            self.told(index, told, now);
        }
        if let Some(why) = over {
            self.lost(index, why);
        }
    }

    /// Lets a user do something on an open connection; answers whether it was written.
    pub fn act(&mut self, index: u32, action: Action<'_>) -> bool {
        let user = &mut self.users[index as usize];
        if !user.ready {
            return false;
        }
        let Some(connection) = user.connection.as_mut().filter(|connection| connection.is_open()) else { return false };
        let (who, session, target) = (user.who, &mut user.session, &mut self.target);
        let mut told = Vec::new();
        let written = connection.write(&mut self.shared, |frames| target.act(who, session, action, frames, &mut told));
        let now = now_ns();
        for told in told {
            self.told(index, told, now);
        }
        if let Err(why) = written {
            self.lost(index, why);
            return false;
        }
        true
    }

    /// The sign-in is over.
    pub fn signed_in(&mut self, index: u32, complete: Option<bool>, now: u64) {
        let user = &mut self.users[index as usize];
        user.ready = true;
        user.attempts = 0;
        // Of the phase in which it was away, also if that is over.
        let (took, phase) = (now.saturating_sub(user.intended_ns), user.phase);
        let came_back = std::mem::replace(&mut user.known, true);
        if user.slow {
            self.later(now + SECOND_NS, Due::SlowRead(index));
        }
        if came_back {
            self.recorder.now().numbers.resumed += 1;
            self.recorder.time(Metric::Resume, phase, took);
        } else {
            self.recorder.now().numbers.connected += 1;
            self.recorder.time(Metric::Connect, phase, took);
            self.progress.ready += 1;
        }
        if complete == Some(false) {
            self.recorder.now().numbers.gaps_admitted += 1;
        }
        self.back(index, complete == Some(false) || (came_back && !self.reach.resumes));
    }

    /// A connection ended by itself.
    pub fn lost(&mut self, index: u32, why: String) {
        let user = &mut self.users[index as usize];
        if user.connection.take().is_none() {
            return;
        }
        self.target.lost(user.who, &mut user.session);
        let was_ready = std::mem::replace(&mut user.ready, false);
        if user.gone {
            return;
        }
        if was_ready {
            self.is_away_since(index, now_ns());
            self.recorder.now().numbers.disconnects += 1;
            self.recorder.ending(why);
            self.back_off(index);
        } else {
            self.connect_again(index, why);
        }
    }

    /// Cuts a connection on purpose, and lets the user come back at once.
    pub fn cut(&mut self, index: u32, at_ns: u64) {
        let user = &mut self.users[index as usize];
        if user.gone || user.connection.take().is_none() {
            return;
        }
        self.target.lost(user.who, &mut user.session);
        user.ready = false;
        self.is_away_since(index, at_ns);
        self.recorder.now().numbers.cut += 1;
        self.connect(index);
    }

    /// A visitor goes for good; its place is used for others.
    pub fn leave(&mut self, index: u32) {
        self.act(index, Action::Leave);
        let user = &mut self.users[index as usize];
        user.gone = true;
        user.ready = false;
        if let Some(mut connection) = user.connection.take() {
            connection.close(&mut self.shared, 1000);
        }
        self.free_users.push(index);
    }

    /// Something in the way of signing in.
    pub fn sign_in_refused(&mut self, index: u32, why: String) {
        let user = &mut self.users[index as usize];
        user.connection = None;
        user.ready = false;
        self.connect_again(index, why);
    }
}

/// The local address that a user connects from, if there are several: neighbours have different ones, processes have their own.
fn source(user: u32, worker: u32, workers: u32, addresses: u64) -> Option<IpAddr> {
    let addresses = u32::try_from(addresses).unwrap_or(u32::MAX);
    if addresses == 0 {
        return None;
    }
    let own = (addresses / workers).max(1);
    let number = (worker * own + user % own) % addresses;
    // 127.0.0.1 is everybody's; more than 250 addresses are not allowed.
    Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2 + number as u8)))
}
