//! Several processes on one Redis, and the load that judges them: `jono-load replay` plays conversations through the gateways
//! and compares what every client saw with what was sent.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, Credential};
use crate::documents::OpenRpc;
use crate::http;
use crate::server::{Server, binary};

/// How long a play may take beyond what its pauses take.
const PLAY_PATIENCE: Duration = Duration::from_secs(180);

/// Engines and gateways.
pub struct System {
    /// They own the shards.
    pub engines: Vec<Server>,
    /// They take the connections.
    pub gateways: Vec<Server>,
    redis: String,
    durability: &'static str,
}

impl System {
    /// So many engines and gateways on this Redis, with the demo organisation.
    pub async fn start(redis: &str, durability: &'static str, engines: usize, gateways: usize) -> Self {
        let mut system = Self { engines: Vec::new(), gateways: Vec::new(), redis: redis.to_owned(), durability };
        for _ in 0..engines {
            system.add_engine().await;
        }
        for _ in 0..gateways {
            system.add_gateway().await;
        }
        system
    }

    /// One more engine, ready.
    pub async fn add_engine(&mut self) {
        let engine = self.process("engine", &[]).await;
        self.engines.push(engine);
    }

    /// One more gateway, ready.
    pub async fn add_gateway(&mut self) {
        let plenty = [
            ("JONO_DEMO", "true"),
            ("JONO_SESSIONS_CUSTOMER_WRITES_PER_MINUTE", "1000000"),
            ("JONO_SESSIONS_CUSTOMER_WRITES_BURST", "10000"),
            ("JONO_SESSIONS_SESSIONS_PER_AGENT", "1000"),
            ("JONO_SOCKETS_FRAMES_PER_SECOND", "100000"),
            ("JONO_SOCKETS_FRAMES_BURST", "100000"),
            ("JONO_SOCKETS_BYTES_PER_SECOND", "100000000"),
            ("JONO_SOCKETS_BYTES_BURST", "100000000"),
        ];
        let gateway = self.process("gateway", &plenty).await;
        self.gateways.push(gateway);
    }

    async fn process(&self, role: &str, more: &[(&str, &str)]) -> Server {
        let mut settings = vec![
            ("JONO_REDIS", self.redis.as_str()),
            ("JONO_ROLE", role),
            ("JONO_DURABILITY", self.durability),
            ("JONO_LOG_LEVEL", "info"),
        ];
        settings.extend_from_slice(more);
        let mut server = Server::start_among(&settings).await;
        // What is done to it here is what it has to complain of; the judge says whether it mattered.
        server.may_complain();
        server
    }

    /// A customer of the demo organisation, through that gateway.
    pub async fn customer(&self, gateway: usize) -> Client {
        self.open(gateway, json!({ "role": "customer", "site": "demo" }), "customer").await
    }

    /// An agent of the demo organisation, through that gateway.
    pub async fn agent(&self, gateway: usize, name: &str) -> Client {
        self.open(gateway, json!({ "role": "agent", "token": format!("jat_demo-{name}") }), "agent").await
    }

    async fn open(&self, gateway: usize, params: Value, role: &'static str) -> Client {
        let address = self.gateways[gateway].address();
        let documents = http::request(address, "GET", "/v1/openrpc.json", None, None).await.with_status(200);
        let mut client = Client::connect(address, &Arc::new(OpenRpc::new(documents)), Credential { params, role }).await;
        client.open().await;
        client
    }

