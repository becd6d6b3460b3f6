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
    /// How many.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: u64,
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

/// So many seeds between two lines about how far it has come.
const PROGRESS_EVERY: u64 = 10_000;

fn main() -> std::process::ExitCode {
    let options = Options::parse();
    if options.trace {
        tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE).without_time().init();
    }
    let (next, failed, simulated) = (AtomicU64::new(options.first), AtomicU64::new(0), AtomicU64::new(0));
    let end = options.first + options.seeds;
    let began = Instant::now();
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || (options.first_only && failed.load(Ordering::Relaxed) > 0) {
                        return;
                    }
                    let Ok(report) = std::panic::catch_unwind(|| jono_sim::run::run(seed)) else {
                        failed.fetch_add(1, Ordering::Relaxed);
                        println!("seed {seed}: the simulation itself panicked; JONO_SIM_PANICS=1 shows where");
                        continue;
                    };
                    let count = done.fetch_add(1, Ordering::Relaxed) + 1;
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
                    if options.seeds == 1 {
                        println!("{report:#?}");
                    }
                }
            });
        }
    });
    let (elapsed, failed) = (began.elapsed().as_secs_f64(), failed.load(Ordering::Relaxed));
    let simulated = simulated.load(Ordering::Relaxed);
    println!(
        "{} seeds, {failed} failed, {simulated} s simulated in {elapsed:.1} s ({:.0} seeds/s, {:.0} s/s)",
        options.seeds,
        options.seeds as f64 / elapsed,
        simulated as f64 / elapsed,
    );
    if failed == 0 { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
