//! A phrase: documents that hold all of its terms, of which positions are read last.
//!
//! A phrase occurs in a document at most as often as the rarest of its terms there, so every term
//! bounds its score: blocks are skipped, and documents dropped, by the least of those bounds. Only
//! what is left has its positions read.

use smallvec::SmallVec;
use tantivy::TERMINATED;

use super::leaf::{self, Leaf};
use super::plan::{PlannedPhrase, PlannedTerm};
use super::sink::Sink;
use crate::EngineError;
use crate::blocks::{BLOCK, TextColumn};
use crate::search::occurrences::{Occurrences, SlotCursor};

/// Walks lists of which the shortest comes first; `finder` is of the same phrase.
pub(super) fn drive<'a>(
    leaves: &mut [Leaf<'a>],
    finder: &mut Finder<'a>,
    sink: &mut Sink<'_, '_>,
) -> Result<(), EngineError> {
    let mut phrase = Phrase {
        leaves,
        finder,
        next: 0,
    };
    while !phrase.lead().cursor().is_over() && phrase.next < TERMINATED {
        sink.passed(BLOCK as u32)?;
        let reach = sink.update_reach();
        let is_counting = sink.is_counting();
        let next = phrase.next;
        let lead = phrase.lead();
        if !is_counting && lead.scale().most() < reach {
            return Ok(());
        }
        if lead.place().last >= next && (is_counting || lead.block_bound() >= reach) {
            phrase.take_block(sink)?;
        }
        phrase.lead().cursor().next_block();
    }
    Ok(())
}

struct Phrase<'l, 'a> {
    leaves: &'l mut [Leaf<'a>],
    finder: &'l mut Finder<'a>,
    /// No document before this one holds all terms.
    next: u32,
}

impl<'a> Phrase<'_, 'a> {
    fn lead(&mut self) -> &mut Leaf<'a> {
        &mut self.leaves[0]
    }

    fn take_block(&mut self, sink: &mut Sink<'_, '_>) -> Result<(), EngineError> {
        let need = if sink.is_counting() {
            f32::NEG_INFINITY
        } else {
            sink.reach()
        };
        let mut selected = SmallVec::new();
        self.lead().select(need, &mut selected)?;
        for (doc, frequency) in selected {
            if doc >= self.next {
                self.take_document(doc, frequency, sink)?;
            }
        }
        Ok(())
    }

    fn take_document(
        &mut self,
        doc: u32,
        frequency: u32,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), EngineError> {
        let may_rank = self.may_rank(doc, frequency, sink)?;
        if !(may_rank || sink.is_counting()) || !self.hold(doc, sink)? {
            return Ok(());
        }
        let most_often = self.least_frequency(frequency)?;
        let may_rank = may_rank && self.lead().scale().of_document(doc, most_often) >= sink.reach();
        if !(may_rank || sink.is_counting()) || !sink.lets_through(doc) {
            return Ok(());
        }
        self.lead().seek_in_block(doc)?;
        sink.passed(BLOCK as u32)?;
        let frequency = self.finder.count(self.leaves, sink)?;
        if frequency == 0 {
            return Ok(());
        }
        sink.note_match();
        let score = self.lead().scale().score(doc, frequency) as f32;
        sink.offer(doc, score)
    }

    /// Returns whether the blocks that would hold `doc` in the other lists leave it a chance.
    fn may_rank(
        &mut self,
        doc: u32,
        frequency: u32,
        sink: &mut Sink<'_, '_>,
    ) -> Result<bool, EngineError> {
        let mut bound = self.lead().scale().of_document(doc, frequency);
        for other in &mut self.leaves[1..] {
            other.approach(doc, sink)?;
            bound = bound.min(other.block_bound());
        }
        Ok(bound >= sink.reach())
    }

    /// Returns whether the other lists hold `doc`, and stands on it in all of them.
    fn hold(&mut self, doc: u32, sink: &mut Sink<'_, '_>) -> Result<bool, EngineError> {
        self.next = leaf::seek_all(&mut self.leaves[1..], doc, sink)?;
        Ok(self.next == doc)
    }

    /// Returns how often the rarest term occurs in the document that the lists stand on, `frequency`
    /// being that of the first.
    fn least_frequency(&mut self, frequency: u32) -> Result<u32, EngineError> {
        Ok(frequency.min(least_frequency(&mut self.leaves[1..])?))
    }
}

/// Returns how often the rarest term occurs in the document that all of `leaves` stand on.
pub(super) fn least_frequency(leaves: &mut [Leaf<'_>]) -> Result<u32, EngineError> {
    let mut least = u32::MAX;
    for leaf in leaves {
        least = least.min(leaf.cursor().frequency()?);
    }
    Ok(least)
}

/// Finds a phrase in documents that the leaves of its terms stand on.
pub(super) struct Finder<'a> {
    /// Order of the leaf of the first term; the others follow it.
    first: usize,
    occurrences: Occurrences<'a>,
}

impl<'a> Finder<'a> {
    /// Returns what finds `phrase`, which has these terms, in `text`.
    pub(super) fn new(
        text: &'a TextColumn,
        phrase: &PlannedPhrase,
        terms: &'a [PlannedTerm<'_>],
    ) -> Self {
        let terms = terms.iter().map(|planned| planned.term);
        Self {
            first: phrase.first,
            occurrences: Occurrences::new(text, terms, phrase.offsets.iter().copied()),
        }
    }

    /// Returns how often the phrase occurs in the document that all of `leaves` stand on.
    ///
    /// # Errors
    /// As [`Occurrences::count`].
    pub(super) fn count(
        &mut self,
        leaves: &mut [Leaf<'a>],
        sink: &mut Sink<'_, '_>,
    ) -> Result<u32, EngineError> {
        let first = self.first;
        let lists = leaves.iter_mut().map(|leaf| SlotCursor {
            slot: leaf.order() - first,
            cursor: leaf.cursor(),
        });
        self.occurrences
            .count(lists, |num_positions| sink.passed(num_positions))
    }
}
