//! The rest of a fuzzy term, behind what must agree: by a table where that is small, else without.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use levenshtein_automata::{DFA, Distance, LevenshteinAutomatonBuilder};

use super::edits::Edits;
use super::term_automaton::State;
use crate::EvaluationError;

/// Characters of a fuzzy term.
const FUZZY_LIMIT_CHARS: usize = 1_024;

/// States of the table of a fuzzy term, a kilobyte each; that of a larger one is not made.
const FUZZY_TABLE_STATES: usize = 2_048;

/// How the distance to the rest of a fuzzy term is found.
pub enum Rest {
    /// Of short terms: each state is known.
    Table(DFA),
    /// Of those whose table would be large.
    Rows(Box<Edits>),
}

impl Rest {
    /// Returns how to find the terms within `distance` of `term`.
    ///
    /// # Errors
    /// [`EvaluationError::Clause`] for a term or a distance that is too large.
    pub(super) fn new(
        term: &str,
        distance: u8,
        transpositions: bool,
    ) -> Result<Self, EvaluationError> {
        if term.chars().count() > FUZZY_LIMIT_CHARS {
            return Err(EvaluationError::Clause(format!(
                "fuzzy term of more than {FUZZY_LIMIT_CHARS} characters is refused"
            )));
        }
        let builder = levenshtein(distance, transpositions).ok_or_else(|| {
            EvaluationError::Clause(format!("fuzziness [{distance}] is not 0, 1 or 2"))
        })?;
        Ok(match table_states(term, distance) <= FUZZY_TABLE_STATES {
            true => Self::Table(builder.build_dfa(term)),
            false => Self::Rows(Box::new(Edits::new(term, distance, transpositions))),
        })
    }

    /// Returns the bytes that it takes.
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            // A state has its next one for each byte.
            Self::Table(table) => table.num_states() * size_of::<[u32; 256]>(),
            Self::Rows(_) => FUZZY_LIMIT_CHARS * size_of::<char>(),
        }
    }

    /// Returns the distance of a term's rest, which is accepted.
    pub(super) fn distance(&self, tail: &[u8]) -> u8 {
        match self {
            Self::Table(table) => table.eval(tail).to_u8(),
            Self::Rows(edits) => {
                let mut tail = tail.iter();
                let read = tail.try_fold(edits.start(), |row, byte| edits.accept(&row, *byte));
                let distance = read.and_then(|row| edits.distance(&row));
                distance.unwrap_or(u8::MAX)
            }
        }
    }

    pub(super) fn start(&self) -> State {
        match self {
            Self::Table(table) => State::Rest(table.initial_state()),
            Self::Rows(edits) => State::Row(edits.start()),
        }
    }

    pub(super) fn is_match(&self, state: &State) -> bool {
        match (self, state) {
            (Self::Table(table), State::Rest(id)) => {
                matches!(table.distance(*id), Distance::Exact(_))
            }
            (Self::Rows(edits), State::Row(row)) => edits.distance(row).is_some(),
            _ => false,
        }
    }

    pub(super) fn accept(&self, state: &State, byte: u8) -> State {
        match (self, state) {
            (Self::Table(table), State::Rest(id)) => State::Rest(table.transition(*id, byte)),
            (Self::Rows(edits), State::Row(row)) => {
                edits.accept(row, byte).map_or(State::Dead, State::Row)
            }
            _ => State::Dead,
        }
    }
}

/// Returns about how many states the table of a fuzzy term has, rather too many: those of each place in it,
/// and as often one for each beginning of a character of several bytes.
fn table_states(term: &str, distance: u8) -> usize {
    let shapes = [2, 10, 40][usize::from(distance).min(2)];
    let mut begun = BTreeSet::new();
    for character in term.chars() {
        let mut bytes = [0; 4];
        let bytes = character.encode_utf8(&mut bytes).as_bytes();
        begun.extend((1..bytes.len()).map(|length| bytes[..length].to_vec()));
    }
    (term.chars().count() + 1) * shapes * (1 + begun.len())
}

/// Building one takes milliseconds for distance 2, so each is built once.
fn levenshtein(distance: u8, transpositions: bool) -> Option<&'static LevenshteinAutomatonBuilder> {
    type Builder = LazyLock<LevenshteinAutomatonBuilder>;
    static BUILDERS: [[Builder; 2]; 3] = [
        [
            LazyLock::new(|| LevenshteinAutomatonBuilder::new(0, false)),
            LazyLock::new(|| LevenshteinAutomatonBuilder::new(0, true)),
        ],
        [
            LazyLock::new(|| LevenshteinAutomatonBuilder::new(1, false)),
            LazyLock::new(|| LevenshteinAutomatonBuilder::new(1, true)),
        ],
        [
            LazyLock::new(|| LevenshteinAutomatonBuilder::new(2, false)),
            LazyLock::new(|| LevenshteinAutomatonBuilder::new(2, true)),
        ],
    ];
    let builders = BUILDERS.get(usize::from(distance))?;
    Some(&builders[usize::from(transpositions)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_tables() {
        let words = ["a".repeat(40), "приветствие".to_owned(), "検索".to_owned()];
        for word in words {
            assert!(table_states(&word, 2) <= FUZZY_TABLE_STATES, "{word}");
        }
    }
}
