//! What every shard is asked: text analysed, patterns fixed, expansions merged, statistics attached.
//!
//! The root makes it once per request; leaves evaluate it and look nothing up that could differ
//! between copies. A term without a number in [`Statistics`] is an error, never a local guess.

mod accepted;
mod display;
mod expansion;
mod extent;
mod function;
mod intervals;
mod scalar;
mod similarity;
mod simplify;
mod statistics;
mod walk;

use std::ops::Bound;
use std::sync::Arc;

use gleaner_model::{DocumentId, FieldPath, ShardNumber};
use serde::{Deserialize, Serialize};

pub use expansion::{ExpansionCandidate, ExpansionRequest};
pub use extent::{Extent, Span, Unmatched};
pub use function::{Decay, Function, FunctionScore, Origin, WeightedFunction, feature_code};
pub use intervals::{IntervalOrder, IntervalScoring, IntervalSource, Intervals};
pub use scalar::Scalar;
pub use similarity::{Bm25, Similarities};
pub use simplify::{simplify, simplify_filter};
pub use statistics::{
    FieldStatistics, FieldTotals, ShardStatistics, Statistics, StatisticsRequest,
};
pub use walk::{Access, ChildRole};

use crate::aggregation::Aggregation;
pub use crate::dsl::TermEdge;
use crate::encoded::{GeoShape, Relation};
use crate::key_value::SortValue;
use crate::search::{SortKey, TrackTotal};

/// A clause as leaves evaluate it.
///
/// Where the comment says *scores*, the score is BM25 with the request's [`Statistics`] and the
/// field's [`Bm25`]; elsewhere it is 1. Fields are known to the mapping; a clause on an unknown
/// field has become [`Clause::MatchNone`] at the root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Clause {
    /// Every document.
    MatchAll,
    /// None.
    MatchNone,
    /// A term of a `text` or `keyword` field; scores.
    Term {
        /// Field.
        field: FieldPath,
        /// The term after analysis.
        term: String,
    },
    /// Terms at one position that stand for each other; scores as one term whose frequency is the
    /// sum and whose document frequency is the largest (Lucene's `SynonymQuery`).
    Synonyms {
        /// Field.
        field: FieldPath,
        /// The terms, at least two.
        terms: Vec<String>,
    },
    /// Terms that a fuzzy term stands for, with factors; scores are summed, each term taking the
    /// largest document frequency of the group (Lucene's blended top-terms rewrite).
    Blended {
        /// Field.
        field: FieldPath,
        /// Terms with their factors, as the root merged them.
        terms: Vec<(String, f32)>,
    },
    /// A value of a number, date, boolean or ip field; a boolean scores, see [`Scalar::scored_term`].
    Exact {
        /// Field.
        field: FieldPath,
        /// The value, of the field's type.
        value: Scalar,
    },
    /// One of several values of any field.
    AnyOf {
        /// Field.
        field: FieldPath,
        /// The values, sorted, of the field's type.
        values: Vec<Scalar>,
    },
    /// Terms in order; scores with the sum of the terms' idf and the phrase's frequency.
    Phrase {
        /// Field.
        field: FieldPath,
        /// Alternatives at each position, by position; positions start at 0 and may skip.
        positions: Vec<(u32, Vec<String>)>,
        /// Moves allowed.
        slop: u32,
    },
    /// Values between bounds.
    Range {
        /// Field.
        field: FieldPath,
        /// Lower bound.
        lower: Bound<Scalar>,
        /// Upper bound.
        upper: Bound<Scalar>,
    },
    /// Documents with a value in any of the fields.
    Exists {
        /// Fields; patterns and objects are already expanded.
        fields: Vec<FieldPath>,
    },
    /// Documents by id.
    Ids {
        /// The ids, sorted.
        ids: Vec<DocumentId>,
    },
    /// Documents of one slice: those whose `gleaner_model::hash::slice_of` is `id`.
    Slice {
        /// Which slice, from 0.
        id: u32,
        /// How many there are.
        max: u32,
    },
    /// Terms that match a pattern, all of them.
    Pattern {
        /// Field.
        field: FieldPath,
        /// The pattern.
        pattern: Pattern,
    },
    /// Clauses combined; scores of `must` and `should` are summed in the order given.
    Bool {
        /// Must match.
        must: Vec<Clause>,
        /// May match.
        should: Vec<Clause>,
        /// Must match, without score.
        filter: Vec<Clause>,
        /// Must not match.
        must_not: Vec<Clause>,
        /// How many of `should` must match, as asked; see [`Clause::minimum_should_match`].
        minimum_should_match: u32,
    },
    /// The largest score plus `tie_breaker` × the others.
    DisMax {
        /// The alternatives.
        clauses: Vec<Clause>,
        /// 0 to 1.
        tie_breaker: f32,
    },
    /// One text over several fields; scores as [`Blend`] says.
    Across {
        /// A [`Clause::Term`] or [`Clause::Synonyms`] for each field.
        clauses: Vec<Clause>,
        /// Their factors, > 0.
        weights: Vec<f32>,
        /// How their numbers become one score.
        blend: Blend,
    },
    /// As many of some clauses as a field of the document says, 1 at least; scores are summed. Documents without the
    /// field do not match (Lucene's `CoveringQuery`).
    AtLeast {
        /// The clauses.
        clauses: Vec<Clause>,
        /// A field of numbers; its smallest value counts.
        field: FieldPath,
    },
    /// Words that stand to each other in some way; scores as [`IntervalScoring`] says.
    Intervals(Box<Intervals>),
    /// Score 1 for what matches.
    Constant(Box<Clause>),
    /// `positive`, its score × `factor` where `negative` matches too.
    Demote {
        /// What must match.
        positive: Box<Clause>,
        /// What demotes.
        negative: Box<Clause>,
        /// Factor.
        factor: f32,
    },
    /// A clause scored by functions of what it matches. A boost is one on the clause's score.
    Functions(Box<FunctionScore>),
    /// A factor on the score.
    Boost {
        /// The clause.
        clause: Box<Clause>,
        /// Factor, finite, ≥ 0.
        factor: f32,
    },
}

