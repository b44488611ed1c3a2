//! `moving_fn`: functions of the numbers in a window over buckets.
//!
//! Source: Elasticsearch reference, *Moving function aggregation*, *Pre-built functions*.

use gleaner_partial::EvaluationError;
use gleaner_partial::control::Control;
use gleaner_query::aggregation::MovingFunction;

use super::value::Numbers;

/// Added to numbers that seasons multiply, so that none is 0.
const PADDING: f64 = 1e-10;

/// Which numbers a function is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    /// Buckets of a window, ≥ 1.
    pub(super) length: usize,
    /// How far it is moved towards later buckets; at 0 it ends before the bucket.
    pub(super) shift: i64,
    /// Numbers that the function needs: of fewer it is 0.
    pub(super) fewest: usize,
}

/// Returns the function of the numbers around each bucket; buckets without a number get none, and do not
/// count as places of the window.
///
/// # Errors
/// [`EvaluationError::Query`] where numbers are too few for the function, [`EvaluationError::DeadlineExceeded`] where there is no time
/// left.
pub(super) fn over(
    numbers: &Numbers,
    windows: Windows,
    function: MovingFunction,
    control: &Control,
) -> Result<Vec<Option<f64>>, EvaluationError> {
    let known = numbers.known();
    let last = known.len() as i64;
    let clamped = |at: i64| at.clamp(0, last) as usize;
    let mut at = 0_i64;
    let one = |number: &f64| {
        if number.is_nan() {
            return Ok(None);
        }
        control.check()?;
        let end = at.saturating_add(windows.shift);
        let start = end.saturating_sub(windows.length as i64);
        at += 1;
        let window = &known[clamped(start)..clamped(end)];
        match window.len() < windows.fewest {
            true => Ok(Some(0.0)),
            false => value(function, window).map(Some),
        }
    };
    numbers.0.iter().map(one).collect()
}

/// Returns the function of some numbers; NaN where it is none, as of no numbers at all.
fn value(function: MovingFunction, numbers: &[f64]) -> Result<f64, EvaluationError> {
    let count = numbers.len() as f64;
    let sum = || numbers.iter().sum::<f64>();
    if numbers.is_empty() {
        return Ok(match function {
            MovingFunction::Sum => 0.0,
            _ => f64::NAN,
        });
    }
    Ok(match function {
        MovingFunction::Max => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        MovingFunction::Min => numbers.iter().copied().fold(f64::INFINITY, f64::min),
        MovingFunction::Sum => sum(),
        MovingFunction::UnweightedAvg => sum() / count,
        MovingFunction::StdDev => {
            let mean = sum() / count;
            let squares = numbers.iter().map(|number| (number - mean).powi(2));
            (squares.sum::<f64>() / count).sqrt()
        }
        MovingFunction::LinearWeightedAvg => {
            let weighted = numbers.iter().zip(1_u32..);
            let weighted = weighted.map(|(number, weight)| number * f64::from(weight));
            // Weights begin at 1, and so does what they are divided by.
            let weights = 1.0 + count * (count + 1.0) / 2.0;
            weighted.sum::<f64>() / weights
        }
        MovingFunction::Ewma { alpha } => {
            let averaged = numbers.iter().copied();
            let averaged = averaged.reduce(|mean, number| alpha * number + (1.0 - alpha) * mean);
            averaged.unwrap_or(f64::NAN)
        }
        MovingFunction::Holt { alpha, beta } => holt(numbers, alpha, beta),
        MovingFunction::HoltWinters {
            alpha,
            beta,
            gamma,
            period,
            is_multiplicative,
        } => {
            let smoothing = Smoothing {
                alpha,
                beta,
                gamma,
                is_multiplicative,
            };
            smoothing.of(numbers, period)?
        }
    })
}

/// Triple exponential smoothing: a level, a trend, and what each part of a season differs by.
struct Smoothing {
    alpha: f64,
    beta: f64,
    gamma: f64,
    is_multiplicative: bool,
}

