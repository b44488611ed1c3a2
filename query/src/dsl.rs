//! The query DSL as a typed tree, as parsed: names of fields and text are not yet resolved.
//!
//! Source: Elasticsearch reference, *Query DSL*. Parsing lives in the modules below this one.

mod across;
mod function;
mod intervals;
mod like;
mod lookup;
mod parse;
mod parts;
mod spans;
mod text;

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

pub use across::CombinedFieldsQuery;
pub use function::{
    BoostMode, DecayFunction, DecayShape, DistanceFeatureQuery, FeatureCurve, FieldValueFactor,
    FilteredFunction, FunctionScoreQuery, Modifier, RankFeatureQuery, ScoreFunction, ScoreMode,
};
pub use intervals::{
    IntervalFilter, IntervalMatch, IntervalOrder, IntervalPattern, IntervalPatternKind,
    IntervalRange, IntervalRelation, IntervalRule, IntervalTerms, IntervalsQuery, TermEdge,
};
pub use like::{Like, LikeDocument, LikePlace, MoreLikeThisQuery};
pub use lookup::{DocumentName, LookUp, SetMinimum, TermsLookupQuery, TermsSetQuery};
pub(crate) use parse::{MAX_DETERMINIZED_STATES, check_regexp, too_deep, too_many_clauses, value};
pub use parse::{parse_box, parse_field_factor, parse_query};
pub use spans::{SpanQuery, SpanRule};
pub use text::{
    MatchPhrasePrefixQuery, MatchPhraseQuery, MatchQuery, MultiMatchQuery, MultiMatchType,
    TextOptions,
};

use crate::encoded::{GeoShape, Relation};
use crate::query_string::Group;

/// A query as the client wrote it. Boosts are finite and ≥ 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Query {
    /// Every document, each with score `boost`.
    MatchAll {
        /// Score of every hit; default 1.
        boost: f32,
    },
    /// No document.
    MatchNone,
    /// Analysed text: terms joined by OR or AND.
    Match(MatchQuery),
    /// Analysed text as a phrase.
    MatchPhrase(MatchPhraseQuery),
    /// Analysed text as a phrase whose last term is a prefix.
    MatchPhrasePrefix(MatchPhrasePrefixQuery),
    /// Analysed text, all terms optional, the last one a prefix.
    MatchBoolPrefix(MatchQuery),
    /// `match` and its kin over several fields.
    MultiMatch(MultiMatchQuery),
    /// An exact value.
    Term(TermQuery),
    /// One of several exact values; score is `boost`.
    Terms(TermsQuery),
    /// The same, of the values that a document has; it is read before the query is resolved.
    TermsLookup(TermsLookupQuery),
    /// So many of several exact values as the document itself says.
    TermsSet(TermsSetQuery),
    /// Words and how they stand to each other, by minimal intervals.
    Intervals(IntervalsQuery),
    /// Words and how they stand to each other, by spans.
    Span(SpanQuery),
    /// Analysed text over several fields, as if they were one.
    CombinedFields(CombinedFieldsQuery),
    /// Documents that have the words which tell others from the rest.
    MoreLikeThis(Box<MoreLikeThisQuery>),
    /// Values between bounds; score is `boost`.
    Range(RangeQuery),
    /// Documents that have a value.
    Exists {
        /// Field or pattern.
        field: String,
        /// Score of every hit.
        boost: f32,
    },
    /// Documents with a point in a part of the earth.
    Geo(GeoQuery),
    /// Documents by id.
    Ids {
        /// The ids.
        values: Vec<String>,
        /// Score of every hit.
        boost: f32,
    },
    /// Terms that start with a text.
    Prefix(PatternQuery),
    /// Terms that match a pattern of `*` and `?`.
    Wildcard(PatternQuery),
    /// Terms that match a regular expression.
    Regexp(PatternQuery),
    /// Terms within an edit distance.
    Fuzzy(FuzzyQuery),
    /// Clauses combined.
    Bool(BoolQuery),
    /// A query whose hits all score `boost`.
    ConstantScore {
        /// What must match.
        filter: Box<Query>,
        /// Score of every hit.
        boost: f32,
    },
    /// The best of several queries.
    DisMax {
        /// The alternatives, at least one.
        queries: Vec<Query>,
        /// Share of the other matches' scores that is added, 0 to 1; default 0.
        tie_breaker: f32,
        /// Factor on the score.
        boost: f32,
    },
    /// Hits of one query, demoted where another matches too.
    Boosting {
        /// What must match.
        positive: Box<Query>,
        /// What demotes.
        negative: Box<Query>,
        /// Factor on the score of demoted hits, ≥ 0.
        negative_boost: f32,
        /// Factor on the score.
        boost: f32,
    },
    /// A query whose hits are scored by functions of them.
    FunctionScore(FunctionScoreQuery),
    /// Documents scored by how near a value is.
    DistanceFeature(DistanceFeatureQuery),
    /// Documents scored by a feature.
    RankFeature(RankFeatureQuery),
    /// A query of which hits tell whether it matches them.
    Named {
        /// Its name.
        name: String,
        /// The query.
        query: Box<Query>,
    },
    /// Lucene's query syntax.
    QueryString(QueryStringQuery),
    /// The forgiving syntax; never an error for its text.
    SimpleQueryString(QueryStringQuery),
    /// Clauses of the text of one of the two, not joined yet; it has no form in JSON.
    Group(Group),
    /// What such a text asks of several fields; it has no form in JSON.
    OverFields(FieldsQuery),
}

