//! What the numbers of several buckets come to: `*_bucket`.

use gleaner_partial::EvaluationError;
use gleaner_partial::sum::ExactSum;
use gleaner_query::aggregation::{BucketPath, BucketSummary, PathStep, Pipeline};
use gleaner_query::answer::{AggregationResult, AggregationValue, Bucket, Figure, Spread, Stats};

use super::value::{self, Numbers, key_text, refused, text};
use super::{named, number_of};

/// Returns what the numbers at `path` come to.
///
/// # Errors
/// [`EvaluationError::Query`] where the path leads to no number.
pub(super) fn of_buckets(
    summary: &BucketSummary,
    path: &BucketPath,
    pipeline: &Pipeline,
    results: &[AggregationResult],
) -> Result<AggregationResult, EvaluationError> {
    let (buckets, rest) = buckets_at(results, path)?;
    let within = BucketPath {
        text: path.text.clone(),
        steps: rest.to_vec(),
        property: path.property.clone(),
    };
    let numbers = Numbers::of(buckets, &within, pipeline.gaps)?;
    let known = numbers.known();
    Ok(match summary {
        BucketSummary::Avg => {
            let mean = sum(&known) / known.len() as f64;
            named(pipeline, "simple_value", number_of(mean, pipeline))
        }
        BucketSummary::Sum => named(pipeline, "simple_value", number_of(sum(&known), pipeline)),
        BucketSummary::Max => best(pipeline, buckets, &numbers, f64::max),
        BucketSummary::Min => best(pipeline, buckets, &numbers, f64::min),
        BucketSummary::Stats => {
            let value = AggregationValue::Stats(stats(&known, None, pipeline));
            named(pipeline, "stats_bucket", value)
        }
        BucketSummary::ExtendedStats { sigma } => {
            let value = AggregationValue::Stats(stats(&known, Some(*sigma), pipeline));
            named(pipeline, "extended_stats_bucket", value)
        }
        BucketSummary::Percentiles { percents, keyed } => {
            let value = percentiles(known, percents, *keyed, pipeline);
            named(pipeline, "percentiles_bucket", value)
        }
    })
}

/// Returns the buckets that a path leads to through single buckets and those that it names by their keys, with the
/// steps that remain in each; none where a bucket of that key is missing.
fn buckets_at<'a>(
    results: &'a [AggregationResult],
    path: &'a BucketPath,
) -> Result<(&'a [Bucket], &'a [PathStep]), EvaluationError> {
    let (mut results, mut rest) = (results, &path.steps[..]);
    while let Some((step, behind)) = rest.split_first() {
        rest = behind;
        let mut found = results.iter();
        let found = found.find(|result| result.name == step.name);
        results = match (found.map(|result| &result.value), &step.bucket) {
            (Some(AggregationValue::Single { sub, .. }), _) => sub,
            (Some(AggregationValue::Buckets { buckets, .. }), None) => return Ok((buckets, rest)),
            (Some(AggregationValue::Buckets { buckets, .. }), Some(key)) => {
                match value::bucket_of_key(buckets, key) {
                    Some(bucket) => &bucket.sub,
                    None => return Ok((&[], rest)),
                }
            }
            _ => break,
        };
    }
    Err(refused(
        path,
        "must lead to an aggregation of several buckets",
    ))
}

fn sum(numbers: &[f64]) -> f64 {
    let mut sum = ExactSum::default();
    numbers.iter().for_each(|number| sum.add(*number));
    sum.value()
}

/// Returns the largest or smallest number, with the keys of the buckets that have it.
fn best(
    pipeline: &Pipeline,
    buckets: &[Bucket],
    numbers: &Numbers,
    better: fn(f64, f64) -> f64,
) -> AggregationResult {
    let known = numbers.known();
    let value = known.iter().copied().reduce(better);
    let with_it = buckets.iter().zip(&numbers.0);
    let with_it = with_it.filter(|(_, number)| Some(**number) == value);
    let value = AggregationValue::OfBuckets {
        as_string: value.and_then(|value| text(pipeline, value)),
        keys: with_it.map(|(bucket, _)| key_text(bucket)).collect(),
        value,
    };
    named(pipeline, "bucket_metric_value", value)
}

