//! `word_delimiter` and `word_delimiter_graph`: words cut where letters, digits and other characters meet.
//!
//! Does what Lucene's filters of these names do; the parts are found by [`parts`], and put at positions by [`flat`] and
//! [`graph`].

mod flat;
mod graph;
mod parts;

use std::ops::Range;

use super::ListFilter;
use super::stop::WordSet;
use crate::meter::Meter;
use crate::token::{Token, TokenList};

pub(crate) use parts::{CharKind, Splitting};

/// Which parts of words become tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outputs {
    pub(crate) words: bool,
    pub(crate) numbers: bool,
    /// Adjacent parts of letters, joined.
    pub(crate) joined_words: bool,
    /// Adjacent parts of digits, joined.
    pub(crate) joined_numbers: bool,
    /// All parts, joined.
    pub(crate) joined_all: bool,
    pub(crate) original: bool,
}

impl Outputs {
    fn gives(&self, kind: CharKind) -> bool {
        (self.words && kind.is_alpha()) || (self.numbers && kind.is_digit())
    }

    fn joins(&self, kind: CharKind) -> bool {
        (self.joined_words && kind.is_alpha()) || (self.joined_numbers && kind.is_digit())
    }
}

/// Either filter.
#[derive(Debug)]
pub(crate) struct WordDelimiter {
    pub(crate) outputs: Outputs,
    pub(crate) splitting: Splitting,
    /// Words that stay whole.
    pub(crate) protected: WordSet,
    /// Whether words that are marked as keywords stay whole.
    pub(crate) ignores_keywords: bool,
    /// Whether parts have offsets of their own, where the text of the token is as long as its place.
    pub(crate) adjusts_offsets: bool,
    pub(crate) is_graph: bool,
}

impl ListFilter for WordDelimiter {
    fn apply(&self, list: TokenList, meter: &Meter<'_>) -> TokenList {
        match self.is_graph {
            true => graph::apply(self, list, meter),
            false => flat::apply(self, list, meter),
        }
    }

    fn growth(&self) -> u64 {
        4
    }
}

impl WordDelimiter {
    /// Returns whether a token stays as it is, whatever is in it.
    fn is_kept_whole(&self, token: &Token) -> bool {
        (self.ignores_keywords && token.is_keyword) || self.protected.contains(&token.text)
    }

    /// Returns a part of a token: its own text and, where parts have places of their own, its place.
    fn part(&self, token: &Token, text: String, place: Range<usize>) -> Token {
        let is_as_long = token.end - token.start == token.text.len();
        let (start, end) = match self.adjusts_offsets && is_as_long {
            true => (token.start + place.start, token.start + place.end),
            false => (token.start, token.end),
        };
        Token {
            text,
            start,
            end,
            position_length: 1,
            ..token.clone()
        }
    }
}

/// Parts that are being joined.
#[derive(Debug, Default)]
struct Joined {
    text: String,
    kind: CharKind,
    place: Range<usize>,
    num_parts: usize,
    /// Position of the first part among those of the token.
    position: u32,
}

impl Joined {
    fn is_empty(&self) -> bool {
        self.num_parts == 0
    }

    fn add(&mut self, text: &str, (place, kind): (Range<usize>, CharKind), position: u32) {
        if self.is_empty() {
            self.kind = kind;
            self.place = place.clone();
            self.position = position;
        }
        self.text.push_str(&text[place.clone()]);
        self.place.end = place.end;
        self.num_parts += 1;
    }

    /// Returns whether a part is of the other kind, letters or digits, than those that are joined.
    fn ends_before(&self, kind: CharKind) -> bool {
        !self.is_empty() && !self.kind.shares(kind)
    }
}
