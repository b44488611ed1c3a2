//! How often a phrase occurs in a document.
//!
//! Exact phrases count the positions where every slot has one of its terms. Sloppy ones follow
//! Lucene's `SloppyPhraseMatcher`: each match of width w ≤ slop counts 1 / (1 + w); [`super::window`]
//! finds them.

use tantivy::postings::{Postings, SegmentPostings};
use tantivy::{DocId, DocSet};

use super::window::{Track, Window};

/// One position of a phrase with the postings of its alternatives.
pub(crate) struct Slot {
    /// Position in the phrase.
    pub(crate) offset: u32,
    /// Positions are read from these.
    pub(crate) postings: Vec<SegmentPostings>,
    /// The first earlier slot that shares a term with this one.
    pub(crate) repeats: Option<usize>,
}

/// Finds a phrase in the documents of a segment, forwards only.
pub(crate) struct PhraseMatcher {
    slots: Vec<Slot>,
    slop: u32,
    /// Per slot, ascending, without duplicates: position − offset; positions as they are where the
    /// phrase is sloppy.
    places: Vec<Vec<i64>>,
    buffer: Vec<u32>,
}

impl PhraseMatcher {
    /// Returns a matcher; every slot has at least one posting list.
    pub(crate) fn new(slots: Vec<Slot>, slop: u32) -> Self {
        let places = slots.iter().map(|_| Vec::new()).collect();
        Self {
            slots,
            slop,
            places,
            buffer: Vec::new(),
        }
    }

    /// Returns the phrase's frequency in `doc`, 0 where it does not occur. `doc` never falls.
    pub(crate) fn frequency(&mut self, doc: DocId) -> f64 {
        for at in 0..self.slots.len() {
            self.read_places(at, doc);
            if self.places[at].is_empty() {
                return 0.0;
            }
        }
        if self.slop == 0 {
            self.count_exact()
        } else {
            self.count_sloppy()
        }
    }

    fn read_places(&mut self, at: usize, doc: DocId) {
        let (slot, places) = (&mut self.slots[at], &mut self.places[at]);
        places.clear();
        let offset = match self.slop {
            0 => i64::from(slot.offset),
            _ => 0,
        };
        for postings in &mut slot.postings {
            if postings.doc() < doc {
                postings.seek(doc);
            }
            if postings.doc() == doc {
                postings.positions(&mut self.buffer);
                places.extend(self.buffer.iter().map(|&p| i64::from(p) - offset));
            }
        }
        if slot.postings.len() > 1 {
            places.sort_unstable();
        }
        places.dedup();
    }

    fn count_exact(&mut self) -> f64 {
        let (first, rest) = self.places.split_at_mut(1);
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

    fn count_sloppy(&self) -> f64 {
        let slop = i64::from(self.slop);
        let tracks = self.slots.iter().zip(&self.places);
        let tracks = tracks.map(|(slot, positions)| Track {
            offset: slot.offset,
            repeats: slot.repeats,
            positions,
        });
        let Some(mut window) = Window::open(tracks.collect()) else {
            return 0.0;
        };
        let mut frequency = 0.0;
        while let Some(candidate) = window.next_candidate() {
            frequency += weight_of(candidate.width, slop);
        }
        frequency
    }
}

fn weight_of(width: i64, slop: i64) -> f64 {
    if width <= slop {
        1.0 / (1.0 + width as f64)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sloppy(slots: &[(u32, Option<usize>, &[u32])], slop: u32) -> f64 {
        let places = slots
            .iter()
            .map(|(offset, _, at)| {
                let offset = if slop == 0 { i64::from(*offset) } else { 0 };
                at.iter().map(|&p| i64::from(p) - offset).collect()
            })
            .collect();
        let slots = slots
            .iter()
            .map(|&(offset, repeats, _)| Slot {
                offset,
                postings: Vec::new(),
                repeats,
            })
            .collect();
        let mut matcher = PhraseMatcher {
            slots,
            slop,
            places,
            buffer: Vec::new(),
        };
        if slop == 0 {
            matcher.count_exact()
        } else {
            matcher.count_sloppy()
        }
    }

    #[test]
    fn exact_phrases_count_every_occurrence() {
        assert_eq!(
            sloppy(&[(0, None, &[1, 5, 9]), (1, None, &[2, 7, 10])], 0),
            2.0
        );
        assert_eq!(sloppy(&[(0, None, &[1]), (2, None, &[3])], 0), 1.0);
    }

    #[test]
    fn wider_matches_count_less() {
        assert_eq!(sloppy(&[(0, None, &[1]), (1, None, &[2])], 1), 1.0);
        assert_eq!(sloppy(&[(0, None, &[1]), (1, None, &[3])], 1), 0.5);
        assert_eq!(sloppy(&[(0, None, &[1]), (1, None, &[4])], 1), 0.0);
        // Swapped neighbours take two moves.
        assert_eq!(sloppy(&[(0, None, &[2]), (1, None, &[1])], 2), 1.0 / 3.0);
    }

    #[test]
    fn a_repeated_term_needs_two_tokens() {
        assert_eq!(sloppy(&[(0, None, &[5]), (1, Some(0), &[5])], 3), 0.0);
        assert_eq!(sloppy(&[(0, None, &[5, 7]), (1, Some(0), &[5, 7])], 3), 0.5);
    }
}
