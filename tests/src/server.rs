//! Runs the real binary: on a port of its own, over data of its own, until the test is over.

use std::fmt::Write as _;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::armed::armed_binary;
use crate::{PATIENCE, http};

/// The root key of every server here.
pub const ROOT_KEY: &str = "the-root-key-of-servers-that-are-tested";

/// `jono`, as cargo puts it beside the tests.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn binary() -> PathBuf {
    let tests = std::env::current_exe().expect("a test knows where it is");
    let profile = tests.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
    let binary = profile.join("jono");
    assert!(binary.exists(), "{} is not there: `cargo build --bins` first", binary.display());
    binary
}

/// `jono`, with nothing of the tests' own environment.
#[must_use]
pub fn command(arguments: &[&str]) -> Command {
    bare(&binary(), arguments)
}

fn bare(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.env_clear().args(arguments).stdin(Stdio::null());
    command
}

/// Below the ports that the system gives to outgoing connections, so that nobody takes it during a restart.
const PORTS: std::ops::Range<u16> = 10_000..30_000;
static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

/// An address that nobody listens on.
fn free_address() -> String {
    let count = PORTS.end - PORTS.start;
    let begin = (std::process::id().wrapping_mul(7_919) % u32::from(count)) as u16;
    for _ in 0..count {
        let port = PORTS.start + begin.wrapping_add(NEXT_PORT.fetch_add(1, Ordering::Relaxed)) % count;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return format!("127.0.0.1:{port}");
        }
    }
    panic!("no free port in {PORTS:?}");
}

/// What a process has printed so far, both streams as they came.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<String>>);

