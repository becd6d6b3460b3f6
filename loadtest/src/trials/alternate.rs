//! `jono-load trials`: two variants of a scenario in turn, A, B, A, B, and what the one is to the other.

use std::collections::BTreeMap;

use serde::Serialize;

use super::statistics::{Ratio, median};
use crate::report::Report;
use crate::report::compare::rows;
use crate::run::{Options, Progress, Stop, play};
use crate::scenario::Scenario;

/// One figure over all trials.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub a: Vec<f64>,
    pub b: Vec<f64>,
    pub ratio: Option<Ratio>,
}

/// All figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Comparison {
    pub set_a: Vec<String>,
    pub set_b: Vec<String>,
    pub trials: u32,
    pub machine: String,
    pub figures: BTreeMap<String, Figure>,
    /// Why a run does not count, or what it broke.
    pub doubts: Vec<String>,
    /// A promise was broken.
    pub broken: bool,
}

/// Plays both, so many times each.
pub(crate) fn alternate(variants: [(&Scenario, &[String]); 2], trials: u32, options: &Options) -> Result<Comparison, Stop> {
    let mut comparison = Comparison {
        set_a: variants[0].1.to_vec(),
        set_b: variants[1].1.to_vec(),
        trials,
        machine: String::new(),
        figures: BTreeMap::new(),
        doubts: Vec::new(),
        broken: false,
    };
    let mut progress = Progress::new(options.quiet);
    for trial in 1..=trials {
        let mut pair = Vec::new();
        for (name, (scenario, _)) in ["A", "B"].into_iter().zip(variants) {
            progress.say(&format!("trial {trial} of {trials}, {name}"));
            let (report, _) = play(scenario.clone(), options)?;
            if !report.verdict.valid || !report.wrong.is_clean() {
                comparison.doubts.push(format!("trial {trial} {name}: {}", report.verdict.reasons.join("; ")));
            }
            comparison.broken |= !report.wrong.is_clean();
            comparison.machine.clone_from(&report.machine);
            pair.push(report);
        }
        add(&mut comparison.figures, &pair[0], &pair[1]);
    }
    for figure in comparison.figures.values_mut() {
        let pairs: Vec<(f64, f64)> = figure.a.iter().copied().zip(figure.b.iter().copied()).collect();
        figure.ratio = Ratio::of(&pairs);
    }
    Ok(comparison)
}

fn add(figures: &mut BTreeMap<String, Figure>, a: &Report, b: &Report) {
    for row in rows(a, b) {
        let figure = figures.entry(row.figure).or_insert_with(|| Figure { a: Vec::new(), b: Vec::new(), ratio: None });
        figure.a.push(row.a);
        figure.b.push(row.b);
    }
}

impl Comparison {
    /// As text.
    pub fn text(&self) -> String {
        let mut text =
            format!("A: {}\nB: {}\n{} trials of each in turn\n\n", self.set_a.join(" "), self.set_b.join(" "), self.trials);
        text += &format!("{:<28}{:>13}{:>13}   {}\n", "", "median A", "median B", "B / A, and where it lies with 95 %");
        for (name, figure) in &self.figures {
            let ratio = figure.ratio.map_or_else(
                || "no ratio of nothing".to_owned(),
                |ratio| {
                    let word = if ratio.differs() { "" } else { "   no difference shown" };
                    format!("{:.3}  [{:.3}, {:.3}]{word}", ratio.ratio, ratio.low, ratio.high)
                },
            );
            text += &format!("{name:<28}{:>13.3}{:>13.3}   {ratio}\n", median(&figure.a), median(&figure.b));
        }
        for doubt in &self.doubts {
            text += &format!("does not count: {doubt}\n");
        }
        text
    }
}
