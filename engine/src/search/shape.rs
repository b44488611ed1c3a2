//! Which queries are ranked without looking at every match, told by their form: words and phrases,
//! combined in any way, under filters.

use gleaner_model::FieldPath;
use gleaner_query::resolved::Clause;

use crate::lower;

/// A query of words and phrases under filters.
pub(super) struct Shape<'q> {
    /// What matches and scores.
    pub(super) ranked: RankedNode<'q>,
    /// What a match must pass beside, with whether it must match or must not.
    pub(super) filters: Vec<(&'q Clause, bool)>,
}

/// What matches and scores, with the boosts around it multiplied in the order in which canonical
/// scores have them.
pub(super) enum RankedNode<'q> {
    /// A word.
    Term {
        field: &'q FieldPath,
        term: &'q str,
        boost: f64,
    },
    /// Words that are as frequent as one, each with a factor; at least one must match.
    Group {
        field: &'q FieldPath,
        terms: &'q [(String, f32)],
        boost: f64,
    },
    /// One term after the other, each with its place.
    Phrase {
        field: &'q FieldPath,
        positions: &'q [(u32, Vec<String>)],
        boost: f64,
    },
    /// All of some, and at least so many of others, added up in this order.
    Sum {
        must: Vec<RankedNode<'q>>,
        should: Vec<RankedNode<'q>>,
        minimum: usize,
    },
    /// The best of some, and a share of the others, at most all of them.
    Best {
        nodes: Vec<RankedNode<'q>>,
        tie_breaker: f64,
    },
}

impl<'q> Shape<'q> {
    /// Returns the shape of `clause`; `None` for what has another one, which is walked.
    ///
    /// A `bool` of one clause scores as that clause does; whatever stands beside it is a filter.
    pub(super) fn of(clause: &'q Clause, boost: f64) -> Option<Self> {
        let mut filters = Vec::new();
        let (mut clause, mut boost) = lower::simplify(clause, boost);
        while let Clause::Bool {
            must,
            should,
            filter,
            must_not,
            ..
        } = clause
        {
            let minimum = clause.minimum_should_match();
            filters.extend(filter.iter().map(|clause| (clause, true)));
            filters.extend(must_not.iter().map(|clause| (clause, false)));
            match (must.as_slice(), should.as_slice(), minimum) {
                ([only], [], 0) | ([], [only], 1) => {
                    (clause, boost) = lower::simplify(only, boost);
                }
                _ => {
                    let ranked = RankedNode::sum(must, should, minimum, boost)?;
                    return Some(Self { ranked, filters });
                }
            }
        }
        let ranked = RankedNode::of(clause, boost)?;
        Some(Self { ranked, filters })
    }
}

/// Returns whether a phrase is one term after the other. Where there are alternatives, or slop, it may
/// occur more often than its rarest term.
fn is_plain(positions: &[(u32, Vec<String>)]) -> bool {
    positions.len() >= 2 && positions.iter().all(|(_, terms)| terms.len() == 1)
}

impl<'q> RankedNode<'q> {
    /// Returns what `clause` is as a part of a whole; `None` for anything but words and phrases.
    fn of(clause: &'q Clause, boost: f64) -> Option<Self> {
        let (clause, boost) = lower::simplify(clause, boost);
        match clause {
            Clause::Term { field, term } => Some(Self::Term { field, term, boost }),
            Clause::Blended { field, terms } => Some(Self::Group {
                field,
                terms,
                boost,
            }),
            Clause::Phrase {
                field,
                positions,
                slop: 0,
            } if is_plain(positions) => Some(Self::Phrase {
                field,
                positions,
                boost,
            }),
            Clause::Bool {
                must,
                should,
                filter,
                must_not,
                ..
            } if filter.is_empty() && must_not.is_empty() => {
                let minimum = clause.minimum_should_match();
                Self::sum(must, should, minimum, boost)
            }
            Clause::DisMax {
                clauses,
                tie_breaker,
            } if (0.0..=1.0).contains(tie_breaker) => Some(Self::Best {
                nodes: Self::all_of(clauses, boost)?,
                tie_breaker: f64::from(*tie_breaker),
            }),
            _ => None,
        }
    }

    /// Returns a sum; `None` where what matches need not score.
    fn sum(must: &'q [Clause], should: &'q [Clause], minimum: usize, boost: f64) -> Option<Self> {
        if must.is_empty() && minimum == 0 {
            return None;
        }
        Some(Self::Sum {
            must: Self::all_of(must, boost)?,
            should: Self::all_of(should, boost)?,
            minimum,
        })
    }

    fn all_of(clauses: &'q [Clause], boost: f64) -> Option<Vec<Self>> {
        let nodes = clauses.iter().map(|clause| Self::of(clause, boost));
        nodes.collect()
    }

    /// Returns whether it is a single word.
    pub(super) fn is_term(&self) -> bool {
        matches!(self, Self::Term { .. })
    }
}
