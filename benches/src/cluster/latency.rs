//! Latencies in a histogram of high dynamic range (Tene, HdrHistogram).

use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest latency told apart, an hour; longer ones count as this.
const LONGEST_US: u64 = 3_600_000_000;

/// Latencies in microseconds, right to three digits.
#[derive(Debug, Clone)]
pub(super) struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, 3);
        Self(histogram.expect("the bounds are in order and three digits are few"))
    }
}

impl Latencies {
    /// Counts one latency.
    pub(super) fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US);
        self.0.saturating_record(micros);
    }

    /// Counts all of `other` too.
    pub(super) fn merge(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// Returns how many were counted.
    pub(super) fn number(&self) -> u64 {
        self.0.len()
    }

    /// Returns the milliseconds that a share of all, 0 to 1, do not exceed; NaN of none.
    pub(super) fn at(&self, quantile: f64) -> f64 {
        match self.0.len() {
            0 => f64::NAN,
            _ => self.0.value_at_quantile(quantile) as f64 / 1_000.0,
        }
    }

    /// Returns the share, 0 to 1, that took no longer than `limit_ms`; NaN of none.
    pub(super) fn share_within(&self, limit_ms: f64) -> f64 {
        let limit_us = (limit_ms * 1_000.0) as u64;
        self.0.count_between(0, limit_us) as f64 / self.0.len() as f64
    }

    /// Returns the longest in milliseconds; NaN of none.
    pub(super) fn max(&self) -> f64 {
        self.at(1.0)
    }
}

impl FromIterator<Duration> for Latencies {
    fn from_iter<I: IntoIterator<Item = Duration>>(latencies: I) -> Self {
        let mut all = Self::default();
        latencies.into_iter().for_each(|latency| all.add(latency));
        all
    }
}

/// Returns milliseconds as a cell shows them: three digits that mean something.
pub(super) fn ms(value: f64) -> String {
    match value {
        value if value.is_nan() => "–".to_owned(),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_all_that_were_counted() {
        let mut low: Latencies = (1..=500).map(Duration::from_millis).collect();
        let high: Latencies = (501..=1_000).map(Duration::from_millis).collect();
        low.merge(&high);
        assert_eq!(low.number(), 1_000);
        for (quantile, wanted) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1_000.0)] {
            let seen = low.at(quantile);
            assert!((seen / wanted - 1.0).abs() < 0.002, "{quantile}: {seen}");
        }
        let share = low.share_within(750.0);
        assert!((share - 0.75).abs() < 0.002, "{share}");
        assert!(Latencies::default().max().is_nan());
        assert!(Latencies::default().share_within(1.0).is_nan());
    }

    #[test]
    fn cells_keep_three_digits() {
        let shown = [0.3216, 32.16, 321.6, f64::NAN].map(ms);
        assert_eq!(shown, ["0.32", "32.2", "322", "–"]);
    }
}
