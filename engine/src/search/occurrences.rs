//! Where the terms of a phrase stand together.
//!
//! Does: compare the positions of a phrase's terms in a document that holds all of them. Does not: find
//! such documents. Called by ranking ([`super::prune`]), which needs to know how often, and by counting
//! ([`super::tally`]), for which once is enough.

use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::EngineError;
use crate::blocks::{Cursor, Positions, TextColumn};

/// Slots that take no memory of their own: most phrases are short.
const FEW_SLOTS: usize = 4;

/// Finds a phrase in documents that hold its terms; documents ascend.
pub(super) struct Occurrences<'a> {
    text: &'a TextColumn,
    /// In the order of the phrase.
    slots: SmallVec<[Slot<'a>; FEW_SLOTS]>,
    /// Where the phrase may begin.
    starts: Vec<u32>,
    positions: Vec<u32>,
}

/// A term of a phrase, to be found in text.
struct Slot<'a> {
    term: &'a str,
    /// What to add to a position of the term for it to be the same number in all slots.
    shift: u32,
    /// Opened with the first document.
    positions: Option<Positions<'a>>,
}

/// The list of a phrase's term, which stands on the document that is looked at.
pub(super) struct SlotCursor<'c, 'a> {
    /// Place of the term in the phrase.
    pub(super) slot: usize,
    /// Its list.
    pub(super) cursor: &'c mut Cursor<'a>,
}

/// What is asked about a phrase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    HowOften,
    Whether,
}

impl<'a> Occurrences<'a> {
    /// Returns what finds `terms` in `text`, each at its one of `offsets`.
    pub(super) fn new(
        text: &'a TextColumn,
        terms: impl Iterator<Item = &'a str>,
        offsets: impl Iterator<Item = u32> + Clone,
    ) -> Self {
        let last = offsets.clone().max().unwrap_or(0);
        let slot = |(term, offset): (&'a str, u32)| Slot {
            term,
            shift: last - offset,
            positions: None,
        };
        Self {
            text,
            slots: terms.zip(offsets).map(slot).collect(),
            starts: Vec::new(),
            positions: Vec::new(),
        }
    }

    /// Returns how often the phrase occurs in the document that all of `lists` stand on, one per term,
    /// the rarest best first; calls `passed` with the number of positions it read; an error from it ends the walk.
    ///
    /// # Errors
    /// When the index cannot be read, or the evaluation must stop: a long phrase may stand in a long text.
    pub(super) fn count<'c>(
        &mut self,
        lists: impl Iterator<Item = SlotCursor<'c, 'a>>,
        passed: impl FnMut(u32) -> Result<(), EngineError>,
    ) -> Result<u32, EngineError>
    where
        'a: 'c,
    {
        self.find(lists, Question::HowOften, passed)
    }

    /// Returns whether the phrase occurs in the document; otherwise as [`Occurrences::count`].
    ///
    /// # Errors
    /// As [`Occurrences::count`].
    pub(super) fn is_any<'c>(
        &mut self,
        lists: impl Iterator<Item = SlotCursor<'c, 'a>>,
        passed: impl FnMut(u32) -> Result<(), EngineError>,
    ) -> Result<bool, EngineError>
    where
        'a: 'c,
    {
        Ok(self.find(lists, Question::Whether, passed)? > 0)
    }

    /// Returns the number of occurrences, or of any number of them 1 where that is all that is asked.
    fn find<'c>(
        &mut self,
        lists: impl Iterator<Item = SlotCursor<'c, 'a>>,
        question: Question,
        mut passed: impl FnMut(u32) -> Result<(), EngineError>,
    ) -> Result<u32, EngineError>
    where
        'a: 'c,
    {
        let last = self.slots.len() - 1;
        for (at, SlotCursor { slot, cursor }) in lists.enumerate() {
            self.slots[slot].read(self.text, cursor, &mut self.positions)?;
            passed(self.positions.len() as u32)?;
            if at == 0 {
                std::mem::swap(&mut self.starts, &mut self.positions);
                // A token may stand twice at one position.
                self.starts.dedup();
            } else if at == last && question == Question::Whether {
                return Ok(u32::from(have_common(&self.starts, &self.positions)));
            } else {
                keep_common(&mut self.starts, &self.positions);
            }
            if self.starts.is_empty() {
                break;
            }
        }
        Ok(self.starts.len() as u32)
    }
}

impl<'a> Slot<'a> {
    /// Leaves in `positions` where the term stands, shifted.
    fn read(
        &mut self,
        text: &'a TextColumn,
        cursor: &mut Cursor<'_>,
        positions: &mut Vec<u32>,
    ) -> Result<(), EngineError> {
        let opened = match &mut self.positions {
            Some(opened) => opened,
            none => none.insert(text.positions(self.term)?.ok_or_else(|| {
                EngineError::Corrupt(format!("`{}` has a list and no positions", self.term))
            })?),
        };
        opened.read(cursor, positions)?;
        if self.shift > 0 {
            for position in positions {
                *position = position.saturating_add(self.shift);
            }
        }
        Ok(())
    }
}

/// Keeps those of `kept` that are in `others`; both ascend.
fn keep_common(kept: &mut Vec<u32>, others: &[u32]) {
    let mut at = 0;
    kept.retain(|place| {
        while others.get(at).is_some_and(|other| other < place) {
            at += 1;
        }
        others.get(at) == Some(place)
    });
}

/// Returns whether any number is in both; both ascend.
fn have_common(mut some: &[u32], mut others: &[u32]) -> bool {
    while let ([one, rest @ ..], [other, other_rest @ ..]) = (some, others) {
        match one.cmp(other) {
            Ordering::Less => some = rest,
            Ordering::Greater => others = other_rest,
            Ordering::Equal => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_places_are_kept_and_the_first_is_enough_to_know_that_there_are_some() {
        for (some, others, common) in [
            (vec![1, 5, 9], vec![2, 5, 9, 12], vec![5, 9]),
            (vec![4], vec![1, 2, 4, 4], vec![4]),
            (vec![1, 3, 5], vec![2, 4, 6], vec![]),
            (vec![7], vec![], vec![]),
        ] {
            assert_eq!(have_common(&some, &others), !common.is_empty());
            let mut kept = some;
            keep_common(&mut kept, &others);
            assert_eq!(kept, common);
        }
    }
}
