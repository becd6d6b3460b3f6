//! The result of a run: typed, written as JSON, read back for comparisons, shown as text and as a page.

mod build;
pub mod compare;
mod html;
mod slo;
mod svg;
mod text;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub(crate) use build::{Facts, Found, build};
pub use slo::SloResult;

use crate::measure::{Counts, Times, Wrongness};
use crate::scenario::Scenario;

/// The form of the JSON; readers refuse others.
pub const FORMAT: u32 = 1;

/// A whole result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of the harness.
    pub version: String,
    /// When the phases began, milliseconds since 1970.
    pub began_at: u64,
    /// The machine that everything ran on, or the generator at least.
    pub machine: String,
    /// What was loaded.
    pub target: TargetFacts,
    /// What was asked for, with every default; no credentials.
    pub scenario: Scenario,
    /// Assignments of the command line.
    pub set: Vec<String>,
    /// The judgement.
    pub verdict: Verdict,
    /// Broken promises, over the whole run.
    pub wrong: Wrongness,
    /// The first broken promises in words.
    pub cases: Vec<String>,
    /// Why connections ended, and how often.
    pub endings: BTreeMap<String, u64>,
    /// All measured phases together.
    pub total: PhaseReport,
    /// Each phase.
    pub phases: Vec<PhaseReport>,
    /// Each objective.
    pub slos: Vec<SloResult>,
    /// Whether the generator can be believed.
    pub honesty: HonestyReport,
    /// What a virtual user costs the generator, and a connection the server.
    pub footprint: Footprint,
    /// Each process of the server; none if it runs elsewhere.
    pub processes: Vec<ProcessUse>,
    /// Second by second.
    pub series: Vec<Second>,
}

/// What was loaded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetFacts {
    /// The protocol.
    pub name: String,
    /// Where.
    pub url: String,
    /// Version and revision, as the server says; empty if it does not.
    pub revision: String,
    /// What an acknowledgement means: `memory`, `second`, `disk`; empty if unknown.
    pub durability: String,
    /// Names of its processes; empty if it runs elsewhere.
    pub processes: Vec<String>,
    /// The limits of sessions were lifted, since it was started for the test.
    pub limits_lifted: bool,
}

/// The judgement of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// No broken promise, every objective met, and the figures count.
    pub passed: bool,
    /// The generator was honest: the figures count.
    pub valid: bool,
    /// Why not.
    pub reasons: Vec<String>,
}

/// One phase, or all measured ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseReport {
    /// As in the scenario; `total` for all.
    pub name: String,
    /// Its figures count.
    pub measured: bool,
    /// How long it was.
    pub seconds: f64,
    /// What happened.
    pub counts: Counts,
    /// Messages that were to be sent, a second.
    pub offered_per_second: f64,
    /// Messages that were delivered, a second.
    pub delivered_per_second: f64,
    /// Times by the names of [`crate::scenario::TIMES`].
    pub times: BTreeMap<String, TimesReport>,
    /// What the server used; absent if it runs elsewhere, or one of its processes ended.
    pub server: Option<ServerUse>,
    /// The highest share of a core that a generator process used, percent.
    pub generator_cpu_percent: f64,
}

/// A distribution, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct TimesReport {
    pub count: u64,
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p99_9_ms: f64,
    pub p99_99_ms: f64,
    pub max_ms: f64,
    /// All of it: HdrHistogram V2 of nanoseconds.
    pub histogram: Times,
}

impl From<Times> for TimesReport {
    fn from(times: Times) -> Self {
        Self {
            count: times.count(),
            mean_ms: times.mean_ms(),
            p50_ms: times.at_ms(50.0),
            p90_ms: times.at_ms(90.0),
            p99_ms: times.at_ms(99.0),
            p99_9_ms: times.at_ms(99.9),
            p99_99_ms: times.at_ms(99.99),
            max_ms: times.max_ms(),
            histogram: times,
        }
    }
}

/// What the server's processes used in a phase, Redis included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerUse {
    /// CPU, in percent of one core.
    pub cpu_percent: f64,
    /// CPU, seconds.
    pub cpu_seconds: f64,
    /// Delivered messages for each second of CPU; 0 without messages.
    pub messages_per_cpu_second: f64,
    /// Resident memory at the end, MiB.
    pub rss_mib: f64,
    /// Commands of Redis, if there is one.
    pub redis_commands: u64,
    /// CPU of Redis, seconds; part of `cpu_seconds` if its process is one of the server's, and added otherwise.
    pub redis_cpu_seconds: f64,
}

