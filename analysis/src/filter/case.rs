//! Lower and upper case, one character at a time as Lucene does it: no final sigma, no `ß` to `SS`.

use unicode_normalization::char::decompose_canonical;

use super::{Word, WordFilter};

/// `lowercase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lowercase {
    /// Unicode's simple mapping.
    Plain,
    /// Also drops accents and makes the final sigma a plain one.
    Greek,
    /// A `n` or `t` put before a capital vowel is parted from it: `nAthair` becomes `n-athair`.
    Irish,
    /// `I` becomes `ı`, `İ` becomes `i`.
    Turkish,
}

/// `uppercase`.
#[derive(Debug)]
pub(crate) struct Uppercase;

impl WordFilter for Lowercase {
    fn keep(&self, word: &mut Word) -> bool {
        match self {
            Self::Plain => lowercase(word),
            Self::Greek => word.rewrite(|text, out| text.chars().for_each(|c| push_greek(c, out))),
            Self::Irish => word.rewrite(push_irish),
            Self::Turkish => word.rewrite(|text, out| {
                out.extend(text.chars().map(|c| match c {
                    'I' => 'ı',
                    'İ' => 'i',
                    _ => lower(c),
                }));
            }),
        }
        true
    }

    fn is_normalizing(&self) -> bool {
        true
    }

    fn is_plain_lowercase(&self) -> bool {
        *self == Self::Plain
    }
}

impl WordFilter for Uppercase {
    fn keep(&self, word: &mut Word) -> bool {
        if word.text().is_ascii() {
            word.text_mut().make_ascii_uppercase();
        } else {
            word.rewrite(|text, out| out.extend(text.chars().map(upper)));
        }
        true
    }

    fn is_normalizing(&self) -> bool {
        true
    }
}

/// Lowercases a word in place when it is ASCII.
pub(crate) fn lowercase(word: &mut Word) {
    if word.text().is_ascii() {
        word.text_mut().make_ascii_lowercase();
    } else {
        word.rewrite(|text, out| out.extend(text.chars().map(lower)));
    }
}

/// Appends `text` in lower case.
pub(crate) fn push_lowercase(text: &str, out: &mut String) {
    out.extend(text.chars().map(lower));
}

/// Unicode's simple mapping: the first character where the full mapping has more (`İ`).
fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// Unicode's simple mapping: the character itself where the full mapping has more (`ß`).
fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(upper), None) => upper,
        _ => c,
    }
}

fn push_irish(text: &str, out: &mut String) {
    let mut rest = text.chars();
    if let Some(first @ ('n' | 't')) = rest.clone().next()
        && let Some('A' | 'E' | 'I' | 'O' | 'U' | 'Á' | 'É' | 'Í' | 'Ó' | 'Ú') = rest.clone().nth(1)
    {
        rest.next();
        out.push(first);
        out.push('-');
    }
    out.extend(rest.map(lower));
}

fn push_greek(c: char, out: &mut String) {
    if !matches!(c, '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}') {
        return out.push(lower(c));
    }
    decompose_canonical(c, |part| match lower(part) {
        '\u{300}'..='\u{36F}' => {}
        'ς' => out.push('σ'),
        letter => out.push(letter),
    });
}