impl Printed {
    fn collect(&self, mut stream: impl Read + Send + 'static) {
        let printed = self.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                printed.lock().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running `jono serve`. Dropped, it ends; its log is shown when the test fails, and the test fails when
/// the log tells of a bug.
pub struct Server {
    child: Option<Child>,
    address: String,
    data: TempDir,
    settings: Vec<(String, String)>,
    printed: Printed,
    may_complain: bool,
    /// Where it dies by itself.
    aim: Option<String>,
    /// It keeps its records in a directory; else in a Redis that its settings name.
    keeps_data: bool,
}

impl Server {
    /// A server with these variables set, besides its data, address and root key.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let mut server = Self::prepare(settings);
        server.restart().await;
        server
    }

    /// One of several processes, on the Redis that is set.
    pub async fn start_among(settings: &[(&str, &str)]) -> Self {
        let mut server = Self::prepare(settings);
        server.keeps_data = false;
        server.restart().await;
        server
    }

    /// One that is not started yet.
    #[must_use]
    pub fn prepare(settings: &[(&str, &str)]) -> Self {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self {
            child: None,
            address: free_address(),
            data: tempfile::tempdir().expect("a directory for data"),
            settings,
            printed: Printed::default(),
            may_complain: false,
            aim: None,
            keeps_data: true,
        }
    }

    /// Errors in its log are expected.
    pub fn may_complain(&mut self) {
        self.may_complain = true;
    }

    /// When it is started next, it dies by itself at this kill point (`name` or `name:n`); with `None` no more.
    pub fn aim(&mut self, at: Option<&str>) {
        self.aim = at.map(str::to_owned);
    }

    /// Starts it again, on the same data and address.
    ///
    /// # Panics
    /// When it is running, or does not start.
    pub async fn restart(&mut self) {
        if let Some(status) = self.restart_if_it_lives().await {
            panic!("jono ended instead of starting, {status}\n{}", self.printed());
        }
    }

    /// The same, for one that may end before it is ready: how it did.
    ///
    /// # Panics
    /// When it is running, or does neither.
    pub async fn restart_if_it_lives(&mut self) -> Option<ExitStatus> {
        self.begin();
        let begun = Instant::now();
        while !self.is_ready().await {
            if let Some(status) = self.try_ended() {
                return Some(status);
            }
            assert!(begun.elapsed() < PATIENCE, "jono is not ready\n{}", self.printed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }

    /// The same, without waiting until it is ready.
    ///
    /// # Panics
    /// When it is running.
    pub fn begin(&mut self) {
        assert!(self.child.is_none(), "it is running");
        let mut child = self.spawn();
        self.printed.collect(child.stdout.take().expect("piped"));
        self.printed.collect(child.stderr.take().expect("piped"));
        self.child = Some(child);
    }

    fn spawn(&self) -> Child {
        let arguments = ["serve", "--listen", &self.address];
        let mut command = match &self.aim {
            Some(aim) => {
                let mut command = bare(armed_binary(), &arguments);
                command.env("JONO_KILL_AT", aim);
                command
            }
            None => command(&arguments),
        };
        if self.keeps_data {
            command.arg("--data").arg(self.data_dir());
        }
        command.env("JONO_ROOT_KEY", ROOT_KEY).env("JONO_NO_BOTS", "true");
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("jono can be run")
    }

    /// Is everything served?
    pub async fn is_ready(&self) -> bool {
        http::try_request(&self.address, "GET", "/readyz", &[], None).await.is_ok_and(|answer| answer.status == 200)
    }

    /// `IP:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where its records are.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.data.path().join("data")
    }

    /// What it has printed, over all restarts.
    #[must_use]
    pub fn printed(&self) -> String {
        self.printed.lock().clone()
    }

    /// The same, once this is in it.
    ///
    /// # Panics
    /// When it is not printed.
    pub async fn printed_with(&self, text: &str) -> String {
        let begun = Instant::now();
        while !self.printed().contains(text) {
            assert!(begun.elapsed() < PATIENCE, "`{text}` is not printed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.printed()
    }

    /// Its process.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it is running").id()
    }

    /// Has it been started, and not ended as far as is known?
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.child.as_ref().expect("it is running"));
        kill_process(pid, signal).expect("our own child can be signalled");
    }

    /// Ends it without asking.
    pub fn kill9(&mut self) {
        self.signal(Signal::KILL);
        let mut child = self.child.take().expect("it is running");
        child.wait().expect("a killed child ends");
    }

    /// Stops it where it is, until [`thaw`](Self::thaw).
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// One of its metrics, by its full name; `None` when it cannot be had.
    pub async fn metric(&self, name: &str) -> Option<u64> {
        let answer = http::try_request(&self.address, "GET", "/metrics", &[], None).await.ok()?;
        let line = answer.body.lines().find(|line| line.split(' ').next() == Some(name))?;
        line.split(' ').nth(1)?.parse().ok()
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Has it ended by itself? How.
    ///
    /// # Panics
    /// When the operating system does not know.
    pub fn try_ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().expect("our own child can be asked")?;
        self.child = None;
        Some(status)
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not.
    pub async fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.try_ended() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "jono does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Its resident memory, bytes.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it is running");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        kib * 1024
    }

    /// A request to the admin API under the root key.
    pub async fn root(&self, method: &str, path: &str, body: Option<&Value>) -> http::Answer {
        http::request(&self.address, method, path, Some(ROOT_KEY), body).await
    }

    /// The same, of a server that may be gone.
    pub async fn try_root(&self, method: &str, path: &str, body: &Value) -> Option<http::Answer> {
        let fields = [("Authorization", &*format!("Bearer {ROOT_KEY}")), ("Content-Type", "application/json")];
        http::try_request(&self.address, method, path, &fields, Some(&body.to_string())).await.ok()
    }

    fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        let _ = kill_process(Pid::from_child(&child), Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            if matches!(child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Lines that tell of a bug.
    fn complaints(&self) -> String {
        let mut complaints = String::new();
        for line in self.printed().lines().filter(|line| line.contains("panicked at") || line.contains("ERROR")) {
            let _ = writeln!(complaints, "{line}");
        }
        complaints
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let complaints = self.complaints();
        if std::thread::panicking() {
            eprintln!("--- what jono on {} said\n{}---", self.address, self.printed());
        } else if !self.may_complain {
            assert!(complaints.is_empty(), "jono complains:\n{complaints}");
        }
    }
}
