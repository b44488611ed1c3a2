//! Queries of several values that are not written down: a document has them, or says how many must match.
//!
//! Does: name what can be asked. Does not: read documents (a root does, see [`LookUp`]). Called by: what reads or
//! resolves queries. Read first: [`TermsLookupQuery`].

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{MinimumShouldMatch, Query};

/// Where a value is looked up before a query is resolved. Ids of scrolls carry it, its fields in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// A document that a query names, as messages show it: `[terms] of the document [lists/1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentName<'q> {
    /// The kind of query that names it.
    pub query: &'static str,
    /// Its index; `None`: the one that is searched.
    pub index: Option<&'q str>,
    /// Its id.
    pub id: &'q str,
}

impl fmt::Display for DocumentName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] of the document [", self.query)?;
        if let Some(index) = self.index {
            write!(f, "{index}/")?;
        }
        write!(f, "{}]", self.id)
    }
}

impl Query {
    /// Returns the first document that it names, or a query inside it; the document may have been read already.
    pub fn named_document(&self) -> Option<DocumentName<'_>> {
        match self {
            Self::TermsLookup(query) => Some(DocumentName {
                query: "terms",
                index: Some(query.document.index.as_str()),
                id: query.document.id.as_str(),
            }),
            Self::MoreLikeThis(query) => {
                let place = query.places().next()?;
                Some(DocumentName {
                    query: "more_like_this",
                    index: place.index.as_deref(),
                    id: place.id.as_str(),
                })
            }
            other => other.children().into_iter().find_map(Self::named_document),
        }
    }
}
