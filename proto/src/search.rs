//! Calls of the search path.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{DocumentId, Generation, SeqNo, ShardKey};
use gleaner_query::answer::{Explanation, ViewId};
use gleaner_query::resolved::{
    Clause, ExpansionCandidate, ExpansionRequest, NamedClause, ShardQuery, Statistics,
    StatisticsRequest,
};
use gleaner_query::search::{FieldFormat, Highlight};

/// One shard of a reading call, and which of its views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardView {
    /// The shard.
    pub shard: ShardKey,
    /// The view; `None` is the newest.
    pub view: Option<ViewId>,
    /// The newest view must show all operations below this: the copy waits for it while there is
    /// time, or a moment where the call asks for other shards too, then answers
    /// `LeafFault::Behind`. `None`: whatever it shows.
    pub at_least: Option<SeqNo>,
}

/// Asks for numbers for scoring.
#[derive(Debug, Clone)]
pub struct StatisticsCall {
    /// Shards asked.
    pub shards: Vec<ShardView>,
    /// Numbers wanted.
    pub request: Arc<StatisticsRequest>,
    /// Time left.
    pub remaining: Duration,
}

/// A shard's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct StatisticsAnswer {
    /// View they were taken from.
    pub view: ViewId,
    /// Its generation.
    pub generation: Generation,
    /// The numbers.
    pub statistics: Statistics,
    /// Live documents in the shard; `None` from a leaf that does not tell.
    pub num_documents: Option<u64>,
    /// Whether the copy serves without its primary: acknowledged writes may be missing.
    pub may_be_stale: bool,
}

/// Asks for the terms that patterns stand for.
#[derive(Debug, Clone)]
pub struct ExpandCall {
    /// Shards asked.
    pub shards: Vec<ShardView>,
    /// The patterns.
    pub requests: Arc<Vec<ExpansionRequest>>,
    /// Time left.
    pub remaining: Duration,
}

/// A shard's candidates.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpandAnswer {
    /// View they were taken from.
    pub view: ViewId,
    /// Its generation.
    pub generation: Generation,
    /// Candidates per pattern, in order, at most its limit each.
    pub candidates: Vec<Vec<ExpansionCandidate>>,
    /// Whether the copy may lack acknowledged writes.
    pub may_be_stale: bool,
}

/// Asks for the best hits, counts and aggregations.
#[derive(Debug, Clone)]
pub struct SearchCall {
    /// Shards asked.
    pub shards: Vec<ShardView>,
    /// The query; the same for all shards.
    pub query: Arc<ShardQuery>,
    /// Time left.
    pub remaining: Duration,
}

/// Ranked hits of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchFrom {
    /// The shard and view.
    pub shard: ShardView,
    /// The hits in it.
    pub hits: FetchHits,
}

/// By what a leaf finds hits that are to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchHits {
    /// By their places in the view, which ranked them.
    Places(Vec<u64>),
    /// By their sequence numbers, in a view that did not rank them. A number stands for one version of
    /// a document on every copy; where one was replaced meanwhile, the answer is
    /// [`LeafFault::ViewMissing`](crate::LeafFault::ViewMissing).
    Numbers(Vec<u64>),
}

impl FetchHits {
    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let (Self::Places(hits) | Self::Numbers(hits)) = self;
        hits.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Asks for the content of ranked hits.
#[derive(Debug, Clone)]
pub struct FetchCall {
    /// The hits, by shard.
    pub shards: Vec<FetchFrom>,
    /// What to return.
    pub what: Arc<FetchWhat>,
    /// Time left.
    pub remaining: Duration,
}

/// What to return of each hit. `_source` is returned whole; the root filters it.
#[derive(Debug, Clone, Default)]
pub struct FetchWhat {
    /// Doc values.
    pub docvalue_fields: Vec<FieldFormat>,
    /// Values taken from `_source`.
    pub fields: Vec<FieldFormat>,
    /// Fragments.
    pub highlight: Option<HighlightWhat>,
    /// Explain each hit's score under this query.
    pub explain: Option<Arc<ShardQuery>>,
    /// Clauses of which each hit tells whether they match it.
    pub named: Vec<NamedClause>,
    /// By whose statistics and similarities the named clauses are scored; `None`: they only match.
    pub named_by: Option<Arc<ShardQuery>>,
    /// Whether `_source` is left out.
    pub is_without_source: bool,
}

/// Highlighting with its queries resolved.
#[derive(Debug, Clone)]
pub struct HighlightWhat {
    /// As asked.
    pub highlight: Highlight,
    /// The search's query, or `highlight.query`, resolved.
    pub query: Clause,
    /// `highlight_query` of single fields, resolved, by position in `highlight.fields`.
    pub field_queries: Vec<Option<Clause>>,
}

/// Asks for the explanation of one document's score.
#[derive(Debug, Clone)]
pub struct ExplainCall {
    /// The shard and view.
    pub shard: ShardView,
    /// The document.
    pub id: DocumentId,
    /// The query.
    pub query: Arc<ShardQuery>,
    /// Time left.
    pub remaining: Duration,
}

/// What a copy answers of the document that is to be explained.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ExplainAnswer {
    /// The document; `None` when the shard has no such live one.
    pub found: Option<ExplainedDocument>,
    /// Whether the copy may lack acknowledged writes: also a document that it does not find may be there.
    pub may_be_stale: bool,
}

/// An explained document.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainedDocument {
    /// Whether the query matches it.
    pub matched: bool,
    /// The tree.
    pub explanation: Explanation,
    /// Its content, for `_source`.
    pub document: crate::read::Document,
}

/// Asks to pin the newest views.
#[derive(Debug, Clone)]
pub struct OpenViewsCall {
    /// The shards.
    pub shards: Vec<ShardKey>,
    /// How long an unused view lives.
    pub keep_alive: Duration,
    /// Who pins them: random, so that nobody releases or revives another's pin.
    pub holder: u64,
}

/// A pinned view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinnedView {
    /// Its shard.
    pub shard: ShardKey,
    /// The view.
    pub view: ViewId,
    /// Who pinned it.
    pub holder: u64,
    /// Whether it may lack writes that were acknowledged before it was pinned. The leaf that pins it says so; calls that name
    /// a view leave it `false`.
    pub may_be_stale: bool,
}