/// How terms or clauses are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum Operator {
    /// Any of them.
    #[default]
    Or,
    /// All of them.
    And,
}

/// How many optional clauses must match (Elasticsearch, *minimum_should_match*).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum MinimumShouldMatch {
    /// `3` or `-2` (all but two).
    Count(i32),
    /// `75%` or `-25%`.
    Percent(i32),
    /// `2<75%`: above so many clauses, the rule; several may follow one another.
    Conditional(Vec<(u32, MinimumShouldMatch)>),
}

/// Edit distance allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Fuzziness {
    /// 0, 1 or 2.
    Edits(u8),
    /// By the term's length in characters: 0 below `low`, 1 below `high`, else 2.
    Auto {
        /// Default 3.
        low: u32,
        /// Default 6.
        high: u32,
    },
}

/// What a text clause without terms (all stop words) matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum ZeroTerms {
    /// Nothing.
    #[default]
    None,
    /// Everything.
    All,
    /// The clause is left out of the group around it; alone it matches nothing. Parsers of query
    /// strings use it; it has no form in JSON.
    Ignore,
}

/// `term`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TermQuery {
    /// Field.
    pub field: String,
    /// Value as given.
    pub value: Value,
    /// Whether ASCII case is ignored.
    pub case_insensitive: bool,
    /// Factor on the score.
    pub boost: f32,
}

/// `terms`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TermsQuery {
    /// Field.
    pub field: String,
    /// Values as given. Clauses that look up the same list of a document share it.
    pub values: Arc<[Value]>,
    /// Score of every hit.
    pub boost: f32,
}

/// `range`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RangeQuery {
    /// Field.
    pub field: String,
    /// Lower bound and whether it is included.
    pub lower: Option<(Value, bool)>,
    /// Upper bound and whether it is included.
    pub upper: Option<(Value, bool)>,
    /// How ranges of documents must stand to it; elsewhere without effect.
    #[serde(skip_serializing_if = "Relation::is_default")]
    pub relation: Relation,
    /// Date format of the bounds instead of the field's.
    pub format: Option<String>,
    /// Time zone of bounds that have none.
    pub time_zone: Option<String>,
    /// Whether a `text` field's analyzer normalises the bounds first, as query strings want it.
    pub normalize: bool,
    /// Score of every hit.
    pub boost: f32,
}

/// `geo_bounding_box`, `geo_distance`, `geo_polygon`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GeoQuery {
    /// A field of points.
    pub field: String,
    /// Where points must lie.
    pub shape: GeoShape,
    /// Whether a field that the mapping does not know matches nothing instead of being an error.
    pub ignore_unmapped: bool,
    /// Score of every hit.
    pub boost: f32,
}

/// `prefix`, `wildcard`, `regexp`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PatternQuery {
    /// Field.
    pub field: String,
    /// The prefix, pattern or expression.
    pub value: String,
    /// Whether ASCII case is ignored.
    pub case_insensitive: bool,
    /// Whether a `text` field's analyzer normalises the value first (lower case and the like), as
    /// query strings want it; a `keyword` field's normalizer always does.
    pub normalize: bool,
    /// Options by which a prefix of a `text` field is analysed into words, the last of which stays
    /// a prefix; `None` is one prefix.
    pub analysis: Option<TextOptions>,
    /// Largest number of automaton states of a regular expression; default 10,000.
    pub max_determinized_states: u32,
    /// Score of every hit.
    pub boost: f32,
}

