//! `jono-load saturate`: the highest rate at which a scenario's objectives hold.

use serde::Serialize;

use super::search::Search;
use crate::report::Report;
use crate::run::{Options, Progress, Stop, play};
use crate::scenario::{Bound, Scenario, Slo};

/// What holds where the scenario says nothing: 99 % delivered within a tenth of a second, and nothing left behind.
const DEFAULT_P99_MS: f64 = 100.0;
const DEFAULT_THROUGHPUT_PERCENT: f64 = 99.0;

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Of {
    /// Messages a second.
    Messages,
    /// Visitors a second.
    Visitors,
}

/// How it is searched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub of: Of,
    pub begin: f64,
    pub most: f64,
    pub resolution_percent: f64,
}

/// One rate that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Trial {
    pub rate: f64,
    pub held: bool,
    pub reasons: Vec<String>,
    pub delivered_per_second: f64,
    pub delivered_p99_ms: f64,
    pub server_cpu_percent: f64,
    pub generator_cpu_percent: f64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Answer {
    /// The highest rate that held, a second.
    pub highest: Option<f64>,
    /// The lowest that did not; none if the search ended for another reason.
    pub missed: Option<f64>,
    /// The generator or the limit of the search ended it: the server may do more.
    pub at_least: bool,
    pub trials: Vec<Trial>,
    pub machine: String,
    pub revision: String,
    pub durability: String,
}

/// Searches. The server is started anew for each trial if the scenario starts it.
pub(crate) fn saturate(scenario: &Scenario, plan: Plan, options: &Options) -> Result<Answer, Stop> {
    let mut search = Search::new(plan.begin, plan.most, plan.resolution_percent);
    let mut answer = Answer {
        highest: None,
        missed: None,
        at_least: true,
        trials: Vec::new(),
        machine: String::new(),
        revision: String::new(),
        durability: String::new(),
    };
    let mut progress = Progress::new(options.quiet);
    while let Some(rate) = search.next() {
        let (report, _) = play(at_rate(scenario, plan.of, rate), options)?;
        (answer.machine, answer.revision) = (report.machine.clone(), report.target.revision.clone());
        answer.durability.clone_from(&report.target.durability);
        // Over its capacity a server may well leave something unanswered, or cut connections; everything else is a broken promise.
        let mut wrong = report.wrong.clone();
        (wrong.unanswered, wrong.unsent) = (0, 0);
        if !wrong.is_clean() {
            return Err(Stop {
                code: crate::cli::EXIT_FAILED,
                why: format!("at {rate:.0}/s: {}", report.verdict.reasons.join("; ")),
            });
        }
        let trial = trial(rate, &report);
        let verdict = if trial.held { "held".to_owned() } else { trial.reasons.join("; ") };
        progress.say(&format!(
            "{rate:>10.1}/s: delivered {:.1}/s, p99 {:.2} ms, {verdict}",
            trial.delivered_per_second, trial.delivered_p99_ms
        ));
        answer.trials.push(trial);
        if !report.verdict.valid {
            // The generator is at its end, not the server.
            break;
        }
        search.tried(rate, report.verdict.passed);
    }
    answer.highest = search.held();
    answer.missed = search.missed();
    answer.at_least = search.next().is_some() || search.missed().is_none();
    Ok(answer)
}

fn trial(rate: f64, report: &Report) -> Trial {
    Trial {
        rate,
        held: report.verdict.passed,
        reasons: report.verdict.reasons.clone(),
        delivered_per_second: report.total.delivered_per_second,
        delivered_p99_ms: report.total.times.get("delivered").map_or(0.0, |times| times.p99_ms),
        server_cpu_percent: report.total.server.as_ref().map_or(0.0, |server| server.cpu_percent),
        generator_cpu_percent: report.total.generator_cpu_percent,
    }
}

/// The scenario with every phase after `connect` at that rate.
fn at_rate(scenario: &Scenario, of: Of, rate: f64) -> Scenario {
    let mut scenario = scenario.clone();
    for phase in scenario.phases.iter_mut().skip(1) {
        match of {
            Of::Messages => phase.messages_per_second = (rate, rate),
            Of::Visitors => phase.visitors_per_second = (rate, rate),
        }
    }
    if scenario.slos.is_empty() {
        let slo = |metric: &str, bound| Slo { metric: metric.to_owned(), bound, phases: Vec::new() };
        scenario.slos.push(slo("delivered", Bound::TimeAtMostMs(99.0, DEFAULT_P99_MS)));
        scenario.slos.push(slo("throughput_percent", Bound::AtLeast(DEFAULT_THROUGHPUT_PERCENT)));
    }
    scenario
}
