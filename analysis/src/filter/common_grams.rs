//! `common_grams`: common words joined with their neighbours.

use super::ListFilter;
use super::stop::WordSet;
use crate::meter::{Made, Meter};
use crate::token::{Token, TokenKind, TokenList};

/// Joins two adjacent tokens of which one is common.
#[derive(Debug)]
pub(crate) struct CommonGrams {
    pub(crate) words: WordSet,
    /// For queries: single words that a pair begins or ends with are left out.
    pub(crate) is_for_queries: bool,
}

/// Between the words of a pair.
const SEPARATOR: char = '_';

impl CommonGrams {
    fn is_common(&self, token: &Token) -> bool {
        self.words.contains(&token.text)
    }

    /// Adds pairs after their first words, stacked on them.
    fn with_pairs(&self, list: TokenList, meter: &Meter<'_>) -> TokenList {
        let mut tokens = Made::new(meter);
        let mut words = list.tokens.into_iter().peekable();
        while let Some(word) = words.next() {
            let pair = words
                .peek()
                .filter(|next| self.is_common(&word) || self.is_common(next));
            let pair = pair.map(|next| Token {
                text: format!("{}{SEPARATOR}{}", word.text, next.text),
                position_length: 2,
                end: next.end.max(word.start),
                kind: TokenKind::Gram,
                is_keyword: false,
                ..word.clone()
            });
            tokens.push(word);
            tokens.extend(pair);
        }
        TokenList {
            tokens: tokens.into_tokens(),
            ..list
        }
    }
}

impl ListFilter for CommonGrams {
    fn apply(&self, list: TokenList, meter: &Meter<'_>) -> TokenList {
        let list = self.with_pairs(list, meter);
        match self.is_for_queries {
            true => for_queries(&list),
            false => list,
        }
    }

    fn growth(&self) -> u64 {
        3
    }
}

/// Leaves out words that a pair follows, and a last word that a pair ends with.
fn for_queries(list: &TokenList) -> TokenList {
    let is_pair = |token: &Token| token.kind == TokenKind::Gram;
    let num_tokens = list.tokens.len();
    let has_pair_next = |at: usize| list.tokens.get(at + 1).is_some_and(is_pair);
    let ends_pair = |at: usize| at > 0 && at + 1 == num_tokens && is_pair(&list.tokens[at - 1]);
    let mut tokens = Vec::with_capacity(num_tokens);
    for (at, token) in list.tokens.iter().enumerate() {
        if has_pair_next(at) || (!is_pair(token) && ends_pair(at)) {
            continue;
        }
        tokens.push(Token {
            position_length: 1,
            ..token.clone()
        });
    }
    TokenList {
        tokens,
        num_positions: list.num_positions,
    }
}
