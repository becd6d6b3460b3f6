//! Leads one run: plans, the population, the phases at one common time, the end.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use super::prepare::{Prepared, prepare};
use super::progress::Progress;
use super::server::Server;
use super::watch::{Sample, Watch};
use super::workers::{Heard, Workers};
use super::{Options, Stop, interrupt};
use crate::clock::{MILLISECOND_NS, SECOND_NS, now_ns, wall_ns};
use crate::dice::Dice;
use crate::measure::process;
use crate::measure::{Times, sockets};
use crate::play::link::{Interval, Order, Outcome, Plan, Report as Said};
use crate::play::share;
use crate::report::{Facts, Footprint, Found, Report, TargetFacts, build};
use crate::scenario::Scenario;
use crate::target::{Settings, jono};

/// From the order to begin to the beginning: more than it takes to reach every worker.
const GO_NS: u64 = 300 * MILLISECOND_NS;

/// Descriptors that a worker needs besides those of its users: its own, and some for visitors who come and go.
const DESCRIPTORS_SPARE: u64 = 200;

/// Plays a scenario against a server that runs. Answers the result, and the distributions of each second (acknowledged, delivered).
pub(crate) fn lead(
    scenario: &Scenario,
    server: Option<&Server>,
    options: &Options,
) -> Result<(Report, Vec<(Times, Times)>), Stop> {
    let addresses = addresses(&scenario.target.url)?;
    fits(scenario, options.workers)?;
    let run = Dice::new(wall_ns(), u64::from(std::process::id())).next() as u32;
    let prepared = match scenario.target.name.as_str() {
        "jono" => Some(prepare(scenario, addresses[0], options.workers, run)?),
        _ => None,
    };
    let pids = match server {
        Some(server) => server.processes(),
        None if options.pids.is_empty() => process::listening(addresses[0].port()),
        None => options.pids.clone(),
    };
    let watch = Watch::new(pids, &scenario.target.redis);
    let target = TargetFacts {
        name: scenario.target.name.clone(),
        url: scenario.target.url.clone(),
        revision: server.and_then(|server| server.revision.clone()).unwrap_or_default(),
        durability: server.and_then(|server| server.durability.clone()).unwrap_or_else(|| scenario.target.durability.clone()),
        processes: watch.names(),
        limits_lifted: server.is_some() && scenario.target.name == "jono",
    };
    let (sender, heard) = mpsc::channel();
    let before = watch.sample();
    let plans = plans(scenario, &addresses, prepared.as_ref(), options.workers, run);
    let mut led = Led {
        scenario,
        workers: Workers::start(&plans, &sender)?,
        heard,
        watch,
        progress: Progress::new(options.quiet),
        found: Found { outcomes: Vec::new(), ..Found::default() },
        done: vec![None; plans.len()],
    };
    drop(sender);
    let arrived = led.arrive()?;
    led.found.footprint = led.footprint(&before, &arrived);
    let began_at = (wall_ns() + GO_NS) / MILLISECOND_NS;
    led.phases(&before, arrived)?;
    let found = led.finish();
    drop(prepared);
    let seconds = found.seconds.iter().map(|parts| merged(parts)).collect();
    let facts = Facts { scenario: scenario.clone(), set: options.set.clone(), target, began_at, machine: process::machine() };
    Ok((build(facts, found), seconds))
}

/// Every user needs a descriptor, and the system grants each process so many.
fn fits(scenario: &Scenario, workers: u32) -> Result<(), Stop> {
    let people = &scenario.population;
    let users = people.idle + people.conversations + people.agents;
    let each = process::raise_descriptors().saturating_sub(DESCRIPTORS_SPARE).max(1);
    if users > each.saturating_mul(u64::from(workers)) {
        let need = users.div_ceil(each);
        return Err(Stop::usage(format!("{users} users need --workers {need}: a process may have {each} connections here")));
    }
    Ok(())
}

fn merged(parts: &[Interval]) -> (Times, Times) {
    let mut both = (Times::default(), Times::default());
    for part in parts {
        both.0.add(&part.acknowledged_times);
        both.1.add(&part.delivered_times);
    }
    both
}

