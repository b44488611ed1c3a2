//! Where the slots of a sloppy phrase stand close together.
//!
//! Follows Lucene's `SloppyPhraseMatcher`: the width of a match is the spread of the terms' positions
//! after each slot's offset is taken away. Slots that share a term never use the same token twice: of
//! two that meet on one, the one at the lesser place goes on, whichever was moved. That is always the
//! one that comes later in the phrase.
//!
//! Each move costs a look at all slots, so a long phrase in a long text takes seconds: steps are counted by
//! a [`Pace`], which ends it in time.
//! Called by `score::phrase`, which counts matches, and `fetch::highlight`, which marks them.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Deref;

use gleaner_partial::control::{Control, Pace, Stop};

/// One position of a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Position in the phrase.
    pub(crate) offset: u32,
    /// Which of the phrase's lists of terms it has, numbered in order of appearance: slots of the same
    /// terms share one.
    pub(crate) list: usize,
    /// The first slot of those that share terms with this one, directly or through others; `None`
    /// where none does.
    pub(crate) group: Option<usize>,
}

/// Returns the slots of a phrase of these alternatives by offset, which ascends.
pub(crate) fn slots(positions: &[(u32, Vec<String>)]) -> Vec<Slot> {
    let mut groups: Vec<usize> = (0..positions.len()).collect();
    let mut slot_of: HashMap<&str, usize> = HashMap::new();
    for (at, (_, terms)) in positions.iter().enumerate() {
        for term in terms {
            let other = *slot_of.entry(term.as_str()).or_insert(at);
            let (one, two) = (groups[at], groups[other]);
            if one == at {
                // Not joined to any yet: it alone is of that group. A text that says one word over and
                // over would else be walked for each.
                groups[at] = two;
            } else if one != two {
                let joined = groups.iter_mut().filter(|group| **group == one.max(two));
                joined.for_each(|group| *group = one.min(two));
            }
        }
    }
    let mut sizes = vec![0; positions.len()];
    for &group in &groups {
        sizes[group] += 1;
    }
    let mut lists: HashMap<&[String], usize> = HashMap::new();
    let mut slots = Vec::with_capacity(positions.len());
    for ((offset, terms), group) in positions.iter().zip(groups) {
        let next = lists.len();
        slots.push(Slot {
            offset: *offset,
            list: *lists.entry(terms.as_slice()).or_insert(next),
            group: (sizes[group] > 1).then_some(group),
        });
    }
    slots
}

/// Memory of a window, to be used again.
#[derive(Default)]
pub(crate) struct Room {
    /// Per slot: at which of its positions it is.
    at: Vec<usize>,
    /// Per slot: that position. Positions and places lie side by side, because all of them are looked
    /// through at each move.
    positions: Vec<i64>,
    /// Per slot: the position less the slot's offset.
    places: Vec<i64>,
}

impl Room {
    fn reset(&mut self, num_slots: usize) {
        self.at.clear();
        self.at.resize(num_slots, 0);
        for numbers in [&mut self.positions, &mut self.places] {
            numbers.clear();
            numbers.resize(num_slots, 0);
        }
    }
}

/// One place per slot, moving forwards. A place is a position less the slot's offset.
pub(crate) struct Window<'a, P> {
    slots: &'a [Slot],
    /// Per list of the slots: positions of its terms, ascending, without duplicates.
    lists: &'a [P],
    room: &'a mut Room,
    /// The largest place any slot has reached.
    end: i64,
    is_over: bool,
}

impl<'a, P: AsRef<[i64]>> Window<'a, P> {
    /// Returns a window at the start; `None` when the slots cannot have a token each. `lists` are the
    /// positions of the terms of each of the slots' lists, ascending, without duplicates.
    ///
    /// # Errors
    /// When `pace` stops.
    pub(crate) fn open<C: Deref<Target = Control>>(
        slots: &'a [Slot],
        lists: &'a [P],
        room: &'a mut Room,
        pace: &mut Pace<C>,
    ) -> Result<Option<Self>, Stop> {
        room.reset(slots.len());
        let mut window = Self {
            slots,
            lists,
            room,
            end: i64::MIN,
            is_over: slots.is_empty(),
        };
        for slot in 0..slots.len() {
            if !window.settle(slot, pace)? {
                return Ok(None);
            }
        }
        Ok(Some(window))
    }

