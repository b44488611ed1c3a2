//! One term: the blocks with the highest bounds first.

use smallvec::SmallVec;

use super::leaf::Leaf;
use super::sink::Sink;
use crate::EngineError;
use crate::blocks::{BLOCK, Place};

/// Blocks whose bounds are compared before the first of them is decoded.
const BATCH: usize = 1_024;
/// Blocks of a batch that are decoded before all others: those with the highest bounds. Their
/// documents raise the threshold so far that few of the others are decoded.
const LEADERS: usize = 4;

/// Walks the list of `leaf`.
pub(super) fn drive(leaf: &mut Leaf<'_>, sink: &mut Sink<'_, '_>) -> Result<(), EngineError> {
    if sink.is_counting() || !sink.takes_any_order() {
        in_order(leaf, sink)
    } else {
        best_first(leaf, sink)
    }
}

fn in_order(leaf: &mut Leaf<'_>, sink: &mut Sink<'_, '_>) -> Result<(), EngineError> {
    while !leaf.cursor().is_over() {
        sink.passed(BLOCK as u32)?;
        if sink.is_counting() {
            count_block(leaf, sink)?;
        } else if leaf.block_bound() >= sink.update_reach() {
            rank_block(leaf, sink)?;
        }
        leaf.cursor().next_block();
    }
    Ok(())
}

fn best_first(leaf: &mut Leaf<'_>, sink: &mut Sink<'_, '_>) -> Result<(), EngineError> {
    let list = *leaf.cursor().list();
    let mut next = list.first();
    let mut batch: SmallVec<[(f32, Place); 32]> = SmallVec::new();
    while next.best.is_some() {
        let reach = sink.update_reach();
        while next.best.is_some() && batch.len() < BATCH {
            sink.passed(BLOCK as u32)?;
            let bound = leaf.scale().of_block(next.best);
            if bound >= reach {
                batch.push((bound, next));
            }
            next = list.next(&next);
        }
        if batch.len() > LEADERS {
            batch.select_nth_unstable_by(LEADERS - 1, |(a, _), (b, _)| b.total_cmp(a));
        }
        for (bound, place) in batch.drain(..) {
            if bound >= sink.update_reach() {
                leaf.cursor().jump(place);
                rank_block(leaf, sink)?;
            }
        }
    }
    if next.len > 0 && leaf.scale().most() >= sink.update_reach() {
        leaf.cursor().jump(next);
        rank_block(leaf, sink)?;
    }
    Ok(())
}

/// Offers the documents of a block that may be among the best.
fn rank_block(leaf: &mut Leaf<'_>, sink: &mut Sink<'_, '_>) -> Result<(), EngineError> {
    let (block, scale) = leaf.decoded()?;
    let (documents, frequencies) = (block.documents(), block.frequencies());
    let mut selected = [0; BLOCK];
    let num_selected = scale.select(documents, frequencies, sink.reach(), &mut selected);
    for &position in &selected[..num_selected] {
        let position = usize::from(position);
        let (doc, frequency) = (documents[position], frequencies[position]);
        let score = scale.score(doc, frequency) as f32;
        if score >= sink.reach() && sink.admits(doc) {
            sink.offer(doc, score)?;
        }
    }
    Ok(())
}

/// Counts the documents of a block, and offers them.
fn count_block(leaf: &mut Leaf<'_>, sink: &mut Sink<'_, '_>) -> Result<(), EngineError> {
    let (block, scale) = leaf.decoded()?;
    for (&doc, &frequency) in block.documents().iter().zip(block.frequencies()) {
        if sink.admits(doc) && scale.of_document(doc, frequency) >= sink.reach() {
            sink.offer(doc, scale.score(doc, frequency) as f32)?;
        }
    }
    Ok(())
}
