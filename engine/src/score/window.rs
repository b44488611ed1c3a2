//! Where the slots of a sloppy phrase stand close together.
//!
//! Follows Lucene's `SloppyPhraseMatcher`: the width of a match is the spread of the terms' positions
//! after each slot's offset is taken away. Slots that share a term never use the same token twice: of
//! two that meet on one, the one at the lesser place goes on, whichever was moved.
//! Called by `score::phrase`, which counts matches, and `fetch::highlight`, which marks them.

use std::collections::HashMap;

/// One position of a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Position in the phrase.
    pub(crate) offset: u32,
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
    let slot = |((offset, _), group): (&(u32, Vec<String>), usize)| Slot {
        offset: *offset,
        group: (sizes[group] > 1).then_some(group),
    };
    positions.iter().zip(groups).map(slot).collect()
}

/// One place per slot, moving forwards. A place is a position less the slot's offset.
pub(crate) struct Window<'a, P> {
    slots: &'a [Slot],
    /// Per slot: positions of its terms, ascending, without duplicates, at least one.
    positions: &'a [P],
    /// Per slot: at which of its positions it is.
    at: &'a mut Vec<usize>,
    /// The largest place any slot has reached.
    end: i64,
    is_over: bool,
}

impl<'a, P: AsRef<[i64]>> Window<'a, P> {
    /// Returns a window at the start; `None` when the slots cannot have a token each. `positions` are
    /// those of each slot's terms, ascending, without duplicates, at least one; `at` is room.
    pub(crate) fn open(
        slots: &'a [Slot],
        positions: &'a [P],
        at: &'a mut Vec<usize>,
    ) -> Option<Self> {
        at.clear();
        at.resize(slots.len(), 0);
        let mut window = Self {
            slots,
            positions,
            at,
            end: i64::MIN,
            is_over: false,
        };
        if !window.part_all() {
            return None;
        }
        window.end = (0..slots.len()).map(|slot| window.place(slot)).max()?;
        Some(window)
    }

    /// Moves the first slot on until it is not the first any more; returns the width of the narrowest
    /// of what it passed, a match where that is at most the slop. `note` is told which of their
    /// positions the slots are at, last where they stand closest.
    pub(crate) fn next_candidate(&mut self, mut note: impl FnMut(&[usize])) -> Option<i64> {
        if self.is_over {
            return None;
        }
        let (lowest, next) = self.two_lowest();
        let mut width = self.end - self.place(lowest);
        note(self.at.as_slice());
        loop {
            if !self.advance(lowest) || !self.part(lowest) {
                self.is_over = true;
                break;
            }
            if self.place(lowest) > next {
                break;
            }
            let narrower = self.end - self.place(lowest);
            if narrower < width {
                width = narrower;
                note(self.at.as_slice());
            }
        }
        Some(width)
    }

    fn positions(&self, slot: usize) -> &[i64] {
        self.positions[slot].as_ref()
    }

    fn position(&self, slot: usize) -> i64 {
        self.positions(slot)[self.at[slot]]
    }

    fn place(&self, slot: usize) -> i64 {
        self.position(slot) - i64::from(self.slots[slot].offset)
    }

    /// Returns the slot at the lowest place, of equals the first in the phrase, and the next lowest
    /// place.
    fn two_lowest(&self) -> (usize, i64) {
        let all = 0..self.slots.len();
        let order = |&slot: &usize| (self.place(slot), self.slots[slot].offset);
        let lowest = all.clone().min_by_key(order).unwrap_or(0);
        let others = all.filter(|&slot| slot != lowest);
        let next = others
            .map(|slot| self.place(slot))
            .min()
            .unwrap_or(i64::MAX);
        (lowest, next)
    }

    /// Moves a slot to its next place; false at the end.
    fn advance(&mut self, slot: usize) -> bool {
        self.at[slot] += 1;
        if self.at[slot] == self.positions(slot).len() {
            return false;
        }
        self.end = self.end.max(self.place(slot));
        true
    }

