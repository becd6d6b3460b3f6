//! What a worker and the process that leads the run say to each other: JSON, one object a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measure::{Counts, Times, Wrongness};
use crate::scenario::Scenario;
use crate::target::Settings;

/// What a worker is to do. The first line that it reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub scenario: Scenario,
    /// `IP:PORT`s, used in turn.
    pub addresses: Vec<std::net::SocketAddr>,
    pub target: Settings,
    pub run: u32,
    pub worker: u32,
    pub workers: u32,
    /// This worker's agents begin with this number, and are so many.
    pub agents: (u32, u32),
}

/// Later lines to a worker.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Begin the phases after `connect` at that time of the steady clock, nanoseconds.
    Go(u64),
    /// End early.
    Stop,
}

/// What a worker says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// How far the population is, while it arrives.
    Arriving { ready: u64, of: u64, served: u64, conversations: u64 },
    /// The population is there.
    Arrived,
    /// One second of the run.
    Interval(Box<Interval>),
    /// The end.
    Done(Box<Outcome>),
    /// It cannot go on.
    Failed { unreachable: bool, why: String },
}

/// One second.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Interval {
    /// Seconds since the phases began.
    pub second: u64,
    pub connected: u64,
    pub waiting: u64,
    pub served: u64,
    pub intended: u64,
    pub sent: u64,
    pub acknowledged: u64,
    pub delivered: u64,
    pub refused: u64,
    pub cpu_ns: u64,
    pub acknowledged_times: Times,
    pub delivered_times: Times,
}

/// What a worker has found out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// In the order of the scenario.
    pub phases: Vec<PhaseOutcome>,
    pub wrong: Wrongness,
    /// Why connections ended or failed, with how often.
    pub endings: BTreeMap<String, u64>,
    /// The first broken promises in words.
    pub cases: Vec<String>,
    /// Resident bytes of the process before and after the population arrived.
    pub rss_bytes: (u64, u64),
    /// Users that there were at the end of `connect`.
    pub users: u64,
}

/// One phase of a worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PhaseOutcome {
    pub counts: Counts,
    pub times: BTreeMap<String, Times>,
    /// How long it was, and the CPU that the worker took, nanoseconds.
    pub lasted_ns: u64,
    pub cpu_ns: u64,
}
