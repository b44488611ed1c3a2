//! Words and phrases combined in any way: MaxScore over a tree, in windows of 2,048 documents.
//!
//! What [`any`](super::any) does for a sum is done here for a tree of sums and of the best of several:
//! its value never falls when one of its terms scores more, so the value for bounds of the terms is a
//! bound of the whole. Terms whose bounds, all others absent, do not reach the threshold, or do not make
//! a match at all, *follow*; the others *lead*. That is chosen anew for each window. So of two words that must
//! both match one follows from the start, and the words of a long field follow soon where those of a short
//! one weigh more. A phrase takes part as the list of its rarest term, and is looked for last.

mod columns;
mod document;
mod limb;
mod value;

use smallvec::{SmallVec, smallvec};
use tantivy::TERMINATED;

use super::sink::Sink;
use crate::EngineError;
use crate::blocks::BLOCK;
use columns::{Columns, WIDTH};
pub(super) use limb::Limb;
pub(super) use value::Tree;

/// Terms of a tree, at most: each may take a column of a window.
pub(super) const MOST_TERMS: usize = 64;

/// Postings that are added up in the time in which a document is looked for, if it is for all of the
/// leaders' documents.
const ADDED_UP: u64 = 8;

/// Of so many of the leaders' documents one is looked for where not all matches are counted.
const PASSED_OVER: u64 = 16;

/// A number per term, by its place in the tree; 0 where the term is absent.
type Parts = SmallVec<[f64; 16]>;

