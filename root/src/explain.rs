//! How one document's score comes about.

use std::sync::Arc;

use gleaner_proto::search::{ExplainAnswer, ExplainCall};
use gleaner_query::search::SearchRequest;

use crate::RootError;
use crate::deadline::Deadline;
use crate::health::Phase;
use crate::plan::{PlannedShard, Target};
use crate::planner::DatedRequest;
use crate::read::GetRequest;
use crate::read::Reader;
use crate::scatter::{Calls, LeafCall, Round, Slot, Trip, keep_order};
use crate::search::phase::CommonRequest;
use crate::search::restart::Stop;
use crate::search::{Page, SearchOptions, shard_query};

impl Reader {
    /// Explains the score of one document under a query, and names its index; nothing is found when there is no such
    /// document.
    ///
    /// # Errors
    /// [`RootError`] when the query or the index is wrong or the shard does not answer.
    pub async fn explain(
        &self,
        get: &GetRequest,
        request: &SearchRequest,
    ) -> Result<(String, ExplainAnswer), RootError> {
        let (index, asked_shard, id) = self.cluster.locate(get)?;
        let deadline = Deadline::after(self.cluster.default_timeout());
        let mut plans = self.planner.targets(&Target {
            expression: Some(get.index.clone()),
            ..Target::default()
        })?;
        let now_ms = self.cluster.now_ms();
        let request = SearchRequest {
            explain: true,
            ..request.clone()
        };
        let mut trip = Trip::new(deadline);
        trip.trusts_memory = false;
        let dated = DatedRequest {
            request: &request,
            now_ms,
        };
        self.planner
            .resolve_all(&mut plans, dated, &mut trip)
            .await?;
        let by_shards = &self.searcher.by_shards;
        let counted = by_shards.counted(&mut plans, &request, &mut trip).await;
        let counted = counted.map_err(|restart| Stop::Restart(restart).into_error())?;
        let (options, page) = (SearchOptions::default(), Page::default());
        let asked = CommonRequest {
            request: &request,
            options: &options,
            page: &page,
            statistics: counted.statistics,
            now_ms,
        };
        let query = Arc::new(shard_query(0, &plans[0], &asked));
        let mut shards = plans[0].shards.iter();
        let planned = shards.find(|shard| shard.shard == asked_shard).cloned();
        let planned = planned.unwrap_or_else(|| PlannedShard::newest(asked_shard, None));
        let mut slot = Slot::new(0, &planned, self.cluster.leaves.copies(asked_shard));
        keep_order(&mut slot);
        let round = Round {
            phase: Phase::Query,
            slots: vec![slot],
            gather_by: deadline.gather_by(),
            is_grouped: false,
        };
        let explain = |call: LeafCall| {
            let explain = ExplainCall {
                shard: call.shards[0],
                id: id.clone(),
                query: Arc::clone(&query),
                remaining: call.remaining,
            };
            async move { vec![call.located.client.explain(explain).await] }
        };
        let (mut outcomes, _) = self
            .scatterer
            .race(&plans, round, &mut trip, Calls::of(explain))
            .await;
        let outcome = outcomes.pop();
        let none = || RootError::Internal("no answer".to_owned());
        match outcome.ok_or_else(none)? {
            Ok(answer) => {
                let mut explained = answer.value;
                explained.may_be_stale |= planned.may_be_stale;
                Ok((index.name.to_string(), explained))
            }
            Err(failure) => Err(match self.cluster.refusal(&failure.fault, deadline).await {
                Some(refused) => refused(index.name.to_string()),
                None => failure.fault.into(),
            }),
        }
    }
}
