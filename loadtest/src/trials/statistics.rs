//! A ratio of two variants with the interval in which it lies.

use serde::Serialize;

/// Quantiles of Student's t for 95 %, both sides, by degrees of freedom from 1; beyond these the normal one is near enough.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110,
    2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// The second variant over the first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    pub ratio: f64,
    /// In 95 of 100 such experiments the true ratio lies in the interval.
    pub low: f64,
    pub high: f64,
}

impl Ratio {
    /// From pairs of neighbouring trials: the mean of the logarithms, since twice as much and half as much are equally far from alike. None of
    /// fewer than two pairs.
    pub fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let logs: Vec<f64> = pairs.iter().filter(|(a, b)| *a > 0.0 && *b > 0.0).map(|(a, b)| (b / a).ln()).collect();
        if logs.len() < 2 {
            return None;
        }
        let count = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / count;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let reach = STUDENT.get(logs.len() - 2).copied().unwrap_or(1.96) * (variance / count).sqrt();
        Some(Self { ratio: mean.exp(), low: (mean - reach).exp(), high: (mean + reach).exp() })
    }

    /// The interval leaves 1 out: the difference is more than noise.
    pub fn differs(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }
}

/// The middle one, or the mean of the two in the middle; 0 of nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_ratio_and_narrows_with_agreement() {
        let ratio = Ratio::of(&[(100.0, 200.0), (100.0, 210.0), (100.0, 190.0)]).unwrap();
        assert!((1.99..2.01).contains(&ratio.ratio) && ratio.low > 1.7 && ratio.high < 2.3 && ratio.differs(), "{ratio:?}");
        let noisy = Ratio::of(&[(100.0, 200.0), (100.0, 50.0)]).unwrap();
        assert!(!noisy.differs(), "{noisy:?}");
        // By hand: logs 0 and ln 4; mean ln 2, deviation ln 4 / sqrt 2, error ln 2.
        let by_hand = Ratio::of(&[(1.0, 1.0), (1.0, 4.0)]).unwrap();
        assert!((by_hand.ratio - 2.0).abs() < 1e-9 && (by_hand.high.ln() - 2f64.ln() * 13.706).abs() < 1e-9);
    }

    #[test]
    fn one_pair_says_nothing() {
        assert_eq!(Ratio::of(&[(1.0, 2.0)]), None);
        assert_eq!((median(&[]), median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0])), (0.0, 2.0, 2.5));
    }
}
