//! Spellings of one word made one: `indic_normalization`, `hindi_normalization`, `serbian_normalization`.
//!
//! Each does what Lucene's filter of that name does to single letters and their neighbours. They expect lower case.

use std::sync::LazyLock;

use hashbrown::HashMap;

use super::{Word, WordFilter};

/// Two letters or three.
type Parts = (char, char, Option<char>);

/// Letters in parts, and the one that stands for them.
static JOINED: LazyLock<HashMap<Parts, char>> = LazyLock::new(|| {
    include_str!("../../folding/indic.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(parse_joined)
        .collect()
});

/// Letters and their neighbours, spelt in one way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spelling {
    /// `indic_normalization`: letters that can be written in parts are one, in ten scripts of India.
    Indic,
    /// `hindi_normalization`: drops what spellings of Hindi differ in, as nuktas, viramas and the length of vowels.
    Hindi,
    /// `serbian_normalization`: Cyrillic becomes Latin, Latin loses its accents; `đ` becomes `dj`.
    Serbian,
}

impl WordFilter for Spelling {
    fn keep(&self, word: &mut Word) -> bool {
        // Nothing of what they change is ASCII.
        if !word.text().is_ascii() {
            word.rewrite(match self {
                Self::Indic => join,
                Self::Hindi => simplify_hindi,
                Self::Serbian => simplify_serbian,
            });
        }
        true
    }

    fn is_normalizing(&self) -> bool {
        true
    }
}

/// Parses `0905 093E 0945 > 0911`.
fn parse_joined(line: &str) -> Option<(Parts, char)> {
    let letter = |number: &str| {
        u32::from_str_radix(number, 16)
            .ok()
            .and_then(char::from_u32)
    };
    let (parts, whole) = line.split_once(" > ")?;
    let mut parts = parts.split(' ').map(letter);
    let key = (parts.next()??, parts.next()??, parts.next().flatten());
    Some((key, letter(whole)?))
}

fn is_indic(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{D7F}')
}

/// Joins letters from the left, as many as can be; what was joined is not joined again.
fn join(text: &str, out: &mut String) {
    let mut rest = text.chars();
    while let Some(first) = rest.next() {
        let mut after_two = rest.clone();
        let Some(second) = after_two.next().filter(|_| is_indic(first)) else {
            out.push(first);
            continue;
        };
        let mut after_three = after_two.clone();
        let third = after_three.next();
        let of_three = third.and_then(|third| JOINED.get(&(first, second, Some(third))));
        if let Some(whole) = of_three {
            out.push(*whole);
            rest = after_three;
        } else if let Some(whole) = JOINED.get(&(first, second, None)) {
            out.push(*whole);
            rest = after_two;
        } else {
            out.push(first);
        }
    }
}

fn simplify_hindi(text: &str, out: &mut String) {
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        out.push(match c {
            // A dead `n` is written as a dot as well.
            'न' if rest.next_if_eq(&'\u{94D}').is_some() => '\u{902}',
            '\u{901}' => '\u{902}',
            // Nukta, virama, and what joins or parts letters.
            '\u{93C}' | '\u{94D}' | '\u{200C}' | '\u{200D}' => continue,
            'ऩ' => 'न',
            'ऱ' => 'र',
            'ऴ' => 'ळ',
            '\u{958}' => 'क',
            '\u{959}' => 'ख',
            '\u{95A}' => 'ग',
            '\u{95B}' => 'ज',
            '\u{95C}' => 'ड',
            '\u{95D}' => 'ढ',
            '\u{95E}' => 'फ',
            '\u{95F}' => 'य',
            // Vowels: short for long.
            'आ' | 'ॲ' => 'अ',
            'ई' => 'इ',
            'ऊ' => 'उ',
            'ॠ' => 'ऋ',
            'ॡ' => 'ऌ',
            'ऍ' | 'ऎ' | 'ऐ' => 'ए',
            'ऑ' | 'ऒ' | 'औ' => 'ओ',
            '\u{940}' => '\u{93F}',
            '\u{942}' => '\u{941}',
            '\u{944}' => '\u{943}',
            '\u{963}' => '\u{962}',
            '\u{945}' | '\u{946}' | '\u{948}' => '\u{947}',
            '\u{949}' | '\u{94A}' | '\u{94C}' => '\u{94B}',
            _ => c,
        });
    }
}

fn simplify_serbian(text: &str, out: &mut String) {
    text.chars().for_each(|c| push_serbian(c, out));
}

fn push_serbian(c: char, out: &mut String) {
    out.push_str(match c {
        'а' => "a",
        'б' => "b",
        'в' => "v",
        'г' => "g",
        'д' => "d",
        'ђ' | 'đ' => "dj",
        'е' => "e",
        'ж' | 'з' | 'ž' => "z",
        'и' => "i",
        'ј' => "j",
        'к' => "k",
        'л' => "l",
        'љ' => "lj",
        'м' => "m",
        'н' => "n",
        'њ' => "nj",
        'о' => "o",
        'п' => "p",
        'р' => "r",
        'с' | 'ш' | 'š' => "s",
        'т' => "t",
        'у' => "u",
        'ф' => "f",
        'х' => "h",
        'ц' | 'ћ' | 'ч' | 'ć' | 'č' => "c",
        'џ' => "dz",
        _ => return out.push(c),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = include_str!("../../folding/indic.txt").lines();
        let num_lines = lines.filter(|line| !line.starts_with('#')).count();
        assert_eq!(JOINED.len(), num_lines);
    }
}
