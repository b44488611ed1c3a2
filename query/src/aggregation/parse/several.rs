//! `percentile_ranks`, `median_absolute_deviation`, `weighted_avg`, `top_metrics`.

use serde_json::Value;

use super::{Context, metric, source};
use crate::aggregation::{
    AggregationKind, MOST_TOP_METRICS, TopHitsAggregation, TopMetricsAggregation, ValueSource,
    WeightedAverage,
};
use crate::error::QueryError;
use crate::json::ObjectReader;
use crate::search::{Missing, SortKey, SortTarget, SourceFilter, parse_sort};

/// Most values of `percentile_ranks`.
const MAX_VALUES: usize = 1_024;
/// Most metrics of `top_metrics`.
const MAX_METRICS: usize = 16;

/// Reads the body of `percentile_ranks`.
pub(super) fn ranks(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("percentile_ranks", body)?;
    let source = source::read(&mut reader)?;
    let values = match reader.take("values") {
        Some(Value::Array(items)) => items.as_slice(),
        Some(single @ Value::Number(_)) => std::slice::from_ref(single),
        Some(value) => return Err(reader.wrong("values", "an array of numbers", value)),
        None => &[],
    };
    let name = context.name;
    if values.is_empty() || values.len() > MAX_VALUES {
        return Err(QueryError::illegal(format!(
            "[values] must hold 1 to {MAX_VALUES} numbers: [{name}]"
        )));
    }
    let number = |value| {
        source::number(value).ok_or_else(|| reader.wrong("values", "an array of numbers", value))
    };
    let values = values.iter().map(number);
    let mut values = values.collect::<Result<Vec<f64>, QueryError>>()?;
    values.sort_by(f64::total_cmp);
    values.dedup();
    let keyed = reader.boolean("keyed")?.unwrap_or(true);
    let hdr_digits = metric::method(&mut reader)?;
    reader.finish()?;
    Ok(AggregationKind::PercentileRanks {
        source,
        values,
        keyed,
        hdr_digits,
    })
}

/// Reads the body of `median_absolute_deviation`.
pub(super) fn deviation(body: &Value) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("median_absolute_deviation", body)?;
    let source = source::read(&mut reader)?;
    let compression = reader.number("compression")?.unwrap_or(1_000.0);
    reader.ignore(&["execution_hint"]);
    reader.finish()?;
    if compression <= 0.0 {
        return Err(QueryError::illegal(format!(
            "[compression] must be greater than 0. Found [{compression:?}]"
        )));
    }
    Ok(AggregationKind::MedianAbsoluteDeviation(source))
}

/// Reads the body of `weighted_avg`.
pub(super) fn weighted(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("weighted_avg", body)?;
    let mut part = |key: &'static str| -> Result<ValueSource, QueryError> {
        let value = reader.take(key).ok_or_else(|| {
            QueryError::illegal(format!(
                "[{key}] field name must not be null: [{}]",
                context.name
            ))
        })?;
        let mut inner = ObjectReader::part(key, value)?;
        let read = source::read(&mut inner)?;
        inner.finish()?;
        Ok(read)
    };
    let (value, weight) = (part("value")?, part("weight")?);
    let format = reader.text("format")?;
    // Types are those of the mapping.
    reader.ignore(&["value_type"]);
    reader.finish()?;
    Ok(AggregationKind::WeightedAverage(WeightedAverage {
        value,
        weight,
        format,
    }))
}

/// Reads the body of `top_metrics`.
pub(super) fn top_metrics(
    body: &Value,
    context: Context<'_>,
) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("top_metrics", body)?;
    let given = match reader.take("metrics") {
        Some(Value::Array(items)) => items.as_slice(),
        Some(single @ Value::Object(_)) => std::slice::from_ref(single),
        Some(value) => return Err(reader.wrong("metrics", "an object or an array", value)),
        None => &[],
    };
    let name = context.name;
    if given.is_empty() || given.len() > MAX_METRICS {
        return Err(QueryError::illegal(format!(
            "[top_metrics] [metrics] must hold 1 to {MAX_METRICS} metrics: [{name}]"
        )));
    }
    let field = |value| {
        let mut reader = ObjectReader::part("metrics", value)?;
        let field = source::field(&mut reader)?;
        reader.finish()?;
        Ok(field)
    };
    let metrics = given.iter().map(field);
    let metrics = metrics.collect::<Result<Vec<String>, QueryError>>()?;
    let sort = reader.take("sort").map(parse_sort).transpose()?;
    let mut sort = sort.filter(|sort| !sort.is_empty()).ok_or_else(|| {
        QueryError::illegal(format!("[top_metrics] [sort] must not be null: [{name}]"))
    })?;
    if sort.len() > 1 {
        return Err(QueryError::illegal(
            "[top_metrics] only supports sorting by one key",
        ));
    }
    sort.extend(metrics.iter().map(|field| by_field(field)));
    let size = source::at_least(&mut reader, "size", 1, context)?.unwrap_or(1);
    // An index may allow fewer.
    if size > MOST_TOP_METRICS as u64 {
        return Err(QueryError::illegal(format!(
            "[top_metrics.size] must not be more than [{MOST_TOP_METRICS}] but was [{size}]"
        )));
    }
    reader.finish()?;
    Ok(AggregationKind::TopMetrics(TopMetricsAggregation {
        metrics,
        hits: TopHitsAggregation {
            from: 0,
            size: size as usize,
            sort,
            source: SourceFilter {
                enabled: false,
                ..SourceFilter::default()
            },
            docvalue_fields: Vec::new(),
            fields: Vec::new(),
            stored_fields: Vec::new(),
            explain: false,
            highlight: None,
            version: false,
            seq_no_primary_term: false,
            track_scores: false,
        },
    }))
}

fn by_field(field: &str) -> SortKey {
    SortKey {
        target: SortTarget::Field(field.to_owned()),
        descending: false,
        missing: Missing::Last,
        // Where no index has the field, there is no value.
        unmapped_type: Some("long".to_owned()),
        ..SortKey::by_score()
    }
}
