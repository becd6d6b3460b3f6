//! `jono-load peers`: the same work on every target that is installed, in turn, in one table.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::statistics::median;
use crate::report::Report;
use crate::run::{Options, Progress, Stop, play};
use crate::scenario::Scenario;

/// A target with the command that starts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// For people: the name of its folder.
    pub name: String,
    /// The protocol.
    pub target: String,
    pub command: String,
}

/// A row of the table: medians over the trials.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    pub name: String,
    pub revision: String,
    pub durability: String,
    /// Trials that count.
    pub trials: usize,
    /// Trials in which a promise was broken.
    pub broken: usize,
    pub delivered_per_second: f64,
    pub throughput_percent: f64,
    pub acknowledged_p50_ms: f64,
    pub acknowledged_p99_ms: f64,
    pub delivered_p50_ms: f64,
    pub delivered_p99_ms: f64,
    pub messages_per_cpu_second: f64,
    pub server_mib: f64,
    pub bytes_per_user: f64,
    /// Why trials do not count, or why it was not started.
    pub remarks: Vec<String>,
}

/// What was found out about a peer so far.
#[derive(Default)]
struct Found {
    /// Of trials that count.
    reports: Vec<Report>,
    remarks: Vec<String>,
    broken: usize,
    is_given_up: bool,
}

/// The peers of a directory: each a folder with a script `start`.
pub(crate) fn find(directory: &Path, class: &str) -> Result<Vec<Peer>, Stop> {
    let entries = std::fs::read_dir(directory).map_err(|error| Stop::usage(format!("{}: {error}", directory.display())))?;
    let mut folders: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.join("start").is_file()).collect();
    folders.sort();
    let peers = folders.iter().filter_map(|folder| {
        let name = folder.file_name()?.to_str()?.to_owned();
        // Several servers speak the protocol of the echo.
        let target = if name.starts_with("echo") { "echo".to_owned() } else { name.clone() };
        let command = format!("{} {class}", folder.join("start").display());
        Some(Peer { name, target, command })
    });
    Ok(peers.collect())
}

/// Plays the scenario on each in turn, so many times.
pub(crate) fn compare(scenario: &Scenario, peers: &[Peer], trials: u32, options: &Options) -> Result<Vec<Row>, Stop> {
    let mut progress = Progress::new(options.quiet);
    let mut found: Vec<Found> = peers.iter().map(|_| Found::default()).collect();
    for trial in 1..=trials {
        for (peer, found) in peers.iter().zip(&mut found) {
            if found.is_given_up {
                continue;
            }
            progress.say(&format!("trial {trial} of {trials}: {}", peer.name));
            match play(on(scenario, peer), options) {
                Ok((report, _)) if report.verdict.valid && report.wrong.is_clean() => found.reports.push(report),
                Ok((report, _)) => {
                    found.broken += usize::from(!report.wrong.is_clean());
                    found.remarks.push(format!("trial {trial}: {}", report.verdict.reasons.join("; ")));
                }
                Err(stop) if stop.code == crate::cli::EXIT_INTERRUPTED => return Err(stop),
                Err(stop) => {
                    progress.say(&format!("{}: {}", peer.name, stop.why));
                    found.remarks.push(format!("trial {trial}: {}", stop.why));
                    // One that could not be started the first time will not be the next time either.
                    found.is_given_up = found.reports.is_empty();
                }
            }
        }
    }
    Ok(peers.iter().zip(found).map(|(peer, found)| row(peer, found)).collect())
}

fn on(scenario: &Scenario, peer: &Peer) -> Scenario {
    let mut scenario = scenario.clone();
    scenario.target.name.clone_from(&peer.target);
    scenario.target.server.clone_from(&peer.command);
    // Objectives are for one target; here everybody is only measured.
    scenario.slos.clear();
    scenario
}

fn row(peer: &Peer, found: Found) -> Row {
    let Found { reports, remarks, broken, .. } = found;
    let number = |of: &dyn Fn(&Report) -> Option<f64>| median(&reports.iter().filter_map(of).collect::<Vec<_>>());
    let time = |name: &'static str, percentile: f64| {
        number(&move |report: &Report| report.total.times.get(name).map(|times| times.histogram.at_ms(percentile)))
    };
    let metric = |name: &'static str| number(&move |report: &Report| report.number(name, &report.total));
    Row {
        name: peer.name.clone(),
        revision: reports.first().map_or_else(String::new, |report| report.target.revision.clone()),
        durability: reports.first().map_or_else(String::new, |report| report.target.durability.clone()),
        trials: reports.len(),
        broken,
        delivered_per_second: metric("messages_per_second"),
        throughput_percent: metric("throughput_percent"),
        acknowledged_p50_ms: time("acknowledged", 50.0),
        acknowledged_p99_ms: time("acknowledged", 99.0),
        delivered_p50_ms: time("delivered", 50.0),
        delivered_p99_ms: time("delivered", 99.0),
        messages_per_cpu_second: metric("messages_per_cpu_second"),
        server_mib: metric("server_rss_mib"),
        bytes_per_user: metric("bytes_per_visitor"),
        remarks,
    }
}

/// The table, as Markdown, which reads in a terminal as well.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = "| target | class | trials | delivered/s | of intended | acknowledged p50 / p99 ms | delivered p50 / p99 ms | messages per CPU-second | MiB | \
                    bytes a user |\n|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows.iter().filter(|row| row.trials > 0) {
        text += &format!(
            "| {} | {} | {} | {:.0} | {:.1} % | {:.2} / {:.2} | {:.2} / {:.2} | {:.0} | {:.0} | {:.0} |\n",
            row.name,
            row.durability,
            row.trials,
            row.delivered_per_second,
            row.throughput_percent,
            row.acknowledged_p50_ms,
            row.acknowledged_p99_ms,
            row.delivered_p50_ms,
            row.delivered_p99_ms,
            row.messages_per_cpu_second,
            row.server_mib,
            row.bytes_per_user
        );
    }
    for row in rows {
        for remark in &row.remarks {
            text += &format!("\n{}: {remark}", row.name);
        }
    }
    text
}