fn stats(numbers: &[f64], sigma: Option<f64>, pipeline: &Pipeline) -> Stats {
    let total = sum(numbers);
    let mean = total / numbers.len() as f64;
    let smallest = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let texts = [smallest, largest, mean, total].map(|number| text(pipeline, number));
    let [Some(min), Some(max), Some(avg), Some(of_sum)] = texts else {
        return Stats {
            count: numbers.len() as u64,
            min: smallest,
            max: largest,
            sum: total,
            spread: sigma.map(|sigma| Box::new(spread(numbers, sigma, pipeline))),
            as_strings: None,
        };
    };
    Stats {
        count: numbers.len() as u64,
        min: smallest,
        max: largest,
        sum: total,
        spread: sigma.map(|sigma| Box::new(spread(numbers, sigma, pipeline))),
        as_strings: Some([min, max, avg, of_sum]),
    }
}

fn spread(numbers: &[f64], sigma: f64, pipeline: &Pipeline) -> Spread {
    let figure = |value: f64| Figure {
        value,
        text: text(pipeline, value),
    };
    let squares: Vec<f64> = numbers.iter().map(|number| number * number).collect();
    let (count, total, squares) = (numbers.len() as f64, sum(numbers), sum(&squares));
    let mean = total / count;
    let apart = squares - total * total / count;
    let variance = [count, count - 1.0].map(|over| {
        let variance = apart / over;
        // Of a single number the sampled one is NaN, and stays so.
        if variance < 0.0 { 0.0 } else { variance }
    });
    let deviation = variance.map(f64::sqrt);
    Spread {
        sum_of_squares: figure(squares),
        variance: variance.map(figure),
        deviation: deviation.map(figure),
        bounds: deviation
            .map(|deviation| [mean + sigma * deviation, mean - sigma * deviation].map(figure)),
    }
}

/// Returns the numbers nearest to the percents.
fn percentiles(
    mut numbers: Vec<f64>,
    percents: &[f64],
    keyed: bool,
    pipeline: &Pipeline,
) -> AggregationValue {
    numbers.sort_by(f64::total_cmp);
    let last = numbers.len().saturating_sub(1) as f64;
    let at = |percent: &f64| {
        let nearest = (percent / 100.0 * last + 0.5).floor() as usize;
        (*percent, numbers.get(nearest).copied())
    };
    let values: Vec<(f64, Option<f64>)> = percents.iter().map(at).collect();
    let texts = values.iter().map(|(_, value)| text(pipeline, (*value)?));
    AggregationValue::Percentiles {
        as_strings: texts.collect(),
        values,
        keyed,
    }
}

#[cfg(test)]
mod tests {
    use gleaner_query::aggregation::{GapPolicy, PipelineKind};

    use super::*;

    fn spread_of(numbers: &[f64]) -> Spread {
        let path = BucketPath {
            text: "a>b".to_owned(),
            steps: Vec::new(),
            property: None,
        };
        let pipeline = Pipeline {
            name: "x".to_owned(),
            kind: PipelineKind::CumulativeSum { path },
            format: None,
            gaps: GapPolicy::Skip,
            meta: None,
        };
        spread(numbers, 2.0, &pipeline)
    }

    #[test]
    fn the_sampled_spread_of_a_single_number_is_none() {
        let spread = spread_of(&[3.0]);
        assert_eq!(spread.variance[0].value, 0.0);
        assert_eq!(spread.bounds[0][0].value, 3.0);
        let sampled = [&spread.variance[1], &spread.deviation[1]];
        for figure in sampled.into_iter().chain(&spread.bounds[1]) {
            assert!(figure.value.is_nan(), "{figure:?}");
        }
        // Of equal numbers it is 0, not less by rounding.
        let spread = spread_of(&[0.1, 0.1, 0.1]);
        assert!((0.0..1e-9).contains(&spread.variance[1].value));
    }
}