/// `fuzzy`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FuzzyQuery {
    /// Field.
    pub field: String,
    /// The term.
    pub value: String,
    /// Edit distance; default AUTO.
    pub fuzziness: Fuzziness,
    /// Characters at the start that must agree; default 0.
    pub prefix_length: u32,
    /// Largest number of terms it stands for; default 50.
    pub max_expansions: u32,
    /// Whether swapping two neighbours is one edit; default true.
    pub transpositions: bool,
    /// Whether a `text` field's analyzer normalises the term first, as query strings want it.
    pub normalize: bool,
    /// Factor on the score.
    pub boost: f32,
}

/// `bool`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct BoolQuery {
    /// Must match, adds to the score.
    pub must: Vec<Query>,
    /// Must match, does not add to the score.
    pub filter: Vec<Query>,
    /// May match, adds to the score.
    pub should: Vec<Query>,
    /// Must not match.
    pub must_not: Vec<Query>,
    /// How many of `should` must match; default 1 without `must` and `filter`, else 0.
    pub minimum_should_match: Option<MinimumShouldMatch>,
    /// Factor on the score.
    pub boost: f32,
}

/// One clause over several fields: the best of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldsQuery {
    /// Fields or patterns with their factors; empty: the index's default fields.
    pub fields: Vec<(String, f32)>,
    /// What is asked of each field, whatever field it names itself.
    pub clause: Box<Query>,
    /// Share of the other fields' scores that is added, 0 to 1.
    pub tie_breaker: f32,
    /// Whether a field that cannot be asked this matches nothing instead of being an error. Fields
    /// that a pattern stands for never are one.
    pub lenient: bool,
    /// Factor on the score.
    pub boost: f32,
}

/// `query_string` and `simple_query_string`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueryStringQuery {
    /// The text in its syntax.
    pub query: String,
    /// Fields or patterns with their factors; empty: the index's default fields.
    pub fields: Vec<(String, f32)>,
    /// The only one of `fields`, where clauses are read as if the text named it (`default_field`,
    /// `df`): `>=10` is a range of it.
    pub default_field: Option<String>,
    /// How clauses without an operator are joined.
    pub default_operator: Operator,
    /// Analyzer instead of the fields'.
    pub analyzer: Option<String>,
    /// Whether `*` and `?` may start a term; default true.
    pub allow_leading_wildcard: bool,
    /// Whether prefixes are analysed, the last of their words staying one; default false. Case and
    /// accents of patterns are always those of the field.
    pub analyze_wildcard: bool,
    /// Whether text that is no value of a field's type matches nothing instead of being an error.
    pub lenient: bool,
    /// Moves allowed in phrases; default 0.
    pub phrase_slop: u32,
    /// How many optional clauses must match.
    pub minimum_should_match: Option<MinimumShouldMatch>,
    /// Options for fuzzy terms (`roam~1`).
    pub fuzzy: TextOptions,
    /// How fields are combined.
    pub kind: MultiMatchType,
    /// Share of the other fields' scores.
    pub tie_breaker: Option<f32>,
    /// Time zone for dates in ranges, and for dates of a field that the text names.
    pub time_zone: Option<String>,
    /// Operators that `simple_query_string` reads (bit set of its flags); all by default.
    pub flags: u32,
    /// Factor on the score.
    pub boost: f32,
}

impl QueryStringQuery {
    /// Returns a query for `query` over the default fields with the default options.
    pub fn new(query: String) -> Self {
        Self {
            query,
            fields: Vec::new(),
            default_field: None,
            default_operator: Operator::Or,
            analyzer: None,
            allow_leading_wildcard: true,
            analyze_wildcard: false,
            lenient: false,
            phrase_slop: 0,
            minimum_should_match: None,
            fuzzy: TextOptions::default(),
            kind: MultiMatchType::BestFields,
            tie_breaker: None,
            time_zone: None,
            flags: u32::MAX,
            boost: 1.0,
        }
    }
}
