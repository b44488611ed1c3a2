//! Patterns of `wildcard` queries: `*` is any run of characters, `?` any one, `\` takes the next one as it is.

use std::iter::Peekable;
use std::str::Chars;

/// A pattern of whole texts.
#[derive(Debug)]
pub(super) struct Pattern {
    glyphs: Vec<Glyph>,
}

/// A part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Glyph {
    /// Any run of characters.
    Run,
    /// Any character.
    One,
    Char(char),
}

/// Where to go on when a pattern does not fit: behind its last [`Glyph::Run`], which takes one character more then.
struct Retry<'a> {
    glyph: usize,
    text: Peekable<Chars<'a>>,
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn parse(pattern: &str) -> Self {
        let mut chars = pattern.chars();
        let mut glyphs = Vec::new();
        while let Some(found) = chars.next() {
            glyphs.push(match found {
                '*' => Glyph::Run,
                '?' => Glyph::One,
                '\\' => Glyph::Char(chars.next().unwrap_or('\\')),
                other => Glyph::Char(other),
            });
        }
        glyphs.dedup_by(|one, other| *one == Glyph::Run && *other == Glyph::Run);
        Self { glyphs }
    }

    /// Does a whole text match? Time is bounded by the product of the lengths of text and pattern.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut chars = text.chars().peekable();
        let mut at = 0;
        let mut retry: Option<Retry<'_>> = None;
        loop {
            let next = chars.peek().copied();
            let fits = match (self.glyphs.get(at), next) {
                (None, None) => return true,
                (Some(Glyph::Run), _) => {
                    at += 1;
                    retry = Some(Retry {
                        glyph: at,
                        text: chars.clone(),
                    });
                    continue;
                }
                (Some(Glyph::One), Some(_)) => true,
                (Some(Glyph::Char(wanted)), Some(next)) => *wanted == next,
                (None, Some(_)) | (Some(_), None) => false,
            };
            if fits {
                at += 1;
                chars.next();
                continue;
            }
            let Some(last) = &mut retry else {
                return false;
            };
            if last.text.next().is_none() {
                return false;
            }
            (at, chars) = (last.glyph, last.text.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "abc", true),
            ("", "", true),
            ("", "a", false),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*ab", "aab", true),
            ("a**b*", "axxb", true),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xbxa", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("größ?", "größe", true),
        ] {
            let is_match = Pattern::parse(pattern).matches(text);
            assert_eq!(is_match, expected, "{pattern} {text}");
        }
    }
}