    /// Moves slots on, from the first places, until none uses another's token; false at the end.
    fn part_all(&mut self) -> bool {
        let mut slot = 0;
        'slots: while slot < self.slots.len() {
            while let Some(other) = self.collides_with(slot) {
                let lesser = self.lesser(slot, other);
                if !self.advance(lesser) {
                    return false;
                }
                if lesser < slot {
                    continue 'slots;
                }
            }
            slot += 1;
        }
        true
    }

    /// Moves slots on after `slot` was moved, until none uses another's token; false at the end. At
    /// most one pair of slots meets at a time, because none did before.
    fn part(&mut self, mut slot: usize) -> bool {
        while let Some(other) = self.collides_with(slot) {
            slot = self.lesser(slot, other);
            if !self.advance(slot) {
                return false;
            }
        }
        true
    }

    /// Returns the first slot of the same group that uses the same token.
    fn collides_with(&self, slot: usize) -> Option<usize> {
        let group = self.slots[slot].group?;
        let mut others = group..self.slots.len();
        others.find(|&other| {
            other != slot
                && self.slots[other].group == Some(group)
                && self.position(other) == self.position(slot)
        })
    }

    /// Returns the slot at the lesser place, of equals the one with the lesser offset.
    fn lesser(&self, one: usize, two: usize) -> usize {
        let order = |slot: usize| (self.place(slot), self.slots[slot].offset);
        if order(one) < order(two) { one } else { two }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits a phrase at blanks into positions and those at `|` into alternatives.
    fn positions(phrase: &str) -> Vec<(u32, Vec<String>)> {
        let alternatives = |word: &str| word.split('|').map(str::to_owned).collect();
        (0..)
            .zip(phrase.split(' ').map(alternatives))
            .filter(|(_, terms): &(u32, Vec<String>)| terms != &["_"])
            .collect()
    }

    /// Returns the widths of the candidates in a text of words, with the words' numbers; in the
    /// phrase `_` is a gap.
    fn candidates(phrase: &str, text: &str) -> Vec<(i64, Vec<i64>)> {
        let phrase = positions(phrase);
        let stands = |(_, terms): &(u32, Vec<String>)| {
            let words = (0_i64..).zip(text.split(' '));
            let own = words.filter(|(_, word)| terms.iter().any(|term| term == word));
            own.map(|(number, _)| number).collect()
        };
        let stands: Vec<Vec<i64>> = phrase.iter().map(stands).collect();
        let (slots, mut at) = (slots(&phrase), Vec::new());
        let (mut found, mut noted) = (Vec::new(), Vec::new());
        let Some(mut window) = Window::open(&slots, &stands, &mut at) else {
            return found;
        };
        while let Some(width) = window.next_candidate(|at| noted = at.to_vec()) {
            let numbers = stands.iter().zip(&noted).map(|(own, &at)| own[at]);
            found.push((width, numbers.collect()));
        }
        found
    }

    /// Counts a phrase as scoring does.
    fn count(phrase: &str, text: &str, slop: i64) -> f64 {
        let candidates = candidates(phrase, text).into_iter();
        let matches = candidates.filter(|(width, _)| *width <= slop);
        matches.map(|(width, _)| 1.0 / (1.0 + width as f64)).sum()
    }

    fn groups(phrase: &str) -> Vec<Option<usize>> {
        let slots = slots(&positions(phrase)).into_iter();
        slots.map(|slot| slot.group).collect()
    }

    #[test]
    fn slots_that_share_terms_are_one_group_also_through_others() {
        assert_eq!(groups("a b c"), [None, None, None]);
        assert_eq!(groups("a b a"), [Some(0), None, Some(0)]);
        assert_eq!(groups("x a b a|b"), [None, Some(1), Some(1), Some(1)]);
        assert_eq!(groups("a b a b"), [Some(0), Some(1), Some(0), Some(1)]);
    }

    #[test]
    fn a_candidate_names_the_tokens_it_is_made_of() {
        assert_eq!(
            candidates("a b c", "a c b c"),
            [(2, vec![0, 2, 1]), (1, vec![0, 2, 3])]
        );
        assert_eq!(
            candidates("a b", "a a b"),
            [(0, vec![1, 2])],
            "the narrowest of those that end at one token"
        );
        assert_eq!(
            candidates("a a", "a b a a"),
            [(1, vec![0, 2]), (0, vec![2, 3])],
            "a slot that gives way is where it was"
        );
    }

    #[test]
    fn wider_matches_count_less() {
        assert_eq!(count("a b", "x a b", 1), 1.0);
        assert_eq!(count("a b", "x a x b", 1), 0.5);
        assert_eq!(count("a b", "x a x x b", 1), 0.0);
        assert_eq!(count("a _ b", "a x b", 1), 1.0);
        // Swapped neighbours take two moves.
        assert_eq!(count("a b", "x b a", 2), 1.0 / 3.0);
    }

    #[test]
    fn a_repeated_term_needs_two_tokens() {
        assert_eq!(count("a a", "x x a", 3), 0.0);
        assert_eq!(count("a a", "x a x a", 3), 0.5);
        assert_eq!(count("a|b a|c", "x a", 3), 0.0);
    }

    #[test]
    fn of_two_slots_on_one_token_the_lesser_goes_on() {
        assert_eq!(count("v v", "a v b c d v v e", 1), 1.0);
        assert_eq!(count("v v", "a v b c d v v e", 4), 1.25);
        let phrase = "new york new york";
        assert_eq!(count(phrase, "new york times new york new york", 1), 1.5);
        assert_eq!(count(phrase, "york x new york new york", 1), 1.0);
    }

    #[test]
    fn alternatives_that_are_shared_take_a_token_each() {
        assert_eq!(count("a|b b c", "b a b c", 1), 1.0);
        assert_eq!(
            count("a|b b|c a", "b a c b a a", 3),
            1.0 / 3.0 + 0.5 + 1.0 / 3.0
        );
    }
}
