//! From JSON to [`Aggregation`] trees; unknown, misplaced and unsupported parts by name.

mod addresses;
mod bucket;
mod composite;
mod geo;
mod histogram;
mod intervals;
mod labels;
mod matrix;
mod metric;
mod order;
mod pipeline;
mod rare;
mod rate;
mod sampler;
mod several;
mod source;
mod terms;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

pub use histogram::beyond_hard_bounds;

use super::{Aggregation, AggregationKind, Pipeline};
use crate::error::{ErrorType, QueryError};
use crate::json::{did_you_mean, token_name};
use crate::limits::Limits;

/// Aggregations that we have, but for `rate` and those that are made of the results of others.
const KINDS: [&str; 41] = [
    "adjacency_matrix",
    "auto_date_histogram",
    "avg",
    "cardinality",
    "composite",
    "date_histogram",
    "date_range",
    "diversified_sampler",
    "extended_stats",
    "filter",
    "filters",
    "geo_bounds",
    "geo_centroid",
    "geo_distance",
    "geohash_grid",
    "geotile_grid",
    "global",
    "histogram",
    "ip_prefix",
    "ip_range",
    "matrix_stats",
    "max",
    "median_absolute_deviation",
    "min",
    "missing",
    "multi_terms",
    "percentile_ranks",
    "percentiles",
    "range",
    "rare_terms",
    "sampler",
    "significant_terms",
    "significant_text",
    "stats",
    "sum",
    "terms",
    "top_hits",
    "top_metrics",
    "value_count",
    "variable_width_histogram",
    "weighted_avg",
];

/// Keys that stand beside the kind of an aggregation.
const KEYS: [&str; 3] = ["aggs", "aggregations", "meta"];

/// Aggregations of the dialect that are refused by name.
const NOT_SUPPORTED: [&str; 20] = [
    "boxplot",
    "bucket_correlation",
    "bucket_count_ks_test",
    "categorize_text",
    "change_point",
    "children",
    "cumulative_cardinality",
    "frequent_item_sets",
    "geo_line",
    "geohex_grid",
    "inference",
    "moving_percentiles",
    "nested",
    "parent",
    "random_sampler",
    "reverse_nested",
    "scripted_metric",
    "string_stats",
    "t_test",
    "time_series",
];

/// Returns the names of the aggregations that we have, but for those that are made of the results of others.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().chain([rate::RATE])
}

/// Reads `{"name": {"kind": {…}, "aggs": {…}, "meta": {…}}, …}`, in the order given.
///
/// # Errors
/// `parsing_exception` and its kin for what is unknown, misplaced, not supported or of a wrong
/// type, by name; `illegal_argument_exception` for values out of range and beyond the limits.
/// Levels beyond [`Limits::query_depth`] are never entered.
pub fn parse_aggregations(value: &Value, limits: &Limits) -> Result<Vec<Aggregation>, QueryError> {
    let mut parser = Parser {
        limits,
        num_aggregations: 0,
    };
    parser.level(value, 1)
}

/// Reads the pipeline aggregations at the top of what [`parse_aggregations`] reads, each after those that it
/// is made of.
///
/// # Errors
/// As [`parse_aggregations`]; `action_request_validation_exception` for paths that lead nowhere.
pub fn parse_pipelines(
    value: &Value,
    aggregations: &[Aggregation],
) -> Result<Vec<Pipeline>, QueryError> {
    let pipelines = pipelines_of(value)?;
    pipeline::in_order(pipelines, aggregations, None)
}

/// Reads the pipeline aggregations of one level, in the order given.
fn pipelines_of(value: &Value) -> Result<Vec<Pipeline>, QueryError> {
    let entries = value.as_object().into_iter().flatten();
    let mut pipelines = Vec::new();
    for (name, body) in entries.filter(|(_, body)| is_pipeline(body)) {
        let Some(body) = body.as_object() else {
            continue;
        };
        check_name(name)?;
        if body.contains_key("aggs") || body.contains_key("aggregations") {
            return Err(QueryError::illegal(format!(
                "Aggregation [{name}] cannot define sub-aggregations"
            )));
        }
        let (kind, part) = definition(name, body)?;
        let meta = body.get("meta");
        labels::check(name, part)?;
        labels::check_meta(name, meta)?;
        pipelines.push(pipeline::read(name, kind, part, meta.cloned())?);
    }
    Ok(pipelines)
}

/// Returns whether an aggregation is made of the results of others.
fn is_pipeline(body: &Value) -> bool {
    let mut keys = body.as_object().into_iter().flatten().map(|(key, _)| key);
    keys.any(|key| pipeline::PIPELINES.contains(&key.as_str()))
}

