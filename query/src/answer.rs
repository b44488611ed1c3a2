//! What leaves answer and what the root makes of it: domain types, rendered by `api`.

mod metadata;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_model::{DocumentId, Generation, PrimaryTerm, SeqNo, Version};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::key_value::SortValue;
use crate::resolved::{TieBreak, Unmatched};

/// One shard's answer to the query phase.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardHits {
    /// What was searched.
    pub generation: Generation,
    /// View that holds the hits' places for the fetch phase.
    pub view: ViewId,
    /// Live documents in the shard.
    pub num_documents: u64,
    /// Matches counted. The shards of a leaf together count all, or more than the limit asked for.
    pub total: u64,
    /// Best hits, in order, at most `top`.
    pub hits: Vec<ShardHit>,
    /// Largest score of all matches, when scores were computed for the hits.
    pub max_score: Option<f32>,
    /// Partial aggregations: bytes that only `engine::partial` reads.
    pub aggregations: Option<Bytes>,
    /// Whether the deadline cut the evaluation short (hits are of what was seen).
    pub timed_out: bool,
    /// Whether `terminate_after` did.
    pub terminated_early: bool,
    /// Where the leaf's time went; the same for all shards of a call, `None` when it did not tell.
    pub times: Option<LeafTimes>,
    /// Why nothing can match, where that is so and the copy has promised to show nothing newer for a
    /// while.
    pub unmatched: Option<Box<Unmatched>>,
    /// Whether the copy serves without its primary: acknowledged writes may be missing.
    pub may_be_stale: bool,
}

/// Time a leaf spent on a call. Durations only: clocks of two machines are never compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafTimes {
    /// From reception to the start of the evaluation: shards being opened, copies catching up, the
    /// queue in front of the search threads.
    pub queue: Duration,
    /// The evaluation of all shards of the call.
    pub evaluate: Duration,
    /// The processor time of all threads that took part in it.
    pub cpu: Duration,
}

/// What a leaf fetched of a shard.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FetchedHits {
    /// The hits, in the order asked.
    pub hits: Vec<FetchedHit>,
    /// The processor time of all threads that fetched for the call; the same for all its shards.
    pub cpu: Duration,
}

impl From<Vec<FetchedHit>> for FetchedHits {
    fn from(hits: Vec<FetchedHit>) -> Self {
        let cpu = Duration::ZERO;
        Self { hits, cpu }
    }
}

/// A view of a shard, kept alive on its leaf for the fetch phase, scroll or point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ViewId(pub u64);

/// A hit as ranked, not yet fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardHit {
    /// Score, when computed.
    pub score: Option<f32>,
    /// Values of the sort keys; empty when ordered by score.
    pub keys: Vec<SortValue>,
    /// The value by which hits are put together; `None` where they are not.
    pub group: Option<SortValue>,
    /// Last key of the order.
    pub tie: TieBreak,
    /// Number of the document in its shard.
    pub seq_no: SeqNo,
    /// Place in the view; opaque outside the leaf.
    pub place: u64,
}

/// A hit with its content.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchedHit {
    /// The document's id.
    pub id: DocumentId,
    /// Routing value, when one was given.
    pub routing: Option<String>,
    /// Number.
    pub seq_no: SeqNo,
    /// Term of the primary that wrote it.
    pub term: PrimaryTerm,
    /// Version.
    pub version: Version,
    /// The document as received.
    pub source: Bytes,
    /// Fields that left out a value of the document, by the alphabet.
    pub ignored: Vec<String>,
    /// What fields left out, as it stands in `_source`, by the name under which each was asked for: its own or that of an
    /// alias.
    pub ignored_values: IndexMap<String, Vec<Value>>,
    /// The named queries that it matches, in the order in which they were asked.
    pub matched_queries: Vec<MatchedQuery>,
    /// Doc values and `fields`, rendered per field.
    pub fields: IndexMap<String, Vec<Value>>,
    /// Highlighted fragments per field.
    pub highlight: IndexMap<String, Vec<String>>,
    /// How the score came about.
    pub explanation: Option<Explanation>,
}

/// A named query that a hit matches.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchedQuery {
    /// Its name.
    pub name: String,
    /// What it scores by itself, where that was asked for.
    pub score: Option<f32>,
}

/// What the explanation of a document says that the query does not match.
pub const NO_MATCH: &str = "no matching clause";

/// How a score came about, as a tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The value of this node.
    pub value: f32,
    /// What it is.
    pub description: String,
    /// What it was made of.
    pub details: Vec<Explanation>,
}

