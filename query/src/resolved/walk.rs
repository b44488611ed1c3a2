//! What all clauses have in common: the clauses, terms and values inside, their names, how matches are found.
//!
//! Walks over trees ask here for what is inside, and look at single kinds only where these differ.
//! A new kind of clause is listed here once.

use gleaner_model::FieldPath;

use super::{Blend, Clause, IntervalScoring, Pattern, Scalar};

/// What a clause inside another one does there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildRole {
    /// It matches, and its score counts.
    Scored,
    /// It matches; its score does not count.
    Filter,
    /// What it matches is left out, or scores otherwise.
    Excluded,
}

/// How the matches of a clause are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// There are none.
    Nothing,
    /// All documents are looked at, without reading anything of them.
    Everything,
    /// The posting lists of known terms.
    Postings,
    /// A column, a range of it or all.
    Column,
    /// The documents of so many ids.
    Ids(usize),
    /// The terms of a dictionary that a pattern matches.
    Dictionary,
    /// By the clauses inside.
    Children,
}

impl Clause {
    /// Returns the clauses inside, one level down, in the order in which they are written.
    pub fn children(&self) -> impl Iterator<Item = (ChildRole, &Self)> {
        use ChildRole::{Excluded, Filter, Scored};
        let one = std::slice::from_ref::<Self>;
        let groups: [(ChildRole, &[Self]); 4] = match self {
            Self::Bool {
                must,
                should,
                filter,
                must_not,
                ..
            } => [
                (Scored, must),
                (Scored, should),
                (Filter, filter),
                (Excluded, must_not),
            ],
            Self::DisMax { clauses, .. }
            | Self::Across { clauses, .. }
            | Self::AtLeast { clauses, .. } => first(Scored, clauses),
            Self::Constant(inner) => first(Filter, one(inner)),
            Self::Boost { clause, .. } => first(Scored, one(clause)),
            Self::Demote {
                positive, negative, ..
            } => [
                (Scored, one(positive)),
                (Excluded, one(negative)),
                (Filter, &[]),
                (Filter, &[]),
            ],
            Self::Functions(scored) => [
                (Scored, one(&scored.query)),
                (Excluded, &scored.filters),
                (Filter, &[]),
                (Filter, &[]),
            ],
            Self::MatchAll
            | Self::MatchNone
            | Self::Term { .. }
            | Self::Synonyms { .. }
            | Self::Blended { .. }
            | Self::Exact { .. }
            | Self::AnyOf { .. }
            | Self::Phrase { .. }
            | Self::Range { .. }
            | Self::Exists { .. }
            | Self::Ids { .. }
            | Self::Slice { .. }
            | Self::Intervals(_)
            | Self::Pattern { .. } => first(Filter, &[]),
        };
        let groups = groups.into_iter();
        groups.flat_map(|(role, clauses)| clauses.iter().map(move |clause| (role, clause)))
    }

    /// Returns the clauses inside whose scores count.
    pub fn scored_children(&self) -> impl Iterator<Item = &Self> {
        let scored = self.children();
        let scored = scored.filter(|(role, _)| *role == ChildRole::Scored);
        scored.map(|(_, clause)| clause)
    }

    /// Returns the clauses inside that what is found must, or may, match.
    pub fn matching_children(&self) -> impl Iterator<Item = &Self> {
        let matching = self.children();
        let matching = matching.filter(|(role, _)| *role != ChildRole::Excluded);
        matching.map(|(_, clause)| clause)
    }

    /// Adds up what `of` says of this clause and of all inside whose scores count.
    pub fn sum_scored(&self, of: &impl Fn(&Self) -> usize) -> usize {
        let inside = self.scored_children();
        of(self) + inside.map(|clause| clause.sum_scored(of)).sum::<usize>()
    }

    /// Returns the field and the terms whose posting lists the clause reads, in the order in which they are
    /// written; `None` for a clause that names no terms.
    pub fn terms(&self) -> Option<(&FieldPath, Vec<&str>)> {
        match self {
            Self::Term { field, term } => Some((field, vec![term])),
            Self::Synonyms { field, terms } => {
                Some((field, terms.iter().map(String::as_str).collect()))
            }
            Self::Blended { field, terms } => {
                Some((field, terms.iter().map(|(term, _)| &**term).collect()))
            }
            Self::Phrase {
                field, positions, ..
            } => {
                let terms = positions.iter().flat_map(|(_, terms)| terms);
                Some((field, terms.map(String::as_str).collect()))
            }
            Self::Intervals(intervals) => Some((&intervals.field, intervals.terms())),
            _ => None,
        }
    }

    /// Returns how many terms [`Self::terms`] returns.
    pub fn num_terms(&self) -> usize {
        match self {
            Self::Term { .. } => 1,
            Self::Synonyms { terms, .. } => terms.len(),
            Self::Blended { terms, .. } => terms.len(),
            Self::Phrase { positions, .. } => positions.iter().map(|(_, terms)| terms.len()).sum(),
            other => other.terms().map_or(0, |(_, terms)| terms.len()),
        }
    }

