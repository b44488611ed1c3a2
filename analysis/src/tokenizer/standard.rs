//! The standard tokenizer: words by UAX #29, as Lucene's `StandardTokenizer` has them.
//!
//! Text is cut at ASCII white space, where a word always ends. Stretches of pure ASCII take the fast
//! path ([`super::ascii`]), pieces with other characters the full rules; so English with some
//! accents stays fast.

use unicode_segmentation::UnicodeSegmentation;

use super::{Tokenizer, ascii, chars::growth_of_cuts};
use crate::{
    meter::Meter,
    token::{TokenKind, TokenRef},
    unicode,
};

/// Splits text at word boundaries and drops what is no word.
#[derive(Debug)]
pub(crate) struct Standard {
    /// In characters; longer words are cut into pieces of this length, each at its own position.
    max_token_length: usize,
}

/// A word of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoundWord {
    /// Its first byte.
    pub(crate) start: usize,
    /// The byte behind it.
    pub(crate) end: usize,
    pub(crate) position: u32,
    pub(crate) kind: TokenKind,
    /// Whether it is known to be ASCII; others may be, too.
    pub(crate) is_ascii: bool,
}

impl Standard {
    pub(crate) fn new(max_token_length: usize) -> Self {
        Self { max_token_length }
    }
}

impl Standard {
    /// Calls `emit` for each word; returns the number of positions.
    pub(crate) fn words(&self, text: &str, emit: impl FnMut(FoundWord)) -> u32 {
        let mut out = Output {
            text,
            max_token_length: self.max_token_length,
            position: 0,
            emit,
        };
        let bytes = text.as_bytes();
        let mut start = 0;
        while start < bytes.len() {
            let (ascii_end, end) = stretch(bytes, start);
            ascii::words(&bytes[start..ascii_end], |from, to, kind| {
                out.word((start + from, start + to), kind, true);
            });
            unicode_words(&text[ascii_end..end], |from, to, kind| {
                out.word((ascii_end + from, ascii_end + to), kind, false);
            });
            start = end;
        }
        out.position
    }
}

impl Tokenizer for Standard {
    fn tokenize(&self, text: &str, _: &Meter<'_>, sink: &mut dyn FnMut(TokenRef<'_>)) -> u32 {
        self.words(text, |word| {
            sink(TokenRef {
                kind: word.kind,
                ..TokenRef::slice(text, (word.start, word.end), word.position)
            });
        })
    }

    fn growth(&self) -> u64 {
        growth_of_cuts(self.max_token_length)
    }

    fn as_standard(&self) -> Option<&Standard> {
        Some(self)
    }
}

/// Returns the end of the ASCII words from `start` on, and the end of the piece behind them that is
/// not ASCII (both are the end of the text when all is ASCII).
fn stretch(bytes: &[u8], start: usize) -> (usize, usize) {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let Some(other) = first_non_ascii(&bytes[start..]).map(|at| start + at) else {
        return (bytes.len(), bytes.len());
    };
    let ascii_end = bytes[start..other]
        .iter()
        .rposition(is_space)
        .map_or(start, |at| start + at + 1);
    let end = bytes[other..]
        .iter()
        .position(is_space)
        .map_or(bytes.len(), |at| other + at);
    (ascii_end, end)
}

/// Looks at blocks first: `is_ascii` compares many bytes at once.
fn first_non_ascii(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 64;
    let num_ascii_blocks = bytes
        .chunks(BLOCK)
        .take_while(|block| block.is_ascii())
        .count();
    let rest = bytes.get(num_ascii_blocks * BLOCK..)?;
    rest.iter()
        .position(|byte| !byte.is_ascii())
        .map(|at| num_ascii_blocks * BLOCK + at)
}

/// Numbers words, and cuts those that are too long.
struct Output<'a, F> {
    text: &'a str,
    max_token_length: usize,
    position: u32,
    emit: F,
}

impl<F: FnMut(FoundWord)> Output<'_, F> {
    fn word(&mut self, (start, end): (usize, usize), kind: TokenKind, is_ascii: bool) {
        // A word has at least as many bytes as characters: the usual word needs no counting.
        if end - start <= self.max_token_length {
            return self.number((start, end), kind, is_ascii);
        }
        let mut from = start;
        while from < end {
            let rest = &self.text[from..end];
            let length = rest
                .char_indices()
                .nth(self.max_token_length)
                .map_or(rest.len(), |(at, _)| at);
            self.number((from, from + length), kind, is_ascii);
            from += length;
        }
    }

    fn number(&mut self, (start, end): (usize, usize), kind: TokenKind, is_ascii: bool) {
        (self.emit)(FoundWord {
            start,
            end,
            position: self.position,
            kind,
            is_ascii,
        });
        self.position += 1;
    }
}

