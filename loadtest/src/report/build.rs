//! Puts a report together from what workers and the leader of a run have found out.

use std::collections::BTreeMap;

use super::{
    FORMAT, Footprint, HonestyReport, PhaseReport, ProcessUse, Report, Second, ServerUse, TargetFacts, TimesReport, Verdict, slo,
};
use crate::measure::{Counts, Times, Wrongness};
use crate::play::link::{Interval, Outcome, PhaseOutcome};
use crate::scenario::Scenario;

/// What the leader knows besides the workers' outcomes.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Of each worker.
    pub outcomes: Vec<Outcome>,
    /// Of each second, of all workers.
    pub seconds: Vec<Vec<Interval>>,
    /// What the server used in each phase; none where it cannot be seen.
    pub server: Vec<Option<ServerUse>>,
    /// CPU percent and resident MiB of the server by second.
    pub server_seconds: Vec<(f64, f64)>,
    pub footprint: Footprint,
    pub processes: Vec<ProcessUse>,
    pub clock_moved_ms: f64,
}

/// What does not follow from the run.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub scenario: Scenario,
    pub set: Vec<String>,
    pub target: TargetFacts,
    pub began_at: u64,
    pub machine: String,
}

pub(crate) fn build(facts: Facts, found: Found) -> Report {
    let scenario = facts.scenario;
    let workers = found.outcomes.len() as u32;
    let mut wrong = Wrongness::default();
    let mut cases = Vec::new();
    let mut endings: BTreeMap<String, u64> = BTreeMap::new();
    for outcome in &found.outcomes {
        wrong.add(&outcome.wrong);
        cases.extend(outcome.cases.iter().cloned());
        for (why, count) in &outcome.endings {
            *endings.entry(why.clone()).or_default() += count;
        }
    }
    let mut phases = Vec::new();
    for (index, phase) in scenario.phases.iter().enumerate() {
        let parts: Vec<&PhaseOutcome> = found.outcomes.iter().filter_map(|outcome| outcome.phases.get(index)).collect();
        let server = found.server.get(index).cloned().flatten();
        phases.push(one_phase(&phase.name, phase.is_measured(), &parts, server));
    }
    let total = total(&phases);
    let mut report = Report {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        began_at: facts.began_at,
        machine: facts.machine,
        target: facts.target,
        set: facts.set,
        verdict: Verdict::default(),
        wrong,
        cases,
        endings,
        slos: Vec::new(),
        honesty: honesty(&scenario, &phases, workers, found.clock_moved_ms),
        footprint: found.footprint,
        processes: found.processes,
        series: series(&scenario, &found.seconds, &found.server_seconds),
        total,
        phases,
        scenario,
    };
    report.slos = slo::judge(&report);
    report.verdict = verdict(&report);
    report
}

fn one_phase(name: &str, measured: bool, parts: &[&PhaseOutcome], server: Option<ServerUse>) -> PhaseReport {
    let mut counts = Counts::default();
    let mut times: BTreeMap<String, Times> = BTreeMap::new();
    let mut lasted_ns = 0;
    let mut cpu_percent: f64 = 0.0;
    for part in parts {
        counts.add(&part.counts);
        for (metric, more) in &part.times {
            times.entry(metric.clone()).or_default().add(more);
        }
        lasted_ns = lasted_ns.max(part.lasted_ns);
        cpu_percent = cpu_percent.max(part.cpu_ns as f64 * 100.0 / part.lasted_ns.max(1) as f64);
    }
    let mut phase = PhaseReport {
        name: name.to_owned(),
        measured,
        seconds: lasted_ns as f64 / 1e9,
        counts,
        times: times.into_iter().map(|(metric, times)| (metric, TimesReport::from(times))).collect(),
        server,
        generator_cpu_percent: cpu_percent,
        ..PhaseReport::default()
    };
    rates(&mut phase);
    phase
}

fn rates(phase: &mut PhaseReport) {
    let seconds = phase.seconds.max(1e-9);
    phase.offered_per_second = phase.counts.numbers.intended as f64 / seconds;
    phase.delivered_per_second = phase.counts.numbers.delivered as f64 / seconds;
    let delivered = phase.counts.numbers.delivered;
    if let Some(server) = &mut phase.server {
        server.cpu_percent = server.cpu_seconds * 100.0 / seconds;
        server.messages_per_cpu_second = if server.cpu_seconds > 0.0 { delivered as f64 / server.cpu_seconds } else { 0.0 };
    }
}

