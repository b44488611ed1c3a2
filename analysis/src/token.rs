//! Tokens: what an analyzer makes of text.
//!
//! [`TokenRef`] is the borrowed form of the hot path (no allocation per token), [`Token`] the owned
//! form for queries, `_analyze` and filters that look at more than one token.

use std::fmt;

/// Lexical class of a token, as `_analyze` shows it in `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TokenKind {
    /// Tokenizers that do not classify.
    #[default]
    Word,
    /// Letters, or letters and digits.
    AlphaNum,
    /// Digits only (with `.`, `,` and the like between them).
    Num,
    /// One Han character.
    Ideographic,
    /// One Hiragana character.
    Hiragana,
    /// A run of Katakana.
    Katakana,
    /// A run of Hangul.
    Hangul,
    /// A run of a script written without spaces (Thai, Lao, Khmer, Myanmar).
    SoutheastAsian,
    /// An emoji, with its modifiers.
    Emoji,
    /// Added by a synonym filter.
    Synonym,
    /// Several words joined by the shingle filter.
    Shingle,
    /// Two words joined by the `common_grams` filter.
    Gram,
    /// Two adjacent ideographs joined by the `cjk_bigram` filter.
    Double,
    /// One ideograph without a neighbour, or kept beside bigrams.
    Single,
}

impl TokenKind {
    /// Returns the name the dialect uses, such as `<ALPHANUM>`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Word => "word",
            Self::AlphaNum => "<ALPHANUM>",
            Self::Num => "<NUM>",
            Self::Ideographic => "<IDEOGRAPHIC>",
            Self::Hiragana => "<HIRAGANA>",
            Self::Katakana => "<KATAKANA>",
            Self::Hangul => "<HANGUL>",
            Self::SoutheastAsian => "<SOUTHEAST_ASIAN>",
            Self::Emoji => "<EMOJI>",
            Self::Synonym => "SYNONYM",
            Self::Shingle => "shingle",
            Self::Gram => "gram",
            Self::Double => "<DOUBLE>",
            Self::Single => "<SINGLE>",
        }
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One token, borrowed from the analyzer's buffer for the length of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenRef<'a> {
    /// The term to index or to look up.
    pub text: &'a str,
    /// Position in the field, from 0; stop words leave gaps.
    pub position: u32,
    /// How many positions the token spans; 1 except for multi-word synonyms and shingles.
    pub position_length: u32,
    /// First byte in the original text; always on a character boundary.
    pub start: usize,
    /// Byte after the last one in the original text; always on a character boundary.
    pub end: usize,
    /// Lexical class.
    pub kind: TokenKind,
    /// True when stemmers must leave the token alone (`keyword_marker`).
    pub is_keyword: bool,
}

impl<'a> TokenRef<'a> {
    /// Returns a token of one position whose text is `text[start..end]`.
    pub(crate) fn slice(text: &'a str, span: (usize, usize), position: u32) -> Self {
        let (start, end) = span;
        Self {
            text: &text[start..end],
            position,
            position_length: 1,
            start,
            end,
            kind: TokenKind::Word,
            is_keyword: false,
        }
    }

    /// Copies the token out of the buffer.
    pub fn to_token(self) -> Token {
        Token {
            text: self.text.to_owned(),
            position: self.position,
            position_length: self.position_length,
            start: self.start,
            end: self.end,
            kind: self.kind,
            is_keyword: self.is_keyword,
        }
    }
}

/// One token, owned. The fields are those of [`TokenRef`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The term to index or to look up.
    pub text: String,
    /// Position in the field, from 0; stop words leave gaps.
    pub position: u32,
    /// How many positions the token spans; normally 1.
    pub position_length: u32,
    /// First byte in the original text.
    pub start: usize,
    /// Byte after the last one in the original text.
    pub end: usize,
    /// Lexical class.
    pub kind: TokenKind,
    /// True when stemmers must leave the token alone.
    pub is_keyword: bool,
}

impl Token {
    /// Returns the borrowed form.
    pub fn as_ref(&self) -> TokenRef<'_> {
        TokenRef {
            text: &self.text,
            position: self.position,
            position_length: self.position_length,
            start: self.start,
            end: self.end,
            kind: self.kind,
            is_keyword: self.is_keyword,
        }
    }

    /// Returns a copy with another text.
    pub(crate) fn with_text(&self, text: String) -> Self {
        Self {
            text,
            ..self.clone()
        }
    }
}

/// The tokens of one value, and how many positions it takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenList {
    /// In order of position, then of emission.
    pub tokens: Vec<Token>,
    /// The position that the next token would have; trailing stop words count.
    pub num_positions: u32,
}
