//! Totals of words and phrases, counted from their posting lists alone.
//!
//! Does: count the documents that hold all of some words, at least so many of them, or phrases, without
//! scores and without decoding frequencies that no phrase needs. Lists of similar length are put together
//! in windows of 32,768 documents with a byte for each ([`marks`]); where one list is much shorter than
//! another, its documents are looked up there. Does not: rank. The pruned walk ([`super::prune`]) does that
//! beside it, and skips what cannot be among the best because it need not count.
//!
//! A tally declines what it does not know, and then [`super::count`] or the walk counts as for other
//! queries: filters and exclusions, a post filter, fields that are not text, optional parts of which some
//! number must match beside others, lists that cannot be read ([`TextColumn::open`]).

mod all;
mod any;
mod counter;
mod marks;

use std::sync::Arc;

use gleaner_model::FieldPath;
use smallvec::SmallVec;
use tantivy::schema::Field as Column;

use super::columns::{self, Columns};
use super::count;
use super::request::{Request, Shard};
use super::shape::{RankedNode, Shape};
use crate::blocks::{BLOCK, Cursor, PostingList, TextColumn};
use crate::view::SegmentView;
use crate::{EngineError, View, lower};
use counter::Counter;

/// Words that are counted by, at most: each may raise the marks of a window by one.
const MOST_WORDS: usize = 64;

/// How the matches of a query are counted by their lists, made once for all shards.
pub(super) struct Tally<'q> {
    rule: Rule,
    words: Vec<Word<'q>>,
    /// What must be found beside the words, which are all of theirs too.
    phrases: Vec<Phrase>,
}

/// Which documents match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Those with every word and every phrase.
    All,
    /// Those with at least so many of the words, 1 or more.
    AtLeast(usize),
}

/// A word of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word<'q> {
    field: &'q FieldPath,
    text: &'q str,
}

/// Words that must stand together.
struct Phrase {
    slots: Vec<Slot>,
}

/// A word of a phrase.
struct Slot {
    /// Place among the tally's words.
    word: usize,
    /// Place in the phrase.
    offset: u32,
}

/// A tally on one shard.
pub(super) struct ShardTally {
    /// Beside the words.
    columns: Columns,
}

impl<'q> Tally<'q> {
    /// Returns what counts the matches of a query of this shape; `None` for shapes it does not know.
    pub(super) fn of(shape: &Shape<'q>) -> Option<Self> {
        if !shape.filters.is_empty() {
            return None;
        }
        let empty = |rule| Self {
            rule,
            words: Vec::new(),
            phrases: Vec::new(),
        };
        let (mut all, mut any) = (empty(Rule::All), empty(Rule::AtLeast(1)));
        let tally = if all.add_all(&shape.ranked) {
            all
        } else if any.add_any(&shape.ranked) {
            any
        } else if let Some((words, least)) = at_least(&shape.ranked) {
            Self {
                words,
                ..empty(Rule::AtLeast(least))
            }
        } else {
            return None;
        };
        let is_counted = (1..=MOST_WORDS).contains(&tally.words.len());
        is_counted.then_some(tally)
    }

    /// Adds what `ranked` needs to match, if that is all of some words and phrases.
    fn add_all(&mut self, ranked: &RankedNode<'q>) -> bool {
        match ranked {
            RankedNode::Term { field, term, .. } => {
                self.add_word(Word { field, text: term });
                true
            }
            RankedNode::Phrase {
                field, positions, ..
            } => {
                self.add_phrase(field, positions);
                true
            }
            RankedNode::Sum {
                must,
                should,
                minimum,
            } => {
                // None of the others need match, or all of them.
                let others = match *minimum {
                    0 => &[],
                    all if all == should.len() => should.as_slice(),
                    _ => return false,
                };
                must.iter().chain(others).all(|part| self.add_all(part))
            }
            RankedNode::Best { nodes, .. } => {
                matches!(nodes.as_slice(), [only] if self.add_all(only))
            }
            RankedNode::Group { .. } => false,
        }
    }

    /// Adds the words of `ranked`, if any of them makes it match.
    fn add_any(&mut self, ranked: &RankedNode<'q>) -> bool {
        match ranked {
            RankedNode::Term { field, term, .. } => {
                self.add_word(Word { field, text: term });
                true
            }
            RankedNode::Group { field, terms, .. } => {
                for (text, _) in *terms {
                    self.add_word(Word { field, text });
                }
                true
            }
            RankedNode::Best { nodes, .. } => nodes.iter().all(|node| self.add_any(node)),
            RankedNode::Sum {
                must,
                should,
                minimum,
            } => match (must.as_slice(), should.as_slice(), *minimum) {
                ([only], _, 0) => self.add_any(only),
                ([], [_, ..], 1) => should.iter().all(|part| self.add_any(part)),
                _ => false,
            },
            RankedNode::Phrase { .. } => false,
        }
    }

    /// Adds a word, unless it is there; returns its place.
    fn add_word(&mut self, word: Word<'q>) -> usize {
        let known = self.words.iter().position(|known| *known == word);
        known.unwrap_or_else(|| {
            self.words.push(word);
            self.words.len() - 1
        })
    }

