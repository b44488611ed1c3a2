//! Words combined in any way: MaxScore over a tree, in windows of 2,048 documents.
//!
//! What [`any`](super::any) does for a sum is done here for a tree of sums and of the best of several:
//! its value never falls when one of its terms scores more, so the value for bounds of the terms is a
//! bound of the whole. Terms whose bounds, all others absent, do not reach the threshold, or do not make
//! a match at all, *follow*; the others *lead*. So of two words that must both match one follows from the
//! start, and the words of a long field follow soon where those of a short one weigh more.

mod columns;
mod value;

use smallvec::{SmallVec, smallvec};
use tantivy::TERMINATED;

use super::leaf::Leaf;
use super::sink::Sink;
use crate::EngineError;
use crate::blocks::BLOCK;
use columns::{Columns, WIDTH};
pub(super) use value::Tree;

/// Terms of a tree, at most: each may take a column of a window.
pub(super) const MOST_TERMS: usize = 64;

/// A number per term, by its place in the tree; 0 where the term is absent.
type Parts = SmallVec<[f64; 16]>;

/// Walks lists of which the one with the least bound comes first; each one's order is its place among
/// the `num_terms` of `tree`.
pub(super) fn drive(
    tree: &Tree,
    num_terms: usize,
    leaves: &mut [Leaf<'_>],
    sink: &mut Sink<'_, '_>,
) -> Result<(), EngineError> {
    let mut walk = Walk {
        tree,
        caps: smallvec![0.0; num_terms],
        parts: smallvec![0.0; num_terms],
        leaders: (0..leaves.len()).collect(),
        followers: SmallVec::new(),
        columns: Columns::take(leaves.len()),
        leaves,
    };
    walk.take_all(sink)?;
    walk.columns.give_back();
    Ok(())
}

struct Walk<'l, 'a> {
    tree: &'l Tree,
    /// By bound, the least first.
    leaves: &'l mut [Leaf<'a>],
    /// Places of the lists that bring documents in, by bound.
    leaders: SmallVec<[usize; 8]>,
    /// Places of those that are only asked about them.
    followers: SmallVec<[usize; 8]>,
    /// Bounds of the followers' terms.
    caps: Parts,
    /// Bounds, then scores, of a document's terms.
    parts: Parts,
    columns: Columns,
}

impl Walk<'_, '_> {
    fn take_all(&mut self, sink: &mut Sink<'_, '_>) -> Result<(), EngineError> {
        let mut next = 0;
        loop {
            sink.passed(BLOCK as u32)?;
            sink.update_reach();
            self.let_follow(sink);
            let heads = self.leaders.iter().map(|&at| self.leaves[at].head());
            let start = heads.min().unwrap_or(TERMINATED).max(next);
            if start == TERMINATED {
                return Ok(());
            }
            next = start.saturating_add(WIDTH).min(TERMINATED);
            self.take_window((start, next), sink)?;
        }
    }

    /// Lets leaders follow as long as the followers by themselves are not enough.
    fn let_follow(&mut self, sink: &Sink<'_, '_>) {
        let (tree, leaves) = (self.tree, &*self.leaves);
        let (caps, followers) = (&mut self.caps, &mut self.followers);
        self.leaders.retain(|&mut at| {
            let leaf = &leaves[at];
            caps[leaf.order()] = f64::from(leaf.scale().most());
            let leads = is_enough(tree.value(caps), sink);
            if leads {
                caps[leaf.order()] = 0.0;
            } else {
                followers.push(at);
            }
            leads
        });
    }