impl Smoothing {
    /// Returns what numbers with seasons of `period` come to, to the letter of `MovingFunctions.holtWinters`.
    fn of(&self, numbers: &[f64], period: usize) -> Result<f64, EvaluationError> {
        if numbers.len() < 2 * period {
            return Err(EvaluationError::Query(format!(
                "Holt-Winters aggregation requires at least (2 * period == 2 * {period} == {}) data-points to \
                 function. Only [{}] were provided.",
                2 * period,
                numbers.len()
            )));
        }
        let padding = if self.is_multiplicative { PADDING } else { 0.0 };
        let numbers: Vec<f64> = numbers.iter().map(|number| number + padding).collect();
        let mut level = numbers[..period].iter().sum::<f64>() / period as f64;
        let mut trend = 0.0;
        let mut seasonal = vec![0.0; numbers.len()];
        if level != 0.0 {
            for (seasonal, number) in seasonal.iter_mut().zip(&numbers).take(period) {
                *seasonal = number / level;
            }
        }
        for at in period..numbers.len() {
            let (number, season) = (numbers[at], seasonal[at - period]);
            let (last_level, last_trend) = (level, trend);
            let (bare, part) = match self.is_multiplicative {
                true => (number / season, number / (last_level + last_trend)),
                false => (number - season, number - (last_level - last_trend)),
            };
            level = self.alpha * bare + (1.0 - self.alpha) * (last_level + last_trend);
            trend = self.beta * (level - last_level) + (1.0 - self.beta) * last_trend;
            seasonal[at] = self.gamma * part + (1.0 - self.gamma) * season;
        }
        let season = seasonal[numbers.len() - period];
        Ok(match self.is_multiplicative {
            true => (level + trend) * season,
            false => level + trend + season,
        })
    }
}

/// Double exponential smoothing: a level, and a trend that is added to it.
fn holt(numbers: &[f64], alpha: f64, beta: f64) -> f64 {
    let (mut level, mut trend) = (numbers[0], 0.0);
    for number in &numbers[1..] {
        let before = level;
        level = alpha * number + (1.0 - alpha) * (before + trend);
        trend = beta * (level - before) + (1.0 - beta) * trend;
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Windows = Windows {
        length: 2,
        shift: 0,
        fewest: 0,
    };

    #[test]
    fn the_window_ends_before_the_bucket_unless_it_is_shifted() {
        let numbers = Numbers(vec![1.0, 2.0, f64::NAN, 3.0, 4.0]);
        let sums = |shift, fewest| {
            let windows = Windows {
                shift,
                fewest,
                ..PLAIN
            };
            over(
                &numbers,
                windows,
                MovingFunction::Sum,
                &Control::unlimited(),
            )
            .expect("sums")
        };
        let some = |numbers: [f64; 4]| {
            let [a, b, c, d] = numbers.map(Some);
            vec![a, b, None, c, d]
        };
        assert_eq!(sums(0, 0), some([0.0, 1.0, 3.0, 5.0]));
        assert_eq!(sums(1, 0), some([1.0, 3.0, 5.0, 7.0]));
        assert_eq!(sums(0, 2), some([0.0, 0.0, 3.0, 5.0]));
    }

    #[test]
    fn windows_end_with_their_request() {
        let control = Control::unlimited();
        control.cancel();
        let ended = over(&Numbers(vec![1.0]), PLAIN, MovingFunction::Sum, &control);
        assert!(
            matches!(ended, Err(EvaluationError::Cancelled)),
            "{ended:?}"
        );
    }

    #[test]
    fn means_are_weighted_as_they_are_named() {
        let numbers = [1.0, 2.0, 3.0];
        let of = |function| value(function, &numbers).expect("a number");
        assert_eq!(of(MovingFunction::UnweightedAvg), 2.0);
        assert_eq!(of(MovingFunction::LinearWeightedAvg), 2.0);
        assert_eq!(of(MovingFunction::Ewma { alpha: 0.5 }), 2.25);
        assert!(value(MovingFunction::Max, &[]).expect("none").is_nan());
    }

    #[test]
    fn seasons_are_those_of_two_at_least() {
        let of = |is_multiplicative, numbers: &[f64]| {
            let function = MovingFunction::HoltWinters {
                alpha: 0.5,
                beta: 0.5,
                gamma: 0.5,
                period: 2,
                is_multiplicative,
            };
            value(function, numbers)
        };
        // What Elasticsearch's code gives.
        let numbers = [1.0, 2.0, 3.0, 4.0];
        let added = of(false, &numbers).expect("enough numbers");
        assert!((added - 3.822_916_666_666_667).abs() < 1e-9, "{added}");
        let multiplied = of(true, &numbers).expect("enough numbers");
        assert!((multiplied - 5.25).abs() < 1e-6, "{multiplied}");
        let refused = of(false, &numbers[..3]).expect_err("too few").to_string();
        assert!(
            refused.contains("requires at least (2 * period == 2 * 2 == 4)"),
            "{refused}"
        );
        assert!(of(false, &[]).expect("none").is_nan());
    }
}
