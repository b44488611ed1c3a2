//! Beginnings of neighbouring words, as `search_as_you_type` keeps them: at each word those of it and of the
//! words behind it, joined by spaces.

use super::ListFilter;
use crate::{
    meter::{Made, Meter},
    token::{Token, TokenKind, TokenList},
};

/// Replaces each token by the beginnings of up to so many from it on.
#[derive(Debug)]
pub(crate) struct Beginnings {
    /// Words that are joined, at most.
    pub(crate) words: usize,
    /// Characters of the longest beginning.
    pub(crate) max_chars: usize,
}

impl ListFilter for Beginnings {
    fn apply(&self, list: TokenList, meter: &Meter<'_>) -> TokenList {
        let mut tokens = Made::new(meter);
        for (at, first) in list.tokens.iter().enumerate() {
            let joined = &list.tokens[at..list.tokens.len().min(at + self.words)];
            let texts: Vec<&str> = joined.iter().map(|token| token.text.as_str()).collect();
            if !meter.take_len(texts.iter().map(|text| text.len()).sum()) {
                break;
            }
            let text = texts.join(" ");
            let ends = text.char_indices().skip(1).map(|(end, _)| end);
            let ends = ends.chain([text.len()]).take(self.max_chars);
            tokens.extend(ends.map(|end| Token {
                text: text[..end].to_owned(),
                kind: TokenKind::Shingle,
                ..first.clone()
            }));
        }
        TokenList {
            tokens: tokens.into_tokens(),
            ..list
        }
    }

    fn growth(&self) -> u64 {
        self.max_chars as u64
    }
}
