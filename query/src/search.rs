//! A search as asked: query, window, order, and what to return of each hit.

mod collapse;
mod distance;
mod look_up;
mod parse;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::aggregation::{Aggregation, Pipeline};
use crate::dsl::Query;

pub use crate::sort_mode::SortMode;
pub use collapse::{Collapse, InnerHits, Rescore, RescoreMode};
pub use distance::PointDistance;
pub use look_up::{FoundDocuments, NamedDocuments};
pub use parse::{
    apply_uri_parameters, is_descending, parse_field_formats, parse_highlight, parse_query_body,
    parse_search, parse_search_value, parse_sort, parse_source_filter,
};

/// A search, parsed and checked for itself; names of indices travel beside it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchRequest {
    /// What to find; `None` finds everything.
    pub query: Option<Query>,
    /// Hits to leave out at the start; default 0.
    pub from: usize,
    /// Hits to return; default 10.
    pub size: Option<usize>,
    /// Order; empty is by score.
    pub sort: Vec<SortKey>,
    /// Whether scores are computed although the order does not need them.
    pub track_scores: bool,
    /// Values of the sort keys to go on after, as the last hit's `sort` gave them.
    pub search_after: Option<Vec<Value>>,
    /// How exactly hits are counted.
    pub track_total_hits: TrackTotal,
    /// Hits below this score are left out.
    pub min_score: Option<f32>,
    /// Applied to hits after aggregations have seen them.
    pub post_filter: Option<Query>,
    /// Aggregations by name, in the order given.
    pub aggregations: Vec<Aggregation>,
    /// Made of their results, each after those that it is made of.
    pub pipelines: Vec<Pipeline>,
    /// What of `_source` is returned.
    pub source: SourceFilter,
    /// Whether the body or the URI says what of `_source` is returned: else `stored_fields` leave it out.
    pub is_source_asked: bool,
    /// Doc values to return.
    pub docvalue_fields: Vec<FieldFormat>,
    /// Fields to return from `_source` (`fields`).
    pub fields: Vec<FieldFormat>,
    /// Stored fields (`stored_fields`): `_none_` leaves out `_id` and `_source`.
    pub stored_fields: Option<Vec<String>>,
    /// Of the hits with one value of a field only the best.
    pub collapse: Option<Collapse>,
    /// Queries by which the best hits are scored anew, one after the other.
    pub rescores: Vec<Rescore>,
    /// Fragments to highlight.
    pub highlight: Option<Highlight>,
    /// Whether each hit's score is explained.
    pub explain: bool,
    /// Whether `_version` is returned.
    pub version: bool,
    /// Whether `_seq_no` and `_primary_term` are returned.
    pub seq_no_primary_term: bool,
    /// Whether hits say what each named query that they match scores (`include_named_queries_score`).
    pub named_scores: bool,
    /// Whether a timing of each shard is returned.
    pub profile: bool,
    /// What is asked of leaves: whole queries, or single terms.
    pub scatter: Scatter,
    /// By when an answer is owed; `None` is the node's default.
    pub timeout: Option<Duration>,
    /// Documents to look at per shard before stopping; `None` looks at all.
    pub terminate_after: Option<u64>,
    /// Point in time to search.
    pub pit: Option<PointInTime>,
    /// The slice of the documents to keep to; only in scrolls and points in time.
    pub slice: Option<Slice>,
    /// Factors on the scores of indices, by name or pattern, in order of precedence.
    pub indices_boost: Vec<(String, f32)>,
    /// Groups of statistics (`stats`), kept for the user.
    pub stats_groups: Vec<String>,
}

impl SearchRequest {
    /// Default of `size`.
    pub const DEFAULT_SIZE: usize = 10;

    /// Returns the hits to return.
    pub fn size(&self) -> usize {
        self.size.unwrap_or(Self::DEFAULT_SIZE)
    }

    /// Returns whether scores are returned: where hits are ordered by them, and where they are tracked.
    pub fn shows_scores(&self) -> bool {
        let by_score = |key: &SortKey| key.target == SortTarget::Score;
        self.sort.is_empty() || self.track_scores || self.sort.iter().any(by_score)
    }

    /// Returns whether the order is that of no `sort` at all: by score alone, the best first.
    pub fn is_by_score_alone(&self) -> bool {
        match self.sort.as_slice() {
            [] => true,
            [only] => only.target == SortTarget::Score && only.descending,
            _ => false,
        }
    }

    /// Returns how many sort values of a hit are shown, the tie-break being the last; `None` is all.
    ///
    /// The tie-break is shown where pages are walked by it: in a point in time, as the dialect does, and
    /// to a client that gave one itself. An order by score alone is none, as in the dialect, unless pages are
    /// walked by it.
    pub fn num_sort_values(&self) -> Option<usize> {
        let is_walked = self.pit.is_some() || self.search_after.is_some();
        if self.is_by_score_alone() && !is_walked {
            return Some(0);
        }
        let num_keys = self.sort.len();
        let after = self.search_after.as_ref();
        let gave_tie = after.is_some_and(|after| after.len() > num_keys);
        (self.pit.is_none() && !gave_tie).then_some(num_keys)
    }

    /// Returns whether the largest score of all hits is returned: where the score alone orders them, and
    /// where scores are tracked.
    pub fn shows_max_score(&self) -> bool {
        self.track_scores || self.is_by_score_alone()
    }
}

