//! `moving_fn`: functions of the numbers in a window over buckets.
//!
//! Source: Elasticsearch reference, *Moving function aggregation*, *Pre-built functions*.

use gleaner_query::aggregation::MovingFunction;

use super::value::Numbers;

/// Returns the function of the numbers around each bucket; buckets without a number get none, and do not
/// count as places of the window.
pub(super) fn over(
    numbers: &Numbers,
    window: usize,
    shift: i64,
    function: MovingFunction,
) -> Vec<Option<f64>> {
    let known = numbers.known();
    let last = known.len() as i64;
    let clamped = |at: i64| at.clamp(0, last) as usize;
    let mut at = 0_i64;
    let one = |number: &f64| {
        if number.is_nan() {
            return None;
        }
        let end = at.saturating_add(shift);
        let start = end.saturating_sub(window as i64);
        at += 1;
        Some(value(function, &known[clamped(start)..clamped(end)]))
    };
    numbers.0.iter().map(one).collect()
}

/// Returns the function of some numbers; NaN where it is none, as of no numbers at all.
fn value(function: MovingFunction, numbers: &[f64]) -> f64 {
    let count = numbers.len() as f64;
    let sum = || numbers.iter().sum::<f64>();
    if numbers.is_empty() {
        return match function {
            MovingFunction::Sum => 0.0,
            _ => f64::NAN,
        };
    }
    match function {
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

    #[test]
    fn the_window_ends_before_the_bucket_unless_it_is_shifted() {
        let numbers = Numbers(vec![1.0, 2.0, f64::NAN, 3.0, 4.0]);
        let sums = |shift| over(&numbers, 2, shift, MovingFunction::Sum);
        let some = |numbers: [f64; 4]| {
            let [a, b, c, d] = numbers.map(Some);
            vec![a, b, None, c, d]
        };
        assert_eq!(sums(0), some([0.0, 1.0, 3.0, 5.0]));
        assert_eq!(sums(1), some([1.0, 3.0, 5.0, 7.0]));
    }

    #[test]
    fn means_are_weighted_as_they_are_named() {
        let numbers = [1.0, 2.0, 3.0];
        assert_eq!(value(MovingFunction::UnweightedAvg, &numbers), 2.0);
        assert_eq!(value(MovingFunction::LinearWeightedAvg, &numbers), 2.0);
        assert_eq!(value(MovingFunction::Ewma { alpha: 0.5 }, &numbers), 2.25);
        assert!(value(MovingFunction::Max, &[]).is_nan());
    }
}
