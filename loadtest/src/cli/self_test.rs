//! `jono-load self-test`.

use clap::Args;

use super::{EXIT_FAILED, EXIT_INVALID};
use crate::run::Stop;
use crate::self_test::{self, ERROR_PERCENT_MAX, Stall};

#[derive(Debug, Args)]
pub(super) struct SelfTestArguments {
    /// The server stands still for so many milliseconds,
    #[arg(long, value_name = "MS", default_value_t = 1_000.0)]
    stands: f64,
    /// in every so many.
    #[arg(long, value_name = "MS", default_value_t = 10_000.0)]
    every: f64,
    /// How many times.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    periods: u32,
    /// What is compared.
    #[arg(long, value_name = "P", default_value_t = 99.9)]
    percentile: f64,
    /// Say nothing while it goes on.
    #[arg(long)]
    quiet: bool,
}

pub(super) fn run(arguments: &SelfTestArguments) -> Result<u8, Stop> {
    let stall = Stall { stands_ms: arguments.stands, every_ms: arguments.every };
    let share = 100.0 - arguments.percentile;
    // Below that share of the time in which the server stands, the percentile is nothing but the machine's noise.
    let sensible = stall.stands_ms >= 1.0
        && stall.stands_ms < stall.every_ms
        && share >= 0.0
        && share < stall.stands_ms * 100.0 / stall.every_ms;
    if !sensible {
        return Err(Stop::usage(
            "the server must stand for 1 ms or more, less than --every, and for more than 100 - percentile of the time",
        ));
    }
    let (outcome, doubts) = self_test::run(stall, arguments.periods, arguments.percentile, arguments.quiet)?;
    println!("{outcome}");
    if !doubts.is_empty() {
        println!("INVALID: {}", doubts.join("; "));
        return Ok(EXIT_INVALID);
    }
    Ok(if outcome.holds(ERROR_PERCENT_MAX) { 0 } else { EXIT_FAILED })
}
