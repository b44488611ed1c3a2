//! Lists that are only asked about documents which others bring in.

use smallvec::SmallVec;

use super::super::leaf::Leaf;
use super::super::sink::Sink;
use crate::EngineError;

/// Followers with their bounds, the least first.
#[derive(Default)]
pub(super) struct Followers {
    /// Places of the leaves, each with the sum of its bound and of those before.
    sums: SmallVec<[(usize, f32); 8]>,
}

impl Followers {
    /// Adds the leaf at `at` unless the bounds then reach `reach`; returns whether it was added.
    pub(super) fn add_below(&mut self, at: usize, bound: f32, reach: f32) -> bool {
        let sum = self.bound() + bound;
        let is_below = sum < reach;
        if is_below {
            self.sums.push((at, sum));
        }
        is_below
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.sums.len()
    }

    /// Returns the places of the leaves.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.sums.iter().map(|(at, _)| *at)
    }

    /// Returns a bound of what all of them add to a document.
    pub(super) fn bound(&self) -> f32 {
        self.sums.last().map_or(0.0, |(_, sum)| *sum)
    }

    /// Completes the bound of what other lists give `doc`, as long as it may reach the threshold;
    /// returns something below that when it cannot. Then not all followers stand on `doc`.
    pub(super) fn complete(
        &self,
        leaves: &mut [Leaf<'_>],
        doc: u32,
        mut bound: f32,
        sink: &mut Sink<'_, '_>,
    ) -> Result<f32, EngineError> {
        for (position, (at, sum)) in self.sums.iter().enumerate().rev() {
            if bound + sum < sink.reach() {
                return Ok(f32::NEG_INFINITY);
            }
            let rest = position
                .checked_sub(1)
                .map_or(0.0, |before| self.sums[before].1);
            let leaf = &mut leaves[*at];
            leaf.approach(doc, sink)?;
            if bound + leaf.block_bound() + rest < sink.reach() {
                return Ok(f32::NEG_INFINITY);
            }
            if leaf.seek(doc, sink)? == doc {
                bound += leaf.document_bound()?;
            }
        }
        Ok(bound)
    }
}
