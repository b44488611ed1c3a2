//! `order`: what buckets are ordered by.

use serde_json::Value;

use crate::aggregation::{Aggregation, AggregationKind, BucketOrder, Metric};
use crate::error::QueryError;
use crate::json::ObjectReader;

/// Most keys of an order.
const MAX_KEYS: usize = 16;

/// Farthest that a percent of an order lies from the one it stands for, as in Elasticsearch
/// (`PercentilesConfig.indexOfKey`).
const PERCENT_TOLERANCE: f64 = 0.001;

/// Reads `order`: `{"_count": "asc"}` or a list of such objects; `None` where there is none.
pub(super) fn read(
    reader: &mut ObjectReader<'_>,
) -> Result<Option<Vec<(BucketOrder, bool)>>, QueryError> {
    let Some(value) = reader.take("order") else {
        return Ok(None);
    };
    let items = match value {
        Value::Array(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    if items.is_empty() || items.len() > MAX_KEYS {
        return Err(reader.wrong("order", "1 to 16 keys", value));
    }
    let mut order = Vec::new();
    for item in items {
        let entry = item.as_object().filter(|entry| entry.len() == 1);
        let Some((key, direction)) = entry.and_then(|entry| entry.iter().next()) else {
            return Err(reader.wrong("order", "an object with one key", item));
        };
        order.push((by(key), is_descending(direction)?));
    }
    Ok(Some(order))
}

fn by(key: &str) -> BucketOrder {
    match key {
        "_count" => BucketOrder::Count,
        // `_term` and `_time` are what `_key` was called before.
        "_key" | "_term" | "_time" => BucketOrder::Key,
        path => BucketOrder::Metric(path.to_owned()),
    }
}

fn is_descending(direction: &Value) -> Result<bool, QueryError> {
    let text = direction.as_str().unwrap_or_default();
    if text.eq_ignore_ascii_case("asc") {
        return Ok(false);
    }
    if text.eq_ignore_ascii_case("desc") {
        return Ok(true);
    }
    Err(QueryError::parsing(format!(
        "Unknown order direction [{}]",
        direction
            .as_str()
            .map_or_else(|| direction.to_string(), str::to_owned)
    )))
}

/// Refuses an order by a number that the sub-aggregations do not give.
pub(super) fn check(kind: &AggregationKind, sub: &[Aggregation]) -> Result<(), QueryError> {
    let order = match kind {
        AggregationKind::Terms(terms) => &terms.order,
        AggregationKind::Histogram(histogram) => &histogram.order,
        AggregationKind::DateHistogram(histogram) => &histogram.order,
        AggregationKind::MultiTerms(terms) => &terms.order,
        _ => return Ok(()),
    };
    for (by, _) in order {
        if let BucketOrder::Metric(path) = by {
            let Some((metric, property)) = metric_at(path, sub) else {
                return Err(QueryError::illegal(format!(
                    "Invalid aggregator order path [{path}]. The provided aggregation either does \
                     not exist, or is a pipeline aggregation and cannot be used to sort the \
                     buckets."
                )));
            };
            check_statistic(path, metric, property)?;
            check_percent(path, metric, property)?;
            check_top_metric(path, metric, property)?;
        }
    }
    Ok(())
}

/// Follows `bucket>bucket>metric.value` to the metric, and to what is named of it; buckets on the way must
/// be single.
fn metric_at<'a>(
    path: &'a str,
    sub: &'a [Aggregation],
) -> Option<(&'a Aggregation, Option<&'a str>)> {
    let named = |name: &str| sub.iter().find(|aggregation| aggregation.name == name);
    if let Some((name, rest)) = path.split_once('>') {
        let bucket = named(name)?;
        let is_single = bucket.kind.has_one_bucket();
        return is_single.then(|| metric_at(rest, &bucket.sub)).flatten();
    }
    let (metric, property) = match named(path) {
        Some(whole) => (whole, None),
        None => {
            let bracket = path.strip_suffix(']').and_then(|path| path.split_once('['));
            let (name, property) = bracket.or_else(|| path.rsplit_once('.'))?;
            (named(name)?, Some(property))
        }
    };
    is_number(&metric.kind).then_some((metric, property))
}

/// What an order can name of `stats`.
const STATS: &[&str] = &["count", "min", "max", "avg", "sum"];

/// What an order can name of `extended_stats` beside them.
const SPREAD: &[&str] = &[
    "sum_of_squares",
    "variance",
    "variance_population",
    "variance_sampling",
    "std_deviation",
    "std_deviation_population",
    "std_deviation_sampling",
    "std_upper",
    "std_upper_population",
    "std_upper_sampling",
    "std_lower",
    "std_lower_population",
    "std_lower_sampling",
];

/// Refuses an order by statistics that names none of them.
fn check_statistic(
    path: &str,
    metric: &Aggregation,
    property: Option<&str>,
) -> Result<(), QueryError> {
    let AggregationKind::Metric(kind, _) = &metric.kind else {
        return Ok(());
    };
    let is_known = |name: &str| match kind {
        Metric::Stats => STATS.contains(&name),
        Metric::ExtendedStats { .. } => STATS.contains(&name) || SPREAD.contains(&name),
        _ => name == "value",
    };
    let is_many = matches!(kind, Metric::Stats | Metric::ExtendedStats { .. });
    if property.map_or(!is_many, is_known) {
        return Ok(());
    }
    if !is_many {
        return Err(QueryError::illegal(format!(
            "Invalid aggregation order path [{path}]. Ordering on a single-value metrics aggregation can only \
             be done on its value. Either drop the key (a la \"{name}\") or change it to \"value\" (a la \
             \"{name}.value\")",
            name = metric.name
        )));
    }
    Err(unknown_number(path, metric, property, ""))
}

fn unknown_number(
    path: &str,
    metric: &Aggregation,
    property: Option<&str>,
    hint: &str,
) -> QueryError {
    let why = match property {
        None => "When ordering on a multi-value metrics aggregation a metric name must be \
                 specified"
            .to_owned(),
        Some(property) => {
            let name = &metric.name;
            format!("Unknown metric name [{property}] on multi-value metrics aggregation [{name}]")
        }
    };
    QueryError::illegal(format!(
        "Invalid aggregation order path [{path}]. {why}{hint}"
    ))
}

/// Refuses an order by `percentiles` that names none of its percents.
fn check_percent(
    path: &str,
    metric: &Aggregation,
    property: Option<&str>,
) -> Result<(), QueryError> {
    let percents = match &metric.kind {
        AggregationKind::Percentiles { percents, .. } => percents,
        AggregationKind::PercentileRanks { values, .. } => values,
        _ => return Ok(()),
    };
    let wanted: Option<f64> = property.and_then(|text| text.parse().ok());
    let is_wanted =
        |percent: &f64| wanted.is_some_and(|wanted| (percent - wanted).abs() <= PERCENT_TOLERANCE);
    if percents.iter().any(is_wanted) {
        return Ok(());
    }
    let hint = format!("; the percents there are {percents:?}");
    Err(unknown_number(path, metric, property, &hint))
}

/// Refuses an order by `top_metrics` that names none of its metrics, or of more than one document.
fn check_top_metric(
    path: &str,
    metric: &Aggregation,
    property: Option<&str>,
) -> Result<(), QueryError> {
    let AggregationKind::TopMetrics(top) = &metric.kind else {
        return Ok(());
    };
    let size = top.hits.size;
    if size != 1 {
        return Err(QueryError::illegal(format!(
            "Invalid aggregation order path [{path}]. [top_metrics] can only be the target if [size] is [1] but \
             was [{size}]"
        )));
    }
    if property.is_some_and(|property| top.metrics.iter().any(|name| name == property)) {
        return Ok(());
    }
    let hint = format!("; the metrics there are {:?}", top.metrics);
    Err(unknown_number(path, metric, property, &hint))
}

fn is_number(kind: &AggregationKind) -> bool {
    match kind {
        AggregationKind::Metric(..)
        | AggregationKind::Cardinality { .. }
        | AggregationKind::Percentiles { .. }
        | AggregationKind::PercentileRanks { .. }
        | AggregationKind::MedianAbsoluteDeviation(_)
        | AggregationKind::WeightedAverage(_)
        | AggregationKind::TopMetrics(_) => true,
        // By their document counts.
        kind => kind.has_one_bucket(),
    }
}
