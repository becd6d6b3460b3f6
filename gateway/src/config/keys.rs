//! The table of everything that can be set.

use std::sync::LazyLock;

use jono_socket::SocketLimits;

use super::sources::Settings;
use crate::session::{Allowance, Rates, SessionLimits};

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text; empty is "not set".
    Text,
    /// One of these.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// A number in this range.
    Number(u64, u64),
    /// One or several `IP:PORT`.
    Addresses,
    /// Any number of `scheme://host[:port]`.
    Origins,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Switch(bool),
    Number(u64),
    List(Vec<String>),
}

/// One thing that can be set.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// `name`, or `section.name`.
    pub(super) path: &'static str,
    pub(super) kind: Kind,
    pub(super) default: Value,
    /// Of a number; empty for those that count.
    pub(super) unit: &'static str,
    /// What it does, in a sentence or two.
    pub(super) about: &'static str,
    /// Is masked wherever it would be shown.
    pub(super) secret: bool,
}

impl Key {
    pub(super) fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    pub(super) fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }

    /// The flag of `jono serve` that sets it.
    pub(super) fn flag(&self) -> Option<&'static str> {
        KEYS_WITH_FLAGS.iter().find(|(_, path)| *path == self.path).map(|(flag, _)| *flag)
    }

    /// The variable that sets it: after the flag where there is one, else after section and name.
    pub(super) fn variable(&self) -> String {
        let words = self.flag().map_or(self.path, |flag| flag.trim_start_matches('-'));
        format!("JONO_{}", words.replace(['.', '-'], "_").to_uppercase())
    }
}

/// Flags of `jono serve` and the keys they set.
pub(super) const KEYS_WITH_FLAGS: &[(&str, &str)] = &[
    ("--data", "data"),
    ("--listen", "listen"),
    ("--durability", "store.durability"),
    ("--redis", "redis.url"),
    ("--role", "role"),
    ("--demo", "demo"),
    ("--no-bots", "no_bots"),
];

/// Sections in the order in which they are shown; keys without one come first.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("", "The process"),
    ("store", "The store"),
    ("redis", "Redis, for more than one process"),
    ("engine", "The engine"),
    ("desk", "Agents in browsers"),
    ("log", "Logging"),
    ("sessions", "What signed-in sessions are granted"),
    ("sockets", "What sockets and connections are granted"),
];

/// The table.
pub(super) static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| [general(), session_keys(), socket_keys()].concat());

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const BYTES_MAX: u64 = 1 << 40;
const COUNT_MAX: u64 = u32::MAX as u64;

fn text(path: &'static str, default: &str, about: &'static str) -> Key {
    Key { path, kind: Kind::Text, default: Value::Text(default.into()), unit: "", about, secret: false }
}

