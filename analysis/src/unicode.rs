//! Character classes that the standard library lacks: the scripts that Lucene tokenizes apart,
//! decimal digits, emoji.

use std::{cmp::Ordering, sync::LazyLock};

use regex::Regex;

use crate::token::TokenKind;

/// Ranges of decimal digits (general category Nd, Unicode 16), sorted; each range starts at a zero
/// and holds a multiple of ten characters.
const DECIMALS: [(char, char); 71] = [
    ('\u{30}', '\u{39}'),
    ('\u{660}', '\u{669}'),
    ('\u{6F0}', '\u{6F9}'),
    ('\u{7C0}', '\u{7C9}'),
    ('\u{966}', '\u{96F}'),
    ('\u{9E6}', '\u{9EF}'),
    ('\u{A66}', '\u{A6F}'),
    ('\u{AE6}', '\u{AEF}'),
    ('\u{B66}', '\u{B6F}'),
    ('\u{BE6}', '\u{BEF}'),
    ('\u{C66}', '\u{C6F}'),
    ('\u{CE6}', '\u{CEF}'),
    ('\u{D66}', '\u{D6F}'),
    ('\u{DE6}', '\u{DEF}'),
    ('\u{E50}', '\u{E59}'),
    ('\u{ED0}', '\u{ED9}'),
    ('\u{F20}', '\u{F29}'),
    ('\u{1040}', '\u{1049}'),
    ('\u{1090}', '\u{1099}'),
    ('\u{17E0}', '\u{17E9}'),
    ('\u{1810}', '\u{1819}'),
    ('\u{1946}', '\u{194F}'),
    ('\u{19D0}', '\u{19D9}'),
    ('\u{1A80}', '\u{1A89}'),
    ('\u{1A90}', '\u{1A99}'),
    ('\u{1B50}', '\u{1B59}'),
    ('\u{1BB0}', '\u{1BB9}'),
    ('\u{1C40}', '\u{1C49}'),
    ('\u{1C50}', '\u{1C59}'),
    ('\u{A620}', '\u{A629}'),
    ('\u{A8D0}', '\u{A8D9}'),
    ('\u{A900}', '\u{A909}'),
    ('\u{A9D0}', '\u{A9D9}'),
    ('\u{A9F0}', '\u{A9F9}'),
    ('\u{AA50}', '\u{AA59}'),
    ('\u{ABF0}', '\u{ABF9}'),
    ('\u{FF10}', '\u{FF19}'),
    ('\u{104A0}', '\u{104A9}'),
    ('\u{10D30}', '\u{10D39}'),
    ('\u{10D40}', '\u{10D49}'),
    ('\u{11066}', '\u{1106F}'),
    ('\u{110F0}', '\u{110F9}'),
    ('\u{11136}', '\u{1113F}'),
    ('\u{111D0}', '\u{111D9}'),
    ('\u{112F0}', '\u{112F9}'),
    ('\u{11450}', '\u{11459}'),
    ('\u{114D0}', '\u{114D9}'),
    ('\u{11650}', '\u{11659}'),
    ('\u{116C0}', '\u{116C9}'),
    ('\u{116D0}', '\u{116E3}'),
    ('\u{11730}', '\u{11739}'),
    ('\u{118E0}', '\u{118E9}'),
    ('\u{11950}', '\u{11959}'),
    ('\u{11BF0}', '\u{11BF9}'),
    ('\u{11C50}', '\u{11C59}'),
    ('\u{11D50}', '\u{11D59}'),
    ('\u{11DA0}', '\u{11DA9}'),
    ('\u{11F50}', '\u{11F59}'),
    ('\u{16130}', '\u{16139}'),
    ('\u{16A60}', '\u{16A69}'),
    ('\u{16AC0}', '\u{16AC9}'),
    ('\u{16B50}', '\u{16B59}'),
    ('\u{16D70}', '\u{16D79}'),
    ('\u{1CCF0}', '\u{1CCF9}'),
    ('\u{1D7CE}', '\u{1D7FF}'),
    ('\u{1E140}', '\u{1E149}'),
    ('\u{1E2F0}', '\u{1E2F9}'),
    ('\u{1E4F0}', '\u{1E4F9}'),
    ('\u{1E5F1}', '\u{1E5FA}'),
    ('\u{1E950}', '\u{1E959}'),
    ('\u{1FBF0}', '\u{1FBF9}'),
];

/// What Lucene calls an emoji: shown as a picture by itself or by a variation selector, a flag, a
/// keycap.
static EMOJI: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\p{Emoji_Presentation}|\p{Emoji}\u{FE0F}|\p{RI}\p{RI}|\u{20E3}")
        .expect("the pattern is a constant")
});

