//! Which server has which slot, and how a call gets there.
//!
//! One server without a cluster is a map whose every slot is there. Slots move, masters die and others take over: a call
//! that was surely not applied follows them for a moment, everything else is left to the caller.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use redis::{Pipeline, Value};

use super::address::{Address, SLOTS};
use super::call::{Call, Kind};
use super::configuration::Facts;
use super::failure::{Failure, Outcome, judge};
use super::limits;
use super::link::Supplies;
use super::options::ConnectError;
use super::server::Server;
use super::stats::count;
use super::value;

/// All servers that are known, and which has what.
pub(super) struct Servers {
    supplies: Arc<Supplies>,
    /// What the caller named; the way back when everything known is gone.
    seeds: Vec<Address>,
    map: RwLock<Map>,
    /// When the map was read last. Locked while it is read.
    read_at: tokio::sync::Mutex<Option<Instant>>,
    /// A read of the map is planned.
    is_reading: Mutex<bool>,
    /// When it was said last that the map cannot be read.
    said_at: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Map {
    is_cluster: bool,
    servers: BTreeMap<Address, Arc<Server>>,
    slots: Vec<Option<Arc<Server>>>,
}

impl Servers {
    pub(super) fn new(supplies: Arc<Supplies>, seeds: Vec<Address>) -> Self {
        let map = RwLock::new(Map { slots: vec![None; SLOTS], ..Map::default() });
        Self {
            supplies,
            seeds,
            map,
            read_at: tokio::sync::Mutex::new(None),
            is_reading: Mutex::new(false),
            said_at: Mutex::new(None),
        }
    }

    pub(super) fn supplies(&self) -> &Arc<Supplies> {
        &self.supplies
    }

    /// Whether the servers are a cluster.
    pub(super) fn is_cluster(&self) -> bool {
        self.map().is_cluster
    }

    /// The servers that have slots.
    pub(super) fn masters(&self) -> Vec<Arc<Server>> {
        let map = self.map();
        let mut masters: BTreeMap<&Address, &Arc<Server>> = BTreeMap::new();
        for server in map.slots.iter().flatten() {
            masters.insert(server.address(), server);
        }
        masters.into_values().cloned().collect()
    }

    /// The server that has a slot.
    pub(super) fn server_of(&self, slot: usize) -> Option<Arc<Server>> {
        self.map().slots[slot].clone()
    }

    /// Slots that nobody has.
    pub(super) fn slots_missing(&self) -> usize {
        self.map().slots.iter().filter(|server| server.is_none()).count()
    }

    /// Sends a call to the server that has the slot, and follows the slot for a moment if need be. `lane` chooses the
    /// connection: calls of one lane go over the same one.
    pub(super) async fn call(self: &Arc<Self>, slot: usize, lane: usize, call: &Call) -> Result<Value, Failure> {
        let start = Instant::now();
        let mut target = None;
        let mut loads = false;
        let mut redirects = 0;
        loop {
            let asks = target.is_some();
            let Some(server) = target.clone().or_else(|| self.server_of(slot)) else {
                self.read_map_soon();
                return Err(Failure::Refused(format!("no server has slot {slot}")));
            };
            let outcome = server.carry_out(lane, call, asks, loads).await;
            let retry = match outcome {
                Outcome::Answer(value) => return Ok(value),
                Outcome::Failed(failure) => {
                    self.read_map_soon();
                    if !matches!(failure, Failure::Refused(_)) && call.kind != Kind::Read {
                        count(&self.supplies.counters.unknown);
                    }
                    return Err(failure);
                }
                // The script is loaded in front of the next attempt; twice is enough.
                Outcome::NoScript if !loads => {
                    loads = true;
                    count(&self.supplies.counters.retries);
                    continue;
                }
                Outcome::NoScript => "a script that was just loaded is unknown",
                Outcome::Moved(address) => {
                    self.note_moved(slot, &address);
                    self.read_map_soon();
                    target = None;
                    redirects += 1;
                    "its slot keeps moving"
                }
                Outcome::Ask(address) => {
                    target = Some(self.server_at(&address));
                    redirects += 1;
                    "its slot keeps moving"
                }
                Outcome::TryAgain => {
                    target = None;
                    redirects = limits::REDIRECTS_MAX;
                    "its slot is on the move"
                }
            };
            loads = false;
            if start.elapsed() > limits::REDIRECT_PATIENCE {
                return Err(Failure::Refused(retry.into()));
            }
            count(&self.supplies.counters.retries);
            if redirects >= limits::REDIRECTS_MAX {
                tokio::time::sleep(limits::REDIRECT_PAUSE).await;
            }
        }
    }

