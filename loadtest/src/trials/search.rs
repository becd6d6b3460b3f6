//! The search for the highest rate that holds: up by doubling until one does not, then by halves in between. Pure.

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Search {
    held: Option<f64>,
    missed: Option<f64>,
    begin: f64,
    most: f64,
    /// The two are near enough when they differ by this share.
    resolution: f64,
}

impl Search {
    /// Begins at a rate and never goes over another one.
    pub fn new(begin: f64, most: f64, resolution_percent: f64) -> Self {
        Self { held: None, missed: None, begin: begin.min(most), most, resolution: resolution_percent / 100.0 }
    }

    /// The next rate to be tried; none when the answer is known.
    pub fn next(&self) -> Option<f64> {
        match (self.held, self.missed) {
            (None, None) => Some(self.begin),
            (Some(held), None) => (held < self.most).then(|| (held * 2.0).min(self.most)),
            // Down to a hundredth of where it began; below that the answer is that nothing holds.
            (None, Some(missed)) => (missed > self.begin / 100.0).then_some(missed / 2.0),
            (Some(held), Some(missed)) => (missed / held > 1.0 + self.resolution).then(|| f64::midpoint(held, missed)),
        }
    }

    /// What was found out about a rate.
    pub fn tried(&mut self, rate: f64, held: bool) {
        if held {
            self.held = Some(self.held.map_or(rate, |best| best.max(rate)));
        } else {
            self.missed = Some(self.missed.map_or(rate, |least| least.min(rate)));
        }
    }

    /// The highest rate that held so far.
    pub fn held(&self) -> Option<f64> {
        self.held
    }

    /// The lowest rate that did not.
    pub fn missed(&self) -> Option<f64> {
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(begin: f64, most: f64, truth: f64) -> (Option<f64>, usize) {
        let mut search = Search::new(begin, most, 5.0);
        let mut trials = 0;
        while let Some(rate) = search.next() {
            search.tried(rate, rate <= truth);
            trials += 1;
            assert!(trials < 100, "the search must end");
        }
        (search.held(), trials)
    }

    #[test]
    fn it_ends_within_the_resolution_below_the_truth() {
        for truth in [130.0, 999.0, 12_345.0, 40.0] {
            let (held, trials) = search(100.0, 1e6, truth);
            let held = held.unwrap();
            assert!(held <= truth && held * 1.06 > truth, "{held} for {truth}");
            assert!(trials <= 16, "{trials} for {truth}");
        }
    }

    #[test]
    fn it_stops_at_the_most_and_when_nothing_holds() {
        assert_eq!(search(100.0, 1_000.0, 1e9).0, Some(1_000.0));
        assert_eq!(search(100.0, 1_000.0, 0.0).0, None);
    }
}
