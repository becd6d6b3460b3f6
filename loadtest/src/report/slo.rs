//! Objectives: what the scenario wants to hold, against what was found.

use serde::{Deserialize, Serialize};

use super::{PhaseReport, Report};
use crate::scenario::{Bound, Slo};

/// One objective in one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SloResult {
    /// In words: `delivered p99 <= 50 ms in steady`.
    pub objective: String,
    /// What was found; absent if there was nothing to measure, which is a miss.
    pub found: Option<f64>,
    /// It held.
    pub held: bool,
}

/// All objectives of the scenario.
pub(super) fn judge(report: &Report) -> Vec<SloResult> {
    let mut results = Vec::new();
    for slo in &report.scenario.slos {
        if slo.phases.is_empty() {
            results.push(judge_one(report, slo, &report.total));
        }
        for phase in report.phases.iter().filter(|phase| slo.phases.contains(&phase.name)) {
            results.push(judge_one(report, slo, phase));
        }
    }
    results
}

fn judge_one(report: &Report, slo: &Slo, phase: &PhaseReport) -> SloResult {
    let place = if slo.phases.is_empty() { String::new() } else { format!(" in {}", phase.name) };
    let metric = &slo.metric;
    let (objective, found, held) = match slo.bound {
        Bound::TimeAtMostMs(percentile, most) => {
            let found = phase.times.get(metric).map(|times| times.histogram.at_ms(percentile));
            (format!("{metric} p{percentile} <= {most} ms{place}"), found, found.is_some_and(|found| found <= most))
        }
        Bound::AtMost(most) => {
            let found = report.number(metric, phase);
            (format!("{metric} <= {most}{place}"), found, found.is_some_and(|found| found <= most))
        }
        Bound::AtLeast(least) => {
            let found = report.number(metric, phase);
            (format!("{metric} >= {least}{place}"), found, found.is_some_and(|found| found >= least))
        }
    };
    SloResult { objective, found, held }
}
