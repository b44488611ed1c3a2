//! All of several terms: the rarest leads, the others are asked about its documents.
//!
//! A block of the rarest term is skipped when its bound and those of the other lists do not add up
//! to the threshold; of a block that is decoded, documents are dropped by their own part of the
//! score, then by the bounds of the blocks that would hold them in the other lists. Only what is
//! left is looked for there.

use smallvec::{SmallVec, smallvec};
use tantivy::TERMINATED;

use super::leaf::{self, Leaf};
use super::sink::Sink;
use crate::EngineError;
use crate::blocks::BLOCK;

/// Walks lists of which the shortest comes first.
pub(super) fn drive(leaves: &mut [Leaf<'_>], sink: &mut Sink<'_, '_>) -> Result<(), EngineError> {
    let Some((lead, others)) = leaves.split_first_mut() else {
        return Ok(());
    };
    let mut all = All {
        others_most: others.iter().map(|leaf| leaf.scale().most()).sum(),
        parts: smallvec![0.0; others.len() + 1],
        others,
        next: 0,
    };
    while !lead.cursor().is_over() && all.next < TERMINATED {
        sink.passed(BLOCK as u32)?;
        let reach = sink.update_reach();
        let is_hopeless = |bound: f32| !sink.is_counting() && bound + all.others_most < reach;
        if is_hopeless(lead.scale().most()) {
            return Ok(());
        }
        if lead.place().last >= all.next && !is_hopeless(lead.block_bound()) {
            all.take_block(lead, sink)?;
        }
        lead.cursor().next_block();
    }
    Ok(())
}

struct All<'l, 'a> {
    others: &'l mut [Leaf<'a>],
    /// Bound of what the others add.
    others_most: f32,
    /// What the terms add to a document's score, in the order in which that is added up.
    parts: SmallVec<[f64; 8]>,
    /// No document before this one holds all terms.
    next: u32,
}

impl All<'_, '_> {
    fn take_block(
        &mut self,
        lead: &mut Leaf<'_>,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), EngineError> {
        let order = lead.order();
        let (block, scale) = lead.decoded()?;
        let (documents, frequencies) = (block.documents(), block.frequencies());
        let need = if sink.is_counting() {
            f32::NEG_INFINITY
        } else {
            sink.reach() - self.others_most
        };
        let mut selected = [0; BLOCK];
        let num_selected = scale.select(documents, frequencies, need, &mut selected);
        for &position in &selected[..num_selected] {
            let position = usize::from(position);
            let (doc, frequency) = (documents[position], frequencies[position]);
            if doc < self.next {
                continue;
            }
            let bound = scale.of_document(doc, frequency);
            let may_rank = self.may_rank(doc, bound, sink)?;
            if !(may_rank || sink.is_counting()) || !self.hold(doc, sink)? {
                continue;
            }
            let may_rank = may_rank && self.bound(bound)? >= sink.reach();
            if !(may_rank || sink.is_counting()) || !sink.admits(doc) {
                continue;
            }
            if may_rank {
                self.parts[order] = scale.score(doc, frequency);
                sink.offer(doc, self.score()? as f32)?;
            }
        }
        Ok(())
    }

    /// Returns whether the blocks that would hold `doc` in the other lists leave it a chance.
    fn may_rank(
        &mut self,
        doc: u32,
        mut bound: f32,
        sink: &mut Sink<'_, '_>,
    ) -> Result<bool, EngineError> {
        for other in self.others.iter_mut() {
            other.approach(doc, sink)?;
            bound += other.block_bound();
        }
        Ok(bound >= sink.reach())
    }

    /// Returns whether the other lists hold `doc`, and stands on it in all of them.
    fn hold(&mut self, doc: u32, sink: &mut Sink<'_, '_>) -> Result<bool, EngineError> {
        self.next = leaf::seek_all(self.others, doc, sink)?;
        Ok(self.next == doc)
    }

    /// Returns a bound of the score of the document that the other lists stand on.
    fn bound(&mut self, mut bound: f32) -> Result<f32, EngineError> {
        for other in self.others.iter_mut() {
            bound += other.document_bound()?;
        }
        Ok(bound)
    }

    /// Returns the canonical score of that document.
    fn score(&mut self) -> Result<f64, EngineError> {
        for other in self.others.iter_mut() {
            let order = other.order();
            self.parts[order] = other.score()?;
        }
        let mut sum = 0.0;
        for part in &self.parts {
            sum += part;
        }
        Ok(sum)
    }
}
