//! Scenarios: what is to happen in a run, read from TOML and checked before anything is done.

mod build;
mod document;
mod keys;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use build::Builder;
pub use document::Problem;
pub(crate) use keys::PER_WORKER_MAX;
pub use keys::{Key, Kind, NUMBERS, PHASE_KINDS, SECTIONS, Section, TIMES, reference};

/// A checked scenario, with every default filled in. The keys mean what the reference says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table of keys says what each means")]
pub struct Scenario {
    pub name: String,
    pub question: String,
    pub seed: u64,
    pub patience_s: f64,
    pub target: TargetKeys,
    pub population: Population,
    pub messages: Messages,
    pub visits: Visits,
    pub texts: Texts,
    pub honesty: Honesty,
    /// The first one is always of the kind `connect`.
    pub phases: Vec<Phase>,
    pub slos: Vec<Slo>,
}

/// The table `target`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table of keys says what each means")]
pub struct TargetKeys {
    pub name: String,
    pub url: String,
    pub server: String,
    /// Never written into reports.
    #[serde(skip_serializing, default)]
    pub operator: String,
    pub site: String,
    pub queue: String,
    /// Never written into reports.
    #[serde(skip_serializing, default)]
    pub tokens: Vec<String>,
    pub durability: String,
    pub redis: String,
    pub options: BTreeMap<String, String>,
}

/// The table `population`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table of keys says what each means")]
pub struct Population {
    pub idle: u64,
    pub conversations: u64,
    pub agents: u64,
    pub slow_readers: u64,
    pub slow_bytes_per_second: u64,
    pub source_addresses: u64,
}

/// The table `messages`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table of keys says what each means")]
pub struct Messages {
    pub poisson: bool,
    pub agent_percent: f64,
    pub hot_percent: f64,
    pub note_percent: f64,
}

/// The table `visits`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table of keys says what each means")]
pub struct Visits {
    pub turns: u64,
    pub think_ms: f64,
    pub pick_ms: f64,
    pub capacity: u64,
    pub typing: bool,
    pub hand_over_percent: f64,
    pub closed_by_agent: bool,
}

/// The table `texts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table of keys says what each means")]
pub struct Texts {
    pub bytes: u64,
    pub corpus: String,
    pub recorded_timing: bool,
    pub speed: f64,
}

/// The table `honesty`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table of keys says what each means")]
pub struct Honesty {
    pub send_lag_p99_ms: f64,
    pub cpu_percent: f64,
    pub clock_ms: f64,
}

/// What a phase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the table of keys says what each means")]
pub enum PhaseKind {
    Connect,
    WarmUp,
    Ramp,
    Steady,
    Spike,
    Soak,
    ReconnectStorm,
}

/// One table `phase`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table of keys says what each means")]
pub struct Phase {
    pub kind: PhaseKind,
    pub name: String,
    /// 0 for `connect`, which lasts as long as it must.
    pub seconds: f64,
    /// From and to.
    pub messages_per_second: (f64, f64),
    /// From and to.
    pub visitors_per_second: (f64, f64),
    /// Of `connect`.
    pub connections_per_second: f64,
    pub percent: f64,
    pub within_ms: f64,
}

impl Phase {
    /// Its figures count.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        !matches!(self.kind, PhaseKind::Connect | PhaseKind::WarmUp)
    }
}

/// What a bound is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This percentile of a time is at most so many milliseconds.
    TimeAtMostMs(f64, f64),
    /// A number is at most this.
    AtMost(f64),
    /// A number is at least this.
    AtLeast(f64),
}

/// One table `slo`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// One of [`TIMES`] or [`NUMBERS`].
    pub metric: String,
    /// What must hold.
    pub bound: Bound,
    /// In each of these phases; empty: over all measured ones together.
    pub phases: Vec<String>,
}

/// Reads a scenario, puts assignments `key=value` over it, and checks everything.
///
/// # Errors
/// Everything that is wrong, in the order of the text.
pub fn read(text: &str, file_name: &str, assignments: &[String]) -> Result<Scenario, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut document = document::read(text, &mut problems);
    for assignment in assignments {
        document::set(&mut document, assignment, &mut problems);
    }
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.line);
        return Err(problems);
    }
    let mut builder = Builder::default();
    let scenario = builder.scenario(&document, file_name);
    builder.consistent(&scenario);
    if builder.problems.is_empty() { Ok(scenario) } else { Err(builder.problems) }
}

/// As [`read`], from a file.
///
/// # Errors
/// It cannot be read, or as [`read`].
pub fn read_file(path: &Path, assignments: &[String]) -> Result<Scenario, Vec<Problem>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![Problem { line: 0, key: String::new(), why: format!("cannot be read: {error}") }])?;
    let name = path.file_stem().map_or_else(|| "scenario".to_owned(), |stem| stem.to_string_lossy().into_owned());
    read(&text, &name, assignments)
}
