//! When messages and visitors arrive: times that follow from a rate and a seed alone. Pure.
//!
//! The load is open: an arrival does not wait for anything, so a server that stalls finds them all waiting afterwards, and each is
//! measured from the time at which it was to happen.

use crate::clock::SECOND_NS;
use crate::dice::Dice;

/// Arrivals at a rate that stays or moves evenly.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    begin_ns: u64,
    seconds: f64,
    from_per_second: f64,
    to_per_second: f64,
    poisson: Option<Dice>,
    /// Expected arrivals until the next one.
    mass: f64,
}

impl Arrivals {
    /// `(from, to)` a second, over so many seconds from `begin_ns`. `part` of `parts` processes that share the rate; evenly spaced arrivals interleave.
    pub fn new(
        (from, to): (f64, f64),
        (begin_ns, seconds): (u64, f64),
        poisson: Option<Dice>,
        (part, parts): (u64, u64),
    ) -> Self {
        let share = 1.0 / parts.max(1) as f64;
        let mut arrivals = Self {
            begin_ns,
            seconds,
            from_per_second: from * share,
            to_per_second: to * share,
            poisson,
            mass: part as f64 * share,
        };
        if arrivals.poisson.is_some() {
            arrivals.mass = 0.0;
            arrivals.step();
        }
        arrivals
    }

    fn step(&mut self) {
        self.mass += match &mut self.poisson {
            // An exponential distance makes a Poisson process; 1 - u is never 0.
            Some(dice) => -(1.0 - dice.unit()).ln(),
            None => 1.0,
        };
    }

    /// The time of the next arrival; none if it would be after the end.
    pub fn next_ns(&self) -> Option<u64> {
        // mass = from * t + (to - from) * t^2 / (2 * seconds), solved for t in the form that stays exact for small slopes.
        let slope = (self.to_per_second - self.from_per_second) / self.seconds;
        let root = self.from_per_second * self.from_per_second + 2.0 * slope * self.mass;
        if root < 0.0 || (self.from_per_second <= 0.0 && slope <= 0.0) {
            return None;
        }
        let below = self.from_per_second + root.sqrt();
        let at = if below > 0.0 { 2.0 * self.mass / below } else { 0.0 };
        (at < self.seconds).then(|| self.begin_ns + (at * SECOND_NS as f64) as u64)
    }

    /// Takes the next arrival if it is due.
    pub fn take(&mut self, now_ns: u64) -> Option<u64> {
        let at = self.next_ns().filter(|at| *at <= now_ns)?;
        self.step();
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut arrivals: Arrivals) -> Vec<u64> {
        std::iter::from_fn(|| arrivals.take(u64::MAX)).collect()
    }

    #[test]
    fn even_arrivals_are_even() {
        let times = all(Arrivals::new((10.0, 10.0), (1_000, 1.0), None, (0, 1)));
        assert_eq!(times, (0..10).map(|n| 1_000 + n * 100_000_000).collect::<Vec<_>>());
    }

    #[test]
    fn parts_interleave_to_the_whole() {
        let mut parts: Vec<u64> = (0..4).flat_map(|part| all(Arrivals::new((40.0, 40.0), (0, 2.0), None, (part, 4)))).collect();
        parts.sort_unstable();
        assert_eq!(parts, all(Arrivals::new((40.0, 40.0), (0, 2.0), None, (0, 1))));
    }

    #[test]
    fn a_ramp_holds_as_many_as_the_area_under_it() {
        for (from, to) in [(0.0, 1000.0), (1000.0, 0.0), (500.0, 500.0), (100.0, 900.0)] {
            let times = all(Arrivals::new((from, to), (0, 10.0), None, (0, 1)));
            let first_half = times.iter().filter(|at| **at < 5 * SECOND_NS).count() as f64;
            assert!((times.len() as f64 - 5_000.0).abs() <= 1.0, "{from} {to} {}", times.len());
            assert!((first_half - 5.0 * (0.75 * from + 0.25 * to)).abs() <= 1.0, "{from} {to} {first_half}");
        }
    }

    #[test]
    fn random_arrivals_have_the_rate_and_the_spread_of_a_poisson_process() {
        let times = all(Arrivals::new((1000.0, 1000.0), (0, 100.0), Some(Dice::new(1, 1)), (0, 1)));
        let mut counts = [0.0; 100];
        for at in &times {
            counts[(at / SECOND_NS) as usize] += 1.0;
        }
        let mean = times.len() as f64 / 100.0;
        let variance = counts.iter().map(|count: &f64| (count - mean).powi(2)).sum::<f64>() / 99.0;
        assert!((990.0..1010.0).contains(&mean), "{mean}");
        assert!((0.6..1.6).contains(&(variance / mean)), "{variance} {mean}");
    }

    #[test]
    fn no_rate_no_arrivals() {
        assert_eq!(all(Arrivals::new((0.0, 0.0), (0, 10.0), None, (0, 1))), [0; 0]);
        assert_eq!(all(Arrivals::new((0.0, 0.0), (0, 10.0), Some(Dice::new(1, 1)), (0, 1))), [0; 0]);
    }
}
