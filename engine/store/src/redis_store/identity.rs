//! The identity of the records: whether something that was confirmed may have been lost.
//!
//! It is a random number, kept with the members. With it are noted the *runs* (`run_id`, new with every start of a process) of all masters
//! it is known to hold for. With its beats, at most once a second, and at once after a connection broke, every member asks all
//! masters. A run that is not noted is judged by how it came about, and by what can be checked; then it is noted, or the identity is
//! replaced (compare-and-set, so that all members agree on one).
//!
//! | what happened | how it is recognised | identity |
//! |---|---|---|
//! | nothing | all runs are noted | stays |
//! | Redis came back empty, or the members' master did | there is no identity | new |
//! | a master was started again | its name (node id; without a cluster there is one name) is noted, and it has no second replication id | at `Disk` stays; at `Replica` stays if it has `appendonly yes` and `appendfsync always`; else new |
//! | a replica was promoted | it has a second replication id: that of its former master | at `Replica` stays, else new |
//! | a new master got slots | its name is not noted, and it has no second replication id | stays: slots bring their keys along |
//! | any of these, and a shard is not as we left it | see below | new |
//!
//! A shard is not as we left it when its epoch is older than the one under which this process wrote it, or than the owner's that was
//! published; or when the last commit of this process that Redis confirmed is not there, nor a later one. Every member checks this by itself
//! for every run that is new to it, whoever noted it. So what an older data set lacks is noticed as long as one process lives that wrote
//! to it, or the owner of a shard has changed since.
//!
//! Not noticed by itself: `FLUSHALL` on a single master of a cluster, since it goes on running (commits to its shards are fenced then);
//! that all Redis servers *and* all processes stopped, and Redis was started with an older copy of all its files at level
//! `Disk`. Nor, at `Replica` with several replicas of one master, the promotion of another one than had confirmed (Redis prefers the
//! one that has most), unless the check of the shards shows it. A manual `CLUSTER FAILOVER` loses nothing, but cannot be told from
//! one that may, so at other levels than `Replica` it brings a new identity, too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use redis::Value;

use super::call::{Call, Kind};
use super::configuration::Facts;
use super::core::Core;
use super::exchange::{lot, read_owners};
use super::failure::Failure;
use super::keys::Keys;
use super::server::Server;
use super::{limits, script, sealed, value};
use crate::{Durability, Epoch, ShardId};

/// Bits of an identity: no more than a JSON number holds.
const IDENTITY_BITS: u32 = 53;

/// Looks after the identity.
#[derive(Default)]
pub(super) struct Watch(tokio::sync::Mutex<State>);

#[derive(Default)]
struct State {
    looked_at: Option<Instant>,
    /// How many connections had been lost by then.
    connections_lost: u64,
    /// Runs whose shards this process has found as it had left them.
    checked: BTreeSet<String>,
}

/// One master at the moment.
struct Master {
    run: String,
    name: String,
    facts: Facts,
    server: std::sync::Arc<Server>,
}

impl Watch {
    /// Lets the next look ask the masters, whenever the last one did.
    pub(super) async fn hurry(&self) {
        self.0.lock().await.looked_at = None;
    }

    /// Asks the masters, if it is time to. One that does not answer is judged when it does.
    pub(super) async fn look(&self, core: &Core) {
        let mut state = self.0.lock().await;
        let lost = core.stats().connections_lost;
        let is_recent = state.looked_at.is_some_and(|looked_at| looked_at.elapsed() < limits::WATCH_PAUSE);
        if is_recent && state.connections_lost == lost {
            return;
        }
        state.looked_at = Some(Instant::now());
        match look(core, &state.checked).await {
            Ok((checked, true)) => (state.checked, state.connections_lost) = (checked, lost),
            // Those that did not answer are asked again.
            Ok((checked, false)) => state.checked = checked,
            Err(why) => tracing::debug!(why, "the Redis servers cannot all be asked"),
        }
    }
}

