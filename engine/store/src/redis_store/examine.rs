//! What an operator wants to know of Redis before trusting it with records, and afterwards. Facts and verdicts; showing them is
//! others' work.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Pipeline, Value};

use super::address::{Access, Address, SLOTS, slot};
use super::configuration::{Demand, Facts, needs};
use super::keys::Keys;
use super::link::{self, Supplies};
use super::options::{ConnectError, RedisOptions, level};
use super::servers::Servers;
use super::stats::Counters;
use super::{limits, script, value};
use crate::{Durability, ShardId};

/// How many times a server is pinged, and written to.
const SAMPLES: usize = 100;

/// Clocks that are further apart let boxes and beats live in different times.
const CLOCK_DIFFERENCE_MAX_MS: u64 = 1000;

/// Slower answers are felt by everybody who waits for an acknowledgement.
const LATENCY_GOOD: Duration = Duration::from_millis(5);
const LATENCY_BAD: Duration = Duration::from_millis(100);

/// A replica that is further behind will not confirm in time.
const LAG_MAX_S: u64 = 2;

/// One fact of one server and what to think of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `host:port`, or `cluster`.
    pub server: String,
    /// What it is about, in a word or two.
    pub subject: &'static str,
    /// What was found.
    pub value: String,
    /// What to think of it.
    pub verdict: Verdict,
    /// What to do about it; empty when it is as it should be.
    pub fix: String,
}

/// What to think of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but not as well as it might, or not for ever.
    Warn,
    /// The promises cannot be kept like this.
    Bad,
}

/// Collects the findings of one server.
struct Report {
    server: String,
    findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, subject: &'static str, value: impl ToString, verdict: Verdict, fix: &str) {
        let fix = if verdict == Verdict::Ok { String::new() } else { fix.to_owned() };
        self.findings.push(Finding { server: self.server.clone(), subject, value: value.to_string(), verdict, fix });
    }
}

/// Looks at every master. Writes one small key per master a hundred times, and removes it. Runs on the caller's runtime (tokio's,
/// with network and time).
///
/// # Errors
/// When the options are no good, or no server answers. Everything else is a finding.
pub async fn examine(options: &RedisOptions) -> Result<Vec<Finding>, ConnectError> {
    options.check_prefix()?;
    let (access, seeds) = Access::parse(&options.urls)?;
    // Nothing is demanded, so that also what is not good enough can be looked at.
    let demand = Demand { durability: Durability::Memory, trusts: true };
    let supplies = Arc::new(Supplies { access, demand, counters: Counters::default() });
    let servers = Servers::new(Arc::clone(&supplies), seeds);
    servers.read_map().await?;
    let mut findings = Vec::new();
    if servers.is_cluster() {
        findings.push(slots(servers.slots_missing()));
    }
    for server in servers.masters() {
        let address = server.address();
        let mut report = Report { server: address.to_string(), findings: Vec::new() };
        match look_at(&servers, address, &supplies, options, &mut report).await {
            Ok(()) => {}
            Err(why) => report.add("reachable", why, Verdict::Bad, "start it, or let this machine reach it"),
        }
        findings.append(&mut report.findings);
    }
    Ok(findings)
}

fn slots(missing: usize) -> Finding {
    let (verdict, fix) = match missing {
        0 => (Verdict::Ok, String::new()),
        _ => (Verdict::Bad, "give every slot a master: redis-cli --cluster fix".to_owned()),
    };
    let value = format!("{} of {SLOTS}", SLOTS - missing);
    Finding { server: "cluster".into(), subject: "slots covered", value, verdict, fix }
}

