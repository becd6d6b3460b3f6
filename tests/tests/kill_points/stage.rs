//! Where a story is played: one process over its own data, or several on one Redis. One of them is doomed: it dies at a kill
//! point, and then comes back without it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use jono_test_redis::RedisServer;
use jono_tests::PATIENCE;
use jono_tests::server::Server;
use jono_tests::world::World;
use serde_json::Value;

/// What durability `disk` needs of Redis.
const DISK: &[&str] = &["appendonly yes", "appendfsync always", "maxmemory-policy noeviction"];
/// Nobody here is held up for doing too much.
const PLENTY: [(&str, &str); 4] = [
    ("JONO_SESSIONS_CUSTOMER_WRITES_PER_MINUTE", "1000000"),
    ("JONO_SESSIONS_CUSTOMER_WRITES_BURST", "10000"),
    ("JONO_SESSIONS_CUSTOMER_STARTS_PER_MINUTE", "1000000"),
    ("JONO_SESSIONS_CUSTOMER_STARTS_BURST", "10000"),
];
const SIGKILL: i32 = 9;

/// Which process is to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doomed {
    /// The only one, over an embedded store.
    Alone,
    /// The same, when its directory is new.
    New,
    /// One of two engines on a Redis.
    Engine,
    /// The gateway before them.
    Gateway,
}

pub(crate) struct Stage {
    /// Its server takes the connections.
    pub(crate) world: World,
    /// The first may be doomed, the second is there for it.
    engines: Vec<Server>,
    _redis: Option<RedisServer>,
    doomed: Doomed,
    is_dead: bool,
}

impl Stage {
    pub(crate) async fn set(doomed: Doomed, aim: &str) -> Self {
        let (mut engines, mut redis, mut is_dead) = (Vec::new(), None, false);
        let front = match doomed {
            Doomed::Alone => Server::start(&PLENTY).await,
            Doomed::New => {
                let mut server = Server::prepare(&PLENTY);
                server.aim(Some(aim));
                let status = server.restart_if_it_lives().await.expect("it dies before it is ready");
                assert_killed(status);
                is_dead = true;
                server.aim(None);
                server.restart().await;
                server
            }
            Doomed::Engine | Doomed::Gateway => {
                let url = redis.insert(RedisServer::start(DISK)).url();
                let process = async |role: &str| {
                    let place = [("JONO_REDIS", url.as_str()), ("JONO_ROLE", role), ("JONO_DURABILITY", "disk")];
                    let mut server = Server::start_among(&[&place[..], &PLENTY].concat()).await;
                    // That another process is gone is worth a complaint; whether it mattered is judged.
                    server.may_complain();
                    server
                };
                engines.push(process("engine").await);
                engines.push(process("engine").await);
                let gateway = process("gateway").await;
                ready(engines.iter().chain([&gateway])).await;
                gateway
            }
        };
        Self { world: World::on(front).await, engines, _redis: redis, doomed, is_dead }
    }

    fn doomed(&mut self) -> &mut Server {
        match self.doomed {
            Doomed::Alone | Doomed::New | Doomed::Gateway => &mut self.world.server,
            Doomed::Engine => &mut self.engines[0],
        }
    }

    /// The doomed one is restarted, an engine in order, others as they are; from now on it may die by itself.
    pub(crate) async fn arm(&mut self, aim: &str) {
        if self.doomed == Doomed::New {
            return;
        }
        let is_engine = self.doomed == Doomed::Engine;
        let doomed = self.doomed();
        if is_engine {
            doomed.terminate();
            assert!(doomed.ended().await.success(), "an orderly end");
        } else {
            // It would have its clients leave first, which takes two seconds.
            doomed.kill9();
        }
        doomed.aim(Some(aim));
        if let Some(status) = doomed.restart_if_it_lives().await {
            self.died(status).await;
        }
    }

    /// If the doomed one has died, it comes back.
    pub(crate) async fn mend(&mut self) {
        if !self.is_dead
            && let Some(status) = self.doomed().try_ended()
        {
            self.died(status).await;
        }
    }

    async fn died(&mut self, status: ExitStatus) {
        assert_killed(status);
        self.is_dead = true;
        let is_engine = self.doomed == Doomed::Engine;
        let doomed = self.doomed();
        doomed.aim(None);
        if is_engine {
            // What is asked meanwhile waits until the other has taken over.
            doomed.begin();
        } else {
            doomed.restart().await;
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead
    }

    /// The doomed one is asked to end, if it has not died so far: now at the latest it must.
    pub(crate) async fn end(&mut self) {
        self.mend().await;
        if !self.is_dead {
            self.doomed().terminate();
            let status = self.doomed().ended().await;
            self.died(status).await;
        }
        ready(self.engines.iter().chain([&self.world.server])).await;
    }

    /// The other engine is restarted in order.
    pub(crate) async fn move_shards(&mut self) {
        let other = &mut self.engines[1];
        other.terminate();
        assert!(other.ended().await.success(), "an orderly end");
        other.restart().await;
    }

    /// The other engine is killed, and comes back.
    pub(crate) async fn kill_other(&mut self) {
        let other = &mut self.engines[1];
        other.kill9();
        other.restart().await;
    }

    /// A request to the admin API, again and again until it is granted. It must not matter that it comes twice.
    pub(crate) async fn root(&mut self, method: &str, path: &str, body: &Value) {
        let begun = Instant::now();
        while self.world.server.try_root(method, path, body).await.is_none_or(|answer| answer.status != 200) {
            assert!(begun.elapsed() < PATIENCE, "{method} {path} is not granted");
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.mend().await;
        }
    }
}

impl Drop for Stage {
    /// Everything is judged: there is nothing to wait for.
    fn drop(&mut self) {
        for server in self.engines.iter_mut().chain([&mut self.world.server]) {
            if server.is_running() {
                server.kill9();
            }
        }
    }
}

/// Waits until all of them serve.
async fn ready(servers: impl Iterator<Item = &Server>) {
    let begun = Instant::now();
    for server in servers {
        while !server.is_ready().await {
            assert!(begun.elapsed() < PATIENCE, "{} is not ready", server.address());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn assert_killed(status: ExitStatus) {
    assert_eq!(status.signal(), Some(SIGKILL), "the kill point was not passed: {status}");
}
