//! The server under test as a child process: started, waited for, ended.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Stop, interrupt};

/// Time for a server to say that it listens: a script may have to build or install it first.
const START_MAX: Duration = Duration::from_secs(1_800);
/// How often it is looked whether somebody wants an end.
const LOOK: Duration = Duration::from_millis(200);
/// After this long it is said what is waited for.
const PATIENT: Duration = Duration::from_secs(10);
/// Time for a server to end by itself.
const END_MAX: Duration = Duration::from_secs(10);
/// What Jono grants one session is meant for people; these lift it, since one connection stands for many here.
const LIFTED: [&str; 14] = [
    "JONO_SESSIONS_CUSTOMER_STARTS_PER_MINUTE",
    "JONO_SESSIONS_CUSTOMER_STARTS_BURST",
    "JONO_SESSIONS_CUSTOMER_WRITES_PER_MINUTE",
    "JONO_SESSIONS_CUSTOMER_WRITES_BURST",
    "JONO_SESSIONS_CUSTOMER_SIGNALS_PER_MINUTE",
    "JONO_SESSIONS_CUSTOMER_SIGNALS_BURST",
    "JONO_SESSIONS_AGENT_WRITES_PER_MINUTE",
    "JONO_SESSIONS_AGENT_WRITES_BURST",
    "JONO_SESSIONS_AGENT_SIGNALS_PER_MINUTE",
    "JONO_SESSIONS_AGENT_SIGNALS_BURST",
    "JONO_SOCKETS_FRAMES_PER_SECOND",
    "JONO_SOCKETS_FRAMES_BURST",
    "JONO_SOCKETS_BYTES_PER_SECOND",
    "JONO_SOCKETS_BYTES_BURST",
];

/// The most that may be granted of the one that has another bound.
const REQUESTS_MAX: &str = "1000000";
/// Lines of the server's own words that are kept for the case that it does not start.
const LINES_KEPT: usize = 5;

/// A server that ends with us.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it listens, if it said so: `ws://..`.
    pub url: Option<String>,
    /// Processes that count as the server's besides its own and their children, if it named some.
    pub pids: Vec<u32>,
    /// What it said of itself.
    pub revision: Option<String>,
    pub durability: Option<String>,
    /// Where it keeps what it stores, if it asked for a place; removed with it.
    place: Option<PathBuf>,
}

/// In a command: a new, empty directory that is removed when the server ends.
const TEMPORARY: &str = "{temp}";