async fn look_at(
    servers: &Servers,
    address: &Address,
    supplies: &Supplies,
    options: &RedisOptions,
    report: &mut Report,
) -> Result<(), String> {
    let config = link::settings(Some(limits::RESPONSE_TIMEOUT));
    let mut connection = link::open(address, supplies, &config).await.map_err(|error| error.to_string())?;
    let facts = super::configuration::ask(&mut connection).await?;
    look_at_kind(&facts, address, report);
    look_at_settings(&facts, options, report);
    look_at_replicas(&facts, options.durability, report);
    look_at_room(&facts, report);
    look_at_clock(&mut connection, report).await?;
    let mut ping = Pipeline::new();
    ping.cmd("PING");
    latency("round trip", &mut connection, &ping, report).await?;
    if let Some(key) = key_on(servers, &options.prefix, address) {
        let mut load = Pipeline::new();
        load.add_command(script::SETTLE.load());
        ask(&mut connection, &load).await?;
        let mut write = Pipeline::new();
        let mut command = script::SETTLE.on(std::slice::from_ref(&key));
        // A new number each time would not be needed: another writer's is replaced, and ours is not there afterwards.
        command.arg("examination").arg(1);
        let mut remove = redis::cmd("DEL");
        remove.arg(&key);
        write.add_command(command).add_command(remove);
        // Without a replica each would take its whole second, for nothing.
        if options.durability == Durability::Replica && facts.count("connected_slaves") > 0 {
            write.cmd("WAIT").arg(1).arg(limits::REPLICA_TIMEOUT.as_millis() as u64);
        }
        latency("commit", &mut connection, &write, report).await?;
    }
    Ok(())
}

fn look_at_kind(facts: &Facts, address: &Address, report: &mut Report) {
    let demand = Demand { durability: Durability::Memory, trusts: true };
    let is_new_enough = if facts.check(address, demand).is_ok() { Verdict::Ok } else { Verdict::Bad };
    report.add("version", facts.info("redis_version"), is_new_enough, "install Redis 7.0 or later");
    report.add("mode", facts.info("redis_mode"), Verdict::Ok, "");
    let role = if facts.is_master() { Verdict::Ok } else { Verdict::Bad };
    report.add("role", facts.info("role"), role, "name the master");
    let state = if facts.info("loading") == "1" { ("loading", Verdict::Bad) } else { ("ready", Verdict::Ok) };
    report.add("state", state.0, state.1, "wait until it has read its files");
}

fn look_at_settings(facts: &Facts, options: &RedisOptions, report: &mut Report) {
    let durability = options.durability;
    if let Err(why) = &facts.settings {
        let verdict = if options.trust_configuration { Verdict::Warn } else { Verdict::Bad };
        report.add("settings", why, verdict, "allow CONFIG GET, or make sure of them and set trust_configuration");
        return;
    }
    for setting in ["appendonly", "appendfsync", "no-appendfsync-on-rewrite"] {
        let value = facts.setting(setting).unwrap_or("not set");
        let accepted = needs(durability).iter().find(|(needed, _)| *needed == setting).map(|(_, accepted)| *accepted);
        match accepted {
            Some(accepted) if !accepted.contains(&value) => {
                let fix = format!("durability {} needs \"{}\"", level(durability), accepted[0]);
                report.add(setting, value, Verdict::Bad, &fix);
            }
            // Replicas copy a master that was started again without its data.
            None if durability == Durability::Replica && setting == "appendonly" && value != "yes" => {
                report.add(setting, value, Verdict::Warn, "set it to yes: a master that restarts empty empties its replicas");
            }
            Some(_) | None => report.add(setting, value, Verdict::Ok, ""),
        }
    }
    let (limit, policy) = (facts.setting("maxmemory").unwrap_or("0"), facts.setting("maxmemory-policy").unwrap_or("not set"));
    match (limit, policy) {
        ("0", _) => report.add("maxmemory", "no limit", Verdict::Warn, "set a limit below the machine's memory, with noeviction"),
        (_, "noeviction") => report.add("maxmemory", format!("{limit} noeviction"), Verdict::Ok, ""),
        _ => report.add("maxmemory", format!("{limit} {policy}"), Verdict::Bad, "CONFIG SET maxmemory-policy noeviction"),
    }
}

fn look_at_replicas(facts: &Facts, durability: Durability, report: &mut Report) {
    let count = facts.count("connected_slaves");
    let verdict = match durability {
        Durability::Replica if count == 0 => Verdict::Bad,
        Durability::Memory | Durability::Second | Durability::Disk if count == 0 && facts.is_in_cluster() => Verdict::Warn,
        _ => Verdict::Ok,
    };
    report.add("replicas", count, verdict, "add a replica on another machine");
    for replica in facts.numbered("slave") {
        let field = |name: &str| replica.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        let lag = field("lag").and_then(|lag| lag.parse::<u64>().ok());
        let is_good = field("state") == Some("online") && lag.is_some_and(|lag| lag <= LAG_MAX_S);
        let verdict = if is_good { Verdict::Ok } else { Verdict::Warn };
        report.add("replica", replica, verdict, "look why it does not keep up");
    }
}

