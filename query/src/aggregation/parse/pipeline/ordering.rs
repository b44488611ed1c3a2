//! In which order the pipelines of one level are made, and whether what they are made of is there.
//!
//! Does not: read pipelines from JSON (`super` does). Called by the parser of aggregations, for each level. Read
//! [`in_order`] first.

use super::super::{has_buckets, rate};
use super::validation;
use crate::aggregation::{Aggregation, AggregationKind, BucketPath, Pipeline, PipelineKind};
use crate::error::QueryError;

/// Brings pipelines into the order in which they are made: as they were declared, but for those that others before
/// them are made of, which come right before these. Checks that what they are made of is there: among `siblings`, of
/// the parent `within` or of the whole request.
///
/// # Errors
/// `action_request_validation_exception` for paths that lead nowhere and for parents that do not fit;
/// `illegal_argument_exception` for pipelines that are made of one another.
pub(in super::super) fn in_order(
    pipelines: Vec<Pipeline>,
    siblings: &[Aggregation],
    within: Option<(&str, &AggregationKind)>,
) -> Result<Vec<Pipeline>, QueryError> {
    let mut pipelines = pipelines;
    let parent = within.map(|(_, kind)| kind);
    for pipeline in &mut pipelines {
        rate::within(&mut pipeline.kind, parent)?;
    }
    for pipeline in &pipelines {
        check(pipeline, siblings, &pipelines, parent)?;
    }
    let mut placement = Placement {
        states: vec![State::Waiting; pipelines.len()],
        order: Vec::with_capacity(pipelines.len()),
        pipelines: &pipelines,
    };
    for at in 0..pipelines.len() {
        placement.place(at)?;
    }
    let order = placement.order;
    let mut pipelines: Vec<Option<Pipeline>> = pipelines.into_iter().map(Some).collect();
    let ordered = order.into_iter().filter_map(|at| pipelines[at].take());
    Ok(ordered.collect())
}

/// Where a pipeline is on its way into the order.
#[derive(Clone, Copy)]
enum State {
    /// Not looked at.
    Waiting,
    /// What it is made of is being placed.
    Open,
    /// In the order.
    Placed,
}

/// Pipelines on their way into an order, as `AggregatorFactories.resolvePipelineAggregatorOrder` of Elasticsearch
/// makes it: depth first.
struct Placement<'p> {
    pipelines: &'p [Pipeline],
    /// [pipelines]
    states: Vec<State>,
    /// Places in `pipelines`.
    order: Vec<usize>,
}

impl Placement<'_> {
    /// Puts a pipeline behind those that it is made of.
    fn place(&mut self, at: usize) -> Result<(), QueryError> {
        let pipelines = self.pipelines;
        let pipeline = &pipelines[at];
        match self.states[at] {
            State::Placed => return Ok(()),
            State::Open => {
                return Err(QueryError::illegal(format!(
                    "Cyclical dependency found with pipeline aggregator [{}]",
                    pipeline.name
                )));
            }
            State::Waiting => self.states[at] = State::Open,
        }
        for path in pipeline.kind.paths() {
            let Some(first) = path.steps.first() else {
                continue;
            };
            let mut others = pipelines.iter();
            if let Some(needed) = others.position(|other| other.name == first.name) {
                self.place(needed)?;
            }
        }
        self.states[at] = State::Placed;
        self.order.push(at);
        Ok(())
    }
}

