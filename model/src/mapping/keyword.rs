//! The types of fields whose values are kept as whole terms.

use serde::{Deserialize, Serialize};

/// As which type a field of whole terms was declared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum KeywordKind {
    /// `keyword`.
    #[default]
    Plain,
    /// `wildcard`: meant to be found by patterns; every hit scores the same.
    Wildcard,
    /// `constant_keyword`: every document has this value, whether it says so or not.
    Constant(String),
}

impl KeywordKind {
    /// Returns the dialect's name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Plain => "keyword",
            Self::Wildcard => "wildcard",
            Self::Constant(_) => "constant_keyword",
        }
    }

    /// Returns whether it is `keyword`.
    pub fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}
