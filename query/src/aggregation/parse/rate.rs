//! `rate`, which is made of the counts of buckets, or of a metric beside it that answers do not show.

use serde_json::Value;

use super::{Context, metric};
use crate::aggregation::{
    Aggregation, AggregationKind, BucketLength, BucketPath, CompositeAggregation, CompositeValues,
    Metric, PathStep, PipelineKind, RateUnit,
};
use crate::error::{ErrorType, QueryError};
use crate::json::ObjectReader;

/// The name of the aggregation.
pub(super) const RATE: &str = "rate";

/// Keys that say how a rate is made of its numbers.
const OWN: [&str; 3] = ["unit", "mode", "format"];

/// Returns the name of the metric that the rate `name` is made of; no request can name it.
fn metric_of(name: &str) -> String {
    format!("{name}>{RATE}")
}

/// Reads which values a rate counts or adds up: the metric beside it, where it names a field.
///
/// # Errors
/// As for metrics; a mode that there is none of.
pub(super) fn source(
    name: &str,
    body: &Value,
    context: Context<'_>,
) -> Result<Option<Aggregation>, QueryError> {
    let Some(part) = body.get(RATE).and_then(Value::as_object) else {
        return Ok(None);
    };
    let metric = match part.get("mode").and_then(Value::as_str) {
        None | Some("sum") => Metric::Sum,
        Some("value_count") => Metric::ValueCount,
        Some(other) => {
            return Err(QueryError::illegal(format!(
                "Unsupported value {other}, expected [sum] or [value_count] as [mode] of [rate]"
            )));
        }
    };
    if !part.contains_key("field") {
        return Ok(None);
    }
    let mut values = part.clone();
    values.retain(|key, _| !OWN.contains(&key.as_str()));
    let kind: AggregationKind = metric::read(metric, RATE, &Value::Object(values), context)?;
    Ok(Some(Aggregation {
        name: metric_of(name),
        kind,
        sub: Vec::new(),
        pipelines: Vec::new(),
        meta: None,
    }))
}

/// Reads how the rate is made. How long buckets are is known where their histogram is, see [`within`].
pub(super) fn read(name: &str, reader: &mut ObjectReader<'_>) -> Result<PipelineKind, QueryError> {
    let unit = match reader.text("unit")? {
        None => None,
        Some(unit) => Some(
            RateUnit::named(&unit)
                .ok_or_else(|| QueryError::illegal(format!("Unsupported unit {unit} of [rate]")))?,
        ),
    };
    let has_field = reader.take("field").is_some();
    let mode = reader.text("mode")?;
    if mode.is_some() && !has_field {
        return Err(QueryError::illegal(
            "The mode parameter is only supported with field or script",
        ));
    }
    // Checked with the metric.
    reader.ignore(&["missing", "value_type"]);
    let path = match has_field {
        true => BucketPath {
            text: name.to_owned(),
            steps: vec![PathStep {
                name: metric_of(name),
                bucket: None,
            }],
            property: None,
        },
        false => BucketPath {
            text: "_count".to_owned(),
            steps: Vec::new(),
            property: Some("_count".to_owned()),
        },
    };
    Ok(PipelineKind::Rate {
        path,
        unit,
        length: None,
    })
}

/// Tells a rate how long the buckets of the aggregation are that it is in.
///
/// # Errors
/// A parent that is no date histogram, and no `composite` of one; months in shorter buckets.
pub(super) fn within(
    kind: &mut PipelineKind,
    parent: Option<&AggregationKind>,
) -> Result<(), QueryError> {
    let PipelineKind::Rate { unit, length, .. } = kind else {
        return Ok(());
    };
    let of_buckets = match parent {
        Some(AggregationKind::DateHistogram(histogram)) => Some(BucketLength {
            interval: histogram.interval,
            time_zone: histogram.time_zone.clone(),
            offset_ms: histogram.offset_ms,
            source: None,
        }),
        Some(AggregationKind::Composite(composite)) => length_in(composite),
        _ => None,
    };
    let of_buckets = of_buckets.ok_or_else(|| {
        QueryError::new(
            ErrorType::Validation,
            "Validation Failed: 1: The rate aggregation can only be used directly inside a date histogram aggregation \
             or a composite aggregation with exactly one date histogram value source;",
        )
    })?;
    of_buckets.check(*unit)?;
    *length = Some(of_buckets);
    Ok(())
}

/// Returns how long the buckets of a `composite` are, which has one date histogram among its sources.
fn length_in(composite: &CompositeAggregation) -> Option<BucketLength> {
    let lengths = composite.sources.iter().enumerate();
    let mut lengths = lengths.filter_map(|(at, source)| match &source.values {
        CompositeValues::DateHistogram {
            interval,
            time_zone,
            offset_ms,
        } => Some(BucketLength {
            interval: *interval,
            time_zone: time_zone.clone(),
            offset_ms: *offset_ms,
            source: Some(at),
        }),
        _ => None,
    });
    let length = lengths.next();
    length.filter(|_| lengths.next().is_none())
}
