//! `jono-load saturate`, `trials`, `peers` and `compare`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::run::{PlayArguments, ScenarioArguments, shown};
use super::{EXIT_FAILED, EXIT_INVALID};
use crate::report::{Report, compare as comparison};
use crate::run::{Options, Stop};
use crate::trials::{alternate, peers, saturate as saturation};

#[derive(Debug, Args)]
pub(super) struct SaturateArguments {
    #[command(flatten)]
    scenario: ScenarioArguments,
    #[command(flatten)]
    play: PlayArguments,
    /// Which rate is searched for.
    #[arg(long, value_enum, default_value = "messages")]
    of: saturation::Of,
    /// The first rate, a second.
    #[arg(long, value_name = "RATE", default_value_t = 500.0)]
    from: f64,
    /// Never more than this.
    #[arg(long, value_name = "RATE", default_value_t = 1_000_000.0)]
    most: f64,
    /// How near to the truth.
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    resolution: f64,
}

#[derive(Debug, Args)]
pub(super) struct TrialsArguments {
    #[command(flatten)]
    scenario: ScenarioArguments,
    #[command(flatten)]
    play: PlayArguments,
    /// Put over the scenario for A; may be given several times.
    #[arg(long = "a", value_name = "KEY=VALUE")]
    a: Vec<String>,
    /// Put over the scenario for B.
    #[arg(long = "b", value_name = "KEY=VALUE")]
    b: Vec<String>,
    /// How often each is played.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=100))]
    trials: u32,
}

#[derive(Debug, Args)]
pub(super) struct PeersArguments {
    #[command(flatten)]
    scenario: ScenarioArguments,
    #[command(flatten)]
    play: PlayArguments,
    /// The directory with a folder for each peer.
    #[arg(long, value_name = "DIR", default_value = "loadtest/peers")]
    peers: PathBuf,
    /// Only these.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// The durability class, the same for all.
    #[arg(long, value_name = "CLASS", default_value = "memory", value_parser = ["memory", "second", "disk"])]
    class: String,
    /// The program `jono`, to be one of them.
    #[arg(long, value_name = "PROGRAM")]
    jono: Option<String>,
    /// How often each is played.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    trials: u32,
}

#[derive(Debug, Args)]
pub(super) struct CompareArguments {
    /// The first result.
    #[arg(value_name = "A.json")]
    a: PathBuf,
    /// The second.
    #[arg(value_name = "B.json")]
    b: PathBuf,
}

fn save(value: &impl Serialize, directory: &Path, name: &str) -> Result<PathBuf, Stop> {
    let path = directory.join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(value).map_err(|error| Stop::usage(error.to_string()))?;
    let written = std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&path, text + "\n"));
    written.map_err(|error| Stop::usage(format!("cannot write {}: {error}", path.display())))?;
    Ok(path)
}

pub(super) fn saturate(arguments: &SaturateArguments) -> Result<u8, Stop> {
    let positive = arguments.from > 0.0 && arguments.most > 0.0 && arguments.resolution > 0.0;
    if !positive {
        return Err(Stop::usage("--from, --most and --resolution are more than 0"));
    }
    let scenario = arguments.scenario.read(&[])?;
    let options = arguments.play.options(&arguments.scenario.set);
    let plan = saturation::Plan {
        of: arguments.of,
        begin: arguments.from,
        most: arguments.most,
        resolution_percent: arguments.resolution,
    };
    let answer = saturation::saturate(&scenario, plan, &options)?;
    let path = save(&answer, &options.out, &format!("{}-saturate", scenario.name))?;
    match (answer.highest, answer.missed) {
        (None, _) => println!("no rate held"),
        (Some(highest), Some(missed)) if !answer.at_least => println!("{highest:.1}/s holds, {missed:.1}/s does not"),
        (Some(highest), _) => println!("at least {highest:.1}/s hold: the search ended before the server did"),
    }
    println!("{}", path.display());
    Ok(match (answer.highest, answer.at_least) {
        (None, true) => EXIT_INVALID,
        (None, false) => EXIT_FAILED,
        (Some(_), _) => 0,
    })
}

pub(super) fn trials(arguments: &TrialsArguments) -> Result<u8, Stop> {
    let (a, b) = (arguments.scenario.read(&arguments.a)?, arguments.scenario.read(&arguments.b)?);
    let options = arguments.play.options(&arguments.scenario.set);
    let found = alternate::alternate([(&a, &shown(&arguments.a)), (&b, &shown(&arguments.b))], arguments.trials, &options)?;
    let path = save(&found, &options.out, &format!("{}-trials", a.name))?;
    println!("{}{}", found.text(), path.display());
    Ok(match (found.broken, found.doubts.is_empty()) {
        (true, _) => EXIT_FAILED,
        (false, false) => EXIT_INVALID,
        (false, true) => 0,
    })
}

pub(super) fn peers(arguments: &PeersArguments) -> Result<u8, Stop> {
    let scenario = arguments.scenario.read(&[])?;
    // Peers say much of themselves, and each something else.
    let options = Options { quiet_server: true, ..arguments.play.options(&arguments.scenario.set) };
    let mut found = peers::find(&arguments.peers, &arguments.class)?;
    if let Some(program) = &arguments.jono {
        let records = if arguments.class == "memory" { "" } else { " --data {temp}" };
        let command = format!("{program} serve --demo --no-bots --listen 127.0.0.1:0 --durability {}{records}", arguments.class);
        found.insert(0, peers::Peer { name: "jono".to_owned(), target: "jono".to_owned(), command });
    }
    let names: Vec<&str> = found.iter().map(|peer| peer.name.as_str()).collect();
    if let Some(unknown) = arguments.only.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(Stop::usage(format!("there is no peer {unknown:?} here; there are {}", names.join(", "))));
    }
    found.retain(|peer| arguments.only.is_empty() || arguments.only.contains(&peer.name));
    if found.is_empty() {
        return Err(Stop::usage(format!("no peer in {}", arguments.peers.display())));
    }
    let rows = peers::compare(&scenario, &found, arguments.trials, &options)?;
    let path = save(&rows, &options.out, &format!("{}-peers-{}", scenario.name, arguments.class))?;
    println!("{}\n{}", peers::table(&rows), path.display());
    Ok(if rows.iter().any(|row| row.broken > 0) {
        EXIT_FAILED
    } else if rows.iter().any(|row| row.trials == 0) {
        EXIT_INVALID
    } else {
        0
    })
}

pub(super) fn compare(arguments: &CompareArguments) -> Result<u8, Stop> {
    let a = Report::read(&arguments.a).map_err(Stop::usage)?;
    let b = Report::read(&arguments.b).map_err(Stop::usage)?;
    print!("{}", comparison::text(&a, &b));
    let invalid = !a.verdict.valid || !b.verdict.valid;
    Ok(if invalid { EXIT_INVALID } else { 0 })
}
