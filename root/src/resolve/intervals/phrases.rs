//! Phrases of intervals: sources put together, alternatives pulled out of phrases.
//!
//! Does: choose among alternatives of different lengths in every possible way, within limits. Called by: [`super`] and
//! spans. Read first: [`Resolver::pulled_up`].

use gleaner_model::FieldPath;
use gleaner_query::QueryError;
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
        Ok(IntervalSource::AnyOf(phrases.collect::<Result<_, _>>()?))
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
        match order {
            IntervalOrder::Adjacent => self.pulled_up(&sources, order, max_gaps),
            IntervalOrder::Unordered => {
                let sources = repeated(sources);
                Ok(match (sources.len(), max_gaps) {
                    (1, None) => sources
                        .into_iter()
                        .next()
                        .unwrap_or(IntervalSource::Nothing),
                    _ => all_of(sources, order, max_gaps),
                })
            }
            IntervalOrder::Ordered | IntervalOrder::Separate => {
                Ok(all_of(sources, order, max_gaps))
            }
        }
    }

    /// Returns all ways to choose among alternatives of different lengths: of two of which one holds the other, the longer
    /// one is no minimal interval, but may be the one that what follows stands right behind.
    ///
    /// # Errors
    /// [`QueryError`] when there are too many, or they take too many bytes.
    pub(in crate::resolve) fn pulled_up(
        &mut self,
        sources: &[IntervalSource],
        order: IntervalOrder,
        max_gaps: Option<u32>,
    ) -> Result<IntervalSource, QueryError> {
        self.count_copies(sources)?;
        let mut ways: Vec<Vec<IntervalSource>> = vec![Vec::new()];
        for source in sources {
            let longer = ways.iter().flat_map(|way| {
                alternatives(source).iter().map(move |alternative| {
                    let mut way = way.clone();
                    way.push(alternative.clone());
                    way
                })
            });
            ways = longer.collect();
        }
        let mut ways: Vec<IntervalSource> = ways
            .into_iter()
            .map(|way| all_of(way, order, max_gaps))
            .collect();
        Ok(match ways.len() {
            0 => IntervalSource::Nothing,
            1 => ways.remove(0),
            _ => IntervalSource::AnyOf(ways),
        })
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
            if self.num_copied_bytes + num_bytes > MAX_COPIED_BYTES {
                return Err(too_many(&format!(
                    "phrases that take more than [{MAX_COPIED_BYTES}] bytes in one request"
                )));
            }
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
