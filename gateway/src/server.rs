//! A process put together: store, engine, sockets and HTTP; and taken apart again.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_rt::signal::unix::{Signal, SignalKind, signal};
use actix_web::App;
use futures_util::future::join_all;
use jono_engine::Engine;
use jono_socket::{ServeConfig, SocketServer, listen};
use jono_store::Durability;

use crate::auth::Auth;
use crate::config::{self, Config, Role};
use crate::http::State;
use crate::session::{Gateway, GatewayAdmit, SUBPROTOCOLS, SessionSettings, Told};
use crate::{demo, http};
use served::Served;

mod descriptors;
mod records;
mod root_key;
mod served;

pub(crate) use descriptors::raise as descriptors_max;
pub(crate) use root_key::derived as derived_root_key;

/// Descriptors that a process with this configuration may come to need.
pub(crate) fn descriptors_wanted(config: &Config) -> u64 {
    let sockets = match config.role {
        Role::All | Role::Gateway => config.limits.sockets_max as u64,
        Role::Engine => 0,
    };
    sockets + descriptors::RESERVED
}

/// The version, and the revision where it was built from one.
pub const VERSION: &str = env!("JONO_VERSION");

/// Why a process ended otherwise than by a signal. One sentence, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// What was configured cannot be.
    Configuration(String),
    /// The world did not play along.
    Running(String),
}

impl Failure {
    fn running(why: impl Into<String>) -> Self {
        Self::Running(why.into())
    }
}

/// Serves until SIGTERM or SIGINT, then ends in order; a second signal ends at once.
///
/// # Errors
/// [`Failure`], when it could not start or did not end in order.
pub fn run(config: Config) -> Result<(), Failure> {
    config::start_logging(&config);
    actix::System::new().block_on(async move {
        let mut signals = Signals::new().map_err(|error| Failure::running(format!("signals cannot be received: {error}")))?;
        let process = tokio::select! {
            started = Process::start(&config) => started?,
            // Nothing was promised to anybody yet, and the store is made for such an end.
            () = signals.next() => return Ok(()),
        };
        process.announce(&config);
        let ended = tokio::select! {
            () = signals.next() => Ok(()),
            () = process.engine.outlived() => Err(Failure::running(
                "Redis was emptied and others have begun anew on it: start this process again, to go on with what they have",
            )),
        };
        tracing::info!("stopping");
        tokio::select! {
            stopped = process.stop(Duration::from_millis(config.shutdown_grace_ms)) => stopped.and(ended),
            () = signals.next() => Err(Failure::running("stopped at once by a second signal")),
        }
    })
}

/// One address that is listened on.
struct Server {
    sockets: SocketServer<Told>,
    gateway: Arc<Gateway>,
}

/// Everything that runs.
struct Process {
    engine: Engine,
    servers: Vec<Server>,
    state: Arc<State>,
    descriptors: Option<u64>,
    root_key: root_key::Found,
    /// Who comes to the demo by itself.
    bots: Option<demo::Bots>,
}

