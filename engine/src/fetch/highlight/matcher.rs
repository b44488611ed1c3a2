//! Which terms of a field a query looks for, and where they stand in a text.
//!
//! Does: gather the terms of a query with the [`Condition`] under which each counts, and find them.
//! Does not: decide how a match is marked ([`Marks`] does). Called by: the highlighter. Read first:
//! [`Matcher::find`].

use std::collections::HashMap;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use gleaner_analysis::Token;
use gleaner_model::FieldPath;
use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Control, Stop};
use gleaner_partial::pattern::{self, TermAutomaton};
use gleaner_query::resolved::{Clause, Intervals, Scalar};

use super::Pace;
use super::condition::{Condition, Fit, Group, Seen};
use super::intervals::IntervalMarker;
use super::marks::{Marking, Marks};
use super::phrase::{Phrase, Tokens};
use super::terms::Held;
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
pub(super) struct Matcher {
    terms: HashMap<String, usize>,
    patterns: Vec<(Arc<TermAutomaton>, usize)>,
    ranges: Vec<(TermBounds, usize)>,
    phrases: Vec<Phrase>,
    intervals: Vec<IntervalMarker>,
    num_terms: usize,
    condition: Condition,
    marking: Marking,
}

/// How much of a field is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// False where values were cut.
    pub(super) is_complete: bool,
    /// Whether the field has at most one value.
    pub(super) is_single: bool,
}

/// Where a phrase or intervals stand.
struct Placement {
    /// Number of the first term: with it, all of them count.
    number: usize,
    spans: Vec<Span>,
}

impl Placement {
    fn new(number: usize, marks: Marks<'_>, held: &mut Held) -> Result<Self, EvaluationError> {
        let spans = marks.into_spans();
        held.add(size_of_val(spans.as_slice()))?;
        Ok(Self { number, spans })
    }
}

/// Terms between a lower and an upper bound.
type TermBounds = (Bound<String>, Bound<String>);

/// Bytes of a term of a phrase or of intervals, roughly: its slot, its list, its text.
const PLACED_BYTES: usize = 128;

/// What clauses are gathered for.
struct Wanted<'a> {
    /// `None`: any.
    field: Option<&'a str>,
    control: &'a Control,
}

impl Wanted<'_> {
    fn is(&self, field: &FieldPath) -> bool {
        self.field.is_none_or(|wanted| wanted == field.as_str())
    }
}

impl Matcher {
    /// Gathers what `clause` looks for in `field`, or in any field where that is `None`. What must
    /// not match is not marked.
    pub(super) fn new(
        clause: &Clause,
        field: Option<&str>,
        marking: Marking,
        control: &Control,
    ) -> Result<Self, EngineError> {
        let mut matcher = Self {
            terms: HashMap::new(),
            patterns: Vec::new(),
            ranges: Vec::new(),
            phrases: Vec::new(),
            intervals: Vec::new(),
            num_terms: 0,
            condition: Condition::Known(Fit::Maybe),
            marking,
        };
        let condition = matcher.gather(clause, &Wanted { field, control })?;
        matcher.condition = condition;
        Ok(matcher)
    }

    /// Returns the bytes that it takes, roughly; automata are shared.
    pub(super) fn num_bytes(&self) -> usize {
        let terms = self.terms.keys();
        let terms = terms.map(|term| 2 * size_of::<(String, usize)>() + 16 + term.len());
        let texts = |bounds: &TermBounds| {
            let text = |bound: &Bound<String>| match bound {
                Bound::Included(text) | Bound::Excluded(text) => text.len(),
                Bound::Unbounded => 0,
            };
            text(&bounds.0) + text(&bounds.1)
        };
        let ranges = self.ranges.iter();
        let ranges = ranges.map(|(bounds, _)| 2 * size_of::<(TermBounds, usize)>() + texts(bounds));
        // Of each of their terms a few words' worth.
        let placed = PLACED_BYTES * self.num_terms;
        size_of::<Self>()
            + terms.sum::<usize>()
            + ranges.sum::<usize>()
            + 2 * size_of_val(self.patterns.as_slice())
            + placed
            + self.condition.num_bytes()
    }