/// Calls `word(start, end, kind)` for each word of any text.
///
/// Adjacent segments of scripts written without spaces are one word, as in Lucene: UAX #29 leaves
/// them to dictionaries.
fn unicode_words(text: &str, mut word: impl FnMut(usize, usize, TokenKind)) {
    let mut pending: Option<(usize, usize)> = None;
    for (start, segment) in text.split_word_bound_indices() {
        let end = start + segment.len();
        let kind = unicode::segment_kind(segment);
        if kind == Some(TokenKind::SoutheastAsian) {
            pending = Some((pending.map_or(start, |(first, _)| first), end));
            continue;
        }
        if let Some((first, last)) = pending.take() {
            word(first, last, TokenKind::SoutheastAsian);
        }
        if let Some(kind) = kind {
            word(start, end, kind);
        }
    }
    if let Some((first, last)) = pending {
        word(first, last, TokenKind::SoutheastAsian);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(text: &str) -> Vec<(String, TokenKind)> {
        let mut tokens = Vec::new();
        Standard::new(255).tokenize(text, &Meter::unlimited(), &mut |t| {
            tokens.push((t.text.to_owned(), t.kind));
        });
        tokens
    }

    fn texts(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn words_are_split_as_the_dialect_documents() {
        let text = "The 2 QUICK Brown-Foxes jumped over the lazy dog's bone.";
        let words = [
            "The", "2", "QUICK", "Brown", "Foxes", "jumped", "over", "the", "lazy", "dog's", "bone",
        ];
        assert_eq!(texts(text), words);
    }

    #[test]
    fn joiners_join_only_between_their_own_kind() {
        assert_eq!(
            texts("a.b 1.5 a.1 1.a 1,000;2 a,b can't' foo:bar 1:2"),
            [
                "a.b", "1.5", "a", "1", "1", "a", "1,000;2", "a", "b", "can't", "foo:bar", "1", "2"
            ]
        );
        assert_eq!(
            texts("snake_case __init__ _ ___ 3_000.x"),
            ["snake_case", "__init__", "3_000", "x"]
        );
    }

    #[test]
    fn scripts_without_spaces_follow_lucene() {
        assert_eq!(texts("多くの学生"), ["多", "く", "の", "学", "生"]);
        assert_eq!(texts("カタカナ語"), ["カタカナ", "語"]);
        assert_eq!(texts("한국어 글"), ["한국어", "글"]);
        assert_eq!(texts("การที่ได้ต้อง 12"), ["การที่ได้ต้อง", "12"]);
        assert_eq!(texts("naïve café ①½ Ⅷ"), ["naïve", "café", "Ⅷ"]);
    }

    #[test]
    fn emoji_are_tokens_and_symbols_are_not() {
        assert_eq!(
            texts("I ♥ 💩👩‍❤️‍👩 → 🇩🇪🇫🇷 1️⃣ ©"),
            ["I", "💩", "👩‍❤️‍👩", "🇩🇪", "🇫🇷", "1️⃣"]
        );
    }

    #[test]
    fn kinds_are_those_of_lucene() {
        use TokenKind::{AlphaNum, Emoji, Hangul, Hiragana, Ideographic, Katakana, Num};
        let kinds: Vec<_> = tokens("a1 42 ٣ 語 の カナ 글 😀")
            .into_iter()
            .map(|(_, kind)| kind)
            .collect();
        let wanted = [
            AlphaNum,
            Num,
            Num,
            Ideographic,
            Hiragana,
            Katakana,
            Hangul,
            Emoji,
        ];
        assert_eq!(kinds, wanted);
    }

    #[test]
    fn long_words_are_cut_and_each_piece_has_a_position() {
        let mut tokens = Vec::new();
        let tokenizer = Standard::new(5);
        tokenizer.tokenize("jumped ééééééé", &Meter::unlimited(), &mut |t| {
            tokens.push((t.text.to_owned(), t.position));
        });
        let wanted = [("jumpe", 0), ("d", 1), ("ééééé", 2), ("éé", 3)];
        assert_eq!(
            tokens,
            wanted.map(|(text, position)| (text.to_owned(), position))
        );
    }

    proptest! {
        #[test]
        fn the_fast_path_equals_the_full_rules(text in "[\\x00-\\x7f]{0,60}|[ab1_:.,;'\" -]{0,40}") {
            let mut fast = Vec::new();
            ascii::words(text.as_bytes(), |start, end, kind| fast.push((start, end, kind)));
            let mut full = Vec::new();
            unicode_words(&text, |start, end, kind| full.push((start, end, kind)));
            prop_assert_eq!(fast, full);
        }

        #[test]
        fn cutting_at_white_space_changes_nothing(
            // No mark stands behind white space: there it belongs to no word.
            text in "([ab1_.,:'éяの語ก๑カ한😀-]\u{301}?|[ \n]){0,40}",
        ) {
            let mut cut = Vec::new();
            Standard::new(255).tokenize(&text, &Meter::unlimited(), &mut |t| cut.push((t.start, t.end, t.kind)));
            let mut whole = Vec::new();
            unicode_words(&text, |start, end, kind| whole.push((start, end, kind)));
            prop_assert_eq!(cut, whole);
        }
    }
}