    /// Moves the first slot on until it is not the first any more; returns the width of the narrowest
    /// of what it passed, a match where that is at most the slop. `note` is told which of their
    /// positions the slots are at, last where they stand closest.
    ///
    /// # Errors
    /// When `pace` stops; the window is of no use then.
    pub(crate) fn next_candidate<C: Deref<Target = Control>>(
        &mut self,
        pace: &mut Pace<C>,
        mut note: impl FnMut(&[usize]),
    ) -> Result<Option<i64>, Stop> {
        if self.is_over {
            return Ok(None);
        }
        pace.step(self.slots.len())?;
        let (lowest, next) = self.two_lowest();
        let mut width = self.end - self.room.places[lowest];
        note(&self.room.at);
        loop {
            if !self.advance(lowest, pace)? {
                self.is_over = true;
                break;
            }
            let place = self.room.places[lowest];
            if place > next {
                break;
            }
            let narrower = self.end - place;
            if narrower < width {
                width = narrower;
                note(&self.room.at);
            }
        }
        Ok(Some(width))
    }

    /// Returns the slot at the lowest place, of equals the first in the phrase, and the next lowest
    /// place.
    fn two_lowest(&self) -> (usize, i64) {
        let (mut lowest, mut least, mut next) = (0, i64::MAX, i64::MAX);
        for (slot, &place) in self.room.places.iter().enumerate() {
            if place < least {
                (lowest, least, next) = (slot, place, least);
            } else if place < next {
                next = place;
            }
        }
        (lowest, next)
    }

    /// Puts a slot on its first token that no slot before it uses; false where there is none.
    ///
    /// Put one after the other, slots stand where moving on those that meet, from everybody's first
    /// token and in any order, would leave them: a token is always left to the first slot that wants it.
    fn settle<C: Deref<Target = Control>>(
        &mut self,
        slot: usize,
        pace: &mut Pace<C>,
    ) -> Result<bool, Stop> {
        let Slot { list, group, .. } = self.slots[slot];
        let Some(group) = group else {
            pace.step(1)?;
            return Ok(self.stand_on(slot, 0));
        };
        let mut before = self.slots[group..slot].iter();
        // The last slot of the same terms has left no token free before its own.
        let last = before.rposition(|other| other.list == list);
        let mut at = last.map_or(0, |last| self.room.at[group + last] + 1);
        while self.stand_on(slot, at) {
            pace.step(1 + slot - group)?;
            if !(group..slot).any(|other| self.meet(other, slot)) {
                return Ok(true);
            }
            at += 1;
        }
        Ok(false)
    }

    /// Moves a slot to its next token, and on those that use the same one; false at the end. At most one
    /// pair of slots meets at a time, because none did before.
    fn advance<C: Deref<Target = Control>>(
        &mut self,
        mut slot: usize,
        pace: &mut Pace<C>,
    ) -> Result<bool, Stop> {
        loop {
            let next = self.room.at[slot] + 1;
            if !self.stand_on(slot, next) {
                return Ok(false);
            }
            let Some(group) = self.slots[slot].group else {
                pace.step(1)?;
                return Ok(true);
            };
            pace.step(1 + self.slots.len() - group)?;
            let mut others = group..self.slots.len();
            match others.find(|&other| other != slot && self.meet(other, slot)) {
                Some(other) => slot = slot.max(other),
                None => return Ok(true),
            }
        }
    }

    /// Puts a slot on one of its positions; false where it has not so many.
    fn stand_on(&mut self, slot: usize, at: usize) -> bool {
        let Slot { offset, list, .. } = self.slots[slot];
        let Some(&position) = self.lists[list].as_ref().get(at) else {
            return false;
        };
        let place = position - i64::from(offset);
        self.room.at[slot] = at;
        self.room.positions[slot] = position;
        self.room.places[slot] = place;
        self.end = self.end.max(place);
        true
    }

    /// Returns whether two slots that may share tokens use the same one.
    fn meet(&self, one: usize, two: usize) -> bool {
        self.room.positions[one] == self.room.positions[two]
            && self.slots[one].group == self.slots[two].group
    }
}