fn total(phases: &[PhaseReport]) -> PhaseReport {
    let mut total = PhaseReport { name: "total".to_owned(), measured: true, ..PhaseReport::default() };
    // What part of the phases used would be compared with the messages of all.
    let server_is_known = phases.iter().filter(|phase| phase.measured).all(|phase| phase.server.is_some());
    let mut times: BTreeMap<String, Times> = BTreeMap::new();
    // Connecting is no measured phase, but how long it takes is a question of its own.
    let connects = phases.first().and_then(|phase| phase.times.get("connect"));
    times.extend(connects.map(|connects| ("connect".to_owned(), connects.histogram.clone())));
    for phase in phases.iter().filter(|phase| phase.measured) {
        total.seconds += phase.seconds;
        total.counts.add(&phase.counts);
        for (metric, more) in &phase.times {
            times.entry(metric.clone()).or_default().add(&more.histogram);
        }
        total.generator_cpu_percent = total.generator_cpu_percent.max(phase.generator_cpu_percent);
        if let Some(server) = phase.server.as_ref().filter(|_| server_is_known) {
            let sum = total.server.get_or_insert_default();
            sum.cpu_seconds += server.cpu_seconds;
            sum.rss_mib = server.rss_mib;
            sum.redis_commands += server.redis_commands;
            sum.redis_cpu_seconds += server.redis_cpu_seconds;
        }
    }
    total.times = times.into_iter().map(|(metric, times)| (metric, TimesReport::from(times))).collect();
    rates(&mut total);
    total
}

fn honesty(scenario: &Scenario, phases: &[PhaseReport], workers: u32, clock_moved_ms: f64) -> HonestyReport {
    let mut honesty = HonestyReport { workers, clock_moved_ms, ..HonestyReport::default() };
    let limits = scenario.honesty;
    for phase in phases.iter().filter(|phase| phase.measured) {
        let lag = phase.times.get("send_lag").map_or(0.0, |times| times.p99_ms);
        honesty.send_lag_p99_ms = honesty.send_lag_p99_ms.max(lag);
        honesty.cpu_percent = honesty.cpu_percent.max(phase.generator_cpu_percent);
        if lag > limits.send_lag_p99_ms {
            let most = limits.send_lag_p99_ms;
            let remedy = if phase.generator_cpu_percent > limits.cpu_percent / 2.0 {
                "take more --workers"
            } else {
                "something else keeps the processors busy"
            };
            honesty
                .problems
                .push(format!("{}: 1 % of messages left more than {lag:.2} ms late (at most {most} ms): {remedy}", phase.name));
        }
        let too_late = phase.counts.numbers.too_late;
        if too_late > 0 {
            honesty.problems.push(format!(
                "{}: {too_late} messages or visitors were never let arrive: the rate is too high for {workers} worker(s)",
                phase.name
            ));
        }
        if phase.generator_cpu_percent > limits.cpu_percent {
            let (used, most) = (phase.generator_cpu_percent, limits.cpu_percent);
            honesty
                .problems
                .push(format!("{}: a worker used {used:.0} % of a core (at most {most} %): take more --workers", phase.name));
        }
    }
    if clock_moved_ms.abs() > limits.clock_ms {
        honesty.problems.push(format!("the wall clock moved by {clock_moved_ms:.1} ms (at most {} ms)", limits.clock_ms));
    }
    honesty
}

fn series(scenario: &Scenario, seconds: &[Vec<Interval>], server: &[(f64, f64)]) -> Vec<Second> {
    let mut ends = Vec::new();
    let mut end = 0.0;
    for phase in &scenario.phases {
        end += phase.seconds;
        ends.push((end, &phase.name));
    }
    let mut series = Vec::new();
    for (index, parts) in seconds.iter().enumerate() {
        let mut sum = Second { second: index as u64, ..Second::default() };
        let (mut acknowledged, mut delivered) = (Times::default(), Times::default());
        for part in parts {
            sum.connected += part.connected;
            sum.waiting += part.waiting;
            sum.served += part.served;
            sum.intended += part.intended;
            sum.sent += part.sent;
            sum.acknowledged += part.acknowledged;
            sum.delivered += part.delivered;
            sum.refused += part.refused;
            sum.generator_cpu_percent = sum.generator_cpu_percent.max(part.cpu_ns as f64 / 1e7);
            acknowledged.add(&part.acknowledged_times);
            delivered.add(&part.delivered_times);
        }
        let phase = ends.iter().find(|(end, _)| (index as f64) < *end);
        sum.phase = phase.map_or_else(|| "end".to_owned(), |(_, name)| (*name).clone());
        (sum.acknowledged_p50_ms, sum.acknowledged_p99_ms, sum.acknowledged_max_ms) = three(&acknowledged);
        (sum.delivered_p50_ms, sum.delivered_p99_ms, sum.delivered_max_ms) = three(&delivered);
        (sum.server_cpu_percent, sum.server_rss_mib) = server.get(index).copied().unwrap_or_default();
        series.push(sum);
    }
    series
}

fn three(times: &Times) -> (f64, f64, f64) {
    (times.at_ms(50.0), times.at_ms(99.0), times.max_ms())
}

fn verdict(report: &Report) -> Verdict {
    let mut reasons = report.honesty.problems.clone();
    let valid = reasons.is_empty();
    for (name, count) in report.wrong.all().into_iter().filter(|(_, count)| *count > 0) {
        reasons.push(format!("{name}: {count}"));
    }
    for slo in report.slos.iter().filter(|slo| !slo.held) {
        let found = slo.found.map_or_else(|| "nothing was measured".to_owned(), |found| format!("{found:.3}"));
        reasons.push(format!("missed: {}: {found}", slo.objective));
    }
    Verdict { passed: reasons.is_empty(), valid, reasons }
}
