//! `jono`: the command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jono_gateway::config::{Config, Flag, Problems};
use jono_gateway::server::{self, Failure, VERSION};
use jono_gateway::{http, operator, wire};

/// Messages are allocated on one thread and freed on another all the time; the system's allocator pays for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Something went wrong while running.
const FAILED: u8 = 1;
/// The command line, the environment or the file is wrong.
const MISCONFIGURED: u8 = 2;

/// A realtime engine for customer support. Without arguments: `jono serve --demo`.
#[derive(Parser)]
#[command(name = "jono", version = VERSION)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serves.
    ///
    /// Each over the one before: the defaults, the file of `--config`, the variables `JONO_...`, the flags.
    Serve(Serve),
    /// Prints the effective configuration and where each value came from, or everything that is wrong.
    CheckConfig(File),
    /// About the processes that share a Redis.
    #[command(subcommand)]
    Cluster(Cluster),
    /// Examines Redis and this machine, and says how to mend what is not fit for Jono.
    ///
    /// Ends with 1 if something is not fit.
    Doctor(OnRedis),
    /// Prints the root key that processes on a Redis share, unless they are given another.
    RootKey(OnRedis),
    /// Prints a document.
    Schema {
        /// Which.
        document: Document,
    },
}

#[derive(Subcommand)]
enum Cluster {
    /// Prints the processes, their shards, and what waits in them.
    Status {
        #[command(flatten)]
        on: OnRedis,
        /// As a JSON object.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args, Default)]
struct OnRedis {
    #[command(flatten)]
    file: File,
    /// redis://host:port, or some nodes of a Redis Cluster separated by commas [variable: JONO_REDIS].
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// The durability that Redis must give: memory, second, disk or replica [variable: JONO_DURABILITY] [default: disk].
    #[arg(long, value_name = "LEVEL")]
    durability: Option<String>,
}

#[derive(Args, Default)]
struct File {
    /// A TOML file; docs/configuration.md lists the keys and their variables.
    #[arg(long, value_name = "FILE", env = "JONO_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Args, Default)]
struct Serve {
    #[command(flatten)]
    file: File,
    /// The directory of the records; made at the first start [variable: JONO_DATA] [default: ./jono-data].
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Where to listen, IP:PORT; may be given several times, in the variable separated by commas [variable: JONO_LISTEN] [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// Keeps the state in Redis, for any number of processes: redis://host:port, or some nodes of a Redis Cluster separated by commas
    /// [variable: JONO_REDIS].
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// What an acknowledgement survives: memory, second, disk or replica [variable: JONO_DURABILITY] [default: disk].
    #[arg(long, value_name = "LEVEL")]
    durability: Option<String>,
    /// What this process does: all, gateway or engine [variable: JONO_ROLE] [default: all].
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Creates a demo organisation with public credentials; on loopback addresses only [variable: JONO_DEMO=true].
    #[arg(long)]
    demo: bool,
    /// Keeps the demo's scripted visitors and its scripted agent away [variable: JONO_NO_BOTS=true].
    #[arg(long)]
    no_bots: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Document {
    /// The WebSocket protocol, for machines.
    Openrpc,
    /// The admin API, for machines.
    Openapi,
    /// The WebSocket protocol, for people.
    Protocol,
}

pub(crate) fn main() -> ExitCode {
    match Line::parse().command {
        None => serve(Serve { demo: true, ..Serve::default() }),
        Some(Command::Serve(flags)) => serve(flags),
        Some(Command::CheckConfig(file)) => check(&file),
        Some(Command::Cluster(Cluster::Status { on, json })) => {
            ask(&on, async |config| operator::status(&config, json).await.map(|text| (text, true)))
        }
        Some(Command::Doctor(on)) => ask(&on, async |config| operator::doctor(&config).await),
        Some(Command::RootKey(on)) => ask(&on, async |config| operator::root_key(&config).await.map(|text| (text, true))),
        Some(Command::Schema { document }) => print(&match document {
            Document::Openrpc => format!("{:#}\n", wire::openrpc()),
            Document::Openapi => format!("{:#}\n", http::openapi()),
            Document::Protocol => wire::protocol_markdown(),
        }),
    }
}

fn serve(flags: Serve) -> ExitCode {
    let config = match load(&flags.file, &flags.settings()) {
        Ok(config) => config,
        Err(problems) => return misconfigured(&problems),
    };
    match server::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Configuration(why)) => fail(&why, MISCONFIGURED),
        Err(Failure::Running(why)) => fail(&why, FAILED),
    }
}

/// Prints what an operator asked; a `false` beside it is a failure.
fn ask(on: &OnRedis, question: impl AsyncFnOnce(Config) -> Result<(String, bool), Failure>) -> ExitCode {
    let given = [("--redis", &on.redis), ("--durability", &on.durability)];
    let flags: Vec<Flag> = given.into_iter().filter_map(|(flag, value)| Some(Flag { flag, value: value.clone()? })).collect();
    let config = match load(&on.file, &flags) {
        Ok(config) => config,
        Err(problems) => return misconfigured(&problems),
    };
    match actix::System::new().block_on(question(config)) {
        Ok((text, true)) => print(&text),
        Ok((text, false)) => {
            print(&text);
            ExitCode::from(FAILED)
        }
        Err(Failure::Configuration(why)) => fail(&why, MISCONFIGURED),
        Err(Failure::Running(why)) => fail(&why, FAILED),
    }
}

fn check(file: &File) -> ExitCode {
    match load(file, &[]) {
        Ok(config) => print(&config.effective()),
        Err(problems) => misconfigured(&problems),
    }
}

fn load(file: &File, flags: &[Flag]) -> Result<Config, Problems> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
    // Read by `jono-armed`; to the shipped program it is a setting that does not exist.
    let environment = environment.filter(|(name, _)| !cfg!(feature = "armed") || name != "JONO_KILL_AT");
    Config::load(file.config.as_deref(), environment, flags)
}

impl Serve {
    fn settings(&self) -> Vec<Flag> {
        let listen = (!self.listen.is_empty()).then(|| self.listen.join(","));
        let given = [
            ("--data", self.data.clone()),
            ("--listen", listen),
            ("--durability", self.durability.clone()),
            ("--redis", self.redis.clone()),
            ("--role", self.role.clone()),
            ("--demo", self.demo.then(|| "true".to_owned())),
            ("--no-bots", self.no_bots.then(|| "true".to_owned())),
        ];
        given.into_iter().filter_map(|(flag, value)| Some(Flag { flag, value: value? })).collect()
    }
}

fn misconfigured(problems: &Problems) -> ExitCode {
    fail(&problems.to_string(), MISCONFIGURED)
}

fn fail(why: &str, code: u8) -> ExitCode {
    // Nobody may be reading.
    let _ = writeln!(std::io::stderr(), "{}", why.lines().map(|line| format!("jono: {line}")).collect::<Vec<_>>().join("\n"));
    ExitCode::from(code)
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}
