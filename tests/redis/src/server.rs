//! One server: its process, its port and its directory.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::raw::{RawConnection, Reply};
use crate::wait_until;

/// A port of a cluster node and that of its bus are this far apart.
const BUS_DISTANCE: u16 = 10_000;

/// A running server.
#[derive(Debug)]
pub struct RedisServer {
    child: Option<Child>,
    dir: TempDir,
    port: u16,
    config: Vec<String>,
}

impl RedisServer {
    /// Starts a server with these lines of configuration, such as `appendonly yes`, and waits until it answers.
    /// Without any it saves nothing.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(config: &[&str]) -> Self {
        let mut server = Self::prepare(config);
        server.restart();
        server
    }

    /// A server that is not started yet.
    pub(crate) fn prepare(config: &[&str]) -> Self {
        let dir = TempDir::with_prefix("jono-redis-").expect("a temporary directory");
        Self { child: None, dir, port: free_port(), config: config.iter().map(|line| (*line).to_owned()).collect() }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its files are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The number of its process.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server is running").id()
    }

    /// A new connection.
    ///
    /// # Panics
    /// When there is none to be had.
    #[must_use]
    pub fn connection(&self) -> RawConnection {
        RawConnection::open(self.port).expect("the server takes connections")
    }

    /// One command over a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn command<T: AsRef<[u8]>>(&self, parts: &[T]) -> Reply {
        self.connection().command(parts)
    }

    /// A command given in words, such as `CONFIG SET appendfsync no`.
    ///
    /// # Panics
    /// When there is no answer, or an error.
    pub fn run(&self, words: &str) -> Reply {
        let reply = self.command(&words.split_whitespace().collect::<Vec<_>>());
        assert!(!matches!(reply, Reply::Error(_)), "{words}: {reply:?}");
        reply
    }

    /// One line of `INFO`.
    ///
    /// # Panics
    /// When there is no such line.
    #[must_use]
    pub fn info(&self, name: &str) -> String {
        let info = self.command(&["INFO", "everything"]).text();
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("INFO has no {name}")).trim().to_owned()
    }

    /// Ends the process without a warning.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts the process anew (after killing it, if it is running) on the same port and files, and waits until it
    /// answers.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.spawn();
        self.wait_until_up();
    }

    /// Starts the process without waiting for it.
    ///
    /// # Panics
    /// When it does not start.
    pub fn spawn(&mut self) {
        self.kill9();
        let log = File::options().create(true).append(true).open(self.dir().join("log")).expect("a log file");
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]);
        for line in &self.config {
            let (name, value) = line.split_once(' ').expect("a line of configuration has a name and a value");
            command.arg(format!("--{name}")).args(value.split(' '));
        }
        command.current_dir(self.dir()).stdin(Stdio::null()).stdout(log.try_clone().expect("a log file")).stderr(log);
        match command.spawn() {
            Ok(child) => self.child = Some(child),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                panic!("these tests need redis-server: apt-get install redis-server")
            }
            Err(error) => panic!("redis-server does not start: {error}"),
        }
    }

    /// Waits until it answers, and has read its files.
    ///
    /// # Panics
    /// When it ends instead: with its log.
    pub fn wait_until_up(&mut self) {
        wait_until("redis-server answers", || {
            let child = self.child.as_mut().expect("the server was started");
            if let Some(status) = child.try_wait().expect("a child can be asked") {
                let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                panic!("redis-server has ended with {status}:\n{log}");
            }
            let answer = RawConnection::open(self.port).and_then(|mut connection| connection.try_command(&["PING"]));
            matches!(answer, Ok(Reply::Bytes(_)))
        });
    }

    /// Changes a line of configuration for the next [`restart`](Self::restart).
    pub fn configure(&mut self, line: &str) {
        let name = line.split(' ').next().unwrap_or_default().to_owned();
        self.config.retain(|known| known.split(' ').next() != Some(&*name));
        self.config.push(line.to_owned());
    }

    /// Removes its files, but those of a cluster node about its cluster. For a server that is not running.
    ///
    /// # Panics
    /// When it is running.
    pub fn lose_data(&mut self) {
        assert!(self.child.is_none(), "the server is running");
        // They are there only if it ever saved.
        let _ = fs::remove_dir_all(self.dir().join("appendonlydir"));
        let _ = fs::remove_file(self.dir().join("dump.rdb"));
    }

    /// Stops the process as it stands: it keeps its connections and answers nothing.
    ///
    /// # Panics
    /// When it is not running.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Ends what [`freeze`](Self::freeze) began.
    ///
    /// # Panics
    /// When it is not running.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).expect("a process has a number");
        kill_process(pid, signal).expect("a process of ours takes signals");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// A port that nobody listens on, and whose bus port is free, too. Tests of other processes look elsewhere first.
fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let seed = (std::process::id() % u32::from(COUNT)) as u16;
    loop {
        let offset = (seed.wrapping_mul(37) % COUNT + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = FIRST + offset;
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + BUS_DISTANCE) {
            return port;
        }
    }
}
