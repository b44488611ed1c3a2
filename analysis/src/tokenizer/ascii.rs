//! Word breaks of ASCII text: the rules of UAX #29 with only ASCII classes left, as one pass over
//! bytes. [`super::standard`] proves it equal to the full rules by property test.

use crate::token::TokenKind;

/// Word break class of a byte: a set of the bits below; 0 for what is never part of a word.
type Class = u8;
/// `ALetter`.
const LETTER: Class = 1;
/// `Numeric`.
const DIGIT: Class = 2;
/// `ExtendNumLet`: `_`.
const UNDERSCORE: Class = 4;
/// `MidLetter`, `MidNumLet`, `Single_Quote`: joins two letters.
const JOINS_LETTERS: Class = 8;
/// `MidNum`, `MidNumLet`, `Single_Quote`: joins two digits.
const JOINS_DIGITS: Class = 16;
/// What a word consists of.
const WORD: Class = LETTER | DIGIT | UNDERSCORE;

const CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'0'..=b'9' => DIGIT,
            b'_' => UNDERSCORE,
            b':' => JOINS_LETTERS,
            b',' | b';' => JOINS_DIGITS,
            b'.' | b'\'' => JOINS_LETTERS | JOINS_DIGITS,
            _ => 0,
        };
        byte += 1;
    }
    classes
}

fn class(bytes: &[u8], at: usize) -> Class {
    bytes.get(at).map_or(0, |&byte| CLASSES[usize::from(byte)])
}

/// Returns how many bytes from `at` on are part of a word, or are not.
fn run(bytes: &[u8], at: usize, is_word: bool) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let is_other = |byte: &u8| (CLASSES[usize::from(*byte)] & WORD != 0) != is_word;
    rest.iter().position(is_other).unwrap_or(rest.len())
}

/// Calls `word(start, end, kind)` for each word of `bytes`, which must be ASCII.
pub(super) fn words(bytes: &[u8], mut word: impl FnMut(usize, usize, TokenKind)) {
    let mut start = run(bytes, 0, false);
    while start < bytes.len() {
        let end = word_end(bytes, start);
        // A word of underscores only is no token.
        if let Some(kind) = kind(&bytes[start..end]) {
            word(start, end, kind);
        }
        start = end + run(bytes, end, false);
    }
}

/// Returns the kind of a word by its letters and digits; `None` when it has neither.
fn kind(word: &[u8]) -> Option<TokenKind> {
    let mut kind = None;
    for byte in word {
        match CLASSES[usize::from(*byte)] {
            LETTER => return Some(TokenKind::AlphaNum),
            DIGIT => kind = Some(TokenKind::Num),
            _ => {}
        }
    }
    kind
}

/// Returns the end of the word that starts at `start`.
fn word_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        at += run(bytes, at, true);
        let joint = class(bytes, at);
        if joint & (JOINS_LETTERS | JOINS_DIGITS) == 0 {
            return at;
        }
        let both = class(bytes, at - 1) & class(bytes, at + 1);
        let joins = (joint & JOINS_LETTERS != 0 && both & LETTER != 0)
            || (joint & JOINS_DIGITS != 0 && both & DIGIT != 0);
        if !joins {
            return at;
        }
        at += 1;
    }
}
