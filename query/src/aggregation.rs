//! Aggregations as asked: a typed tree per name.

mod geo;
mod keys;
mod metrics;
mod parse;
mod pipeline;
mod rate;
mod sampler;
mod significant;

use serde::Serialize;
use serde_json::Value;

pub use geo::{GeoDistanceAggregation, GeoGrid, GeoGridAggregation};
pub use keys::{
    AddressRange, AdjacencyAggregation, AutoDateAggregation, CompositeAggregation, CompositeSource,
    CompositeValues, IpPrefixAggregation, IpRangeAggregation, MissingOrder, MultiTermsAggregation,
    RareTermsAggregation, VariableWidthAggregation,
};
pub(crate) use metrics::{MOST_TOP_METRICS, inherit_fields};
pub use metrics::{
    MatrixStatsAggregation, TopMetricsAggregation, WeightedAverage, check_top_metrics,
};
pub use parse::{beyond_hard_bounds, kinds, parse_aggregations, parse_pipelines};
pub use pipeline::{
    BucketPath, BucketScript, BucketSummary, GapPolicy, MovingFunction, NormalizeMethod, PathStep,
    Pipeline, PipelineKind,
};
pub use rate::{BucketLength, RateUnit};
pub use sampler::{Diversity, SamplerAggregation};
pub use significant::{Frequencies, Significance, SignificantTermsAggregation, TextTerms, Words};

pub use crate::date::CalendarUnit;
use crate::dsl::Query;
use crate::search::{FieldFormat, Highlight, SortKey, SourceFilter};

/// A named aggregation with its sub-aggregations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Aggregation {
    /// Name under which its result is returned.
    pub name: String,
    /// What it computes.
    pub kind: AggregationKind,
    /// Computed inside each bucket.
    pub sub: Vec<Aggregation>,
    /// Made at the root of the results in its buckets, each after those that it is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pipelines: Vec<Pipeline>,
    /// Returned as given.
    pub meta: Option<Value>,
}

/// Returns the queries inside aggregations, depth first in order of appearance.
pub fn queries(aggregations: &[Aggregation]) -> Vec<&Query> {
    let mut found = Vec::new();
    collect_queries(aggregations, &mut found);
    found
}

fn collect_queries<'a>(aggregations: &'a [Aggregation], found: &mut Vec<&'a Query>) {
    for aggregation in aggregations {
        match &aggregation.kind {
            AggregationKind::Filter(query) => found.push(query),
            AggregationKind::Filters { filters, .. }
            | AggregationKind::Adjacency(AdjacencyAggregation { filters, .. }) => {
                found.extend(filters.iter().map(|(_, query)| query));
            }
            AggregationKind::SignificantTerms(terms) => found.extend(&terms.background),
            _ => {}
        }
        collect_queries(&aggregation.sub, found);
    }
}

/// Returns the same to be changed.
pub fn queries_mut(aggregations: &mut [Aggregation]) -> Vec<&mut Query> {
    let mut found = Vec::new();
    for Aggregation { kind, sub, .. } in aggregations {
        match kind {
            AggregationKind::Filter(query) => found.push(query),
            AggregationKind::Filters { filters, .. }
            | AggregationKind::Adjacency(AdjacencyAggregation { filters, .. }) => {
                found.extend(filters.iter_mut().map(|(_, query)| query));
            }
            AggregationKind::SignificantTerms(terms) => found.extend(&mut terms.background),
            _ => {}
        }
        found.extend(queries_mut(sub));
    }
    found
}

