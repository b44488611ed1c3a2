//! Folding of characters: `asciifolding`, `decimal_digit`, `cjk_width`.

use std::sync::LazyLock;

use hashbrown::HashMap;
use unicode_normalization::char::{compose, decompose_compatible};

use super::{ListFilter, Word, WordFilter};
use crate::{
    meter::{Made, Meter},
    token::TokenList,
    unicode,
};

/// What decomposition does not fold: `ß`, `ø`, quotes, dashes, ...
static SPECIAL: LazyLock<HashMap<char, &'static str>> = LazyLock::new(|| {
    include_str!("../../folding/ascii.txt")
        .lines()
        .filter(|line| !line.starts_with("# "))
        .filter_map(|line| line.split_once(' '))
        .flat_map(|(ascii, chars)| chars.chars().map(move |c| (c, ascii)))
        .collect()
});

/// `asciifolding`.
#[derive(Debug)]
pub(crate) struct AsciiFolding;

/// `asciifolding` with `preserve_original`: the folded word, then the original if it differs.
#[derive(Debug)]
pub(crate) struct AsciiFoldingBeside;

/// `decimal_digit`: digits of all scripts become `0` to `9`.
#[derive(Debug)]
pub(crate) struct DecimalDigit;

/// `cjk_width`: full-width ASCII becomes ASCII, half-width Katakana becomes Katakana.
#[derive(Debug)]
pub(crate) struct CjkWidth;

impl WordFilter for AsciiFolding {
    fn keep(&self, word: &mut Word) -> bool {
        if !word.text().is_ascii() {
            word.rewrite(|text, out| text.chars().for_each(|c| push_folded(c, out)));
        }
        true
    }

    fn is_normalizing(&self) -> bool {
        true
    }
}

impl ListFilter for AsciiFoldingBeside {
    fn apply(&self, list: TokenList, meter: &Meter<'_>) -> TokenList {
        let mut tokens = Made::new(meter);
        for token in list.tokens {
            let mut folded = String::new();
            token.text.chars().for_each(|c| push_folded(c, &mut folded));
            if folded != token.text {
                tokens.push(token.with_text(folded));
            }
            tokens.push(token);
        }
        TokenList {
            tokens: tokens.into_tokens(),
            ..list
        }
    }

    fn growth(&self) -> u64 {
        2
    }

    fn normalizing(&self) -> Option<&dyn WordFilter> {
        Some(&AsciiFolding)
    }
}

impl WordFilter for DecimalDigit {
    fn keep(&self, word: &mut Word) -> bool {
        if !word.text().is_ascii() {
            word.rewrite(|text, out| {
                let digit =
                    |c| unicode::decimal_value(c).and_then(|value| char::from_digit(value, 10));
                out.extend(text.chars().map(|c| digit(c).unwrap_or(c)));
            });
        }
        true
    }

    fn is_normalizing(&self) -> bool {
        true
    }
}

impl WordFilter for CjkWidth {
    fn keep(&self, word: &mut Word) -> bool {
        if !word.text().is_ascii() {
            word.rewrite(widen);
        }
        true
    }

    fn is_normalizing(&self) -> bool {
        true
    }
}

/// Appends `c` folded to ASCII, or `c` itself where Lucene leaves it.
fn push_folded(c: char, out: &mut String) {
    if c.is_ascii() {
        return out.push(c);
    }
    if let Some(ascii) = SPECIAL.get(&c) {
        return out.push_str(ascii);
    }
    let start = out.len();
    if is_decomposed(c) {
        decompose_compatible(c, |part| {
            if !matches!(part, '\u{300}'..='\u{36F}') {
                out.push(part);
            }
        });
    }
    if out.len() == start || !out[start..].is_ascii() {
        out.truncate(start);
        out.push(c);
    }
}

/// True in the blocks whose letters Lucene folds as Unicode decomposes them: Latin, superscripts,
/// enclosed and full-width forms.
fn is_decomposed(c: char) -> bool {
    matches!(c,
        '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' | '\u{203C}' | '\u{2047}'..='\u{2049}'
        | '\u{2070}'..='\u{2094}' | '\u{2460}'..='\u{24FF}' | '\u{FB00}'..='\u{FB04}' | '\u{FB06}'
        | '\u{FF01}'..='\u{FF3F}' | '\u{FF41}'..='\u{FF5B}' | '\u{FF5D}'..='\u{FF5E}')
}

fn widen(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\u{FF01}'..='\u{FF5E}' => decompose_compatible(c, |part| out.push(part)),
            // A half-width (semi-)voiced mark joins the kana before it.
            '\u{FF9E}' | '\u{FF9F}' => {
                let mark = if c == '\u{FF9E}' {
                    '\u{3099}'
                } else {
                    '\u{309A}'
                };
                match out.chars().next_back().and_then(|last| compose(last, mark)) {
                    Some(voiced) => {
                        out.pop();
                        out.push(voiced);
                    }
                    None => out.push(if c == '\u{FF9E}' {
                        '\u{309B}'
                    } else {
                        '\u{309C}'
                    }),
                }
            }
            '\u{FF65}'..='\u{FF9D}' => decompose_compatible(c, |part| out.push(part)),
            _ => out.push(c),
        }
    }
}