/// Asks and judges; the runs that are in order, and whether they are all.
async fn look(core: &Core, checked: &BTreeSet<String>) -> Result<(BTreeSet<String>, bool), String> {
    let (masters, are_all) = masters(core).await;
    let (identity, noted) = noted(core).await?;
    let strangers: Vec<&Master> = masters.iter().filter(|master| !noted.contains_key(&master.run)).collect();
    let names: BTreeSet<&String> = noted.values().collect();
    let mut loss = identity.is_empty().then(|| "there is none".to_owned());
    for master in &strangers {
        if !identity.is_empty() && may_have_lost(core.durability(), &master.facts, names.contains(&master.name)) {
            loss = Some(format!("{} was started again or promoted", master.server.address()));
        }
    }
    for master in masters.iter().filter(|master| !checked.contains(&master.run)) {
        if let Some(shard) = shard_that_is_behind(core, &master.server).await? {
            loss = Some(format!("shard {} on {} is not as it was left", shard.0, master.server.address()));
        }
    }
    if loss.is_some() || !strangers.is_empty() {
        let new = match loss.is_some() {
            true => (lot(IDENTITY_BITS).map_err(|error| error.to_string())?.max(1)).to_string(),
            false => identity.clone(),
        };
        let agreed = note(core, &identity, &new, &masters, are_all).await?;
        if let Some(why) = loss
            && agreed == new
        {
            tracing::warn!(identity = agreed, why, "the records have a new identity");
        }
    }
    Ok((masters.into_iter().map(|master| master.run).collect(), are_all))
}

/// The masters that answer, each with what it says of itself; and whether these are all. On the way it is noted whether each may
/// still be written to.
async fn masters(core: &Core) -> (Vec<Master>, bool) {
    let asked = core.servers.masters().into_iter().map(|server| async move {
        let facts = server.facts().await;
        (server, facts)
    });
    let mut masters = Vec::new();
    let mut missing = 0;
    for (server, facts) in futures_util::future::join_all(asked).await {
        let Some(facts) = facts.ok().filter(Facts::is_master) else {
            core.servers.read_map_soon();
            missing += 1;
            continue;
        };
        let unfit = facts.check(server.address(), core.servers.supplies().demand).err();
        server.fitness().set(unfit.map(|error| error.to_string()));
        if facts.info("loading") == "1" {
            missing += 1;
            continue;
        }
        let name = facts.node_name.clone().unwrap_or_default();
        masters.push(Master { run: facts.info("run_id").to_owned(), name, facts, server });
    }
    (masters, missing == 0)
}

/// Whether records that were confirmed may be missing in a run that is not noted.
fn may_have_lost(durability: Durability, facts: &Facts, is_known_name: bool) -> bool {
    let was_promoted = facts.info("second_repl_offset") != "-1";
    match durability {
        _ if !was_promoted && !is_known_name => false,
        Durability::Memory | Durability::Second => true,
        Durability::Disk => was_promoted,
        Durability::Replica => {
            !was_promoted && (facts.setting("appendonly"), facts.setting("appendfsync")) != (Some("yes"), Some("always"))
        }
    }
}

/// The identity ('' for none), and the names of the runs it is known to hold for.
async fn noted(core: &Core) -> Result<(String, BTreeMap<String, String>), String> {
    let mut identity = redis::cmd("HGET");
    identity.arg(core.keys.common("state")).arg("identity");
    let mut servers = redis::cmd("HGETALL");
    servers.arg(core.keys.common("servers"));
    let call = |command| (Keys::common_slot(), Call { command, script: None, kind: Kind::Read });
    let answers = core.servers.read_all(vec![call(identity), call(servers)]).await.map_err(Failure::into_why)?;
    let [identity, servers] = <[Value; 2]>::try_from(answers).map_err(|_| value::misshapen("an identity"))?;
    let pairs = value::pairs(servers).unwrap_or_default().into_iter();
    let noted = pairs.filter_map(|(run, name)| Some((value::text(run)?, value::text(name)?))).collect();
    Ok((value::text(identity).unwrap_or_default(), noted))
}

