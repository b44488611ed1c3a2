//! The query phase of a search: what shards are asked in common, what comes of it.

use std::sync::Arc;

use async_trait::async_trait;
use gleaner_query::answer::ShardHits;
use gleaner_query::resolved::Statistics;
use gleaner_query::search::SearchRequest;

use super::prepared::{Page, SearchOptions};
use super::restart::Stop;
use crate::merge::HitMerger;
use crate::plan::IndexPlan;
use crate::scatter::{Answers, Trip};

/// How shards come to rank their hits: the way of a search that differs by its `scatter`.
#[async_trait]
pub(crate) trait QueryPhase: Send + Sync {
    /// Asks the shards of `plans`, and merges their hits.
    ///
    /// # Errors
    /// [`Stop::Restart`] when what came cannot be used and the search may begin again.
    async fn query<'a>(
        &self,
        plans: &mut [IndexPlan],
        asked: &CommonRequest<'a>,
        trip: &mut Trip,
    ) -> Result<QueryAnswers<'a>, Stop>;
}

/// What all shards answered.
pub(crate) struct QueryAnswers<'a> {
    pub(crate) answers: Answers<ShardHits>,
    /// The best of their hits.
    pub(crate) merged: HitMerger<'a>,
    /// The numbers that their scores are made of.
    pub(crate) statistics: Arc<Statistics>,
}

/// What all shards are asked in common.
#[derive(Clone)]
pub(crate) struct CommonRequest<'a> {
    pub(crate) request: &'a SearchRequest,
    pub(crate) options: &'a SearchOptions,
    pub(crate) page: &'a Page,
    pub(crate) statistics: Arc<Statistics>,
    pub(crate) now_ms: i64,
}
