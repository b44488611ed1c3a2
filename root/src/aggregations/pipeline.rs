//! Aggregations made of the results of others, when those of all shards are merged.
//!
//! Does: walk the results from the inside out; leave out and order buckets; add what is computed. Does not: ask
//! shards anything, so what it computes is as exact as what it is made of.
//! Called by: `super`. Source: Elasticsearch reference, *Pipeline aggregations*.

mod expression;
mod moving;
mod rate;
mod series;
mod summary;
mod value;

use std::sync::Arc;

use gleaner_partial::EvaluationError;
use gleaner_query::aggregation::{Aggregation, GapPolicy, Pipeline, PipelineKind};
use gleaner_query::answer::{AggregationResult, AggregationValue, Bucket};

use self::expression::Expression;
use self::value::Numbers;

/// Adds to `results`, which are of `aggregations`, what `pipelines` make of them.
///
/// # Errors
/// [`EvaluationError::Query`] for paths that lead to no number and expressions that cannot be evaluated.
pub(super) fn apply(
    results: &mut Vec<AggregationResult>,
    aggregations: &[Aggregation],
    pipelines: &[Pipeline],
) -> Result<(), EvaluationError> {
    for aggregation in aggregations {
        let mut named = results.iter_mut();
        if let Some(result) = named.find(|result| result.name == aggregation.name) {
            within(result, aggregation)?;
        }
    }
    for pipeline in pipelines {
        if let PipelineKind::Buckets { summary, path } = &pipeline.kind {
            let made = summary::of_buckets(summary, path, pipeline, results)?;
            results.push(made);
        }
    }
    Ok(())
}

/// Adds what stands inside `result`, from the inside out.
fn within(
    result: &mut AggregationResult,
    aggregation: &Aggregation,
) -> Result<(), EvaluationError> {
    let (siblings, parents): (Vec<_>, Vec<_>) = aggregation
        .pipelines
        .iter()
        .cloned()
        .partition(|pipeline| pipeline.kind.is_sibling());
    match &mut result.value {
        AggregationValue::Buckets { buckets, .. } => {
            for bucket in buckets.iter_mut() {
                apply(&mut bucket.sub, &aggregation.sub, &siblings)?;
            }
            for pipeline in &parents {
                over(buckets, pipeline)?;
            }
            Ok(())
        }
        AggregationValue::Single { sub, .. } => apply(sub, &aggregation.sub, &siblings),
        _ => Ok(()),
    }
}

/// Runs one pipeline over the buckets that it is in.
fn over(buckets: &mut Vec<Bucket>, pipeline: &Pipeline) -> Result<(), EvaluationError> {
    let gaps = pipeline.gaps;
    match &pipeline.kind {
        // It is made where the results are.
        PipelineKind::Buckets { .. } => Ok(()),
        PipelineKind::Derivative { path, unit } => {
            let numbers = Numbers::of(buckets, path, gaps)?;
            let made = series::derivatives(&numbers, buckets, *unit, pipeline);
            add(buckets, pipeline, made);
            Ok(())
        }
        PipelineKind::CumulativeSum { path } => {
            let numbers = Numbers::of(buckets, path, gaps)?;
            let sums = series::cumulative_sums(&numbers);
            add(buckets, pipeline, simple(sums, pipeline));
            Ok(())
        }
        PipelineKind::SerialDifference { path, lag } => {
            let numbers = Numbers::of(buckets, path, gaps)?;
            let differences = series::differences(&numbers, *lag);
            add(buckets, pipeline, simple(differences, pipeline));
            Ok(())
        }
        PipelineKind::Normalize { path, method } => {
            let numbers = Numbers::of(buckets, path, gaps)?;
            let related = series::normalized(&numbers, *method);
            add(buckets, pipeline, simple(related, pipeline));
            Ok(())
        }
        PipelineKind::Rate { path, unit, length } => {
            rate::add(buckets, path, *unit, length.as_ref(), pipeline)
        }
        PipelineKind::MovingFunction {
            path,
            window,
            shift,
            function,
        } => {
            let numbers = Numbers::of(buckets, path, gaps)?;
            let moved = moving::over(&numbers, *window, *shift, *function);
            add(buckets, pipeline, simple(moved, pipeline));
            Ok(())
        }
        PipelineKind::Script { paths, source } => {
            let expression = Expression::new(source, paths)?;
            let mut made = Vec::with_capacity(buckets.len());
            for bucket in buckets.iter() {
                let numbers = expression.numbers(bucket, gaps)?;
                let is_left_out = gaps == GapPolicy::Skip && numbers.iter().any(|n| n.is_nan());
                made.push(match is_left_out {
                    true => None,
                    false => Some(expression.number(&numbers)?),
                });
            }
            add(buckets, pipeline, simple(made, pipeline));
            Ok(())
        }
        PipelineKind::Selector { paths, source } => {
            let expression = Expression::new(source, paths)?;
            let mut kept = Vec::with_capacity(buckets.len());
            for bucket in std::mem::take(buckets) {
                let numbers = expression.numbers(&bucket, gaps)?;
                if expression.holds(&numbers)? {
                    kept.push(bucket);
                }
            }
            *buckets = kept;
            Ok(())
        }
        PipelineKind::Sort { keys, from, size } => {
            series::sort(buckets, keys, gaps)?;
            let from = (*from).min(buckets.len());
            buckets.drain(..from);
            buckets.truncate(size.unwrap_or(usize::MAX));
            Ok(())
        }
    }
}

/// Returns the results that are single numbers; `None` for buckets that get none. What is no number is shown as
/// none.
fn simple(numbers: Vec<Option<f64>>, pipeline: &Pipeline) -> Vec<Option<AggregationResult>> {
    let one = |number: f64| named(pipeline, "simple_value", number_of(number, pipeline));
    let made = numbers.into_iter().map(|number| number.map(one));
    made.collect()
}

/// Returns a number as a result.
fn number_of(number: f64, pipeline: &Pipeline) -> AggregationValue {
    let value = Some(number).filter(|number| number.is_finite());
    AggregationValue::Number {
        value,
        as_string: value.and_then(|value| value::text(pipeline, value)),
    }
}

fn named(
    pipeline: &Pipeline,
    type_name: &'static str,
    value: AggregationValue,
) -> AggregationResult {
    AggregationResult {
        name: pipeline.name.clone(),
        type_name,
        meta: pipeline.meta.clone().map(Arc::new),
        value,
    }
}

/// Adds a result to each bucket that has one.
fn add(buckets: &mut [Bucket], pipeline: &Pipeline, made: Vec<Option<AggregationResult>>) {
    debug_assert_eq!(buckets.len(), made.len(), "[{}]", pipeline.name);
    for (bucket, made) in buckets.iter_mut().zip(made) {
        bucket.sub.extend(made);
    }
}
