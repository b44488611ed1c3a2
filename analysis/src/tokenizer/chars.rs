//! Tokenizers that cut between characters of a class: white space, letters, chosen characters; and
//! the one that does not cut.

use super::{MAX_TOKEN_LENGTH, Tokenizer};
use crate::{error::AnalysisError, meter::Meter, settings::Params, token::TokenRef};

/// Characters of tokens that are short, see [`growth_of_cuts`].
const SHORT_TOKEN: usize = 8;

/// Makes a token of each longest run of characters that belong to tokens.
#[derive(Debug)]
pub(crate) struct CharTokenizer {
    class: Class,
    lowercases: bool,
    /// In characters; longer runs are cut.
    max_token_length: usize,
}

/// Which characters belong to tokens.
#[derive(Debug)]
enum Class {
    NotWhitespace,
    Letter,
    NoneOf(Vec<Separator>),
}

/// What separates the tokens of `char_group`.
#[derive(Debug)]
enum Separator {
    Char(char),
    Whitespace,
    Letter,
    Digit,
    Punctuation,
    Symbol,
}

impl CharTokenizer {
    pub(crate) fn whitespace(max_token_length: usize) -> Self {
        Self {
            class: Class::NotWhitespace,
            lowercases: false,
            max_token_length,
        }
    }

    pub(crate) fn letter() -> Self {
        Self {
            class: Class::Letter,
            lowercases: false,
            max_token_length: MAX_TOKEN_LENGTH,
        }
    }

    pub(crate) fn lowercase() -> Self {
        Self {
            lowercases: true,
            ..Self::letter()
        }
    }

    pub(crate) fn group(params: &Params<'_>) -> Result<Self, AnalysisError> {
        let names = params.lines("tokenize_on_chars")?.unwrap_or_default();
        let separators = names
            .iter()
            .map(|name| Separator::parse(name).ok_or_else(|| bad_separator(params, name)))
            .collect::<Result<_, _>>()?;
        let max_token_length = params.positive("max_token_length", MAX_TOKEN_LENGTH)?;
        Ok(Self {
            class: Class::NoneOf(separators),
            lowercases: false,
            max_token_length,
        })
    }
}

fn bad_separator(params: &Params<'_>, name: &str) -> AnalysisError {
    params.bad(
        "tokenize_on_chars",
        format!("has [{name}], which is neither a class nor a character"),
    )
}

impl Separator {
    fn parse(name: &str) -> Option<Self> {
        let mut chars = name.chars();
        Some(match (name, chars.next()?, chars.as_str()) {
            ("whitespace", ..) => Self::Whitespace,
            ("letter", ..) => Self::Letter,
            ("digit", ..) => Self::Digit,
            ("punctuation", ..) => Self::Punctuation,
            ("symbol", ..) => Self::Symbol,
            (_, c, "") => Self::Char(c),
            (_, '\\', "n") => Self::Char('\n'),
            (_, '\\', "t") => Self::Char('\t'),
            (_, '\\', "r") => Self::Char('\r'),
            (_, '\\', rest) if rest.chars().count() == 1 => Self::Char(rest.chars().next()?),
            _ => return None,
        })
    }

    fn holds(&self, c: char) -> bool {
        use super::CharClass;
        match self {
            Self::Char(own) => *own == c,
            Self::Whitespace => c.is_whitespace(),
            Self::Letter => c.is_alphabetic(),
            Self::Digit => CharClass::Digit.holds(c),
            Self::Punctuation => CharClass::Punctuation.holds(c),
            Self::Symbol => CharClass::Symbol.holds(c),
        }
    }
}

impl Class {
    fn holds(&self, c: char) -> bool {
        match self {
            Self::NotWhitespace => !c.is_whitespace(),
            Self::Letter => c.is_alphabetic(),
            Self::NoneOf(separators) => !separators.iter().any(|separator| separator.holds(c)),
        }
    }
}

impl Tokenizer for CharTokenizer {
    fn tokenize(&self, text: &str, _: &Meter<'_>, sink: &mut dyn FnMut(TokenRef<'_>)) -> u32 {
        let mut position = 0;
        let mut lower = String::new();
        let mut emit = |start: usize, end: usize| {
            let token = TokenRef::slice(text, (start, end), position);
            position += 1;
            if self.lowercases {
                lower.clear();
                crate::filter::case::push_lowercase(token.text, &mut lower);
                sink(TokenRef {
                    text: &lower,
                    ..token
                });
            } else {
                sink(token);
            }
        };
        let mut run: Option<(usize, usize)> = None;
        for (at, c) in text.char_indices() {
            run = match (self.class.holds(c), run) {
                (true, None) => Some((at, 1)),
                (true, Some((start, length))) if length == self.max_token_length => {
                    emit(start, at);
                    Some((at, 1))
                }
                (true, Some((start, length))) => Some((start, length + 1)),
                (false, Some((start, _))) => {
                    emit(start, at);
                    None
                }
                (false, None) => None,
            };
        }
        if let Some((start, _)) = run {
            emit(start, text.len());
        }
        position
    }

    fn growth(&self) -> u64 {
        growth_of_cuts(self.max_token_length)
    }

    fn lowercases(&self) -> bool {
        self.lowercases
    }
}

/// Returns the growth of a tokenizer that cuts words after so many characters: many short tokens take more than few
/// long ones.
pub(super) fn growth_of_cuts(max_token_length: usize) -> u64 {
    if max_token_length < SHORT_TOKEN { 2 } else { 1 }
}

/// The whole text as one token; nothing for an empty text.
#[derive(Debug)]
pub(crate) struct Keyword;

impl Tokenizer for Keyword {
    fn tokenize(&self, text: &str, _: &Meter<'_>, sink: &mut dyn FnMut(TokenRef<'_>)) -> u32 {
        if text.is_empty() {
            return 0;
        }
        sink(TokenRef::slice(text, (0, text.len()), 0));
        1
    }
}