    fn add_phrase(&mut self, field: &'q FieldPath, positions: &'q [(u32, Vec<String>)]) {
        let mut slots = Vec::with_capacity(positions.len());
        for (offset, terms) in positions {
            for text in terms {
                let word = self.add_word(Word { field, text });
                slots.push(Slot {
                    word,
                    offset: *offset,
                });
            }
        }
        self.phrases.push(Phrase { slots });
    }

    /// Makes the tally ready for a shard; `None` when one of its fields does not count its terms there.
    ///
    /// # Errors
    /// `EvaluationError::Query` for fields that cannot be searched.
    pub(super) fn on_shard(&self, view: &View) -> Result<Option<ShardTally>, EngineError> {
        let fields = self.words.iter().map(|word| word.field);
        let columns = columns::of_counted(view, fields)?;
        Ok(columns.map(|columns| ShardTally { columns }))
    }
}

/// Returns the words of which at least a number greater than one must match.
fn at_least<'q>(ranked: &RankedNode<'q>) -> Option<(Vec<Word<'q>>, usize)> {
    let RankedNode::Sum {
        must,
        should,
        minimum,
    } = ranked
    else {
        return None;
    };
    if !must.is_empty() || *minimum < 2 {
        return None;
    }
    // A word that stands twice counts twice.
    let word = |part: &RankedNode<'q>| match part {
        RankedNode::Term { field, term, .. } => Some(Word { field, text: term }),
        _ => None,
    };
    let words: Option<Vec<_>> = should.iter().map(word).collect();
    words.map(|words| (words, *minimum))
}

/// Counts the matches of the request's tally in a segment, until enough are counted.
///
/// # Errors
/// When the index cannot be read, or the evaluation must stop: then what was counted before is added.
pub(super) fn segment(
    request: &Request<'_>,
    shard: &Shard<'_>,
    segment: &SegmentView,
    own: &ShardTally,
) -> Result<(), EngineError> {
    let Some(tally) = request
        .tally
        .as_ref()
        .filter(|_| !count::is_enough(request))
    else {
        return Ok(());
    };
    let Some(columns) = open_columns(tally, own, segment)? else {
        let weight = lower::unscored(&request.scope(shard.target), request.clause)?;
        return count::segment(request, shard, segment, weight.as_ref());
    };
    let mut counter = Counter::new(request, shard);
    let outcome = open_lists(tally, own, &columns).and_then(|lists| match tally.rule {
        Rule::All => all::count(tally, &lists, segment, &mut counter),
        Rule::AtLeast(least) => any::count(least, lists, segment, &mut counter),
    });
    counter.finish();
    outcome
}

/// A column that is open in a segment.
struct OpenColumn {
    column: Column,
    text: Arc<TextColumn>,
}

type OpenColumns = SmallVec<[OpenColumn; 2]>;

/// The list of one of the tally's words.
#[derive(Clone, Copy)]
struct List<'a> {
    word: usize,
    text: &'a TextColumn,
    postings: PostingList<'a>,
}

impl<'a> List<'a> {
    fn num_documents(&self) -> u64 {
        u64::from(self.postings.num_documents())
    }

    fn cursor(&self) -> Cursor<'a> {
        Cursor::new(self.postings)
    }
}

/// Opens the columns of the words; `None` when one cannot be read as it must be.
fn open_columns(
    tally: &Tally<'_>,
    own: &ShardTally,
    segment: &SegmentView,
) -> Result<Option<OpenColumns>, EngineError> {
    let needs_positions = !tally.phrases.is_empty();
    let mut opened = OpenColumns::new();
    for column in own.columns.iter().copied().flatten() {
        if opened.iter().any(|open| open.column == column) {
            continue;
        }
        match segment.text_column(column)? {
            Some(text) if text.has_positions() || !needs_positions => {
                opened.push(OpenColumn { column, text });
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(opened))
}

/// Opens the lists of those words that the segment has, in the order of the words.
fn open_lists<'a>(
    tally: &Tally<'_>,
    own: &ShardTally,
    columns: &'a [OpenColumn],
) -> Result<Vec<List<'a>>, EngineError> {
    let mut lists = Vec::with_capacity(tally.words.len());
    for (word, column) in own.columns.iter().enumerate() {
        let open = columns.iter().find(|open| Some(open.column) == *column);
        let Some(OpenColumn { text, .. }) = open else {
            continue;
        };
        if let Some(postings) = text.list(tally.words[word].text)? {
            lists.push(List {
                word,
                text,
                postings,
            });
        }
    }
    Ok(lists)
}

/// Stands on the first document of a list from `doc` on and returns it, the largest number at the end.
#[inline]
fn seek(
    cursor: &mut Cursor<'_>,
    doc: u32,
    counter: &mut Counter<'_, '_>,
) -> Result<u32, EngineError> {
    while !cursor.approach(doc) {
        counter.passed(BLOCK as u32)?;
    }
    cursor.find(doc)
}

#[cfg(test)]
mod tests;