/// Returns the value of a decimal digit of any script.
pub(crate) fn decimal_value(c: char) -> Option<u32> {
    if c.is_ascii() {
        return c.to_digit(10);
    }
    let order = |&(first, last): &(char, char)| {
        if last < c {
            Ordering::Less
        } else if first > c {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    };
    let at = DECIMALS.binary_search_by(order).ok()?;
    Some((c as u32 - DECIMALS[at].0 as u32) % 10)
}

/// Returns the kind of a segment between two word boundaries; `None` when it is no word.
pub(crate) fn segment_kind(segment: &str) -> Option<TokenKind> {
    let first = segment.chars().next()?;
    if is_southeast_asian(first) && decimal_value(first).is_none() {
        return Some(TokenKind::SoutheastAsian);
    }
    let mut kinds = segment.chars().filter_map(char_kind);
    let kind = kinds.next();
    let is_mixed = kinds.any(|other| Some(other) != kind);
    let is_picture = || !segment.is_ascii() && EMOJI.is_match(segment);
    match kind {
        Some(TokenKind::Num) | None if is_picture() => Some(TokenKind::Emoji),
        Some(_) if is_mixed => Some(TokenKind::AlphaNum),
        kind => kind,
    }
}

/// Returns what a character makes of its word; `None` for marks, punctuation and symbols.
fn char_kind(c: char) -> Option<TokenKind> {
    if is_han(c) {
        Some(TokenKind::Ideographic)
    } else if is_hiragana(c) {
        Some(TokenKind::Hiragana)
    } else if is_katakana(c) {
        Some(TokenKind::Katakana)
    } else if is_hangul(c) {
        Some(TokenKind::Hangul)
    } else if c.is_alphabetic() {
        Some(TokenKind::AlphaNum)
    } else {
        decimal_value(c).map(|_| TokenKind::Num)
    }
}

/// True for `Script=Han`.
pub(crate) fn is_han(c: char) -> bool {
    matches!(c,
        '\u{2E80}'..='\u{2E99}' | '\u{2E9B}'..='\u{2EF3}' | '\u{2F00}'..='\u{2FD5}'
        | '\u{3005}' | '\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3038}'..='\u{303B}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FA6D}'
        | '\u{FA70}'..='\u{FAD9}' | '\u{16FE2}'..='\u{16FE3}' | '\u{16FF0}'..='\u{16FF1}'
        | '\u{20000}'..='\u{33479}')
}

/// True for the letters of `Script=Hiragana`.
pub(crate) fn is_hiragana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{3096}' | '\u{309D}'..='\u{309F}' | '\u{1B001}'..='\u{1B11F}'
        | '\u{1B132}' | '\u{1B150}'..='\u{1B152}' | '\u{1F200}')
}

/// True for word break class `Katakana`.
pub(crate) fn is_katakana(c: char) -> bool {
    matches!(c,
        '\u{3031}'..='\u{3035}' | '\u{309B}'..='\u{309C}' | '\u{30A0}'..='\u{30FA}'
        | '\u{30FC}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{32D0}'..='\u{32FE}'
        | '\u{3300}'..='\u{3357}' | '\u{FF66}'..='\u{FF9D}' | '\u{1AFF0}'..='\u{1AFFE}'
        | '\u{1B000}' | '\u{1B120}'..='\u{1B122}' | '\u{1B155}' | '\u{1B164}'..='\u{1B167}')
}

/// True for the letters of `Script=Hangul`.
pub(crate) fn is_hangul(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{11FF}' | '\u{3131}'..='\u{318E}' | '\u{A960}'..='\u{A97C}'
        | '\u{AC00}'..='\u{D7A3}' | '\u{D7B0}'..='\u{D7FB}' | '\u{FFA0}'..='\u{FFDC}')
}

/// True for line break class `Complex_Context`: Thai, Lao, Myanmar, Khmer, Tai, Ahom.
fn is_southeast_asian(c: char) -> bool {
    matches!(c,
        '\u{E01}'..='\u{E3A}' | '\u{E40}'..='\u{E4E}' | '\u{E81}'..='\u{EDF}'
        | '\u{1000}'..='\u{103F}' | '\u{1050}'..='\u{108F}' | '\u{109A}'..='\u{109F}'
        | '\u{1780}'..='\u{17D3}' | '\u{17D7}' | '\u{17DC}'..='\u{17DD}'
        | '\u{1950}'..='\u{19C9}' | '\u{19DE}'..='\u{19DF}' | '\u{1A20}'..='\u{1AAD}'
        | '\u{A9E0}'..='\u{A9EF}' | '\u{A9FA}'..='\u{A9FE}' | '\u{AA60}'..='\u{AADF}'
        | '\u{11700}'..='\u{1172B}' | '\u{1173A}'..='\u{1173B}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_digits_are_those_of_the_unicode_category() {
        let category = Regex::new(r"\p{Nd}").unwrap();
        let mut buffer = [0; 4];
        for c in '\0'..=char::MAX {
            let is_decimal = category.is_match(c.encode_utf8(&mut buffer));
            assert_eq!(decimal_value(c).is_some(), is_decimal, "{c:?}");
        }
        assert_eq!(decimal_value('٣'), Some(3));
    }

    #[test]
    fn scripts_hold_no_foreign_letters() {
        type IsOfScript = fn(char) -> bool;
        let scripts: [(&str, IsOfScript); 4] = [
            (r"\p{Han}", is_han),
            (r"\p{Hiragana}", is_hiragana),
            (r"\p{scx=Katakana}", is_katakana),
            (r"\p{Hangul}", is_hangul),
        ];
        let mut buffer = [0; 4];
        for (pattern, is_of_script) in scripts {
            // The standard library may know newer letters than the regex crate (`\p{Cn}`: unknown).
            let script = Regex::new(&format!(r"{pattern}|\p{{Cn}}")).unwrap();
            for c in ('\0'..=char::MAX).filter(|c| c.is_alphabetic()) {
                let is_match = script.is_match(c.encode_utf8(&mut buffer));
                assert!(
                    is_match || !is_of_script(c),
                    "{pattern} {c:?} {:X}",
                    c as u32
                );
            }
        }
    }
}
