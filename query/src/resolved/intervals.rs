//! Intervals of words, and what makes others of them, as leaves evaluate them.
//!
//! An interval is a run of positions of a text. A source stands for its *minimal* intervals: those that hold no other
//! one of the same source (Clarke, Cormack and Burkowski, *An Algebra for Structured Text Search and a Framework for
//! its Implementation*, The Computer Journal 38, 1995). Read first: [`IntervalSource`].

use gleaner_model::FieldPath;
use serde::{Deserialize, Serialize};

use super::Clause;
pub use crate::dsl::IntervalOrder;
use crate::dsl::IntervalRelation;

/// Documents of which a text holds an interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// The field that is asked; its length counts where it is scored by BM25.
    pub field: FieldPath,
    /// The intervals.
    pub source: IntervalSource,
    /// What they score.
    pub scoring: IntervalScoring,
}

/// What intervals score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IntervalScoring {
    /// f / (f + 1), where each interval adds to f: 1 / (its length − the least length there can be + 1). No numbers of
    /// other documents count (Lucene's `IntervalQuery`).
    Saturated,
    /// BM25 with the sum of the terms' idf, where each interval adds 1 / (1 + its gaps) to the frequency (Lucene's
    /// `SpanQuery`).
    Bm25,
}

/// Intervals of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum IntervalSource {
    /// None.
    Nothing,
    /// The places of any of some terms.
    Terms {
        /// Field.
        field: FieldPath,
        /// The terms, sorted, each once.
        terms: Vec<String>,
    },
    /// Those of any source.
    AnyOf(Vec<IntervalSource>),
    /// From the beginning to the end of one interval of each source.
    AllOf {
        /// The sources, at least one.
        sources: Vec<IntervalSource>,
        /// How they stand to each other.
        order: IntervalOrder,
        /// Positions inside that belong to none of them, at most.
        max_gaps: Option<u32>,
    },
    /// So many intervals of a source one after the other.
    Repeat {
        /// The source.
        source: Box<IntervalSource>,
        /// How many, ≥ 2.
        times: u32,
    },
    /// Intervals with some positions around them.
    Extend {
        /// The source.
        source: Box<IntervalSource>,
        /// Positions before them.
        before: u32,
        /// Positions behind them.
        after: u32,
    },
    /// Those that end within the first positions.
    First {
        /// The source.
        source: Box<IntervalSource>,
        /// So many positions.
        end: u32,
    },
    /// Those that stand in a relation to others.
    Filter {
        /// The source.
        source: Box<IntervalSource>,
        /// The relation.
        relation: IntervalRelation,
        /// The others.
        by: Box<IntervalSource>,
    },
}

impl IntervalSource {
    /// Returns the sources inside, one level down.
    pub fn children(&self) -> &[Self] {
        match self {
            Self::Nothing | Self::Terms { .. } => &[],
            Self::AnyOf(sources) | Self::AllOf { sources, .. } => sources,
            Self::Repeat { source, .. }
            | Self::Extend { source, .. }
            | Self::First { source, .. }
            | Self::Filter { source, .. } => std::slice::from_ref(source),
        }
    }

