//! The pattern tokenizers: text between matches, or the matches themselves.

use super::Tokenizer;
use crate::{
    error::AnalysisError,
    meter::Meter,
    pattern::{self, Pattern},
    settings::Params,
    token::TokenRef,
};

/// Pattern of `pattern` when none is given.
pub(crate) const NON_WORD: &str = r"\W+";

/// Splits with a regular expression.
#[derive(Debug)]
pub(crate) struct PatternTokenizer {
    pattern: Pattern,
    /// Takes this group of each match; `None` takes what lies between matches.
    group: Option<usize>,
}

impl PatternTokenizer {
    /// Returns a tokenizer that splits at matches.
    pub(crate) fn splitting(pattern: Pattern) -> Self {
        Self {
            pattern,
            group: None,
        }
    }

    pub(crate) fn from_params(params: &Params<'_>) -> Result<Self, AnalysisError> {
        let pattern = pattern::from_params(params, Some(NON_WORD))?;
        let group = match params.get("group").and_then(|value| {
            value
                .as_i64()
                .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
        }) {
            None | Some(-1) => None,
            Some(group) => Some(usize::try_from(group).unwrap_or(usize::MAX)),
        };
        match group {
            Some(group) if group >= pattern.captures_len() => {
                let num_groups = pattern.captures_len() - 1;
                let reason = format!("is [{group}], but the pattern has {num_groups} groups");
                Err(params.bad("group", reason))
            }
            group => Ok(Self { pattern, group }),
        }
    }

    /// Returns the `simple_pattern` tokenizer (the matches) or `simple_pattern_split`.
    pub(crate) fn simple(params: &Params<'_>, splits: bool) -> Result<Self, AnalysisError> {
        let pattern = pattern::from_params(params, Some(""))?;
        Ok(Self {
            pattern,
            group: if splits { None } else { Some(0) },
        })
    }
}

impl Tokenizer for PatternTokenizer {
    fn tokenize(&self, text: &str, meter: &Meter<'_>, sink: &mut dyn FnMut(TokenRef<'_>)) -> u32 {
        let mut position = 0;
        let mut emit = |start: usize, end: usize| {
            if start < end {
                sink(TokenRef::slice(text, (start, end), position));
                position += 1;
            }
        };
        match self.group {
            None => {
                let mut start = 0;
                for found in self.pattern.find_iter(text, meter) {
                    emit(start, found.start());
                    start = found.end();
                }
                emit(start, text.len());
            }
            Some(0) => self
                .pattern
                .find_iter(text, meter)
                .for_each(|m| emit(m.start(), m.end())),
            Some(group) => {
                for found in self
                    .pattern
                    .captures_iter(text, meter)
                    .filter_map(|c| c.get(group))
                {
                    emit(found.start(), found.end());
                }
            }
        }
        position
    }

    fn growth(&self) -> u64 {
        // It may cut between any two characters.
        2 + self.pattern.weight()
    }
}