    fn gather(&mut self, clause: &Clause, wanted: &Wanted<'_>) -> Result<Condition, EngineError> {
        Ok(match clause {
            Clause::MatchAll => Condition::Known(Fit::Yes),
            Clause::MatchNone => Condition::Known(Fit::No),
            Clause::Phrase {
                field,
                positions,
                slop,
            } if wanted.is(field) => self.add_phrase(positions, *slop),
            Clause::Pattern { field, pattern } if wanted.is(field) => {
                let automaton = pattern::automaton(pattern, wanted.control)?;
                let number = self.next_number();
                self.patterns.push((automaton, number));
                Condition::Terms(vec![number])
            }
            Clause::Range {
                field,
                lower,
                upper,
            } if wanted.is(field) => self.add_range(lower, upper),
            Clause::Intervals(intervals) => self.add_intervals(intervals, wanted),
            Clause::Phrase { .. } | Clause::Pattern { .. } | Clause::Range { .. } => {
                Condition::Known(Fit::Maybe)
            }
            Clause::Bool {
                must,
                should,
                filter,
                must_not,
                ..
            } => {
                let mut required = self.gather_all(must, wanted)?;
                let optional = self.gather_all(should, wanted)?;
                required.extend(self.gather_all(filter, wanted)?);
                let excluded = match self.marking {
                    Marking::Matches => self.gather_all(must_not, wanted)?,
                    Marking::Words => Vec::new(),
                };
                Condition::of_group(Group {
                    required,
                    optional,
                    excluded,
                    least: clause.minimum_should_match(),
                    ..Group::default()
                })
            }
            Clause::DisMax { .. }
            | Clause::Across { .. }
            | Clause::AtLeast { .. }
            | Clause::Constant(_)
            | Clause::Demote { .. }
            | Clause::Functions(_)
            | Clause::Boost { .. } => self.gather_any(clause, wanted)?,
            other => self.gather_words(other, wanted),
        })
    }

