//! What the kernel says of processes: CPU, memory, who listens where.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// The unit of resident sizes in `/proc`. Every machine that this runs on has it.
const PAGE_BYTES: u64 = 4096;
/// The unit of CPU times in `/proc`: a hundredth of a second.
const TICK_NS: u64 = 10_000_000;

/// A process as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub pid: u32,
    pub name: String,
    /// User and system time since its start.
    pub cpu_ns: u64,
    pub rss_bytes: u64,
}

/// Resident bytes of this process.
pub(crate) fn own_rss_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE_BYTES
}

/// A process; none if it is gone.
pub(crate) fn usage(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold anything.
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = after.split_whitespace().collect();
    // One that has ended and is not yet reaped has no memory to speak of.
    if fields.first() == Some(&"Z") {
        return None;
    }
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    Some(Usage { pid, name, cpu_ns: (number(11)? + number(12)?) * TICK_NS, rss_bytes: number(21)? * PAGE_BYTES })
}

/// All processes.
fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// A process and everything that descends from it.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let all: Vec<(u32, u32)> = pids().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut family = vec![pid];
    let mut at = 0;
    while at < family.len() {
        let parent = family[at];
        family.extend(all.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    family
}

/// Processes of this machine that listen on a TCP port.
pub(crate) fn listening(port: u16) -> Vec<u32> {
    let mut inodes = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let local = fields.get(1).and_then(|local| u16::from_str_radix(local.rsplit(':').next()?, 16).ok());
            if local == Some(port)
                && fields.get(3) == Some(&"0A")
                && let Some(inode) = fields.get(9).and_then(|inode| inode.parse::<u64>().ok())
            {
                inodes.insert(inode);
            }
        }
    }
    let mut found: Vec<u32> = pids().filter(|pid| socket_inodes(*pid).any(|inode| inodes.contains(&inode))).collect();
    found.sort_unstable();
    found
}

/// The sockets that a process has open.
pub(crate) fn socket_inodes(pid: u32) -> impl Iterator<Item = u64> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    descriptors.filter_map(|entry| {
        let target = fs::read_link(entry.ok()?.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

/// Raises the number of open files to what this process may have; answers that number.
pub(crate) fn raise_descriptors() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // A system that does not allow it has said so by the number that stays.
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The machine, for reports: model of its processors, their number, memory, kernel.
pub(crate) fn machine() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(": ")?.1));
    let model = model.unwrap_or("unknown processor");
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().next().and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{count} x {model}, {:.1} GiB, Linux {}", kib as f64 / 1024.0 / 1024.0, kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_by_the_port_it_listens_on() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listening(port), [std::process::id()]);
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.rss_bytes > 0 && own_rss_bytes() > 0);
        assert!(family(std::process::id()).contains(&std::process::id()));
    }
}
