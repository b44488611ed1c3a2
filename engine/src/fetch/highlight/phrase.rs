//! Where phrases stand among the tokens of a text.
//!
//! An exact phrase stands wherever each slot has one of its terms at its own distance. Of a sloppy
//! one, the matches are marked that make a document a hit (`score::window`).

use std::collections::HashMap;

use gleaner_analysis::Token;

use super::pace::Pace;
use crate::control::Stop;
use crate::score::window::{self, Slot, Window};

/// The tokens of a text by number, and which of the query's terms marks each.
pub(super) struct Marks(Vec<Option<usize>>);

impl Marks {
    pub(super) fn new(num_tokens: usize) -> Self {
        Self(vec![None; num_tokens])
    }

    /// Marks a token; of several terms the first counts.
    pub(super) fn mark(&mut self, token: usize, term: usize) {
        let marked = self.0[token].get_or_insert(term);
        *marked = term.min(*marked);
    }

    /// Returns the numbers of marked tokens with their terms, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        let marked = |(token, term): (usize, &Option<usize>)| Some((token, (*term)?));
        self.0.iter().enumerate().filter_map(marked)
    }
}

/// The tokens of a text, and the numbers of those with each term, in order.
pub(super) struct Tokens<'t> {
    all: &'t [Token],
    by_term: HashMap<&'t str, Vec<usize>>,
}

impl<'t> Tokens<'t> {
    pub(super) fn new(all: &'t [Token]) -> Self {
        let mut by_term: HashMap<&str, Vec<usize>> = HashMap::new();
        for (number, token) in all.iter().enumerate() {
            by_term.entry(token.text.as_str()).or_default().push(number);
        }
        Self { all, by_term }
    }
}

/// Where any of several terms stands.
struct Places {
    /// Ascending, without duplicates.
    positions: Vec<i64>,
    /// The first token at each position.
    tokens: Vec<usize>,
}

impl Places {
    fn of(terms: &[String], tokens: &Tokens<'_>) -> Self {
        let token = |number: usize| &tokens.all[number];
        let found = terms
            .iter()
            .filter_map(|term| tokens.by_term.get(term.as_str()));
        let mut numbers: Vec<usize> = found.flatten().copied().collect();
        numbers.sort_by_key(|number| (token(*number).position, token(*number).start));
        numbers.dedup_by_key(|number| token(*number).position);
        let positions = numbers
            .iter()
            .map(|number| i64::from(token(*number).position));
        Self {
            positions: positions.collect(),
            tokens: numbers,
        }
    }
}

/// A phrase that a query looks for.
pub(super) struct Phrase {
    slots: Vec<Slot>,
    /// Per slot: its alternatives.
    terms: Vec<Vec<String>>,
    slop: u32,
    /// Number of the first slot's term.
    first: usize,
}

impl Phrase {
    /// Returns a phrase whose terms, one a slot, are numbered from `first`.
    pub(super) fn new(positions: &[(u32, Vec<String>)], slop: u32, first: usize) -> Self {
        Self {
            slots: window::slots(positions),
            terms: positions.iter().map(|(_, terms)| terms.clone()).collect(),
            slop,
            first,
        }
    }

    /// Marks the tokens of each match.
    pub(super) fn find(
        &self,
        tokens: &Tokens<'_>,
        marks: &mut Marks,
        pace: &mut Pace<'_>,
    ) -> Result<(), Stop> {
        // Slots with the same terms share their places.
        let mut by_terms: HashMap<&[String], Places> = HashMap::new();
        for terms in &self.terms {
            let places = by_terms
                .entry(terms.as_slice())
                .or_insert_with(|| Places::of(terms, tokens));
            if places.positions.is_empty() {
                return Ok(());
            }
            pace.step(1)?;
        }
        let places = self.terms.iter().map(|terms| &by_terms[terms.as_slice()]);
        let places: Vec<&Places> = places.collect();
        if self.slop == 0 || places.len() < 2 {
            self.find_exact(&places, marks, pace)
        } else {
            self.find_sloppy(&places, marks, pace)
        }
    }

    /// Walks all slots forwards together, from each place of the first.
    fn find_exact(
        &self,
        places: &[&Places],
        marks: &mut Marks,
        pace: &mut Pace<'_>,
    ) -> Result<(), Stop> {
        let (Some(first), Some(slot)) = (places.first(), self.slots.first()) else {
            return Ok(());
        };
        let first_offset = i64::from(slot.offset);
        let mut at = vec![0_usize; places.len()];
        for start in &first.positions {
            let mut num_found = 0;
            for (number, slot) in self.slots.iter().enumerate() {
                pace.step(1)?;
                let wanted = start - first_offset + i64::from(slot.offset);
                let positions = &places[number].positions;
                while positions.get(at[number]).is_some_and(|p| *p < wanted) {
                    at[number] += 1;
                }
                match positions.get(at[number]) {
                    None => return Ok(()),
                    Some(found) if *found == wanted => num_found += 1,
                    Some(_) => break,
                }
            }
            if num_found == places.len() {
                for (number, places) in places.iter().enumerate() {
                    marks.mark(places.tokens[at[number]], self.first + number);
                }
            }
        }
        Ok(())
    }

    /// Marks each match that counts for the phrase's frequency.
    fn find_sloppy(
        &self,
        places: &[&Places],
        marks: &mut Marks,
        pace: &mut Pace<'_>,
    ) -> Result<(), Stop> {
        let positions = places.iter().map(|places| places.positions.as_slice());
        let positions: Vec<&[i64]> = positions.collect();
        let (mut room, mut at) = (Vec::new(), vec![0; places.len()]);
        let Some(mut window) = Window::open(&self.slots, &positions, &mut room) else {
            return Ok(());
        };
        while let Some(width) = window.next_candidate(|noted| at.copy_from_slice(noted)) {
            pace.step(places.len())?;
            if width > i64::from(self.slop) {
                continue;
            }
            for (slot, places) in places.iter().enumerate() {
                marks.mark(places.tokens[at[slot]], self.first + slot);
            }
        }
        Ok(())
    }
}
