//! How a field's text becomes terms.
//!
//! Does: analyse values, and count the memory that is held for them. Does not: compare terms with those of the query
//! (the matcher does). Called by: the highlighter. Read first: [`TermMaker::tokens`].

use std::mem;

use gleaner_analysis::{
    Analyzer, Meter as MadeMeter, Normalizer, Places, Token, TokenKind, TokenRef, TooMuch,
};
use gleaner_model::FieldKind;
use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Meter, Reservation};

use super::Pace;
use crate::error::EngineError;
use crate::view::View;

/// Bytes that are gathered before they are reserved: most documents hold less.
const BATCH: usize = 64 << 10;

/// Bytes that a token takes beside its text, at most: in its list, which grows by doubling, among the marks, and in the
/// map that phrases look terms up in.
const TOKEN_BYTES: usize = 2 * (size_of::<Token>() + size_of::<(&str, Vec<usize>)>()) + 32;

/// Memory that is held while one field of a document is highlighted; given back when this is dropped.
pub(super) struct Held {
    /// `None` counts nothing.
    reservation: Option<Reservation>,
    /// Bytes that are not reserved yet.
    pending: usize,
}

impl Held {
    /// Holds nothing yet, of what `meter` draws on.
    ///
    /// # Errors
    /// As [`Meter::borrow`].
    pub(super) fn open(meter: Option<&Meter<'_>>) -> Result<Self, EvaluationError> {
        Ok(Self {
            reservation: meter.map(|meter| meter.borrow(0)).transpose()?,
            pending: 0,
        })
    }

    /// Holds `bytes` more; they are reserved once per 64 KiB.
    ///
    /// # Errors
    /// [`EvaluationError::CircuitBreaking`] when there is no room for them.
    pub(super) fn add(&mut self, bytes: usize) -> Result<(), EvaluationError> {
        self.pending = self.pending.saturating_add(bytes);
        if self.pending < BATCH {
            return Ok(());
        }
        let bytes = mem::take(&mut self.pending) as u64;
        match &mut self.reservation {
            Some(reservation) => reservation.grow(bytes),
            None => Ok(()),
        }
    }
}

/// What makes terms of text.
pub(super) enum TermMaker {
    /// As many as an analyzer finds.
    Analyzer(Analyzer),
    /// One.
    Whole(Option<Normalizer>),
}

impl TermMaker {
    /// Returns what makes the terms of a field.
    ///
    /// # Errors
    /// [`EngineError::UnknownAnalyzer`].
    pub(super) fn new(view: &View, kind: &FieldKind) -> Result<Self, EngineError> {
        match kind {
            FieldKind::Text { analyzer, .. } => {
                let found = view.analyzers().analyzer(analyzer);
                let found = found.ok_or_else(|| EngineError::UnknownAnalyzer(analyzer.clone()))?;
                Ok(Self::Analyzer(found))
            }
            FieldKind::Keyword {
                normalizer: Some(name),
                ..
            } => {
                let found = view.analyzers().normalizer(name);
                let found = found.ok_or_else(|| EngineError::UnknownAnalyzer(name.clone()))?;
                Ok(Self::Whole(Some(found)))
            }
            _ => Ok(Self::Whole(None)),
        }
    }

    /// Returns where the first value of a field begins.
    pub(super) fn places(&self) -> Places {
        Places::new(match self {
            Self::Analyzer(analyzer) => analyzer.position_increment_gap(),
            Self::Whole(_) => 0,
        })
    }

    /// Adds the tokens of a value that begins at `places`, which goes on behind it.
    ///
    /// # Errors
    /// When `pace` stops, and as [`Held::add`]. The analyzer still goes through the rest of the value then, but nothing
    /// more is kept.
    pub(super) fn add_tokens(
        &self,
        text: &str,
        places: &mut Places,
        tokens: &mut Vec<Token>,
        (pace, held): (&mut Pace<'_>, &mut Held),
    ) -> Result<(), EngineError> {
        pace.step(1)?;
        let term = match self {
            Self::Analyzer(analyzer) => {
                let meter = MadeMeter::for_document();
                let mut outcome = Ok(());
                let num_positions = analyzer.analyze_into(text, &meter, &mut |token| {
                    if outcome.is_ok() {
                        outcome = keep(token, places, tokens, (&mut *pace, &mut *held));
                    }
                });
                outcome?;
                places.pass(num_positions.map_err(too_much)?, text.len());
                return Ok(());
            }
            Self::Whole(Some(normalizer)) => {
                let normalized = normalizer.normalize(text, &MadeMeter::for_document());
                normalized.map_err(too_much)?
            }
            Self::Whole(None) => text.to_owned(),
        };
        let whole = TokenRef {
            text: &term,
            position: 0,
            position_length: 1,
            start: 0,
            end: text.len(),
            kind: TokenKind::Word,
            is_keyword: false,
        };
        keep(whole, places, tokens, (pace, held))?;
        places.pass(1, text.len());
        Ok(())
    }
}

fn too_much(fault: TooMuch) -> EvaluationError {
    EvaluationError::Query(fault.to_string())
}

fn keep(
    token: TokenRef<'_>,
    places: &Places,
    tokens: &mut Vec<Token>,
    (pace, held): (&mut Pace<'_>, &mut Held),
) -> Result<(), EngineError> {
    pace.step(1)?;
    held.add(TOKEN_BYTES + token.text.len())?;
    tokens.push(Token {
        position: places.position().saturating_add(token.position),
        start: places.offset() + token.start,
        end: places.offset() + token.end,
        ..token.to_token()
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use gleaner_analysis::AnalyzerRegistry;
    use gleaner_partial::control::{Control, Ledger, MemoryAccount, Stop};

    use super::*;

    fn words(num: usize) -> String {
        "word ".repeat(num)
    }

    fn standard() -> TermMaker {
        let analyzer = AnalyzerRegistry::builtin().analyzer("standard");
        TermMaker::Analyzer(analyzer.expect("it is built in"))
    }

    fn tokens(text: &str, pace: &mut Pace<'_>, held: &mut Held) -> Result<(), EngineError> {
        let maker = standard();
        let mut places = maker.places();
        maker.add_tokens(text, &mut places, &mut Vec::new(), (pace, held))
    }

    #[test]
    fn analysis_keeps_no_token_behind_the_deadline() {
        let late = Control::until_check(1);
        let mut held = Held::open(None).expect("it counts nothing");
        let found = tokens(&words(20_000), &mut Pace::new(&late), &mut held);
        let expected = EvaluationError::from(Stop::Deadline).to_string();
        assert_eq!(found.expect_err("it is late").to_string(), expected);
    }

    #[test]
    fn tokens_are_held_until_the_document_is_done() {
        let account = MemoryAccount::root("request", 4_000_000);
        let ledger = Ledger::open(&account).expect("an empty account");
        let meter = ledger.meter();
        let control = Control::unlimited();
        for (num_words, fits) in [(5_000, true), (100_000, false)] {
            let mut held = Held::open(Some(&meter)).expect("an account with room");
            let mut pace = Pace::new(&control);
            let found = tokens(&words(num_words), &mut pace, &mut held);
            assert_eq!(found.is_ok(), fits, "{num_words}");
            if let Err(error) = found {
                let error = error.to_string();
                assert!(error.contains("Data too large"), "{error}");
            }
            assert!(account.held_bytes() > 400_000);
            drop(held);
            assert_eq!(account.held_bytes(), 0);
        }
    }
}
