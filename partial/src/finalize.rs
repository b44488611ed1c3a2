//! From merged partial results to the answer: order, cut, fill gaps, show.
//!
//! Source of shapes and type names: Elasticsearch reference, *Aggregations*, and its YAML tests.

mod buckets;
mod format;
mod histogram;
mod matrix;
mod metric;
mod networks;
mod order;
mod significant;
mod top_hits;
mod tuples;
mod widths;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::IndexUuid;
use gleaner_model::mapping::Mapping;
use gleaner_query::aggregation::{Aggregation, AggregationKind};
use gleaner_query::answer::{AggregationResult, AggregationValue, Bucket};
use gleaner_query::settings::cluster::DEFAULT_MAX_BUCKETS;
use serde_json::Value;

use super::{Aggregations, LiveKeys, Partial, merge_encoded};
use crate::control::{Control, Ledger, Meter};
use crate::error::EvaluationError;
use crate::request::{described, formats};

/// Reads, merges and finishes the partial results of all shards: the root's step for requests
/// whose counts of terms need no second pass.
///
/// `names` has the indices' names, for hits of `top_hits`.
///
/// # Errors
/// Those of [`Aggregations::decode`], [`Aggregations::merge`] and [`Aggregations::finalize`].
pub fn reduce(
    partials: &[Bytes],
    aggregations: &[Aggregation],
    names: &BTreeMap<IndexUuid, String>,
) -> Result<Vec<AggregationResult>, EvaluationError> {
    let merged = merge_encoded(partials)?;
    merged.finalize(aggregations, &FinalizeContext::new(names))
}

/// What finishing needs beside partials and request.
pub struct FinalizeContext<'a> {
    /// Largest number of buckets in the answer, in all.
    pub max_buckets: usize,
    /// The request's time: milliseconds since the epoch. Only bounds of ranges over fields that no
    /// shard has need it: shards have read all others.
    pub now_ms: i64,
    /// Names of the indices, for hits of `top_hits`.
    pub names: &'a BTreeMap<IndexUuid, String>,
    /// Their mappings, for what is inside buckets that no shard has, and for the formats that `top_hits`
    /// shows sort values in; none by default.
    pub mappings: BTreeMap<IndexUuid, Arc<Mapping>>,
    /// Keys of `terms` that buckets have without documents; none by default.
    pub live_keys: LiveKeys<'a>,
    /// By when finishing must end, and whether anybody waits for it; no limit by default.
    pub control: Arc<Control>,
    /// What the results are charged to; nothing by default.
    pub ledger: Option<Arc<Ledger>>,
}

impl<'a> FinalizeContext<'a> {
    /// Returns a context with the default limit.
    pub fn new(names: &'a BTreeMap<IndexUuid, String>) -> Self {
        Self {
            max_buckets: DEFAULT_MAX_BUCKETS,
            now_ms: 0,
            names,
            mappings: BTreeMap::new(),
            live_keys: LiveKeys::default(),
            control: Arc::new(Control::unlimited()),
            ledger: None,
        }
    }
}

impl Aggregations {
    /// Returns the answer to `aggregations`.
    ///
    /// Without partial results (no shard had documents) all results are of no documents.
    ///
    /// # Errors
    /// [`EvaluationError::TooManyBuckets`]; [`EvaluationError::Query`] for an order by a metric that does
    /// not exist; [`EvaluationError::Internal`] for partial results of another request; when the context's
    /// control stops.
    pub fn finalize(
        mut self,
        aggregations: &[Aggregation],
        context: &FinalizeContext<'_>,
    ) -> Result<Vec<AggregationResult>, EvaluationError> {
        if are_sampled(aggregations) {
            self.settle(&context.control)?;
        }
        self.settle_terms()?;
        Finalizer {
            context,
            num_buckets: 0,
            meter: context.ledger.as_deref().map(Ledger::meter),
            metas: HashMap::new(),
            empty: HashMap::new(),
        }
        .list(&self, aggregations)
    }
}

/// Returns whether there are samples at any depth.
fn are_sampled(aggregations: &[Aggregation]) -> bool {
    aggregations.iter().any(|aggregation| {
        matches!(aggregation.kind, AggregationKind::Sampler(_)) || are_sampled(&aggregation.sub)
    })
}

/// Returns the results of no documents, with what the mappings say about types, formats and bounds.
fn described(
    aggregations: &[Aggregation],
    context: &FinalizeContext<'_>,
) -> Result<Aggregations, EvaluationError> {
    let mut merged = Aggregations::default();
    for mapping in context.mappings.values() {
        // An index that refuses the request has said so; the others have the answer.
        if let Ok(one) = described::all(aggregations, mapping, context.now_ms, None) {
            merged.merge(one)?;
        }
    }
    if merged.0.is_empty() {
        merged.0 = aggregations
            .iter()
            .map(|aggregation| Partial::empty(&aggregation.kind))
            .collect();
    }
    merged.settle(&context.control)?;
    merged.settle_terms()?;
    Ok(merged)
}

