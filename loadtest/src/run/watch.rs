//! Watches the server's processes, and Redis, while a run goes on.

use std::cell::Cell;

use crate::measure::process::{self, Usage};
use crate::measure::redis::{self, RedisUsage};
use crate::measure::sockets::{self, SocketMemory};
use crate::report::{ProcessUse, ServerUse};

/// The server at a moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub cpu_ns: u64,
    pub rss_bytes: u64,
    each: Vec<Usage>,
    redis: RedisUsage,
    /// How often Redis had been asked.
    asked: u64,
}

/// Commands that asking costs: `INFO` and `QUIT`.
const COMMANDS_ASKING: u64 = 2;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pids: Vec<u32>,
    redis: String,
    /// Redis is one of the processes, so its CPU is counted already.
    redis_is_counted: bool,
    asked: Cell<u64>,
}

impl Watch {
    pub fn new(pids: Vec<u32>, redis: &str) -> Self {
        let redis_is_counted =
            pids.iter().filter_map(|pid| process::usage(*pid)).any(|usage| usage.name.starts_with("redis-server"));
        Self { pids, redis: redis.to_owned(), redis_is_counted, asked: Cell::new(0) }
    }

    pub fn names(&self) -> Vec<String> {
        self.usages().map(|usage| usage.name).collect()
    }

    fn usages(&self) -> impl Iterator<Item = Usage> {
        self.pids.iter().filter_map(|pid| process::usage(*pid))
    }

    pub fn sample(&self) -> Sample {
        let mut sample = Sample::default();
        for usage in self.usages() {
            sample.cpu_ns += usage.cpu_ns;
            sample.rss_bytes += usage.rss_bytes;
            sample.each.push(usage);
        }
        if !self.redis.is_empty() {
            // A Redis that does not answer now counts nothing; the run itself will show why.
            self.asked.set(self.asked.get() + 1);
            sample.asked = self.asked.get();
            sample.redis = redis::usage(&self.redis).unwrap_or_default();
        }
        sample
    }

    /// What was used from one moment to another; rates are filled in by the report. None if no process can be seen, or one has ended, which
    /// takes what it used along.
    pub fn between(&self, before: &Sample, after: &Sample) -> Option<ServerUse> {
        if self.pids.is_empty() || after.each.len() < self.pids.len() {
            return None;
        }
        let own = (after.asked - before.asked) * COMMANDS_ASKING;
        let commands = after.redis.commands.saturating_sub(before.redis.commands).saturating_sub(own);
        let redis_cpu = after.redis.cpu_ns.saturating_sub(before.redis.cpu_ns) as f64 / 1e9;
        let cpu = after.cpu_ns.saturating_sub(before.cpu_ns) as f64 / 1e9;
        Some(ServerUse {
            cpu_seconds: if self.redis_is_counted { cpu } else { cpu + redis_cpu },
            rss_mib: after.rss_bytes as f64 / 1024.0 / 1024.0,
            redis_commands: commands,
            redis_cpu_seconds: redis_cpu,
            ..ServerUse::default()
        })
    }

    /// Each process since a moment.
    pub fn processes(&self, since: &Sample) -> Vec<ProcessUse> {
        let each = self.usages().map(|usage| {
            let before = since.each.iter().find(|before| before.pid == usage.pid).map_or(0, |before| before.cpu_ns);
            let sockets = sockets::memory_of(&[usage.pid]).unwrap_or_default();
            ProcessUse {
                cpu_seconds: usage.cpu_ns.saturating_sub(before) as f64 / 1e9,
                rss_mib: usage.rss_bytes as f64 / 1024.0 / 1024.0,
                sockets: sockets.sockets,
                socket_kib: (sockets.buffer_bytes + sockets.object_bytes) as f64 / 1024.0,
                name: usage.name,
                pid: usage.pid,
            }
        });
        each.collect()
    }

    /// Kernel memory of its sockets.
    pub fn sockets(&self) -> SocketMemory {
        sockets::memory_of(&self.pids).unwrap_or_default()
    }
}