/// What an aggregation computes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum AggregationKind {
    /// One bucket per value.
    Terms(TermsAggregation),
    /// One bucket per range of a number or date.
    Range(RangeAggregation),
    /// One bucket per interval of a number.
    Histogram(HistogramAggregation),
    /// One bucket per interval of time.
    DateHistogram(DateHistogramAggregation),
    /// One bucket of what matches a query.
    Filter(Query),
    /// One bucket per named query.
    Filters {
        /// The queries, with their keys: in order of their names, or numbered without them.
        filters: Vec<(String, Query)>,
        /// Whether the client gave names.
        is_keyed: bool,
        /// Whether buckets with names are a list all the same.
        is_listed: bool,
        /// Key of the bucket for what matches none.
        other_bucket: Option<String>,
    },
    /// One bucket of everything that may be seen, whatever the query.
    Global,
    /// One bucket of what has no value.
    MissingValue {
        /// Field.
        field: String,
        /// Stands for documents without a value, of which none is left.
        missing: Option<Value>,
    },
    /// A number of the values of a field.
    Metric(Metric, ValueSource),
    /// Approximate number of distinct values.
    Cardinality {
        /// Values.
        source: ValueSource,
        /// Count below which it is (nearly) exact; default 3,000, at most 40,000.
        precision_threshold: u32,
    },
    /// Approximate percentiles.
    Percentiles {
        /// Values.
        source: ValueSource,
        /// Percents, 0 to 100.
        percents: Vec<f64>,
        /// Whether the result is an object (default) or an array.
        keyed: bool,
        /// Digits that count, 0 to 5, where an HDR histogram is asked for.
        hdr_digits: Option<u8>,
    },
    /// Shares of values that are not above given ones.
    PercentileRanks {
        /// Values.
        source: ValueSource,
        /// The given ones, ascending.
        values: Vec<f64>,
        /// Whether the result is an object (default) or an array.
        keyed: bool,
        /// Digits that count, 0 to 5, where an HDR histogram is asked for.
        hdr_digits: Option<u8>,
    },
    /// Median of the distances from the median.
    MedianAbsoluteDeviation(ValueSource),
    /// Mean of values by the weights of their documents.
    WeightedAverage(WeightedAverage),
    /// How several fields spread, and how each depends on the others.
    MatrixStats(MatrixStatsAggregation),
    /// The best hits of each bucket.
    TopHits(TopHitsAggregation),
    /// Numbers of the first documents of an order.
    TopMetrics(TopMetricsAggregation),
    /// One bucket per combination of values, page by page.
    Composite(CompositeAggregation),
    /// One bucket per combination of values, the largest ones.
    MultiTerms(MultiTermsAggregation),
    /// One bucket per value that few documents have.
    RareTerms(RareTermsAggregation),
    /// One bucket per value that is more frequent here than elsewhere.
    SignificantTerms(SignificantTermsAggregation),
    /// One bucket of the best documents.
    Sampler(SamplerAggregation),
    /// One bucket per query and per pair of queries.
    Adjacency(AdjacencyAggregation),
    /// One bucket per range of addresses.
    IpRange(IpRangeAggregation),
    /// One bucket per network.
    IpPrefix(IpPrefixAggregation),
    /// So many buckets of time at most.
    AutoDate(AutoDateAggregation),
    /// So many buckets of close numbers at most.
    VariableWidth(VariableWidthAggregation),
    /// One bucket per cell of the earth's surface.
    GeoGrid(GeoGridAggregation),
    /// One bucket per range of distances.
    GeoDistance(GeoDistanceAggregation),
    /// The least box around points.
    GeoBounds {
        /// Field.
        field: String,
        /// Whether the box may go over the date line; default true.
        wraps: bool,
    },
    /// The middle of points.
    GeoCentroid {
        /// Field.
        field: String,
    },
    /// What `significant_terms` compares with: asked for beside a request, never in one.
    Background {
        /// Place of its query among those of the request; `None` is everything.
        filter: Option<usize>,
        /// Of `significant_text`: the terms that are counted.
        words: Option<Words>,
    },
}

impl AggregationKind {
    /// Returns whether it makes exactly one bucket: paths of orders and pipelines lead through it.
    pub(crate) fn has_one_bucket(&self) -> bool {
        matches!(
            self,
            Self::Filter(_)
                | Self::Global
                | Self::MissingValue { .. }
                | Self::Sampler(_)
                | Self::Background { .. }
        )
    }
}

/// Single- and multi-number metrics.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Metric {
    /// Mean.
    Avg,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Sum (compensated).
    Sum,
    /// Number of values.
    ValueCount,
    /// All of these.
    Stats,
    /// `stats` with variance and deviation.
    ExtendedStats {
        /// Deviations between the mean and the bounds, ≥ 0; default 2.
        sigma: f64,
    },
}

/// Where values come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValueSource {
    /// Field.
    pub field: String,
    /// Type of `missing` where the mapping does not know the field; elsewhere without effect. Without it
    /// `terms` takes it as text.
    pub value_type: Option<ValueType>,
    /// Stands for documents without a value.
    pub missing: Option<Value>,
    /// Format of values in the answer.
    pub format: Option<String>,
}

impl ValueSource {
    /// Returns the values of a field, of which nothing else is said.
    pub fn of(field: &str) -> Self {
        Self {
            field: field.to_owned(),
            value_type: None,
            missing: None,
            format: None,
        }
    }
}

/// What a request says of the type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ValueType {
    /// As a `keyword`.
    Text,
    /// A whole number.
    Long,
    /// A fraction.
    Double,
    /// As a `boolean`.
    Boolean,
    /// As a `date` of the default format, or of the request's.
    Date,
    /// As an `ip`.
    Ip,
}

/// `terms`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TermsAggregation {
    /// Values.
    pub source: ValueSource,
    /// Buckets returned; default 10.
    pub size: usize,
    /// Candidates each shard sends; `None`: size × 1.5 + 10.
    pub shard_size: Option<usize>,
    /// Buckets with fewer documents are left out; default 1.
    pub min_doc_count: u64,
    /// Order of buckets, most significant first; the key breaks ties.
    pub order: Vec<(BucketOrder, bool)>,
    /// Only these keys.
    pub include: Option<TermsFilter>,
    /// Without these keys.
    pub exclude: Option<TermsFilter>,
    /// Whether the error per bucket is returned (it is 0: counts are exact).
    pub show_term_doc_count_error: bool,
}

