//! Two results beside each other.

use super::Report;

/// Below this change in percent two figures count as alike; single runs differ by that much anyway.
const ALIKE_PERCENT: f64 = 5.0;
/// Numbers of which more is better.
const MORE_IS_BETTER: [&str; 3] = ["throughput_percent", "messages_per_second", "messages_per_cpu_second"];

/// One figure of both.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// `delivered p99 ms`, `server_rss_mib`, ...
    pub figure: String,
    /// Of the first.
    pub a: f64,
    /// Of the second.
    pub b: f64,
    /// More is better.
    pub more_is_better: bool,
}

impl Row {
    /// The second over the first.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        if self.a == 0.0 && self.b == 0.0 { 1.0 } else { self.b / self.a }
    }

    /// In one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        let change = (self.ratio() - 1.0) * 100.0;
        if change.abs() <= ALIKE_PERCENT {
            "alike"
        } else if (change > 0.0) == self.more_is_better {
            "better"
        } else {
            "worse"
        }
    }
}

/// What must be the same for a comparison to say anything: warnings where it is not.
#[must_use]
pub fn doubts(a: &Report, b: &Report) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut differ = |what: &str, a: &str, b: &str| {
        if a != b {
            doubts.push(format!("{what} differs: {a:?} and {b:?}"));
        }
    };
    differ("the machine", &a.machine, &b.machine);
    differ("the durability class", &a.target.durability, &b.target.durability);
    if a.target.durability.is_empty() && b.target.durability.is_empty() {
        doubts.push(
            "the durability class of neither is known: start the server by --server, or say it with target.durability".to_owned(),
        );
    }
    let load = |report: &Report| {
        let mut scenario = report.scenario.clone();
        scenario.target = b.scenario.target.clone();
        serde_json::to_string(&scenario).unwrap_or_default()
    };
    if load(a) != load(b) {
        doubts.push("the load differs: phases, population or texts are not the same".to_owned());
    }
    for (name, report) in [("A", a), ("B", b)] {
        if !report.verdict.valid {
            doubts.push(format!("{name} is invalid: {}", report.honesty.problems.join("; ")));
        }
        if !report.wrong.is_clean() {
            doubts.push(format!("{name} broke promises: its figures are of no worth"));
        }
    }
    doubts
}

/// Every figure that both have.
#[must_use]
pub fn rows(a: &Report, b: &Report) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, times) in &a.total.times {
        let Some(other) = b.total.times.get(name) else { continue };
        for percentile in [50.0, 99.0, 99.9] {
            let (a, b) = (times.histogram.at_ms(percentile), other.histogram.at_ms(percentile));
            rows.push(Row { figure: format!("{name} p{percentile} ms"), a, b, more_is_better: false });
        }
    }
    for metric in crate::scenario::NUMBERS {
        if let (Some(a), Some(b)) = (a.number(metric, &a.total), b.number(metric, &b.total)) {
            rows.push(Row { figure: (*metric).to_owned(), a, b, more_is_better: MORE_IS_BETTER.contains(metric) });
        }
    }
    rows
}

/// As text.
#[must_use]
pub fn text(a: &Report, b: &Report) -> String {
    let mut text = format!("{:<28}{:>14}{:>14}{:>9}\n", "", "A", "B", "B / A");
    for row in rows(a, b) {
        text += &format!("{:<28}{:>14.3}{:>14.3}{:>9.3}  {}\n", row.figure, row.a, row.b, row.ratio(), row.word());
    }
    for doubt in doubts(a, b) {
        text += &format!("careful: {doubt}\n");
    }
    text + "One run each says little: for a ratio with its interval see `jono-load trials`.\n"
}
