//! Token filters: tokens to tokens.
//!
//! A [`WordFilter`] sees one token at a time and works in one reused buffer; a [`ListFilter`] sees
//! all tokens of a value. The [`mod@build`] module makes them from settings.

use std::{fmt, sync::Arc};

use crate::meter::Meter;
use crate::token::{TokenKind, TokenList, TokenRef};

mod beginning;
mod build;
pub(crate) mod case;
mod cjk;
mod common_grams;
mod flatten;
mod folding;
mod gram;
mod multiplexer;
mod normalization;
mod pieces;
mod script;
mod sequence;
mod shape;
pub(crate) mod shingle;
pub(crate) mod stem;
pub(crate) mod stop;
mod synonym;
mod word_delimiter;

pub(crate) use beginning::Beginnings;
pub(crate) use build::{FilterContext, build, stemmer_algorithm, stop_words};
pub(crate) use multiplexer::Multiplexer;
pub(crate) use shape::Elision;

/// The text of the token that passes through the filters, with room to rewrite it.
#[derive(Debug, Default)]
pub(crate) struct Word {
    /// What filters may make of it, in bytes.
    room: u64,
    /// What they have made since that was last settled.
    made: u64,
    /// Whether a filter would have made more.
    is_beyond: bool,
    text: String,
    scratch: String,
    pub(crate) kind: TokenKind,
    pub(crate) is_keyword: bool,
}

impl Word {
    /// Returns an empty word, of which filters make what the meter has room for.
    pub(crate) fn new(meter: &Meter<'_>) -> Self {
        Self {
            room: meter.room() as u64,
            ..Self::default()
        }
    }

    /// Takes `num_bytes` for what a filter makes; returns whether it may.
    pub(crate) fn charge(&mut self, num_bytes: u64) -> bool {
        self.made = self.made.saturating_add(num_bytes);
        self.is_beyond |= self.made > self.room;
        !self.is_beyond
    }

    /// Returns the bytes that a filter may still make.
    pub(crate) fn room(&self) -> usize {
        usize::try_from(self.room.saturating_sub(self.made)).unwrap_or(usize::MAX)
    }

    /// Charges the meter with what filters made of this word; returns whether that was within it.
    pub(crate) fn settle(&mut self, meter: &Meter<'_>) -> bool {
        if self.made == 0 {
            return true;
        }
        let is_within = meter.take(std::mem::take(&mut self.made));
        self.room = meter.room() as u64;
        is_within
    }

    /// Takes a token's text, kind and keyword mark.
    pub(crate) fn load(&mut self, token: TokenRef<'_>) {
        self.set(token.text);
        self.kind = token.kind;
        self.is_keyword = token.is_keyword;
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn text_mut(&mut self) -> &mut String {
        &mut self.text
    }

    pub(crate) fn set(&mut self, text: &str) {
        self.text.clear();
        self.text.push_str(text);
    }

    /// Replaces the text by what `write` makes of it.
    pub(crate) fn rewrite(&mut self, write: impl FnOnce(&str, &mut String)) {
        self.scratch.clear();
        write(&self.text, &mut self.scratch);
        std::mem::swap(&mut self.text, &mut self.scratch);
    }

    /// Returns `token` with this text, kind and mark.
    pub(crate) fn as_token<'a>(&'a self, token: TokenRef<'_>) -> TokenRef<'a> {
        TokenRef {
            text: &self.text,
            position: token.position,
            position_length: token.position_length,
            start: token.start,
            end: token.end,
            kind: self.kind,
            is_keyword: self.is_keyword,
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// Changes or drops tokens one by one.
pub(crate) trait WordFilter: fmt::Debug + Send + Sync {
    /// Changes the word; returns false to drop it (its position stays empty).
    fn keep(&self, word: &mut Word) -> bool;

    /// True when it works on characters, so that normalizers and `normalize` may use it.
    fn is_normalizing(&self) -> bool {
        false
    }

    /// True for the `lowercase` of no particular language.
    fn is_plain_lowercase(&self) -> bool {
        false
    }

    /// Returns how many bytes it makes of one at most.
    fn growth(&self) -> u64 {
        1
    }
}

/// Changes the tokens of a value as a whole.
pub(crate) trait ListFilter: fmt::Debug + Send + Sync {
    /// Returns the new tokens, in order of position; not all of them when the meter is spent.
    fn apply(&self, list: TokenList, meter: &Meter<'_>) -> TokenList;

    /// Returns how many bytes it makes of one at most, of usual words.
    fn growth(&self) -> u64 {
        1
    }

    /// Returns its effect on single strings, if it works on characters.
    fn normalizing(&self) -> Option<&dyn WordFilter> {
        None
    }
}

/// A filter of either kind.
#[derive(Debug, Clone)]
pub(crate) enum Filter {
    Word(Arc<dyn WordFilter>),
    List(Arc<dyn ListFilter>),
}

impl Filter {
    pub(crate) fn word(filter: impl WordFilter + 'static) -> Self {
        Self::Word(Arc::new(filter))
    }

    pub(crate) fn list(filter: impl ListFilter + 'static) -> Self {
        Self::List(Arc::new(filter))
    }

    /// True for the `lowercase` of no particular language.
    pub(crate) fn is_plain_lowercase(&self) -> bool {
        match self {
            Self::Word(filter) => filter.is_plain_lowercase(),
            Self::List(_) => false,
        }
    }

    /// Applies a word filter; list filters leave the word alone.
    pub(crate) fn keep(&self, word: &mut Word) -> bool {
        match self {
            Self::Word(filter) => filter.keep(word),
            Self::List(_) => true,
        }
    }

    /// Returns how many bytes it makes of one at most, of usual words.
    pub(crate) fn growth(&self) -> u64 {
        match self {
            Self::Word(filter) => filter.growth(),
            Self::List(filter) => filter.growth(),
        }
    }

    /// Applies a filter of either kind; not to all tokens when the meter is spent.
    pub(crate) fn apply_to_list(&self, mut list: TokenList, meter: &Meter<'_>) -> TokenList {
        match self {
            Self::List(filter) => filter.apply(list, meter),
            Self::Word(filter) => {
                let mut word = Word::new(meter);
                list.tokens.retain_mut(|token| {
                    if meter.is_spent() {
                        return false;
                    }
                    word.load(token.as_ref());
                    let is_kept = filter.keep(&mut word);
                    let is_kept = word.settle(meter) && is_kept;
                    token.text.clear();
                    token.text.push_str(word.text());
                    token.kind = word.kind;
                    token.is_keyword = word.is_keyword;
                    is_kept
                });
                list
            }
        }
    }

    /// True when a normalizer may use it.
    pub(crate) fn is_normalizing(&self) -> bool {
        self.normalizing().is_some()
    }

    /// Applies its effect on characters, if it has one.
    pub(crate) fn normalize(&self, word: &mut Word) {
        if let Some(filter) = self.normalizing() {
            // Normalizing filters keep every word.
            filter.keep(word);
        }
    }

    fn normalizing(&self) -> Option<&dyn WordFilter> {
        match self {
            Self::Word(filter) => Some(&**filter).filter(|filter| filter.is_normalizing()),
            Self::List(filter) => filter.normalizing(),
        }
    }
}
