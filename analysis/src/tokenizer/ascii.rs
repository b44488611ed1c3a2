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

/// Calls `word(start, end, kind)` for each word of `bytes`, which must be ASCII.
pub(super) fn words(bytes: &[u8], mut word: impl FnMut(usize, usize, TokenKind)) {
    let mut start = 0;
    while start < bytes.len() {
        if class(bytes, start) & WORD == 0 {
            start += 1;
            continue;
        }
        let (end, seen) = word_end(bytes, start);
        // A word of underscores only is no token.
        if seen & LETTER != 0 {
            word(start, end, TokenKind::AlphaNum);
        } else if seen & DIGIT != 0 {
            word(start, end, TokenKind::Num);
        }
        start = end;
    }
}

/// Returns the end of the word that starts at `start`, and all classes in it.
fn word_end(bytes: &[u8], start: usize) -> (usize, Class) {
    let mut seen = 0;
    let mut last = 0;
    let mut at = start;
    loop {
        let mut current = class(bytes, at);
        while current & WORD != 0 {
            seen |= current;
            last = current;
            at += 1;
            current = class(bytes, at);
        }
        let both = last & class(bytes, at + 1);
        let joins = (current & JOINS_LETTERS != 0 && both & LETTER != 0)
            || (current & JOINS_DIGITS != 0 && both & DIGIT != 0);
        if !joins {
            return (at, seen);
        }
        at += 1;
    }
}
