//! N-grams of text: all windows (`ngram`), or those at the start of each word (`edge_ngram`).

use std::sync::LazyLock;

use regex::Regex;

use super::Tokenizer;
use crate::{
    error::AnalysisError, limits::Limits, meter::Meter, settings::Params, token::TokenRef, unicode,
};

/// Longest n-gram, in characters. The dialect has no such limit; without one a short setting makes
/// a long text explode.
const MAX_GRAM: usize = 1_024;

static PUNCTUATION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\p{P}").expect("the pattern is a constant"));
static SYMBOL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\p{S}").expect("the pattern is a constant"));

/// Cuts text into windows of `min..=max` characters, each at its own position.
#[derive(Debug)]
pub(crate) struct NGram {
    min: usize,
    max: usize,
    /// Only the windows at the start of a run of token characters.
    is_edge: bool,
    /// Characters that may be in a window; empty means all.
    classes: Vec<CharClass>,
}

/// A class of `token_chars`.
#[derive(Debug, Clone)]
pub(crate) enum CharClass {
    Letter,
    Digit,
    Whitespace,
    Punctuation,
    Symbol,
    Custom(String),
}

impl CharClass {
    pub(crate) fn holds(&self, c: char) -> bool {
        let matches = |class: &Regex| class.is_match(c.encode_utf8(&mut [0; 4]));
        match self {
            Self::Letter => c.is_alphabetic(),
            Self::Digit => unicode::decimal_value(c).is_some(),
            Self::Whitespace => c.is_whitespace(),
            Self::Punctuation => matches(&PUNCTUATION),
            Self::Symbol => matches(&SYMBOL),
            Self::Custom(chars) => chars.contains(c),
        }
    }

    fn parse(name: &str, params: &Params<'_>) -> Result<Self, AnalysisError> {
        Ok(match name {
            "letter" => Self::Letter,
            "digit" => Self::Digit,
            "whitespace" => Self::Whitespace,
            "punctuation" => Self::Punctuation,
            "symbol" => Self::Symbol,
            "custom" => match params.text("custom_token_chars")? {
                Some(chars) => Self::Custom(chars),
                None => {
                    return Err(AnalysisError::IllegalArgument(
                        "Token type: 'custom' requires setting `custom_token_chars`".to_owned(),
                    ));
                }
            },
            _ => {
                return Err(AnalysisError::IllegalArgument(format!(
                    "Unknown token type: '{name}', must be one of [letter, digit, whitespace, \
                     punctuation, symbol, custom]"
                )));
            }
        })
    }
}

/// Checks sizes that a user gave for n-grams; `max_diff` is `None` for edge n-grams.
pub(crate) fn check_ngram_limits(
    params: &Params<'_>,
    (min, max): (usize, usize),
    max_diff: Option<usize>,
) -> Result<(), AnalysisError> {
    if max > MAX_GRAM {
        return Err(params.bad(
            "max_gram",
            format!("must be at most {MAX_GRAM}, but was [{max}]"),
        ));
    }
    if min > max {
        return Err(AnalysisError::IllegalArgument(
            "minGram must not be greater than maxGram".to_owned(),
        ));
    }
    match max_diff {
        Some(limit) if max - min > limit => Err(AnalysisError::IllegalArgument(format!(
            "The difference between max_gram and min_gram in NGram Tokenizer must be less than or \
             equal to: [{limit}] but was [{}]. This limit can be set by changing the \
             [index.max_ngram_diff] index level setting.",
            max - min
        ))),
        _ => Ok(()),
    }
}

impl NGram {
    pub(crate) fn sliding(params: &Params<'_>, limits: &Limits) -> Result<Self, AnalysisError> {
        Self::new(params, false, Some(limits.max_ngram_diff))
    }

    pub(crate) fn edge(params: &Params<'_>) -> Result<Self, AnalysisError> {
        Self::new(params, true, None)
    }

    fn new(
        params: &Params<'_>,
        is_edge: bool,
        max_diff: Option<usize>,
    ) -> Result<Self, AnalysisError> {
        let min = params.positive("min_gram", 1)?;
        let max = params.positive("max_gram", 2)?;
        check_ngram_limits(params, (min, max), max_diff)?;
        let classes = params
            .list("token_chars")?
            .unwrap_or_default()
            .iter()
            .map(|name| CharClass::parse(name, params))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            min,
            max,
            is_edge,
            classes,
        })
    }

    fn is_token_char(&self, c: char) -> bool {
        self.classes.is_empty() || self.classes.iter().any(|class| class.holds(c))
    }

    /// Emits the windows of one run, given the byte offsets of its characters and of its end.
    fn emit(&self, bounds: &[usize], meter: &Meter<'_>, window: &mut dyn FnMut(usize, usize)) {
        let length = bounds.len() - 1;
        let num_starts = if self.is_edge { length.min(1) } else { length };
        for first in 0..num_starts {
            if meter.is_spent() {
                return;
            }
            for size in self.min..=self.max.min(length - first) {
                window(bounds[first], bounds[first + size]);
            }
        }
    }
}

impl Tokenizer for NGram {
    fn tokenize(&self, text: &str, meter: &Meter<'_>, sink: &mut dyn FnMut(TokenRef<'_>)) -> u32 {
        let mut position = 0;
        let mut window = |start, end| {
            sink(TokenRef::slice(text, (start, end), position));
            position += 1;
        };
        let mut bounds = Vec::new();
        for (at, c) in text.char_indices() {
            if self.is_token_char(c) {
                bounds.push(at);
            } else if !bounds.is_empty() {
                bounds.push(at);
                self.emit(&bounds, meter, &mut window);
                bounds.clear();
            }
        }
        bounds.push(text.len());
        self.emit(&bounds, meter, &mut window);
        position
    }

    fn growth(&self) -> u64 {
        if self.is_edge {
            return self.max as u64;
        }
        sum_of_sizes(self.min, self.max)
    }
}

/// Returns the characters in all windows of `min..=max` at one place.
pub(crate) fn sum_of_sizes(min: usize, max: usize) -> u64 {
    (min as u64..=max as u64).sum()
}
