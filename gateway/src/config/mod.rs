//! Everything that can be set, from where, and what it means for a process that is to start.
//!
//! `keys` is the one table: what the file, the environment and the flags may say, what the documents
//! list, what an unknown key is compared with. `sources` reads and merges; `document` writes
//! `docs/configuration.md`; `logging` is what `[log]` leads to. Nothing here opens a socket or the store.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use jono_socket::SocketLimits;
use jono_store::{Durability, RedisOptions};

mod document;
mod keys;
mod logging;
mod sources;

#[cfg(test)]
pub(crate) use document::check_document;
pub use document::document;
pub use logging::start as start_logging;
pub(crate) use sources::is_origin;
pub use sources::{Flag, Problem, Problems};

use crate::session::SessionLimits;
use keys::{KEYS_WITH_FLAGS, session_limits, socket_limits};
use sources::Settings;

/// The data directory when none is named and the level is not `memory`.
const DATA_DEFAULT: &str = "./jono-data";

/// Shortest root key: 128 bits in hexadecimal.
const ROOT_KEY_CHARS_MIN: usize = 32;

/// A configuration that fits together.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the records are; `None` keeps everything in the memory of the process.
    pub data: Option<PathBuf>,
    /// What an acknowledgement survives.
    pub durability: Durability,
    /// Where Redis is, if the state is kept there; `data` is `None` then.
    pub redis: Option<RedisOptions>,
    /// Which part this process runs.
    pub role: Role,
    /// Addresses to listen on, each with its own workers; empty only for engines.
    pub listen: Vec<SocketAddr>,
    /// Creates the demo organisation; all addresses are loopback ones then.
    pub demo: bool,
    /// Lets nobody scripted come to the demo.
    pub no_bots: bool,
    /// Threads that serve sockets and HTTP, per address.
    pub workers: usize,
    /// Threads that run the engine's shards; 0 lets the engine choose.
    pub arbiters: usize,
    /// What sockets are granted.
    pub limits: SocketLimits,
    /// What sessions are granted.
    pub session_limits: SessionLimits,
    /// Origins from which agents may open sockets in a browser; empty is the server's own only.
    pub desk_origins: Vec<String>,
    /// Where the root key comes from.
    pub root_key: RootKey,
    /// Time for sockets to close at the end, milliseconds.
    pub shutdown_grace_ms: u64,
    /// Log lines as JSON objects.
    pub log_json: bool,
    /// What is logged.
    pub log_level: String,
    settings: Settings,
}

/// Which part of Jono a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    All,
    /// Takes connections, owns nothing.
    Gateway,
    /// Owns shards, takes no connections of clients.
    Engine,
}

/// Where the root key comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum RootKey {
    /// It is this one.
    Given(String),
    /// It is the first line of this file.
    File(PathBuf),
    /// It is `root.key` in the data directory, made at the first start; on Redis it follows from the secret that is kept there.
    Generated,
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => f.write_str("Given(..)"),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Generated => f.write_str("Generated"),
        }
    }
}

/// May this be a root key? Says why not.
///
/// # Errors
/// What is wrong with it, without repeating it.
pub fn check_root_key(key: &str) -> Result<(), String> {
    if key.len() < ROOT_KEY_CHARS_MIN {
        Err(format!("a root key has at least {ROOT_KEY_CHARS_MIN} characters"))
    } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err("a root key has no white space and only ASCII characters".into())
    } else {
        Ok(())
    }
}

impl Config {
    /// Reads the file, the environment and the flags, each over the one before, and judges the result.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first thing.
    pub fn load(
        file: Option<&std::path::Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[Flag],
    ) -> Result<Self, Problems> {
        let (settings, mut problems) = sources::read(file, environment, flags);
        let config = Self::judge(settings, &mut problems);
        if problems.is_empty() { Ok(config) } else { Err(Problems(problems)) }
    }

    /// What is set, as a file that sets the same, each line with where it came from, and where the records
    /// will be. Secrets are masked.
    #[must_use]
    pub fn effective(&self) -> String {
        let records = match &self.data {
            None if self.redis.is_some() => "in Redis".to_owned(),
            None => "in memory only; they end with the process".to_owned(),
            // Without a working directory nothing relative can be made absolute: then as it was given.
            Some(dir) => format!("in {}", std::path::absolute(dir).unwrap_or_else(|_| dir.clone()).display()),
        };
        format!("# `jono serve` keeps its records {records}\n{}", self.settings)
    }

