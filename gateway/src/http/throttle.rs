//! How often something may be tried, by name: token buckets in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Names remembered. Over it, those that have recovered are forgotten, and if there are none, the one that
/// is nearest to it: those who try most stay slow, and nobody is refused because of the others.
const NAMES_MAX: usize = 10_000;

/// A bucket for each name.
pub(super) struct Throttle<N> {
    burst: u32,
    every: Duration,
    /// When each name's bucket will be full again.
    full_at: HashMap<N, Instant>,
}

impl<N: Hash + Eq + Clone> Throttle<N> {
    /// `burst` at once, then one `every` so long.
    pub(super) fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every, full_at: HashMap::new() }
    }

    /// Takes one try of this name.
    ///
    /// # Errors
    /// How long until there is one.
    pub(super) fn take(&mut self, name: N, now: Instant) -> Result<(), Duration> {
        if self.full_at.len() >= NAMES_MAX && !self.full_at.contains_key(&name) {
            self.full_at.retain(|_, full_at| *full_at > now);
            if self.full_at.len() >= NAMES_MAX
                && let Some(nearest) = self.full_at.iter().min_by_key(|(_, full_at)| **full_at).map(|(name, _)| name.clone())
            {
                self.full_at.remove(&nearest);
            }
        }
        let full_at = self.full_at.entry(name).or_insert(now);
        let after = (*full_at).max(now) + self.every;
        let latest = now + self.every * self.burst;
        if after > latest {
            return Err(after - latest);
        }
        *full_at = after;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_at_a_time_and_each_name_for_itself() {
        let mut throttle = Throttle::new(2, Duration::from_secs(10));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(throttle.take("a", at(0)), Ok(()));
        assert_eq!(throttle.take("a", at(0)), Ok(()));
        assert_eq!(throttle.take("a", at(4)), Err(Duration::from_secs(6)));
        assert_eq!(throttle.take("b", at(4)), Ok(()));
        assert_eq!(throttle.take("a", at(10)), Ok(()));
        assert_eq!(throttle.take("a", at(10)), Err(Duration::from_secs(10)));
    }

    #[test]
    fn a_full_table_refuses_nobody_and_forgets_who_tried_least() {
        let mut throttle = Throttle::new(2, Duration::from_secs(10));
        let start = Instant::now();
        for _ in 0..2 {
            throttle.take(0, start).unwrap();
        }
        for name in 1..NAMES_MAX + 100 {
            throttle.take(name, start).unwrap();
        }
        assert_eq!(throttle.full_at.len(), NAMES_MAX);
        assert!(throttle.take(0, start).is_err(), "who tried most is remembered");
        assert!(throttle.take(NAMES_MAX * 2, start + Duration::from_secs(21)).is_ok());
        assert_eq!(throttle.full_at.len(), 1);
    }
}
