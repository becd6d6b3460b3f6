//! One connection to one server, made anew when it breaks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Pipeline, PushInfo, PushKind, RedisResult, Value};
use tokio::sync::Mutex;

use super::address::{Access, Address};
use super::configuration::{self, Demand};
use super::failure::{self, Failure};
use super::limits;
use super::stats::{Counters, count};

/// What every connection is made with.
pub(super) struct Supplies {
    pub(super) access: Access,
    pub(super) demand: Demand,
    pub(super) counters: Counters,
}

/// Whether a server may be written to: why not, if it gives less than was promised.
#[derive(Clone, Debug, Default)]
pub(super) struct Fitness(Arc<std::sync::Mutex<Option<String>>>);

impl Fitness {
    pub(super) fn set(&self, why_not: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why_not;
    }

    /// Refuses if it must not be written to.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(why) => Err(Failure::Refused(why.clone())),
        }
    }
}

/// A place for a connection.
pub(super) struct Link {
    address: Address,
    supplies: Arc<Supplies>,
    fitness: Fitness,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    wire: Option<Wire>,
    /// When connecting failed last, and why.
    failed: Option<(Instant, String)>,
}

/// A connection that was good when it was made.
#[derive(Clone)]
struct Wire {
    connection: MultiplexedConnection,
    /// Set when the server has closed it.
    broken: Arc<AtomicBool>,
}

impl Link {
    pub(super) fn new(address: Address, supplies: Arc<Supplies>, fitness: Fitness) -> Self {
        Self { address, supplies, fitness, state: Mutex::default() }
    }

    /// Sends commands in one piece; answers with what each was answered. A connection that does not answer in time is
    /// given up: nothing is sent behind what it may still swallow. What must last is sent only to a server that is fit
    /// for it.
    pub(super) async fn send(&self, commands: &Pipeline, must_last: bool) -> Result<Vec<Value>, Failure> {
        let mut wire = self.wire().await.map_err(Failure::Refused)?;
        if must_last {
            self.fitness.check()?;
        }
        let sent = send(&mut wire.connection, commands, &self.supplies.counters).await;
        sent.map_err(|error| {
            if !wire.broken.swap(true, Ordering::AcqRel) {
                count(&self.supplies.counters.connections_lost);
            }
            failure::under_way(&error, &self.address)
        })
    }

    /// The connection, made if need be. After a failure nobody tries again for a moment.
    async fn wire(&self) -> Result<Wire, String> {
        let mut state = self.state.lock().await;
        if let Some(wire) = state.wire.take_if(|wire| wire.broken.load(Ordering::Acquire)) {
            // Dropped here, so that what waits for its answers hears of it.
            drop(wire);
        }
        if let Some(wire) = &state.wire {
            return Ok(wire.clone());
        }
        if let Some((when, why)) = &state.failed
            && when.elapsed() < limits::CONNECT_PAUSE
        {
            return Err(why.clone());
        }
        match self.connect().await {
            Ok(wire) => {
                *state = State { wire: Some(wire.clone()), failed: None };
                Ok(wire)
            }
            Err(why) => {
                state.failed = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    /// A server that came back may have come back otherwise: every new connection looks.
    async fn connect(&self) -> Result<Wire, String> {
        let Self { address, supplies, .. } = self;
        let broken = Arc::new(AtomicBool::new(false));
        let (sign, lost) = (Arc::clone(&broken), Arc::clone(supplies));
        let hears_the_end = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection && !sign.swap(true, Ordering::AcqRel) {
                count(&lost.counters.connections_lost);
            }
            Ok::<(), ()>(())
        };
        let config = settings(Some(limits::RESPONSE_TIMEOUT)).set_push_sender(hears_the_end);
        let opened = open(address, supplies, &config).await;
        let mut connection = opened.map_err(|error| format!("no connection to {address}: {error}"))?;
        look(&mut connection, address, supplies, &self.fitness).await?;
        Ok(Wire { connection, broken })
    }
}

/// Looks over a new connection whether the server behind it may be written to.
pub(super) async fn look(
    connection: &mut MultiplexedConnection,
    address: &Address,
    supplies: &Supplies,
    fitness: &Fitness,
) -> Result<(), String> {
    let facts = configuration::ask(connection).await.map_err(|why| format!("{address} says {why}"))?;
    fitness.set(facts.check(address, supplies.demand).err().map(|error| error.to_string()));
    Ok(())
}

/// How a connection behaves whose answers may take this long.
pub(super) fn settings(response_timeout: Option<Duration>) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(limits::CONNECT_TIMEOUT))
        .set_response_timeout(response_timeout)
        .set_pipeline_buffer_size(limits::LANE_CALLS_MAX)
}

/// A new connection.
pub(super) async fn open(
    address: &Address,
    supplies: &Supplies,
    config: &AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    let client = Client::open(supplies.access.to(address))?;
    let connection = client.get_multiplexed_async_connection_with_config(config).await?;
    count(&supplies.counters.connections);
    Ok(connection)
}

/// Sends commands in one piece over any connection, and counts them.
pub(super) async fn send(
    connection: &mut impl ConnectionLike,
    commands: &Pipeline,
    counters: &Counters,
) -> RedisResult<Vec<Value>> {
    let mut bytes = 0;
    let mut sent = 0;
    for command in commands.cmd_iter() {
        sent += 1;
        bytes += command.args_iter().map(|argument| argument_bytes(&argument)).sum::<usize>();
    }
    counters.commands.fetch_add(sent as u64, Ordering::Relaxed);
    counters.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
    connection.req_packed_commands(commands, 0, sent).await
}

fn argument_bytes(argument: &redis::Arg<&[u8]>) -> usize {
    match argument {
        redis::Arg::Simple(bytes) => bytes.len(),
        _ => 1,
    }
}
