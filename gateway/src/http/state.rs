//! What all workers share.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jono_domain::id::OrganisationId;
use jono_socket::SocketStats;

use super::engine::Admin;
use super::problem::Problem;
use super::throttle::Throttle;
use crate::auth::Auth;

/// Sign-ins of one address: an office behind one router starts its day.
const SIGN_INS_OF_ADDRESS: (u32, Duration) = (30, Duration::from_secs(2));
/// Sign-ins of one login from one address: a person mistypes; a guesser gets 8 600 tries a day.
const SIGN_INS_OF_LOGIN_AND_ADDRESS: (u32, Duration) = (10, Duration::from_secs(10));
/// Sign-ins of one login from everywhere: wide, so that it takes many addresses to keep somebody out.
const SIGN_INS_OF_LOGIN: (u32, Duration) = (200, Duration::from_secs(1));
/// How long a body may take to arrive, unless it is set otherwise.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// A name in an organisation.
type Login = (OrganisationId, String);

/// One per process.
pub struct State {
    pub(super) admin: Box<dyn Admin>,
    pub(super) auth: Arc<Auth>,
    pub(super) sockets: OnceLock<Vec<Arc<SocketStats>>>,
    ready: AtomicBool,
    loopback_exempt: bool,
    by_address: Mutex<Throttle<IpAddr>>,
    by_login_and_address: Mutex<Throttle<(Login, IpAddr)>>,
    by_login: Mutex<Throttle<Login>>,
    pub(super) body_within: Duration,
}

impl State {
    /// Nothing is ready yet. `loopback_exempt` frees sign-ins from this machine of the limits by address:
    /// behind a proxy that is everybody.
    pub fn new(admin: impl Admin, auth: Arc<Auth>, loopback_exempt: bool) -> Self {
        let (address, both, login) = (SIGN_INS_OF_ADDRESS, SIGN_INS_OF_LOGIN_AND_ADDRESS, SIGN_INS_OF_LOGIN);
        Self {
            admin: Box::new(admin),
            auth,
            sockets: OnceLock::new(),
            ready: AtomicBool::new(false),
            loopback_exempt,
            by_address: Mutex::new(Throttle::new(address.0, address.1)),
            by_login_and_address: Mutex::new(Throttle::new(both.0, both.1)),
            by_login: Mutex::new(Throttle::new(login.0, login.1)),
            body_within: BODY_WITHIN,
        }
    }

    /// How long the body of a request may take to arrive.
    #[must_use]
    pub fn with_body_within(self, body_within: Duration) -> Self {
        Self { body_within, ..self }
    }

    /// The counters of each address that is listened on, for `/metrics`. Given once.
    pub fn count_sockets(&self, stats: Vec<Arc<SocketStats>>) {
        // A second call would be by another server, which has a state of its own.
        let _ = self.sockets.set(stats);
    }

    /// What `/readyz` says from now on.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, SeqCst);
    }

    /// What `/readyz` says.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(SeqCst) && self.admin.is_serving()
    }

    pub(super) fn may_sign_in(&self, address: IpAddr, organisation: OrganisationId, login: &str) -> Result<(), Problem> {
        self.may_sign_in_at(address, (organisation, login.to_owned()), Instant::now())
            .map_err(|wait| Problem::rate_limited(wait.as_millis() as u64))
    }

    /// The narrow limits first: who is over one of them takes nothing from the wide one.
    fn may_sign_in_at(&self, address: IpAddr, login: Login, now: Instant) -> Result<(), Duration> {
        let address = network(address);
        if !(self.loopback_exempt && address.is_loopback()) {
            self.by_address.lock().unwrap_or_else(PoisonError::into_inner).take(address, now)?;
            let mut both = self.by_login_and_address.lock().unwrap_or_else(PoisonError::into_inner);
            both.take((login.clone(), address), now)?;
        }
        self.by_login.lock().unwrap_or_else(PoisonError::into_inner).take(login, now)
    }
}

/// The address to be counted by: an IPv6 visitor has a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::FakeEngine;

    fn state(loopback_exempt: bool) -> State {
        State::new(FakeEngine::default(), Arc::new(Auth::new([7; 32])), loopback_exempt)
    }

    fn tries(state: &State, addresses: impl Iterator<Item = String>, now: Instant) -> usize {
        let login = || (OrganisationId::from_bits(1), "anna".to_owned());
        addresses.filter(|address| state.may_sign_in_at(address.parse().unwrap(), login(), now).is_ok()).count()
    }

    #[test]
    fn a_visitor_locks_out_nobody_but_itself() {
        let (state, now) = (state(false), Instant::now());
        assert_eq!(tries(&state, (0..1000).map(|_| "192.0.2.1".into()), now), 10);
        assert_eq!(tries(&state, ["192.0.2.2".to_owned()].into_iter(), now), 1, "the agent, from elsewhere");
        let of_one_64 = (0..1000).map(|host| format!("2001:db8::{host:x}"));
        assert_eq!(tries(&state, of_one_64, now), 10, "a /64 is one visitor");
        assert_eq!(tries(&state, ["2001:db8:0:1::1".to_owned()].into_iter(), now), 1);
    }

    #[test]
    fn a_crowd_that_guesses_one_login_is_slowed_down() {
        let (state, now) = (state(false), Instant::now());
        let crowd = |now| tries(&state, (0..1000).map(|host| format!("10.0.{}.{}", host / 250, host % 250)), now);
        assert_eq!(crowd(now), 200);
        assert_eq!(crowd(now + Duration::from_secs(5)), 5);
    }

    #[test]
    fn behind_a_proxy_the_login_alone_is_counted() {
        let (state, now) = (state(true), Instant::now());
        assert_eq!(tries(&state, (0..1000).map(|_| "::1".into()), now), 200);
    }
}
