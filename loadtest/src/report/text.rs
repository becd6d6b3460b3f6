//! A result in a terminal.

use std::fmt;

use super::{PhaseReport, Report};

/// Below that, what memory grew by is mostly not the users'.
const USERS_MIN: u64 = 2_000;
/// Broken promises that are shown in words.
const CASES_SHOWN_MAX: usize = 5;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = &self.target;
        writeln!(f, "{}  on {} {} {}", self.scenario.name, target.name, target.revision, target.durability)?;
        for phase in self.phases.iter().filter(|phase| phase.measured) {
            phase_line(f, phase, !target.processes.is_empty())?;
        }
        writeln!(f, "\n{:<22}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}", "ms", "count", "p50", "p99", "p99.9", "p99.99", "max")?;
        for (name, times) in &self.total.times {
            writeln!(
                f,
                "{name:<22}{:>10}{:>10.3}{:>10.3}{:>10.3}{:>10.3}{:>10.3}",
                times.count, times.p50_ms, times.p99_ms, times.p99_9_ms, times.p99_99_ms, times.max_ms
            )?;
        }
        let counts = self.total.counts.numbers.all();
        let counts: Vec<String> =
            counts.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")).collect();
        writeln!(f, "\n{}", counts.join("  "))?;
        if self.total.counts.refused_count() > 0 {
            writeln!(f, "refused {:?}", self.total.counts.refused)?;
        }
        for (why, count) in &self.endings {
            writeln!(f, "connections ended: {count} x {why}")?;
        }
        let (print, honesty) = (&self.footprint, &self.honesty);
        writeln!(
            f,
            "a user costs the generator {:.1} + {:.1} KB (process + kernel), the server {:.1} + {:.1} KB{}",
            print.generator_bytes_per_user / 1e3,
            print.generator_kernel_bytes_per_user / 1e3,
            print.server_bytes_per_user / 1e3,
            print.server_kernel_bytes_per_user / 1e3,
            if print.users < USERS_MIN { "; with so few users that says little" } else { "" }
        )?;
        writeln!(
            f,
            "generator: send lag p99 {:.3} ms, at most {:.0} % of a core in each of {} process(es)",
            honesty.send_lag_p99_ms, honesty.cpu_percent, honesty.workers
        )?;
        for slo in &self.slos {
            let found = slo.found.map_or_else(|| "nothing measured".to_owned(), |found| format!("{found:.3}"));
            writeln!(f, "{} {}: {found}", if slo.held { "held  " } else { "MISSED" }, slo.objective)?;
        }
        for case in self.cases.iter().take(CASES_SHOWN_MAX) {
            writeln!(f, "  {case}")?;
        }
        match (self.verdict.valid, self.verdict.passed) {
            (false, _) => write!(f, "INVALID: {}", self.verdict.reasons.join("; ")),
            (true, false) => write!(f, "FAILED: {}", self.verdict.reasons.join("; ")),
            (true, true) => write!(f, "PASSED: nothing lost, repeated, out of order or shown to others; every objective held"),
        }
    }
}

fn phase_line(f: &mut fmt::Formatter<'_>, phase: &PhaseReport, server_was_seen: bool) -> fmt::Result {
    let times = |name: &str| phase.times.get(name).map_or((0.0, 0.0), |times| (times.p50_ms, times.p99_ms));
    let (acknowledged, delivered) = (times("acknowledged"), times("delivered"));
    write!(
        f,
        "{:<16}{:>6.1} s  {:>9.1} -> {:>9.1} messages/s  acknowledged p50 {:.2} p99 {:.2}  delivered p50 {:.2} p99 {:.2} ms",
        phase.name,
        phase.seconds,
        phase.offered_per_second,
        phase.delivered_per_second,
        acknowledged.0,
        acknowledged.1,
        delivered.0,
        delivered.1
    )?;
    if let Some(server) = &phase.server {
        write!(
            f,
            "  server {:.0} % CPU, {:.0} MiB, {:.0} messages per CPU-second",
            server.cpu_percent, server.rss_mib, server.messages_per_cpu_second
        )?;
    } else if server_was_seen {
        write!(f, "  a process of the server has ended")?;
    }
    writeln!(f)
}
