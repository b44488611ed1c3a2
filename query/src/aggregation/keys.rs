//! Requests of aggregations whose buckets have keys of their own, beside `terms` and histograms.
//!
//! Source: Elasticsearch reference, *Bucket aggregations*.

use serde::Serialize;
use serde_json::Value;

use super::{BucketOrder, DateInterval, TermsAggregation, TermsFilter, ValueSource};
use crate::dsl::Query;
use crate::encoded::GeoShape;

/// `composite`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CompositeAggregation {
    /// What buckets are made of, most significant first; at least one.
    pub sources: Vec<CompositeSource>,
    /// Buckets of a page; default 10.
    pub size: usize,
    /// The key of the last bucket of the page before, one value per source; `null` is a missing one.
    pub after: Option<Vec<Value>>,
}

/// One of the values that a bucket of `composite` is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CompositeSource {
    /// Name of the value in keys.
    pub name: String,
    /// Where values come from; without `missing`.
    pub source: ValueSource,
    /// How they are grouped.
    pub values: CompositeValues,
    /// Whether the largest comes first.
    pub descending: bool,
    /// Whether documents without a value have a bucket.
    pub missing_bucket: bool,
    /// Where that bucket stands.
    pub missing_order: MissingOrder,
}

/// How the values of a source are grouped.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum CompositeValues {
    /// Each by itself.
    Terms,
    /// By intervals of this width, > 0.
    Histogram(f64),
    /// By intervals of time.
    DateHistogram {
        /// Width.
        interval: DateInterval,
        /// IANA name or offset; default UTC.
        time_zone: Option<String>,
        /// Shift in milliseconds.
        offset_ms: i64,
    },
    /// By map tiles.
    GeoTile {
        /// Their zoom.
        zoom: u8,
        /// Only tiles that overlap this box count, with all their points.
        bounds: Option<GeoShape>,
    },
}

/// Where the bucket of documents without a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum MissingOrder {
    /// As if it were smaller than all values.
    #[default]
    Default,
    /// Before all values.
    First,
    /// After all values.
    Last,
}

/// `multi_terms`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MultiTermsAggregation {
    /// Where the values of a key come from; at least two.
    pub sources: Vec<ValueSource>,
    /// Buckets returned; default 10.
    pub size: usize,
    /// Buckets with fewer documents are left out; default 1.
    pub min_doc_count: u64,
    /// Order of buckets, most significant first; the key breaks ties.
    pub order: Vec<(BucketOrder, bool)>,
    /// Whether the error per bucket is returned (it is 0: counts are exact).
    pub show_term_doc_count_error: bool,
}

/// `rare_terms`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RareTermsAggregation {
    /// Values.
    pub source: ValueSource,
    /// Buckets with more documents are left out, 1 to 100; default 1.
    pub max_doc_count: u64,
    /// Only these keys.
    pub include: Option<TermsFilter>,
    /// Without these keys.
    pub exclude: Option<TermsFilter>,
}

impl RareTermsAggregation {
    /// Returns the request for all terms with their counts.
    pub fn terms(&self) -> TermsAggregation {
        TermsAggregation::of_all(&self.source, self.include.as_ref(), self.exclude.as_ref())
    }
}

/// `adjacency_matrix`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdjacencyAggregation {
    /// The queries with their names, in order of these.
    pub filters: Vec<(String, Query)>,
    /// Stands between the two names of a pair; default `&`.
    pub separator: String,
    /// Whether only pairs have buckets.
    pub only_pairs: bool,
}

/// `ip_range`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IpRangeAggregation {
    /// Values.
    pub source: ValueSource,
    /// The ranges.
    pub ranges: Vec<AddressRange>,
    /// Whether the result is an object.
    pub keyed: bool,
}

/// A range of addresses in their IPv6 form; the lower bound is included, the upper is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AddressRange {
    /// Key; `None` is made from the bounds.
    pub key: Option<String>,
    /// Lower bound.
    pub from: Option<u128>,
    /// Upper bound.
    pub to: Option<u128>,
}

/// `ip_prefix`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IpPrefixAggregation {
    /// Field.
    pub field: String,
    /// Bits that the addresses of a bucket have in common, 0 to 32 or 128.
    pub prefix_length: u8,
    /// Whether addresses are of IPv6; others are left out.
    pub is_ipv6: bool,
    /// Whether keys carry their length.
    pub append_prefix_length: bool,
    /// Buckets with fewer documents are left out; default 1.
    pub min_doc_count: u64,
    /// Whether the result is an object.
    pub keyed: bool,
}

/// `auto_date_histogram`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AutoDateAggregation {
    /// Values.
    pub source: ValueSource,
    /// Most buckets returned; default 10.
    pub buckets: usize,
    /// IANA name or offset; default UTC.
    pub time_zone: Option<String>,
    /// The least unit: its place among second, minute, hour, day, month, year.
    pub minimum_unit: u8,
}

/// `variable_width_histogram`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VariableWidthAggregation {
    /// Values.
    pub source: ValueSource,
    /// Most buckets returned; default 10.
    pub buckets: usize,
}
