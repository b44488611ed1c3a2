//! Which operators `simple_query_string` reads.

use crate::error::QueryError;

/// A set of operators; the bits are Lucene's `SimpleQueryParser`'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimpleFlags(u32);

impl SimpleFlags {
    /// Every operator.
    pub const ALL: Self = Self(u32::MAX);
    /// `+`.
    pub const AND: Self = Self(1);
    /// `-`.
    pub const NOT: Self = Self(1 << 1);
    /// `|`.
    pub const OR: Self = Self(1 << 2);
    /// `*` at the end of a word.
    pub const PREFIX: Self = Self(1 << 3);
    /// `"`.
    pub const PHRASE: Self = Self(1 << 4);
    /// `(` and `)`.
    pub const PRECEDENCE: Self = Self(1 << 5);
    /// `\`.
    pub const ESCAPE: Self = Self(1 << 6);
    /// White space between words.
    pub const WHITESPACE: Self = Self(1 << 7);
    /// `~N` after a word.
    pub const FUZZY: Self = Self(1 << 8);
    /// `~N` after a phrase.
    pub const NEAR: Self = Self(1 << 9);

    /// Returns the set of `bits`.
    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Returns the bits of the set.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Reads names joined by `|`, for example `OR|AND|PREFIX`.
    ///
    /// # Errors
    /// `illegal_argument_exception` naming what is unknown.
    pub fn parse(names: &str) -> Result<Self, QueryError> {
        let mut bits = 0;
        for name in names.split('|').map(str::trim) {
            bits |= match name.to_ascii_uppercase().as_str() {
                "ALL" | "" => Self::ALL,
                "NONE" => Self(0),
                "AND" => Self::AND,
                "NOT" => Self::NOT,
                "OR" => Self::OR,
                "PREFIX" => Self::PREFIX,
                "PHRASE" => Self::PHRASE,
                "PRECEDENCE" => Self::PRECEDENCE,
                "ESCAPE" => Self::ESCAPE,
                "WHITESPACE" => Self::WHITESPACE,
                "FUZZY" => Self::FUZZY,
                "NEAR" | "SLOP" => Self::NEAR,
                _ => {
                    return Err(QueryError::illegal(format!(
                        "Unknown simple_query_string flag [{name}]"
                    )));
                }
            }
            .0;
        }
        Ok(Self(bits))
    }

    /// Whether every operator of `other` is read.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
