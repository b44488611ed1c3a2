//! Which terms of a field a query looks for, and where they stand in a text.

use std::collections::HashMap;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use gleaner_analysis::Token;
use gleaner_model::FieldPath;
use gleaner_partial::control::{Control, Stop};
use gleaner_partial::pattern::{self, TermAutomaton};
use gleaner_query::resolved::{Clause, Scalar};

use super::Pace;
use super::intervals::IntervalMarker;
use super::phrase::{Marks, Phrase, Tokens};
use crate::error::EngineError;

/// A match in a text: bytes, on character boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Which of the query's terms, from 0 in order of appearance.
    pub(super) term: usize,
}

/// What a query looks for in a field.
#[derive(Default)]
pub(super) struct Matcher {
    terms: HashMap<String, usize>,
    patterns: Vec<(Arc<TermAutomaton>, usize)>,
    ranges: Vec<(TermBounds, usize)>,
    phrases: Vec<Phrase>,
    intervals: Vec<IntervalMarker>,
    num_terms: usize,
}

/// Terms between a lower and an upper bound.
type TermBounds = (Bound<String>, Bound<String>);

impl Matcher {
    /// Gathers what `clause` looks for in `field`, or in any field where that is `None`. What must
    /// not match is left out.
    pub(super) fn new(
        clause: &Clause,
        field: Option<&str>,
        control: &Control,
    ) -> Result<Self, EngineError> {
        let mut matcher = Self::default();
        matcher.gather(clause, field, control)?;
        Ok(matcher)
    }

    fn gather(
        &mut self,
        clause: &Clause,
        wanted: Option<&str>,
        control: &Control,
    ) -> Result<(), EngineError> {
        let is_wanted = |field: &FieldPath| wanted.is_none_or(|wanted| wanted == field.as_str());
        match clause {
            Clause::Phrase {
                field,
                positions,
                slop,
            } if is_wanted(field) => {
                self.phrases
                    .push(Phrase::new(positions, *slop, self.num_terms));
                self.num_terms += positions.len();
            }
            Clause::Pattern { field, pattern } if is_wanted(field) => {
                let automaton = pattern::automaton(pattern, control)?;
                self.patterns.push((automaton, self.num_terms));
                self.num_terms += 1;
            }
            Clause::Range {
                field,
                lower,
                upper,
            } if is_wanted(field) => {
                if let Some(bounds) = term_bounds(lower, upper) {
                    self.ranges.push((bounds, self.num_terms));
                    self.num_terms += 1;
                }
            }
            Clause::Intervals(intervals) => {
                let found = IntervalMarker::new(&intervals.source, wanted, self.num_terms);
                self.num_terms += found.num_words();
                self.intervals.push(found);
            }
            Clause::Phrase { .. } | Clause::Pattern { .. } | Clause::Range { .. } => {}
            other => {
                if let Some((_, terms)) = other.terms().filter(|(field, _)| is_wanted(field)) {
                    terms.into_iter().for_each(|term| self.add_term(term));
                }
                let values = other.values().filter(|(field, _)| is_wanted(field));
                for value in values.into_iter().flat_map(|(_, values)| values) {
                    if let Scalar::Text(term) = value {
                        self.add_term(term);
                    }
                }
            }
        }
        let mut inside = clause.matching_children();
        inside.try_for_each(|clause| self.gather(clause, wanted, control))
    }

    fn add_term(&mut self, term: &str) {
        let number = self.num_terms;
        if *self.terms.entry(term.to_owned()).or_insert(number) == number {
            self.num_terms += 1;
        }
    }

    /// Returns the number of the query's term that a term of the field is; phrases aside.
    pub(super) fn term(&self, term: &str) -> Option<usize> {
        let by_pattern = || {
            let mut patterns = self.patterns.iter();
            patterns
                .find(|(automaton, _)| automaton.accepts(term))
                .map(|(_, number)| *number)
        };
        let by_range = || {
            let mut ranges = self.ranges.iter();
            ranges
                .find(|(bounds, _)| is_within(bounds, term))
                .map(|(_, number)| *number)
        };
        let by_name = self.terms.get(term).copied();
        by_name.or_else(by_pattern).or_else(by_range)
    }

    /// Adds the spans of all matches among the tokens of a text.
    pub(super) fn find(
        &self,
        tokens: &[Token],
        pace: &mut Pace<'_>,
        spans: &mut Vec<Span>,
    ) -> Result<(), Stop> {
        let mut marks = Marks::new(tokens.len());
        for (number, token) in tokens.iter().enumerate() {
            pace.step(1 + self.patterns.len() + self.ranges.len())?;
            if let Some(term) = self.term(&token.text) {
                marks.mark(number, term);
            }
        }
        if !self.phrases.is_empty() || !self.intervals.is_empty() {
            let tokens = Tokens::new(tokens);
            for phrase in &self.phrases {
                phrase.find(&tokens, &mut marks, pace)?;
            }
            for intervals in &self.intervals {
                intervals.find(&tokens, &mut marks, pace)?;
            }
        }
        spans.extend(marks.iter().map(|(number, term)| Span {
            start: tokens[number].start,
            end: tokens[number].end,
            term,
        }));
        Ok(())
    }
}

/// Returns bounds of terms; `None` where the values are numbers, or all of them are meant.
fn term_bounds(lower: &Bound<Scalar>, upper: &Bound<Scalar>) -> Option<TermBounds> {
    let text = |scalar: &Scalar| match scalar {
        Scalar::Text(text) => Some(text.clone()),
        _ => None,
    };
    let bound = |given: &Bound<Scalar>| match given {
        Bound::Included(scalar) => text(scalar).map(Bound::Included),
        Bound::Excluded(scalar) => text(scalar).map(Bound::Excluded),
        Bound::Unbounded => Some(Bound::Unbounded),
    };
    match (bound(lower)?, bound(upper)?) {
        (Bound::Unbounded, Bound::Unbounded) => None,
        bounds => Some(bounds),
    }
}

/// Returns whether a term lies between bounds, by its bytes.
fn is_within((lower, upper): &TermBounds, term: &str) -> bool {
    let bounds = (
        lower.as_ref().map(String::as_str),
        upper.as_ref().map(String::as_str),
    );
    RangeBounds::<str>::contains(&bounds, term)
}

/// Sorts spans and joins those that overlap.
pub(super) fn merge(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|span| span.start < span.end);
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}
