//! Phrases of intervals: sources put together, alternatives pulled out of phrases and filters.
//!
//! Does: choose among alternatives of different lengths in every possible way, within limits. Called by: [`super`] and
//! spans. Read first: [`Resolver::pulled_up`].

use std::collections::BTreeMap;

use gleaner_model::FieldPath;
use gleaner_query::QueryError;
use gleaner_query::dsl::IntervalRelation;
use gleaner_query::error::ErrorType;
use gleaner_query::resolved::{IntervalOrder, IntervalSource};

use super::terms;
use crate::resolve::Resolver;
use crate::resolve::text::Position;

/// Ways in which alternatives of several words can stand in a phrase, at most.
const MAX_ALTERNATIVES: usize = 128;

/// Bytes that those ways take at most, over all phrases of a request: alternatives inside alternatives multiply.
const MAX_COPIED_BYTES: usize = 16 << 20;

impl Resolver<'_> {
    /// Returns the paths that stand for each other in a text, each a phrase.
    pub(super) fn paths_of(
        &mut self,
        path: &FieldPath,
        paths: Vec<Vec<Position>>,
    ) -> Result<IntervalSource, QueryError> {
        let phrases = paths.into_iter().map(|words| {
            let words = in_places(path, words);
            self.combined(words, IntervalOrder::Adjacent, None)
        });
        Ok(any_of(phrases.collect::<Result<_, _>>()?))
    }

    /// Returns one interval of each source put together.
    ///
    /// # Errors
    /// [`QueryError`] when too many alternatives stand in a phrase.
    pub(super) fn combined(
        &mut self,
        mut sources: Vec<IntervalSource>,
        order: IntervalOrder,
        max_gaps: Option<u32>,
    ) -> Result<IntervalSource, QueryError> {
        let (order, max_gaps) = match (order, max_gaps) {
            // Right behind each other.
            (IntervalOrder::Ordered, Some(0)) | (IntervalOrder::Adjacent, _) => {
                (IntervalOrder::Adjacent, None)
            }
            other => other,
        };
        match sources.len() {
            0 => return Ok(IntervalSource::Nothing),
            1 => return Ok(sources.remove(0)),
            _ => {}
        }
        if order == IntervalOrder::Unordered {
            sources = repeated(flat(sources));
        }
        match (order, max_gaps) {
            (IntervalOrder::Adjacent, _) | (_, Some(_)) => self.pulled_up(sources, order, max_gaps),
            (_, None) if sources.len() == 1 => Ok(sources.remove(0)),
            (_, None) => Ok(all_of(sources, order, None)),
        }
    }

    /// Returns those intervals of a source that stand in a relation to others: a filter of each alternative, since the
    /// longer one of two may be the one that holds another interval, or in which another lies.
    ///
    /// Source: Lucene, `ContainingIntervalsSource`, `NotContainingIntervalsSource`, `ContainedByIntervalsSource`. Unlike
    /// Lucene, `not_contained_by` keeps its alternatives together: what lies in one of them is not found because it lies
    /// in no other.
    ///
    /// # Errors
    /// [`QueryError`] when the filters take too many bytes.
    pub(super) fn filter_alternatives(
        &mut self,
        source: IntervalSource,
        relation: IntervalRelation,
        by: IntervalSource,
    ) -> Result<IntervalSource, QueryError> {
        let filter = |source, by| IntervalSource::Filter {
            source: Box::new(source),
            relation,
            by: Box::new(by),
        };
        let filters: Vec<IntervalSource> = match relation {
            IntervalRelation::Containing | IntervalRelation::NotContaining => {
                let sources = into_alternatives(self.opened(source)?);
                self.count_bytes(sources.len() * num_bytes_of(&by))?;
                let filters = sources.into_iter().map(|one| filter(one, by.clone()));
                filters.collect()
            }
            IntervalRelation::ContainedBy => {
                let others = into_alternatives(self.opened(by)?);
                self.count_bytes(others.len() * num_bytes_of(&source))?;
                let filters = others.into_iter().map(|one| filter(source.clone(), one));
                filters.collect()
            }
            IntervalRelation::After
            | IntervalRelation::Before
            | IntervalRelation::Overlapping
            | IntervalRelation::NotContainedBy
            | IntervalRelation::NotOverlapping => vec![filter(source, by)],
        };
        Ok(any_of(filters))
    }

    /// Returns all ways to choose among alternatives of different lengths: of two of which one holds the other, the longer
    /// one is no minimal interval, but may be the one that leaves fewer words to what stands beside it.
    ///
    /// # Errors
    /// [`QueryError`] when there are too many, or they take too many bytes.
    pub(in crate::resolve) fn pulled_up(
        &mut self,
        sources: Vec<IntervalSource>,
        order: IntervalOrder,
        max_gaps: Option<u32>,
    ) -> Result<IntervalSource, QueryError> {
        let sources = sources.into_iter().map(|source| self.opened(source));
        let sources: Vec<IntervalSource> = sources.collect::<Result<_, _>>()?;
        self.count_copies(&sources)?;
        let mut ways: Vec<Vec<IntervalSource>> = vec![Vec::new()];
        for source in &sources {
            let longer = ways.iter().flat_map(|way| {
                alternatives(source).iter().map(move |alternative| {
                    let mut way = way.clone();
                    way.push(alternative.clone());
                    way
                })
            });
            ways = longer.collect();
        }
        let ways = ways.into_iter().map(|way| all_of(way, order, max_gaps));
        Ok(any_of(ways.collect()))
    }

    /// Returns a source with its alternatives outside. Those of one whose own gaps count are outside already.
    fn opened(&mut self, source: IntervalSource) -> Result<IntervalSource, QueryError> {
        match source {
            IntervalSource::AllOf {
                sources,
                order,
                max_gaps: None,
            } if order != IntervalOrder::Adjacent => self.pulled_up(sources, order, None),
            other => Ok(other),
        }
    }

    /// Counts what the ways to choose among alternatives take, before any is made.
    fn count_copies(&mut self, sources: &[IntervalSource]) -> Result<(), QueryError> {
        let (mut num_ways, mut num_bytes) = (1, 0);
        for source in sources {
            let alternatives = alternatives(source);
            let of_one_way: usize = alternatives.iter().map(num_bytes_of).sum();
            num_bytes = num_bytes * alternatives.len() + num_ways * of_one_way;
            num_ways *= alternatives.len();
            if num_ways > MAX_ALTERNATIVES {
                return Err(too_many(&format!("more than [{MAX_ALTERNATIVES}] phrases")));
            }
        }
        self.count_bytes(num_bytes)
    }

    /// Counts one more copy of a source, before it is made.
    ///
    /// # Errors
    /// [`QueryError`] when the copies of a request take too many bytes.
    pub(in crate::resolve) fn count_copy(
        &mut self,
        source: &IntervalSource,
    ) -> Result<(), QueryError> {
        self.count_bytes(num_bytes_of(source))
    }

    /// Counts bytes that copies of sources take, before any is made.
    fn count_bytes(&mut self, num_bytes: usize) -> Result<(), QueryError> {
        if self.num_copied_bytes + num_bytes > MAX_COPIED_BYTES {
            return Err(too_many(&format!(
                "phrases that take more than [{MAX_COPIED_BYTES}] bytes in one request"
            )));
        }
        self.num_copied_bytes += num_bytes;
        Ok(())
    }
}

