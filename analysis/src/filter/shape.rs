//! Filters that look at the shape of one word: length, ends, patterns.

use super::{Word, WordFilter, stop::WordSet};
use crate::pattern::{Pattern, Replacement};

/// `length`: drops words outside of `min..=max` characters.
#[derive(Debug)]
pub(crate) struct Length {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

impl WordFilter for Length {
    fn keep(&self, word: &mut Word) -> bool {
        (self.min..=self.max).contains(&word.text().chars().count())
    }
}

/// `trim`: drops white space at both ends.
#[derive(Debug)]
pub(crate) struct Trim;

impl WordFilter for Trim {
    fn keep(&self, word: &mut Word) -> bool {
        let text = word.text_mut();
        text.truncate(text.trim_end().len());
        let num_leading = text.len() - text.trim_start().len();
        text.drain(..num_leading);
        true
    }

    fn is_normalizing(&self) -> bool {
        true
    }
}

/// `truncate`: keeps the first characters.
#[derive(Debug)]
pub(crate) struct Truncate {
    /// In characters, ≥ 1.
    pub(crate) length: usize,
}

impl WordFilter for Truncate {
    fn keep(&self, word: &mut Word) -> bool {
        if let Some((at, _)) = word.text().char_indices().nth(self.length)
            && !word.is_keyword
        {
            word.text_mut().truncate(at);
        }
        true
    }
}

/// `reverse`.
#[derive(Debug)]
pub(crate) struct Reverse;

impl WordFilter for Reverse {
    fn keep(&self, word: &mut Word) -> bool {
        word.rewrite(|text, out| out.extend(text.chars().rev()));
        true
    }
}

/// `elision`: drops an article and its apostrophe from the front.
#[derive(Debug)]
pub(crate) struct Elision(pub(crate) WordSet);

impl WordFilter for Elision {
    fn keep(&self, word: &mut Word) -> bool {
        let cut = word
            .text()
            .char_indices()
            .find(|&(_, c)| c == '\'' || c == '\u{2019}');
        if let Some((at, apostrophe)) = cut
            && self.0.contains(&word.text()[..at])
        {
            word.text_mut().drain(..at + apostrophe.len_utf8());
        }
        true
    }

    fn is_normalizing(&self) -> bool {
        true
    }
}

/// `apostrophe`: drops the first apostrophe and what follows.
#[derive(Debug)]
pub(crate) struct Apostrophe;

impl WordFilter for Apostrophe {
    fn keep(&self, word: &mut Word) -> bool {
        if let Some(at) = word.text().find(['\'', '\u{2019}']) {
            word.text_mut().truncate(at);
        }
        true
    }
}

/// `pattern_replace`.
#[derive(Debug)]
pub(crate) struct PatternReplace {
    pub(crate) pattern: Pattern,
    pub(crate) replacement: Replacement,
    /// Replace all matches, or the first only.
    pub(crate) is_all: bool,
}

impl WordFilter for PatternReplace {
    fn keep(&self, word: &mut Word) -> bool {
        if !word.charge(self.pattern.cost(word.text())) {
            return false;
        }
        let regex = self.pattern.regex();
        if !regex.is_match(word.text()) {
            return true;
        }
        let num_matches = if self.is_all { usize::MAX } else { 1 };
        let room = word.room();
        let mut fits = true;
        word.rewrite(|text, out| {
            let mut last = 0;
            for captures in regex.captures_iter(text).take(num_matches) {
                let Some(found) = captures.get(0) else {
                    continue;
                };
                out.push_str(&text[last..found.start()]);
                fits = self.replacement.expand(&captures, room, out);
                if !fits {
                    return;
                }
                last = found.end();
            }
            out.push_str(&text[last..]);
        });
        // What was made is charged here, so that a filter behind it cannot make as much again for nothing.
        let made = word.text().len() as u64;
        word.charge(if fits { made } else { u64::MAX })
    }

    fn growth(&self) -> u64 {
        self.replacement.growth() + self.pattern.weight()
    }

    fn is_normalizing(&self) -> bool {
        true
    }
}
