//! A term or a phrase as a part of a tree.

use super::super::driver::Leaves;
use super::super::leaf::{self, Leaf};
use super::super::phrase::{self, Finder};
use super::super::sink::Sink;
use crate::EngineError;

/// A term's list; or of a phrase that of its rarest term, which holds all its documents and bounds their
/// scores.
pub(in crate::search::prune) struct Limb<'a> {
    pub(super) leaf: Leaf<'a>,
    pub(super) phrase: Option<Box<Phrase<'a>>>,
}

/// A phrase, to be looked for in documents that hold its rarest term.
pub(in crate::search::prune) struct Phrase<'a> {
    /// Of all its terms, the rarest first.
    leaves: Leaves<'a>,
    finder: Finder<'a>,
    /// In the document that was looked at last.
    frequency: u32,
}

impl<'a> Limb<'a> {
    /// Returns the limb of a term.
    pub(in crate::search::prune) fn term(leaf: Leaf<'a>) -> Self {
        Self { leaf, phrase: None }
    }

    /// Returns the limb, in order of `first`, of a phrase that has at least two terms, the rarest first.
    pub(in crate::search::prune) fn phrase(
        first: usize,
        leaves: Leaves<'a>,
        finder: Finder<'a>,
    ) -> Self {
        Self {
            leaf: leaves[0].again(first),
            phrase: Some(Box::new(Phrase {
                leaves,
                finder,
                frequency: 0,
            })),
        }
    }

    pub(in crate::search::prune) fn leaf(&self) -> &Leaf<'a> {
        &self.leaf
    }

    /// Leaves the limb's memory to the thread's next one.
    pub(in crate::search::prune) fn recycle(self) {
        self.leaf.recycle();
        if let Some(phrase) = self.phrase {
            phrase.leaves.into_iter().for_each(Leaf::recycle);
        }
    }

    /// Leaves its lists in `leaves`, and returns what finds a phrase among them.
    pub(in crate::search::prune) fn into_leaves(
        self,
        leaves: &mut Leaves<'a>,
    ) -> Option<Finder<'a>> {
        let Some(phrase) = self.phrase else {
            leaves.push(self.leaf);
            return None;
        };
        self.leaf.recycle();
        leaves.extend(phrase.leaves);
        Some(phrase.finder)
    }

    pub(super) fn is_phrase(&self) -> bool {
        self.phrase.is_some()
    }

    /// Returns the canonical score of a document that holds the term so often, or the phrase that was
    /// counted last.
    pub(super) fn score(&self, doc: u32, frequency: u32) -> f64 {
        let counted = self.phrase.as_ref().map(|phrase| phrase.frequency);
        self.leaf.scale().score(doc, counted.unwrap_or(frequency))
    }
}

impl Phrase<'_> {
    /// Returns how often it may occur in a document, by its terms; 0 where it does not.
    pub(super) fn most_often(
        &mut self,
        doc: u32,
        sink: &mut Sink<'_, '_>,
    ) -> Result<u32, EngineError> {
        if leaf::seek_all(&mut self.leaves, doc, sink)? != doc {
            return Ok(0);
        }
        phrase::least_frequency(&mut self.leaves)
    }

    /// Returns how often it occurs in the document that [`Phrase::most_often`] was asked about and where
    /// it found all its terms.
    pub(super) fn count(&mut self, sink: &mut Sink<'_, '_>) -> Result<u32, EngineError> {
        self.frequency = self.finder.count(&mut self.leaves, sink)?;
        Ok(self.frequency)
    }
}