impl FetchedHit {
    /// Returns roughly how many bytes it takes, in memory and rendered: not less than its texts.
    pub fn num_bytes(&self) -> usize {
        let fields = self.fields.iter().chain(&self.ignored_values);
        let fields = fields.map(|(name, values)| num_bytes_of_field(name, values));
        let highlight = self.highlight.iter();
        let highlight = highlight
            .map(|(name, fragments)| FIELD_BYTES + name.len() + num_bytes_of_texts(fragments));
        let explanation = self.explanation.as_ref();
        let matched = self.matched_queries.iter();
        let matched = matched.map(|matched| size_of::<MatchedQuery>() + matched.name.len());
        HIT_BYTES
            + self.source.len()
            + num_bytes_of_texts(&self.ignored)
            + matched.sum::<usize>()
            + fields.sum::<usize>()
            + highlight.sum::<usize>()
            + explanation.map_or(0, Explanation::num_bytes)
    }
}

/// Bytes of a hit beside its texts: in memory some, rendered no more.
const HIT_BYTES: usize = 384;

/// Bytes of a field of a hit beside its name and its values: its place in a map that grows by doubling, and what is left
/// over of the blocks that its name and its list stand in.
const FIELD_BYTES: usize = 2 * size_of::<(usize, String, Vec<Value>)>() + 64;

/// Bytes of an entry of an object beside its name and the value: what [`FIELD_BYTES`] are of a field.
const ENTRY_BYTES: usize = size_of::<(usize, String)>() + size_of::<Value>() + 64;

/// Returns roughly how many bytes a field of a hit takes.
pub fn num_bytes_of_field(name: &str, values: &[Value]) -> usize {
    FIELD_BYTES + name.len() + num_bytes_of(values)
}

/// Returns roughly how many bytes values take.
pub fn num_bytes_of(values: &[Value]) -> usize {
    let one = |value: &Value| match value {
        Value::String(text) => text.len(),
        Value::Array(values) => num_bytes_of(values),
        Value::Object(entries) => {
            let entries = entries.iter();
            entries
                .map(|(name, value)| {
                    ENTRY_BYTES + name.len() + num_bytes_of(std::slice::from_ref(value))
                })
                .sum()
        }
        _ => 0,
    };
    values
        .iter()
        .map(|value| size_of::<Value>() + one(value))
        .sum()
}

/// Returns roughly how many bytes texts take.
pub fn num_bytes_of_texts(texts: &[String]) -> usize {
    texts
        .iter()
        .map(|text| size_of::<String>() + text.len())
        .sum()
}

impl Explanation {
    /// Returns whether it is of a document that matches.
    pub fn matched(&self) -> bool {
        self.description != NO_MATCH
    }

    /// Returns roughly how many bytes it takes, with what it is made of.
    pub fn num_bytes(&self) -> usize {
        let details = self.details.iter().map(Self::num_bytes);
        // Lists and texts have room to spare.
        2 * size_of::<Self>() + self.description.len() + details.sum::<usize>()
    }
}

/// Result of one named aggregation, merged over all shards.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregationResult {
    /// Name as asked.
    pub name: String,
    /// Type prefix for `typed_keys`, for example `sterms`.
    pub type_name: &'static str,
    /// Returned as given.
    pub meta: Option<Arc<Value>>,
    /// The result.
    pub value: AggregationValue,
}

