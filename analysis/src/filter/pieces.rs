//! Filters that add pieces of a word, or the word once more, at its place: `pattern_capture`,
//! `dictionary_decompounder`, `keyword_repeat`; and `delimited_payload`, which leaves a piece out.

use regex::Regex;

use super::stop::WordSet;
use super::{ListFilter, Word, WordFilter};
use crate::token::{Token, TokenList};

/// `pattern_capture`: what the groups of patterns capture in a word, as far as they match.
#[derive(Debug)]
pub(crate) struct PatternCapture {
    pub(crate) patterns: Vec<Regex>,
    /// Whether the word itself is kept too; it is where nothing is captured.
    pub(crate) preserves_original: bool,
}

impl PatternCapture {
    /// Returns what all patterns capture, by where it begins; of patterns that capture at one place, the first first.
    fn captured<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let groups = |pattern: &Regex| -> Vec<(usize, &'t str)> {
            let matches = pattern.captures_iter(text);
            let groups = matches.flat_map(|captures| {
                let groups = captures.iter().skip(1).flatten();
                groups
                    .map(|group| (group.start(), group.as_str()))
                    .collect::<Vec<_>>()
            });
            let is_shown = |(_, group): &(usize, &str)| {
                !group.is_empty() && (*group != text || !self.preserves_original)
            };
            groups.filter(is_shown).collect()
        };
        let mut rest: Vec<_> = self.patterns.iter().map(groups).collect();
        for groups in &mut rest {
            groups.reverse();
        }
        // Groups of one pattern stay in their order, also where an inner one begins before the next.
        let mut merged = Vec::new();
        while let Some(next) = rest
            .iter_mut()
            .filter(|groups| !groups.is_empty())
            .min_by_key(|groups| groups.last().map(|(start, _)| *start))
        {
            merged.extend(next.pop().map(|(_, group)| group));
        }
        merged
    }
}

impl ListFilter for PatternCapture {
    fn apply(&self, list: TokenList) -> TokenList {
        let mut tokens = Vec::with_capacity(list.tokens.len());
        for token in list.tokens {
            let captured = self.captured(&token.text);
            let captured = captured.into_iter().map(str::to_owned);
            let pieces: Vec<Token> = captured.map(|text| token.with_text(text)).collect();
            if self.preserves_original || pieces.is_empty() {
                tokens.push(token);
            }
            tokens.extend(pieces);
        }
        TokenList { tokens, ..list }
    }
}

/// `dictionary_decompounder`: the words of a list that are in a word, after it.
#[derive(Debug)]
pub(crate) struct Decompounder {
    pub(crate) words: WordSet,
    /// Shorter words are not looked into. In characters, as all sizes here.
    pub(crate) min_word_size: usize,
    pub(crate) min_subword_size: usize,
    pub(crate) max_subword_size: usize,
    /// Whether of the words that begin at one place the longest alone is taken.
    pub(crate) only_longest_match: bool,
}

impl Decompounder {
    fn push_words(&self, token: &Token, tokens: &mut Vec<Token>) {
        let text = &token.text;
        let mut bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let length = bounds.len();
        bounds.push(text.len());
        if length < self.min_word_size {
            return;
        }
        for first in 0..length {
            let sizes = self.min_subword_size..=self.max_subword_size.min(length - first);
            let found = sizes
                .map(|size| &text[bounds[first]..bounds[first + size]])
                .filter(|word| self.words.contains(word));
            let before = tokens.len();
            tokens.extend(found.map(|word| token.with_text(word.to_owned())));
            if self.only_longest_match && tokens.len() > before {
                // They grow.
                tokens.drain(before..tokens.len() - 1);
            }
        }
    }
}

impl ListFilter for Decompounder {
    fn apply(&self, list: TokenList) -> TokenList {
        let mut tokens = Vec::with_capacity(list.tokens.len());
        for token in list.tokens {
            let at = tokens.len();
            self.push_words(&token, &mut tokens);
            tokens.insert(at, token);
        }
        TokenList { tokens, ..list }
    }
}

/// `keyword_repeat`: each word twice, the first as a keyword that stemmers leave alone.
#[derive(Debug)]
pub(crate) struct KeywordRepeat;

impl ListFilter for KeywordRepeat {
    fn apply(&self, list: TokenList) -> TokenList {
        let twice = |token: Token| {
            [true, false].map(|is_keyword| Token {
                is_keyword,
                ..token.clone()
            })
        };
        TokenList {
            tokens: list.tokens.into_iter().flat_map(twice).collect(),
            ..list
        }
    }
}

/// `delimited_payload`: drops a delimiter and what follows. Payloads are not kept.
#[derive(Debug)]
pub(crate) struct DelimitedPayload(pub(crate) char);

impl WordFilter for DelimitedPayload {
    fn keep(&self, word: &mut Word) -> bool {
        if let Some(at) = word.text().find(self.0) {
            word.text_mut().truncate(at);
        }
        true
    }
}
