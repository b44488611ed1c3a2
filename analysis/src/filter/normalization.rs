//! Letters of one word that are written in several ways made one: `arabic_normalization` and its kin.
//!
//! Each does what Lucene's filter of that name does. They expect lower case, `scandinavian_…` aside.

use super::{Word, WordFilter};

/// Whose letters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Letters {
    /// `arabic_normalization`: alef, yeh and heh without what is written above or below them.
    Arabic,
    /// `persian_normalization`: yeh, kaf and heh as in Arabic.
    Persian,
    /// `sorani_normalization`: letters of Central Kurdish as they are meant.
    Sorani,
    /// `german_normalization`: `ß` is `ss`, umlauts and their spellings with `e` are the vowel.
    German,
    /// `scandinavian_normalization`: `ä`, `ae` are `æ`; `ö`, `oe`, `oo` are `ø`; `aa`, `ao` are `å`.
    Scandinavian,
    /// `scandinavian_folding`: all of these are `a` and `o`.
    ScandinavianFolding,
}

impl WordFilter for Letters {
    fn keep(&self, word: &mut Word) -> bool {
        word.rewrite(match self {
            Self::Arabic => arabic,
            Self::Persian => persian,
            Self::Sorani => sorani,
            Self::German => german,
            Self::Scandinavian => scandinavian,
            Self::ScandinavianFolding => fold_scandinavian,
        });
        true
    }

    fn is_normalizing(&self) -> bool {
        true
    }
}

/// Vowel signs of Arabic script, and what doubles or silences a letter.
fn is_arabic_mark(c: char) -> bool {
    matches!(c, '\u{64B}'..='\u{652}')
}

const TATWEEL: char = '\u{640}';

fn arabic(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\u{622}' | '\u{623}' | '\u{625}' => out.push('\u{627}'),
            '\u{649}' => out.push('\u{64A}'),
            '\u{629}' => out.push('\u{647}'),
            TATWEEL => {}
            c if is_arabic_mark(c) => {}
            c => out.push(c),
        }
    }
}

fn persian(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\u{6CC}' | '\u{6D2}' => out.push('\u{64A}'),
            '\u{6A9}' => out.push('\u{643}'),
            '\u{6C0}' | '\u{6C1}' => out.push('\u{647}'),
            '\u{654}' => {}
            c => out.push(c),
        }
    }
}

fn sorani(text: &str, out: &mut String) {
    const HEH: char = '\u{647}';
    const AE: char = '\u{6D5}';
    const RREH: char = '\u{695}';
    let begin = out.len();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{64A}' | '\u{649}' => out.push('\u{6CC}'),
            '\u{643}' => out.push('\u{6A9}'),
            // A joiner that is none marks the letter before it as a vowel.
            '\u{200C}' => {
                if out[begin..].ends_with(HEH) {
                    out.pop();
                    out.push(AE);
                }
            }
            HEH if rest.peek().is_none() => out.push(AE),
            '\u{629}' => out.push(AE),
            '\u{6BE}' => out.push(HEH),
            '\u{631}' if out.len() == begin => out.push(RREH),
            '\u{692}' => out.push(RREH),
            TATWEEL => {}
            c if is_arabic_mark(c) || is_format(c) => {}
            c => out.push(c),
        }
    }
}

/// Characters of the category *Format* in the basic plane.
fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{600}'..='\u{605}'
            | '\u{61C}'
            | '\u{6DD}'
            | '\u{70F}'
            | '\u{8E2}'
            | '\u{180E}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
    )
}

/// What an `e` that comes next is.
#[derive(PartialEq)]
enum Before {
    /// The first letter, or a consonant.
    Other,
    /// A vowel that an `e` may be a letter of its own after.
    Vowel,
    /// A vowel that an `e` turns into an umlaut.
    Umlaut,
}

fn german(text: &str, out: &mut String) {
    let mut before = Before::Other;
    for c in text.chars() {
        before = match c {
            'a' | 'o' => {
                out.push(c);
                Before::Umlaut
            }
            'u' => {
                out.push(c);
                match before {
                    Before::Other => Before::Umlaut,
                    Before::Vowel | Before::Umlaut => Before::Vowel,
                }
            }
            'e' => {
                if before != Before::Umlaut {
                    out.push(c);
                }
                Before::Vowel
            }
            'i' | 'q' | 'y' => {
                out.push(c);
                Before::Vowel
            }
            'ä' => {
                out.push('a');
                Before::Vowel
            }
            'ö' => {
                out.push('o');
                Before::Vowel
            }
            'ü' => {
                out.push('u');
                Before::Vowel
            }
            'ß' => {
                out.push_str("ss");
                Before::Other
            }
            c => {
                out.push(c);
                Before::Other
            }
        };
    }
}

fn scandinavian(text: &str, out: &mut String) {
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().map(char::to_ascii_lowercase);
        let joined = match (c, next) {
            ('a', Some('a' | 'o')) => Some('å'),
            ('A', Some('a' | 'o')) => Some('Å'),
            ('a', Some('e')) => Some('æ'),
            ('A', Some('e')) => Some('Æ'),
            ('o', Some('e' | 'o')) => Some('ø'),
            ('O', Some('e' | 'o')) => Some('Ø'),
            _ => None,
        };
        if joined.is_some() {
            rest.next();
        }
        out.push(joined.unwrap_or(match c {
            'ä' => 'æ',
            'Ä' => 'Æ',
            'ö' => 'ø',
            'Ö' => 'Ø',
            c => c,
        }));
    }
}

fn fold_scandinavian(text: &str, out: &mut String) {
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().map(char::to_ascii_lowercase);
        let is_joined = match c {
            'a' | 'A' => matches!(next, Some('a' | 'o' | 'e')),
            'o' | 'O' => matches!(next, Some('e' | 'o')),
            _ => false,
        };
        if is_joined {
            rest.next();
        }
        out.push(match c {
            'å' | 'ä' | 'æ' => 'a',
            'Å' | 'Ä' | 'Æ' => 'A',
            'ø' | 'ö' => 'o',
            'Ø' | 'Ö' => 'O',
            c => c,
        });
    }
}
