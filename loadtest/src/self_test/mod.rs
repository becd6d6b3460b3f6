//! `jono-load self-test`: does the generator measure what it should? A server that stops for a known time at known intervals is loaded, and
//! what is measured is compared with what must come out by arithmetic.
//!
//! A server that answers at once but stands still for `S` in every `P` makes a message that arrives at a random moment wait longer than `t` with
//! the probability `(S - t) / P`. So the quantile `q` is `S - (1 - q) P`. Open arrivals, measured from their intended times,
//! find that; a closed loop, which sends the next message when the last one is answered, meets each stall once and finds nothing.

mod closed_loop;
mod stall;

use std::fmt;

pub use stall::{Stall, StallingServer};

use crate::clock::SECOND_NS;
use crate::measure::Times;
use crate::run::{Options, Stop, lead};
use crate::scenario;
use crate::schedule::Arrivals;

/// How far what is measured may be from the closed form, percent.
pub const ERROR_PERCENT_MAX: f64 = 1.0;
/// A closed loop that finds more than this share of the truth would not show what it is here to show.
const CLOSED_LOOP_SHARE_MAX: f64 = 0.5;
/// Messages a second.
const RATE: u64 = 1_000;

/// What came out, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Which percentile.
    pub percentile: f64,
    /// By arithmetic.
    pub closed_form_ms: f64,
    /// The generator's schedule and histograms, without sockets or clocks.
    pub simulated_ms: f64,
    /// Measured from the intended times: what the harness reports.
    pub corrected_ms: f64,
    /// Measured from when each message left.
    pub service_ms: f64,
    /// Measured by a closed loop at the same time against the same server.
    pub closed_loop_ms: f64,
}

impl Outcome {
    /// How far the harness is from the truth, percent.
    #[must_use]
    pub fn error_percent(&self) -> f64 {
        (self.corrected_ms / self.closed_form_ms - 1.0).abs() * 100.0
    }

    /// The harness is right, within so many percent, and a closed loop would not have been.
    #[must_use]
    pub fn holds(&self, error_percent_max: f64) -> bool {
        self.error_percent() <= error_percent_max && self.closed_loop_ms < self.closed_form_ms * CLOSED_LOOP_SHARE_MAX
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, name: &str, ms: f64| {
            let off = (ms / self.closed_form_ms - 1.0) * 100.0;
            writeln!(f, "  {name:<44}{ms:>10.3} ms {off:>+9.2} %")
        };
        writeln!(f, "p{} of a server that stands still from time to time", self.percentile)?;
        line(f, "by arithmetic", self.closed_form_ms)?;
        line(f, "simulated, without sockets", self.simulated_ms)?;
        line(f, "measured, open, from the intended time", self.corrected_ms)?;
        line(f, "measured, open, from when it left", self.service_ms)?;
        line(f, "measured by a closed loop", self.closed_loop_ms)?;
        let found = if self.holds(ERROR_PERCENT_MAX) { "PASSED" } else { "FAILED" };
        write!(f, "{found}: the open measurement is {:.2} % off (at most {ERROR_PERCENT_MAX} %)", self.error_percent())
    }
}

/// The quantile by arithmetic, milliseconds; 0 below the share of the time in which it stands.
#[must_use]
pub fn closed_form_ms(stall: Stall, percentile: f64) -> f64 {
    (stall.stands_ms - (1.0 - percentile / 100.0) * stall.every_ms).max(0.0)
}

/// The same by the generator's own schedule and histograms, in no time at all.
#[must_use]
pub fn simulated_ms(stall: Stall, periods: u32, percentile: f64) -> f64 {
    let seconds = stall.every_ms / 1e3 * f64::from(periods);
    let mut arrivals = Arrivals::new((RATE as f64, RATE as f64), (0, seconds), None, (0, 1));
    let mut times = Times::default();
    while let Some(at) = arrivals.take(u64::MAX) {
        times.record_ns(stall.free_again_ns(at) - at);
    }
    times.at_ms(percentile)
}

/// Runs it for real: so many periods.
///
/// Answers what came out, and why it does not count if the generator was not honest.
///
/// # Errors
/// The run could not be made.
pub(crate) fn run(stall: Stall, periods: u32, percentile: f64, quiet: bool) -> Result<(Outcome, Vec<String>), Stop> {
    let server = StallingServer::start(stall).map_err(|error| Stop::unreachable(error.to_string()))?;
    let seconds = stall.every_ms / 1e3 * f64::from(periods);
    let text = format!(
        "[target]\nname = \"echo\"\nurl = \"ws://{}/\"\n[population]\nconversations = 16\n[messages]\narrivals = \"fixed\"\n\
         [[phase]]\nkind = \"steady\"\nseconds = {seconds}\nmessages_per_second = {RATE}\n",
        server.address()
    );
    let scenario = scenario::read(&text, "self-test", &[]).map_err(|problems| {
        let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Stop::usage(words.join("\n"))
    })?;
    let until_ns = crate::clock::now_ns() + (seconds * SECOND_NS as f64) as u64;
    let address = server.address();
    let closed = std::thread::spawn(move || closed_loop::measure(address, RATE, until_ns));
    let options = Options { workers: 1, quiet, ..Options::default() };
    let (report, _) = lead(&scenario, None, &options)?;
    let closed = closed.join().map_err(|_| Stop::usage("the closed loop broke"))?.map_err(Stop::unreachable)?;
    let found = |name: &str| report.total.times.get(name).map_or(0.0, |times| times.histogram.at_ms(percentile));
    let outcome = Outcome {
        percentile,
        closed_form_ms: closed_form_ms(stall, percentile),
        simulated_ms: simulated_ms(stall, periods, percentile),
        corrected_ms: found("delivered"),
        service_ms: found("delivered_service"),
        closed_loop_ms: closed.at_ms(percentile),
    };
    Ok((outcome, report.verdict.reasons))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_and_histograms_agree_with_the_closed_form() {
        for (stands_ms, every_ms) in [(1_000.0, 10_000.0), (200.0, 2_000.0), (500.0, 1_000.0), (50.0, 5_000.0)] {
            let stall = Stall { stands_ms, every_ms };
            for percentile in [99.9, 99.0, 97.0, 90.0] {
                let (expected, found) = (closed_form_ms(stall, percentile), simulated_ms(stall, 4, percentile));
                // A message every millisecond, and three digits.
                let off = (found - expected).abs();
                assert!(off <= 1.0 + expected * 0.002, "{stall:?} p{percentile}: {found} for {expected}");
            }
        }
    }

    #[test]
    fn an_error_of_more_than_a_percent_fails() {
        let outcome = |corrected_ms, closed_loop_ms| Outcome {
            percentile: 99.9,
            closed_form_ms: 990.0,
            simulated_ms: 990.0,
            corrected_ms,
            service_ms: 990.0,
            closed_loop_ms,
        };
        assert!(outcome(991.0, 0.2).holds(ERROR_PERCENT_MAX));
        assert!(!outcome(1_001.0, 0.2).holds(ERROR_PERCENT_MAX));
        assert!(!outcome(990.0, 900.0).holds(ERROR_PERCENT_MAX));
    }
}