fn check_name(name: &str) -> Result<(), QueryError> {
    if name.is_empty() || name.contains(['[', ']', '>']) {
        return Err(QueryError::parsing(format!(
            "Invalid aggregation name [{name}]. Aggregation names can contain any character except \
             '[', ']', and '>'"
        )));
    }
    Limits::check_label("the name of an aggregation", name)
}

/// What the readers of single kinds need to know.
#[derive(Clone, Copy)]
struct Context<'a> {
    /// The aggregation's name, for messages.
    name: &'a str,
    limits: &'a Limits,
}

/// Reads one tree and counts what it holds.
struct Parser<'l> {
    limits: &'l Limits,
    num_aggregations: usize,
}

impl Parser<'_> {
    fn level(&mut self, value: &Value, depth: usize) -> Result<Vec<Aggregation>, QueryError> {
        if depth > self.limits.query_depth {
            return Err(QueryError::illegal(format!(
                "The nested depth of the aggregations exceeds the maximum of [{}]",
                self.limits.query_depth
            )));
        }
        let entries = value.as_object().ok_or_else(|| {
            QueryError::parsing(format!(
                "Expected [START_OBJECT] under [aggs], but got a [{}]",
                token_name(value)
            ))
        })?;
        let mut aggregations = Vec::with_capacity(entries.len());
        for (name, body) in entries {
            match is_pipeline(body) {
                true => {
                    self.count()?;
                    let limits = self.limits;
                    let source = rate::source(name, body, Context { name, limits })?;
                    aggregations.extend(source);
                }
                false => aggregations.push(self.aggregation(name, body, depth)?),
            }
        }
        Ok(aggregations)
    }

    fn aggregation(
        &mut self,
        name: &str,
        body: &Value,
        depth: usize,
    ) -> Result<Aggregation, QueryError> {
        self.count()?;
        check_name(name)?;
        let Some(body) = body.as_object() else {
            return Err(QueryError::parsing(format!(
                "Aggregation definition for [{name}] starts with a [{}], expected a \
                 [START_OBJECT].",
                token_name(body)
            )));
        };
        let (kind_name, kind_body) = definition(name, body)?;
        labels::check(name, kind_body)?;
        labels::check_meta(name, body.get("meta"))?;
        let context = Context {
            name,
            limits: self.limits,
        };
        let kind = read_kind(kind_name, kind_body, context)?;
        if matches!(kind, AggregationKind::Global) && depth > 1 {
            return Err(QueryError::illegal(format!(
                "Aggregator [{name}] of type [global] cannot be a sub-aggregation: it can only be \
                 at the top level"
            )));
        }
        let (sub, pipelines) = match body.get("aggs").or_else(|| body.get("aggregations")) {
            None => (Vec::new(), Vec::new()),
            Some(inside) => {
                let sub = self.level(inside, depth + 1)?;
                let mut inner = sub.iter();
                inner.try_for_each(|inner| composite::check_parent(kind_name, &inner.kind))?;
                let pipelines = pipelines_of(inside)?;
                let pipelines = pipeline::in_order(pipelines, &sub, Some((name, &kind)))?;
                (sub, pipelines)
            }
        };
        let has_inside = !sub.is_empty() || !pipelines.is_empty();
        if has_inside && !has_buckets(&kind) {
            return Err(QueryError::new(
                ErrorType::IllegalArgument,
                format!("Aggregator [{name}] of type [{kind_name}] cannot accept sub-aggregations"),
            ));
        }
        order::check(&kind, &sub)?;
        Ok(Aggregation {
            name: name.to_owned(),
            kind,
            sub,
            pipelines,
            meta: body.get("meta").cloned(),
        })
    }

    fn count(&mut self) -> Result<(), QueryError> {
        self.num_aggregations += 1;
        if self.num_aggregations > self.limits.aggregations {
            return Err(QueryError::illegal(format!(
                "The number of aggregations exceeds the maximum of [{}]",
                self.limits.aggregations
            )));
        }
        Ok(())
    }
}

/// Finds the one kind among an aggregation's keys.
fn definition<'a>(
    name: &str,
    body: &'a Map<String, Value>,
) -> Result<(&'a str, &'a Value), QueryError> {
    if body.contains_key("aggs") && body.contains_key("aggregations") {
        return Err(QueryError::parsing(format!(
            "Found two sub aggregation definitions under [{name}]"
        )));
    }
    if body.get("meta").is_some_and(|meta| !meta.is_object()) {
        return Err(QueryError::parsing(format!(
            "Expected [START_OBJECT] under [meta], but got another token in [{name}]"
        )));
    }
    let is_kind = |key: &str| !KEYS.contains(&key);
    let mut kinds = body.iter().filter(|(key, _)| is_kind(key));
    match (kinds.next(), kinds.next()) {
        (Some((kind, value)), None) => Ok((kind, value)),
        (Some((one, _)), Some((two, _))) => Err(QueryError::parsing(format!(
            "Found two aggregation type definitions in [{name}]: [{one}] and [{two}]"
        ))),
        (None, _) => Err(QueryError::parsing(format!(
            "Missing definition for aggregation [{name}]"
        ))),
    }
}