    /// Takes the documents of a window.
    fn take_window(
        &mut self,
        (start, end): (u32, u32),
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), EngineError> {
        let mut present: SmallVec<[(f32, usize); 8]> = SmallVec::new();
        for &at in &self.leaders {
            let leaf = &mut self.leaves[at];
            if leaf.head() < end {
                leaf.approach(start, sink)?;
                present.push((leaf.bound_below(end), at));
            }
        }
        present.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let num_following = self.followers.len();
        let caps = self.caps.clone();
        let mut leading: SmallVec<[usize; 8]> = SmallVec::new();
        for &(bound, at) in &present {
            let order = self.leaves[at].order();
            self.caps[order] = f64::from(bound);
            if is_enough(self.tree.value(&self.caps), sink) {
                self.caps[order] = 0.0;
                leading.push(at);
            } else {
                self.followers.push(at);
            }
        }
        if !leading.is_empty() {
            self.fill((start, end), &leading, sink)?;
            self.drain(start, &leading, sink)?;
        }
        self.followers.truncate(num_following);
        self.caps = caps;
        for (_, at) in present {
            self.leaves[at].go_behind(end, sink)?;
        }
        Ok(())
    }

    /// Notes how often the leading terms occur in the window's documents.
    fn fill(
        &mut self,
        (start, end): (u32, u32),
        leading: &[usize],
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), EngineError> {
        for (column, at) in leading.iter().enumerate() {
            let leaf = &mut self.leaves[*at];
            leaf.seek(start, sink)?;
            while let Some((documents, frequencies, _)) = leaf.take_below(end)? {
                self.columns.fill(column, start, documents, frequencies);
                sink.passed(BLOCK as u32)?;
            }
        }
        Ok(())
    }

    /// Takes the documents that the columns hold, and leaves them empty.
    fn drain(
        &mut self,
        start: u32,
        leading: &[usize],
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), EngineError> {
        let mut frequencies: SmallVec<[u32; 8]> = smallvec![0; leading.len()];
        while let Some(at) = self.columns.take_next(&mut frequencies) {
            let doc = start + at;
            self.parts.copy_from_slice(&self.caps);
            for (&at, &frequency) in leading.iter().zip(&frequencies) {
                if frequency > 0 {
                    let leaf = &self.leaves[at];
                    let bound = leaf.scale().of_document(doc, frequency);
                    self.parts[leaf.order()] = f64::from(bound);
                }
            }
            if !self.complete(doc, sink)? || !sink.admits(doc) {
                continue;
            }
            if self.tree.value(&self.parts) as f32 >= sink.reach() {
                let score = self.score(doc, leading, &frequencies)?;
                sink.offer(doc, score as f32)?;
            }
        }
        Ok(())
    }

    /// Completes the bounds of a document's terms from the followers; returns whether it matches and,
    /// unless matches are counted, may be among the best. If not, not all followers stand on it.
    fn complete(&mut self, doc: u32, sink: &mut Sink<'_, '_>) -> Result<bool, EngineError> {
        if !is_enough(self.tree.value(&self.parts), sink) {
            return Ok(false);
        }
        for &at in self.followers.iter().rev() {
            let leaf = &mut self.leaves[at];
            leaf.approach(doc, sink)?;
            let part = &mut self.parts[leaf.order()];
            *part = part.min(f64::from(leaf.block_bound()));
            if !is_enough(self.tree.value(&self.parts), sink) {
                return Ok(false);
            }
            let is_there = leaf.seek(doc, sink)? == doc;
            self.parts[leaf.order()] = if is_there {
                f64::from(leaf.document_bound()?)
            } else {
                0.0
            };
            if !is_enough(self.tree.value(&self.parts), sink) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the canonical score of a document that matches.
    fn score(
        &mut self,
        doc: u32,
        leading: &[usize],
        frequencies: &[u32],
    ) -> Result<f64, EngineError> {
        for (&at, &frequency) in leading.iter().zip(frequencies) {
            let leaf = &self.leaves[at];
            if frequency > 0 {
                self.parts[leaf.order()] = leaf.scale().score(doc, frequency);
            }
        }
        for &at in &self.followers {
            let leaf = &mut self.leaves[at];
            if leaf.document() == doc {
                self.parts[leaf.order()] = leaf.score()?;
            }
        }
        Ok(self.tree.value(&self.parts))
    }
}

/// Returns whether documents whose terms have these bounds are wanted.
fn is_enough(value: f64, sink: &Sink<'_, '_>) -> bool {
    value > 0.0 && (sink.is_counting() || value as f32 >= sink.reach())
}
