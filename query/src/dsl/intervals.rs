//! `intervals`: words and how they stand to each other.
//!
//! Does: name what can be asked. Does not: evaluate it (`resolved/intervals.rs` says what it means). Called by: what
//! reads or resolves queries. Read first: [`IntervalRule`].

use serde::{Deserialize, Serialize};

use super::Fuzziness;

/// `intervals`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IntervalsQuery {
    /// A field of text.
    pub field: String,
    /// Which intervals there must be.
    pub rule: IntervalRule,
    /// Factor on the score.
    pub boost: f32,
}

/// Which intervals of a text are meant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum IntervalRule {
    /// Those of the words of a text.
    Match(IntervalMatch),
    /// The words that are like a text.
    Pattern(IntervalPattern),
    /// The words between two, in the order of their bytes.
    Range(IntervalRange),
    /// Those of any rule.
    AnyOf {
        /// The rules.
        rules: Vec<IntervalRule>,
        /// Which of them are kept.
        filter: Option<IntervalFilter>,
    },
    /// Those made of one of each rule.
    AllOf {
        /// The rules.
        rules: Vec<IntervalRule>,
        /// How they stand to each other.
        order: IntervalOrder,
        /// Words between them, at most.
        max_gaps: Option<u32>,
        /// Which of them are kept.
        filter: Option<IntervalFilter>,
    },
}

/// Intervals of the words of a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IntervalMatch {
    /// The text.
    pub query: String,
    /// How its words stand to each other.
    pub order: IntervalOrder,
    /// Words between them, at most.
    pub max_gaps: Option<u32>,
    /// Analyzer, and the field whose words are looked at.
    pub terms: IntervalTerms,
    /// Which of them are kept.
    pub filter: Option<IntervalFilter>,
}

/// Words like a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IntervalPattern {
    /// The prefix, pattern or term.
    pub text: String,
    /// How it is read.
    pub kind: IntervalPatternKind,
    /// Analyzer, and the field whose words are looked at.
    pub terms: IntervalTerms,
}

/// How words are like a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum IntervalPatternKind {
    /// They start so.
    Prefix,
    /// They match a pattern of `*` and `?`.
    Wildcard,
    /// They match a regular expression.
    Regexp,
    /// They are within an edit distance.
    Fuzzy {
        /// The distance.
        fuzziness: Fuzziness,
        /// Characters at the start that must agree.
        prefix_length: u32,
        /// Whether swapping two neighbours is one edit.
        transpositions: bool,
    },
}

/// Words between two.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IntervalRange {
    /// The least.
    pub lower: TermEdge,
    /// The greatest.
    pub upper: TermEdge,
    /// Analyzer, and the field whose words are looked at.
    pub terms: IntervalTerms,
}

/// How a text becomes terms, and of which field.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct IntervalTerms {
    /// Analyzer instead of the field's.
    pub analyzer: Option<String>,
    /// A field whose words stand at the same places, instead of the query's.
    pub use_field: Option<String>,
}

/// Keeps intervals that stand in a relation to others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IntervalFilter {
    /// The relation.
    pub relation: IntervalRelation,
    /// The others.
    pub rule: Box<IntervalRule>,
}

/// How an interval stands to at least one other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IntervalRelation {
    /// It begins behind it.
    After,
    /// It ends before it.
    Before,
    /// It lies in it.
    ContainedBy,
    /// It holds it.
    Containing,
    /// It has a word in common with it.
    Overlapping,
    /// It lies in none.
    NotContainedBy,
    /// It holds none.
    NotContaining,
    /// It has no word in common with any.
    NotOverlapping,
}

impl IntervalRelation {
    /// The relations by their names in the dialect.
    pub const ALL: [(&'static str, Self); 8] = [
        ("after", Self::After),
        ("before", Self::Before),
        ("contained_by", Self::ContainedBy),
        ("containing", Self::Containing),
        ("overlapping", Self::Overlapping),
        ("not_contained_by", Self::NotContainedBy),
        ("not_containing", Self::NotContaining),
        ("not_overlapping", Self::NotOverlapping),
    ];

    /// Returns whether there must be another interval.
    pub fn needs_other(self) -> bool {
        !matches!(
            self,
            Self::NotContainedBy | Self::NotContaining | Self::NotOverlapping
        )
    }
}

/// How intervals that are put together stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IntervalOrder {
    /// In order, each right behind the one before.
    Adjacent,
    /// In order, none overlapping the one before.
    Ordered,
    /// In any order; they may overlap.
    Unordered,
    /// In any order, none overlapping another.
    Separate,
}

/// An end of a range of terms.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TermEdge {
    /// The term.
    pub term: String,
    /// Whether it is in the range.
    pub is_included: bool,
}
