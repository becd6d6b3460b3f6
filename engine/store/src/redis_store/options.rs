//! Where Redis is, what is wanted of it, and why that cannot be had.

use std::fmt;

use crate::Durability;

/// Characters of a prefix.
const PREFIX_CHARS_MAX: usize = 32;

/// Where the records are, and what an acknowledgement shall mean.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://[user:password@]host[:port][/db]`, one or several. Whether they belong to a Redis Cluster is found out; of a
    /// cluster any node will do, and more than one lets a process start while a node is down. Of servers without a
    /// cluster, the one that is a master counts.
    pub urls: Vec<String>,
    /// What all keys begin with: systems with different prefixes may share a server. Letters, digits, `-`, `_` and `.`.
    pub prefix: String,
    /// What an acknowledged commit must survive. Redis must be configured so that it does.
    pub durability: Durability,
    /// Goes on when Redis does not show its configuration (`CONFIG` forbidden, as many hosted ones do), because somebody
    /// has made sure that it is what [`durability`](Self::durability) needs.
    pub trust_configuration: bool,
}

impl RedisOptions {
    /// One server or one node of a cluster, with prefix `jono` and [`Durability::Disk`].
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { urls: vec![url.into()], prefix: "jono".into(), durability: Durability::Disk, trust_configuration: false }
    }

    /// The same at another level.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    pub(super) fn check_prefix(&self) -> Result<(), ConnectError> {
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
        let is_good = (1..=PREFIX_CHARS_MAX).contains(&self.prefix.len()) && self.prefix.chars().all(is_plain);
        if is_good { Ok(()) } else { Err(ConnectError::Prefix(self.prefix.clone())) }
    }
}

impl fmt::Debug for RedisOptions {
    /// Without the urls: they may have a password in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { urls, prefix, durability, trust_configuration } = self;
        f.debug_struct("RedisOptions")
            .field("urls", &urls.len())
            .field("prefix", prefix)
            .field("durability", durability)
            .field("trust_configuration", trust_configuration)
            .finish()
    }
}

/// Why records cannot be kept in this Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// No url was given, or this one (by its place, from 1) is none of a Redis server. It is not shown, since it may have
    /// a password in it.
    Url(usize),
    /// The prefix is empty, too long, or has other characters than letters, digits, `-`, `_` and `.`.
    Prefix(String),
    /// A server does not answer, or not as a Redis server that takes our commands.
    Unreachable {
        /// `host:port`.
        address: String,
        /// What it said, or did not.
        why: String,
    },
    /// None of the servers is a master.
    NoMaster,
    /// The cluster does not serve all slots.
    SlotsMissing {
        /// How many of the 16384.
        missing: usize,
    },
    /// A server is older than 7.0, whose scripts can still fail midway.
    TooOld {
        /// `host:port`.
        address: String,
        /// What it says it is.
        version: String,
    },
    /// A server is not configured to give what is wanted.
    Setting {
        /// `host:port`.
        address: String,
        /// The name of the setting.
        setting: &'static str,
        /// What it is.
        value: String,
        /// The level that was asked for.
        durability: Durability,
        /// What it must be.
        needed: &'static str,
    },
    /// A server has no replica, and [`Durability::Replica`] was asked for.
    NoReplica {
        /// `host:port`.
        address: String,
    },
    /// A server does not show its configuration, so nobody knows what its acknowledgements are worth.
    CannotCheck {
        /// `host:port`.
        address: String,
        /// What it said.
        why: String,
        /// The level that was asked for.
        durability: Durability,
    },
}

/// The name of a level, as it is written in configurations.
pub(super) fn level(durability: Durability) -> &'static str {
    match durability {
        Durability::Memory => "memory",
        Durability::Second => "second",
        Durability::Disk => "disk",
        Durability::Replica => "replica",
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(0) => write!(f, "no Redis url was given"),
            Self::Url(place) => write!(f, "Redis url {place} is not of the form redis://[user:password@]host[:port][/db]"),
            Self::Prefix(prefix) => {
                write!(f, "the prefix {prefix:?} is not 1 to {PREFIX_CHARS_MAX} letters, digits, '-', '_' or '.'")
            }
            Self::Unreachable { address, why } => write!(f, "Redis at {address} cannot be used: {why}"),
            Self::NoMaster => write!(f, "none of the Redis servers is a master"),
            Self::SlotsMissing { missing } => write!(f, "the Redis Cluster does not serve {missing} of its 16384 slots"),
            Self::TooOld { address, version } => write!(f, "Redis at {address} is {version}, and 7.0 or later is needed"),
            Self::Setting { address, setting, value, durability, needed } => {
                let level = level(*durability);
                write!(f, "{setting} is \"{value}\" on {address}, and durability {level} needs \"{needed}\": ")?;
                write!(f, "CONFIG SET {setting} {needed}, and set it in redis.conf")
            }
            Self::NoReplica { address } => {
                write!(f, "{address} has no connected replica, and durability replica needs one for each master")
            }
            Self::CannotCheck { address, why, durability } => {
                let level = level(*durability);
                write!(
                    f,
                    "{address} does not show its configuration ({why}), so it cannot be checked that it gives durability "
                )?;
                write!(f, "{level}: make sure of it, and set trust_configuration")
            }
        }
    }
}

impl std::error::Error for ConnectError {}
