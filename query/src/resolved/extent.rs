//! What a shard's documents hold at most: enough to say that a query matches none of them.
//!
//! Two kinds of facts, both true of every live document of one generation: values that no document
//! has (a term missing from the dictionary), and the least and greatest value of a column (a *zone
//! map*: Moerkotte, *Small Materialized Aggregates*, VLDB 1998). What is not known excludes nothing.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use gleaner_model::FieldPath;
use serde::{Deserialize, Serialize};

use super::{Clause, Scalar};

/// What is known of the values in a shard, at one generation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Extent {
    /// Whether no document is live.
    pub is_empty: bool,
    /// Values, terms among them, that no document has, by field; each list ascends.
    absent: BTreeMap<FieldPath, Vec<Scalar>>,
    /// Between which values all values of a field lie.
    spans: BTreeMap<FieldPath, Span>,
}

/// Between which values all values of a field lie, both included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Span {
    /// No document has a value.
    Nowhere,
    /// The least and the greatest value, of the field's type; they may be of deleted documents.
    Within(Scalar, Scalar),
}

/// Why a shard has nothing for a query, and for how long that holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Unmatched {
    /// What excludes the query.
    pub extent: Extent,
    /// For how long after it was asked the copy shows nothing newer to anybody; > 0.
    pub lease: Duration,
}

impl Span {
    /// Returns the span of the values of both.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nowhere, other) | (other, Self::Nowhere) => other,
            (Self::Within(low, high), Self::Within(least, greatest)) => {
                let is = |a: &Scalar, b: &Scalar, wanted| order(a, b) == Some(wanted);
                Self::Within(
                    if is(&least, &low, Ordering::Less) {
                        least
                    } else {
                        low
                    },
                    if is(&greatest, &high, Ordering::Greater) {
                        greatest
                    } else {
                        high
                    },
                )
            }
        }
    }
}

impl Extent {
    /// Returns what is known of a shard of which nothing is but whether any document is live.
    pub fn of(is_empty: bool) -> Self {
        Self {
            is_empty,
            ..Self::default()
        }
    }

    /// Notes that no document has `value`.
    pub fn note_absent(&mut self, field: &FieldPath, value: Scalar) {
        let known = match self.absent.get_mut(field) {
            Some(known) => known,
            None => self.absent.entry(field.clone()).or_default(),
        };
        if let Err(at) = known.binary_search_by(|other| total_order(other, &value)) {
            known.insert(at, value);
        }
    }

    /// Notes where all values of `field` lie.
    pub fn note_span(&mut self, field: FieldPath, span: Span) {
        self.spans.insert(field, span);
    }

    /// Adds what `other`, of the same generation, knows.
    pub fn learn(&mut self, other: Self) {
        self.is_empty |= other.is_empty;
        for (field, values) in other.absent {
            for value in values {
                self.note_absent(&field, value);
            }
        }
        self.spans.extend(other.spans);
    }

    /// Returns the values that no document has, by field.
    pub fn absent(&self) -> impl Iterator<Item = (&FieldPath, &[Scalar])> {
        let lists = self.absent.iter();
        lists.map(|(field, values)| (field, values.as_slice()))
    }

    /// Returns where values lie, by field.
    pub fn spans(&self) -> impl Iterator<Item = (&FieldPath, &Span)> {
        self.spans.iter()
    }

    /// Returns roughly how many bytes it takes.
    pub fn num_bytes(&self) -> usize {
        let absent = self.absent.iter();
        let absent = absent.map(|(field, values)| {
            let values = values.iter().map(num_bytes).sum::<usize>();
            field.as_str().len() + 64 + values
        });
        let spans = self.spans.keys();
        let spans = spans.map(|field| field.as_str().len() + 64 + 2 * size_of::<Scalar>());
        size_of::<Self>() + absent.sum::<usize>() + spans.sum::<usize>()
    }