    /// Calls `visit` with field and terms of each source of terms that must be there, or may; those that intervals are
    /// kept apart from are left out.
    pub fn each_terms<'a>(&'a self, visit: &mut impl FnMut(&'a FieldPath, &'a [String])) {
        if let Self::Terms { field, terms } = self {
            visit(field, terms);
        }
        for source in self.children() {
            source.each_terms(visit);
        }
        if let Self::Filter { relation, by, .. } = self
            && relation.needs_other()
        {
            by.each_terms(visit);
        }
    }

    /// Returns a clause that matches all documents with an interval, and perhaps others: those whose words are there,
    /// wherever they stand.
    pub fn words(&self) -> Clause {
        let of_all = |sources: &[Self]| sources.iter().map(Self::words).collect();
        match self {
            Self::Nothing => Clause::MatchNone,
            Self::Terms { field, terms } => match terms.as_slice() {
                [] => Clause::MatchNone,
                [term] => Clause::Term {
                    field: field.clone(),
                    term: term.clone(),
                },
                terms => Clause::Synonyms {
                    field: field.clone(),
                    terms: terms.to_vec(),
                },
            },
            Self::AnyOf(sources) if sources.is_empty() => Clause::MatchNone,
            Self::AnyOf(sources) => Clause::Bool {
                must: Vec::new(),
                should: of_all(sources),
                filter: Vec::new(),
                must_not: Vec::new(),
                minimum_should_match: 1,
            },
            Self::AllOf { sources, .. } => all_of(of_all(sources)),
            Self::Filter {
                source,
                relation,
                by,
            } if relation.needs_other() => all_of(vec![source.words(), by.words()]),
            Self::Repeat { source, .. }
            | Self::Extend { source, .. }
            | Self::First { source, .. }
            | Self::Filter { source, .. } => source.words(),
        }
    }

    /// Returns the least length that an interval can have.
    pub fn least_length(&self) -> u64 {
        match self {
            Self::Nothing | Self::Terms { .. } => 1,
            Self::AnyOf(sources) => sources.iter().map(Self::least_length).min().unwrap_or(1),
            Self::AllOf { sources, .. } => {
                let lengths = sources.iter().map(Self::least_length);
                lengths.fold(0, u64::saturating_add)
            }
            Self::Repeat { source, times } => {
                source.least_length().saturating_mul(u64::from(*times))
            }
            Self::Extend {
                source,
                before,
                after,
            } => {
                let around = u64::from(*before) + u64::from(*after);
                source.least_length().saturating_add(around)
            }
            Self::First { source, .. } | Self::Filter { source, .. } => source.least_length(),
        }
    }
}

impl Intervals {
    /// Returns the terms of the field that is asked, each as often as it is written.
    pub fn terms(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.source.each_terms(&mut |field, terms| {
            if *field == self.field {
                found.extend(terms.iter().map(String::as_str));
            }
        });
        found
    }
}

fn all_of(filter: Vec<Clause>) -> Clause {
    Clause::Bool {
        must: Vec::new(),
        should: Vec::new(),
        filter,
        must_not: Vec::new(),
        minimum_should_match: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolved::StatisticsRequest;

    fn terms(term: &str) -> IntervalSource {
        IntervalSource::Terms {
            field: FieldPath::new("t"),
            terms: vec![term.to_owned()],
        }
    }

    #[test]
    fn words_must_be_there_unless_intervals_are_kept_apart_from_them() {
        let filter = |relation| IntervalSource::Filter {
            source: Box::new(terms("a")),
            relation,
            by: Box::new(terms("b")),
        };
        let both = filter(IntervalRelation::Before).words();
        assert!(matches!(both, Clause::Bool { filter, .. } if filter.len() == 2));
        assert_eq!(
            filter(IntervalRelation::NotContaining).words(),
            terms("a").words()
        );
    }

    #[test]
    fn numbers_are_asked_for_of_intervals_that_are_scored_by_them() {
        for (scoring, expected) in [(IntervalScoring::Saturated, 0), (IntervalScoring::Bm25, 1)] {
            let clause = Clause::Intervals(Box::new(Intervals {
                field: FieldPath::new("t"),
                source: terms("a"),
                scoring,
            }));
            let mut wanted = StatisticsRequest::default();
            wanted.collect(&clause);
            assert_eq!(wanted.fields.len(), expected, "{scoring:?}");
        }
    }

    #[test]
    fn lengths_add_up() {
        let pair = IntervalSource::AllOf {
            sources: vec![terms("a"), terms("b")],
            order: IntervalOrder::Ordered,
            max_gaps: None,
        };
        let thrice = IntervalSource::Repeat {
            source: Box::new(pair.clone()),
            times: 3,
        };
        assert_eq!((pair.least_length(), thrice.least_length()), (2, 6));
        assert_eq!(
            IntervalSource::AnyOf(vec![thrice, terms("c")]).least_length(),
            1
        );
    }
}
