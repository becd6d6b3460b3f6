//! What a server says of itself, and whether that is enough for a level of durability.

use std::collections::BTreeMap;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Pipeline, Value};

use super::address::Address;
use super::options::ConnectError;
use super::value;
use crate::Durability;

/// The oldest version whose scripts are refused before they start, and not midway.
const VERSION_MIN: u32 = 7;

/// What is wanted of every server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    pub(super) durability: Durability,
    pub(super) trusts: bool,
}

/// What a server says of itself.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    info: BTreeMap<String, String>,
    /// The name of a node of a cluster, which it keeps for life.
    pub(super) node_name: Option<String>,
    /// The settings, or why they are not shown.
    pub(super) settings: Result<BTreeMap<String, String>, String>,
}

/// Asks a server.
pub(super) async fn ask(connection: &mut MultiplexedConnection) -> Result<Facts, String> {
    let mut questions = Pipeline::with_capacity(3);
    questions.cmd("INFO");
    questions.cmd("CONFIG").arg("GET").arg(SETTINGS);
    questions.cmd("CLUSTER").arg("MYID");
    let answers = connection.req_packed_commands(&questions, 0, 3).await.map_err(|error| error.to_string())?;
    let [info, settings, name] = <[Value; 3]>::try_from(answers).map_err(|_| value::misshapen("INFO"))?;
    // Without a cluster the last is an error.
    Ok(Facts { info: read_info(info)?, settings: read_settings(settings), node_name: value::text(name) })
}

/// The settings that matter.
const SETTINGS: &[&str] =
    &["appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory", "maxmemory-policy", "maxclients", "bind"];

fn read_info(info: Value) -> Result<BTreeMap<String, String>, String> {
    if let Value::ServerError(error) = info {
        return Err(error.to_string());
    }
    let text = value::text(info).ok_or_else(|| value::misshapen("INFO"))?;
    let lines = text.lines().filter_map(|line| line.trim().split_once(':'));
    Ok(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn read_settings(settings: Value) -> Result<BTreeMap<String, String>, String> {
    if let Value::ServerError(error) = settings {
        return Err(error.to_string());
    }
    let pairs = value::pairs(settings).ok_or_else(|| value::misshapen("CONFIG GET"))?;
    Ok(pairs.into_iter().filter_map(|(name, value)| Some((value::text(name)?, value::text(value)?))).collect())
}

impl Facts {
    /// A line of `INFO`; empty when there is none.
    pub(super) fn info(&self, name: &str) -> &str {
        self.info.get(name).map_or("", String::as_str)
    }

    /// A line of `INFO` that is a number; 0 when there is none.
    pub(super) fn count(&self, name: &str) -> u64 {
        self.info(name).parse().unwrap_or(0)
    }

    /// Lines of `INFO` whose names begin like this and go on with a number, such as `slave0`.
    pub(super) fn numbered<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let is_numbered = move |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.parse::<u32>().is_ok());
        self.info.iter().filter(move |(line, _)| is_numbered(line)).map(|(_, value)| value.as_str())
    }

    /// A setting, if settings are shown.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.as_ref().ok()?.get(name).map(String::as_str)
    }

    pub(super) fn is_master(&self) -> bool {
        self.info("role") == "master"
    }

    pub(super) fn is_in_cluster(&self) -> bool {
        self.info("cluster_enabled") == "1"
    }

    /// Whether this server's scripts, and its configuration, are good enough.
    pub(super) fn check(&self, address: &Address, demand: Demand) -> Result<(), ConnectError> {
        let version = self.info("redis_version");
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < VERSION_MIN) {
            return Err(ConnectError::TooOld { address: address.to_string(), version: version.to_owned() });
        }
        if demand.durability == Durability::Memory {
            return Ok(());
        }
        if let Err(why) = &self.settings {
            let (address, why) = (address.to_string(), why.clone());
            return match demand.trusts {
                true => Ok(()),
                false => Err(ConnectError::CannotCheck { address, why, durability: demand.durability }),
            };
        }
        for (setting, accepted) in needs(demand.durability) {
            let value = self.setting(setting).unwrap_or("not set");
            let evicts = *setting != "maxmemory-policy" || self.setting("maxmemory") != Some("0");
            if !accepted.contains(&value) && evicts {
                return Err(ConnectError::Setting {
                    address: address.to_string(),
                    setting,
                    value: value.to_owned(),
                    durability: demand.durability,
                    needed: accepted[0],
                });
            }
        }
        Ok(())
    }
}