/// See [`Report::honesty`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HonestyReport {
    /// 99 % of messages left at most so much later than intended, though their connection was free; milliseconds, the worst measured phase.
    pub send_lag_p99_ms: f64,
    /// The highest share of a core that a worker used in a measured phase.
    pub cpu_percent: f64,
    /// How far the wall clock moved against the steady one; milliseconds.
    pub clock_moved_ms: f64,
    /// Generator processes.
    pub workers: u32,
    /// What makes the run invalid.
    pub problems: Vec<String>,
}

/// See [`Report::footprint`]. Bytes; measured when the population had arrived.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Footprint {
    /// Virtual users.
    pub users: u64,
    /// Resident memory of the generator for each user.
    pub generator_bytes_per_user: f64,
    /// Kernel memory behind each socket of the generator.
    pub generator_kernel_bytes_per_user: f64,
    /// Resident memory that each connection added to the server.
    pub server_bytes_per_user: f64,
    /// Kernel memory behind each socket of the server.
    pub server_kernel_bytes_per_user: f64,
}

/// A process of the server, from the arrival of the population to the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessUse {
    /// What the system calls it.
    pub name: String,
    /// Its number.
    pub pid: u32,
    /// CPU, seconds.
    pub cpu_seconds: f64,
    /// Resident memory at the end, MiB.
    pub rss_mib: f64,
    /// TCP sockets at the end.
    pub sockets: u64,
    /// What the kernel spends on them, KiB.
    pub socket_kib: f64,
}

/// One second of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Second {
    pub second: u64,
    pub phase: String,
    pub connected: u64,
    pub waiting: u64,
    pub served: u64,
    pub intended: u64,
    pub sent: u64,
    pub acknowledged: u64,
    pub delivered: u64,
    pub refused: u64,
    pub acknowledged_p50_ms: f64,
    pub acknowledged_p99_ms: f64,
    pub acknowledged_max_ms: f64,
    pub delivered_p50_ms: f64,
    pub delivered_p99_ms: f64,
    pub delivered_max_ms: f64,
    pub server_cpu_percent: f64,
    pub server_rss_mib: f64,
    pub generator_cpu_percent: f64,
}

impl Report {
    /// Reads a result.
    ///
    /// # Errors
    /// It cannot be read, is no result, or one of another form.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|why| format!("{}: {why}", path.display()))
    }

    /// As [`read`](Self::read), from text.
    ///
    /// # Errors
    /// It is no result, or one of another form.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let form: Form = serde_json::from_str(text).map_err(|error| format!("no result of a run: {error}"))?;
        if form.format != FORMAT {
            return Err(format!("a result of the form {}, and this program reads {FORMAT}", form.format));
        }
        serde_json::from_str(text).map_err(|error| format!("no result of a run: {error}"))
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report has only texts for keys") + "\n"
    }

    /// As a page that needs nothing else.
    #[must_use]
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    /// A number that an objective or a comparison can name, of a phase or of all.
    #[must_use]
    pub fn number(&self, metric: &str, phase: &PhaseReport) -> Option<f64> {
        let server = phase.server.as_ref();
        match metric {
            "throughput_percent" => {
                let numbers = &phase.counts.numbers;
                (numbers.intended > 0).then(|| numbers.delivered as f64 * 100.0 / numbers.intended as f64)
            }
            "messages_per_second" => Some(phase.delivered_per_second),
            "refused_percent" => {
                let intended = phase.counts.numbers.intended;
                Some(if intended == 0 { 0.0 } else { phase.counts.refused_count() as f64 * 100.0 / intended as f64 })
            }
            "messages_per_cpu_second" => Some(server?.messages_per_cpu_second),
            "server_rss_mib" => Some(server?.rss_mib),
            "server_cpu_percent" => Some(server?.cpu_percent),
            "bytes_per_visitor" => Some(self.footprint.server_bytes_per_user + self.footprint.server_kernel_bytes_per_user),
            "disconnects" => Some(phase.counts.numbers.disconnects as f64),
            _ => None,
        }
    }
}
