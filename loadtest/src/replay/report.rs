//! What a run was like: counted while it goes on, shown at the end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::judge::Difference;

/// Differences that are kept in words; the others are only counted.
pub(crate) const DIFFERENCES_KEPT_MAX: usize = 200;
/// Differences that the printed report shows.
const DIFFERENCES_SHOWN_MAX: usize = 10;
/// Longest time that the histograms tell apart, microseconds.
const TIME_MAX_US: u64 = 600_000_000;
/// Significant digits of the histograms.
const DIGITS: u8 = 2;

/// A distribution of times.
#[derive(Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Times {
    fn new() -> Self {
        Self(Histogram::new_with_bounds(1, TIME_MAX_US, DIGITS).expect("the bounds are constants that fit"))
    }

    pub fn record(&mut self, time: Duration) {
        self.0.saturating_record((time.as_micros() as u64).max(1));
    }

    /// Milliseconds at that quantile.
    pub fn at_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }

    fn to_json(&self) -> Value {
        json!({
            "count": self.0.len(), "p50_ms": self.at_ms(0.5), "p90_ms": self.at_ms(0.9),
            "p99_ms": self.at_ms(0.99), "max_ms": self.0.max() as f64 / 1000.0,
        })
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p90, p99) = (self.at_ms(0.5), self.at_ms(0.9), self.at_ms(0.99));
        write!(f, "p50 {p50:.2}  p90 {p90:.2}  p99 {p99:.2}  max {:.2} ms", self.0.max() as f64 / 1000.0)
    }
}

/// Counted by everybody who plays.
#[derive(Debug)]
pub(crate) struct Tally {
    pub conversations: Cell<u64>,
    pub cut_short: Cell<u64>,
    pub messages: Cell<u64>,
    pub notes: Cell<u64>,
    pub picks: Cell<u64>,
    pub picked_at: Cell<Option<Instant>>,
    pub picks_empty: Cell<u64>,
    pub handovers: Cell<u64>,
    pub releases: Cell<u64>,
    pub claims_lost: Cell<u64>,
    pub drops: Cell<u64>,
    pub views: Cell<u64>,
    pub events: Cell<u64>,
    pub foreign: Cell<u64>,
    pub kills: Cell<u64>,
    pub ack: RefCell<Times>,
    pub delivery: RefCell<Times>,
    differences: RefCell<Vec<Difference>>,
    differences_count: Cell<u64>,
    by_check: RefCell<BTreeMap<&'static str, u64>>,
    /// Conversations with a difference.
    pub differing: Cell<u64>,
}

impl Tally {
    pub fn new() -> Self {
        Self {
            conversations: Cell::default(),
            cut_short: Cell::default(),
            messages: Cell::default(),
            notes: Cell::default(),
            picks: Cell::default(),
            picked_at: Cell::default(),
            picks_empty: Cell::default(),
            handovers: Cell::default(),
            releases: Cell::default(),
            claims_lost: Cell::default(),
            drops: Cell::default(),
            views: Cell::default(),
            events: Cell::default(),
            foreign: Cell::default(),
            kills: Cell::default(),
            ack: RefCell::new(Times::new()),
            delivery: RefCell::new(Times::new()),
            differences: RefCell::default(),
            differences_count: Cell::default(),
            by_check: RefCell::default(),
            differing: Cell::default(),
        }
    }

    pub fn differ(&self, difference: Difference) {
        add(&self.differences_count, 1);
        *self.by_check.borrow_mut().entry(difference.check).or_default() += 1;
        let mut kept = self.differences.borrow_mut();
        if kept.len() < DIFFERENCES_KEPT_MAX {
            kept.push(difference);
        }
    }

    pub fn differences_count(&self) -> u64 {
        self.differences_count.get()
    }
}

pub(crate) fn add(cell: &Cell<u64>, more: u64) {
    cell.set(cell.get() + more);
}

