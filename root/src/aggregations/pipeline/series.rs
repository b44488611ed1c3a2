//! Numbers of buckets in a row: differences, sums, relations, order.

use std::cmp::Ordering;
use std::time::Duration;

use gleaner_partial::EvaluationError;
use gleaner_query::aggregation::{BucketPath, GapPolicy, NormalizeMethod, Pipeline};
use gleaner_query::answer::{AggregationResult, AggregationValue, Bucket};

use super::value::{Numbers, key_number, key_text};
use super::{named, number_of, value};

/// Returns the difference of each number at `path` from the one before; the first has none, nor has one beside a
/// bucket in which a pipeline made nothing.
pub(super) fn derivatives(
    numbers: &Numbers,
    buckets: &[Bucket],
    path: &BucketPath,
    unit: Option<Duration>,
    pipeline: &Pipeline,
) -> Vec<Option<AggregationResult>> {
    let are_there: Vec<bool> = buckets
        .iter()
        .map(|bucket| value::is_there(bucket, path))
        .collect();
    let mut made = vec![None];
    for (at, pair) in numbers.0.windows(2).enumerate() {
        if !(are_there[at] && are_there[at + 1]) {
            made.push(None);
            continue;
        }
        let apart = key_number(&buckets[at + 1].key) - key_number(&buckets[at].key);
        let units = unit.map(|unit| apart / (unit.as_millis() as f64));
        let value = derivative(pair[1] - pair[0], units, pipeline);
        made.push(Some(named(pipeline, "derivative", value)));
    }
    made.truncate(buckets.len());
    made
}

/// Returns a difference as a result; with its share of each of some units, if they are a time.
fn derivative(difference: f64, units: Option<f64>, pipeline: &Pipeline) -> AggregationValue {
    let Some(units) = units.filter(|units| *units > 0.0) else {
        return number_of(difference, pipeline);
    };
    let some = |number: f64| Some(number).filter(|number| number.is_finite());
    let shown = |number: Option<f64>| value::text(pipeline, number?);
    let (value, normalized) = (some(difference), some(difference / units));
    AggregationValue::Derivative {
        value,
        as_string: shown(value),
        normalized,
        normalized_as_string: shown(normalized),
    }
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

#[cfg(test)]
mod tests {
    use gleaner_query::aggregation::{PathStep, PipelineKind};
    use gleaner_query::answer::BucketKey;

    use super::*;

    /// Buckets of a number each, a day apart; `None` has no result.
    fn buckets(numbers: &[Option<f64>]) -> Vec<Bucket> {
        let result = |number: f64| AggregationResult {
            name: "a".to_owned(),
            type_name: "derivative",
            meta: None,
            value: AggregationValue::Number {
                value: Some(number),
                as_string: None,
            },
        };
        let bucket = |(day, number): (usize, &Option<f64>)| Bucket {
            key: BucketKey::I64(day as i64 * 86_400_000),
            key_as_string: None,
            doc_count: 1,
            beside: Vec::new(),
            sub: number.map(result).into_iter().collect(),
        };
        numbers.iter().enumerate().map(bucket).collect()
    }

    #[test]
    fn a_bucket_in_which_nothing_was_made_has_no_difference_beside_it() {
        let path = BucketPath {
            text: "a".to_owned(),
            steps: vec![PathStep {
                name: "a".to_owned(),
                bucket: None,
            }],
            property: None,
        };
        let mut pipeline = Pipeline {
            name: "b".to_owned(),
            kind: PipelineKind::Derivative {
                path: path.clone(),
                unit: None,
            },
            format: Some("0.0".to_owned()),
            gaps: GapPolicy::InsertZeros,
            meta: None,
        };
        let buckets = buckets(&[None, Some(1.0), Some(4.0), None, Some(5.0)]);
        let made = |unit: Option<Duration>, pipeline: &Pipeline| {
            let numbers = Numbers::of(&buckets, &path, pipeline.gaps).expect("numbers");
            derivatives(&numbers, &buckets, &path, unit, pipeline)
        };
        let differences = made(None, &pipeline);
        let is_made: Vec<bool> = differences.iter().map(Option::is_some).collect();
        assert_eq!(is_made, [false, false, true, false, false]);
        let third = differences[2].as_ref().expect("it is made");
        assert_eq!(third.type_name, "derivative");
        let wanted = AggregationValue::Number {
            value: Some(3.0),
            as_string: Some("3.0".to_owned()),
        };
        assert_eq!(third.value, wanted);
        pipeline.format = None;
        let by_hours = made(Some(Duration::from_secs(12 * 3_600)), &pipeline);
        let wanted = AggregationValue::Derivative {
            value: Some(3.0),
            as_string: None,
            normalized: Some(1.5),
            normalized_as_string: None,
        };
        assert_eq!(by_hours[2].as_ref().expect("it is made").value, wanted);
    }
}
