//! What all sessions of a process share, and how the socket layer and the engine reach them.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use jono_domain::id::{AgentId, CustomerId};
use jono_engine::Engine;
use jono_engine::delivery::{Deliver, Delivery, Moved, SessionRef};
use jono_socket::{Admit, HttpRefusal, SocketId, StatusCode, Switchboard, UpgradeHead, header};

use super::WireSession;
use super::accounts::{Account, Accounts};
use super::led::Led;
use super::limits::SessionLimits;
use super::seam::Backend;
use super::starts::{Network, Starts};
use crate::auth::{Auth, random_bits};

/// The one path on which sockets are served.
pub const SOCKET_PATH: &str = "/v1/ws";
/// The subprotocol, for [`jono_socket::ServeConfig::subprotocols`].
pub const SUBPROTOCOLS: &[&str] = &["jono.v1"];
/// Bytes of an `Origin`; longer ones are none of anybody's.
const ORIGIN_BYTES_MAX: usize = 512;

/// What a session is told by other threads.
#[derive(Debug)]
pub enum Told {
    /// By the engine.
    Delivery(Delivery),
    /// By the engine, that it follows a conversation without having asked: must not be lost.
    Led(Box<Led>),
    /// The account has too many sessions, and this is the oldest.
    Superseded,
    /// The server is going.
    Draining,
    /// Other processes serve these entities now.
    Moved(Moved),
    /// The session must begin anew: what it was told may not stand any more.
    Reset,
}

/// Tells sockets, by number, in order.
pub type Tell = dyn Fn(&mut dyn Iterator<Item = (u64, Told)>) + Send + Sync;

/// How sessions behave.
#[derive(Clone, Debug, Default)]
pub struct SessionSettings {
    /// What each is granted.
    pub limits: SessionLimits,
    /// Origins, besides the server's own, whose pages may open agents' sessions, such as
    /// `https://desk.example`; `*` is any.
    pub desk_origins: Vec<String>,
    /// What each address has begun lately; clones share it, so that a process with several listeners has one.
    pub starts: Arc<Starts>,
    /// Where ids of customers and conversations come from.
    pub ids: Ids,
}

/// A source of ids that nobody can guess; by default the operating system's.
#[derive(Clone)]
pub struct Ids(Arc<dyn Fn() -> u128 + Send + Sync>);

impl Ids {
    /// Others, for simulations, which must be the same in every run.
    pub fn of(next: impl Fn() -> u128 + Send + Sync + 'static) -> Self {
        Self(Arc::new(next))
    }

    pub(super) fn next(&self) -> u128 {
        (self.0)()
    }
}

impl Default for Ids {
    fn default() -> Self {
        Self::of(random_bits)
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}

/// What all sessions of a process share.
pub struct Gateway {
    pub(super) engine: Box<dyn Backend>,
    pub(super) auth: Arc<Auth>,
    pub(super) settings: SessionSettings,
    /// As the engine numbered this gateway.
    pub(super) number: u64,
    accounts: Accounts,
    tell: Arc<Tell>,
    draining: AtomicBool,
    moves: Moves,
}

/// How often entities have moved, and how often all sessions had to begin anew: for those that are being opened.
#[derive(Debug, Default)]
struct Moves {
    moved: AtomicU64,
    reset: AtomicU64,
}

impl Gateway {
    /// Attaches to the engine: deliveries go to the sockets of this switchboard.
    #[must_use]
    pub fn attach(engine: Engine, auth: Arc<Auth>, settings: SessionSettings, switchboard: &Switchboard<Told>) -> Arc<Self> {
        let switchboard = switchboard.clone();
        let tell = move |told: &mut dyn Iterator<Item = (u64, Told)>| {
            switchboard.tell_many(told.map(|(socket, told)| (SocketId::from_bits(socket), told)));
        };
        Self::attach_to(engine, auth, settings, Arc::new(tell))
    }

    /// Attaches to the engine: deliveries go to whatever this tells, by the numbers of [`Sink::id`](super::Sink::id).
    #[must_use]
    pub fn attach_to(engine: Engine, auth: Arc<Auth>, settings: SessionSettings, tell: Arc<Tell>) -> Arc<Self> {
        Arc::new_cyclic(|gateway| {
            let number = engine.attach_gateway(Arc::new(EngineDeliver(Weak::clone(gateway))));
            Self::of(Box::new(engine), auth, settings, number, tell)
        })
    }

    #[cfg(test)]
    pub(super) fn new(
        engine: Box<dyn Backend>,
        auth: Arc<Auth>,
        settings: SessionSettings,
        number: u64,
        tell: Arc<Tell>,
    ) -> Arc<Self> {
        Arc::new(Self::of(engine, auth, settings, number, tell))
    }

    fn of(engine: Box<dyn Backend>, auth: Arc<Auth>, settings: SessionSettings, number: u64, tell: Arc<Tell>) -> Self {
        let (accounts, moves) = (Accounts::default(), Moves::default());
        Self { engine, auth, settings, number, accounts, tell, draining: AtomicBool::new(false), moves }
    }

