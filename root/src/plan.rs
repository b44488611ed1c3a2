//! What a search asks of one index: its shards, and the queries resolved for it.

mod shard;

use std::sync::Arc;

use gleaner_model::IndexMeta;
use gleaner_proto::LeafFault;
use gleaner_proto::search::HighlightWhat;
use gleaner_query::QueryError;
use gleaner_query::dsl::Query;
use gleaner_query::names::ResolveOptions;
use gleaner_query::resolved::{Clause, Extent, NamedClause, Similarities, simplify_filter};

use crate::response::ShardFailure;
use crate::token::PointInTimeState;

pub(crate) use shard::PlannedShard;

/// Which indices a request names.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// Names, aliases, wildcards, comma-separated; `None` or empty is all.
    pub expression: Option<String>,
    /// What to do with names that are missing, closed or hidden.
    pub options: ResolveOptions,
    /// Routing values, comma-separated: only their shards are asked. Empty ones are none.
    pub routing: Option<String>,
}

impl Target {
    /// Returns what was asked for, for people.
    pub(crate) fn name(&self) -> &str {
        self.expression.as_deref().unwrap_or("_all")
    }
}

/// What one index is asked.
#[derive(Debug, Clone)]
pub(crate) struct IndexPlan {
    pub(crate) index: Arc<IndexMeta>,
    pub(crate) shards: Vec<PlannedShard>,
    /// Filters of the aliases it was reached through; any of them must match.
    pub(crate) alias_filters: Vec<Query>,
    /// The same filters as JSON text, for ids of scrolls and points in time.
    pub(crate) alias_filter_texts: Vec<String>,
    /// Factor on its scores.
    pub(crate) boost: f32,
    /// The resolved queries; made by [`crate::planner::Planner`].
    pub(crate) resolved: ResolvedQueries,
    /// Whether its query has patterns whose terms its shards are asked for.
    pub(crate) has_patterns: bool,
    /// Shards that failed a phase before the query and are asked nothing more.
    pub(crate) lost: Vec<ShardFailure>,
    /// Shards of which the query alone says that they cannot match.
    pub(crate) hopeless: Vec<PlannedShard>,
    /// Shards that cannot match for what they hold at the moment they are bound to, or now.
    pub(crate) excluded: Vec<PlannedShard>,
}

impl IndexPlan {
    /// Returns whether its resolved query matches nothing, whatever its shards hold.
    pub(crate) fn is_hopeless(&self) -> bool {
        let matches_nothing =
            |clause: &Clause| simplify_filter(clause.clone()) == Clause::MatchNone;
        self.any_required(true, matches_nothing)
    }

    /// Returns whether nothing can match where `extent` is known; by the post filter too, if that
    /// counts.
    pub(crate) fn is_excluded_by(&self, extent: &Extent, heeds_post_filter: bool) -> bool {
        self.any_required(heeds_post_filter, |clause| extent.excludes(clause))
    }

    fn any_required(&self, heeds_post_filter: bool, holds: impl Fn(&Clause) -> bool) -> bool {
        let post_filter = self.resolved.post_filter.as_ref();
        let post_filter = post_filter.filter(|_| heeds_post_filter);
        holds(&self.resolved.query) || post_filter.is_some_and(holds)
    }

    /// Returns how many of its shards are not asked.
    pub(crate) fn num_skipped(&self) -> u32 {
        (self.hopeless.len() + self.excluded.len()) as u32
    }

    /// Leaves out the shards of which `is_asked` does not say so, in order.
    pub(crate) fn retain(&mut self, mut is_asked: impl FnMut(&mut PlannedShard) -> bool) {
        let left_out = self.shards.extract_if(.., |planned| !is_asked(planned));
        self.excluded.extend(left_out);
    }

    /// Begins again: the newest of every shard is asked, of those that were left out too.
    pub(crate) fn unbind(&mut self) {
        self.shards.append(&mut self.excluded);
        self.shards.sort_by_key(|planned| planned.shard);
        self.shards.iter_mut().for_each(PlannedShard::unbind);
    }

    /// Gives up its shards: what they are to be asked is wrong for this index.
    pub(crate) fn give_up(&mut self, wrong: &QueryError) {
        let failure = |planned: PlannedShard| ShardFailure {
            index: self.index.name.to_string(),
            shard: planned.shard,
            node: None,
            fault: LeafFault::BadQuery {
                kind: wrong.kind.name().into(),
                reason: wrong.reason.clone(),
            },
        };
        self.lost.extend(self.shards.drain(..).map(failure));
    }

    /// Returns whether what its shards were to be asked was wrong for it.
    pub(crate) fn is_given_up(&self) -> bool {
        let is_wrong = |lost: &ShardFailure| matches!(lost.fault, LeafFault::BadQuery { .. });
        self.shards.is_empty() && self.lost.iter().any(is_wrong)
    }
}

/// The queries of a request, resolved for one index.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedQueries {
    pub(crate) query: Clause,
    /// How the index scores those fields of the query that have not the default similarity.
    pub(crate) similarities: Similarities,
    pub(crate) post_filter: Option<Clause>,
    pub(crate) aggregation_filters: Vec<Clause>,
    /// What is marked in hits, without the filters of aliases.
    pub(crate) highlight: Option<HighlightWhat>,
    /// By which the best hits are scored anew, step by step.
    pub(crate) rescores: Vec<Clause>,
    /// Clauses of which hits tell whether they match them.
    pub(crate) named: Vec<NamedClause>,
}

impl Default for ResolvedQueries {
    fn default() -> Self {
        Self {
            query: Clause::MatchAll,
            similarities: Similarities::default(),
            post_filter: None,
            aggregation_filters: Vec::new(),
            highlight: None,
            rescores: Vec::new(),
            named: Vec::new(),
        }
    }
}

/// What a search reads.
#[derive(Clone, Copy)]
pub(crate) enum SearchedIndices<'a> {
    /// The newest of what names stand for.
    Named(&'a Target),
    /// Pinned views.
    Pinned(&'a PointInTimeState),
}
