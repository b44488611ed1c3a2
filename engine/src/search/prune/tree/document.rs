//! One document of a window: bounds of its terms, then its score.

use super::super::leaf::Leaf;
use super::super::sink::Sink;
use super::{Leader, Limb, Walk, is_enough};
use crate::EngineError;
use crate::blocks::BLOCK;

impl Walk<'_, '_> {
    /// Takes the document at a place of the window.
    pub(super) fn take_document(
        &mut self,
        at: u32,
        leading: &Leader,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), EngineError> {
        let doc = leading.start + at;
        self.parts.copy_from_slice(&self.caps);
        let mut known = 0.0;
        for (column, &list) in leading.lists.iter().enumerate() {
            let frequency = self.columns.frequency(column, at);
            if frequency > 0 {
                let leaf = &self.limbs[list].leaf;
                let bound = f64::from(leaf.scale().of_document(doc, frequency));
                self.parts[leaf.order()] = bound;
                known += bound;
            }
        }
        let mut ceiling = self.complete((doc, known), leading.is_match, sink)?;
        let may_rank = |ceiling: f64, sink: &Sink<'_, '_>| ceiling as f32 >= sink.reach();
        if ceiling.is_some_and(|ceiling| may_rank(ceiling, sink) || !leading.is_match) {
            ceiling = self.find_phrases(doc, sink)?;
        }
        let Some(ceiling) = ceiling else {
            return Ok(());
        };
        if sink.admits(doc) && may_rank(ceiling, sink) {
            let score = self.score(at, leading)?;
            sink.offer(doc, score as f32)?;
        }
        Ok(())
    }

    /// Completes the bounds of a document's terms, of which the leaders' add up to `known`, from the
    /// followers; returns a bound of its score, or
    /// `None` when it does not match, or need not be counted and is not among the best. Unless the bound
    /// reaches the threshold not all followers may stand on the document.
    fn complete(
        &mut self,
        (doc, mut known): (u32, f64),
        is_match: bool,
        sink: &mut Sink<'_, '_>,
    ) -> Result<Option<f64>, EngineError> {
        let mut value = self.tree.value(&self.parts);
        for (&at, rest) in self.followers.iter().zip(&self.rests).rev() {
            if !is_enough(value, sink) {
                return Ok(None);
            }
            if is_match && (value as f32) < sink.reach() {
                return Ok(Some(value));
            }
            let leaf = &mut self.limbs[at].leaf;
            let order = leaf.order();
            leaf.approach(doc, sink)?;
            // The sum is never less than the tree's value, and is had for less.
            if !is_enough(known + f64::from(leaf.block_bound()) + rest, sink) {
                return Ok(None);
            }
            let is_there = leaf.seek(doc, sink)? == doc;
            self.parts[order] = if is_there {
                f64::from(leaf.document_bound()?)
            } else {
                0.0
            };
            known += self.parts[order];
            value = self.tree.value(&self.parts);
        }
        Ok(is_enough(value, sink).then_some(value))
    }

    /// Looks for the phrases that a document may hold; returns as [`Walk::complete`].
    fn find_phrases(
        &mut self,
        doc: u32,
        sink: &mut Sink<'_, '_>,
    ) -> Result<Option<f64>, EngineError> {
        for Limb { leaf, phrase } in self.limbs.iter_mut() {
            let order = leaf.order();
            let Some(phrase) = phrase else { continue };
            if self.parts[order] == 0.0 {
                continue;
            }
            let most_often = phrase.most_often(doc, sink)?;
            self.parts[order] = bound(leaf, doc, most_often);
            if !is_enough(self.tree.value(&self.parts), sink) {
                return Ok(None);
            }
            if most_often > 0 {
                sink.passed(BLOCK as u32)?;
                self.parts[order] = bound(leaf, doc, phrase.count(sink)?);
            }
        }
        let value = self.tree.value(&self.parts);
        Ok(is_enough(value, sink).then_some(value))
    }

    /// Returns the canonical score of a document that matches and all bounds of which are those of its
    /// terms and phrases.
    fn score(&mut self, at: u32, leading: &Leader) -> Result<f64, EngineError> {
        let doc = leading.start + at;
        for (column, &list) in leading.lists.iter().enumerate() {
            let limb = &self.limbs[list];
            let part = &mut self.parts[limb.leaf.order()];
            if *part > 0.0 {
                *part = limb.score(doc, self.columns.frequency(column, at));
            }
        }
        for &at in &self.followers {
            let limb = &mut self.limbs[at];
            let part = &mut self.parts[limb.leaf.order()];
            if *part > 0.0 {
                let frequency = limb.leaf.cursor().frequency()?;
                *part = limb.score(doc, frequency);
            }
        }
        Ok(self.tree.value(&self.parts))
    }
}

/// Returns a bound of what a phrase adds to a document in which it occurs so often.
fn bound(leaf: &Leaf<'_>, doc: u32, frequency: u32) -> f64 {
    match frequency {
        0 => 0.0,
        _ => f64::from(leaf.scale().of_document(doc, frequency)),
    }
}
