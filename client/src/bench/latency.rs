//! Latencies in a histogram of high dynamic range (Tene, HdrHistogram).

use std::time::Duration;

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Serializer, V2DeflateSerializer},
};
use serde::Serialize;

/// The longest latency told apart, an hour; longer ones count as this.
const LONGEST_US: u64 = 3_600_000_000;

/// Digits that are right, whatever the size of a value.
const DIGITS: u8 = 3;

/// Latencies in microseconds, 1 µs to 1 h, right to three digits.
#[derive(Debug, Clone)]
pub(super) struct Latencies(Histogram<u64>);

/// The figures of a histogram, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Figures {
    pub(super) min: f64,
    pub(super) mean: f64,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p99_9: f64,
    pub(super) max: f64,
}

/// A histogram as other tools read it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct HistogramExport {
    format: &'static str,
    unit: &'static str,
    data: String,
}

impl Latencies {
    /// Returns an empty histogram.
    pub(super) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, DIGITS);
        Self(histogram.expect("the bounds are in order and three digits are few"))
    }

    /// Counts one latency.
    pub(super) fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US);
        self.0.saturating_record(micros);
    }

    /// Returns how many were counted.
    pub(super) fn number(&self) -> u64 {
        self.0.len()
    }

    /// Returns the milliseconds that a share of all, 0 to 1, do not exceed.
    pub(super) fn at_quantile(&self, quantile: f64) -> f64 {
        in_ms(self.0.value_at_quantile(quantile) as f64)
    }

    /// Returns the figures; `None` when nothing was counted.
    pub(super) fn figures(&self) -> Option<Figures> {
        (!self.0.is_empty()).then(|| Figures {
            min: in_ms(self.0.min() as f64),
            mean: in_ms(self.0.mean().round()),
            p50: self.at_quantile(0.5),
            p90: self.at_quantile(0.9),
            p99: self.at_quantile(0.99),
            p99_9: self.at_quantile(0.999),
            max: in_ms(self.0.max() as f64),
        })
    }

    /// Writes the whole histogram in the form that HdrHistogram's tools read.
    pub(super) fn encoded(&self) -> Result<HistogramExport> {
        let mut bytes = Vec::new();
        let written = V2DeflateSerializer::new().serialize(&self.0, &mut bytes);
        written.context("cannot encode a histogram")?;
        Ok(HistogramExport {
            format: "HdrHistogram V2, compressed, base64",
            unit: "us",
            data: STANDARD.encode(bytes),
        })
    }
}

fn in_ms(micros: f64) -> f64 {
    micros / 1_000.0
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::Deserializer;

    use super::*;

    #[test]
    fn figures_are_those_of_the_latencies() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.figures(), None);
        for ms in 1..=1_000 {
            latencies.add(Duration::from_millis(ms));
        }
        let figures = latencies.figures().expect("a thousand");
        let near = |seen: f64, wanted: f64| (seen / wanted - 1.0).abs() < 0.002;
        assert!(
            near(figures.min, 1.0) && near(figures.max, 1_000.0),
            "{figures:?}"
        );
        assert!(
            near(figures.mean, 500.5) && near(figures.p50, 500.0),
            "{figures:?}"
        );
        assert!(
            near(figures.p90, 900.0) && near(figures.p99_9, 999.0),
            "{figures:?}"
        );
    }

    #[test]
    fn extremes_are_counted_at_the_bounds() {
        let mut latencies = Latencies::new();
        latencies.add(Duration::ZERO);
        latencies.add(Duration::from_secs(1 << 40));
        assert_eq!(latencies.number(), 2);
        let longest = latencies.figures().expect("two").max;
        assert!((longest / 3_600_000.0 - 1.0).abs() < 0.002, "{longest}");
    }

    #[test]
    fn the_encoded_form_is_read_back() {
        let mut latencies = Latencies::new();
        for us in [3, 70, 70, 45_000] {
            latencies.add(Duration::from_micros(us));
        }
        let encoded = latencies.encoded().expect("encoded");
        assert!(encoded.data.starts_with("HISTFAAA"), "{}", encoded.data);
        let bytes = STANDARD.decode(&encoded.data).expect("base64");
        let read: Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .expect("a histogram");
        assert_eq!(read, latencies.0);
    }
}
