//! Every key of a scenario, with what it accepts and what it means: the reader checks by this table, and the reference in the
//! documentation is made of it.

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number within these bounds.
    Count(u64, u64),
    /// A number within these bounds.
    Real(f64, f64),
    /// Any text.
    Text,
    /// One of these.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// A list of texts.
    Texts,
    /// A table of texts with free keys.
    Free,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name within its section.
    pub name: &'static str,
    /// What it accepts.
    pub kind: Kind,
    /// As it would be written in a scenario; empty where there is none.
    pub default: &'static str,
    /// What it means.
    pub about: &'static str,
}

/// A table of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Its name; empty for the keys above all tables.
    pub name: &'static str,
    /// It may stand several times, as `[[name]]`.
    pub many: bool,
    /// What it is about.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// Longest phase: a week.
const SECONDS_MAX: f64 = 604_800.0;
/// More than any machine does.
const RATE_MAX: f64 = 10_000_000.0;
/// Conversations and customers are numbered with 20 bits a process.
pub(crate) const PER_WORKER_MAX: u64 = 1 << 20;

const fn key(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Key {
    Key { name, kind, default, about }
}

/// Kinds of phases.
pub const PHASE_KINDS: &[&str] = &["connect", "warm_up", "ramp", "steady", "spike", "soak", "reconnect_storm"];

/// What an `[[slo]]` can be about: first times, then numbers.
pub const TIMES: &[&str] =
    &["acknowledged", "acknowledged_service", "delivered", "delivered_service", "wait", "claim", "connect", "resume", "send_lag"];
/// See [`TIMES`].
pub const NUMBERS: &[&str] = &[
    "throughput_percent",
    "messages_per_second",
    "refused_percent",
    "messages_per_cpu_second",
    "server_rss_mib",
    "server_cpu_percent",
    "bytes_per_visitor",
    "disconnects",
];

/// All of them, in the order of the reference.
pub const SECTIONS: &[Section] = &[
    Section {
        name: "",
        many: false,
        about: "Above all tables.",
        keys: &[
            key("name", Kind::Text, "", "Names the result files: letters, digits, `-`, `_`. Default: the name of the file."),
            key("question", Kind::Text, "\"\"", "What the scenario answers, for the report."),
            key("seed", Kind::Count(0, u64::MAX), "1", "The same seed makes the same choices and the same arrivals."),
            key(
                "patience_s",
                Kind::Real(0.1, 3_600.0),
                "30",
                "How long after the last phase a message may be under way before it is lost.",
            ),
        ],
    },
    Section {
        name: "target",
        many: false,
        about: "What is loaded. Flags of the command line stand over it.",
        keys: &[
            key("name", Kind::Choice(TARGETS), "\"jono\"", "The protocol (`--target`)."),
            key(
                "url",
                Kind::Text,
                "\"ws://127.0.0.1:8080/v1/ws\"",
                "Where to connect (`--url`); other targets have other paths.",
            ),
            key("server", Kind::Text, "\"\"", "A command that starts the server first and is ended afterwards (`--server`)."),
            key(
                "operator",
                Kind::Text,
                "\"jat_demo-olivia\"",
                "Jono: token of an operator (`--operator`). A queue, a site and agents are made for the run in its organisation, and removed.",
            ),
            key(
                "site",
                Kind::Text,
                "\"\"",
                "Jono: with `queue` and `tokens`, use what exists instead of making it: the public key of a site,",
            ),
            key("queue", Kind::Text, "\"\"", "the id of a queue in which nobody else is,"),
            key("tokens", Kind::Texts, "", "and a token for each agent, at least as many as agents."),
            key(
                "durability",
                Kind::Text,
                "\"\"",
                "What an acknowledgement means there, for the report; found out from Jono by itself when it is started here.",
            ),
            key("redis", Kind::Text, "\"\"", "`HOST:PORT` of the server's Redis, to count its commands and CPU (`--redis`)."),
            key("options", Kind::Free, "", "What only this target knows; see its adapter."),
        ],
    },
    Section {
        name: "population",
        many: false,
        about: "Who is there from the beginning; all workers together.",
        keys: &[
            key("idle", Kind::Count(0, PER_WORKER_MAX * 8), "0", "Visitors that are connected and do nothing."),
            key(
                "conversations",
                Kind::Count(0, PER_WORKER_MAX * 8),
                "0",
                "Visitors in a conversation with an agent that lasts for the whole run.",
            ),
            key(
                "agents",
                Kind::Count(0, 10_000),
                "0",
                "Agents; 0 is as many as `conversations` need, at least one where agents are needed.",
            ),
            key(
                "slow_readers",
                Kind::Count(0, PER_WORKER_MAX),
                "0",
                "So many of the visitors in `conversations` read slowly; their times are not counted, their messages are.",
            ),
            key("slow_bytes_per_second", Kind::Count(16, 1_000_000), "256", "What a slow reader reads."),
            key(
                "source_addresses",
                Kind::Count(0, 200),
                "0",
                "Connect from so many addresses 127.0.0.x in turn; 0 lets the system choose, which suffices for 28 000 connections.",
            ),
            key(
                "connections_per_second",
                Kind::Real(1.0, 100_000.0),
                "2000",
                "How fast the population connects, if no phase of the kind `connect` says otherwise.",
            ),
        ],
    },
    Section {
        name: "messages",
        many: false,
        about: "Messages in the conversations of the population: they arrive openly, whatever the server does.",
        keys: &[
            key(
                "arrivals",
                Kind::Choice(&["poisson", "fixed"]),
                "\"poisson\"",
                "How messages and visitors arrive: at random, or evenly.",
            ),
            key("agent_percent", Kind::Real(0.0, 100.0), "25", "The share that agents write."),
            key("hot_percent", Kind::Real(0.0, 100.0), "0", "The share that goes to one and the same conversation."),
            key(
                "note_percent",
                Kind::Real(0.0, 100.0),
                "0",
                "Besides, so many notes for every hundred messages, which no customer may see.",
            ),
        ],
    },
    Section {
        name: "visits",
        many: false,
        about: "Visitors that come (`visitors_per_second`), wait in the queue, talk and go.",
        keys: &[
            key("turns", Kind::Count(1, 10_000), "6", "Messages of a conversation, in turns; the customer begins."),
            key("think_ms", Kind::Real(0.0, 600_000.0), "1000", "Mean time before an answer, exponentially distributed."),
            key("pick_ms", Kind::Real(0.0, 600_000.0), "0", "How long an agent takes to see that somebody waits."),
            key(
                "capacity",
                Kind::Count(1, 200),
                "5",
                "Conversations that an agent has at a time, besides those of the population.",
            ),
            key("typing", Kind::Switch, "true", "Say that one types before writing."),
            key("hand_over_percent", Kind::Real(0.0, 100.0), "0", "Conversations that are given to another agent on the way."),
            key("closed_by", Kind::Choice(&["agent", "customer"]), "\"agent\"", "Who ends the conversation."),
        ],
    },
    Section {
        name: "texts",
        many: false,
        about: "What is said.",
        keys: &[
            key(
                "bytes",
                Kind::Count(40, 16_000),
                "120",
                "Length of made-up texts; the mark that tells messages apart and holds their sum is 40 of them.",
            ),
            key(
                "corpus",
                Kind::Text,
                "\"\"",
                "A file of real conversations (as for `replay`): its texts are used, behind the mark.",
            ),
            key(
                "timing",
                Kind::Choice(&["think", "corpus"]),
                "\"think\"",
                "`corpus`: visits follow the recorded times and turns instead of `turns` and `think_ms`.",
            ),
            key("speed", Kind::Real(0.01, 100_000.0), "1", "Recorded seconds a second."),
        ],
    },
    Section {
        name: "honesty",
        many: false,
        about: "When the generator itself was too slow for its figures to count: the run is invalid (exit code 3).",
        keys: &[
            key(
                "send_lag_p99_ms",
                Kind::Real(0.0, 60_000.0),
                "10",
                "A message left later than intended, though its connection was free.",
            ),
            key("cpu_percent", Kind::Real(1.0, 100.0), "90", "Of one core, for each worker, in any measured phase."),
            key("clock_ms", Kind::Real(0.1, 60_000.0), "100", "How far the wall clock may move against the steady one."),
        ],
    },
    Section {
        name: "phase",
        many: true,
        about: "What happens, one after the other. Everything but `connect` and `warm_up` is measured.",
        keys: &[
            key(
                "kind",
                Kind::Choice(PHASE_KINDS),
                "",
                "`connect`: the population arrives (always happens, also if it is not listed). `warm_up`, `ramp`, `steady`, `spike`, `soak`: load of some rate. `reconnect_storm`: load, while connections are cut and come back.",
            ),
            key("name", Kind::Text, "", "For the report, `--set` and `[[slo]]`; default: its kind."),
            key("seconds", Kind::Real(0.05, SECONDS_MAX), "10", "How long it lasts."),
            key("messages_per_second", Kind::Real(0.0, RATE_MAX), "0", "All workers together."),
            key("to_messages_per_second", Kind::Real(0.0, RATE_MAX), "", "The rate moves evenly to this one."),
            key("visitors_per_second", Kind::Real(0.0, 100_000.0), "0", "Visitors that begin a visit."),
            key("to_visitors_per_second", Kind::Real(0.0, 100_000.0), "", "The rate moves evenly to this one."),
            key("connections_per_second", Kind::Real(1.0, 100_000.0), "", "`connect` only."),
            key(
                "percent",
                Kind::Real(0.0, 100.0),
                "100",
                "`reconnect_storm` only: how many of the connected visitors are cut off.",
            ),
            key("within_ms", Kind::Real(0.0, 600_000.0), "1000", "`reconnect_storm` only: over which time."),
        ],
    },
    Section {
        name: "slo",
        many: true,
        about: "What must hold; otherwise the exit code is 1. Lost, repeated, disordered and foreign messages are 1 by themselves.",
        keys: &[
            key(
                "metric",
                Kind::Text,
                "",
                "A time (with `percentile` and `max_ms`) or a number (with `max` or `min`); see below.",
            ),
            key("percentile", Kind::Real(0.0, 100.0), "99", "Of a time; 100 is the longest."),
            key("max_ms", Kind::Real(0.0, 3_600_000.0), "", "At most."),
            key("max", Kind::Real(0.0, 1e15), "", "At most."),
            key("min", Kind::Real(0.0, 1e15), "", "At least."),
            key("phases", Kind::Texts, "", "Only in these phases, each by itself; default: over all that are measured."),
        ],
    },
];

const TARGETS: &[&str] = &["jono", "echo", "socketio", "nats", "ejabberd"];

/// The table of a section, if there is one of that name.
pub(crate) fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

/// The reference, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::new();
    for section in SECTIONS {
        let title = match (section.name, section.many) {
            ("", _) => "At the top".to_owned(),
            (name, true) => format!("`[[{name}]]`"),
            (name, false) => format!("`[{name}]`"),
        };
        page += &format!("### {title}\n\n{}\n\n| key | value | default | |\n|---|---|---|---|\n", section.about);
        for key in section.keys {
            let default = if key.default.is_empty() { "none".to_owned() } else { format!("`{}`", key.default) };
            page += &format!("| `{}` | {} | {default} | {} |\n", key.name, key.kind.in_words(), key.about);
        }
        page.push('\n');
    }
    let list = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    page + &format!("Times that an `[[slo]]` can name: {}. Numbers: {}.\n", list(TIMES), list(NUMBERS))
}

impl Kind {
    /// For messages and the reference.
    #[must_use]
    pub fn in_words(self) -> String {
        match self {
            Self::Count(least, u64::MAX) => format!("whole number from {least}"),
            Self::Count(least, most) => format!("whole number, {least} to {most}"),
            Self::Real(least, most) => format!("number, {least} to {most}"),
            Self::Text => "text".to_owned(),
            Self::Choice(words) => words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", "),
            Self::Switch => "`true`, `false`".to_owned(),
            Self::Texts => "list of texts".to_owned(),
            Self::Free => "table of texts".to_owned(),
        }
    }
}
