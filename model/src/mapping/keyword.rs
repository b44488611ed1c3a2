//! The types of fields whose values are kept as whole terms.

use serde::{Deserialize, Serialize};

/// Name, below a `flattened` field, of the field that holds its values behind their keys.
pub const KEYED: &str = "_keyed";

/// What stands between a key and its value in a term of [`KeywordKind::Keyed`], as in Elasticsearch
/// (`FlattenedFieldParser.SEPARATOR`).
pub const KEY_END: char = '\0';

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
    /// `flattened`: the values that objects hold, at any depth, without their keys.
    Flattened {
        /// Names that a key may be made of, at most.
        depth_limit: u32,
    },
    /// The values of a `flattened` field, each behind its key: terms are `key`, [`KEY_END`], `value`.
    Keyed {
        /// The key that is asked for; empty in a mapping.
        key: String,
        /// Whether there is a column for each key.
        has_columns: bool,
    },
    /// `constant_keyword` without a value: the first document that says one sets it for all documents.
    Unset,
    /// `keyword` with `index_options` of `freqs`: a term counts in scores as often as a document has it.
    Counted,
}

impl KeywordKind {
    /// Returns the dialect's name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Plain | Self::Counted => "keyword",
            Self::Wildcard => "wildcard",
            Self::Constant(_) | Self::Unset => "constant_keyword",
            Self::Flattened { .. } | Self::Keyed { .. } => "flattened",
        }
    }

    /// Returns whether how many documents hold a term counts in its score.
    pub fn is_scored(&self) -> bool {
        match self {
            Self::Plain | Self::Counted | Self::Flattened { .. } | Self::Keyed { .. } => true,
            Self::Wildcard | Self::Constant(_) | Self::Unset => false,
        }
    }

    /// Returns whether it is `keyword` without frequencies, which mappings do not spell out.
    pub fn is_plain(&self) -> bool {
        *self == Self::Plain
    }

    /// Returns whether it was declared as `keyword`.
    pub fn is_keyword(&self) -> bool {
        matches!(self, Self::Plain | Self::Counted)
    }
}