fn read_kind(
    kind: &str,
    body: &Value,
    context: Context<'_>,
) -> Result<AggregationKind, QueryError> {
    match kind {
        "terms" => terms::read(body, context),
        "range" => bucket::range(body, context, false),
        "date_range" => bucket::range(body, context, true),
        "histogram" => histogram::read(body, context),
        "date_histogram" => histogram::read_dates(body, context),
        "filter" => bucket::filter(body, context),
        "filters" => bucket::filters(body, context),
        "global" => bucket::global(body),
        "missing" => bucket::missing(body),
        "cardinality" => metric::cardinality(body, context),
        "percentiles" => metric::percentiles(body, context),
        "top_hits" => metric::top_hits(body, context),
        "composite" => composite::read(body, context),
        "multi_terms" => composite::multi_terms(body, context),
        "rare_terms" => rare::read(body, context),
        "significant_terms" => rare::significant(body, context),
        "significant_text" => rare::significant_text(body, context),
        "sampler" => sampler::read(body, context),
        "diversified_sampler" => sampler::diversified(body, context),
        "adjacency_matrix" => bucket::adjacency(body, context),
        "ip_range" => addresses::range(body, context),
        "ip_prefix" => addresses::prefix(body, context),
        "auto_date_histogram" => intervals::dates(body, context),
        "variable_width_histogram" => intervals::numbers(body, context),
        _ => read_metric(kind, body, context),
    }
}

/// Reads what mostly has no buckets.
fn read_metric(
    kind: &str,
    body: &Value,
    context: Context<'_>,
) -> Result<AggregationKind, QueryError> {
    match kind {
        "percentile_ranks" => several::ranks(body, context),
        "median_absolute_deviation" => several::deviation(body),
        "weighted_avg" => several::weighted(body, context),
        "matrix_stats" => matrix::read(body, context),
        "top_metrics" => several::top_metrics(body, context),
        "geohash_grid" | "geotile_grid" => geo::grid(kind, body, context),
        "geo_distance" => geo::distance(body, context),
        "geo_bounds" => geo::bounds(body),
        "geo_centroid" => geo::centroid(body),
        _ => match metric::kind(kind) {
            Some(found) => metric::read(found, kind, body, context),
            None => Err(unknown(kind)),
        },
    }
}

fn unknown(kind: &str) -> QueryError {
    if kind == "moving_avg" {
        // The second half is what Elasticsearch answers since 8.0.
        return QueryError::parsing(
            "aggregation type [moving_avg] is not supported: Moving Average aggregation usage is not supported. \
             Use the [moving_fn] aggregation instead.",
        );
    }
    if NOT_SUPPORTED.contains(&kind) {
        return QueryError::parsing(format!("aggregation type [{kind}] is not supported"));
    }
    let hint = did_you_mean(kind, KINDS.into_iter().chain(KEYS));
    QueryError::parsing(format!("Unknown aggregation type [{kind}]{hint}"))
}

/// Returns whether a kind makes buckets, in which others may be computed.
fn has_buckets(kind: &AggregationKind) -> bool {
    match kind {
        AggregationKind::Terms(_)
        | AggregationKind::Range(_)
        | AggregationKind::Histogram(_)
        | AggregationKind::DateHistogram(_)
        | AggregationKind::Filter(_)
        | AggregationKind::Filters { .. }
        | AggregationKind::Global
        | AggregationKind::MissingValue { .. }
        | AggregationKind::Composite(_)
        | AggregationKind::MultiTerms(_)
        | AggregationKind::RareTerms(_)
        | AggregationKind::SignificantTerms(_)
        | AggregationKind::Sampler(_)
        | AggregationKind::Adjacency(_)
        | AggregationKind::IpRange(_)
        | AggregationKind::IpPrefix(_)
        | AggregationKind::AutoDate(_)
        | AggregationKind::VariableWidth(_)
        | AggregationKind::GeoGrid(_)
        | AggregationKind::GeoDistance(_)
        | AggregationKind::Background { .. } => true,
        AggregationKind::Metric(..)
        | AggregationKind::Cardinality { .. }
        | AggregationKind::Percentiles { .. }
        | AggregationKind::PercentileRanks { .. }
        | AggregationKind::MedianAbsoluteDeviation(_)
        | AggregationKind::WeightedAverage(_)
        | AggregationKind::MatrixStats(_)
        | AggregationKind::TopHits(_)
        | AggregationKind::TopMetrics(_)
        | AggregationKind::GeoBounds { .. }
        | AggregationKind::GeoCentroid { .. } => false,
    }
}