    /// Sends many reads at once, all for one server in one piece. What was redirected goes its own way.
    pub(super) async fn read_all(self: &Arc<Self>, calls: Vec<(usize, Call)>) -> Result<Vec<Value>, Failure> {
        let mut by_server: BTreeMap<Address, (Arc<Server>, Vec<usize>)> = BTreeMap::new();
        for (place, (slot, _)) in calls.iter().enumerate() {
            let server = self.server_of(*slot).ok_or_else(|| Failure::Refused(format!("no server has slot {slot}")));
            let server = server.inspect_err(|_| self.read_map_soon())?;
            by_server.entry(server.address().clone()).or_insert_with(|| (server, Vec::new())).1.push(place);
        }
        let pieces = by_server.into_values().map(|(server, places)| {
            let mut commands = Pipeline::with_capacity(places.len());
            for place in &places {
                commands.add_command(calls[*place].1.command.clone());
            }
            async move {
                let answers = server.send_read(&commands).await?;
                Ok(places
                    .into_iter()
                    .zip(answers)
                    .map(|(place, value)| (place, judge(value, server.address())))
                    .collect::<Vec<_>>())
            }
        });
        let found = futures_util::future::try_join_all(pieces).await.inspect_err(|_: &Failure| self.read_map_soon())?;
        let mut answers: Vec<Option<Value>> = calls.iter().map(|_| None).collect();
        for (place, outcome) in found.into_iter().flatten() {
            let (slot, call) = &calls[place];
            answers[place] = Some(match outcome {
                Outcome::Answer(value) => value,
                _ => self.call(*slot, place, call).await?,
            });
        }
        answers.into_iter().map(|answer| answer.ok_or_else(|| Failure::Refused(value::misshapen("a pipeline")))).collect()
    }

    /// Reads the map anew, soon, without anybody waiting for it.
    pub(super) fn read_map_soon(self: &Arc<Self>) {
        let mut is_reading = self.is_reading.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *is_reading, true) {
            let servers = Arc::clone(self);
            tokio::spawn(async move {
                if let Err(error) = servers.read_map().await {
                    servers.say_unreadable(&error);
                }
                for server in servers.masters() {
                    server.look_again().await;
                }
                *servers.is_reading.lock().unwrap_or_else(PoisonError::into_inner) = false;
            });
        }
    }

    /// An outage is said now and then, not with every attempt.
    fn say_unreadable(&self, error: &ConnectError) {
        let mut said_at = self.said_at.lock().unwrap_or_else(PoisonError::into_inner);
        if said_at.is_some_and(|said_at| said_at.elapsed() < limits::OUTAGE_SAID_EVERY) {
            return tracing::debug!(%error, "the map of the Redis servers cannot be read");
        }
        *said_at = Some(Instant::now());
        tracing::warn!(%error, "the map of the Redis servers cannot be read: tried until it can");
    }

    /// Reads the map anew, from whoever answers first. Without a cluster: looks for the master among the seeds.
    pub(super) async fn read_map(&self) -> Result<(), ConnectError> {
        let mut read_at = self.read_at.lock().await;
        if let Some(read_at) = *read_at {
            tokio::time::sleep(limits::MAP_PAUSE.saturating_sub(read_at.elapsed())).await;
        }
        let outcome = self.read_map_from_anybody().await;
        *read_at = Some(Instant::now());
        outcome
    }