fn addresses(url: &str) -> Result<Vec<SocketAddr>, Stop> {
    let host = authority(url);
    let found = host.to_socket_addrs().map_err(|error| Stop::unreachable(format!("{host}: {error}")))?;
    let found: Vec<SocketAddr> = found.collect();
    // One family: a name that stands for both would split the load between two listeners.
    let first = found.first().ok_or_else(|| Stop::unreachable(format!("{host}: no such address")))?.is_ipv4();
    Ok(found.into_iter().filter(|address| address.is_ipv4() == first).collect())
}

fn authority(url: &str) -> String {
    let host = url.trim_start_matches("ws://").split('/').next().unwrap_or_default();
    if host.rsplit(']').next().unwrap_or_default().contains(':') { host.to_owned() } else { format!("{host}:80") }
}

fn plans(scenario: &Scenario, addresses: &[SocketAddr], prepared: Option<&Prepared>, workers: u32, run: u32) -> Vec<Plan> {
    let path =
        scenario.target.url.trim_start_matches("ws://").split_once('/').map_or_else(String::new, |(_, path)| format!("/{path}"));
    let mut agents_from = 0;
    let mut plans = Vec::new();
    for worker in 0..workers {
        let agents = share(scenario.population.agents, worker, workers) as u32;
        let place = prepared.map_or_else(jono::Place::default, |prepared| prepared.places[worker as usize].clone());
        let name = scenario.target.name.clone();
        let target = Settings { name, path: path.clone(), options: scenario.target.options.clone(), place };
        let scenario = scenario.clone();
        let addresses = addresses.to_vec();
        plans.push(Plan { scenario, addresses, target, run, worker, workers, agents: (agents_from, agents) });
        agents_from += agents;
    }
    plans
}

struct Led<'a> {
    scenario: &'a Scenario,
    workers: Workers,
    heard: Receiver<Heard>,
    watch: Watch,
    progress: Progress,
    found: Found,
    done: Vec<Option<Outcome>>,
}