impl Process {
    async fn start(config: &Config) -> Result<Self, Failure> {
        let descriptors = descriptors::raise();
        // Before the store, which may take a while to come back: an address in use is said at once.
        let listeners = config.listen.iter().map(|address| bind(*address)).collect::<Result<Vec<_>, _>>()?;
        let (engine, redis) = records::start(config).await?;
        let auth = Auth::new(engine.secret());
        let root_key = match config.redis {
            Some(_) => root_key::find_among(&config.root_key, &auth),
            None => root_key::find(&config.root_key, config.data.as_deref()),
        };
        let root_key = match root_key {
            Ok(root_key) => root_key,
            Err(failure) => {
                engine.stop().await;
                return Err(failure);
            }
        };
        if config.demo {
            demo::create(&engine).await.map_err(Failure::Running)?;
        }
        if let Some(public) = config.listen.iter().find(|address| !address.ip().is_loopback())
            && demo::is_open_to_all(&engine.directory())
        {
            engine.stop().await;
            return Err(Failure::Configuration(format!(
                "refused on {public}: the data directory holds the demo organisation, whose credentials are public; choose another \
                 with --data, or remove the demo's agents first"
            )));
        }
        let auth = Arc::new(auth.with_root_key(Some(&root_key.key)));
        let admin = Served { engine: engine.clone(), redis };
        let state = State::new(admin, Arc::clone(&auth), config.limits.loopback_exempt)
            .with_body_within(Duration::from_millis(config.limits.handshake_ms));
        let state = Arc::new(state);
        let sessions = SessionSettings {
            limits: config.session_limits.clone(),
            desk_origins: config.desk_origins.clone(),
            ..SessionSettings::default()
        };
        let servers = listeners
            .into_iter()
            .map(|listener| serve(config, listener, &engine, &auth, &state, sessions.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        state.count_sockets(servers.iter().map(|server| Arc::clone(server.sockets.stats())).collect());
        if config.role == Role::Engine {
            // Health, metrics and the admin API are served there, but no sockets.
            servers.iter().for_each(|server| server.gateway.drain());
        }
        // Among several processes nobody scripted comes: they would come once for each.
        let bots = match config.demo && !config.no_bots && config.redis.is_none() {
            true => Some(demo::Bots::start(&engine).await.map_err(Failure::Running)?),
            false => None,
        };
        state.set_ready(true);
        Ok(Self { engine, servers, state, descriptors, root_key, bots })
    }

    /// Says what runs, and in the demo what can be done with it.
    fn announce(&self, config: &Config) {
        let counters = self.engine.counters();
        let data = match (&config.data, &config.redis) {
            (Some(dir), _) => dir.display().to_string(),
            // Without the url: it may have a password in it.
            (None, Some(redis)) => format!("Redis, prefix {}", redis.prefix),
            (None, None) => "none".to_owned(),
        };
        let addresses: Vec<String> = self.servers.iter().map(|server| server.sockets.addr().to_string()).collect();
        let (durability, survives) = acknowledgement(config);
        let (recovered, organisations) = (counters.recovered.get(), self.engine.directory().organisations().count());
        let descriptors = self.descriptors.unwrap_or(0);
        let listen = if addresses.is_empty() { "no address".to_owned() } else { addresses.join(", ") };
        if config.log_json {
            tracing::info!(
                version = VERSION,
                data,
                durability,
                survives,
                listen,
                recovered,
                organisations,
                descriptors,
                "serving"
            );
        } else {
            say(&format!(
                "jono {VERSION}: data {data}; durability {durability}: an acknowledgement survives {survives}; listening on \
                 {listen}; recovered entities: {recovered}, organisations: {organisations}; file descriptors: {descriptors}\n"
            ));
        }
        let wanted = descriptors_wanted(config);
        if !config.demo && self.descriptors.is_some_and(|have| have < wanted) {
            tracing::warn!(
                descriptors,
                sockets_max = config.limits.sockets_max,
                "fewer file descriptors than `sockets.sockets_max` needs: raise the limit (ulimit -Hn) or lower the setting"
            );
        }
        if let Some(notice) = self.root_key.notice() {
            say(&notice);
        }
        if let Some(server) = self.servers.first().filter(|_| config.demo) {
            say(&demo::welcome(server.sockets.addr(), self.bots.is_some()));
        }
    }

    /// Sockets first, so that what they asked for is answered and stored; then the engine and the store.
    async fn stop(self, grace: Duration) -> Result<(), Failure> {
        self.state.set_ready(false);
        if let Some(bots) = self.bots {
            bots.stop().await;
        }
        self.servers.iter().for_each(|server| server.gateway.drain());
        let drained = join_all(self.servers.into_iter().map(|server| server.sockets.drain(grace))).await;
        self.engine.stop().await;
        for outcome in drained {
            outcome.map_err(|error| Failure::running(format!("the listener failed: {error}")))?;
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// To the standard output, if anybody reads it.
fn say(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The level, and what an acknowledgement survives at it.
fn acknowledgement(config: &Config) -> (&'static str, &'static str) {
    if config.redis.is_some() {
        return match config.durability {
            Durability::Memory => ("memory", "the end of any process of Jono, but not of Redis"),
            Durability::Second => ("second", "the end of any process of Jono, and of Redis and power but for the last second"),
            Durability::Disk => ("disk", "a power cut, but not a failover of Redis"),
            Durability::Replica => ("replica", "the loss of one Redis server"),
        };
    }
    match (config.durability, &config.data) {
        (Durability::Memory, None) => ("memory", "nothing (everything ends with the process)"),
        (Durability::Memory, Some(_)) => ("memory", "an orderly stop, and nothing else"),
        (Durability::Second, _) => ("second", "the end of the process, and a power cut but for the last second"),
        (Durability::Disk, _) => ("disk", "a power cut"),
        (Durability::Replica, _) => ("replica", "a power cut, and the loss of one Redis server"),
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    listen(address).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "the address is in use; stop the other process or choose another with --listen".to_owned()
            }
            io::ErrorKind::AddrNotAvailable => "this machine does not have the address".to_owned(),
            io::ErrorKind::PermissionDenied => "this user may not listen there (ports below 1024 are reserved)".to_owned(),
            _ => error.to_string(),
        };
        Failure::running(format!("cannot listen on {address}: {why}"))
    })
}

fn serve(
    config: &Config,
    listener: TcpListener,
    engine: &Engine,
    auth: &Arc<Auth>,
    state: &Arc<State>,
    settings: SessionSettings,
) -> Result<Server, Failure> {
    let serve = ServeConfig {
        workers: config.workers,
        limits: config.limits.clone(),
        subprotocols: SUBPROTOCOLS,
        ..ServeConfig::new(listener)
    };
    let shared = Arc::clone(state);
    let app = move || {
        let state = Arc::clone(&shared);
        App::new().wrap_fn(http::without_body).configure(move |app| http::configure(&state, app))
    };
    let mut attached = None;
    let sockets = jono_socket::serve(serve, app, |switchboard| {
        let gateway = Gateway::attach(engine.clone(), Arc::clone(auth), settings, switchboard);
        GatewayAdmit::new(Arc::clone(attached.insert(gateway)))
    });
    let sockets = sockets.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => Failure::Configuration(format!("[sockets]: {error}")),
        _ => Failure::running(format!("cannot serve: {error}")),
    })?;
    Ok(Server { sockets, gateway: attached.expect("serving asks once whom to admit") })
}

/// Signals that ask for an end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
