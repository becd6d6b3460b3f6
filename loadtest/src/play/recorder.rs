//! What one worker measures: by phase, and by second for the live figures.

use std::collections::BTreeMap;

use super::ledger::{Late, Taken};
use super::link::{Interval, PhaseOutcome};
use crate::measure::{Counts, Metric, Times, Wrongness};

/// Broken promises that are kept in words; all are counted.
const CASES_MAX: usize = 20;
/// Different endings of connections that are told apart.
const ENDINGS_MAX: usize = 50;

#[derive(Debug, Default)]
struct PhaseRecord {
    counts: Counts,
    times: [Option<Box<Times>>; crate::scenario::TIMES.len()],
    lasted_ns: u64,
    cpu_ns: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Recorder {
    phases: Vec<PhaseRecord>,
    /// The one that is going on.
    pub phase: u16,
    pub wrong: Wrongness,
    pub cases: Vec<String>,
    pub endings: BTreeMap<String, u64>,
    pub interval: Interval,
}

impl Recorder {
    pub fn new(phases: usize) -> Self {
        Self {
            phases: (0..phases).map(|_| PhaseRecord::default()).collect(),
            phase: 0,
            wrong: Wrongness::default(),
            cases: Vec::new(),
            endings: BTreeMap::new(),
            interval: Interval::default(),
        }
    }

    /// The counts of the phase that is going on.
    pub fn now(&mut self) -> &mut Counts {
        let phase = self.phase;
        self.at(phase)
    }

    /// The counts of a phase.
    pub fn at(&mut self, phase: u16) -> &mut Counts {
        &mut self.phases[usize::from(phase)].counts
    }

    pub fn time(&mut self, metric: Metric, phase: u16, ns: u64) {
        self.phases[usize::from(phase)].times[metric as usize].get_or_insert_default().record_ns(ns);
    }

    /// A time of the phase that is going on.
    pub fn time_now(&mut self, metric: Metric, ns: u64) {
        self.time(metric, self.phase, ns);
    }

    /// A message that never came counts with the time until the end of the run, since a percentile of those alone that came would be better
    /// the more are missing.
    pub fn too_late(&mut self, late: Late) {
        let Taken { phase, corrected_ns, service_ns } = late.taken;
        for (over, metric, service) in [
            (late.acknowledged, Metric::Acknowledged, Metric::AcknowledgedService),
            (late.delivered, Metric::Delivered, Metric::DeliveredService),
        ] {
            if !over {
                self.time(metric, phase, corrected_ns);
                if late.left {
                    self.time(service, phase, service_ns);
                }
            }
        }
    }

    /// A broken promise in words, if there are not many yet.
    pub fn case(&mut self, words: impl FnOnce() -> String) {
        if self.cases.len() < CASES_MAX {
            self.cases.push(words());
        }
    }

    /// Why a connection ended.
    pub fn ending(&mut self, why: String) {
        if self.endings.len() < ENDINGS_MAX || self.endings.contains_key(&why) {
            *self.endings.entry(why).or_default() += 1;
        }
    }

    pub fn lasted(&mut self, phase: u16, lasted_ns: u64, cpu_ns: u64) {
        let record = &mut self.phases[usize::from(phase)];
        (record.lasted_ns, record.cpu_ns) = (lasted_ns, cpu_ns);
    }

    /// Takes the interval that has ended, and begins the next.
    pub fn next_interval(&mut self) -> Interval {
        let next = Interval { second: self.interval.second + 1, ..Interval::default() };
        std::mem::replace(&mut self.interval, next)
    }

    pub fn outcomes(self) -> (Vec<PhaseOutcome>, Wrongness, BTreeMap<String, u64>, Vec<String>) {
        const ALL: [Metric; crate::scenario::TIMES.len()] = [
            Metric::Acknowledged,
            Metric::AcknowledgedService,
            Metric::Delivered,
            Metric::DeliveredService,
            Metric::Wait,
            Metric::Claim,
            Metric::Connect,
            Metric::Resume,
            Metric::SendLag,
        ];
        let phases = self.phases.into_iter().map(|record| PhaseOutcome {
            counts: record.counts,
            times: ALL
                .into_iter()
                .zip(record.times)
                .filter_map(|(metric, times)| Some((metric.name().to_owned(), *times?)))
                .collect(),
            lasted_ns: record.lasted_ns,
            cpu_ns: record.cpu_ns,
        });
        (phases.collect(), self.wrong, self.endings, self.cases)
    }
}
