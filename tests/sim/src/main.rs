//! `jono-sim`: runs seeds, and says which broke what.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;

/// Simulates whole systems, each as its seed says, and judges what clients saw.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many [default: 1000, or as many as there is time for].
    #[arg(long)]
    seeds: Option<u64>,
    /// Begins none after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Threads [default: one for each processor].
    #[arg(long)]
    threads: Option<usize>,
    /// Stops at the first that breaks something.
    #[arg(long)]
    first_only: bool,
    /// Prints what the processes log; for one seed.
    #[arg(long)]
    trace: bool,
}

/// What is simulated allocates much, and dies young.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So many seeds when nothing else is said.
const SEEDS: u64 = 1_000;
/// So many seeds between two lines about how far it has come.
const PROGRESS_EVERY: u64 = 10_000;

fn main() -> std::process::ExitCode {
    let options = Options::parse();
    if options.trace {
        tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE).without_time().init();
    }
    let (next, failed, simulated) = (AtomicU64::new(options.first), AtomicU64::new(0), AtomicU64::new(0));
    let seeds = options.seeds.unwrap_or(if options.seconds.is_some() { u64::MAX } else { SEEDS });
    let end = options.first.saturating_add(seeds);
    let threads = options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let began = Instant::now();
    let is_over = || options.seconds.is_some_and(|seconds| began.elapsed().as_secs() >= seconds);
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || is_over() || (options.first_only && failed.load(Ordering::Relaxed) > 0) {
                        return;
                    }
                    let played = std::panic::catch_unwind(|| jono_sim::run::run(seed));
                    let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                    let Ok(report) = played else {
                        failed.fetch_add(1, Ordering::Relaxed);
                        println!("seed {seed}: the simulation itself panicked; JONO_SIM_PANICS=1 shows where");
                        continue;
                    };
                    if count.is_multiple_of(PROGRESS_EVERY) {
                        let failed = failed.load(Ordering::Relaxed);
                        eprintln!("{count} seeds, {failed} failed, {:.0} s", began.elapsed().as_secs_f64());
                    }
                    simulated.fetch_add(report.simulated / 1_000_000, Ordering::Relaxed);
                    if !report.violations.is_empty() {
                        failed.fetch_add(1, Ordering::Relaxed);
                        println!("seed {seed}: {:?} {:?}", report.plan.parts, report.plan.faults);
                        for violation in report.violations.iter().take(3) {
                            println!("    {:?} at {} ms: {}", violation.promise, violation.at / 1_000, violation.detail);
                        }
                    }
                    if seeds == 1 {
                        println!("{report:#?}");
                    }
                }
            });
        }
    });
    let (elapsed, done) = (began.elapsed().as_secs_f64(), done.into_inner());
    let (failed, simulated) = (failed.into_inner(), simulated.into_inner());
    println!(
        "{done} seeds from {}, {failed} failed, {simulated} s simulated in {elapsed:.1} s ({:.0} seeds/s, {:.0} s/s)",
        options.first,
        done as f64 / elapsed,
        simulated as f64 / elapsed,
    );
    if failed == 0 { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