    /// What `jono cluster status` says.
    ///
    /// # Panics
    /// When it says nothing.
    #[must_use]
    pub fn status(&self) -> Value {
        let output = crate::server::command(&["cluster", "status", "--json", "--redis", &self.redis])
            .env("JONO_DURABILITY", "memory")
            .output()
            .expect("jono can be run");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// The sum of a metric over all engines that answer.
    pub async fn engines_metric(&self, name: &str) -> u64 {
        let mut sum = 0;
        for engine in &self.engines {
            sum += engine.metric(name).await.unwrap_or(0);
        }
        sum
    }

    /// Waits until every process serves.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn all_ready(&self) {
        let begun = Instant::now();
        for server in self.engines.iter().chain(&self.gateways) {
            while !server.is_ready().await {
                assert!(begun.elapsed() < Duration::from_secs(60), "{} is not ready", server.address());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Begins a play through all gateways.
    #[must_use]
    pub fn play(&self, corpus: &Corpus) -> Play {
        Play::begin(&self.gateways, corpus)
    }
}

/// Conversations with pauses, so that a play lasts.
pub struct Corpus {
    dir: TempDir,
    conversations: usize,
    seconds: f64,
}

/// Recorded seconds between two turns.
const TURN_SECONDS: usize = 10;
/// Turns of a conversation.
const TURNS: usize = 14;
/// Conversations under way at a time.
const CONCURRENCY: usize = 30;

impl Corpus {
    /// Enough of them to last about so many seconds.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn lasting(seconds: usize) -> Self {
        const CONVERSATION_SECONDS: usize = 7;
        let conversations = CONCURRENCY * seconds.div_ceil(CONVERSATION_SECONDS);
        let dir = tempfile::tempdir().expect("a directory for a corpus");
        let mut text = String::new();
        for number in 0..conversations {
            let turns = (0..TURNS).map(|turn| {
                let from = if turn == 0 || turn % 2 == 0 { "customer" } else { "agent:1" };
                json!({ "at": turn * TURN_SECONDS, "from": from, "text": format!("conversation {number}, turn {turn}") })
            });
            let turns: Vec<Value> = turns.collect();
            let script = json!({ "id": format!("made-{number:05}"), "source": "made", "start": 0, "turns": turns });
            let _ = writeln!(text, "{script}");
        }
        std::fs::write(dir.path().join("corpus.jsonl"), text).expect("a corpus can be written");
        let seconds = (TURNS * TURN_SECONDS) as f64 / CONVERSATION_SECONDS as f64;
        Self { dir, conversations, seconds }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("corpus.jsonl")
    }
}

/// A play under way. Dropped, it is ended.
pub struct Play {
    child: Child,
    report: PathBuf,
    log: PathBuf,
    conversations: usize,
    _dir: TempDir,
}

impl Play {
    fn begin(gateways: &[Server], corpus: &Corpus) -> Self {
        let dir = tempfile::tempdir().expect("a directory for a report");
        let (report, log) = (dir.path().join("report.json"), dir.path().join("log"));
        let mut command = Command::new(load_binary());
        command.env_clear().arg("replay").arg("--corpus").arg(corpus.path()).arg("--report").arg(&report);
        command.args(["--concurrency", &CONCURRENCY.to_string(), "--agents", "4", "--drops", "5"]);
        command.args(["--speed", &corpus.seconds.to_string(), "--patience", "30"]);
        for gateway in gateways {
            command.arg("--url").arg(format!("ws://{}/v1/ws", gateway.address()));
        }
        let out = File::create(&log).expect("a log can be written");
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("a file has two names")).stderr(out);
        let child = command.spawn().expect("jono-load can be run");
        Self { child, report, log, conversations: corpus.conversations, _dir: dir }
    }

    /// Is it still playing?
    ///
    /// # Panics
    /// When the operating system does not know.
    pub fn is_playing(&mut self) -> bool {
        self.child.try_wait().expect("our own child can be asked").is_none()
    }

    /// Waits for its end, and for the judgement: everything that was acknowledged was seen by everybody who may see it, once and
    /// in order. Returns the report.
    ///
    /// # Panics
    /// When it was not so.
    pub async fn passed(mut self) -> Value {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("our own child can be asked") {
                break status;
            }
            assert!(begun.elapsed() < PLAY_PATIENCE, "the play does not end\n{}", read(&self.log));
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let log = read(&self.log);
        assert!(status.success(), "{status}\n{log}");
        let report: Value = serde_json::from_str(&read(&self.report)).unwrap_or_else(|error| panic!("{error}\n{log}"));
        assert_eq!(report["counts"]["conversations"], self.conversations, "{report:#}");
        eprintln!("{log}");
        report
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn load_binary() -> PathBuf {
    let binary = binary().with_file_name("jono-load");
    assert!(binary.exists(), "{} is not there: `cargo build --bins` first", binary.display());
    binary
}