    fn judge(settings: Settings, problems: &mut Vec<Problem>) -> Self {
        let durability = match settings.text("store.durability") {
            "memory" => Durability::Memory,
            "second" => Durability::Second,
            "replica" => Durability::Replica,
            _ => Durability::Disk,
        };
        let redis = (!settings.text("redis.url").is_empty()).then(|| RedisOptions {
            urls: settings.text("redis.url").split(',').map(|url| url.trim().to_owned()).collect(),
            prefix: settings.text("redis.prefix").to_owned(),
            durability,
            trust_configuration: settings.flag("redis.trust_configuration"),
        });
        let role = match settings.text("role") {
            "gateway" => Role::Gateway,
            "engine" => Role::Engine,
            _ => Role::All,
        };
        let data = match settings.text("data") {
            "" if durability == Durability::Memory || redis.is_some() => None,
            "" => Some(DATA_DEFAULT.into()),
            named => Some(named.into()),
        };
        let mut listen: Vec<SocketAddr> = settings.list("listen").iter().filter_map(|text| text.parse().ok()).collect();
        if role == Role::Engine && settings.is_default("listen") {
            listen.clear();
        }
        let mut wrong = |key: &'static str, what: String| problems.push(settings.problem(key, what));
        let demo = settings.flag("demo");
        if let Some(open) = listen.iter().find(|address| demo && !address.ip().is_loopback()) {
            wrong(
                "listen",
                format!("the demo is refused on {open}, because its credentials are public: listen on 127.0.0.1 or [::1]"),
            );
        }
        if redis.is_none() && role != Role::All {
            wrong("role", format!("`{}` needs Redis (`redis.url`): one process alone runs `all`", settings.text("role")));
        }
        if redis.is_none() && durability == Durability::Replica {
            wrong("store.durability", "`replica` needs Redis (`redis.url`): a data directory has no replica".into());
        }
        if redis.is_some() && data.is_some() {
            wrong("data", "the state is kept in Redis (`redis.url`): leave out one of them".into());
        }
        let root_key = match (settings.text("root_key"), settings.text("root_key_file")) {
            ("", "") => RootKey::Generated,
            ("", file) => RootKey::File(file.into()),
            (key, "") => {
                if let Err(why) = check_root_key(key) {
                    wrong("root_key", why);
                }
                RootKey::Given(key.to_owned())
            }
            _ => {
                wrong("root_key_file", "there is a `root_key` as well: give one of them".into());
                RootKey::Generated
            }
        };
        let log_level = settings.text("log.level").to_owned();
        if let Err(why) = logging::check(&log_level) {
            wrong("log.level", why);
        }
        let limits = socket_limits(&settings);
        if let Err(why) = check_limits(&limits) {
            wrong("sockets.silent_ms", why);
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = settings.number("workers") as usize;
        Self {
            data,
            durability,
            redis,
            role,
            listen,
            demo,
            no_bots: settings.flag("no_bots"),
            workers: if workers == 0 { cores } else { workers },
            arbiters: settings.number("engine.arbiters") as usize,
            limits,
            session_limits: session_limits(&settings),
            desk_origins: settings.list("desk.origins").to_vec(),
            root_key,
            shutdown_grace_ms: settings.number("shutdown_grace_ms"),
            log_json: settings.text("log.format") == "json",
            log_level,
            settings,
        }
    }
}

/// Limits that contradict each other. The socket layer refuses to start with them; said here, the
/// operator learns of it from `check-config`.
fn check_limits(limits: &SocketLimits) -> Result<(), String> {
    // Two visits of the heartbeat wheel fit between the ping and the end.
    const SILENT_OVER_HEARTBEAT_MS: u64 = 64;
    if limits.silent_ms < limits.heartbeat_ms + SILENT_OVER_HEARTBEAT_MS {
        Err(format!("`silent_ms` must be at least {SILENT_OVER_HEARTBEAT_MS} ms over `heartbeat_ms`"))
    } else if limits.heartbeat_ms <= (limits.silent_ms - limits.heartbeat_ms) / 2 {
        Err("`heartbeat_ms` must be over half its distance to `silent_ms`".into())
    } else if (limits.bytes_burst as usize) < 2 * limits.message_bytes_max {
        Err("`bytes_burst` must hold two messages of `message_bytes_max`".into())
    } else {
        Ok(())
    }
}

/// The flags of `jono serve` that set a key: (flag, key).
#[must_use]
pub fn flags() -> &'static [(&'static str, &'static str)] {
    KEYS_WITH_FLAGS
}

#[cfg(test)]
mod tests;
