//! How long calls take: a small histogram that forgets.
//!
//! What is wanted is one quantile, to about a tenth, of the last few hundred calls, cheaply, for many
//! pairs of leaf and index. A t-digest or an HDR histogram keeps more than that and forgets nothing;
//! counters in buckets that grow by the eighth root of 2 tell a quantile to 9 % in 300 bytes, a
//! sample costs one increment, and halving all counters forgets.

use std::time::Duration;

/// Upper bound of the first bucket. Faster calls need not be told apart: none is hedged within a
/// millisecond.
const FIRST: Duration = Duration::from_micros(500);

/// Buckets per doubling.
const PER_OCTAVE: f64 = 8.0;

/// 18 doublings: the last bucket ends at 131 s, and takes in all that is beyond.
const NUM_BUCKETS: usize = 145;

/// Samples at which all counters are halved, so that the last 256 to 512 count.
const HALVED_AT: u32 = 512;

/// Samples below which nothing is said: with fewer, a 95th percentile is the largest by chance.
const ENOUGH: u32 = 20;

/// A decaying histogram of durations.
#[derive(Debug, Clone)]
pub(crate) struct Sketch {
    counts: [u16; NUM_BUCKETS],
    total: u32,
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            counts: [0; NUM_BUCKETS],
            total: 0,
        }
    }
}

impl Sketch {
    /// Counts one call.
    pub(crate) fn record(&mut self, took: Duration) {
        self.counts[bucket_of(took)] += 1;
        self.total += 1;
        if self.total >= HALVED_AT {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().map(|count| u32::from(*count)).sum();
        }
    }

    /// Returns the time within which the share `q` of the calls was done, rounded up to its bucket;
    /// `None` while too few were seen.
    pub(crate) fn quantile(&self, q: f64) -> Option<Duration> {
        if self.total < ENOUGH {
            return None;
        }
        let wanted = (f64::from(self.total) * q).ceil() as u32;
        let mut seen = 0;
        let reaches = |count: &u16| {
            seen += u32::from(*count);
            seen >= wanted
        };
        let bucket = self.counts.iter().position(reaches)?;
        Some(FIRST.mul_f64((bucket as f64 / PER_OCTAVE).exp2()))
    }
}

fn bucket_of(took: Duration) -> usize {
    let octaves = (took.as_secs_f64() / FIRST.as_secs_f64()).log2();
    // Negative and infinitely negative numbers become 0.
    let bucket = (octaves * PER_OCTAVE).ceil() as usize;
    bucket.min(NUM_BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_quantile_is_above_the_truth_by_a_tenth_at_most() {
        let mut sketch = Sketch::default();
        (1..=200).for_each(|ms| sketch.record(millis(ms)));
        for q in [0.5, 0.95] {
            let truth = 200.0 * q / 1e3;
            let told = sketch.quantile(q).expect("enough").as_secs_f64();
            assert!((truth..truth * 1.1).contains(&told), "{q}: {told}");
        }
    }

    #[test]
    fn a_few_calls_say_nothing() {
        let mut sketch = Sketch::default();
        (1..ENOUGH).for_each(|_| sketch.record(millis(3)));
        assert_eq!(sketch.quantile(0.95), None);
        sketch.record(millis(3));
        assert!(sketch.quantile(0.95).is_some());
    }

    #[test]
    fn the_past_is_forgotten() {
        let mut sketch = Sketch::default();
        (0..10_000).for_each(|_| sketch.record(millis(400)));
        (0..2_500).for_each(|_| sketch.record(millis(2)));
        assert!(sketch.quantile(0.95).expect("enough") < millis(3));
    }

    #[test]
    fn the_ends_take_in_what_is_beyond() {
        assert_eq!(bucket_of(Duration::ZERO), 0);
        assert_eq!(bucket_of(FIRST), 0);
        assert_eq!(bucket_of(Duration::MAX), NUM_BUCKETS - 1);
    }
}