impl Led<'_> {
    /// Waits until the population of every worker is there.
    fn arrive(&mut self) -> Result<Sample, Stop> {
        let mut standing = vec![(0, 0, 0, 0); self.done.len()];
        let mut arrived = 0;
        while arrived < self.done.len() {
            // Each says several times a second how far it is.
            let (worker, said) = self.heard.recv().map_err(|_| Stop::unreachable("every worker is gone"))?;
            interrupt::check()?;
            match said {
                Said::Arriving { ready, of, served, conversations } => standing[worker] = (ready, of, served, conversations),
                Said::Arrived => arrived += 1,
                Said::Failed { unreachable, why } => return Err(failed(unreachable, why)),
                Said::Interval(_) | Said::Done(_) => {}
            }
            let sum = standing.iter().fold((0, 0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2, a.3 + b.3));
            self.progress.show(&format!("connect: {}/{} users, {}/{} conversations served", sum.0, sum.1, sum.2, sum.3));
        }
        Ok(self.watch.sample())
    }

    /// What users cost, now that all are there.
    fn footprint(&self, before: &Sample, arrived: &Sample) -> Footprint {
        let own = sockets::memory_of(&self.workers.pids()).unwrap_or_default();
        let server = self.watch.sockets();
        let each = |bytes: u64, count: u64| if count == 0 { 0.0 } else { bytes as f64 / count as f64 };
        Footprint {
            // Filled in when the workers say how many users there were.
            users: 0,
            generator_bytes_per_user: 0.0,
            generator_kernel_bytes_per_user: each(own.buffer_bytes + own.object_bytes, own.sockets),
            server_bytes_per_user: arrived.rss_bytes.saturating_sub(before.rss_bytes) as f64,
            server_kernel_bytes_per_user: each(server.buffer_bytes + server.object_bytes, server.sockets),
        }
    }

    /// Gives the order and watches until every worker is done.
    fn phases(&mut self, before: &Sample, arrived: Sample) -> Result<(), Stop> {
        let go_ns = now_ns() + GO_NS;
        let wall_before = wall_ns().wrapping_sub(now_ns());
        self.workers.order(Order::Go(go_ns));
        let mut ends = vec![go_ns];
        for phase in self.scenario.phases.iter().skip(1) {
            let begin = ends.last().copied().unwrap_or(go_ns);
            ends.push(begin + (phase.seconds * SECOND_NS as f64) as u64);
        }
        self.found.server.push(self.watch.between(before, &arrived));
        let mut at_phase = arrived.clone();
        let mut at_second = (go_ns, arrived.clone());
        let mut next_end = 1;
        while self.done.iter().any(Option::is_none) {
            interrupt::check()?;
            let now = now_ns();
            while ends.get(next_end).is_some_and(|end| *end <= now) {
                let sample = self.watch.sample();
                self.found.server.push(self.watch.between(&at_phase, &sample));
                at_phase = sample;
                next_end += 1;
                if next_end == ends.len() {
                    // While everybody is still connected.
                    self.found.processes = self.watch.processes(&arrived);
                }
            }
            if now >= at_second.0 + SECOND_NS {
                let sample = self.watch.sample();
                let seconds = (now - at_second.0) as f64 / 1e9;
                let cpu = sample.cpu_ns.saturating_sub(at_second.1.cpu_ns) as f64 / 1e7 / seconds;
                self.found.server_seconds.push((cpu, sample.rss_bytes as f64 / 1024.0 / 1024.0));
                at_second = (at_second.0 + SECOND_NS, sample);
            }
            let wake = ends.get(next_end).copied().unwrap_or(u64::MAX).min(at_second.0 + SECOND_NS);
            match self.heard.recv_timeout(Duration::from_nanos(wake.saturating_sub(now_ns()).max(1))) {
                Ok((worker, said)) => self.hear(worker, said)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Stop::unreachable("every worker is gone")),
            }
        }
        self.found.clock_moved_ms = (wall_ns().wrapping_sub(now_ns()) as i64 - wall_before as i64) as f64 / 1e6;
        Ok(())
    }

    fn hear(&mut self, worker: usize, said: Said) -> Result<(), Stop> {
        match said {
            Said::Interval(interval) => {
                let second = interval.second as usize;
                let seconds = &mut self.found.seconds;
                if seconds.len() <= second {
                    seconds.resize_with(second + 1, Vec::new);
                }
                seconds[second].push(*interval);
                if seconds[second].len() == self.done.len() {
                    self.show(second);
                }
            }
            Said::Done(outcome) => self.done[worker] = Some(*outcome),
            Said::Failed { unreachable, why } if self.done[worker].is_none() => return Err(failed(unreachable, why)),
            Said::Failed { .. } | Said::Arriving { .. } | Said::Arrived => {}
        }
        Ok(())
    }

    fn show(&mut self, second: usize) {
        let parts = &self.found.seconds[second];
        let sum = |of: fn(&Interval) -> u64| parts.iter().map(of).sum::<u64>();
        let (acknowledged, delivered) = merged(parts);
        let mut left = second as f64;
        let phase = self.scenario.phases.iter().find(|phase| {
            left -= phase.seconds;
            left < 0.0
        });
        let phase = phase.map_or("the end", |phase| phase.name.as_str());
        let (cpu, rss) = self.found.server_seconds.last().copied().unwrap_or_default();
        let line = format!(
            "{phase} {second} s: {} of {} messages/s delivered, acknowledged p50 {:.2} p99 {:.2}, delivered p50 {:.2} p99 {:.2} ms, {} connected, {} waiting, \
             server {cpu:.0} % {rss:.0} MiB, generator {:.0} %",
            sum(|part| part.delivered),
            sum(|part| part.intended),
            acknowledged.at_ms(50.0),
            acknowledged.at_ms(99.0),
            delivered.at_ms(50.0),
            delivered.at_ms(99.0),
            sum(|part| part.connected),
            sum(|part| part.waiting),
            parts.iter().map(|part| part.cpu_ns).max().unwrap_or(0) as f64 / 1e7,
        );
        self.progress.show(&line);
    }

    fn finish(self) -> Found {
        let mut found = self.found;
        found.outcomes = self.done.into_iter().flatten().collect();
        let users: u64 = found.outcomes.iter().map(|outcome| outcome.users).sum();
        let grown: u64 = found.outcomes.iter().map(|outcome| outcome.rss_bytes.1.saturating_sub(outcome.rss_bytes.0)).sum();
        let footprint = &mut found.footprint;
        footprint.users = users;
        footprint.generator_bytes_per_user = grown as f64 / users.max(1) as f64;
        footprint.server_bytes_per_user /= users.max(1) as f64;
        found
    }
}

fn failed(unreachable: bool, why: String) -> Stop {
    if unreachable { Stop::unreachable(why) } else { Stop::usage(why) }
}