/// One run of finishing.
struct Finalizer<'a> {
    context: &'a FinalizeContext<'a>,
    num_buckets: usize,
    /// Counts the results.
    meter: Option<Meter<'a>>,
    /// What results repeat, by the place of their aggregations in memory.
    metas: HashMap<usize, Arc<Value>>,
    /// Results of no documents, by the place of their aggregations in memory.
    empty: HashMap<usize, Arc<Aggregations>>,
}

impl Finalizer<'_> {
    fn list(
        &mut self,
        partials: &Aggregations,
        aggregations: &[Aggregation],
    ) -> Result<Vec<AggregationResult>, EvaluationError> {
        if partials.0.is_empty() && !aggregations.is_empty() {
            let empty = self.empty(aggregations)?;
            return self.list(&empty, aggregations);
        }
        if partials.0.len() != aggregations.len() {
            return Err(mismatch());
        }
        let pairs = aggregations.iter().zip(&partials.0);
        pairs
            .map(|(aggregation, partial)| self.one(partial, aggregation))
            .collect()
    }

    fn one(
        &mut self,
        partial: &Partial,
        aggregation: &Aggregation,
    ) -> Result<AggregationResult, EvaluationError> {
        self.charge(size_of::<AggregationResult>() + aggregation.name.len())?;
        Ok(AggregationResult {
            name: aggregation.name.clone(),
            type_name: type_name(&aggregation.kind, partial, &self.context.live_keys),
            meta: self.meta(aggregation),
            value: self.value(partial, aggregation)?,
        })
    }

    fn value(
        &mut self,
        partial: &Partial,
        aggregation: &Aggregation,
    ) -> Result<AggregationValue, EvaluationError> {
        // Every bucket comes here, and each may be filled with as many keys as a shard has.
        self.context.control.check()?;
        let sub = &aggregation.sub;
        match (&aggregation.kind, partial) {
            (AggregationKind::Terms(request), Partial::Terms(terms)) => {
                self.terms(request, terms, sub)
            }
            (AggregationKind::Histogram(request), Partial::Histogram(histogram)) => {
                self.histogram(request, histogram, sub)
            }
            (AggregationKind::DateHistogram(request), Partial::Histogram(histogram)) => {
                self.date_histogram(request, histogram, sub)
            }
            (AggregationKind::Range(request), Partial::Ranges(ranges)) => {
                self.ranges(request, ranges, sub)
            }
            (AggregationKind::GeoDistance(request), Partial::Ranges(ranges)) => {
                self.ranges(&request.range, ranges, sub)
            }
            (AggregationKind::Filters { .. }, Partial::Filters(buckets)) => {
                self.filters(&aggregation.kind, buckets, sub)
            }
            (AggregationKind::SignificantTerms(request), Partial::Single(subset)) => {
                self.significant(request, subset, sub)
            }
            (_, Partial::Single(bucket)) => {
                self.count_buckets(1)?;
                Ok(AggregationValue::Single {
                    doc_count: bucket.doc_count,
                    sub: self.list(&bucket.sub, sub)?,
                })
            }
            (AggregationKind::TopHits(request), Partial::TopHits(hits)) => {
                top_hits::value(request, hits, self.context)
            }
            (AggregationKind::TopMetrics(request), Partial::TopHits(hits)) => {
                top_hits::metrics(request, hits, self.context)
            }
            _ => self.of_keys(partial, aggregation),
        }
    }

    /// Finishes what has keys of its own, or no buckets.
    fn of_keys(
        &mut self,
        partial: &Partial,
        aggregation: &Aggregation,
    ) -> Result<AggregationValue, EvaluationError> {
        let sub = &aggregation.sub;
        match (&aggregation.kind, partial) {
            (AggregationKind::RareTerms(request), Partial::Terms(terms)) => {
                self.rare_terms(request, terms, sub)
            }
            (AggregationKind::Composite(request), Partial::Tuples(tuples)) => {
                self.composite(request, tuples, sub)
            }
            (AggregationKind::MultiTerms(request), Partial::Tuples(tuples)) => {
                self.multi_terms(request, tuples, sub)
            }
            (AggregationKind::Adjacency(request), Partial::Tuples(tuples)) => {
                self.adjacency(request, tuples, sub)
            }
            (AggregationKind::IpRange(request), Partial::Filters(buckets)) => {
                self.ip_ranges(request, buckets, sub)
            }
            (AggregationKind::IpPrefix(request), Partial::Histogram(networks)) => {
                self.ip_prefixes(request, networks, sub)
            }
            (AggregationKind::GeoGrid(request), Partial::Histogram(cells)) => {
                self.grid(request, cells, sub)
            }
            (AggregationKind::VariableWidth(request), Partial::Histogram(values)) => {
                self.variable_widths(request, values, sub)
            }
            (AggregationKind::AutoDate(request), Partial::Dates(dates)) => {
                self.auto_dates(request, dates, sub)
            }
            (AggregationKind::MatrixStats(request), Partial::Matrix(matrix)) => {
                self.charge(matrix.num_bytes())?;
                Ok(matrix::value(request, matrix))
            }
            (kind, partial) => metric::value(kind, partial).ok_or_else(mismatch),
        }
    }

    /// Returns the results of no documents; made once for all buckets that lack them.
    fn empty(
        &mut self,
        aggregations: &[Aggregation],
    ) -> Result<Arc<Aggregations>, EvaluationError> {
        let place = aggregations.as_ptr().addr();
        if let Some(empty) = self.empty.get(&place) {
            return Ok(Arc::clone(empty));
        }
        let empty = Arc::new(described(aggregations, self.context)?);
        self.empty.insert(place, Arc::clone(&empty));
        Ok(empty)
    }

    /// Adds to the buckets of the answer.
    fn count_buckets(&mut self, num_buckets: usize) -> Result<(), EvaluationError> {
        self.num_buckets = self.num_buckets.saturating_add(num_buckets);
        let limit = self.context.max_buckets;
        if self.num_buckets > limit {
            return Err(EvaluationError::TooManyBuckets { limit });
        }
        self.charge(num_buckets.saturating_mul(size_of::<Bucket>()))
    }

    fn charge(&mut self, num_bytes: usize) -> Result<(), EvaluationError> {
        let meter = self.meter.as_mut();
        meter.map_or(Ok(()), |meter| meter.charge(num_bytes))
    }

    /// Returns the `meta` of an aggregation; all its results share it.
    fn meta(&mut self, aggregation: &Aggregation) -> Option<Arc<Value>> {
        let meta = aggregation.meta.as_ref()?;
        let place = std::ptr::from_ref(aggregation).addr();
        let shared = self.metas.entry(place);
        Some(Arc::clone(shared.or_insert_with(|| Arc::new(meta.clone()))))
    }
}

