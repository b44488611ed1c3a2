//! Filters that add pieces of a word, or the word once more, at its place: `pattern_capture`,
//! `dictionary_decompounder`, `keyword_repeat`; and `delimited_payload`, which leaves a piece out.

use super::stop::WordSet;
use super::{ListFilter, Word, WordFilter};
use crate::{
    meter::{Made, Meter},
    pattern::Pattern,
    token::{Token, TokenList},
    tokenizer::sum_of_sizes,
};

/// `pattern_capture`: what the groups of patterns capture in a word, as far as they match.
#[derive(Debug)]
pub(crate) struct PatternCapture {
    pub(crate) patterns: Vec<Pattern>,
    /// Whether the word itself is kept too; it is where nothing is captured.
    pub(crate) preserves_original: bool,
}

impl PatternCapture {
    /// Returns what all patterns capture, by where it begins; of patterns that capture at one place, the first first.
    fn captured<'t>(&self, text: &'t str, meter: &Meter<'_>) -> Vec<&'t str> {
        let groups = |pattern: &Pattern| -> Vec<(usize, &'t str)> {
            let matches = pattern.captures_iter(text, meter);
            let groups = matches.flat_map(|captures| {
                let groups = captures.iter().skip(1).flatten();
                groups
                    .map(|group| (group.start(), group.as_str()))
                    .collect::<Vec<_>>()
            });
            let is_shown = |(_, group): &(usize, &str)| {
                !group.is_empty() && (*group != text || !self.preserves_original)
            };
            let has_room = |_: &(usize, &str)| meter.take_len(size_of::<(usize, &str)>());
            groups.filter(is_shown).take_while(has_room).collect()
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
    fn apply(&self, list: TokenList, meter: &Meter<'_>) -> TokenList {
        let mut tokens = Made::new(meter);
        for token in list.tokens {
            let captured = self.captured(&token.text, meter);
            if self.preserves_original || captured.is_empty() {
                tokens.push(token.clone());
            }
            tokens.extend(
                captured
                    .into_iter()
                    .map(|text| token.with_text(text.to_owned())),
            );
        }
        TokenList {
            tokens: tokens.into_tokens(),
            ..list
        }
    }

    fn growth(&self) -> u64 {
        let made = |pattern: &Pattern| pattern.captures_len() as u64 + pattern.weight();
        self.patterns.iter().map(made).sum::<u64>() + 1
    }
}

/// Bytes of words that are looked up, for what it costs to make one.
const LOOKED_UP_BYTES_A_MADE_BYTE: usize = 16;

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
    fn push_words(&self, token: &Token, meter: &Meter<'_>, tokens: &mut Made<'_>) {
        let text = &token.text;
        let mut bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let length = bounds.len();
        bounds.push(text.len());
        if length < self.min_word_size {
            return;
        }
        let longest = self.max_subword_size.min(self.words.longest_bytes());
        for first in 0..length {
            let sizes = self.min_subword_size..=longest.min(length - first);
            // Each size is looked up, and looking costs as much as the word is long.
            if !meter.take_len(sizes.clone().count() * longest / LOOKED_UP_BYTES_A_MADE_BYTE) {
                return;
            }
            let mut found = sizes
                .map(|size| &text[bounds[first]..bounds[first + size]])
                .filter(|word| self.words.contains(word));
            if self.only_longest_match {
                // They grow.
                tokens.extend(
                    found
                        .next_back()
                        .map(|word| token.with_text(word.to_owned())),
                );
            } else {
                tokens.extend(found.map(|word| token.with_text(word.to_owned())));
            }
        }
    }
}

impl ListFilter for Decompounder {
    fn apply(&self, list: TokenList, meter: &Meter<'_>) -> TokenList {
        let mut tokens = Made::new(meter);
        for token in list.tokens {
            tokens.push(token.clone());
            self.push_words(&token, meter, &mut tokens);
        }
        TokenList {
            tokens: tokens.into_tokens(),
            ..list
        }
    }

    fn growth(&self) -> u64 {
        sum_of_sizes(1, self.max_subword_size.min(self.words.longest_bytes()))
    }
}

/// `keyword_repeat`: each word twice, the first as a keyword that stemmers leave alone.
#[derive(Debug)]
pub(crate) struct KeywordRepeat;

impl ListFilter for KeywordRepeat {
    fn apply(&self, list: TokenList, meter: &Meter<'_>) -> TokenList {
        let twice = |token: Token| {
            [true, false].map(|is_keyword| Token {
                is_keyword,
                ..token.clone()
            })
        };
        let mut tokens = Made::new(meter);
        tokens.extend(list.tokens.into_iter().flat_map(twice));
        TokenList {
            tokens: tokens.into_tokens(),
            ..list
        }
    }

    fn growth(&self) -> u64 {
        2
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
