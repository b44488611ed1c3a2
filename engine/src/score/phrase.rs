//! How often a phrase occurs in a document.
//!
//! Exact phrases count the positions where every slot has one of its terms. Sloppy ones follow
//! Lucene's `SloppyPhraseMatcher`: each match of width w ≤ slop counts 1 / (1 + w), where w is the
//! spread of the terms' positions after each slot's offset is taken away; slots that share a term
//! never use the same token twice.

use tantivy::postings::{Postings, SegmentPostings};
use tantivy::{DocId, DocSet};

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
    /// Per slot, ascending, without duplicates: position − offset.
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
        for postings in &mut slot.postings {
            if postings.doc() < doc {
                postings.seek(doc);
            }
            if postings.doc() == doc {
                postings.positions(&mut self.buffer);
                places.extend(
                    self.buffer
                        .iter()
                        .map(|&p| i64::from(p) - i64::from(slot.offset)),
                );
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
        let Some(mut window) = Window::open(&self.slots, &self.places) else {
            return 0.0;
        };
        let mut frequency = 0.0;
        loop {
            let (lowest, next) = window.two_lowest();
            let mut width = window.end - window.place(lowest);
            loop {
                if !window.advance(lowest) {
                    return frequency + weight_of(width, slop);
                }
                if window.place(lowest) > next {
                    break;
                }
                width = width.min(window.end - window.place(lowest));
            }
            frequency += weight_of(width, slop);
        }
    }
}

fn weight_of(width: i64, slop: i64) -> f64 {
    if width <= slop {
        1.0 / (1.0 + width as f64)
    } else {
        0.0
    }
}

/// One place per slot, moving forwards.
struct Window<'a> {
    slots: &'a [Slot],
    places: &'a [Vec<i64>],
    at: Vec<usize>,
    /// The largest place any slot has reached.
    end: i64,
}

impl<'a> Window<'a> {
    fn open(slots: &'a [Slot], places: &'a [Vec<i64>]) -> Option<Self> {
        let mut window = Self {
            slots,
            places,
            at: vec![0; slots.len()],
            end: i64::MIN,
        };
        for slot in 0..slots.len() {
            if !window.leave_shared_tokens(slot, slot) {
                return None;
            }
        }
        window.end = (0..slots.len()).map(|slot| window.place(slot)).max()?;
        Some(window)
    }

    fn place(&self, slot: usize) -> i64 {
        self.places[slot][self.at[slot]]
    }

    /// Returns the slot at the lowest place (the first of equals) and the next lowest place.
    fn two_lowest(&self) -> (usize, i64) {
        let lowest = (0..self.at.len())
            .min_by_key(|&slot| self.place(slot))
            .unwrap_or(0);
        let others = (0..self.at.len()).filter(|&slot| slot != lowest);
        let next = others
            .map(|slot| self.place(slot))
            .min()
            .unwrap_or(i64::MAX);
        (lowest, next)
    }

    fn advance(&mut self, slot: usize) -> bool {
        self.at[slot] += 1;
        let all = self.slots.len();
        if self.at[slot] == self.places[slot].len() || !self.leave_shared_tokens(slot, all) {
            return false;
        }
        self.end = self.end.max(self.place(slot));
        true
    }

    /// Moves `slot` on while it stands on a token that one of the first `num_others` slots uses for
    /// the same term; false at the end.
    fn leave_shared_tokens(&mut self, slot: usize, num_others: usize) -> bool {
        while self.is_shared(slot, num_others) {
            self.at[slot] += 1;
            if self.at[slot] == self.places[slot].len() {
                return false;
            }
        }
        true
    }

    fn is_shared(&self, slot: usize, num_others: usize) -> bool {
        let group = self.slots[slot].repeats.unwrap_or(slot);
        let token = |other: usize| self.place(other) + i64::from(self.slots[other].offset);
        (0..num_others).any(|other| {
            other != slot
                && self.slots[other].repeats.unwrap_or(other) == group
                && token(other) == token(slot)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sloppy(slots: &[(u32, Option<usize>, &[u32])], slop: u32) -> f64 {
        let places = slots
            .iter()
            .map(|(offset, _, at)| {
                at.iter()
                    .map(|&p| i64::from(p) - i64::from(*offset))
                    .collect()
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