    fn gather_all<'c>(
        &mut self,
        clauses: impl IntoIterator<Item = &'c Clause>,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Condition>, EngineError> {
        let clauses = clauses.into_iter();
        clauses.map(|clause| self.gather(clause, wanted)).collect()
    }

    /// Gathers a clause of which any that is inside must match.
    fn gather_any(
        &mut self,
        clause: &Clause,
        wanted: &Wanted<'_>,
    ) -> Result<Condition, EngineError> {
        let optional = self.gather_all(clause.matching_children(), wanted)?;
        // What the document's other fields or its score decide, its text does not tell.
        let is_open = match clause {
            Clause::AtLeast { .. } => true,
            Clause::Functions(scored) => scored.min_score.is_some(),
            _ => false,
        };
        let open = is_open.then_some(Condition::Known(Fit::Maybe));
        Ok(Condition::of_group(Group {
            required: open.into_iter().collect(),
            optional,
            least: 1,
            ..Group::default()
        }))
    }

    fn gather_words(&mut self, clause: &Clause, wanted: &Wanted<'_>) -> Condition {
        let mut numbers = Vec::new();
        if let Some((_, terms)) = clause.terms().filter(|(field, _)| wanted.is(field)) {
            numbers.extend(terms.into_iter().map(|term| self.add_term(term)));
        }
        let values = clause.values().filter(|(field, _)| wanted.is(field));
        for value in values.into_iter().flat_map(|(_, values)| values) {
            if let Scalar::Text(term) = value {
                numbers.push(self.add_term(term));
            }
        }
        match numbers.is_empty() {
            true => Condition::Known(Fit::Maybe),
            false => Condition::Terms(numbers),
        }
    }

    fn add_term(&mut self, term: &str) -> usize {
        if let Some(number) = self.terms.get(term) {
            return *number;
        }
        let number = self.next_number();
        self.terms.insert(term.to_owned(), number);
        number
    }

    fn add_phrase(&mut self, positions: &[(u32, Vec<String>)], slop: u32) -> Condition {
        let first = self.num_terms;
        self.phrases.push(Phrase::new(positions, slop, first));
        // One number at least, by which the phrase itself goes.
        self.num_terms += positions.len().max(1);
        Condition::Placed {
            numbers: vec![first],
            is_sure: true,
        }
    }

    fn add_range(&mut self, lower: &Bound<Scalar>, upper: &Bound<Scalar>) -> Condition {
        let Some(bounds) = term_bounds(lower, upper) else {
            return Condition::Known(Fit::Maybe);
        };
        let number = self.next_number();
        self.ranges.push((bounds, number));
        Condition::Terms(vec![number])
    }

    fn add_intervals(&mut self, intervals: &Intervals, wanted: &Wanted<'_>) -> Condition {
        let found = IntervalMarker::new(&intervals.source, wanted.field, self.num_terms);
        let (numbers, is_sure) = found.numbers();
        if numbers.is_empty() {
            // Those of other fields alone are not marked.
            return Condition::Known(Fit::Maybe);
        }
        self.num_terms += found.num_words();
        self.intervals.push(found);
        Condition::Placed { numbers, is_sure }
    }

    fn next_number(&mut self) -> usize {
        self.num_terms += 1;
        self.num_terms - 1
    }

    /// Returns the number of the query's term that a term of the field is, of those that count;
    /// phrases aside.
    fn term(&self, term: &str, counted: &[bool]) -> Option<usize> {
        let by_pattern = || {
            let mut patterns = self.patterns.iter();
            patterns
                .find(|(automaton, number)| counted[*number] && automaton.accepts(term))
                .map(|(_, number)| *number)
        };
        let by_range = || {
            let mut ranges = self.ranges.iter();
            ranges
                .find(|(bounds, number)| counted[*number] && is_within(bounds, term))
                .map(|(_, number)| *number)
        };
        let by_name = self.terms.get(term).copied();
        let by_name = by_name.filter(|number| counted[*number]);
        by_name.or_else(by_pattern).or_else(by_range)
    }

    /// Returns the spans of what counts among the tokens of a document's field, of all its values.
    ///
    /// # Errors
    /// When `pace` stops, and as [`Held::add`].
    pub(super) fn find(
        &self,
        tokens: &[Token],
        extent: Extent,
        pace: &mut Pace<'_>,
        held: &mut Held,
    ) -> Result<Vec<Span>, EngineError> {
        if self.marking == Marking::Words || self.condition.is_plain() {
            return Ok(self.find_all(tokens, pace)?);
        }
        let mut seen = Seen {
            found: vec![false; self.num_terms],
            is_complete: extent.is_complete,
            is_single: extent.is_single,
        };
        self.look(tokens, &mut seen.found, pace)?;
        let placements = self.placements(tokens, pace, held)?;
        for span in placements.iter().flat_map(|placement| &placement.spans) {
            seen.found[span.term] = true;
        }
        let counted = self.counted(&seen);
        let mut spans = self.mark_terms(tokens, &counted, pace)?.into_spans();
        let counting = placements
            .into_iter()
            .filter(|placement| counted[placement.number]);
        spans.extend(counting.flat_map(|placement| placement.spans));
        Ok(spans)
    }

    /// Returns for each term whether it counts: whether a clause that matches looks for it.
    fn counted(&self, seen: &Seen) -> Vec<bool> {
        let mut numbers = Vec::new();
        self.condition.weigh(seen, &mut numbers);
        let mut counted = vec![false; self.num_terms];
        for number in numbers {
            counted[number] = true;
        }
        counted
    }

    /// Notes which terms are among the tokens of a text; phrases and intervals aside.
    fn look(&self, tokens: &[Token], found: &mut [bool], pace: &mut Pace<'_>) -> Result<(), Stop> {
        for token in tokens {
            pace.step(1 + self.patterns.len() + self.ranges.len())?;
            if let Some(number) = self.terms.get(&token.text) {
                found[*number] = true;
            }
            for (automaton, number) in &self.patterns {
                found[*number] = found[*number] || automaton.accepts(&token.text);
            }
            for (bounds, number) in &self.ranges {
                found[*number] = found[*number] || is_within(bounds, &token.text);
            }
        }
        Ok(())
    }

    /// Returns where the phrases and intervals stand among the tokens of a text, whether they count or not.
    fn placements(
        &self,
        tokens: &[Token],
        pace: &mut Pace<'_>,
        held: &mut Held,
    ) -> Result<Vec<Placement>, EngineError> {
        let mut placements = Vec::new();
        if self.phrases.is_empty() && self.intervals.is_empty() {
            return Ok(placements);
        }
        let all = Tokens::new(tokens);
        for phrase in &self.phrases {
            let mut marks = Marks::new(tokens, self.marking);
            phrase.find(&all, &mut marks, pace)?;
            placements.push(Placement::new(phrase.first(), marks, held)?);
        }
        for intervals in &self.intervals {
            let (numbers, _) = intervals.numbers();
            let Some(number) = numbers.first() else {
                continue;
            };
            let mut marks = Marks::new(tokens, self.marking);
            intervals.find(&all, &mut marks, pace)?;
            placements.push(Placement::new(*number, marks, held)?);
        }
        Ok(placements)
    }

    /// Marks the terms that count among the tokens of a text; phrases and intervals aside.
    fn mark_terms<'t>(
        &self,
        tokens: &'t [Token],
        counted: &[bool],
        pace: &mut Pace<'_>,
    ) -> Result<Marks<'t>, Stop> {
        let mut marks = Marks::new(tokens, self.marking);
        for (number, token) in tokens.iter().enumerate() {
            pace.step(1 + self.patterns.len() + self.ranges.len())?;
            if let Some(term) = self.term(&token.text, counted) {
                marks.mark(number, term);
            }
        }
        Ok(marks)
    }

    /// Returns the spans where everything counts.
    fn find_all(&self, tokens: &[Token], pace: &mut Pace<'_>) -> Result<Vec<Span>, Stop> {
        let counted = vec![true; self.num_terms];
        let mut marks = self.mark_terms(tokens, &counted, pace)?;
        if !self.phrases.is_empty() || !self.intervals.is_empty() {
            let all = Tokens::new(tokens);
            for phrase in &self.phrases {
                phrase.find(&all, &mut marks, pace)?;
            }
            for intervals in &self.intervals {
                intervals.find(&all, &mut marks, pace)?;
            }
        }
        Ok(marks.into_spans())
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
