//! How often a phrase occurs in a document.
//!
//! Exact phrases count the positions where every slot has one of its terms. Sloppy ones follow
//! Lucene's `SloppyPhraseMatcher`: each match of width w ≤ slop counts 1 / (1 + w); [`super::window`]
//! finds them.

use std::sync::Arc;

use gleaner_partial::control::{Control, HighWater, Pace, Stop};
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::{DocId, DocSet};

use super::intervals::{Steps, Work};
use super::window::{Room, Slot, Window};

/// Finds a phrase in the documents of a segment, forwards only.
pub(crate) struct PhraseMatcher {
    slots: Vec<Slot>,
    /// Per list of the slots: where positions of its terms are read from.
    postings: Vec<Vec<SegmentPostings>>,
    slop: u32,
    /// Per list of the slots: its positions, ascending, without duplicates.
    positions: Vec<Vec<i64>>,
    /// Where an exact phrase may begin: positions less offsets.
    starts: Vec<i64>,
    room: Room,
    buffer: Vec<u32>,
    pace: Pace<Arc<Control>>,
    held: HighWater,
}

impl PhraseMatcher {
    /// Returns a matcher of `slots`, at least one; `postings` are those of the terms of each of their
    /// lists, at least one each.
    pub(crate) fn new(
        slots: Vec<Slot>,
        postings: Vec<Vec<SegmentPostings>>,
        slop: u32,
        control: &Arc<Control>,
    ) -> Self {
        Self {
            positions: vec![Vec::new(); postings.len()],
            starts: Vec::new(),
            room: Room::default(),
            buffer: Vec::new(),
            pace: Pace::new(Arc::clone(control)),
            held: HighWater::default(),
            slots,
            postings,
            slop,
        }
    }

    /// Returns the phrase's frequency in `doc`, 0 where it does not occur. `doc` never falls.
    ///
    /// Where the time is over within a document it returns 0 too, and [`Control::check_whole`] tells.
    pub(crate) fn frequency(&mut self, doc: DocId) -> f64 {
        self.count(doc).unwrap_or_else(|_| {
            self.pace.control().cut_short();
            0.0
        })
    }

    fn count(&mut self, doc: DocId) -> Result<f64, Stop> {
        for list in 0..self.postings.len() {
            let (lists, positions) = (&mut self.postings[list], &mut self.positions[list]);
            let mut work = Work {
                pace: &mut self.pace,
                held: &mut self.held,
            };
            read_positions(lists, doc, &mut self.buffer, positions, &mut work)?;
            let num_positions = positions.len();
            work.step(1 + num_positions)?;
            if num_positions == 0 {
                return Ok(0.0);
            }
        }
        if self.slop == 0 {
            self.count_exact()
        } else {
            self.count_sloppy()
        }
    }

    fn count_exact(&mut self) -> Result<f64, Stop> {
        let Some((first, rest)) = self.slots.split_first() else {
            return Ok(0.0);
        };
        let offset = i64::from(first.offset);
        let positions = &self.positions[first.list];
        let missing = positions.len().saturating_sub(self.starts.capacity());
        let control = self.pace.control();
        self.held.hold(missing * size_of::<i64>(), control)?;
        self.starts.clear();
        self.starts.reserve_exact(positions.len());
        let positions = positions.iter();
        self.starts
            .extend(positions.map(|position| position - offset));
        for slot in rest {
            let positions = &self.positions[slot.list];
            self.pace.step(self.starts.len() + positions.len())?;
            keep_followed(&mut self.starts, positions, i64::from(slot.offset));
            if self.starts.is_empty() {
                break;
            }
        }
        Ok(self.starts.len() as f64)
    }

    fn count_sloppy(&mut self) -> Result<f64, Stop> {
        let slop = i64::from(self.slop);
        let pace = &mut self.pace;
        let window = Window::open(&self.slots, &self.positions, &mut self.room, pace)?;
        let Some(mut window) = window else {
            return Ok(0.0);
        };
        let mut frequency = 0.0;
        while let Some(width) = window.next_candidate(pace, |_| {})? {
            if width <= slop {
                frequency += 1.0 / (1.0 + width as f64);
            }
        }
        Ok(frequency)
    }
}

/// Reads where any of some terms stands in `doc`: `positions` ascend, each once. `doc` never falls. What the lists take
/// more than before is held before it is read.
pub(super) fn read_positions(
    lists: &mut [SegmentPostings],
    doc: DocId,
    buffer: &mut Vec<u32>,
    positions: &mut Vec<i64>,
    work: &mut impl Steps,
) -> Result<(), Stop> {
    positions.clear();
    for postings in lists.iter_mut() {
        if postings.doc() < doc {
            postings.seek(doc);
        }
        if postings.doc() == doc {
            let more = postings.term_freq() as usize;
            work.hold(size_of::<u32>() * more.saturating_sub(buffer.capacity()))?;
            let wanted = positions.len() + more;
            if wanted > positions.capacity() {
                // They grow by doubling where several lists are read.
                let grown = wanted.max(2 * positions.len());
                work.hold(size_of::<i64>() * (grown - positions.capacity()))?;
                positions.reserve_exact(grown - positions.len());
            }
            postings.positions(buffer);
            positions.extend(buffer.iter().copied().map(i64::from));
        }
    }
    if lists.len() > 1 {
        positions.sort_unstable();
    }
    positions.dedup();
    Ok(())
}

/// Keeps those of `starts` that have one of `positions` at a distance; both ascend.
fn keep_followed(starts: &mut Vec<i64>, positions: &[i64], distance: i64) {
    let mut at = 0;
    starts.retain(|start| {
        let wanted = start + distance;
        while positions.get(at).is_some_and(|next| *next < wanted) {
            at += 1;
        }
        positions.get(at) == Some(&wanted)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_kept_where_a_position_is_at_the_distance() {
        let kept = |starts: &[i64], positions: &[i64], distance| {
            let mut starts = starts.to_vec();
            keep_followed(&mut starts, positions, distance);
            starts
        };
        assert_eq!(kept(&[1, 5, 9], &[1, 6, 9], 0), [1, 9]);
        assert_eq!(kept(&[1, 5, 9], &[2, 3, 10], 1), [1, 9]);
        assert_eq!(kept(&[-2, 4], &[0, 6], 2), [-2, 4]);
        assert!(kept(&[1], &[1], 1).is_empty());
        assert!(kept(&[1], &[], 0).is_empty());
    }
}