/// Returns whether documents may match where of the terms of `tree` only those of `limbs` occur.
pub(super) fn can_match(tree: &Tree, num_terms: usize, limbs: &[Limb<'_>]) -> bool {
    let mut parts = Parts::from_elem(0.0, num_terms);
    for Limb { leaf, .. } in limbs {
        parts[leaf.order()] = f64::from(leaf.scale().most());
    }
    tree.value(&parts) > 0.0
}

/// Walks limbs of which the longest comes first; each one's order is its place among the `num_terms`
/// of `tree`.
pub(super) fn drive(
    tree: &Tree,
    num_terms: usize,
    limbs: &mut [Limb<'_>],
    sink: &mut Sink<'_, '_>,
) -> Result<(), EngineError> {
    let mut walk = Walk {
        tree,
        caps: smallvec![0.0; num_terms],
        parts: smallvec![0.0; num_terms],
        leaders: SmallVec::new(),
        followers: SmallVec::new(),
        rests: SmallVec::new(),
        columns: Columns::take(limbs.len()),
        limbs,
    };
    walk.take_all(sink)?;
    walk.columns.give_back();
    Ok(())
}

struct Walk<'l, 'a> {
    tree: &'l Tree,
    /// By length, the longest first.
    limbs: &'l mut [Limb<'a>],
    /// Places of the lists that bring documents in.
    leaders: Places,
    /// Places of those that are only asked about them, the longest first.
    followers: Places,
    /// Beside them: sums of the bounds of those before.
    rests: SmallVec<[f64; 8]>,
    /// Bounds of the followers' terms.
    caps: Parts,
    /// Bounds, then scores, of a document's terms.
    parts: Parts,
    columns: Box<Columns>,
}

/// Places among the limbs.
type Places = SmallVec<[usize; 8]>;

/// What leads in a window.
struct Leader {
    start: u32,
    /// Places of the lists by column; those that help come last.
    lists: Places,
    num_helping: usize,
    /// Bound of what the followers add.
    rest: f64,
    /// Whether each of the lists that do not just help makes a match by itself.
    is_match: bool,
}

impl Walk<'_, '_> {
    fn take_all(&mut self, sink: &mut Sink<'_, '_>) -> Result<(), EngineError> {
        let mut next = 0;
        loop {
            sink.passed(BLOCK as u32)?;
            sink.update_reach();
            self.choose_leaders(sink);
            let heads = self.leaders.iter().map(|&at| self.limbs[at].leaf.head());
            let start = heads.min().unwrap_or(TERMINATED).max(next);
            if start == TERMINATED {
                return Ok(());
            }
            next = start.saturating_add(WIDTH).min(TERMINATED);
            self.take_window((start, next), sink)?;
        }
    }

    /// Lets lists follow, the longest first, as long as those by themselves are not enough.
    fn choose_leaders(&mut self, sink: &Sink<'_, '_>) {
        self.leaders.clear();
        self.followers.clear();
        self.caps.fill(0.0);
        for (at, Limb { leaf, .. }) in self.limbs.iter().enumerate() {
            self.caps[leaf.order()] = f64::from(leaf.scale().most());
            if is_enough(self.tree.value(&self.caps), sink) {
                self.caps[leaf.order()] = 0.0;
                self.leaders.push(at);
            } else {
                self.followers.push(at);
            }
        }
    }

    /// Takes the documents of a window.
    fn take_window(
        &mut self,
        (start, end): (u32, u32),
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), EngineError> {
        let mut present = Places::new();
        let mut leading = Places::new();
        for at in std::mem::take(&mut self.leaders) {
            let leaf = &mut self.limbs[at].leaf;
            if leaf.head() >= end {
                continue;
            }
            leaf.approach(start, sink)?;
            present.push(at);
            // Bounded by its blocks here, it may follow after all.
            let order = leaf.order();
            self.caps[order] = f64::from(leaf.bound_below(end));
            if is_enough(self.tree.value(&self.caps), sink) {
                self.caps[order] = 0.0;
                leading.push(at);
            } else {
                self.followers.push(at);
            }
        }
        if !leading.is_empty() {
            let leading = self.leading(start, leading, sink);
            self.fill(&leading, end, sink)?;
            self.drain(&leading, sink)?;
        }
        for at in present {
            self.limbs[at].leaf.go_behind(end, sink)?;
        }
        Ok(())
    }

    /// Makes the lists lead, helped by those followers of which it costs less to add up all they have in a
    /// window than to look for the leaders' documents.
    fn leading(&mut self, start: u32, mut lists: Places, sink: &Sink<'_, '_>) -> Leader {
        let (tree, limbs, parts) = (self.tree, &*self.limbs, &mut self.parts);
        parts.fill(0.0);
        let is_match = lists.iter().all(|&at| {
            let order = limbs[at].leaf.order();
            parts[order] = 1.0;
            let value = tree.value(parts);
            parts[order] = 0.0;
            value > 0.0 && !limbs[at].is_phrase()
        });
        let num_documents = |at: usize| u64::from(limbs[at].leaf.num_documents());
        let num_led: u64 = lists.iter().map(|&at| num_documents(at)).sum();
        let num_looked_for = match sink.is_counting() {
            true => num_led,
            false => num_led / PASSED_OVER,
        };
        let num_leading = lists.len();
        let caps = &mut self.caps;
        self.followers.retain(|&mut at| {
            let helps = num_documents(at) <= num_looked_for * ADDED_UP;
            if helps {
                caps[limbs[at].leaf.order()] = 0.0;
                lists.push(at);
            }
            !helps
        });
        let mut rest = 0.0;
        self.rests.clear();
        for &at in &self.followers {
            self.rests.push(rest);
            rest += caps[limbs[at].leaf.order()];
        }
        Leader {
            start,
            num_helping: lists.len() - num_leading,
            lists,
            rest,
            is_match,
        }
    }

    /// Notes how often the leading terms occur in the window's documents.
    fn fill(
        &mut self,
        leading: &Leader,
        end: u32,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), EngineError> {
        let start = leading.start;
        let num_marking = leading.lists.len() - leading.num_helping;
        for (column, at) in leading.lists.iter().enumerate() {
            let leaf = &mut self.limbs[*at].leaf;
            leaf.seek(start, sink)?;
            while let Some(postings) = leaf.take_below(end)? {
                self.columns.add(start, column, &postings);
                if column < num_marking {
                    self.columns.mark(start, postings.documents);
                }
                sink.passed(BLOCK as u32)?;
            }
        }
        Ok(())
    }

    /// Takes the documents that the columns hold, and leaves them empty.
    fn drain(&mut self, leading: &Leader, sink: &mut Sink<'_, '_>) -> Result<(), EngineError> {
        while let Some((at, sum)) = self.columns.take_next() {
            let may_rank = (f64::from(sum) + leading.rest) as f32 >= sink.reach();
            if may_rank || (sink.is_counting() && !leading.is_match) {
                self.take_document(at, leading, sink)?;
            } else if sink.is_counting() {
                sink.admits(leading.start + at);
            }
        }
        self.columns.clear(leading.lists.len());
        Ok(())
    }
}

/// Returns whether documents whose terms have these bounds are wanted.
fn is_enough(value: f64, sink: &Sink<'_, '_>) -> bool {
    value > 0.0 && (sink.is_counting() || value as f32 >= sink.reach())
}
