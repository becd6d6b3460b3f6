//! Distributions of times that can be merged over phases, intervals and processes.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Deserializer as SerdeDeserializer, Serialize, Serializer as SerdeSerializer};

use crate::scenario::TIMES;

/// Significant digits: a thousandth of the value.
const DIGITS: u8 = 3;

/// Which time it is; in the order of [`TIMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    Acknowledged,
    AcknowledgedService,
    Delivered,
    DeliveredService,
    Wait,
    Claim,
    Connect,
    Resume,
    SendLag,
}

impl Metric {
    pub fn name(self) -> &'static str {
        TIMES[self as usize]
    }
}

/// A distribution of nanoseconds with three significant digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new(DIGITS).expect("three digits are allowed"))
    }
}

impl Times {
    /// Counts one.
    pub fn record_ns(&mut self, ns: u64) {
        // It grows as needed, so only a time of centuries would not fit.
        let _ = self.0.record(ns.max(1));
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        // They have the same digits and grow, so that they always fit.
        let _ = self.0.add(&other.0);
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Milliseconds at a percentile (0 to 100); 0 if there is nothing.
    #[must_use]
    pub fn at_ms(&self, percentile: f64) -> f64 {
        self.0.value_at_percentile(percentile) as f64 / 1e6
    }

    /// The longest, milliseconds.
    #[must_use]
    pub fn max_ms(&self) -> f64 {
        self.0.max() as f64 / 1e6
    }

    /// The mean, milliseconds.
    #[must_use]
    pub fn mean_ms(&self) -> f64 {
        self.0.mean() / 1e6
    }

    /// HdrHistogram V2, deflated, Base64: what other tools read, too.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.0, &mut bytes).expect("writing into memory does not fail");
        STANDARD.encode(bytes)
    }

    /// Reads [`encode`](Self::encode).
    ///
    /// # Errors
    /// It is nothing of the kind.
    pub fn decode(text: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
        let read: Histogram<u64> =
            Deserializer::new().deserialize(&mut &bytes[..]).map_err(|error| format!("no histogram: {error:?}"))?;
        let mut times = Self::default();
        times.0.add(read).map_err(|error| format!("no histogram of this kind: {error}"))?;
        Ok(times)
    }
}

impl Serialize for Times {
    fn serialize<S: SerdeSerializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: SerdeDeserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::decode(&text).map_err(serde::de::Error::custom)
    }
}

/// An interval log (`.hlog`) of `(tag, second since the begin, times)`, in nanoseconds; its maxima are in milliseconds.
pub(crate) fn write_log<'a>(
    began: SystemTime,
    intervals: impl Iterator<Item = (&'static str, u64, &'a Times)>,
) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder.add_comment("nanoseconds").with_start_time(began).with_base_time(began).with_max_value_divisor(1e6);
    let mut log = builder.begin_log_with(&mut bytes, &mut serializer).map_err(|error| error.to_string())?;
    for (tag, second, times) in intervals {
        log.write_histogram(&times.0, Duration::from_secs(second), Duration::from_secs(1), Tag::new(tag))
            .map_err(|error| format!("cannot write the log: {error:?}"))?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = u64>) -> Times {
        let mut times = Times::default();
        values.for_each(|value| times.record_ns(value));
        times
    }

    #[test]
    fn merged_parts_are_the_whole() {
        let whole = of((1..=10_000).map(|n| n * 1_000));
        let mut merged = Times::default();
        for part in 0..4 {
            merged.add(&of((1..=10_000).filter(|n| n % 4 == part).map(|n| n * 1_000)));
        }
        for percentile in [50.0, 99.0, 99.9, 99.99, 100.0] {
            assert_eq!(merged.at_ms(percentile), whole.at_ms(percentile));
        }
        assert_eq!((merged.count(), merged.max_ms()), (whole.count(), whole.max_ms()));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let times = of([1, 50, 1_000_000, 3_600_000_000_000].into_iter());
        let read: Times = serde_json::from_str(&serde_json::to_string(&times).unwrap()).unwrap();
        assert_eq!((read.count(), read.at_ms(50.0), read.max_ms()), (4, times.at_ms(50.0), times.max_ms()));
        assert!(Times::decode("nonsense").is_err());
    }
}