impl Clause {
    /// Returns how many of a `bool`'s `should` clauses must match: what was asked, and at least one
    /// where nothing else is required (Lucene's `BooleanQuery`). 0 for other clauses.
    pub fn minimum_should_match(&self) -> usize {
        let Self::Bool {
            must,
            should,
            filter,
            minimum_should_match,
            ..
        } = self
        else {
            return 0;
        };
        let is_required = must.is_empty() && filter.is_empty() && !should.is_empty();
        (*minimum_should_match as usize).max(usize::from(is_required))
    }
}

/// How a text over several fields is scored. Documents that have a field are counted by the field that most have, and
/// those that hold the text by the one in which most hold it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Blend {
    /// As if the fields were one: frequencies and lengths are summed, each times its weight (BM25F: Robertson, Zaragoza
    /// and Taylor, *Simple BM25 Extension to Multiple Weighted Fields*, CIKM 2004; Lucene's `CombinedFieldQuery`). Lengths
    /// are those that the index keeps, quantised field by field.
    OneField,
    /// The best field's score, times its weight, plus this share of the others' (`cross_fields`).
    Best(f32),
}

/// Which terms a clause stands for. All patterns cover the whole term.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Pattern {
    /// Terms that start so.
    Prefix {
        /// The prefix.
        prefix: String,
        /// Whether ASCII case is ignored.
        ignore_case: bool,
    },
    /// `*` any run, `?` one character, `\` escapes.
    Wildcard {
        /// The pattern.
        pattern: String,
        /// Whether ASCII case is ignored.
        ignore_case: bool,
    },
    /// Lucene's regular expressions.
    Regexp {
        /// The expression.
        expression: String,
        /// Whether ASCII case is ignored.
        ignore_case: bool,
    },
    /// Terms within an edit distance.
    Fuzzy {
        /// The term.
        term: String,
        /// 1 or 2.
        distance: u8,
        /// Characters at the start that must agree.
        prefix_length: u32,
        /// Whether swapping two neighbours is one edit.
        transpositions: bool,
    },
    /// Ranges that stand in a relation to one, bounds included (`encoded::terms`).
    Spans {
        /// The relation.
        relation: Relation,
        /// Digits of its lower bound.
        lower: String,
        /// Digits of its upper bound.
        upper: String,
    },
    /// Points in a part of the earth.
    Points(GeoShape),
    /// Terms between two, in the order of their bytes.
    Between {
        /// The least.
        lower: TermEdge,
        /// The greatest.
        upper: TermEdge,
    },
}

impl Pattern {
    /// Returns whether it is a test of each term of a dictionary, and no automaton over them.
    pub fn is_test(&self) -> bool {
        matches!(self, Self::Spans { .. } | Self::Points(_))
    }
}

