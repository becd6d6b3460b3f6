//! What store and exchange have in common: the thread, the servers, the lanes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::address::Access;
use super::configuration::Demand;
use super::keys::Keys;
use super::lane::{Job, Lane};
use super::link::Supplies;
use super::options::{ConnectError, RedisOptions};
use super::servers::Servers;
use super::stats::{Counters, RedisStats};
use super::thread::Thread;
use crate::{CommitError, Durability, ShardId};

/// Connected, and checked.
pub(super) struct Core {
    pub(super) thread: Thread,
    pub(super) servers: Arc<Servers>,
    pub(super) keys: Keys,
    /// Names this process's commits.
    pub(super) writer: String,
    lanes: Mutex<HashMap<ShardId, Lane>>,
}

impl Core {
    pub(super) async fn connect(options: &RedisOptions) -> Result<Self, ConnectError> {
        options.check_prefix()?;
        let (access, seeds) = Access::parse(&options.urls)?;
        let broken = |why: String| ConnectError::Unreachable { address: seeds[0].to_string(), why };
        let thread = Thread::start().map_err(|error| broken(error.to_string()))?;
        let writer = getrandom::u64().map_err(|error| broken(error.to_string()))?;
        let demand = Demand { durability: options.durability, trusts: options.trust_configuration };
        let supplies = Arc::new(Supplies { access, demand, counters: Counters::default() });
        let servers = Arc::new(Servers::new(supplies, seeds.clone()));
        let checked = Arc::clone(&servers);
        let check = thread.start_task(async move { check(&checked, demand).await });
        check.await.unwrap_or_else(|| Err(broken("the thread has ended".into())))?;
        let keys = Keys::new(options.prefix.clone());
        Ok(Self { thread, servers, keys, writer: format!("{writer:016x}"), lanes: Mutex::default() })
    }

    pub(super) fn durability(&self) -> Durability {
        self.servers.supplies().demand.durability
    }

    pub(super) fn stats(&self) -> RedisStats {
        self.servers.supplies().counters.read()
    }

    /// Adds a job to a shard's lane. Jobs are done in the order of these calls.
    pub(super) fn add_job(&self, shard: ShardId, job: Job) -> Result<(), CommitError> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(shard).or_insert_with(|| {
            let (lane, work) = Lane::start(shard, &self.writer, &self.keys, &self.servers);
            // It goes on when this is dropped.
            drop(self.thread.start_task(work));
            lane
        });
        lane.add(job)
    }

    /// The lane of a shard that this process has written to.
    pub(super) fn lane(&self, shard: ShardId) -> Option<Lane> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).get(&shard).cloned()
    }

    /// All of them.
    pub(super) fn lanes(&self) -> Vec<(ShardId, Lane)> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().map(|(shard, lane)| (*shard, lane.clone())).collect()
    }
}

/// Every master must give what is wanted.
async fn check(servers: &Servers, demand: Demand) -> Result<(), ConnectError> {
    servers.read_map().await?;
    match servers.slots_missing() {
        0 => {}
        missing => return Err(ConnectError::SlotsMissing { missing }),
    }
    for server in servers.masters() {
        let address = server.address();
        let facts = server.facts().await.map_err(|why| ConnectError::Unreachable { address: address.to_string(), why })?;
        facts.check(address, demand)?;
        if demand.durability == Durability::Replica && facts.count("connected_slaves") == 0 {
            return Err(ConnectError::NoReplica { address: address.to_string() });
        }
    }
    Ok(())
}
