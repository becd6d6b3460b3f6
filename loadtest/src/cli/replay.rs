//! `jono-load replay`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::corpus;
use crate::replay::{self, Settings};

/// Where `jono serve --demo --no-bots` listens.
const URL: &str = "ws://127.0.0.1:8080/v1/ws";
/// Agents of the demo organisation; a server refuses these on any other address than the local one.
const DEMO_TOKENS: [&str; 2] = ["jat_demo-anna", "jat_demo-ben"];
/// Sessions of agents: each is told everything that its account holds, so that more cost more.
const AGENTS_MAX: usize = 1_000;
/// Conversations that an agent account may hold at a time.
const HELD_PER_ACCOUNT: usize = 200;

#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    /// Conversations, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    corpus: PathBuf,
    /// Where to connect; several are used in turn.
    #[arg(long = "url", value_name = "URL", default_value = URL)]
    urls: Vec<String>,
    /// Recorded seconds per second; 0 is as fast as it goes.
    #[arg(long, default_value_t = 0.0)]
    speed: f64,
    /// Only the first so many conversations.
    #[arg(long, value_name = "N")]
    conversations: Option<usize>,
    /// Agent sessions, spread over the accounts of the tokens.
    #[arg(long, value_name = "N", default_value_t = 16)]
    agents: usize,
    /// Conversations under way at a time.
    #[arg(long, value_name = "N", default_value_t = 200)]
    concurrency: usize,
    /// The public key of the site that customers come from.
    #[arg(long, default_value = "demo")]
    site: String,
    /// Id or name of the queue; default: the first of the site's that all agents serve.
    #[arg(long)]
    queue: Option<String>,
    /// Token of an agent account; several accounts hand over to each other. Default: the demo organisation's.
    #[arg(long = "token", value_name = "TOKEN")]
    tokens: Vec<String>,
    /// The same seed makes the same choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Customers, in percent, whose connection falls once on the way.
    #[arg(long = "drops", value_name = "PERCENT", default_value_t = 5)]
    drop_percent: u64,
    /// Seconds within which a connected session must have been shown what happened.
    #[arg(long, value_name = "S", default_value_t = 30)]
    patience: u64,
    /// Writes the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Starts this server first (program and arguments, separated by spaces), and ends it afterwards.
    #[arg(long, value_name = "COMMAND")]
    server: Option<String>,
    /// Kills the server with SIGKILL every so many seconds, and starts it again.
    #[arg(long, value_name = "S", requires = "server")]
    kill_every: Option<f64>,
}

/// Plays the recorded conversations; whether all promises held.
pub(super) fn run(arguments: &ReplayArguments) -> Result<bool, String> {
    let settings = settings(arguments)?;
    let scripts = corpus::read_file(&arguments.corpus, arguments.conversations)
        .map_err(|error| format!("{}: {error}", arguments.corpus.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let report = tokio::task::LocalSet::new().block_on(&runtime, replay::run(settings, scripts));
    let report = report.map_err(|error| error.to_string())?;
    println!("{report}");
    if let Some(path) = &arguments.report {
        let json = format!("{:#}\n", report.to_json());
        std::fs::write(path, json).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(report.passed)
}

fn settings(arguments: &ReplayArguments) -> Result<Settings, String> {
    let tokens = match &arguments.tokens[..] {
        [] => DEMO_TOKENS.map(str::to_owned).to_vec(),
        tokens => tokens.to_vec(),
    };
    let held_max = HELD_PER_ACCOUNT * tokens.len().min(arguments.agents);
    let wrong = if !(arguments.speed >= 0.0 && arguments.speed.is_finite()) {
        "--speed is 0 or more".to_owned()
    } else if arguments.conversations == Some(0) {
        "--conversations is at least 1".to_owned()
    } else if !(1..=AGENTS_MAX).contains(&arguments.agents) {
        format!("--agents is 1 to {AGENTS_MAX}")
    } else if arguments.concurrency == 0 || arguments.concurrency > held_max {
        format!("--concurrency is 1 to {held_max} here: an account holds at most {HELD_PER_ACCOUNT} conversations")
    } else if arguments.patience == 0 || arguments.drop_percent > 100 {
        "--patience is at least 1, --drops at most 100".to_owned()
    } else if arguments.kill_every.is_some_and(|every| !(0.1..=86_400.0).contains(&every)) {
        "--kill-every is 0.1 to 86400 seconds".to_owned()
    } else if let Some(url) = arguments.urls.iter().find(|url| !url.starts_with("ws://")) {
        format!("--url {url}: only ws:// can be used")
    } else {
        return Ok(Settings {
            urls: arguments.urls.clone(),
            speed: arguments.speed,
            concurrency: arguments.concurrency,
            agents: arguments.agents,
            site: arguments.site.clone(),
            queue: arguments.queue.clone(),
            tokens,
            seed: arguments.seed,
            drop_percent: arguments.drop_percent,
            patience: Duration::from_secs(arguments.patience),
            server: arguments.server.iter().flat_map(|command| command.split_whitespace()).map(str::to_owned).collect(),
            kill_every: arguments.kill_every.map(Duration::from_secs_f64),
            progress: true,
        });
    };
    Err(wrong)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Parsed {
        #[command(flatten)]
        arguments: ReplayArguments,
    }

    fn parsed(line: &str) -> Result<Settings, String> {
        let arguments = Parsed::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())?;
        settings(&arguments.arguments)
    }

    #[test]
    fn defaults_are_those_of_the_demo() {
        let settings = parsed("replay --corpus x").unwrap();
        assert_eq!((settings.urls.len(), settings.tokens.len(), settings.concurrency, settings.agents), (1, 2, 200, 16));
    }

    #[test]
    fn what_cannot_work_is_said_before_anything_is_done() {
        for line in [
            "--speed -1",
            "--conversations 0",
            "--agents 0",
            "--concurrency 0",
            "--concurrency 401",
            "--url http://x",
            "--kill-every 3",
            "--kill-every 0 --server x",
            "--patience 0",
        ] {
            assert!(parsed(&format!("replay --corpus x {line}")).is_err(), "{line}");
        }
        assert!(parsed("replay --corpus x --token a --token b --token c --concurrency 600").is_ok());
    }
}
