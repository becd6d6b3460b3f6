//! Owns the listener, the workers and the HTTP service in front of the sockets, and their end.

use crate::{
    gate::Gate,
    handshake::Admit,
    hub::Hub,
    limits::SocketLimits,
    session::Session,
    stats::SocketStats,
    switchboard::{Order, Switchboard},
    upgrade::{Upgrade, connected},
    worker::Worker,
};
use actix_http::{HttpService, Request, Response, body::MessageBody};
use actix_server::{Server, ServerHandle};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use std::{
    convert::Infallible,
    fmt, io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};

/// Workers that may be started again in the place of one whose thread has died.
const SPARE_WORKERS: usize = 8;

/// Time for sockets that were reset to be gone, and for plain HTTP requests to end, on a drain.
const ABORT_WAIT: Duration = Duration::from_secs(1);

/// Connections the kernel completes ahead of us; a reconnecting crowd comes at once.
const BACKLOG: i32 = 4096;

/// Where and how to serve.
pub struct ServeConfig {
    /// A bound, listening socket; see [`listen`].
    pub listener: TcpListener,
    /// Threads that serve; each has its own sockets.
    pub workers: usize,
    /// What sockets are granted.
    pub limits: SocketLimits,
    /// Subprotocols that can be agreed on; a client that offers none of them gets none.
    pub subprotocols: &'static [&'static str],
}

impl ServeConfig {
    /// One worker per core, default limits, no subprotocols.
    #[must_use]
    pub fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            limits: SocketLimits::default(),
            subprotocols: &[],
        }
    }
}

/// Binds and listens with a backlog fit for a crowd that reconnects at once.
///
/// # Errors
/// Those of `socket`, `bind` and `listen`.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Serves sockets and, for every other request, the `App` that `app` makes (called on each worker's
/// thread). `admit` gets the switchboard once and makes the [`Admit`], cloned for each worker.
///
/// Must be called inside an actix `System`; returns at once. `Upgrade: websocket` never reaches the `App`
/// or its middleware.
///
/// # Errors
/// `InvalidInput` when limits contradict each other or there are no workers; else those of the
/// listener.
pub fn serve<A, F, I, S, B>(
    config: ServeConfig,
    app: F,
    admit: impl FnOnce(&Switchboard<<A::Session as Session>::Message>) -> A,
) -> io::Result<SocketServer<<A::Session as Session>::Message>>
where
    A: Admit,
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    config.limits.check()?;
    if config.workers == 0 || config.workers + SPARE_WORKERS > usize::from(u16::MAX) {
        let wrong = "workers must be between 1 and 65 000";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, wrong));
    }
    let address = config.listener.local_addr()?;
    let limits = Arc::new(config.limits);
    let ports = config.workers + SPARE_WORKERS;
    let stats = Arc::new(SocketStats::new(ports));
    let gate = Arc::new(Gate::new(Arc::clone(&limits), Arc::clone(&stats)));
    let switchboard = Switchboard::new(ports, limits.told_waiting_max);
    // Sync, so that `Admit` need not be: taken once per worker, at its start.
    let admit = Arc::new(Mutex::new(admit(&switchboard)));
    let next_worker = Arc::new(AtomicUsize::new(0));

    let builder = Server::build();
    let going = builder.graceful_shutdown_signal();
    let workers_limits = Arc::clone(&limits);
    let factory = {
        let (stats, gate, switchboard) = (Arc::clone(&stats), Arc::clone(&gate), switchboard.clone());
        move || {
            let index = next_worker.fetch_add(1, SeqCst);
            assert!(index < ports, "a worker's thread died more often than allowed for");
            let worker = Worker::new(index as u16, Arc::clone(&limits), Arc::clone(&stats));
            let upgrade = Rc::new(Upgrade {
                admit: admit.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone(),
                hub: Hub::start(worker, switchboard.clone()),
                gate: Arc::clone(&gate),
                subprotocols: config.subprotocols,
            });
            let worker = Rc::clone(&upgrade.hub.worker);
            let (gate, going) = (Arc::clone(&gate), going.clone());
            let app = app().into_factory();
            HttpService::<TcpStream, _, _>::build()
                .keep_alive(Duration::from_millis(limits.keep_alive_ms))
                .client_request_timeout(Duration::from_millis(limits.handshake_ms))
                .client_disconnect_timeout(ABORT_WAIT)
                .tcp_nodelay(true)
                .graceful_shutdown_signal(move || {
                    let going = going.clone();
                    async move { going.notified().await }
                })
                .on_connect_ext(move |io, extensions| connected(io, extensions, &gate, &worker))
                .upgrade(fn_service(move |(request, framed)| {
                    let upgrade = Rc::clone(&upgrade);
                    async move {
                        upgrade.handle::<TcpStream>(request, framed).await;
                        Ok::<(), Infallible>(())
                    }
                }))
                .finish(map_config(app.map_err(|error| error.into().error_response()), |_| AppConfig::default()))
                .tcp()
        }
    };
    let server = builder
        .workers(config.workers)
        .max_concurrent_connections(workers_limits.connections_per_worker_max)
        .shutdown_timeout(ABORT_WAIT.as_secs())
        .disable_signals()
        .listen("jono", config.listener, factory)?
        .run();
    Ok(SocketServer { handle: server.handle(), running: actix_rt::spawn(server), switchboard, stats, gate, address })
}

/// A server that runs; it goes on when this value is dropped.
pub struct SocketServer<M> {
    handle: ServerHandle,
    running: JoinHandle<io::Result<()>>,
    switchboard: Switchboard<M>,
    stats: Arc<SocketStats>,
    gate: Arc<Gate>,
    address: SocketAddr,
}

impl<M: Send + 'static> SocketServer<M> {
    /// The way to tell sessions things.
    #[must_use]
    pub fn switchboard(&self) -> &Switchboard<M> {
        &self.switchboard
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<SocketStats> {
        &self.stats
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops: accepts no more, closes every socket with 1012 behind what it was sent, waits until all
    /// are gone or `deadline` has passed, resets the rest, and ends the workers. Upgrades under way
    /// are answered with 503.
    ///
    /// # Errors
    /// Those of the server's accept thread.
    pub async fn drain(self, deadline: Duration) -> io::Result<()> {
        self.gate.drain();
        self.handle.pause().await;
        self.switchboard.order(Order::Drain);
        if timeout(deadline, self.gate.emptied()).await.is_err() {
            self.switchboard.order(Order::Abort);
            // Those that are left now are dropped with their workers.
            let _ = timeout(ABORT_WAIT, self.gate.emptied()).await;
        }
        self.handle.stop(true).await;
        match self.running.await {
            Ok(ended) => ended,
            Err(error) => Err(io::Error::other(error)),
        }
    }
}