fn too_many(what: &str) -> QueryError {
    let reason = format!("the alternatives stand for {what}; ask for fewer at a time");
    QueryError::new(ErrorType::TooManyClauses, reason)
}

fn alternatives(source: &IntervalSource) -> &[IntervalSource] {
    match source {
        IntervalSource::AnyOf(alternatives) => alternatives,
        one => std::slice::from_ref(one),
    }
}

fn into_alternatives(source: IntervalSource) -> Vec<IntervalSource> {
    match source {
        IntervalSource::AnyOf(alternatives) => alternatives,
        one => vec![one],
    }
}

/// Returns the intervals of any source. Words of one field are one alternative: none holds another.
pub(super) fn any_of(sources: Vec<IntervalSource>) -> IntervalSource {
    let mut words: BTreeMap<FieldPath, Vec<String>> = BTreeMap::new();
    let mut longer = Vec::new();
    for source in sources.into_iter().flat_map(into_alternatives) {
        match source {
            IntervalSource::Nothing => {}
            IntervalSource::Terms { field, terms } => words.entry(field).or_default().extend(terms),
            other => longer.push(other),
        }
    }
    let words = words.into_iter().map(|(field, found)| terms(&field, found));
    let mut alternatives: Vec<IntervalSource> = words.chain(longer).collect();
    match alternatives.len() {
        0 => IntervalSource::Nothing,
        1 => alternatives.remove(0),
        _ => IntervalSource::AnyOf(alternatives),
    }
}

/// Returns the memory that a source takes, roughly.
fn num_bytes_of(source: &IntervalSource) -> usize {
    let inside: usize = match source {
        IntervalSource::Terms { terms, .. } => {
            let num_bytes = terms.iter().map(|term| size_of::<String>() + term.len());
            num_bytes.sum()
        }
        IntervalSource::Filter { source, by, .. } => num_bytes_of(source) + num_bytes_of(by),
        other => other.children().iter().map(num_bytes_of).sum(),
    };
    size_of::<IntervalSource>() + inside
}

/// Returns the words of a text, each with the places before it that a removed word has left.
pub(super) fn in_places(path: &FieldPath, positions: Vec<Position>) -> Vec<IntervalSource> {
    let mut next = 0;
    let with_gap = |(position, words): Position| {
        let gap = position - next;
        next = position + 1;
        let source = terms(path, words);
        match gap {
            0 => source,
            before => IntervalSource::Extend {
                source: Box::new(source),
                before,
                after: 0,
            },
        }
    };
    positions.into_iter().map(with_gap).collect()
}

fn all_of(
    sources: Vec<IntervalSource>,
    order: IntervalOrder,
    max_gaps: Option<u32>,
) -> IntervalSource {
    IntervalSource::AllOf {
        sources,
        order,
        max_gaps,
    }
}

/// Returns what sources that stand in no order hold in no order, each for itself, so that equal words of several are
/// counted together (Lucene, `UnorderedIntervalsSource`).
fn flat(sources: Vec<IntervalSource>) -> Vec<IntervalSource> {
    let inside = sources.into_iter().flat_map(|source| match source {
        IntervalSource::AllOf {
            sources,
            order: IntervalOrder::Unordered,
            max_gaps: None,
        } => sources,
        other => vec![other],
    });
    inside.collect()
}

/// Puts sources that are alike together: of two equal words, two places are meant.
fn repeated(sources: Vec<IntervalSource>) -> Vec<IntervalSource> {
    let mut counted: Vec<(IntervalSource, u32)> = Vec::new();
    for source in sources {
        match counted.iter_mut().find(|(known, _)| *known == source) {
            Some((_, times)) => *times += 1,
            None => counted.push((source, 1)),
        }
    }
    let counted = counted.into_iter().map(|(source, times)| match times {
        1 => source,
        times => IntervalSource::Repeat {
            source: Box::new(source),
            times,
        },
    });
    counted.collect()
}
