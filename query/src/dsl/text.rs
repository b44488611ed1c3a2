//! Queries over analysed text: `match` and its kin, and their options.
//!
//! Does: name what can be asked. Does not: read it (`parse/text.rs` does). Called by: what reads or resolves
//! queries. Read first: [`TextOptions`].

use serde::Serialize;
use serde_json::Value;

use super::{Fuzziness, MinimumShouldMatch, Operator, ZeroTerms};

/// `match`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatchQuery {
    /// Field.
    pub field: String,
    /// Text, number or boolean as given.
    pub query: Value,
    /// Options of the text.
    pub options: TextOptions,
    /// Factor on the score.
    pub boost: f32,
}

/// Options shared by `match` and `multi_match`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextOptions {
    /// How terms are joined.
    pub operator: Operator,
    /// How many optional terms must match.
    pub minimum_should_match: Option<MinimumShouldMatch>,
    /// Edit distance; `None` is exact.
    pub fuzziness: Option<Fuzziness>,
    /// Characters at the start that must agree; default 0.
    pub prefix_length: u32,
    /// Largest number of terms a fuzzy term or prefix stands for; default 50.
    pub max_expansions: u32,
    /// Whether swapping two neighbours is one edit; default true.
    pub fuzzy_transpositions: bool,
    /// Analyzer instead of the field's.
    pub analyzer: Option<String>,
    /// Whether text that is no value of the field's type matches nothing instead of being an error.
    pub lenient: bool,
    /// What a text without terms matches.
    pub zero_terms_query: ZeroTerms,
    /// Whether multi-word synonyms become phrases; default true.
    pub auto_generate_synonyms_phrase_query: bool,
    /// Time zone of a date that has none; only query strings give it.
    pub time_zone: Option<String>,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            operator: Operator::Or,
            minimum_should_match: None,
            fuzziness: None,
            prefix_length: 0,
            max_expansions: 50,
            fuzzy_transpositions: true,
            analyzer: None,
            lenient: false,
            zero_terms_query: ZeroTerms::None,
            auto_generate_synonyms_phrase_query: true,
            time_zone: None,
        }
    }
}

/// `match_phrase`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatchPhraseQuery {
    /// Field.
    pub field: String,
    /// Text as given.
    pub query: Value,
    /// Moves allowed between terms; default 0.
    pub slop: u32,
    /// Analyzer instead of the field's.
    pub analyzer: Option<String>,
    /// What a text without terms matches.
    pub zero_terms_query: ZeroTerms,
    /// Factor on the score.
    pub boost: f32,
}

/// `match_phrase_prefix`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatchPhrasePrefixQuery {
    /// The phrase.
    pub phrase: MatchPhraseQuery,
    /// Largest number of terms the prefix stands for; default 50.
    pub max_expansions: u32,
}

/// How `multi_match` combines fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum MultiMatchType {
    /// The best field's score (dis_max).
    #[default]
    BestFields,
    /// The sum of the fields' scores.
    MostFields,
    /// All terms in the fields as if they were one.
    CrossFields,
    /// `match_phrase` on each, the best.
    Phrase,
    /// `match_phrase_prefix` on each, the best.
    PhrasePrefix,
    /// `match_bool_prefix` on each, the sum.
    BoolPrefix,
}

impl MultiMatchType {
    /// Returns the share of the other fields' scores where the query names none.
    pub fn tie_breaker(self) -> f32 {
        match self {
            Self::MostFields | Self::BoolPrefix => 1.0,
            Self::BestFields | Self::CrossFields | Self::Phrase | Self::PhrasePrefix => 0.0,
        }
    }
}

/// `multi_match`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MultiMatchQuery {
    /// Fields or patterns with their factors; empty: the index's default fields.
    pub fields: Vec<(String, f32)>,
    /// Text as given.
    pub query: Value,
    /// How fields are combined.
    pub kind: MultiMatchType,
    /// Share of the other fields' scores; `None` is the type's default.
    pub tie_breaker: Option<f32>,
    /// Moves allowed in phrases.
    pub slop: u32,
    /// Options of the text.
    pub options: TextOptions,
    /// Factor on the score.
    pub boost: f32,
}
