//! `combined_fields`: one text over several fields, as if they were one.

use serde::Serialize;
use serde_json::Value;

use super::TextOptions;

/// `combined_fields`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CombinedFieldsQuery {
    /// Fields or patterns with their weights, each 1 at least.
    pub fields: Vec<(String, f32)>,
    /// Text as given.
    pub query: Value,
    /// Operator, how many terms must match, what a text without terms matches.
    pub options: TextOptions,
    /// Factor on the score.
    pub boost: f32,
}