    /// Returns whether no document can match `clause`.
    pub fn excludes(&self, clause: &Clause) -> bool {
        if self.is_empty {
            return true;
        }
        let excludes = |clause: &Clause| self.excludes(clause);
        match clause {
            Clause::MatchNone => true,
            Clause::Term { field, term } => self.lacks_term(field, term),
            Clause::Synonyms { field, terms } => self.lacks_all(field, terms),
            Clause::Blended { field, terms } => {
                let mut terms = terms.iter().map(|(term, _)| term);
                self.has_nowhere(field) || terms.all(|term| self.lacks_term(field, term))
            }
            Clause::Exact { field, value } => self.lacks(field, value),
            Clause::AnyOf { field, values } => values.iter().all(|value| self.lacks(field, value)),
            Clause::Phrase {
                field, positions, ..
            } => positions
                .iter()
                .any(|(_, terms)| self.lacks_all(field, terms)),
            Clause::Range {
                field,
                lower,
                upper,
            } => match self.spans.get(field) {
                None => false,
                Some(Span::Nowhere) => true,
                Some(Span::Within(least, greatest)) => {
                    is_below(greatest, lower) || is_above(least, upper)
                }
            },
            Clause::Exists { fields } => {
                !fields.is_empty() && fields.iter().all(|field| self.has_nowhere(field))
            }
            Clause::Bool {
                must,
                should,
                filter,
                minimum_should_match,
                ..
            } => {
                let num_possible = should.iter().filter(|clause| !excludes(clause)).count();
                let has_too_few = num_possible < *minimum_should_match as usize;
                // Without any clause a `bool` matches everything.
                must.iter().chain(filter).any(excludes) || (!should.is_empty() && has_too_few)
            }
            Clause::DisMax { clauses, .. }
            | Clause::Across { clauses, .. }
            | Clause::AtLeast { clauses, .. } => clauses.iter().all(excludes),
            Clause::Intervals(intervals) => self.excludes(&intervals.source.words()),
            Clause::Constant(clause) | Clause::Boost { clause, .. } => excludes(clause),
            Clause::Demote { positive, .. } => excludes(positive),
            Clause::Functions(scored) => excludes(&scored.query),
            Clause::MatchAll
            | Clause::Ids { .. }
            | Clause::Slice { .. }
            | Clause::Pattern { .. } => false,
        }
    }

    fn lacks_all(&self, field: &FieldPath, terms: &[String]) -> bool {
        self.has_nowhere(field) || terms.iter().all(|term| self.lacks_term(field, term))
    }

    fn lacks_term(&self, field: &FieldPath, term: &str) -> bool {
        if self.has_nowhere(field) {
            return true;
        }
        let Some(absent) = self.absent.get(field) else {
            return false;
        };
        let order = |other: &Scalar| match other {
            Scalar::Text(other) => other.as_str().cmp(term),
            // Texts come last.
            _ => Ordering::Less,
        };
        absent.binary_search_by(order).is_ok()
    }

    fn lacks(&self, field: &FieldPath, value: &Scalar) -> bool {
        let absent = self.absent.get(field).map_or(&[][..], Vec::as_slice);
        let is_absent = absent
            .binary_search_by(|other| total_order(other, value))
            .is_ok();
        is_absent
            || match self.spans.get(field) {
                None => false,
                Some(Span::Nowhere) => true,
                Some(Span::Within(least, greatest)) => {
                    let is = |a: &Scalar, b: &Scalar, wanted| order(a, b) == Some(wanted);
                    is(value, least, Ordering::Less) || is(value, greatest, Ordering::Greater)
                }
            }
    }

    fn has_nowhere(&self, field: &FieldPath) -> bool {
        self.spans.get(field) == Some(&Span::Nowhere)
    }
}

/// Returns whether all values up to `greatest` are below the bound.
fn is_below(greatest: &Scalar, lower: &Bound<Scalar>) -> bool {
    match lower {
        Bound::Included(lower) => order(greatest, lower) == Some(Ordering::Less),
        Bound::Excluded(lower) => {
            matches!(
                order(greatest, lower),
                Some(Ordering::Less | Ordering::Equal)
            )
        }
        Bound::Unbounded => false,
    }
}

/// Returns whether all values from `least` on are above the bound.
fn is_above(least: &Scalar, upper: &Bound<Scalar>) -> bool {
    match upper {
        Bound::Included(upper) => order(least, upper) == Some(Ordering::Greater),
        Bound::Excluded(upper) => {
            matches!(
                order(least, upper),
                Some(Ordering::Greater | Ordering::Equal)
            )
        }
        Bound::Unbounded => false,
    }
}

/// Returns the order of two values of one field; `None` where they are not of one type.
fn order(a: &Scalar, b: &Scalar) -> Option<Ordering> {
    match (a, b) {
        (Scalar::I64(a) | Scalar::Date(a), Scalar::I64(b) | Scalar::Date(b)) => Some(a.cmp(b)),
        // As columns order them: -0.0 is below 0.0.
        (Scalar::F64(a), Scalar::F64(b)) => Some(a.total_cmp(b)),
        _ if rank(a) == rank(b) => a.partial_cmp(b),
        _ => None,
    }
}

/// An order of all values, by type first, for lists.
fn total_order(a: &Scalar, b: &Scalar) -> Ordering {
    let by_type = rank(a).cmp(&rank(b));
    by_type.then_with(|| order(a, b).unwrap_or(Ordering::Equal))
}

fn rank(value: &Scalar) -> u8 {
    match value {
        Scalar::I64(_) | Scalar::Date(_) => 0,
        Scalar::U64(_) => 1,
        Scalar::F64(_) => 2,
        Scalar::Bool(_) => 3,
        Scalar::Ip(_) => 4,
        Scalar::Text(_) => 5,
    }
}

fn num_bytes(value: &Scalar) -> usize {
    size_of::<Scalar>()
        + match value {
            Scalar::Text(text) => text.len(),
            _ => 0,
        }
}
