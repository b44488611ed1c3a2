//! Filters that know sets of words: `stop`, `keep`, `keyword_marker`; and `keep_types`.

use hashbrown::HashSet;

use super::{Word, WordFilter, case::push_lowercase};
use crate::pattern::Pattern;

/// A set of words, compared as they are or in lower case.
#[derive(Debug, Default)]
pub(crate) struct WordSet {
    words: HashSet<Box<str>>,
    ignores_case: bool,
    longest_bytes: usize,
}

impl WordSet {
    pub(crate) fn new<S: AsRef<str>>(
        words: impl IntoIterator<Item = S>,
        ignores_case: bool,
    ) -> Self {
        let words: HashSet<Box<str>> = words
            .into_iter()
            .map(|word| {
                if ignores_case {
                    lowered(word.as_ref())
                } else {
                    word.as_ref().to_owned()
                }
            })
            .map(String::into_boxed_str)
            .collect();
        let longest_bytes = words.iter().map(|word| word.len()).max().unwrap_or(0);
        Self {
            words,
            ignores_case,
            longest_bytes,
        }
    }

    /// Returns the bytes of the longest word; no word of more is in the set.
    pub(crate) fn longest_bytes(&self) -> usize {
        self.longest_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(crate) fn contains(&self, word: &str) -> bool {
        if self.ignores_case {
            self.words.contains(lowered(word).as_str())
        } else {
            // Most words are longer than any stop word: no hash for them.
            word.len() <= self.longest_bytes && self.words.contains(word)
        }
    }
}

fn lowered(word: &str) -> String {
    let mut lowered = String::with_capacity(word.len());
    push_lowercase(word, &mut lowered);
    lowered
}

/// `stop`: drops the words of the set. Positions keep the gap.
#[derive(Debug)]
pub(crate) struct Stop(pub(crate) WordSet);

impl WordFilter for Stop {
    fn keep(&self, word: &mut Word) -> bool {
        !self.0.contains(word.text())
    }
}

/// `keep`: drops all other words.
#[derive(Debug)]
pub(crate) struct Keep(pub(crate) WordSet);

impl WordFilter for Keep {
    fn keep(&self, word: &mut Word) -> bool {
        self.0.contains(word.text())
    }
}

/// `keep_types`: keeps (or drops) the tokens of the named kinds.
#[derive(Debug)]
pub(crate) struct KeepTypes {
    pub(crate) types: Vec<String>,
    pub(crate) is_exclude: bool,
}

impl WordFilter for KeepTypes {
    fn keep(&self, word: &mut Word) -> bool {
        let is_named = self.types.iter().any(|name| name == word.kind.as_str());
        is_named != self.is_exclude
    }
}

/// `keyword_marker`: later stemmers leave the marked words alone.
#[derive(Debug)]
pub(crate) enum KeywordMarker {
    /// Marks the words of a set.
    Words(WordSet),
    /// Marks words that the pattern, which is anchored at both ends, matches.
    Pattern(Pattern),
}

impl WordFilter for KeywordMarker {
    fn keep(&self, word: &mut Word) -> bool {
        let is_marked = match self {
            Self::Words(words) => words.contains(word.text()),
            Self::Pattern(pattern) => {
                word.charge(pattern.cost(word.text())) && pattern.regex().is_match(word.text())
            }
        };
        word.is_keyword |= is_marked;
        true
    }

    fn growth(&self) -> u64 {
        match self {
            Self::Words(_) => 1,
            Self::Pattern(pattern) => 1 + pattern.weight(),
        }
    }
}
