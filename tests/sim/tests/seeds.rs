//! Some seeds in every test run, in whatever build the tests are; `tests/run` plays thousands in a fast one.

use jono_sim::oracle::Counts;
use jono_sim::plan::Plan;
use jono_sim::run::{Report, run, run_plan};

fn fails(report: &Report) -> String {
    format!("seed {}: {:?}\n{:#?}", report.plan.seed, report.plan.faults, report.violations)
}

#[test]
fn whatever_goes_wrong_every_promise_holds() {
    let mut seen = Counts::default();
    for seed in 0..40 {
        let report = run(seed);
        assert!(report.violations.is_empty(), "{}", fails(&report));
        seen.add(&report.counts);
    }
    // What was not looked at shows nothing.
    let Counts { events, messages, claims, resumed, repeated, compared, timers, foreign, .. } = seen;
    for (what, count, least) in [
        ("events", events, 5_000),
        ("messages", messages, 1_000),
        ("claims", claims, 100),
        ("sessions resumed", resumed, 50),
        ("requests repeated", repeated, 50),
        ("answers compared", compared, 20),
        ("timers", timers, 100),
        ("foreign ids", foreign, 50),
    ] {
        assert!(count >= least, "{count} {what}");
    }
}

#[test]
fn the_times_of_the_specification_pass_in_full_length() {
    let full = (0..).map(Plan::of).filter(|plan| plan.rules.close_after_ms == 900_000 && !plan.faults.is_empty());
    for plan in full.take(2) {
        let report = run_plan(plan);
        assert!(report.violations.is_empty(), "{}", fails(&report));
        assert!(report.counts.timers > 0);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 100..110 {
        let (first, second) = (run(seed), run(seed));
        assert_eq!((first.digest, first.simulated), (second.digest, second.simulated), "seed {seed}");
        assert_ne!(first.digest, run(seed + 1_000).digest);
    }
}