/// The report of a run.
#[derive(Debug)]
pub struct Report {
    /// Everything that was promised held.
    pub passed: bool,
    /// Number of differences, those included that are not kept.
    pub differences_count: u64,
    /// The first differences, at most 200.
    pub differences: Vec<Difference>,
    counts: Vec<(&'static str, u64)>,
    by_check: BTreeMap<&'static str, u64>,
    endings: BTreeMap<String, u64>,
    seconds: f64,
    messages_per_second: f64,
    ack: Times,
    delivery: Times,
    stopped: Option<String>,
}

impl Report {
    pub(crate) fn new(
        tally: &Tally,
        totals: &crate::client::Totals,
        planned: usize,
        took: Duration,
        stopped: Option<String>,
    ) -> Self {
        let seconds = took.as_secs_f64();
        let differences_count = tally.differences_count();
        Self {
            passed: differences_count == 0 && stopped.is_none() && tally.conversations.get() == planned as u64,
            differences_count,
            differences: tally.differences.take(),
            counts: vec![
                ("conversations", tally.conversations.get()),
                ("conversations_planned", planned as u64),
                ("conversations_cut_short", tally.cut_short.get()),
                ("messages", tally.messages.get()),
                ("notes", tally.notes.get()),
                ("views_checked", tally.views.get()),
                ("events_checked", tally.events.get()),
                ("frames_received", totals.frames.get()),
                ("picks", tally.picks.get()),
                ("picks_from_an_empty_queue", tally.picks_empty.get()),
                ("handovers", tally.handovers.get()),
                ("releases", tally.releases.get()),
                ("claims_lost_and_taken_again", tally.claims_lost.get()),
                ("foreign_conversations_picked", tally.foreign.get()),
                ("server_kills", tally.kills.get()),
                ("drops_on_purpose", tally.drops.get()),
                ("reconnects", totals.reconnects.get()),
                ("reconnects_with_a_gap", totals.resumed_with_gap.get()),
                ("requests_repeated_by_key", totals.repeats.get()),
                ("requests_postponed", totals.postponed.get()),
                ("conversations_with_differences", tally.differing.get()),
                ("differences", differences_count),
            ],
            by_check: tally.by_check.take(),
            endings: totals.endings.take(),
            seconds,
            messages_per_second: tally.messages.get() as f64 / seconds.max(0.001),
            ack: tally.ack.replace(Times::new()),
            delivery: tally.delivery.replace(Times::new()),
            stopped,
        }
    }

    /// A number of the report, by its name in the JSON form.
    #[must_use]
    pub fn count(&self, name: &str) -> Option<u64> {
        self.counts.iter().find(|(known, _)| *known == name).map(|(_, count)| *count)
    }

    /// Everything, for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let counts: serde_json::Map<String, Value> =
            self.counts.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
        json!({
            "passed": self.passed, "seconds": self.seconds, "messages_per_second": self.messages_per_second,
            "counts": counts, "ack": self.ack.to_json(), "delivery": self.delivery.to_json(),
            "connections_ended": self.endings, "differences_by_check": self.by_check, "stopped": self.stopped,
            "differences": self.differences.iter().map(Difference::to_json).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.counts {
            writeln!(f, "{:<30} {count}", name.replace('_', " "))?;
        }
        writeln!(f, "{:<30} {:.1} s, {:.0} messages/s", "took", self.seconds, self.messages_per_second)?;
        writeln!(f, "{:<30} {}", "acknowledgement", self.ack)?;
        writeln!(f, "{:<30} {}", "delivery", self.delivery)?;
        for (ending, count) in &self.endings {
            writeln!(f, "{:<30} {count} x {ending}", "connection lost")?;
        }
        for (check, count) in &self.by_check {
            writeln!(f, "{:<30} {count} x {check}", "difference")?;
        }
        for difference in self.differences.iter().take(DIFFERENCES_SHOWN_MAX) {
            writeln!(f, "\n{difference}")?;
        }
        if self.differences_count > DIFFERENCES_SHOWN_MAX as u64 {
            writeln!(f, "\n... and {} more", self.differences_count - DIFFERENCES_SHOWN_MAX as u64)?;
        }
        if let Some(stopped) = &self.stopped {
            writeln!(f, "\nstopped early: {stopped}")?;
        }
        write!(f, "\n{}", if self.passed { "PASSED: every view is what was sent" } else { "FAILED" })
    }
}