impl Server {
    /// Starts a command (words separated by spaces; `{temp}` is a new directory) and waits until it says where it listens: `listening on IP:PORT`, as Jono does, or `ready url=.. pids=.. class=..`. If it is Jono, itself or behind another program, the limits of its sessions are lifted.
    pub fn start(command: &str, is_jono: bool, quiet: bool) -> Result<Self, Stop> {
        let place = command.contains(TEMPORARY).then(new_directory).transpose()?;
        let named = place.as_deref().map_or_else(String::new, |place| place.display().to_string());
        let command = command.replace(TEMPORARY, &named);
        let mut words = command.split_whitespace();
        let program = words.next().ok_or_else(|| Stop::usage("the server's command is empty"))?;
        let mut command = Command::new(program);
        // A group of its own: Ctrl-C is for us, who end it in good order.
        command.args(words).process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if is_jono {
            command.envs(LIFTED.map(|name| (name, u32::MAX.to_string())));
            command.env("JONO_SESSIONS_REQUESTS", REQUESTS_MAX);
            // What it says of every request of the preparation would hide what it warns of.
            if std::env::var_os("JONO_LOG_LEVEL").is_none() {
                command.env("JONO_LOG_LEVEL", "warn");
            }
        }
        let mut child = command.spawn().map_err(|error| Stop::unreachable(format!("cannot start {program}: {error}")))?;
        let (said, lines) = mpsc::channel();
        if let Some(out) = child.stdout.take() {
            // Reads for as long as the server lives, so that it never waits for us.
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    let _ = said.send(line);
                }
            });
        }
        let last = follow_words(child.stderr.take(), quiet);
        let mut server = Self { child, url: None, pids: Vec::new(), revision: None, durability: None, place };
        let begun = Instant::now();
        let mut said_so = false;
        let failed = loop {
            interrupt::check()?;
            match lines.recv_timeout(LOOK) {
                Ok(line) if server.understands(&line) => return Ok(server),
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break "ended before it said where it listens".to_owned(),
                Err(RecvTimeoutError::Timeout) if begun.elapsed() > START_MAX => {
                    break format!("has not said within {} minutes where it listens", START_MAX.as_secs() / 60);
                }
                Err(RecvTimeoutError::Timeout) if !said_so && begun.elapsed() > PATIENT => {
                    said_so = true;
                    eprintln!(
                        "{program} is not ready yet; the first time it may have to be built or installed, which takes minutes"
                    );
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        let last = last.lock().map_or_else(|_| String::new(), |lines| lines.join("\n"));
        Err(Stop::unreachable(format!("{program} {failed}\n{last}")))
    }

    fn understands(&mut self, line: &str) -> bool {
        if let Some(facts) = line.strip_prefix("ready ") {
            for (name, value) in facts.split_whitespace().filter_map(|fact| fact.split_once('=')) {
                match name {
                    "url" => self.url = Some(value.to_owned()),
                    "pids" => self.pids = value.split(',').filter_map(|pid| pid.parse().ok()).collect(),
                    "class" => self.durability = Some(value.to_owned()),
                    "revision" => self.revision = Some(value.to_owned()),
                    _ => {}
                }
            }
            return true;
        }
        let Some((before, after)) = line.split_once("listening on ") else { return false };
        let address = after.split([',', ';', ' ']).next().unwrap_or_default().trim_start_matches("http://");
        self.url = Some(format!("ws://{address}/"));
        if let Some(named) = before.strip_prefix("jono ") {
            self.url = Some(format!("ws://{address}/v1/ws"));
            self.revision = named.split(':').next().map(str::to_owned);
            let durability = before.split_once("durability ").and_then(|(_, rest)| rest.split(':').next());
            self.durability = durability.map(str::to_owned);
        }
        true
    }

    /// Its processes now.
    pub fn processes(&self) -> Vec<u32> {
        let mut pids = crate::measure::process::family(self.child.id());
        for pid in &self.pids {
            if !pids.contains(pid) {
                pids.push(*pid);
            }
        }
        pids
    }
}

/// Passes on what the server says of itself, unless `quiet`, and keeps the last lines.
fn follow_words(words: Option<ChildStderr>, quiet: bool) -> Arc<Mutex<Vec<String>>> {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let last = Arc::clone(&kept);
    std::thread::spawn(move || {
        let lines = words.into_iter().flat_map(|words| BufReader::new(words).lines().map_while(Result::ok));
        for line in lines {
            if !quiet {
                eprintln!("{line}");
            }
            if let Ok(mut last) = last.lock() {
                if last.len() == LINES_KEPT {
                    last.remove(0);
                }
                last.push(line);
            }
        }
    });
    kept
}

fn new_directory() -> Result<PathBuf, Stop> {
    let name = format!("jono-load-{}-{}", std::process::id(), crate::clock::now_ns());
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir(&path).map_err(|error| Stop::usage(format!("{}: {error}", path.display())))?;
    Ok(path)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
        if let Some(place) = &self.place {
            // What is left of it harms nobody.
            let _ = std::fs::remove_dir_all(place);
        }
    }
}

impl Server {
    fn end(&mut self) {
        // It may have ended by itself; SIGTERM first, so that a script can end what it has started. All of its group, since a script that waits
        // for a command hears nothing until that has ended.
        let asked = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .is_some_and(|pid| kill_process_group(pid, Signal::TERM).is_ok());
        let deadline = Instant::now() + END_MAX;
        while asked && Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
