//! `more_like_this`: documents that have the words which tell others from the rest.
//!
//! Does: name what can be asked. Does not: read documents (a root does, see [`LikeDocument`]), nor choose words (its
//! resolver does). Called by: what reads or resolves queries. Read first: [`MoreLikeThisQuery`].

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{LookUp, MinimumShouldMatch};

/// `more_like_this`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MoreLikeThisQuery {
    /// Fields whose words count; `None`: the index's default fields.
    pub fields: Option<Vec<String>>,
    /// What documents are to be like.
    pub like: Vec<Like>,
    /// What gives words that do not count.
    pub unlike: Vec<Like>,
    /// Words of a field, at most; default 25.
    pub max_query_terms: usize,
    /// How often a word must be there; default 2.
    pub min_term_freq: u64,
    /// How many documents must have it; default 5.
    pub min_doc_freq: u64,
    /// How many may have it.
    pub max_doc_freq: u64,
    /// Characters of a word, at least; default 0.
    pub min_word_length: usize,
    /// Characters of a word, at most; 0 is any number, the default.
    pub max_word_length: usize,
    /// Words that do not count.
    pub stop_words: Vec<String>,
    /// Analyzer instead of the fields'.
    pub analyzer: Option<String>,
    /// How many of the words must match; default 30%.
    pub minimum_should_match: MinimumShouldMatch,
    /// Factor on the score of words by how much they tell, 0: it does not matter; the default.
    pub boost_terms: f32,
    /// Whether the documents that are named may be found themselves.
    pub include: bool,
    /// Whether a field without words is refused.
    pub fail_on_unsupported_field: bool,
    /// Factor on the score.
    pub boost: f32,
}

/// What documents are to be like, or unlike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Like {
    /// A text.
    Text(String),
    /// A document.
    Document(LikeDocument),
}

/// A document, named or written out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LikeDocument {
    /// Where it is; `None` for one that is written out.
    pub place: Option<LikePlace>,
    /// What it says; `None` until a named one is read, and where there is none.
    pub source: Option<Value>,
    /// Which of its fields count; `None`: those of the query.
    pub fields: Option<Vec<String>>,
    /// Analyzers of its texts by field, instead of the query's and the fields'.
    pub analyzers: BTreeMap<String, String>,
}

/// The name of a document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LikePlace {
    /// Its index; `None`: the one that is searched, where there is one.
    pub index: Option<String>,
    /// Its id.
    pub id: String,
    /// Routing value.
    pub routing: Option<String>,
    /// Whether it has been looked for.
    pub is_read: bool,
}

impl MoreLikeThisQuery {
    /// Returns where the documents are that it names.
    pub fn places(&self) -> impl Iterator<Item = &LikePlace> {
        self.like.iter().chain(&self.unlike).filter_map(Like::place)
    }
}

impl Like {
    /// Returns where the document is; `None` for a text, and for a document that is written out.
    pub fn place(&self) -> Option<&LikePlace> {
        match self {
            Self::Document(document) => document.place.as_ref(),
            Self::Text(_) => None,
        }
    }
}

impl LikePlace {
    /// Returns where to look for it; `default` is the index that is searched.
    pub fn look_up(&self, default: Option<&str>) -> Option<LookUp> {
        Some(LookUp {
            index: self.index.as_deref().or(default)?.to_owned(),
            id: self.id.clone(),
            routing: self.routing.clone(),
        })
    }
}
