//! One request many times, and what share of them took how long.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::spread::{at_share, sorted};

/// Repetitions that fill caches and derive what is derived on use; a server that is asked twice has done so.
const WARM: Bounds = Bounds {
    least: 3,
    most: 50,
    enough: Duration::from_secs(1),
};
/// Repetitions that count.
const COUNTED: Bounds = Bounds {
    least: 10,
    most: 300,
    enough: Duration::from_secs(3),
};

/// How often something is repeated: so often that `enough` has passed, within bounds.
struct Bounds {
    least: usize,
    most: usize,
    enough: Duration,
}

/// How long the repetitions of a request took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Times {
    /// Milliseconds that half of them did not exceed.
    pub(super) p50_ms: f64,
    /// Milliseconds that 99 of 100 did not exceed; of fewer than 100 the longest.
    pub(super) p99_ms: f64,
    /// How many counted.
    pub(super) repetitions: usize,
}

impl Times {
    fn of(took: impl Iterator<Item = Duration>) -> Self {
        let took = sorted(took.map(|took| took.as_secs_f64() * 1e3));
        Self {
            p50_ms: at_share(&took, 0.5),
            p99_ms: at_share(&took, 0.99),
            repetitions: took.len(),
        }
    }
}

/// Repeats `ask`, which returns how long it took, first to warm up and then to count.
///
/// # Errors
/// The first of `ask`.
pub(super) fn repeat(mut ask: impl FnMut() -> Result<Duration>) -> Result<Times> {
    within(&WARM, &mut ask)?;
    let took = within(&COUNTED, &mut ask)?;
    Ok(Times::of(took.into_iter()))
}

fn within(bounds: &Bounds, mut ask: impl FnMut() -> Result<Duration>) -> Result<Vec<Duration>> {
    let begun = Instant::now();
    let mut took = Vec::new();
    while took.len() < bounds.least || (took.len() < bounds.most && begun.elapsed() < bounds.enough)
    {
        took.push(ask()?);
    }
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_request_is_repeated_up_to_the_bound_and_a_slow_one_as_often_as_it_must() {
        let ask = || Ok(Duration::from_millis(1));
        let quick = Bounds {
            enough: Duration::MAX,
            ..COUNTED
        };
        assert_eq!(within(&quick, ask).expect("nothing fails").len(), 300);
        let slow = Bounds {
            enough: Duration::ZERO,
            ..COUNTED
        };
        assert_eq!(within(&slow, ask).expect("nothing fails").len(), 10);
    }

    #[test]
    fn one_of_a_hundred_does_not_move_the_median() {
        let took = (0..100).map(|at| Duration::from_millis(if at == 7 { 50 } else { 1 }));
        let times = Times::of(took);
        assert_eq!((times.p50_ms, times.p99_ms), (1.0, 50.0));
    }
}
