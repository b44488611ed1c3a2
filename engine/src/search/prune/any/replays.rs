//! Second cursors, for the canonical scores of documents that the first ones have passed.

use smallvec::SmallVec;

use super::super::leaf::Leaf;
use crate::EngineError;
use crate::blocks::{Cursor, Place};

/// A second cursor per list.
#[derive(Default)]
pub(super) struct Replays<'a> {
    /// Made when they are needed first.
    cursors: Vec<Cursor<'a>>,
    /// Where the first cursors stood when the window began.
    places: SmallVec<[Place; 8]>,
}

impl<'a> Replays<'a> {
    /// Leaves the cursors' memory to the thread's next ones.
    pub(super) fn recycle(self) {
        self.cursors.into_iter().for_each(Cursor::recycle);
    }

    /// Notes where the cursors stand: no document before will be asked about.
    pub(super) fn note(&mut self, leaves: &[Leaf<'a>]) {
        self.places.clear();
        self.places.extend(leaves.iter().map(|leaf| *leaf.place()));
    }

    /// Returns the canonical score of `doc`, which is not before the places noted and never falls;
    /// `parts` is as long as there are leaves.
    pub(super) fn score(
        &mut self,
        leaves: &[Leaf<'a>],
        doc: u32,
        parts: &mut [f64],
    ) -> Result<f64, EngineError> {
        if self.cursors.is_empty() {
            self.cursors = leaves
                .iter()
                .map(|leaf| Cursor::new(*leaf.list()))
                .collect();
        }
        parts.fill(0.0);
        for ((leaf, cursor), place) in leaves.iter().zip(&mut self.cursors).zip(&self.places) {
            if cursor.place().index < place.index {
                cursor.jump(*place);
            }
            while !cursor.approach(doc) {}
            if cursor.find(doc)? == doc {
                parts[leaf.order()] = leaf.scale().score(doc, cursor.frequency()?);
            }
        }
        let mut sum = 0.0;
        for part in &*parts {
            sum += part;
        }
        Ok(sum)
    }
}
