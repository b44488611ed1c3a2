//! Counts and sums of buckets by the time that they take.

use gleaner_partial::EvaluationError;
use gleaner_query::aggregation::{BucketLength, BucketPath, GapPolicy, Pipeline, RateUnit};
use gleaner_query::answer::Bucket;

use super::value::{Numbers, key_number, part_number};
use super::{named, number_of};

/// Adds a rate to each bucket, in the place of the metric that it is made of.
///
/// # Errors
/// [`EvaluationError::Query`] for a time zone that is unknown.
pub(super) fn add(
    buckets: &mut [Bucket],
    path: &BucketPath,
    unit: Option<RateUnit>,
    length: Option<&BucketLength>,
    pipeline: &Pipeline,
) -> Result<(), EvaluationError> {
    // A bucket without documents has a rate: none by the time that it takes.
    let numbers = Numbers::of(buckets, path, GapPolicy::KeepValues)?;
    for (bucket, number) in buckets.iter_mut().zip(numbers.0) {
        let begin = match length.and_then(|length| length.source) {
            Some(source) => part_number(&bucket.key, source),
            None => key_number(&bucket.key),
        };
        let time = match length {
            // The bucket of documents without a date takes no time.
            Some(_) if begin.is_nan() => f64::NAN,
            Some(length) => length
                .in_unit(begin as i64, unit)
                .map_err(|error| EvaluationError::Query(error.reason))?,
            None => 1.0,
        };
        if let Some(metric) = path.steps.first() {
            bucket.sub.retain(|result| result.name != metric.name);
        }
        let rate = number_of(number / time, pipeline);
        bucket.sub.push(named(pipeline, "rate", rate));
    }
    Ok(())
}
