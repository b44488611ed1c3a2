//! Filters that look at a token's neighbours: `unique`, `remove_duplicates`, `limit`, `fingerprint`.

use hashbrown::HashSet;

use super::ListFilter;
use crate::meter::Meter;
use crate::token::{Token, TokenKind, TokenList};

/// `unique`: the first token of each text, in the value or at each position. What is left out leaves no
/// gap (Elasticsearch, `UniqueTokenFilter`).
#[derive(Debug)]
pub(crate) struct Unique {
    /// Compare only tokens of one position.
    pub(crate) is_per_position: bool,
}

impl ListFilter for Unique {
    fn apply(&self, mut list: TokenList, _: &Meter<'_>) -> TokenList {
        let mut seen = HashSet::new();
        let mut num_left_out = 0;
        let mut last_read = 0;
        list.tokens.retain_mut(|token| {
            let place = if self.is_per_position {
                token.position
            } else {
                0
            };
            let is_first = seen.insert((place, token.text.clone()));
            if !is_first {
                num_left_out += token.position - last_read;
            }
            last_read = token.position;
            token.position -= num_left_out;
            is_first
        });
        list.num_positions -= num_left_out;
        list
    }
}

/// `limit`: the first tokens.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) max_tokens: usize,
}

impl ListFilter for Limit {
    fn apply(&self, mut list: TokenList, _: &Meter<'_>) -> TokenList {
        if list.tokens.len() > self.max_tokens {
            list.tokens.truncate(self.max_tokens);
            list.num_positions = list.tokens.last().map_or(0, |token| token.position + 1);
        }
        list
    }
}

/// `fingerprint`: the sorted distinct words as one token; no token when it is too long.
#[derive(Debug)]
pub(crate) struct Fingerprint {
    pub(crate) separator: char,
    /// In characters.
    pub(crate) max_output_size: usize,
}

impl ListFilter for Fingerprint {
    fn apply(&self, list: TokenList, _: &Meter<'_>) -> TokenList {
        let Some(end) = list.tokens.iter().map(|token| token.end).max() else {
            return list;
        };
        let mut words: Vec<&str> = list
            .tokens
            .iter()
            .map(|token| token.text.as_str())
            .collect();
        words.sort_unstable();
        words.dedup();
        let text = words.join(self.separator.encode_utf8(&mut [0; 4]));
        if text.chars().count() > self.max_output_size {
            return TokenList::default();
        }
        let token = Token {
            text,
            position: 0,
            position_length: 1,
            start: 0,
            end,
            kind: TokenKind::Word,
            is_keyword: false,
        };
        TokenList {
            tokens: vec![token],
            num_positions: 1,
        }
    }
}
