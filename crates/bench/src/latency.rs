//! How long callers wait.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// What is longer counts as this long: no call lives for so long.
const LONGEST_MICROS: u64 = 600_000_000;
/// Three digits of every value are kept.
const DIGITS: u8 = 3;

/// Waiting times, each to three digits.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

/// Percentiles of waiting times, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of the calls took no longer.
    pub p50_us: u64,
    /// Nine of ten.
    pub p90_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
    /// 999 of 1,000.
    pub p999_us: u64,
    /// All.
    pub max_us: u64,
    /// The mean.
    pub mean_us: f64,
}

impl Default for Latencies {
    #[expect(
        clippy::expect_used,
        reason = "the bounds are constants that the histogram takes"
    )]
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_MICROS, DIGITS);
        Self(histogram.expect("bounds of a histogram"))
    }
}

impl Latencies {
    /// Adds a call. In an open loop its time counts from the instant at which it was meant to be sent, not from when
    /// it could be: a server that stalls then pays for the calls it kept from being made.
    pub fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(LONGEST_MICROS);
        self.0.saturating_record(micros.clamp(1, LONGEST_MICROS));
    }

    /// Adds all of another.
    pub fn add(&mut self, other: &Self) {
        // Fails only when the bounds differ, and all have the same.
        let _ = self.0.add(&other.0);
    }

    /// How many calls there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The percentiles; none without a call.
    #[must_use]
    pub fn percentiles(&self) -> Option<Percentiles> {
        if self.is_empty() {
            return None;
        }
        Some(Percentiles {
            p50_us: self.0.value_at_quantile(0.5),
            p90_us: self.0.value_at_quantile(0.9),
            p99_us: self.0.value_at_quantile(0.99),
            p999_us: self.0.value_at_quantile(0.999),
            max_us: self.0.max(),
            mean_us: self.0.mean(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: u64, expected: u64) -> bool {
        value.abs_diff(expected) <= expected / 500
    }

    #[test]
    fn percentiles_are_those_of_the_calls() {
        let mut latencies = Latencies::default();
        for micros in 1..=10_000 {
            latencies.record(Duration::from_micros(micros));
        }
        let found = latencies.percentiles().unwrap();
        assert!(near(found.p50_us, 5_000) && near(found.p90_us, 9_000));
        assert!(near(found.p99_us, 9_900) && near(found.p999_us, 9_990));
        assert!(near(found.max_us, 10_000));
        assert_eq!(Latencies::default().percentiles(), None);
    }

    #[test]
    fn parts_add_up_and_nothing_is_too_long_to_count() {
        let (mut one, mut other) = (Latencies::default(), Latencies::default());
        one.record(Duration::ZERO);
        other.record(Duration::from_secs(100_000));
        one.add(&other);
        assert_eq!(one.len(), 2);
        assert!(near(one.percentiles().unwrap().max_us, LONGEST_MICROS));
    }
}
