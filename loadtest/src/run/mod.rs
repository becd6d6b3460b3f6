//! `jono-load run`: starts generators, leads them through the phases, watches the server, and puts the result together.

mod http;
mod interrupt;
mod lead;
mod output;
mod prepare;
mod progress;
pub(crate) mod server;
mod watch;
mod workers;

use std::path::PathBuf;

pub(crate) use lead::lead;
pub(crate) use output::write;
pub(crate) use progress::Progress;

use crate::measure::Times;
use crate::report::Report;
use crate::scenario::{Problem, Scenario};

/// A run that ended without a result: what to say, and with which exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// One of the exit codes of [`crate::cli`].
    pub code: u8,
    /// In words.
    pub why: String,
}

impl Stop {
    pub(crate) fn usage(why: impl Into<String>) -> Self {
        Self { code: crate::cli::EXIT_USAGE, why: why.into() }
    }

    pub(crate) fn unreachable(why: impl Into<String>) -> Self {
        Self { code: crate::cli::EXIT_UNREACHABLE, why: why.into() }
    }

    pub(crate) fn problems(path: &std::path::Path, problems: &[Problem]) -> Self {
        let lines: Vec<String> = problems.iter().map(|problem| format!("{}: {problem}", path.display())).collect();
        Self::usage(lines.join("\n"))
    }
}

/// What a run is made of, besides the scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Generator processes.
    pub workers: u32,
    /// Processes of the server; empty: who listens there.
    pub pids: Vec<u32>,
    /// Assignments of the command line, for the report.
    pub set: Vec<String>,
    /// Say nothing while it goes on.
    pub quiet: bool,
    /// Keep the server's own words back.
    pub quiet_server: bool,
    /// Where results are written.
    pub out: PathBuf,
}

/// This program, for workers.
fn program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// Plays a scenario from beginning to end, with its server if it has one.
pub(crate) fn play(mut scenario: Scenario, options: &Options) -> Result<(Report, Vec<(Times, Times)>), Stop> {
    interrupt::listen();
    let server = start_server(&mut scenario, options.quiet || options.quiet_server)?;
    lead(&scenario, server.as_ref(), options)
}

/// The server that a scenario wants to be started, and the URL that follows.
fn start_server(scenario: &mut Scenario, quiet: bool) -> Result<Option<server::Server>, Stop> {
    if scenario.target.server.is_empty() {
        return Ok(None);
    }
    let server = server::Server::start(&scenario.target.server, scenario.target.name == "jono", quiet)?;
    if let Some(url) = &server.url {
        scenario.target.url.clone_from(url);
    }
    Ok(Some(server))
}