    /// Returns the field and the values, one of which a document must have; `None` for a clause that names
    /// none.
    pub fn values(&self) -> Option<(&FieldPath, &[Scalar])> {
        match self {
            Self::Exact { field, value } => Some((field, std::slice::from_ref(value))),
            Self::AnyOf { field, values } => Some((field, values)),
            _ => None,
        }
    }

    /// Returns how matches are found.
    pub fn access(&self) -> Access {
        match self {
            Self::MatchNone => Access::Nothing,
            Self::MatchAll | Self::Slice { .. } => Access::Everything,
            Self::Term { .. }
            | Self::Synonyms { .. }
            | Self::Blended { .. }
            | Self::Intervals(_)
            | Self::Phrase { .. } => Access::Postings,
            Self::Exact { .. } | Self::AnyOf { .. } | Self::Range { .. } | Self::Exists { .. } => {
                Access::Column
            }
            Self::Ids { ids } => Access::Ids(ids.len()),
            Self::Pattern { .. } => Access::Dictionary,
            Self::Bool { .. }
            | Self::DisMax { .. }
            | Self::Across { .. }
            | Self::AtLeast { .. }
            | Self::Constant(_)
            | Self::Demote { .. }
            | Self::Functions(_)
            | Self::Boost { .. } => Access::Children,
        }
    }

    /// Returns whether scores decide what it matches, or what a clause inside does.
    pub fn matches_by_score(&self) -> bool {
        let own = matches!(self, Self::Functions(scored) if scored.min_score.is_some());
        own || self.children().any(|(_, clause)| clause.matches_by_score())
    }

    /// Returns whether it is a list of alternatives that has none.
    pub fn is_empty_list(&self) -> bool {
        match self {
            Self::Blended { terms, .. } => terms.is_empty(),
            Self::Exists { fields } => fields.is_empty(),
            Self::AnyOf { values, .. } => values.is_empty(),
            _ => self.access() == Access::Ids(0),
        }
    }

    /// Returns the query of the dialect that it comes from, usually.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MatchAll => "match_all",
            Self::MatchNone => "match_none",
            Self::Term { .. } | Self::Synonyms { .. } | Self::Exact { .. } => "term",
            Self::Blended { .. } => "fuzzy",
            Self::AnyOf { .. } => "terms",
            Self::Phrase { .. } => "match_phrase",
            Self::Range { .. } => "range",
            Self::Exists { .. } => "exists",
            Self::Ids { .. } => "ids",
            Self::Slice { .. } => "slice",
            Self::Pattern { pattern, .. } => match pattern {
                Pattern::Prefix { .. } => "prefix",
                Pattern::Wildcard { .. } => "wildcard",
                Pattern::Regexp { .. } => "regexp",
                Pattern::Fuzzy { .. } => "fuzzy",
                Pattern::Spans { .. } | Pattern::Between { .. } => "range",
                Pattern::Points(_) => "geo_distance",
            },
            Self::Bool { .. } => "bool",
            Self::DisMax { .. } => "dis_max",
            Self::Across { blend, .. } => match blend {
                Blend::OneField => "combined_fields",
                Blend::Best(_) => "multi_match",
            },
            Self::AtLeast { .. } => "terms_set",
            Self::Intervals(intervals) => match intervals.scoring {
                IntervalScoring::Saturated => "intervals",
                IntervalScoring::Bm25 => "span_near",
            },
            Self::Constant(_) => "constant_score",
            Self::Demote { .. } => "boosting",
            Self::Functions(_) => "function_score",
            Self::Boost { .. } => "boost",
        }
    }
}

fn first(role: ChildRole, clauses: &[Clause]) -> [(ChildRole, &[Clause]); 4] {
    let none: &[Clause] = &[];
    [(role, clauses), (role, none), (role, none), (role, none)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(term: &str) -> Clause {
        Clause::Term {
            field: FieldPath::new("body"),
            term: term.to_owned(),
        }
    }

    #[test]
    fn clauses_inside_come_in_order_with_what_they_do() {
        let demoted = Clause::Demote {
            positive: Box::new(term("p")),
            negative: Box::new(term("n")),
            factor: 0.5,
        };
        let all = Clause::Bool {
            must: vec![demoted.clone()],
            should: vec![term("s")],
            filter: vec![Clause::Constant(Box::new(term("f")))],
            must_not: vec![term("x")],
            minimum_should_match: 0,
        };
        let roles: Vec<ChildRole> = all.children().map(|(role, _)| role).collect();
        let expected = [
            ChildRole::Scored,
            ChildRole::Scored,
            ChildRole::Filter,
            ChildRole::Excluded,
        ];
        assert_eq!(roles, expected);
        let scored: Vec<&Clause> = demoted.scored_children().collect();
        assert_eq!(scored, [&term("p")]);
        assert_eq!(all.matching_children().count(), 3);
        // The `bool`, what is demoted, `p` and `s`.
        assert_eq!(all.sum_scored(&|_| 1), 4);
    }

    #[test]
    fn only_lists_can_be_empty() {
        let ids = Clause::Ids { ids: Vec::new() };
        assert!(ids.is_empty_list() && !Clause::MatchAll.is_empty_list());
        assert_eq!(ids.name(), "ids");
    }
}
