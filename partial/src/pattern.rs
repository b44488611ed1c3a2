//! Prefixes, wildcards, regular expressions, fuzzy terms and ranges as automata over the bytes of terms.
//!
//! Does: build them within bounds, each once for all of a node ([`automaton`]), and step through them.
//! Does not: walk a dictionary of terms (`engine::expand` does). Read [`TermAutomaton`] first.

mod between;
mod built;
mod edits;
mod fuzzy;
mod regexp;
mod term_automaton;

pub use self::between::{Between, Place};
pub use self::built::automaton;
pub use self::edits::{Edits, Row};
pub use self::fuzzy::Rest;
pub use self::term_automaton::{State, TermAutomaton};
