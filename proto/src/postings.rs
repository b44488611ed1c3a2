//! Calls of a search that is scattered by terms: posting lists, and the way back from document
//! numbers to places.
//!
//! A list is asked for in pages, each behind the last document of the page before, from the view that
//! gave the first. Every page says which generation it is of: lists of one shard fit each other only
//! where that is the same, whichever copies they come from.

use std::time::Duration;

use gleaner_model::{FieldPath, Generation, SeqNo};
use gleaner_query::answer::{LeafTimes, ViewId};
use gleaner_query::postings::PostingList;
use gleaner_query::resolved::{FieldStatistics, TieBreak};
use roaring::RoaringTreemap;

use crate::search::ShardView;

/// Documents of a page, at most and by default: some 1 MiB with frequencies and lengths.
pub const MAX_PAGE: usize = 262_144;

/// Asks for one term's posting lists.
#[derive(Debug, Clone)]
pub struct PostingsCall {
    /// Shards asked, with where to go on.
    pub shards: Vec<ListOf>,
    /// A text or keyword field.
    pub field: FieldPath,
    /// The term after analysis.
    pub term: String,
    /// Whether frequencies and lengths are wanted.
    pub is_weighted: bool,
    /// Documents of a page, 1 to [`MAX_PAGE`]; a leaf gives no more whatever is asked.
    pub limit: usize,
    /// Time left.
    pub remaining: Duration,
}

/// One shard's list, or the rest of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListOf {
    /// The shard and view; behind the first page the view is named.
    pub shard: ShardView,
    /// Only documents behind this one.
    pub after: Option<SeqNo>,
}

/// A page of a shard's list.
#[derive(Debug, Clone, PartialEq)]
pub struct PostingsAnswer {
    /// View it was taken from.
    pub view: ViewId,
    /// Its generation.
    pub generation: Generation,
    /// Live documents in the shard.
    pub num_documents: u64,
    /// Numbers of the field in the shard, for scoring.
    pub field: FieldStatistics,
    /// The documents.
    pub list: PostingList,
    /// Whether no more follow.
    pub is_last: bool,
    /// Where the leaf's time went.
    pub times: Option<LeafTimes>,
    /// Whether the copy serves without its primary: acknowledged writes may be missing.
    pub may_be_stale: bool,
}

/// Asks where documents stand in a view, and in which order.
#[derive(Debug, Clone)]
pub struct LocateCall {
    /// What is asked of each shard.
    pub shards: Vec<LocateIn>,
    /// Time left.
    pub remaining: Duration,
}

/// Documents of one shard.
#[derive(Debug, Clone, PartialEq)]
pub struct LocateIn {
    /// The shard and view.
    pub shard: ShardView,
    /// Sets of documents, each by itself; none asks only for what the shard shows.
    pub sets: Vec<LocateSet>,
}

/// Documents of which the first are wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct LocateSet {
    /// Their seq_nos.
    pub documents: RoaringTreemap,
    /// How many are wanted: the first in the order of the tie-break.
    pub top: usize,
}

/// Where one shard's documents stand.
#[derive(Debug, Clone, PartialEq)]
pub struct LocateAnswer {
    /// View that the places belong to.
    pub view: ViewId,
    /// Its generation.
    pub generation: Generation,
    /// Live documents in the shard.
    pub num_documents: u64,
    /// For each set, its first documents in the order of the tie-break.
    pub sets: Vec<Vec<LocatedDocument>>,
    /// Where the leaf's time went.
    pub times: Option<LeafTimes>,
    /// Whether the copy serves without its primary: acknowledged writes may be missing.
    pub may_be_stale: bool,
}

/// Where a document stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedDocument {
    /// Its number.
    pub seq_no: SeqNo,
    /// Its place in the view.
    pub place: u64,
    /// Last key of the order.
    pub tie: TieBreak,
}
