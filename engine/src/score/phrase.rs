//! How often a phrase occurs in a document.
//!
//! Exact phrases count the positions where every slot has one of its terms. Sloppy ones follow
//! Lucene's `SloppyPhraseMatcher`: each match of width w ≤ slop counts 1 / (1 + w); [`super::window`]
//! finds them.

use tantivy::postings::{Postings, SegmentPostings};
use tantivy::{DocId, DocSet};

use super::window::{self, Slot, Window};

/// Finds a phrase in the documents of a segment, forwards only.
pub(crate) struct PhraseMatcher {
    slots: Vec<Slot>,
    /// Per slot: where positions of its alternatives are read from.
    postings: Vec<Vec<SegmentPostings>>,
    slop: u32,
    /// Per slot, ascending, without duplicates: position − offset; positions as they are where the
    /// phrase is sloppy.
    places: Vec<Vec<i64>>,
    /// Room for a window.
    at: Vec<usize>,
    buffer: Vec<u32>,
}

impl PhraseMatcher {
    /// Returns a matcher of `positions`; `postings` are those of each one's alternatives, at least one
    /// list.
    pub(crate) fn new(
        positions: &[(u32, Vec<String>)],
        postings: Vec<Vec<SegmentPostings>>,
        slop: u32,
    ) -> Self {
        let slots = window::slots(positions);
        Self {
            places: vec![Vec::new(); slots.len()],
            at: Vec::with_capacity(slots.len()),
            slots,
            postings,
            slop,
            buffer: Vec::new(),
        }
    }

    /// Returns the phrase's frequency in `doc`, 0 where it does not occur. `doc` never falls.
    pub(crate) fn frequency(&mut self, doc: DocId) -> f64 {
        for slot in 0..self.slots.len() {
            self.read_places(slot, doc);
            if self.places[slot].is_empty() {
                return 0.0;
            }
        }
        if self.slop == 0 {
            count_exact(&mut self.places)
        } else {
            self.count_sloppy()
        }
    }

    fn read_places(&mut self, slot: usize, doc: DocId) {
        let offset = match self.slop {
            0 => i64::from(self.slots[slot].offset),
            _ => 0,
        };
        let (lists, places) = (&mut self.postings[slot], &mut self.places[slot]);
        places.clear();
        for postings in lists.iter_mut() {
            if postings.doc() < doc {
                postings.seek(doc);
            }
            if postings.doc() == doc {
                postings.positions(&mut self.buffer);
                places.extend(self.buffer.iter().map(|&p| i64::from(p) - offset));
            }
        }
        if lists.len() > 1 {
            places.sort_unstable();
        }
        places.dedup();
    }

    fn count_sloppy(&mut self) -> f64 {
        let slop = i64::from(self.slop);
        let Some(mut window) = Window::open(&self.slots, &self.places, &mut self.at) else {
            return 0.0;
        };
        let mut frequency = 0.0;
        while let Some(width) = window.next_candidate(|_| {}) {
            if width <= slop {
                frequency += 1.0 / (1.0 + width as f64);
            }
        }
        frequency
    }
}

/// Counts the places that all slots have, and leaves them with the first one.
fn count_exact(places: &mut [Vec<i64>]) -> f64 {
    let (first, rest) = places.split_at_mut(1);
    for other in rest.iter() {
        let mut at = 0;
        first[0].retain(|place| {
            while other.get(at).is_some_and(|next| next < place) {
                at += 1;
            }
            other.get(at) == Some(place)
        });
    }
    first[0].len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_phrases_count_every_occurrence() {
        assert_eq!(count_exact(&mut [vec![1, 5, 9], vec![1, 6, 9]]), 2.0);
        assert_eq!(count_exact(&mut [vec![1], vec![1]]), 1.0);
        assert_eq!(count_exact(&mut [vec![1], vec![2]]), 0.0);
    }
}