/// A clause by the name of its query (`_name`).
#[derive(Debug, Clone, PartialEq)]
pub struct NamedClause {
    /// The name; several clauses may have one.
    pub name: String,
    /// The clause.
    pub clause: Clause,
}

/// The named queries of a search, as hits tell which of them they match.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NamedQueries {
    /// Their clauses, in the order in which they were asked.
    pub clauses: Vec<NamedClause>,
    /// Whether hits tell what each scores by itself.
    pub are_scored: bool,
}

/// What every shard is asked in the query phase.
#[derive(Debug, Clone)]
pub struct ShardQuery {
    /// What to find. Where the request is kept to something, what was asked for is all that must match,
    /// beside what it is kept to as filters.
    pub query: Clause,
    /// Applied to hits after aggregations.
    pub post_filter: Option<Clause>,
    /// Numbers for scoring, the same for all shards.
    pub statistics: Arc<Statistics>,
    /// How the index scores those fields of the query that have not the default similarity.
    pub similarities: Similarities,
    /// Hits wanted: from + size, ≤ `max_result_window`; 0 counts and aggregates only.
    pub top: usize,
    /// Only the best hit of each value of this field; hits without one are together.
    pub collapse: Option<FieldPath>,
    /// Order; empty is by score. The tie-break (hash of `_id`, `_id`) is always the last key.
    pub sort: Vec<SortKey>,
    /// Only hits after this point of the order; used by scrolls, which know the tie-break.
    pub after: Option<After>,
    /// Only hits after these values of the sort keys, as the client gave them back; the leaf reads
    /// them by the type of each key's field. One value more than keys is the tie-break's hash.
    pub search_after: Option<Vec<serde_json::Value>>,
    /// Whether scores are wanted although the order does not need them.
    pub track_scores: bool,
    /// How exactly hits are counted.
    pub track_total: TrackTotal,
    /// Hits below this score are left out.
    pub min_score: Option<f32>,
    /// Aggregations; named queries inside are resolved by `aggregation_filters`.
    pub aggregations: Arc<Vec<Aggregation>>,
    /// The resolved form of each query inside the aggregations, in depth-first order of appearance;
    /// after them what `global` is kept to, where that is not everything.
    pub aggregation_filters: Arc<Vec<Clause>>,
    /// What hits of `top_hits` tell of named queries; none where there are no such aggregations.
    pub named: Arc<NamedQueries>,
    /// Documents to look at before stopping.
    pub terminate_after: Option<u64>,
    /// The request's time: milliseconds since the epoch, the same for all shards.
    pub now_ms: i64,
}

impl ShardQuery {
    /// Returns the query for the best `top` hits of `query` by score, with all that match counted, and
    /// nothing else asked.
    pub fn best(query: Clause, statistics: Arc<Statistics>, top: usize) -> Self {
        Self {
            query,
            post_filter: None,
            statistics,
            similarities: Similarities::default(),
            top,
            collapse: None,
            sort: Vec::new(),
            after: None,
            search_after: None,
            track_scores: false,
            track_total: TrackTotal::Exact,
            min_score: None,
            aggregations: Arc::default(),
            aggregation_filters: Arc::default(),
            named: Arc::default(),
            terminate_after: None,
            now_ms: 0,
        }
    }
}

/// A point of the order: a hit comes after it when its keys are larger, or equal with a larger
/// tie-break.
#[derive(Debug, Clone, PartialEq)]
pub struct After {
    /// One value per sort key (the score when there is none).
    pub keys: Vec<SortValue>,
    /// The tie-break; `None`: hits with equal keys are left out.
    pub tie: Option<TieBreak>,
    /// The shard of the hit gone on after: documents of one id may lie in several shards of an index,
    /// by their routing, and those in shards of larger numbers come after it. `None`: none does.
    pub shard: Option<ShardNumber>,
}

/// The last key of every order, the same on every copy.
///
/// Ids are stored, not in a column: reading one costs more than finding the hit. A leaf reads them
/// only where hits of one answer have equal keys and equal hashes. Of two hits from different
/// leaves whose ids differ and whose 64-bit hashes agree, either may come first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TieBreak {
    /// `gleaner_model::hash::tie_break_hash` of the id.
    pub hash: u64,
    /// The id, where the hash does not decide.
    pub id: Option<DocumentId>,
}
