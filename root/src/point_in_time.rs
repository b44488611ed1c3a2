//! Points in time: pinned views of shards, named by an opaque id.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use gleaner_proto::LeafFault;
use gleaner_proto::search::{OpenViewsCall, PinnedView, ShardView};
use gleaner_query::search::{PointInTime, SearchRequest};

use crate::deadline::Deadline;
use crate::plan::{IndexPlan, Resolved, Target};
use crate::response::SearchResponse;
use crate::scatter::scatter;
use crate::search::SearchOptions;
use crate::token::{self, IndexViews, Kind, PointInTimeState};
use crate::{Root, RootError};

impl Root {
    /// Pins the newest views of the target's shards and returns the id that names them.
    ///
    /// # Errors
    /// [`RootError::AllShardsFailed`] when a shard cannot be pinned: a point in time is whole.
    pub async fn open_pit(
        &self,
        target: &Target,
        keep_alive: Duration,
    ) -> Result<String, RootError> {
        let state = self.pin(target, keep_alive).await?;
        token::encode(Kind::PointInTime, &state)
    }

    /// Releases points in time; returns how many of the ids named views that were still there.
    ///
    /// # Errors
    /// [`RootError::BadToken`] for an id that cannot be read; nothing is released then.
    pub async fn close_pits(&self, ids: &[String]) -> Result<Vec<bool>, RootError> {
        let states = ids
            .iter()
            .map(|id| token::decode::<PointInTimeState>(Kind::PointInTime, id))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(join_all(states.iter().map(|state| self.release(state))).await)
    }

    pub(crate) async fn search_pit(
        &self,
        pit: &PointInTime,
        request: &SearchRequest,
        options: &SearchOptions,
        deadline: Deadline,
    ) -> Result<SearchResponse, RootError> {
        let mut state: PointInTimeState = token::decode(Kind::PointInTime, &pit.id)?;
        if let Some(keep_alive) = pit.keep_alive {
            state.keep_alive_ms = self.checked_keep_alive(keep_alive)?.as_millis() as u64;
        }
        self.renew(&state).await?;
        let mut plans = self.plans_of(&state)?;
        let mut response = self
            .search_plans(&mut plans, request, options, deadline)
            .await?;
        response.pit_id = Some(token::encode(Kind::PointInTime, &state)?);
        Ok(response)
    }

    pub(crate) async fn pin(
        &self,
        target: &Target,
        keep_alive: Duration,
    ) -> Result<PointInTimeState, RootError> {
        let keep_alive = self.checked_keep_alive(keep_alive)?;
        let holder: u64 = rand::random();
        let plans = self.targets(target)?;
        let deadline = Deadline::after(self.options.default_timeout);
        let gathered = scatter(&*self.leaves, &plans, deadline, "open_pit", |call| {
            let shards = call.shards.iter().map(|asked| asked.shard).collect();
            let open = OpenViewsCall {
                shards,
                keep_alive,
                holder,
            };
            async move { call.client.open_views(open).await }
        })
        .await;
        let mut indices = Vec::with_capacity(plans.len());
        let mut failures = Vec::new();
        for (plan, answers) in plans.iter().zip(gathered.answers) {
            let mut views = Vec::with_capacity(answers.len());
            for answer in answers {
                match answer {
                    Ok(pinned) => views.push((pinned.shard.shard.0, pinned.view.0)),
                    Err(failure) => failures.push(failure),
                }
            }
            let alias_filters = plan.alias_filter_texts.clone();
            indices.push(IndexViews {
                index: plan.index.uuid.0,
                views,
                alias_filters,
            });
        }
        let state = PointInTimeState {
            indices,
            keep_alive_ms: keep_alive.as_millis() as u64,
            holder,
        };
        if failures.is_empty() {
            return Ok(state);
        }
        self.release(&state).await;
        Err(RootError::AllShardsFailed {
            phase: "open_pit",
            failures,
        })
    }

    /// Returns the plans to search the views of `state`. An index that is gone has no context; one
    /// that was closed is refused.
    pub(crate) fn plans_of(&self, state: &PointInTimeState) -> Result<Vec<IndexPlan>, RootError> {
        let cluster = self.state();
        let plan_of = |views: &IndexViews| {
            let index = cluster.indices.get(&views.uuid());
            let index = index.ok_or_else(|| RootError::ContextMissing(views.uuid().to_string()))?;
            if index.is_closed {
                return Err(RootError::IndexClosed(index.name.to_string()));
            }
            let alias_filters = views
                .alias_filters
                .iter()
                .map(|text| self.parse_filter(text))
                .collect::<Result<Vec<_>, RootError>>()?;
            let shards = views
                .pinned()
                .map(|(shard, view)| ShardView {
                    shard,
                    view: Some(view),
                    at_least: None,
                })
                .collect();
            Ok(IndexPlan {
                index: Arc::clone(index),
                shards,
                alias_filters,
                alias_filter_texts: views.alias_filters.clone(),
                boost: 1.0,
                resolved: Resolved::default(),
                lost: Vec::new(),
                skipped: 0,
            })
        };
        state.indices.iter().map(plan_of).collect()
    }

    fn parse_filter(&self, text: &str) -> Result<gleaner_query::dsl::Query, RootError> {
        let json = serde_json::from_str(text)
            .map_err(|error| RootError::BadToken(format!("alias filter in id: {error}")))?;
        Ok(gleaner_query::dsl::parse_query(
            &json,
            &self.options.limits,
        )?)
    }

    /// Keeps the views of `state` for another `keep_alive`.
    ///
    /// # Errors
    /// [`RootError::ContextMissing`] when one of them was released, has expired, or did not survive
    /// a restart: an answer without it would be of another state. Shards that do not answer are left
    /// to the search, which reports them.
    pub(crate) async fn renew(&self, state: &PointInTimeState) -> Result<(), RootError> {
        let keep_alive = Duration::from_millis(state.keep_alive_ms);
        let renewals = pinned_views(state).into_iter().filter_map(|pinned| {
            let located = self.leaves.searcher(pinned.shard)?;
            Some(async move { located.client.renew_views(vec![pinned], keep_alive).await })
        });
        for outcome in join_all(renewals).await.into_iter().flatten() {
            if let Err(LeafFault::ViewMissing { shard, .. }) = outcome {
                return Err(RootError::ContextMissing(shard.index.to_string()));
            }
        }
        Ok(())
    }

    /// Releases the views of `state`; returns whether any was still there.
    pub(crate) async fn release(&self, state: &PointInTimeState) -> bool {
        let releases = pinned_views(state).into_iter().filter_map(|pinned| {
            let located = self.leaves.searcher(pinned.shard)?;
            Some(async move { located.client.release_views(vec![pinned]).await })
        });
        join_all(releases).await.into_iter().sum::<usize>() > 0
    }

    pub(crate) fn checked_keep_alive(&self, keep_alive: Duration) -> Result<Duration, RootError> {
        let limit = self.options.max_keep_alive;
        if keep_alive <= limit {
            return Ok(keep_alive);
        }
        Err(gleaner_query::QueryError::illegal(format!(
            "Keep alive for request ({}s) is too large. It must be less than ({}s). This limit can \
             be set by changing the [search.max_keep_alive] cluster level setting.",
            keep_alive.as_secs(),
            limit.as_secs()
        ))
        .into())
    }
}

fn pinned_views(state: &PointInTimeState) -> Vec<PinnedView> {
    state
        .indices
        .iter()
        .flat_map(|index| {
            index.pinned().map(|(shard, view)| PinnedView {
                shard,
                view,
                holder: state.holder,
            })
        })
        .collect()
}
