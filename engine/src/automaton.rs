//! The terms of a segment that an automaton of ours accepts.

use gleaner_partial::control::Control;
use gleaner_partial::pattern::{State, TermAutomaton};
use tantivy::SegmentReader;
use tantivy::schema::Field as Column;
use tantivy::termdict::TermStreamer;
use tantivy_fst::Automaton;

use crate::EngineError;

/// Terms between two looks at the clock.
const TERMS_PER_CHECK: usize = 1_024;

/// Walks tantivy's dictionaries with an automaton of ours.
pub(crate) struct Walked<'a>(pub(crate) &'a TermAutomaton);

impl Automaton for Walked<'_> {
    type State = State;

    fn start(&self) -> State {
        self.0.start()
    }

    fn is_match(&self, state: &State) -> bool {
        self.0.is_match(state)
    }

    fn can_match(&self, state: &State) -> bool {
        self.0.can_match(state)
    }

    fn accept(&self, state: &State, byte: u8) -> State {
        self.0.accept(state, byte)
    }
}

/// Calls `visit` with every matching term of a segment in order, until it returns false.
///
/// # Errors
/// When the dictionary cannot be read, `control` stops the walk, or `visit` fails.
pub(crate) fn walk<'a>(
    reader: &SegmentReader,
    column: Column,
    automaton: &'a TermAutomaton,
    control: &Control,
    mut visit: impl FnMut(&TermStreamer<'_, Walked<'a>>) -> Result<bool, EngineError>,
) -> Result<(), EngineError> {
    control.check()?;
    let inverted = reader.inverted_index(column)?;
    let mut terms = inverted
        .terms()
        .search(Walked(automaton))
        .into_stream()
        .map_err(EngineError::io("reading terms"))?;
    let mut seen = 0;
    while terms.advance() {
        if !visit(&terms)? {
            break;
        }
        seen += 1;
        if seen % TERMS_PER_CHECK == 0 {
            control.check()?;
        }
    }
    Ok(())
}
