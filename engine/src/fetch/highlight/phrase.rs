//! Where phrases stand among the tokens of a text.
//!
//! An exact phrase stands wherever each slot has one of its terms at its own distance. Of a sloppy
//! one, the matches are marked that make a document a hit (`score::window`). How they are marked is
//! up to [`Marks`].

use std::collections::HashMap;

use gleaner_analysis::Token;
use gleaner_partial::control::Stop;

use super::Pace;
use super::marks::Marks;
use crate::score::window::{self, Room, Slot, Window};

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
pub(super) struct Places {
    /// Ascending, without duplicates.
    pub(super) positions: Vec<i64>,
    /// The first token at each position.
    pub(super) tokens: Vec<usize>,
}

impl Places {
    pub(super) fn of(terms: &[String], tokens: &Tokens<'_>) -> Self {
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
    /// Per list of the slots: its alternatives.
    terms: Vec<Vec<String>>,
    slop: u32,
    /// Number of the first slot's term.
    first: usize,
}

impl Phrase {
    /// Returns a phrase whose terms, one a slot, are numbered from `first`.
    pub(super) fn new(positions: &[(u32, Vec<String>)], slop: u32, first: usize) -> Self {
        let slots = window::slots(positions);
        let mut lists = Vec::new();
        for ((_, terms), slot) in positions.iter().zip(&slots) {
            if slot.list == lists.len() {
                lists.push(terms.clone());
            }
        }
        Self {
            slots,
            terms: lists,
            slop,
            first,
        }
    }

    /// Returns the number of the first slot's term.
    pub(super) fn first(&self) -> usize {
        self.first
    }

    /// Marks each match.
    pub(super) fn find(
        &self,
        tokens: &Tokens<'_>,
        marks: &mut Marks<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<(), Stop> {
        let mut lists = Vec::with_capacity(self.terms.len());
        for terms in &self.terms {
            pace.step(1)?;
            let places = Places::of(terms, tokens);
            if places.positions.is_empty() {
                return Ok(());
            }
            lists.push(places);
        }
        if self.slop == 0 || self.slots.len() < 2 {
            self.find_exact(&lists, marks, pace)
        } else {
            self.find_sloppy(&lists, marks, pace)
        }
    }

    /// Walks all slots forwards together, from each place of the first.
    fn find_exact(
        &self,
        lists: &[Places],
        marks: &mut Marks<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<(), Stop> {
        let Some(first) = self.slots.first() else {
            return Ok(());
        };
        let first_offset = i64::from(first.offset);
        let mut at = vec![0_usize; self.slots.len()];
        for start in &lists[first.list].positions {
            let mut num_found = 0;
            for (number, slot) in self.slots.iter().enumerate() {
                pace.step(1)?;
                let wanted = start - first_offset + i64::from(slot.offset);
                let positions = &lists[slot.list].positions;
                while positions.get(at[number]).is_some_and(|p| *p < wanted) {
                    at[number] += 1;
                }
                match positions.get(at[number]) {
                    None => return Ok(()),
                    Some(found) if *found == wanted => num_found += 1,
                    Some(_) => break,
                }
            }
            if num_found == self.slots.len() {
                self.mark(lists, &at, marks);
            }
        }
        Ok(())
    }

    /// Marks each match that counts for the phrase's frequency.
    fn find_sloppy(
        &self,
        lists: &[Places],
        marks: &mut Marks<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<(), Stop> {
        let positions = lists.iter().map(|places| places.positions.as_slice());
        let positions: Vec<&[i64]> = positions.collect();
        let (mut room, mut at) = (Room::default(), vec![0; self.slots.len()]);
        let window = Window::open(&self.slots, &positions, &mut room, pace)?;
        let Some(mut window) = window else {
            return Ok(());
        };
        while let Some(width) = window.next_candidate(pace, |noted| at.copy_from_slice(noted))? {
            if width <= i64::from(self.slop) {
                pace.step(self.slots.len())?;
                self.mark(lists, &at, marks);
            }
        }
        Ok(())
    }

    /// Marks the match that the slots are at.
    fn mark(&self, lists: &[Places], at: &[usize], marks: &mut Marks<'_>) {
        let slots = self.slots.iter().zip(at);
        let tokens = slots.map(|(slot, at)| lists[slot.list].tokens[*at]);
        marks.mark_phrase(tokens, self.first);
    }
}

#[cfg(test)]
mod tests {
    use gleaner_analysis::TokenKind;
    use gleaner_partial::control::Control;

    use super::*;
    use crate::fetch::highlight::marks::Marking;

    /// Marks a phrase that says one word forty times in a text that says it two hundred times.
    fn mark_all(control: &Control) -> Result<usize, Stop> {
        let token = |number: usize| Token {
            text: "a".to_owned(),
            position: number as u32,
            position_length: 1,
            start: 2 * number,
            end: 2 * number + 1,
            kind: TokenKind::Word,
            is_keyword: false,
        };
        let tokens: Vec<Token> = (0..200).map(token).collect();
        let positions: Vec<(u32, Vec<String>)> =
            (0..40).map(|at| (at, vec!["a".to_owned()])).collect();
        let mut marks = Marks::new(&tokens, Marking::Words);
        let phrase = Phrase::new(&positions, 3, 0);
        phrase.find(&Tokens::new(&tokens), &mut marks, &mut Pace::new(control))?;
        Ok(marks.into_spans().len())
    }

    #[test]
    fn a_long_phrase_can_be_stopped_while_it_is_compared_with_one_text() {
        let control = Control::until_check(u64::MAX);
        assert_eq!(mark_all(&control), Ok(200));
        let checks = control.num_checks();
        assert!((60..100).contains(&checks), "{checks}");
        for most_checks in [0, 1, 30] {
            let late = Control::until_check(most_checks);
            assert_eq!(mark_all(&late), Err(Stop::Deadline));
            assert_eq!(late.num_checks(), most_checks + 1);
        }
    }
}
