//! Where a word is cut, by the kinds of its characters.

use std::ops::Range;

use hashbrown::HashMap;
use unicode_normalization::char::is_combining_mark;

/// What a character is to a word: a set of flags, as Lucene has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CharKind(u8);

impl CharKind {
    pub(crate) const LOWER: Self = Self(1);
    pub(crate) const UPPER: Self = Self(2);
    /// A letter of no case.
    pub(crate) const ALPHA: Self = Self(3);
    pub(crate) const DIGIT: Self = Self(4);
    pub(crate) const ALPHANUM: Self = Self(7);
    /// It parts words.
    pub(crate) const DELIMITER: Self = Self(8);

    /// Returns the kind that a table of types names.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "LOWER" => Self::LOWER,
            "UPPER" => Self::UPPER,
            "ALPHA" => Self::ALPHA,
            "DIGIT" => Self::DIGIT,
            "ALPHANUM" => Self::ALPHANUM,
            "SUBWORD_DELIM" => Self::DELIMITER,
            _ => return None,
        })
    }

    pub(super) fn is_alpha(self) -> bool {
        self.0 & Self::ALPHA.0 != 0
    }

    pub(super) fn is_digit(self) -> bool {
        self.0 & Self::DIGIT.0 != 0
    }

    pub(super) fn shares(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn is_upper(self) -> bool {
        self.0 & Self::UPPER.0 != 0
    }

    fn is_delimiter(self) -> bool {
        self.0 & Self::DELIMITER.0 != 0
    }

    fn of(c: char) -> Self {
        match c {
            '\0'..='\u{FF}' if c.is_lowercase() => Self::LOWER,
            '\0'..='\u{FF}' if c.is_uppercase() => Self::UPPER,
            '0'..='9' => Self::DIGIT,
            '\0'..='\u{FF}' => Self::DELIMITER,
            // Characters outside of the basic plane are of one kind.
            '\u{10000}'.. => Self::ALPHANUM,
            _ if c.is_numeric() => Self::DIGIT,
            _ if c.is_uppercase() => Self::UPPER,
            _ if c.is_lowercase() => Self::LOWER,
            _ if c.is_alphabetic() || is_combining_mark(c) => Self::ALPHA,
            _ => Self::DELIMITER,
        }
    }
}

/// How words are cut.
#[derive(Debug, Default)]
pub(crate) struct Splitting {
    /// Between a lower and an upper case letter.
    pub(crate) on_case_change: bool,
    /// Between letters and digits.
    pub(crate) on_numerics: bool,
    /// Whether a last `'s` is no part.
    pub(crate) drops_possessive: bool,
    /// Kinds of characters that are not what they usually are.
    pub(crate) kinds: HashMap<char, CharKind>,
}

/// A part of a word, by place in bytes, and its kind; letters are of no case.
pub(super) type Part = (Range<usize>, CharKind);

/// The parts of a word.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) parts: Vec<Part>,
    /// Whether it is one part with nothing or delimiters around it.
    pub(super) is_single: bool,
}

impl Parts {
    /// Returns whether the word is one part and nothing else.
    pub(super) fn is_whole(&self, text: &str) -> bool {
        let first = self.parts.first();
        first.is_some_and(|(place, _)| *place == (0..text.len()))
    }
}

/// A character: where it begins, itself, its kind.
type Placed = (usize, char, CharKind);

impl Splitting {
    fn kind(&self, c: char) -> CharKind {
        let own = self.kinds.get(&c).copied();
        own.unwrap_or_else(|| CharKind::of(c))
    }

    /// Cuts a word.
    pub(super) fn parts(&self, text: &str) -> Parts {
        let all: Vec<Placed> = text
            .char_indices()
            .map(|(at, c)| (at, c, self.kind(c)))
            .collect();
        let is_inner = |placed: &Placed| !placed.2.is_delimiter();
        let first = all.iter().position(is_inner).unwrap_or(all.len());
        let last = all.iter().rposition(is_inner).map_or(first, |at| at + 1);
        let byte = |at: usize| all.get(at).map_or(text.len(), |placed| placed.0);
        let mut parts = Vec::new();
        let mut at = first;
        while at < last {
            if all[at].2.is_delimiter() {
                at += 1;
                continue;
            }
            let begun = at;
            at += 1;
            while at < last && !self.is_cut(all[at - 1].2, all[at].2) {
                at += 1;
            }
            let kind = match all[begun].2 {
                CharKind::LOWER | CharKind::UPPER => CharKind::ALPHA,
                kind => kind,
            };
            parts.push((byte(begun)..byte(at), kind));
            if at + 1 < last && self.is_possessive(&all, at + 2, last) {
                at += 2;
            }
        }
        let end = match self.is_possessive(&all, last, last) {
            true => last - 2,
            false => last,
        };
        let is_single = parts.len() == 1 && parts[0].0 == (byte(first)..byte(end));
        Parts { parts, is_single }
    }

    fn is_cut(&self, before: CharKind, after: CharKind) -> bool {
        if before.shares(after) {
            return false;
        }
        let is_case_change = before.is_alpha() && after.is_alpha();
        // An upper case letter begins what follows it.
        if is_case_change && (!self.on_case_change || before.is_upper()) {
            return false;
        }
        let is_numeric =
            (before.is_alpha() && after.is_digit()) || (before.is_digit() && after.is_alpha());
        self.on_numerics || !is_numeric
    }

    /// Returns whether a possessive `'s` ends before the character `end` of a word that ends before `last`.
    fn is_possessive(&self, all: &[Placed], end: usize, last: usize) -> bool {
        if !self.drops_possessive || end < 3 || end > last {
            return false;
        }
        let is_ended = end == last || all[end].2.is_delimiter();
        all[end - 2].1 == '\''
            && matches!(all[end - 1].1, 's' | 'S')
            && all[end - 3].2.is_alpha()
            && is_ended
    }
}