/// The result of an aggregation.
#[derive(Debug, Clone, PartialEq)]
pub enum AggregationValue {
    /// Several buckets.
    Buckets {
        /// In order.
        buckets: Vec<Bucket>,
        /// Whether they are rendered as an object by key.
        keyed: bool,
        /// `terms` only: error bound and documents in buckets not returned.
        terms: Option<TermsTotals>,
        /// What is shown beside the buckets, by name: `after_key`, `interval`.
        beside: Vec<(&'static str, Value)>,
    },
    /// One bucket.
    Single {
        /// Documents.
        doc_count: u64,
        /// Sub-aggregations.
        sub: Vec<AggregationResult>,
    },
    /// One number; `None` where there were no values.
    Number {
        /// The number.
        value: Option<f64>,
        /// Its formatted form (dates, formats).
        as_string: Option<String>,
    },
    /// A number with the keys of the buckets that have it; `None` where there were no numbers.
    OfBuckets {
        /// The number.
        value: Option<f64>,
        /// Its formatted form.
        as_string: Option<String>,
        /// Keys of the buckets.
        keys: Vec<String>,
    },
    /// `derivative` with a unit.
    Derivative {
        /// The difference.
        value: Option<f64>,
        /// Its formatted form.
        as_string: Option<String>,
        /// The difference for each unit.
        normalized: Option<f64>,
        /// Its formatted form.
        normalized_as_string: Option<String>,
    },
    /// `stats` and `extended_stats`.
    Stats(Stats),
    /// Percentiles in the order asked.
    Percentiles {
        /// Percent and value.
        values: Vec<(f64, Option<f64>)>,
        /// Formatted values, where a format applies.
        as_strings: Option<Vec<String>>,
        /// Whether rendered as an object.
        keyed: bool,
    },
    /// `top_hits`.
    TopHits {
        /// Matches in the bucket.
        total: u64,
        /// Largest score.
        max_score: Option<f32>,
        /// The hits with index name resolved by the root.
        hits: Vec<Hit>,
        /// Whether hits show `_version`.
        has_version: bool,
        /// Whether hits show `_seq_no` and `_primary_term`.
        has_seq_no: bool,
        /// Whether hits leave out `_id`.
        is_bare: bool,
    },
    /// `top_metrics`.
    TopMetrics {
        /// The first documents, as they are shown.
        top: Vec<Value>,
        /// The metrics of the first one, by name: NaN where it has no value, `None` where that is no number.
        numbers: Vec<(String, Option<f64>)>,
    },
    /// Of a form that no other has, as it is shown: boxes, points.
    Shown(Vec<(&'static str, Value)>),
}

/// `terms`: what was not returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TermsTotals {
    /// 0: counts are exact.
    pub error_upper_bound: u64,
    /// Documents in buckets that were not returned.
    pub sum_other: u64,
    /// Whether each bucket carries its own error.
    pub show_error: bool,
}

/// One bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// The key.
    pub key: BucketKey,
    /// Its formatted form, where one is shown.
    pub key_as_string: Option<String>,
    /// Documents.
    pub doc_count: u64,
    /// What else is shown of it, by name: bounds of addresses, scores of significant terms.
    pub beside: Vec<(&'static str, Value)>,
    /// Sub-aggregations.
    pub sub: Vec<AggregationResult>,
}

/// Key of a bucket.
#[derive(Debug, Clone, PartialEq)]
pub enum BucketKey {
    /// A filter without a name: none is shown. Paths of pipelines know it by its place in the request, or by the key of
    /// the other bucket.
    Unnamed(String),
    /// Keyword, ip, filter name.
    Text(String),
    /// Whole number, date in milliseconds, boolean as 0 or 1.
    I64(i64),
    /// Whole number of an `unsigned_long`.
    U64(u64),
    /// Fraction.
    F64(f64),
    /// Several values, as they are shown: an object by name, or a list.
    Several {
        /// As they are shown.
        shown: Value,
        /// Of `composite`: those that are numbers, as numbers, in the order of its sources.
        numbers: Vec<Option<f64>>,
    },
    /// A range with its bounds and their formatted forms.
    Range {
        /// Key shown.
        key: String,
        /// Lower bound, included.
        from: Option<(f64, Option<String>)>,
        /// Upper bound, excluded.
        to: Option<(f64, Option<String>)>,
    },
}

/// Numbers of `stats`.
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// Values seen.
    pub count: u64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Compensated sum.
    pub sum: f64,
    /// What `extended_stats` adds; `None` for `stats`.
    pub spread: Option<Box<Spread>>,
    /// Formatted min, max, avg, sum, where a format applies and there are values.
    pub as_strings: Option<[String; 4]>,
}

/// How far values lie apart: no numbers (NaN) where there are too few of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// Sum of squares.
    pub sum_of_squares: Figure,
    /// Variance of the population, and as sampled.
    pub variance: [Figure; 2],
    /// Standard deviation of the population, and as sampled.
    pub deviation: [Figure; 2],
    /// Upper and lower bound around the mean, by the deviation of the population and as sampled.
    pub bounds: [[Figure; 2]; 2],
}

/// A number, and as it is formatted where a format applies.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The number; NaN for none.
    pub value: f64,
    /// Its formatted form.
    pub text: Option<String>,
}

/// To the bit: none is equal to none.
impl PartialEq for Figure {
    fn eq(&self, other: &Self) -> bool {
        self.value.to_bits() == other.value.to_bits() && self.text == other.text
    }
}

/// A hit as returned: the ranked hit joined with its content.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Index name.
    pub index: String,
    /// Score, when computed.
    pub score: Option<f32>,
    /// Values of the sort keys as rendered, when a sort was asked for.
    pub sort: Vec<Value>,
    /// Content, after `_source` filtering.
    pub content: FetchedHit,
    /// `_source` after filtering; `None` where it is not returned.
    pub source: Option<Bytes>,
    /// Shard number, for `explain`.
    pub shard: u32,
    /// The value by which it stands for others.
    pub group: Option<SortValue>,
    /// Whether that value counts nanoseconds since the epoch.
    pub is_group_of_nanos: bool,
    /// What was found among those, by name.
    pub inner_hits: IndexMap<String, InnerHitList>,
}

/// Hits within a hit.
#[derive(Debug, Clone, PartialEq)]
pub struct InnerHitList {
    /// How many there are, and whether that is all of them; `None` when it was not asked for.
    pub total: Option<(u64, bool)>,
    /// Largest score, when scores were computed.
    pub max_score: Option<f32>,
    /// Whether hits show `_version`.
    pub has_version: bool,
    /// Whether hits show `_seq_no` and `_primary_term`.
    pub has_seq_no: bool,
    /// Sort values that hits show, the tie-break being the last; `None` is all.
    pub num_sort_values: Option<usize>,
    /// The hits.
    pub hits: Vec<Hit>,
}