/// Returns the prefix for `typed_keys`.
fn type_name(kind: &AggregationKind, partial: &Partial, live_keys: &LiveKeys<'_>) -> &'static str {
    match kind {
        AggregationKind::Terms(request) => match partial {
            Partial::Terms(terms) => format::terms_type(live_keys.kind(request, terms)),
            _ => "sterms",
        },
        AggregationKind::RareTerms(_) => match partial {
            Partial::Terms(terms) => format::rare_type(terms.kind()),
            _ => "umrareterms",
        },
        AggregationKind::SignificantTerms(_) => significant::type_name(partial),
        AggregationKind::Range(request) if request.is_date => "date_range",
        AggregationKind::Range(_) => "range",
        AggregationKind::Histogram(_) => "histogram",
        AggregationKind::DateHistogram(_) => "date_histogram",
        AggregationKind::Filter(_) => "filter",
        AggregationKind::Filters { .. } => "filters",
        AggregationKind::Global | AggregationKind::Background { .. } => "global",
        AggregationKind::MissingValue { .. } => "missing",
        AggregationKind::Composite(_) => "composite",
        AggregationKind::MultiTerms(_) => "multi_terms",
        AggregationKind::Sampler(_) => "sampler",
        AggregationKind::Adjacency(_) => "adjacency_matrix",
        AggregationKind::IpRange(_) => "ip_range",
        AggregationKind::IpPrefix(_) => "ip_prefix",
        AggregationKind::AutoDate(_) => "auto_date_histogram",
        AggregationKind::VariableWidth(_) => "variable_width_histogram",
        AggregationKind::GeoGrid(request) => request.grid.type_name(),
        AggregationKind::GeoDistance(_) => "geo_distance",
        _ => metric_type(kind),
    }
}

/// Returns the prefix of what has no buckets.
fn metric_type(kind: &AggregationKind) -> &'static str {
    match kind {
        AggregationKind::Metric(metric, _) => formats::metric_name(*metric),
        AggregationKind::Cardinality { .. } => "cardinality",
        AggregationKind::Percentiles {
            hdr_digits: Some(_),
            ..
        } => "hdr_percentiles",
        AggregationKind::PercentileRanks {
            hdr_digits: Some(_),
            ..
        } => "hdr_percentile_ranks",
        AggregationKind::PercentileRanks { .. } => "tdigest_percentile_ranks",
        AggregationKind::MedianAbsoluteDeviation(_) => "median_absolute_deviation",
        AggregationKind::WeightedAverage(_) => "weighted_avg",
        AggregationKind::MatrixStats(_) => "matrix_stats",
        AggregationKind::TopHits(_) => "top_hits",
        AggregationKind::TopMetrics(_) => "top_metrics",
        AggregationKind::GeoBounds { .. } => "geo_bounds",
        AggregationKind::GeoCentroid { .. } => "geo_centroid",
        _ => "tdigest_percentiles",
    }
}

fn mismatch() -> EvaluationError {
    EvaluationError::Internal("partial aggregations do not fit the request".to_owned())
}

#[cfg(test)]
mod tests;
