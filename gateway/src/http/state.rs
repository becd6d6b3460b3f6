//! What all workers share.

use std::net::IpAddr;
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
/// Sign-ins of one login: a person mistypes; a guesser gets 8 600 tries a day.
const SIGN_INS_OF_LOGIN: (u32, Duration) = (10, Duration::from_secs(10));

/// One per process.
pub struct State {
    pub(super) admin: Box<dyn Admin>,
    pub(super) auth: Arc<Auth>,
    pub(super) sockets: OnceLock<Vec<Arc<SocketStats>>>,
    ready: AtomicBool,
    loopback_exempt: bool,
    by_address: Mutex<Throttle<IpAddr>>,
    by_login: Mutex<Throttle<(OrganisationId, String)>>,
}

impl State {
    /// Nothing is ready yet. `loopback_exempt` frees sign-ins from this machine of the limit by address.
    pub fn new(admin: impl Admin, auth: Arc<Auth>, loopback_exempt: bool) -> Arc<Self> {
        let (address, login) = (SIGN_INS_OF_ADDRESS, SIGN_INS_OF_LOGIN);
        Arc::new(Self {
            admin: Box::new(admin),
            auth,
            sockets: OnceLock::new(),
            ready: AtomicBool::new(false),
            loopback_exempt,
            by_address: Mutex::new(Throttle::new(address.0, address.1)),
            by_login: Mutex::new(Throttle::new(login.0, login.1)),
        })
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
        self.ready.load(SeqCst)
    }

    pub(super) fn may_sign_in(&self, address: IpAddr, organisation: OrganisationId, login: &str) -> Result<(), Problem> {
        let now = Instant::now();
        let later = |wait: Duration| Problem::rate_limited(wait.as_millis() as u64);
        if !(self.loopback_exempt && address.is_loopback()) {
            let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            by_address.take(address, now).map_err(later)?;
        }
        let mut by_login = self.by_login.lock().unwrap_or_else(PoisonError::into_inner);
        by_login.take((organisation, login.to_owned()), now).map_err(later)
    }
}