/// How a query is spread over leaves (`scatter`). The answers are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum Scatter {
    /// `shards`: each shard evaluates the query on its documents.
    #[default]
    Shards,
    /// `terms`: each term's posting list is asked for by itself, and the root combines them.
    Terms,
}

/// How exactly hits are counted; `hits.total` = min(matches, limit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum TrackTotal {
    /// Not at all: no total is returned.
    No,
    /// Up to a limit; above it the relation is `gte`.
    UpTo(u64),
    /// All of them.
    Exact,
}

impl Default for TrackTotal {
    fn default() -> Self {
        Self::UpTo(10_000)
    }
}

/// One key of the order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SortKey {
    /// What to order by.
    pub target: SortTarget,
    /// Whether the largest comes first.
    pub descending: bool,
    /// Where documents without a value stand.
    pub missing: Missing,
    /// Which of several values counts; `None`: min ascending, max descending.
    pub mode: Option<SortMode>,
    /// Type to assume where no mapping has the field; `None` refuses.
    pub unmapped_type: Option<String>,
    /// Date format of the value returned.
    pub format: Option<String>,
    /// Numeric type to convert to (`numeric_type`).
    pub numeric_type: Option<String>,
}

impl SortKey {
    /// Returns the key by which the best score comes first.
    pub fn by_score() -> Self {
        Self {
            target: SortTarget::Score,
            descending: true,
            missing: Missing::Last,
            mode: None,
            unmapped_type: None,
            format: None,
            numeric_type: None,
        }
    }

    /// Returns the key by which the least value of a target comes first, and documents without one last.
    pub fn ascending(target: SortTarget) -> Self {
        Self {
            target,
            descending: false,
            ..Self::by_score()
        }
    }
}

/// What a sort key orders by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum SortTarget {
    /// The score.
    Score,
    /// Index order: shard, then seq_no of the document's latest write.
    Doc,
    /// The tie-break of a point in time.
    ShardDoc,
    /// A field's doc value (`_seq_no` and `_index` too; `_id` has none).
    Field(String),
    /// How far a field's points are from others.
    Distance(PointDistance),
}

/// Where documents without a value stand.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub enum Missing {
    /// At the end.
    #[default]
    Last,
    /// At the start.
    First,
    /// As if they had this value.
    Value(Value),
}

/// What of `_source` is returned. Patterns may hold `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceFilter {
    /// Whether `_source` is returned at all.
    pub enabled: bool,
    /// Only these paths; empty is all.
    pub includes: Vec<String>,
    /// Without these paths.
    pub excludes: Vec<String>,
}

impl Default for SourceFilter {
    fn default() -> Self {
        Self {
            enabled: true,
            includes: Vec::new(),
            excludes: Vec::new(),
        }
    }
}

/// A field with the format its values are returned in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldFormat {
    /// Field or pattern.
    pub field: String,
    /// Date or number format.
    pub format: Option<String>,
    /// Whether fields that the mapping does not know are returned too, as they are in `_source`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_unmapped: bool,
}

/// A point in time to search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PointInTime {
    /// Opaque id.
    pub id: String,
    /// New time to live.
    pub keep_alive: Option<Duration>,
}

/// One of the slices of a search, which share no document and are all of them together: a document is in
/// the slice that the hash of its id says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Slice {
    /// Which slice: from 0, below `max`.
    pub id: u32,
    /// How many slices there are: from 2 to 1,024.
    pub max: u32,
}

/// What to highlight and how.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Highlight {
    /// Fields or patterns, with their own options over the global ones.
    pub fields: Vec<(String, HighlightOptions)>,
    /// Whether only fields that the query names are highlighted; default true.
    pub require_field_match: bool,
    /// A query instead of the search's.
    pub query: Option<Box<Query>>,
}

/// Options of highlighting, complete: global defaults are already applied.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HighlightOptions {
    /// Put before each match; only the first counts.
    pub pre_tags: Vec<String>,
    /// Put after each match; only the first counts.
    pub post_tags: Vec<String>,
    /// Characters of a fragment; 0 is no limit, each is then one sentence; default 100.
    pub fragment_size: usize,
    /// Number of fragments; 0 returns the whole field; default 5.
    pub number_of_fragments: usize,
    /// Characters returned from the start when nothing matches; default 0.
    pub no_match_size: usize,
    /// Whether fragments are ordered by score; default false, as they stand.
    pub order_by_score: bool,
    /// Whether text is HTML-escaped; default false.
    pub encode_html: bool,
    /// Whether the field must be named by the query (overrides the global).
    pub require_field_match: Option<bool>,
    /// Text longer than this many characters is not analysed beyond; default 1,000,000.
    pub max_analyzed_offset: usize,
    /// Other fields whose matches count (`matched_fields`).
    pub matched_fields: Vec<String>,
    /// Whether each word is marked by itself, also of clauses that do not match (`plain`); default false.
    pub marks_words: bool,
    /// A query instead of the search's.
    pub query: Option<Box<Query>>,
}

impl Default for HighlightOptions {
    fn default() -> Self {
        Self {
            pre_tags: vec!["<em>".to_owned()],
            post_tags: vec!["</em>".to_owned()],
            fragment_size: 100,
            number_of_fragments: 5,
            no_match_size: 0,
            order_by_score: false,
            encode_html: false,
            require_field_match: None,
            max_analyzed_offset: 1_000_000,
            matched_fields: Vec::new(),
            marks_words: false,
            query: None,
        }
    }
}
