//! Numbers of buckets in a row: differences, sums, relations, order.

use std::cmp::Ordering;
use std::time::Duration;

use gleaner_partial::EvaluationError;
use gleaner_query::aggregation::{BucketPath, GapPolicy, NormalizeMethod, Pipeline};
use gleaner_query::answer::{AggregationResult, AggregationValue, Bucket};

use super::value::{Numbers, key_number, key_text};
use super::{named, number_of, value};

/// Returns each number's difference from the one before; the first has none.
pub(super) fn derivatives(
    numbers: &Numbers,
    buckets: &[Bucket],
    unit: Option<Duration>,
    pipeline: &Pipeline,
) -> Vec<Option<AggregationResult>> {
    let mut made = vec![None];
    for (pair, keys) in numbers.0.windows(2).zip(buckets.windows(2)) {
        let difference = pair[1] - pair[0];
        let Some(unit) = unit else {
            made.push(Some(named(
                pipeline,
                "simple_value",
                number_of(difference, pipeline),
            )));
            continue;
        };
        let apart = key_number(&keys[1].key) - key_number(&keys[0].key);
        let units = apart / (unit.as_millis() as f64);
        let some = |number: f64| Some(number).filter(|number| number.is_finite());
        let value = AggregationValue::Derivative {
            value: some(difference),
            as_string: some(difference).and_then(|number| value::text(pipeline, number)),
            normalized: some(difference / units),
        };
        made.push(Some(named(pipeline, "derivative", value)));
    }
    made.truncate(buckets.len());
    made
}

/// Returns the sums up to each number; where there is none, the sum stays.
pub(super) fn cumulative_sums(numbers: &Numbers) -> Vec<Option<f64>> {
    let sums = numbers.0.iter().scan(0.0, |sum, number| {
        if number.is_finite() {
            *sum += number;
        }
        Some(Some(*sum))
    });
    sums.collect()
}

/// Returns each number's difference from that `lag` buckets before; none where either is missing.
pub(super) fn differences(numbers: &Numbers, lag: usize) -> Vec<Option<f64>> {
    let numbers = &numbers.0;
    let one = |(at, number): (usize, &f64)| {
        let before = at.checked_sub(lag).map(|before| numbers[before])?;
        Some(number - before).filter(|difference| !difference.is_nan())
    };
    numbers.iter().enumerate().map(one).collect()
}

/// Returns each number in relation to all.
pub(super) fn normalized(numbers: &Numbers, method: NormalizeMethod) -> Vec<Option<f64>> {
    let known = numbers.known();
    let count = known.len() as f64;
    let sum: f64 = known.iter().sum();
    let mean = sum / count;
    let smallest = known.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = largest - smallest;
    let squares = known.iter().map(|number| (number - mean).powi(2));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    let exponentials: f64 = known.iter().map(|number| number.exp()).sum();
    let one = |number: &f64| match method {
        NormalizeMethod::Rescale01 => (number - smallest) / range,
        NormalizeMethod::Rescale0100 => 100.0 * (number - smallest) / range,
        NormalizeMethod::PercentOfSum => number / sum,
        NormalizeMethod::Mean => (number - mean) / range,
        NormalizeMethod::ZScore => (number - mean) / deviation,
        NormalizeMethod::Softmax => number.exp() / exponentials,
    };
    numbers.0.iter().map(|number| Some(one(number))).collect()
}

/// A value by which buckets are ordered.
enum SortKey {
    Number(f64),
    Text(String),
}

/// Orders buckets by `keys`; those without any of the numbers are left out.
///
/// # Errors
/// [`EvaluationError::Query`] where a path leads to no number.
pub(super) fn sort(
    buckets: &mut Vec<Bucket>,
    keys: &[(BucketPath, bool)],
    gaps: GapPolicy,
) -> Result<(), EvaluationError> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut keyed = Vec::with_capacity(buckets.len());
    for bucket in std::mem::take(buckets) {
        let values = keys.iter().map(|(path, _)| key_of(&bucket, path, gaps));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        if values.iter().any(Option::is_some) {
            keyed.push((values, bucket));
        }
    }
    keyed.sort_by(|(a, _), (b, _)| {
        let pairs = a.iter().zip(b).zip(keys);
        let orders = pairs.map(|((a, b), (_, is_descending))| compare(a, b, *is_descending));
        orders.fold(Ordering::Equal, Ordering::then)
    });
    buckets.extend(keyed.into_iter().map(|(_, bucket)| bucket));
    Ok(())
}

fn key_of(
    bucket: &Bucket,
    path: &BucketPath,
    gaps: GapPolicy,
) -> Result<Option<SortKey>, EvaluationError> {
    let number = value::in_bucket(bucket, path, gaps)?;
    let is_key = path.steps.is_empty() && path.property.as_deref() == Some("_key");
    Ok(match number.is_nan() {
        false => Some(SortKey::Number(number)),
        true if is_key => Some(SortKey::Text(key_text(bucket))),
        true => None,
    })
}

/// Compares two values; what is missing comes last.
fn compare(a: &Option<SortKey>, b: &Option<SortKey>, is_descending: bool) -> Ordering {
    let ascending = match (a, b) {
        (None, None) => return Ordering::Equal,
        (None, Some(_)) => return Ordering::Greater,
        (Some(_), None) => return Ordering::Less,
        (Some(SortKey::Number(a)), Some(SortKey::Number(b))) => a.total_cmp(b),
        (Some(SortKey::Text(a)), Some(SortKey::Text(b))) => a.cmp(b),
        (Some(SortKey::Number(_)), Some(SortKey::Text(_))) => Ordering::Less,
        (Some(SortKey::Text(_)), Some(SortKey::Number(_))) => Ordering::Greater,
    };
    match is_descending {
        true => ascending.reverse(),
        false => ascending,
    }
}
