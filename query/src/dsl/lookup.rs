//! Queries of several values that are not written down: a document has them, or says how many must match.
//!
//! Does: name what can be asked. Does not: read documents (a root does, see [`LookUp`]). Called by: what reads or
//! resolves queries. Read first: [`TermsLookupQuery`].

use serde::Serialize;
use serde_json::Value;

use super::MinimumShouldMatch;

/// Where a value is looked up before a query is resolved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LookUp {
    /// Index or alias of one index.
    pub index: String,
    /// The document.
    pub id: String,
    /// Routing value.
    pub routing: Option<String>,
}

/// `terms` with the values of a document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TermsLookupQuery {
    /// Field.
    pub field: String,
    /// The document.
    pub document: LookUp,
    /// Where in it the values are.
    pub path: String,
    /// Score of every hit.
    pub boost: f32,
}

/// `terms_set`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TermsSetQuery {
    /// Field.
    pub field: String,
    /// Values as given.
    pub terms: Vec<Value>,
    /// How many of the values must match, 1 at least.
    pub minimum: SetMinimum,
    /// Factor on the score.
    pub boost: f32,
}

/// What says how many of several values must match.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum SetMinimum {
    /// A field of numbers, for its document.
    Field(String),
    /// The query, for all documents.
    Given(MinimumShouldMatch),
}
