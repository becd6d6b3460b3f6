//! `jono-load run` and `jono-load validate`.

use std::path::PathBuf;

use clap::Args;

use super::{EXIT_FAILED, EXIT_INVALID};
use crate::report::Report;
use crate::run::{Options, Stop, play, write};
use crate::scenario::{self, Scenario};

/// Generator processes of one run: each numbers its conversations with its share of the bits.
const WORKERS_MAX: u32 = 16;

/// Keys that hold credentials.
const SECRET: [&str; 2] = ["target.operator", "target.tokens"];

/// Which scenario, with what put over it.
#[derive(Clone, Debug, Args)]
pub(super) struct ScenarioArguments {
    /// The scenario, a TOML file; `jono-load keys` lists what can stand in it.
    #[arg(value_name = "SCENARIO.toml")]
    pub scenario: PathBuf,
    /// Puts a value over the scenario's: `seed=2`, `population.idle=1000`, `phase.steady.seconds=60`, `phase.*.messages_per_second=500`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// What is loaded: jono, echo, socketio, nats, ejabberd.
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// Where it listens.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Starts this server first (program and arguments, separated by spaces; {temp} is a new directory), and ends it afterwards. Its limits by session are lifted if it is Jono.
    #[arg(long, value_name = "COMMAND")]
    pub server: Option<String>,
    /// Jono: token of an operator, in whose organisation a queue, a site and agents are made for the run.
    #[arg(long, value_name = "TOKEN", env = "JONO_LOAD_OPERATOR", hide_env_values = true)]
    pub operator: Option<String>,
    /// HOST:PORT of the server's Redis, whose commands and CPU are counted.
    #[arg(long, value_name = "HOST:PORT")]
    pub redis: Option<String>,
}

impl ScenarioArguments {
    /// Everything that stands over the scenario, as assignments.
    pub fn assignments(&self) -> Vec<String> {
        let flags = [
            ("name", &self.target),
            ("url", &self.url),
            ("server", &self.server),
            ("operator", &self.operator),
            ("redis", &self.redis),
        ];
        let given = flags.into_iter().filter_map(|(key, value)| {
            let value = toml::Value::String(value.clone()?);
            Some(format!("target.{key}={value}"))
        });
        self.set.iter().cloned().chain(given).collect()
    }

    /// Reads and checks the scenario, with more assignments over everything.
    pub fn read(&self, more: &[String]) -> Result<Scenario, Stop> {
        let assignments: Vec<String> = self.assignments().into_iter().chain(more.iter().cloned()).collect();
        scenario::read_file(&self.scenario, &assignments).map_err(|problems| Stop::problems(&self.scenario, &problems))
    }
}

/// Assignments as reports may show them: without credentials.
pub(super) fn shown(assignments: &[String]) -> Vec<String> {
    let secret = |assignment: &&String| !SECRET.iter().any(|key| assignment.trim_start().starts_with(key));
    assignments.iter().filter(secret).cloned().collect()
}

/// How it is played.
#[derive(Clone, Debug, Args)]
pub(super) struct PlayArguments {
    /// Generator processes that play as one, each with up to 20 000 connections or what the system allows.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(WORKERS_MAX)))]
    pub workers: u32,
    /// Processes of the server, if they cannot be found by the port they listen on.
    #[arg(long = "pid", value_name = "PID")]
    pub pids: Vec<u32>,
    /// The directory for results.
    #[arg(long, value_name = "DIR", default_value = "load-results")]
    pub out: PathBuf,
    /// Say nothing while it goes on.
    #[arg(long)]
    pub quiet: bool,
}

impl PlayArguments {
    pub fn options(&self, set: &[String]) -> Options {
        Options {
            workers: self.workers,
            pids: self.pids.clone(),
            set: shown(set),
            quiet: self.quiet,
            quiet_server: false,
            out: self.out.clone(),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    scenario: ScenarioArguments,
    #[command(flatten)]
    play: PlayArguments,
}

/// The exit code that a result deserves.
pub(super) fn code(report: &Report) -> u8 {
    match (report.verdict.valid, report.verdict.passed) {
        // A broken promise is one, however slow the generator was.
        _ if !report.wrong.is_clean() => EXIT_FAILED,
        (false, _) => EXIT_INVALID,
        (true, false) => EXIT_FAILED,
        (true, true) => 0,
    }
}

pub(super) fn run(arguments: &RunArguments) -> Result<u8, Stop> {
    let scenario = arguments.scenario.read(&[])?;
    let options = arguments.play.options(&arguments.scenario.set);
    let (report, seconds) = play(scenario, &options)?;
    let [json, html, hlog] = write(&report, &seconds, &options.out).map_err(Stop::usage)?;
    println!("{report}\n\n{}  {}\n{}", json.display(), hlog.display(), html.display());
    Ok(code(&report))
}

pub(super) fn validate(arguments: &ScenarioArguments) -> Result<u8, Stop> {
    let scenario = arguments.read(&[])?;
    let filled_in = serde_json::to_string_pretty(&scenario).map_err(|error| Stop::usage(error.to_string()))?;
    println!("{filled_in}");
    Ok(0)
}