impl TermsAggregation {
    /// Returns the request for all keys of `source` that filters let through, with their counts.
    pub fn of_all(
        source: &ValueSource,
        include: Option<&TermsFilter>,
        exclude: Option<&TermsFilter>,
    ) -> Self {
        Self {
            source: source.clone(),
            size: Self::ALL_KEYS,
            shard_size: Some(Self::ALL_KEYS),
            min_doc_count: 1,
            order: Vec::new(),
            include: include.cloned(),
            exclude: exclude.cloned(),
            show_term_doc_count_error: false,
        }
    }

    /// More keys than a shard has: its list is not cut.
    pub const ALL_KEYS: usize = i32::MAX as usize;
}

/// What buckets are ordered by; the flag beside it says descending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum BucketOrder {
    /// Number of documents.
    Count,
    /// The key.
    Key,
    /// A metric below: path such as `avg_price` or `stats.max`.
    Metric(String),
}

/// Which keys a terms aggregation keeps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum TermsFilter {
    /// A regular expression over the whole key.
    Regex(String),
    /// Exact keys.
    Values(Vec<Value>),
    /// One of several parts that keys fall into by their hash; `include` alone.
    Partition {
        /// Which one, from 0.
        partition: u32,
        /// How many there are, ≥ 1.
        num_partitions: u32,
    },
}

/// `range` and `date_range`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RangeAggregation {
    /// Values.
    pub source: ValueSource,
    /// The ranges.
    pub ranges: Vec<AggregationRange>,
    /// Whether the result is an object.
    pub keyed: bool,
    /// Whether bounds are dates (`date_range`).
    pub is_date: bool,
    /// Time zone of date bounds.
    pub time_zone: Option<String>,
}

/// One range; the lower bound is included, the upper is not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AggregationRange {
    /// Key; `None` is made from the bounds.
    pub key: Option<String>,
    /// Lower bound.
    pub from: Option<Value>,
    /// Upper bound.
    pub to: Option<Value>,
}

/// `histogram`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistogramAggregation {
    /// Values.
    pub source: ValueSource,
    /// Width, > 0.
    pub interval: f64,
    /// Shift, as given: `hard_bounds` are those of buckets before they are shifted.
    pub offset: f64,
    /// Buckets with fewer documents are left out; default 0.
    pub min_doc_count: u64,
    /// Buckets are made at least over these bounds; ∞ stands for no lower one, −∞ for no upper one.
    pub extended_bounds: Option<(f64, f64)>,
    /// Values outside are ignored; [`f64::MIN`] stands for no lower one, [`f64::MAX`] for no upper one.
    pub hard_bounds: Option<(f64, f64)>,
    /// Order of buckets; default key ascending.
    pub order: Vec<(BucketOrder, bool)>,
    /// Whether the result is an object.
    pub keyed: bool,
}

/// `date_histogram`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DateHistogramAggregation {
    /// Values.
    pub source: ValueSource,
    /// Width.
    pub interval: DateInterval,
    /// IANA name or offset; default UTC.
    pub time_zone: Option<String>,
    /// Shift in milliseconds.
    pub offset_ms: i64,
    /// Buckets with fewer documents are left out; default 0.
    pub min_doc_count: u64,
    /// Buckets are made at least over these bounds, as dates or date math; [`i64::MAX`] stands for no
    /// lower one, [`i64::MIN`] for no upper one.
    pub extended_bounds: Option<(Value, Value)>,
    /// Values outside are ignored; [`i64::MIN`] stands for no lower one, [`i64::MAX`] for no upper one.
    pub hard_bounds: Option<(Value, Value)>,
    /// Order of buckets; default key ascending.
    pub order: Vec<(BucketOrder, bool)>,
    /// Whether the result is an object.
    pub keyed: bool,
}

/// Width of a date histogram's buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum DateInterval {
    /// A unit of the calendar, in the time zone.
    Calendar(CalendarUnit),
    /// A fixed number of milliseconds, ≥ 1.
    Fixed(i64),
}

/// `top_hits`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopHitsAggregation {
    /// Hits to leave out; default 0.
    pub from: usize,
    /// Hits to return; default 3, at most 100.
    pub size: usize,
    /// Order; empty is by score.
    pub sort: Vec<SortKey>,
    /// What of `_source` is returned.
    pub source: SourceFilter,
    /// Doc values to return.
    pub docvalue_fields: Vec<FieldFormat>,
    /// Fields to return from `_source` (`fields`); default those of the search.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldFormat>,
    /// Stored fields (`stored_fields`): `_none_` leaves out `_id` and `_source`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stored_fields: Vec<String>,
    /// Whether each hit's score is explained.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub explain: bool,
    /// Fragments to highlight.
    pub highlight: Option<Highlight>,
    /// Whether `_version` is returned.
    pub version: bool,
    /// Whether `_seq_no` and `_primary_term` are returned.
    pub seq_no_primary_term: bool,
    /// Whether scores are computed under a sort.
    pub track_scores: bool,
}
