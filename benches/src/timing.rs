//! How long benches may take: all together less than five minutes on two cores, `-- --quick` less than one and a half.

use std::time::Duration;

use criterion::Criterion;

/// For what takes micro- or nanoseconds.
#[must_use]
pub fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(30)
}

/// For what takes milliseconds, or must be set up at length.
#[must_use]
pub fn long() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2)).sample_size(10)
}
