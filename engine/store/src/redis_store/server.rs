//! One server: its connections, and how a call is sent over them.

use std::sync::{Arc, OnceLock};

use deadpool_redis::{Hook, HookError, Manager, Pool, Runtime};
use futures_util::FutureExt;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};

use super::address::Address;
use super::call::{Call, Kind};
use super::configuration::{self, Facts};
use super::failure::{self, Failure, Outcome, judge};
use super::limits;
use super::link::{self, Fitness, Link, Supplies};
use super::value;
use crate::Durability;

/// A server and the connections to it, which are made when they are needed.
pub(super) struct Server {
    address: Address,
    supplies: Arc<Supplies>,
    writers: Vec<Link>,
    readers: Vec<Link>,
    /// Connections that one commit has for itself while replicas confirm it.
    leases: OnceLock<Pool>,
    /// For questions about the server itself.
    asking: tokio::sync::Mutex<Option<MultiplexedConnection>>,
    fitness: Fitness,
}

impl Server {
    pub(super) fn new(address: Address, supplies: Arc<Supplies>) -> Self {
        let fitness = Fitness::default();
        let link = |_| Link::new(address.clone(), Arc::clone(&supplies), fitness.clone());
        let links = |count| (0..count).map(link).collect();
        Self {
            writers: links(limits::WRITE_LINKS),
            readers: links(limits::READ_LINKS),
            leases: OnceLock::new(),
            asking: tokio::sync::Mutex::default(),
            fitness,
            supplies,
            address,
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Whether it may be written to.
    pub(super) fn fitness(&self) -> &Fitness {
        &self.fitness
    }

    /// Sends a call here; `asks` when another server sent us, `loads` when the script is not known here.
    pub(super) async fn carry_out(&self, lane: usize, call: &Call, asks: bool, loads: bool) -> Outcome {
        let mut commands = Pipeline::with_capacity(4);
        if loads && let Some(script) = call.script {
            commands.add_command(script.load());
        }
        if asks {
            commands.add_command(redis::cmd("ASKING"));
        }
        commands.add_command(call.command.clone());
        let answers = match call.kind {
            Kind::Read => self.readers[lane % self.readers.len()].send(&commands, false).await,
            Kind::Commit if self.supplies.demand.durability == Durability::Replica => return self.replicate(commands).await,
            Kind::Commit => self.writers[lane % self.writers.len()].send(&commands, true).await,
            Kind::Write => self.writers[lane % self.writers.len()].send(&commands, false).await,
        };
        match answers {
            Ok(mut answers) => match answers.pop() {
                Some(answer) => judge(answer, &self.address),
                None => Outcome::Failed(Failure::Lost(value::misshapen("a pipeline"))),
            },
            Err(failure) => Outcome::Failed(failure),
        }
    }

    /// Sends reads in one piece.
    pub(super) async fn send_read(&self, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        self.readers[0].send(commands, false).await
    }

    /// What the server says of itself, whatever we think of it.
    pub(super) async fn facts(&self) -> Result<Facts, String> {
        let mut asking = self.asking.lock().await;
        if let Some(mut connection) = asking.take()
            && let Ok(facts) = configuration::ask(&mut connection).await
        {
            *asking = Some(connection);
            return Ok(facts);
        }
        // It may only have been the connection.
        let settings = link::settings(Some(limits::CONNECT_TIMEOUT));
        let opened = link::open(&self.address, &self.supplies, &settings).await;
        let mut connection = opened.map_err(|error| error.to_string())?;
        let facts = configuration::ask(&mut connection).await?;
        *asking = Some(connection);
        Ok(facts)
    }

    /// Whether a server that was not fit to be written to is so now.
    pub(super) async fn look_again(&self) {
        if self.fitness.check().is_err()
            && let Ok(facts) = self.facts().await
        {
            self.fitness.set(facts.check(&self.address, self.supplies.demand).err().map(|error| error.to_string()));
        }
    }

    /// `WAIT` speaks of what its own connection wrote. So commit and `WAIT` go in one piece over a connection that nobody
    /// else has meanwhile.
    async fn replicate(&self, mut commands: Pipeline) -> Outcome {
        let refused = |why: String| Outcome::Failed(Failure::Refused(why));
        let leases = match self.leases() {
            Ok(leases) => leases,
            Err(why) => return refused(why),
        };
        let mut lease = match leases.get().await {
            Ok(lease) => lease,
            Err(error) => return refused(format!("no connection to {}: {error}", self.address)),
        };
        if let Err(failure) = self.fitness.check() {
            return Outcome::Failed(failure);
        }
        commands.cmd("WAIT").arg(1).arg(limits::REPLICA_TIMEOUT.as_millis() as u64);
        let answers = match link::send(&mut lease, &commands, &self.supplies.counters).await {
            Ok(answers) => answers,
            Err(error) => {
                // It may still have something to swallow.
                drop(deadpool_redis::Connection::take(lease));
                return Outcome::Failed(failure::under_way(&error, &self.address));
            }
        };
        let [.., answer, confirmed] = &*answers else {
            return Outcome::Failed(Failure::Lost(value::misshapen("a pipeline")));
        };
        match judge(answer.clone(), &self.address) {
            Outcome::Answer(answer) => match value::number(confirmed.clone()) {
                Some(1..) => Outcome::Answer(answer),
                _ => Outcome::Failed(Failure::Lost(format!("no replica of {} has confirmed it in time", self.address))),
            },
            other => other,
        }
    }

    fn leases(&self) -> Result<&Pool, String> {
        if let Some(leases) = self.leases.get() {
            return Ok(leases);
        }
        let config = link::settings(Some(limits::RESPONSE_TIMEOUT));
        let manager = Manager::new_with_config(self.supplies.access.to(&self.address), config);
        let (address, supplies, fitness) = (self.address.clone(), Arc::clone(&self.supplies), self.fitness.clone());
        let looks = Hook::async_fn(move |connection: &mut MultiplexedConnection, _| {
            let (address, supplies, fitness) = (address.clone(), Arc::clone(&supplies), fitness.clone());
            let looked = async move { link::look(connection, &address, &supplies, &fitness).await.map_err(HookError::message) };
            looked.boxed()
        });
        let pool = Pool::builder(manager.map_err(|error| error.to_string())?)
            .post_create(looks)
            .max_size(limits::LEASES_MAX)
            .wait_timeout(Some(limits::RESPONSE_TIMEOUT))
            .create_timeout(Some(limits::CONNECT_TIMEOUT))
            .recycle_timeout(Some(limits::CONNECT_TIMEOUT))
            .runtime(Runtime::Tokio1)
            .build();
        let pool = pool.map_err(|error| error.to_string())?;
        Ok(self.leases.get_or_init(|| pool))
    }
}