fn check(
    pipeline: &Pipeline,
    siblings: &[Aggregation],
    pipelines: &[Pipeline],
    parent: Option<&AggregationKind>,
) -> Result<(), QueryError> {
    let name = &pipeline.name;
    if let PipelineKind::Buckets { path, .. } = &pipeline.kind {
        return check_beside(name, path, siblings);
    }
    for path in pipeline.kind.paths() {
        let Some(first) = path.steps.first() else {
            continue;
        };
        match siblings.iter().find(|sibling| sibling.name == first.name) {
            Some(found) => check_steps(path, found)?,
            None if pipelines.iter().any(|other| other.name == first.name) => {}
            None => return Err(no_aggregation(path)),
        }
    }
    let Some(parent) = parent else {
        return Err(validation(format!(
            "aggregation [{name}] must be declared inside of another aggregation"
        )));
    };
    let is_derivative = matches!(pipeline.kind, PipelineKind::Derivative { .. });
    let needs_histogram = is_derivative
        || matches!(
            pipeline.kind,
            PipelineKind::CumulativeSum { .. }
                | PipelineKind::MovingFunction { .. }
                | PipelineKind::SerialDifference { .. }
        );
    let min_doc_count = match parent {
        AggregationKind::Histogram(histogram) => Some(histogram.min_doc_count),
        AggregationKind::DateHistogram(histogram) => Some(histogram.min_doc_count),
        AggregationKind::AutoDate(_) => Some(0),
        _ => None,
    };
    match min_doc_count {
        None if needs_histogram => Err(validation(format!(
            "aggregation [{name}] must have a histogram, date_histogram or auto_date_histogram as \
             parent"
        ))),
        // The others have taken buckets with gaps between them since Elasticsearch 8.3.
        Some(1..) if is_derivative => Err(validation(format!(
            "parent histogram of aggregation [{name}] must have min_doc_count of 0"
        ))),
        None if !has_several_buckets(parent) => Err(validation(format!(
            "aggregation [{name}] must have a multi-bucket aggregation as parent"
        ))),
        _ => Ok(()),
    }
}

/// Checks that each step of a path behind its first is inside the one before; the last may be a pipeline there.
fn check_steps(path: &BucketPath, first: &Aggregation) -> Result<(), QueryError> {
    let mut around = first;
    for (at, step) in path.steps.iter().enumerate().skip(1) {
        let is_last = at + 1 == path.steps.len();
        let mut pipelines = around.pipelines.iter();
        match around.sub.iter().find(|inner| inner.name == step.name) {
            Some(inner) => around = inner,
            None if is_last && pipelines.any(|pipeline| pipeline.name == step.name) => {}
            None => {
                return Err(validation(format!(
                    "No aggregation [{}] found for path [{}]",
                    step.name, path.text
                )));
            }
        }
    }
    Ok(())
}

/// Checks the path of a pipeline beside others: it goes through single buckets, and through those that are named by their
/// keys, to an aggregation of several, and on to a number in each.
fn check_beside(name: &str, path: &BucketPath, siblings: &[Aggregation]) -> Result<(), QueryError> {
    let Some(first) = path.steps.first() else {
        return Err(no_buckets(name, path));
    };
    let Some(first) = siblings.iter().find(|other| other.name == first.name) else {
        return Err(no_aggregation(path));
    };
    check_steps(path, first)?;
    let mut level = siblings;
    for (at, step) in path.steps.iter().enumerate() {
        let Some(found) = level.iter().find(|other| other.name == step.name) else {
            break;
        };
        if !has_several_buckets(&found.kind) || step.bucket.is_some() {
            level = &found.sub;
            continue;
        }
        let is_last = at + 1 == path.steps.len() && path.property.is_none();
        return match is_last {
            true => Err(QueryError::illegal(format!(
                "buckets_path must reference either a number value or a single value numeric metric aggregation, got: \
                 [Object[]] at aggregation [{}]",
                step.name
            ))),
            false => Ok(()),
        };
    }
    Err(no_buckets(name, path))
}

fn no_aggregation(path: &BucketPath) -> QueryError {
    validation(format!("No aggregation found for path [{}]", path.text))
}

fn no_buckets(name: &str, path: &BucketPath) -> QueryError {
    validation(format!(
        "Unable to find unqualified multi-bucket aggregation in buckets_path. Path must include a multi-bucket \
         aggregation for aggregation [{name}] for buckets path: {}",
        path.text
    ))
}

/// Returns whether a kind may make more than one bucket.
fn has_several_buckets(kind: &AggregationKind) -> bool {
    !kind.has_one_bucket() && has_buckets(kind)
}
