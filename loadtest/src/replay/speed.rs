//! How fast a recorded conversation is played.

use std::time::Duration;

/// Longest time without a sign of life from a side: well below the deadlines that would end a claim
/// (5 minutes) or a conversation (15 minutes) where nobody does anything.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Longest pause between two turns, as it is played: people who came back after hours need not be waited for.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// So many recorded seconds at that speed; 0 is without any pause.
pub(crate) fn pause(seconds: f64, speed: f64) -> Duration {
    if speed <= 0.0 || !seconds.is_finite() || seconds <= 0.0 {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64(seconds / speed).unwrap_or(PAUSE_MAX).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_shrink_with_speed_and_end() {
        assert_eq!(pause(60.0, 0.0), Duration::ZERO);
        assert_eq!(pause(60.0, 2.0), Duration::from_secs(30));
        assert_eq!(pause(-1.0, 1.0), Duration::ZERO);
        assert_eq!(pause(1e300, 1e-300), PAUSE_MAX);
    }
}
