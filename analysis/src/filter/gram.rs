//! The n-gram token filters: pieces of each token, at the token's position and offsets.

use super::ListFilter;
use crate::{
    meter::{Made, Meter},
    token::{Token, TokenList},
    tokenizer::sum_of_sizes,
};

/// `ngram` and `edge_ngram`.
#[derive(Debug)]
pub(crate) struct Grams {
    /// In characters, 1 ≤ `min` ≤ `max`.
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) kind: GramKind,
    /// Also keep tokens that no gram equals.
    pub(crate) preserves_original: bool,
}

/// Which pieces of a token are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GramKind {
    All,
    Front,
    Back,
}

impl Grams {
    fn push_grams(&self, token: &Token, meter: &Meter<'_>, out: &mut Made<'_>) {
        let mut bounds: Vec<usize> = token.text.char_indices().map(|(at, _)| at).collect();
        let length = bounds.len();
        bounds.push(token.text.len());
        let mut push = |first: usize, size: usize| {
            let text = &token.text[bounds[first]..bounds[first + size]];
            if out.has_room(text.len()) {
                out.put(token.with_text(text.to_owned()));
            }
        };
        match self.kind {
            GramKind::All => {
                for first in 0..length {
                    if meter.is_spent() {
                        return;
                    }
                    (self.min..=self.max.min(length - first)).for_each(|size| push(first, size));
                }
            }
            GramKind::Front => (self.min..=self.max.min(length)).for_each(|size| push(0, size)),
            GramKind::Back => {
                (self.min..=self.max.min(length)).for_each(|size| push(length - size, size));
            }
        }
        if self.preserves_original && !(self.min..=self.max).contains(&length) {
            out.push(token.clone());
        }
    }
}

impl ListFilter for Grams {
    fn apply(&self, list: TokenList, meter: &Meter<'_>) -> TokenList {
        let mut tokens = Made::new(meter);
        for token in &list.tokens {
            self.push_grams(token, meter, &mut tokens);
        }
        TokenList {
            tokens: tokens.into_tokens(),
            ..list
        }
    }

    fn growth(&self) -> u64 {
        match self.kind {
            GramKind::All => sum_of_sizes(self.min, self.max),
            GramKind::Front | GramKind::Back => self.max as u64,
        }
    }
}
