//! How a field's text becomes terms.
//!
//! Does: analyse values, and count the memory that is held for them. Does not: compare terms with those of the query
//! (the matcher does). Called by: the highlighter. Read first: [`TermMaker::tokens`].

use std::mem;

use gleaner_analysis::{Analyzer, Normalizer, Token, TokenKind, TokenRef};
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

    /// Returns the tokens of a value.
    ///
    /// # Errors
    /// When `pace` stops, and as [`Held::add`]. The analyzer still goes through the rest of the value then, but nothing
    /// more is kept.
    pub(super) fn tokens(
        &self,
        text: &str,
        pace: &mut Pace<'_>,
        held: &mut Held,
    ) -> Result<Vec<Token>, EngineError> {
        pace.step(1)?;
        let term = match self {
            Self::Analyzer(analyzer) => return analyze(analyzer, text, pace, held),
            Self::Whole(Some(normalizer)) => normalizer.normalize(text),
            Self::Whole(None) => text.to_owned(),
        };
        held.add(TOKEN_BYTES + term.len())?;
        Ok(vec![Token {
            text: term,
            position: 0,
            position_length: 1,
            start: 0,
            end: text.len(),
            kind: TokenKind::Word,
            is_keyword: false,
        }])
    }
}

fn analyze(
    analyzer: &Analyzer,
    text: &str,
    pace: &mut Pace<'_>,
    held: &mut Held,
) -> Result<Vec<Token>, EngineError> {
    let mut kept: Result<Vec<Token>, EngineError> = Ok(Vec::new());
    analyzer.analyze_into(text, &mut |token| {
        if let Ok(tokens) = &mut kept {
            match keep(token, pace, held) {
                Ok(token) => tokens.push(token),
                Err(error) => kept = Err(error),
            }
        }
    });
    kept
}

fn keep(token: TokenRef<'_>, pace: &mut Pace<'_>, held: &mut Held) -> Result<Token, EngineError> {
    pace.step(1)?;
    held.add(TOKEN_BYTES + token.text.len())?;
    Ok(token.to_token())
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

    #[test]
    fn analysis_keeps_no_token_behind_the_deadline() {
        let late = Control::until_check(1);
        let mut held = Held::open(None).expect("it counts nothing");
        let found = standard().tokens(&words(20_000), &mut Pace::new(&late), &mut held);
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
            let found = standard().tokens(&words(num_words), &mut pace, &mut held);
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
