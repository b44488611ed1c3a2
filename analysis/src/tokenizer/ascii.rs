//! Word breaks of ASCII text: the rules of UAX #29 with only ASCII classes left, as one pass over
//! bytes. [`super::standard`] proves it equal to the full rules by property test.

use crate::token::TokenKind;

/// Word break class of an ASCII byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Breaks on both sides and is never part of a token.
    Other,
    /// `ALetter`.
    Letter,
    /// `Numeric`.
    Digit,
    /// `ExtendNumLet`: `_`.
    Underscore,
    /// `MidLetter`: joins two letters.
    MidLetter,
    /// `MidNum`: joins two digits.
    MidNum,
    /// `MidNumLet` and `Single_Quote`: join two letters or two digits.
    MidAny,
}

const CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b'_' => Class::Underscore,
            b':' => Class::MidLetter,
            b',' | b';' => Class::MidNum,
            b'.' | b'\'' => Class::MidAny,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
}

/// Calls `word(start, end, kind)` for each word of `bytes`, which must be ASCII.
pub(super) fn words(bytes: &[u8], mut word: impl FnMut(usize, usize, TokenKind)) {
    let mut start = 0;
    while start < bytes.len() {
        match CLASSES[usize::from(bytes[start])] {
            Class::Letter | Class::Digit | Class::Underscore => {
                let (end, kind) = word_end(bytes, start);
                if let Some(kind) = kind {
                    word(start, end, kind);
                }
                start = end;
            }
            _ => start += 1,
        }
    }
}

/// Returns the end of the word that starts at `start`, and its kind: `None` for underscores only.
fn word_end(bytes: &[u8], start: usize) -> (usize, Option<TokenKind>) {
    let class = |at: usize| {
        bytes
            .get(at)
            .map_or(Class::Other, |&byte| CLASSES[usize::from(byte)])
    };
    let mut kind = None;
    let mut last = Class::Other;
    let mut at = start;
    loop {
        let current = class(at);
        match current {
            Class::Letter => kind = Some(TokenKind::AlphaNum),
            Class::Digit => kind = kind.or(Some(TokenKind::Num)),
            Class::Underscore => {}
            Class::Other => return (at, kind),
            middle => {
                let joins_letters = middle != Class::MidNum && last == Class::Letter;
                let joins_digits = middle != Class::MidLetter && last == Class::Digit;
                let next = class(at + 1);
                let joins = (joins_letters && next == Class::Letter)
                    || (joins_digits && next == Class::Digit);
                if !joins {
                    return (at, kind);
                }
            }
        }
        last = current;
        at += 1;
    }
}
