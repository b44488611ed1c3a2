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

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use gleaner_partial::EvaluationError;
use gleaner_partial::control::Control;
use gleaner_query::aggregation::{Aggregation, BucketScript, GapPolicy, Pipeline, PipelineKind};
use gleaner_query::answer::{AggregationResult, AggregationValue, Bucket};

use self::expression::Expression;
use self::value::Numbers;

/// Adds to `results`, which are of `aggregations`, what `pipelines` make of them.
///
/// # Errors
/// [`EvaluationError::Query`] for paths that lead to no number and expressions that cannot be evaluated;
/// [`EvaluationError::DeadlineExceeded`] where there is no time left.
pub(super) fn apply(
    results: &mut Vec<AggregationResult>,
    aggregations: &[Aggregation],
    pipelines: &[Pipeline],
    control: &Control,
) -> Result<(), EvaluationError> {
    let mut run = Run {
        control,
        expressions: HashMap::new(),
    };
    let pipelines: Vec<&Pipeline> = pipelines.iter().collect();
    run.apply(results, aggregations, &pipelines)
}

/// Pipelines at work: their scripts are compiled once for all buckets.
struct Run<'a> {
    control: &'a Control,
    expressions: HashMap<*const BucketScript, Rc<Expression<'a>>>,
}

impl<'a> Run<'a> {
    fn apply(
        &mut self,
        results: &mut Vec<AggregationResult>,
        aggregations: &'a [Aggregation],
        pipelines: &[&'a Pipeline],
    ) -> Result<(), EvaluationError> {
        for aggregation in aggregations {
            let mut named = results.iter_mut();
            if let Some(result) = named.find(|result| result.name == aggregation.name) {
                self.within(result, aggregation)?;
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
        &mut self,
        result: &mut AggregationResult,
        aggregation: &'a Aggregation,
    ) -> Result<(), EvaluationError> {
        let pipelines = aggregation.pipelines.iter();
        let (siblings, parents): (Vec<_>, Vec<_>) =
            pipelines.partition(|pipeline| pipeline.kind.is_sibling());
        match &mut result.value {
            AggregationValue::Buckets { buckets, .. } => {
                for bucket in buckets.iter_mut() {
                    self.control.check()?;
                    self.apply(&mut bucket.sub, &aggregation.sub, &siblings)?;
                }
                for pipeline in parents {
                    self.control.check()?;
                    self.over(buckets, pipeline)?;
                }
                Ok(())
            }
            AggregationValue::Single { sub, .. } => self.apply(sub, &aggregation.sub, &siblings),
            _ => Ok(()),
        }
    }

    /// Runs one pipeline over the buckets that it is in.
    fn over(
        &mut self,
        buckets: &mut Vec<Bucket>,
        pipeline: &'a Pipeline,
    ) -> Result<(), EvaluationError> {
        let gaps = pipeline.gaps;
        match &pipeline.kind {
            // It is made where the results are.
            PipelineKind::Buckets { .. } => Ok(()),
            PipelineKind::Derivative { path, unit } => {
                let numbers = Numbers::of(buckets, path, gaps)?;
                let made = series::derivatives(&numbers, buckets, path, *unit, pipeline);
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
                fewest,
                function,
            } => {
                let numbers = Numbers::of(buckets, path, gaps)?;
                let windows = moving::Windows {
                    length: *window,
                    shift: *shift,
                    fewest: *fewest,
                };
                let moved = moving::over(&numbers, windows, *function, self.control)?;
                add(buckets, pipeline, simple(moved, pipeline));
                Ok(())
            }
            PipelineKind::Script(script) => {
                let made = self.scripted(buckets, script, gaps)?;
                add(buckets, pipeline, simple(made, pipeline));
                Ok(())
            }
            PipelineKind::Selector(script) => self.select(buckets, script, gaps),
            PipelineKind::Sort { keys, from, size } => {
                series::sort(buckets, keys, gaps)?;
                let from = (*from).min(buckets.len());
                buckets.drain(..from);
                buckets.truncate(size.unwrap_or(usize::MAX));
                Ok(())
            }
        }
    }

    /// Returns what a script makes of each bucket; `None` for those that it makes nothing of: buckets with a gap, unless
    /// that counts as 0, and those where it gives `null`.
    fn scripted(
        &mut self,
        buckets: &[Bucket],
        script: &'a BucketScript,
        gaps: GapPolicy,
    ) -> Result<Vec<Option<f64>>, EvaluationError> {
        let expression = self.expression(script)?;
        let made = buckets.iter().map(|bucket| {
            self.control.check()?;
            let numbers = expression.numbers(bucket, gaps)?;
            let has_gap = numbers.iter().any(|number| number.is_none_or(f64::is_nan));
            if has_gap && gaps != GapPolicy::InsertZeros {
                return Ok(None);
            }
            expression.number(&numbers)
        });
        made.collect()
    }

    /// Leaves the buckets for which a condition holds.
    fn select(
        &mut self,
        buckets: &mut Vec<Bucket>,
        script: &'a BucketScript,
        gaps: GapPolicy,
    ) -> Result<(), EvaluationError> {
        let expression = self.expression(script)?;
        let mut kept = Vec::with_capacity(buckets.len());
        for bucket in std::mem::take(buckets) {
            self.control.check()?;
            let numbers = expression.numbers(&bucket, gaps)?;
            if expression.holds(&numbers)? {
                kept.push(bucket);
            }
        }
        *buckets = kept;
        Ok(())
    }

    /// Returns the expression of a script, which is compiled the first time.
    fn expression(
        &mut self,
        script: &'a BucketScript,
    ) -> Result<Rc<Expression<'a>>, EvaluationError> {
        // Scripts stay where they are meanwhile.
        let place = std::ptr::from_ref(script);
        if let Some(known) = self.expressions.get(&place) {
            return Ok(Rc::clone(known));
        }
        let compiled = Rc::new(Expression::new(script)?);
        self.expressions.insert(place, Rc::clone(&compiled));
        Ok(compiled)
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

#[cfg(test)]
mod tests;