fn look_at_room(facts: &Facts, report: &mut Report) {
    let (used, limit) = (facts.count("used_memory"), facts.count("maxmemory"));
    let verdict = match limit {
        0 => Verdict::Ok,
        limit if used > limit / 10 * 9 => Verdict::Bad,
        limit if used > limit / 4 * 3 => Verdict::Warn,
        _ => Verdict::Ok,
    };
    report.add("memory used", format!("{} MiB", used >> 20), verdict, "raise maxmemory, or add masters and move slots to them");
    let (clients, clients_max) = (facts.count("connected_clients"), facts.count("maxclients"));
    let verdict = if clients_max > 0 && clients > clients_max / 4 * 3 { Verdict::Warn } else { Verdict::Ok };
    report.add("clients", format!("{clients} of {clients_max}"), verdict, "raise maxclients");
    let is_written = matches!(facts.info("aof_last_write_status"), "" | "ok");
    let verdict = if is_written { Verdict::Ok } else { Verdict::Bad };
    report.add("last write of the log", facts.info("aof_last_write_status"), verdict, "look at Redis's disk and its log");
}

async fn look_at_clock(connection: &mut MultiplexedConnection, report: &mut Report) -> Result<(), String> {
    let mut time = Pipeline::new();
    time.cmd("TIME");
    let before = now_ms();
    let answer = ask(connection, &time).await?.pop();
    let after = now_ms();
    let shape = || value::misshapen("TIME");
    let [seconds, micros] = value::parts(answer.ok_or_else(shape)?).ok_or_else(shape)?;
    let theirs = value::number(seconds).ok_or_else(shape)? * 1000 + value::number(micros).ok_or_else(shape)? / 1000;
    let difference = theirs.abs_diff(before + (after - before) / 2);
    let verdict = if difference <= CLOCK_DIFFERENCE_MAX_MS { Verdict::Ok } else { Verdict::Warn };
    report.add("clock", format!("{difference} ms from ours"), verdict, "let all machines follow one time (NTP)");
    Ok(())
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

async fn latency(
    subject: &'static str,
    connection: &mut MultiplexedConnection,
    commands: &Pipeline,
    report: &mut Report,
) -> Result<(), String> {
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let start = Instant::now();
        for answer in ask(connection, commands).await? {
            if let Value::ServerError(error) = answer {
                report.add(subject, error, Verdict::Bad, "look at Redis's log");
                return Ok(());
            }
        }
        samples.push(start.elapsed());
    }
    samples.sort_unstable();
    let [half, most, all] = [SAMPLES / 2, SAMPLES * 99 / 100, SAMPLES - 1].map(|place| samples[place]);
    let verdict = match most {
        most if most > LATENCY_BAD => Verdict::Bad,
        most if most > LATENCY_GOOD => Verdict::Warn,
        _ => Verdict::Ok,
    };
    let value = format!("p50 {} us, p99 {} us, max {} us", half.as_micros(), most.as_micros(), all.as_micros());
    report.add(subject, value, verdict, "bring Redis nearer, give it a core of its own and a faster disk");
    Ok(())
}

async fn ask(connection: &mut MultiplexedConnection, commands: &Pipeline) -> Result<Vec<Value>, String> {
    let count = commands.cmd_iter().count();
    connection.req_packed_commands(commands, 0, count).await.map_err(|error| error.to_string())
}

/// A key of ours that belongs to this server and holds nothing.
fn key_on(servers: &Servers, prefix: &str, address: &Address) -> Option<Vec<u8>> {
    let keys = Keys::new(prefix.to_owned());
    let is_here = |shard: &u16| servers.server_of(slot(&format!("s{shard}"))).is_some_and(|here| here.address() == address);
    (0..u16::MAX).find(is_here).map(|shard| keys.shard(ShardId(shard)).of_shard("examination"))
}