    /// Counts of what would have been told to a session that was open: one that is being opened compares them.
    pub(super) fn moves(&self) -> (u64, u64) {
        (self.moves.moved.load(Ordering::SeqCst), self.moves.reset.load(Ordering::SeqCst))
    }

    /// Admits nobody any more, and tells all sessions that the server is going. The socket layer's own
    /// drain closes them.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.tell_all(|| Told::Draining);
    }

    /// Every session that is open.
    fn tell_all(&self, told: impl Fn() -> Told) {
        (self.tell)(&mut self.accounts.all().into_iter().map(|socket| (socket, told())));
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// The socket is a session of the customer; the oldest of too many is closed.
    pub(super) fn enter(&self, account: Account, socket: u64) {
        let max = match account {
            Account::Customer(_) => self.settings.limits.sessions_per_customer,
            Account::Agent(_) => self.settings.limits.sessions_per_agent,
        };
        if let Some(superseded) = self.accounts.enter(account, socket, max) {
            (self.tell)(&mut std::iter::once((superseded, Told::Superseded)));
        }
    }

    pub(super) fn leave(&self, account: Account, socket: u64) {
        self.accounts.leave(account, socket);
    }

    /// May pages of this origin open agents' sessions?
    pub(super) fn admits_desk(&self, origin: Option<&Origin>) -> bool {
        origin.is_none_or(|origin| {
            origin.is_own_host || self.settings.desk_origins.iter().any(|allowed| allowed == "*" || origin.is(allowed))
        })
    }
}

impl From<CustomerId> for Account {
    fn from(customer: CustomerId) -> Self {
        Account::Customer(customer)
    }
}

impl From<AgentId> for Account {
    fn from(agent: AgentId) -> Self {
        Account::Agent(agent)
    }
}

/// Where the page comes from that opened a socket. Browsers always say; others need not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    text: Box<str>,
    is_own_host: bool,
}

impl Origin {
    /// Of an upgrade's `Origin` and `Host`.
    pub(super) fn new(origin: &str, host: Option<&str>) -> Self {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        let is_own_host = authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host));
        Self { text: origin.into(), is_own_host }
    }

    /// Is it this one, as an operator wrote it?
    pub(super) fn is(&self, allowed: &str) -> bool {
        self.text.eq_ignore_ascii_case(allowed.trim_end_matches('/'))
    }
}

/// Judges upgrade requests; one clone per worker.
#[derive(Clone)]
pub struct GatewayAdmit {
    gateway: Arc<Gateway>,
}

impl GatewayAdmit {
    /// Over what sessions share.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }
}

impl Admit for GatewayAdmit {
    type Session = WireSession;

    fn admit(&self, head: &UpgradeHead<'_>) -> Result<WireSession, HttpRefusal> {
        let host = head.header(&header::HOST);
        let origin = judge(head.path(), head.origin(), host, self.gateway.is_draining())?;
        let network = Network::of(head.ip(), self.gateway.settings.limits.loopback_exempt);
        Ok(WireSession::new(Arc::clone(&self.gateway), network, origin))
    }
}

/// The path, the form of the origin, and whether anybody is admitted at all. Which origins are allowed
/// is known at `session.open`, when the site or role is.
pub(super) fn judge(
    path: &str,
    origin: Option<&str>,
    host: Option<&str>,
    is_draining: bool,
) -> Result<Option<Box<Origin>>, HttpRefusal> {
    if path != SOCKET_PATH {
        return Err(HttpRefusal::new(StatusCode::NOT_FOUND, "sockets are at /v1/ws"));
    }
    if is_draining {
        return Err(HttpRefusal::new(StatusCode::SERVICE_UNAVAILABLE, "server going"));
    }
    match origin {
        Some(origin) if origin.len() > ORIGIN_BYTES_MAX => Err(HttpRefusal::new(StatusCode::FORBIDDEN, "origin")),
        origin => Ok(origin.map(|origin| Box::new(Origin::new(origin, host)))),
    }
}

/// Takes the engine's deliveries to sockets. The engine outlives the gateway.
struct EngineDeliver(Weak<Gateway>);

impl Deliver for EngineDeliver {
    fn deliver(&self, batch: Vec<(SessionRef, Delivery)>) {
        let Some(gateway) = self.0.upgrade() else { return };
        let told = batch.into_iter().map(|(session, delivery)| {
            let told = match delivery {
                Delivery::Following { .. } => Told::Led(Box::new(Led::new(session, delivery, Weak::clone(&self.0)))),
                delivery => Told::Delivery(delivery),
            };
            (session.session, told)
        });
        (gateway.tell)(&mut { told });
    }

    fn moved(&self, moved: &Moved) {
        let Some(gateway) = self.0.upgrade() else { return };
        gateway.moves.moved.fetch_add(1, Ordering::SeqCst);
        gateway.tell_all(|| Told::Moved(moved.clone()));
    }

    fn reset(&self) {
        let Some(gateway) = self.0.upgrade() else { return };
        gateway.moves.reset.fetch_add(1, Ordering::SeqCst);
        gateway.tell_all(|| Told::Reset);
    }
}
