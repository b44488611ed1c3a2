//! Where the slots of a sloppy phrase stand close together.
//!
//! Follows Lucene's `SloppyPhraseMatcher`: the width of a match is the spread of the terms' positions
//! after each slot's offset is taken away; slots that share a term never use the same token twice.
//! Called by `score::phrase`, which counts matches, and `fetch::highlight`, which marks them.

use std::collections::BTreeMap;

/// One slot of a phrase with where its terms stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Track<'a> {
    /// Position in the phrase.
    pub(crate) offset: u32,
    /// The first earlier slot that shares a term with this one.
    pub(crate) repeats: Option<usize>,
    /// Positions of its terms, ascending, without duplicates, at least one.
    pub(crate) positions: &'a [i64],
}

/// Returns for each slot of a phrase the first earlier one that shares a term with it.
pub(crate) fn repeats(positions: &[(u32, Vec<String>)]) -> Vec<Option<usize>> {
    let mut first_slot_of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut repeats = Vec::with_capacity(positions.len());
    for (at, (_, terms)) in positions.iter().enumerate() {
        let earlier = terms
            .iter()
            .filter_map(|term| first_slot_of.get(term.as_str()).copied())
            .min();
        for term in terms {
            first_slot_of
                .entry(term.as_str())
                .or_insert(earlier.unwrap_or(at));
        }
        repeats.push(earlier);
    }
    repeats
}

/// One token per slot, as near to each other as the slots behind the first allow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    /// The spread; a match where it is at most the slop.
    pub(crate) width: i64,
    /// The slot that stands first, and where it stood: it has moved on since.
    lowest: (usize, usize),
}

/// One place per slot, moving forwards.
pub(crate) struct Window<'a> {
    tracks: Vec<Track<'a>>,
    at: Vec<usize>,
    /// The largest place any slot has reached.
    end: i64,
    is_done: bool,
}

impl<'a> Window<'a> {
    /// Returns a window at the start; `None` when the slots cannot have a token each.
    pub(crate) fn open(tracks: Vec<Track<'a>>) -> Option<Self> {
        let mut window = Self {
            at: vec![0; tracks.len()],
            tracks,
            end: i64::MIN,
            is_done: false,
        };
        for slot in 0..window.tracks.len() {
            if !window.leave_shared_tokens(slot, slot) {
                return None;
            }
        }
        window.end = (0..window.tracks.len())
            .map(|slot| window.place(slot))
            .max()?;
        Some(window)
    }

    /// Moves the first slot on until it is not the first any more; returns the narrowest of what it
    /// passed. Positions are passed once, each is compared with those of all slots.
    pub(crate) fn next_candidate(&mut self) -> Option<Candidate> {
        if self.is_done {
            return None;
        }
        let (lowest, next) = self.two_lowest();
        let mut best = (self.end - self.place(lowest), self.at[lowest]);
        loop {
            if !self.advance(lowest) {
                self.is_done = true;
                break;
            }
            if self.place(lowest) > next {
                break;
            }
            best = best.min((self.end - self.place(lowest), self.at[lowest]));
        }
        let (width, at) = best;
        Some(Candidate {
            width,
            lowest: (lowest, at),
        })
    }

    /// Returns which of its positions `slot` has in the candidate that was returned last.
    pub(crate) fn index(&self, slot: usize, candidate: &Candidate) -> usize {
        match candidate.lowest {
            (lowest, at) if lowest == slot => at,
            _ => self.at[slot],
        }
    }

    fn position(&self, slot: usize) -> i64 {
        self.tracks[slot].positions[self.at[slot]]
    }

    fn place(&self, slot: usize) -> i64 {
        self.position(slot) - i64::from(self.tracks[slot].offset)
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
        let all = self.tracks.len();
        if self.at[slot] == self.tracks[slot].positions.len()
            || !self.leave_shared_tokens(slot, all)
        {
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
            if self.at[slot] == self.tracks[slot].positions.len() {
                return false;
            }
        }
        true
    }

    fn is_shared(&self, slot: usize, num_others: usize) -> bool {
        let group = |of: usize| self.tracks[of].repeats.unwrap_or(of);
        (0..num_others).any(|other| {
            other != slot
                && group(other) == group(slot)
                && self.position(other) == self.position(slot)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the widths of all candidates with the positions of their slots.
    fn candidates(slots: &[(u32, &[i64])]) -> Vec<(i64, Vec<i64>)> {
        let tracks = slots.iter().map(|&(offset, positions)| Track {
            offset,
            repeats: None,
            positions,
        });
        let mut window = Window::open(tracks.collect()).expect("each slot has a token");
        let mut found = Vec::new();
        while let Some(candidate) = window.next_candidate() {
            let positions = slots
                .iter()
                .enumerate()
                .map(|(slot, (_, positions))| positions[window.index(slot, &candidate)]);
            found.push((candidate.width, positions.collect()));
        }
        found
    }

    #[test]
    fn a_candidate_names_the_tokens_it_is_made_of() {
        assert_eq!(
            candidates(&[(0, &[0]), (1, &[2]), (2, &[1, 3])]),
            [(2, vec![0, 2, 1]), (1, vec![0, 2, 3])]
        );
        assert_eq!(
            candidates(&[(0, &[0, 1]), (1, &[2])]),
            [(0, vec![1, 2])],
            "the narrowest of those that end at one token"
        );
    }

    #[test]
    fn slots_know_the_first_earlier_one_with_a_term_of_theirs() {
        let slot = |at: u32, terms: &[&str]| -> (u32, Vec<String>) {
            (at, terms.iter().map(|term| (*term).to_owned()).collect())
        };
        let positions = [
            slot(0, &["a"]),
            slot(1, &["b"]),
            slot(2, &["c", "a"]),
            slot(3, &["c"]),
        ];
        assert_eq!(repeats(&positions), [None, None, Some(0), Some(0)]);
    }
}