/// Which settings a level needs, each with the values that will do, the least demanding first.
pub(super) fn needs(durability: Durability) -> &'static [(&'static str, &'static [&'static str])] {
    const KEPT: (&str, &[&str]) = ("maxmemory-policy", &["noeviction"]);
    const LOGGED: (&str, &[&str]) = ("appendonly", &["yes"]);
    // Otherwise nothing is synced while the file is rewritten, which may take minutes.
    const SYNCED_ALWAYS: (&str, &[&str]) = ("no-appendfsync-on-rewrite", &["no"]);
    match durability {
        Durability::Memory => &[],
        Durability::Second => &[LOGGED, ("appendfsync", &["everysec", "always"]), SYNCED_ALWAYS, KEPT],
        Durability::Disk => &[LOGGED, ("appendfsync", &["always"]), SYNCED_ALWAYS, KEPT],
        Durability::Replica => &[KEPT],
    }
}

#[cfg(test)]
impl Facts {
    /// What a server might say.
    pub(super) fn of(info: &[(&str, &str)], settings: &[(&str, &str)]) -> Self {
        let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self { info: owned(info), node_name: None, settings: Ok(owned(settings)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(settings: &[(&str, &str)]) -> Facts {
        let good = [("appendonly", "yes"), ("appendfsync", "always"), ("no-appendfsync-on-rewrite", "no")];
        let memory = [("maxmemory", "0"), ("maxmemory-policy", "noeviction")];
        let all = good.iter().chain(&memory).chain(settings);
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Facts { settings: Ok(all.map(text).collect()), ..Facts::of(&[("redis_version", "7.0.15")], &[]) }
    }

    fn check(facts: &Facts, durability: Durability, trusts: bool) -> Result<(), String> {
        let address = Address { host: "127.0.0.1".into(), port: 7001 };
        facts.check(&address, Demand { durability, trusts }).map_err(|error| error.to_string())
    }

    #[test]
    fn a_level_needs_its_settings() {
        for durability in [Durability::Memory, Durability::Second, Durability::Disk, Durability::Replica] {
            assert_eq!(check(&facts(&[]), durability, false), Ok(()));
        }
        let everysec = facts(&[("appendfsync", "everysec")]);
        assert_eq!(check(&everysec, Durability::Second, false), Ok(()));
        let refusal = check(&everysec, Durability::Disk, false).unwrap_err();
        assert_eq!(
            refusal,
            "appendfsync is \"everysec\" on 127.0.0.1:7001, and durability disk needs \"always\": CONFIG SET appendfsync always, \
             and set it in redis.conf"
        );
        let off = facts(&[("appendonly", "no")]);
        assert_eq!(check(&off, Durability::Memory, false), Ok(()));
        assert!(check(&off, Durability::Second, true).unwrap_err().contains("appendonly is \"no\""));
        let unsynced = facts(&[("no-appendfsync-on-rewrite", "yes")]);
        assert!(check(&unsynced, Durability::Disk, false).is_err());
    }

    #[test]
    fn nothing_may_be_evicted() {
        let evicting = facts(&[("maxmemory", "100000000"), ("maxmemory-policy", "allkeys-lru")]);
        assert_eq!(check(&evicting, Durability::Memory, false), Ok(()));
        for durability in [Durability::Second, Durability::Disk, Durability::Replica] {
            assert!(check(&evicting, durability, false).unwrap_err().contains("maxmemory-policy"));
        }
        let without_limit = facts(&[("maxmemory-policy", "allkeys-lru")]);
        assert_eq!(check(&without_limit, Durability::Disk, false), Ok(()));
    }

    #[test]
    fn what_is_not_shown_must_be_trusted() {
        let hidden = Facts { settings: Err("NOPERM".into()), ..facts(&[]) };
        assert_eq!(check(&hidden, Durability::Memory, false), Ok(()));
        assert!(check(&hidden, Durability::Disk, false).unwrap_err().contains("trust_configuration"));
        assert_eq!(check(&hidden, Durability::Disk, true), Ok(()));
    }

    #[test]
    fn old_servers_are_refused() {
        let mut old = facts(&[]);
        old.info.insert("redis_version".into(), "6.2.14".into());
        assert_eq!(
            check(&old, Durability::Memory, true),
            Err("Redis at 127.0.0.1:7001 is 6.2.14, and 7.0 or later is needed".into())
        );
    }
}