/// Compares and sets; the identity that holds then.
async fn note(core: &Core, expected: &str, new: &str, masters: &[Master], are_all: bool) -> Result<String, String> {
    let mut command = script::IDENTITY.on(&[core.keys.common("state"), core.keys.common("servers")]);
    command.arg(expected).arg(new).arg(u8::from(are_all));
    for master in masters {
        command.arg(&master.run).arg(&master.name);
    }
    let mut call = Call::commit(&script::IDENTITY, command);
    let mut agreed = core.servers.call(Keys::common_slot(), 0, &call).await;
    if let Err(Failure::Refused(_)) = agreed {
        // An identity that does not last is replaced, which is no harm; to have none would be.
        call.kind = Kind::Write;
        agreed = core.servers.call(Keys::common_slot(), 0, &call).await;
    }
    let agreed = agreed.map_err(Failure::into_why)?;
    value::text(agreed).ok_or_else(|| value::misshapen("an identity"))
}

/// A shard on this server that lacks what was there before.
async fn shard_that_is_behind(core: &Core, server: &Server) -> Result<Option<ShardId>, String> {
    let mut expected: BTreeMap<ShardId, (Epoch, u64)> = BTreeMap::new();
    let mut command = redis::cmd("HGETALL");
    command.arg(core.keys.common("owners"));
    let call = Call { command, script: None, kind: Kind::Read };
    let owners = core.servers.call(Keys::common_slot(), 0, &call).await.map_err(Failure::into_why)?;
    for (shard, owner) in read_owners(owners).unwrap_or_default() {
        expected.insert(shard, (owner.epoch, 0));
    }
    for (shard, lane) in core.lanes() {
        let (epoch, number) = lane.confirmed();
        let known = expected.entry(shard).or_insert((Epoch(0), 0));
        if epoch >= known.0 {
            *known = (epoch, number);
        }
    }
    let is_here = |shard: &ShardId| {
        let here = core.servers.server_of(core.keys.shard(*shard).slot);
        here.is_some_and(|here| here.address() == server.address())
    };
    expected.retain(|shard, _| is_here(shard));
    let question = |shard: &ShardId| {
        let keys = core.keys.shard(*shard);
        let mut command = redis::cmd("HMGET");
        command.arg(keys.of_shard("own")).arg(&["epoch", "writer", "number"]);
        (keys.slot, Call { command, script: None, kind: Kind::Read })
    };
    let answers = core.servers.read_all(expected.keys().map(question).collect()).await.map_err(Failure::into_why)?;
    let is_behind = |(shard, wanted, answer): (ShardId, (Epoch, u64), Value)| {
        let is_there = is_there(shard, wanted, &core.writer, answer).unwrap_or(false);
        (!is_there).then_some(shard)
    };
    let all = expected.into_iter().zip(answers).map(|((shard, wanted), answer)| (shard, wanted, answer));
    Ok(all.into_iter().find_map(is_behind))
}

/// Whether a shard has at least this epoch, and under it at least the commit with this number, if the last one is ours.
fn is_there(shard: ShardId, (epoch, number): (Epoch, u64), us: &str, answer: Value) -> Option<bool> {
    let [stored, writer, last] = value::parts(answer)?;
    let stored = sealed::open_epoch(shard, &value::bytes(stored).unwrap_or_default()).ok()?;
    let is_ours = value::text(writer).is_some_and(|writer| writer == us);
    Some(stored > epoch || stored == epoch && (!is_ours || value::number(last)? >= number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_lost_depends_on_the_level() {
        let restarted = Facts::of(&[("second_repl_offset", "-1")], &[("appendonly", "yes"), ("appendfsync", "always")]);
        let promoted = Facts::of(&[("second_repl_offset", "1234")], &[]);
        let forgetful = Facts::of(&[("second_repl_offset", "-1")], &[("appendonly", "no")]);
        let judged = |facts: &Facts, is_known_name| {
            [Durability::Memory, Durability::Second, Durability::Disk, Durability::Replica]
                .map(|durability| may_have_lost(durability, facts, is_known_name))
        };
        assert_eq!(judged(&restarted, true), [true, true, false, false]);
        assert_eq!(judged(&promoted, true), [true, true, true, false]);
        assert_eq!(judged(&promoted, false), [true, true, true, false]);
        assert_eq!(judged(&forgetful, true), [true, true, false, true]);
        // A new master of the cluster.
        assert_eq!(judged(&forgetful, false), [false; 4]);
    }
}