fn choice(path: &'static str, of: &'static [&'static str], default: &str, about: &'static str) -> Key {
    Key { kind: Kind::Choice(of), ..text(path, default, about) }
}

fn number(path: &'static str, range: (u64, u64), default: u64, unit: &'static str, about: &'static str) -> Key {
    Key { path, kind: Kind::Number(range.0, range.1), default: Value::Number(default), unit, about, secret: false }
}

fn switch(path: &'static str, default: bool, about: &'static str) -> Key {
    Key { kind: Kind::Switch, default: Value::Switch(default), ..text(path, "", about) }
}

fn list(path: &'static str, kind: Kind, default: &[&str], about: &'static str) -> Key {
    let default = Value::List(default.iter().map(|text| (*text).to_owned()).collect());
    Key { kind, default, ..text(path, "", about) }
}

fn general() -> Vec<Key> {
    vec![
        text(
            "data",
            "",
            "Directory of the records and of `root.key`, made at the first start. Not set: `./jono-data`; with durability \
             `memory` none, and everything ends with the process. Not together with `redis.url`.",
        ),
        list(
            "listen",
            Kind::Addresses,
            &["127.0.0.1:8080"],
            "Addresses (`IP:PORT`) for WebSockets and HTTP; each gets workers of its own. A process of role `engine` listens nowhere \
             unless this is set, and then serves no WebSockets: health, readiness and metrics.",
        ),
        choice(
            "role",
            &["all", "gateway", "engine"],
            "all",
            "Which part of Jono this process runs. `gateway` takes connections, `engine` owns shards of the state, `all` does both. \
             `gateway` and `engine` need Redis.",
        ),
        switch(
            "demo",
            false,
            "Creates a demo organisation with public credentials; refused on any address that is not a loopback one.",
        ),
        switch(
            "no_bots",
            false,
            "Keeps the demo's scripted visitors and its scripted agent away. Without `demo` it changes nothing.",
        ),
        number("workers", (0, 1024), 0, "", "Threads per address that serve sockets and HTTP; 0 is one per core."),
        Key {
            secret: true,
            ..text(
                "root_key",
                "",
                "The key that may create organisations: at least 32 ASCII characters. Not set, and no `root_key_file`: it is made \
                 at the first start and kept in `root.key` of the data directory, readable by its owner only.",
            )
        },
        text("root_key_file", "", "A file whose first line is the root key."),
        number(
            "shutdown_grace_ms",
            (0, 10 * 60 * 1000),
            10_000,
            "ms",
            "At SIGTERM or SIGINT sockets are closed with 1012; those still open after this time are cut off.",
        ),
        choice(
            "store.durability",
            &["memory", "second", "disk", "replica"],
            "disk",
            "What an acknowledgement survives. `memory`: nothing but an orderly stop. `second`: the end of the process by any \
             means; a power cut but for the last second. `disk`: a power cut. `replica`, on Redis: the loss of one Redis server with \
             its disk. On Redis the server must be configured so that it gives the level; Jono refuses to start otherwise.",
        ),
        Key {
            secret: true,
            ..text(
                "redis.url",
                "",
                "Keeps all state in Redis instead of a data directory: `redis://[user:password@]host[:port][/db]`, one server \
                 or, separated by commas, some nodes of a Redis Cluster. Any number of processes may share it.",
            )
        },
        text("redis.prefix", "jono", "What all keys in Redis begin with: systems with different prefixes may share a server."),
        switch(
            "redis.trust_configuration",
            false,
            "Starts although Redis does not show its configuration (`CONFIG` is forbidden): you have made sure that it gives \
             the durability that is set.",
        ),
        number("engine.arbiters", (0, 256), 0, "", "Threads that run the engine's shards; 0 lets the engine choose."),
        list(
            "desk.origins",
            Kind::Origins,
            &[],
            "Origins, such as `https://desk.example`, from which agents may open sockets in a browser, besides the server's own; `*` is any.",
        ),
        choice("log.format", &["text", "json"], "text", "`json` writes one object per line."),
        text(
            "log.level",
            "info",
            "`error`, `warn`, `info`, `debug` or `trace`; also by part, such as `info,jono_engine=debug`. Lines go to the standard \
             error output.",
        ),
    ]
}

macro_rules! session_rates {
    ($($role:ident $rate:ident $per_minute:literal $burst:literal $about:literal;)*) => {
        fn session_rate_keys() -> Vec<Key> {
            let limits = SessionLimits::default();
            let range = (1, COUNT_MAX);
            vec![$(
                number($per_minute, range, limits.$role.$rate.per_minute.into(), "per min", concat!($about, " One over it is refused with `rate_limited`.")),
                number($burst, range, limits.$role.$rate.burst.into(), "", "How many of them may come at once."),
            )*]
        }

        fn set_session_rates(limits: &mut SessionLimits, settings: &Settings) {
            let allowance = |per_minute, burst| Allowance {
                per_minute: settings.number(per_minute) as u32,
                burst: settings.number(burst) as u32,
            };
            // Every rate is named, so that a new one is missed here.
            let Rates { start: _, write: _, read: _, signal: _ } = limits.customer;
            $(limits.$role.$rate = allowance($per_minute, $burst);)*
        }
    };
}

session_rates! {
    customer start "sessions.customer_starts_per_minute" "sessions.customer_starts_burst" "Conversations begun in one customer's session.";
    customer write "sessions.customer_writes_per_minute" "sessions.customer_writes_burst" "Requests of one customer's session that are stored.";
    customer read "sessions.customer_reads_per_minute" "sessions.customer_reads_burst" "Requests of one customer's session that read much.";
    customer signal "sessions.customer_signals_per_minute" "sessions.customer_signals_burst" "Typing and reading marks of one customer's session.";
    agent write "sessions.agent_writes_per_minute" "sessions.agent_writes_burst" "Requests of one agent's session that are stored.";
    agent read "sessions.agent_reads_per_minute" "sessions.agent_reads_burst" "Requests of one agent's session that read much.";
    agent signal "sessions.agent_signals_per_minute" "sessions.agent_signals_burst" "Typing and reading marks of one agent's session.";
}

fn session_keys() -> Vec<Key> {
    let limits = SessionLimits::default();
    let range = (1, 1_000_000);
    let mut keys = session_rate_keys();
    keys.extend([
        number(
            "sessions.starts_per_address_per_minute",
            (1, COUNT_MAX),
            limits.starts_per_address.per_minute.into(),
            "per min",
            "Conversations begun by customers of one address (IPv6: of one /64), in all their sessions together; one over it is \
             refused with `rate_limited`. A reverse proxy on another machine is one address for everybody. \
             `sockets.loopback_exempt` counts here, too.",
        ),
        number(
            "sessions.starts_per_address_burst",
            (1, COUNT_MAX),
            limits.starts_per_address.burst.into(),
            "",
            "How many of them may come at once.",
        ),
        number(
            "sessions.sessions_per_customer",
            range,
            limits.sessions_per_customer as u64,
            "",
            "Sessions of one customer; the oldest is closed with 4002 for one more.",
        ),
        number(
            "sessions.sessions_per_agent",
            range,
            limits.sessions_per_agent as u64,
            "",
            "Sessions of one agent; the oldest is closed with 4002 for one more.",
        ),
        number(
            "sessions.requests",
            range,
            limits.requests as u64,
            "",
            "Requests of one session that may wait for an answer; one more is `busy`.",
        ),
    ]);
    keys
}

/// The limits of sessions as they are set.
pub(super) fn session_limits(settings: &Settings) -> SessionLimits {
    let mut limits = SessionLimits {
        starts_per_address: Allowance {
            per_minute: settings.number("sessions.starts_per_address_per_minute") as u32,
            burst: settings.number("sessions.starts_per_address_burst") as u32,
        },
        loopback_exempt: settings.flag("sockets.loopback_exempt"),
        sessions_per_customer: settings.number("sessions.sessions_per_customer") as usize,
        sessions_per_agent: settings.number("sessions.sessions_per_agent") as usize,
        requests: settings.number("sessions.requests") as usize,
        frame_bytes: settings.number("sockets.message_bytes_max") as usize,
        ..SessionLimits::default()
    };
    set_session_rates(&mut limits, settings);
    limits
}

macro_rules! socket_keys {
    ($($name:ident: $type:ty, $min:expr, $max:expr, $unit:literal, $about:literal;)*) => {
        fn socket_keys() -> Vec<Key> {
            let limits = SocketLimits::default();
            vec![
                $(number(concat!("sockets.", stringify!($name)), ($min, $max), limits.$name as u64, $unit, $about),)*
                switch(
                    "sockets.loopback_exempt",
                    limits.loopback_exempt,
                    "Frees 127.0.0.0/8 and ::1 of the limits by address: a reverse proxy on this machine is one address for everybody.",
                ),
            ]
        }

        /// The limits as they are set.
        pub(super) fn socket_limits(settings: &Settings) -> SocketLimits {
            SocketLimits {
                $($name: settings.number(concat!("sockets.", stringify!($name))) as $type,)*
                loopback_exempt: settings.flag("sockets.loopback_exempt"),
            }
        }
    };
}

socket_keys! {
    sockets_max: usize, 1, 10_000_000, "", "Open sockets of the process; an upgrade over it is answered with 503.";
    sockets_per_address_max: usize, 1, 10_000_000, "", "Open sockets of one address (IPv6: of one /64); an upgrade over it is answered with 429.";
    connections_per_worker_max: usize, 1, 1_000_000, "", "Connections of one worker that are not sockets; it accepts no more until one ends.";
    connections_per_address_max: usize, 1, 1_000_000, "", "Connections of one address that are not sockets: handshakes and plain HTTP. One over it is closed unanswered.";
    connections_per_second_per_address: u32, 1, COUNT_MAX, "per s", "New connections of one address; one over it is closed unanswered.";
    connections_burst_per_address: u32, 1, COUNT_MAX, "", "New connections of one address that may come at once.";
    message_bytes_max: usize, 1024, 16 << 20, "bytes", "Largest message and frame accepted; a longer one is answered with close code 1009.";
    fragment_bytes: usize, 1, 16 << 20, "bytes", "Largest frame sent; longer texts go out in fragments.";
    read_buffer_bytes: usize, 128, 1 << 20, "bytes", "Read buffer of every socket: most of what an idle one costs.";
    write_buffer_bytes: usize, 0, 1 << 20, "bytes", "Bytes collected before writing. 0 costs most of the throughput.";
    outbox_bytes_max: usize, 64 * 1024, 1 << 30, "bytes", "What may wait for one peer to read; more closes its socket with 4003.";
    outbox_bytes_per_worker_max: usize, 1 << 20, BYTES_MAX, "bytes", "The same for all sockets of one worker together.";
    read_pause_bytes: usize, 1024, 1 << 30, "bytes", "A socket is not read while more than this waits to be sent to it.";
    told_waiting_max: usize, 1024, 1 << 30, "", "Messages that may wait for one worker; over it the sockets addressed are closed with 4003.";
    frames_per_second: u32, 1, COUNT_MAX, "per s", "Frames from one peer; more closes its socket with 4005.";
    frames_burst: u32, 1, COUNT_MAX, "", "Frames that may come at once.";
    bytes_per_second: u32, 1024, COUNT_MAX, "bytes/s", "Bytes from one peer; more closes its socket with 4005.";
    bytes_burst: u32, 2048, COUNT_MAX, "bytes", "Bytes that may come at once; at least two largest messages.";
    heartbeat_ms: u64, 100, DAY_MS, "ms", "A peer silent for so long has been sent a ping.";
    silent_ms: u64, 200, DAY_MS, "ms", "A peer silent for so long has been cut off; at least 64 ms over `heartbeat_ms`.";
    open_within_ms: u64, 100, DAY_MS, "ms", "Time for `session.open` to succeed; then 4000.";
    handshake_ms: u64, 100, DAY_MS, "ms", "Time for the head of a request to arrive, and then for its body.";
    closing_ms: u64, 0, DAY_MS, "ms", "Time from the decision to close until the connection is reset.";
    keep_alive_ms: u64, 0, DAY_MS, "ms", "Idle time of a plain HTTP connection between requests.";
    send_buffer_bytes: usize, 4096, 1 << 30, "bytes", "`SO_SNDBUF` of every connection; the kernel doubles it.";
    user_timeout_ms: u64, 0, COUNT_MAX, "ms", "`TCP_USER_TIMEOUT`: sent bytes not acknowledged for so long end the connection.";
}