    async fn read_map_from_anybody(&self) -> Result<(), ConnectError> {
        let mut failure = ConnectError::NoMaster;
        for address in self.whom_to_ask() {
            let server = self.server_at(&address);
            let unreachable = |why| ConnectError::Unreachable { address: address.to_string(), why };
            match server.facts().await.map_err(unreachable) {
                Ok(facts) if facts.is_in_cluster() => match self.read_slots(&server, &facts).await {
                    Ok(()) => return Ok(()),
                    Err(why) => failure = unreachable(why),
                },
                Ok(facts) if facts.is_master() => {
                    self.install(false, (0..SLOTS).map(|_| Some(address.clone())).collect());
                    return Ok(());
                }
                Ok(_) => {}
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Masters first, since they are the likeliest to know; then everybody else, then what we were given.
    fn whom_to_ask(&self) -> Vec<Address> {
        let mut order: Vec<Address> = self.masters().iter().map(|server| server.address().clone()).collect();
        let known: Vec<Address> = self.map().servers.keys().cloned().collect();
        for address in known.into_iter().chain(self.seeds.iter().cloned()) {
            if !order.contains(&address) {
                order.push(address);
            }
        }
        order
    }

    async fn read_slots(&self, server: &Server, facts: &Facts) -> Result<(), String> {
        if facts.info("role") == "slave" && facts.info("master_link_status") != "up" {
            return Err("it is a replica that has lost its master".into());
        }
        let mut question = redis::cmd("CLUSTER");
        question.arg("SLOTS");
        let mut commands = Pipeline::with_capacity(1);
        commands.add_command(question);
        let answer = server.send_read(&commands).await.map_err(Failure::into_why)?.pop();
        let slots = answer.and_then(|answer| read_slots(answer, server.address()));
        self.install(true, slots.ok_or_else(|| value::misshapen("CLUSTER SLOTS"))?);
        Ok(())
    }

    /// Takes a map over. Servers that are in it keep their connections.
    fn install(&self, is_cluster: bool, slots: Vec<Option<Address>>) {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let mut servers = BTreeMap::new();
        let mut server_at = |address: &Address| {
            let known = || map.servers.get(address).cloned();
            let server = || known().unwrap_or_else(|| Arc::new(Server::new(address.clone(), Arc::clone(&self.supplies))));
            Arc::clone(servers.entry(address.clone()).or_insert_with(server))
        };
        let slots = slots.iter().map(|address| address.as_ref().map(&mut server_at)).collect();
        *map = Map { is_cluster, servers, slots };
    }

    fn note_moved(&self, slot: usize, address: &Address) {
        let server = self.server_at(address);
        self.map.write().unwrap_or_else(PoisonError::into_inner).slots[slot] = Some(server);
    }

    fn server_at(&self, address: &Address) -> Arc<Server> {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let server = || Arc::new(Server::new(address.clone(), Arc::clone(&self.supplies)));
        Arc::clone(map.servers.entry(address.clone()).or_insert_with(server))
    }

    fn map(&self) -> std::sync::RwLockReadGuard<'_, Map> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `CLUSTER SLOTS`: first slot, last slot, master (host, port, ...), replicas.
fn read_slots(answer: Value, said_by: &Address) -> Option<Vec<Option<Address>>> {
    let mut slots = vec![None; SLOTS];
    for range in value::list(answer)? {
        let mut parts = value::list(range)?.into_iter();
        let first = usize::try_from(value::number(parts.next()?)?).ok()?;
        let last = usize::try_from(value::number(parts.next()?)?).ok()?;
        let mut master = value::list(parts.next()?)?.into_iter();
        let host = value::text(master.next()?).filter(|host| !host.is_empty() && host != "?");
        let host = host.unwrap_or_else(|| said_by.host.clone());
        let port = u16::try_from(value::number(master.next()?)?).ok()?;
        slots.get_mut(first..=last)?.fill(Some(Address { host, port }));
    }
    Some(slots)
}
