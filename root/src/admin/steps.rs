//! Steps of policies that people take: an index goes on from another step, or follows its policy no longer.

use std::sync::Arc;

use gleaner_model::{ClusterState, Lifecycles, PhaseMove};
use gleaner_query::QueryError;
use gleaner_query::lifecycle::{MoveRequest, read_policy};
use gleaner_query::names::{self, ResolveOptions};
use gleaner_query::settings::update_index_settings;
use serde_json::json;

use super::Admin;
use crate::RootError;
use crate::blocks::{self, Level};
use crate::lifecycle::standing;

impl Admin {
    /// Has an index go on from another step of its policy. It stays in that phase until it is old enough for the next.
    ///
    /// # Errors
    /// [`RootError::IndexNotFound`]; an index that follows no policy, or stands at another step than is said; a step
    /// that the policy does not have.
    pub async fn move_to_step(&self, index: &str, request: &MoveRequest) -> Result<(), RootError> {
        self.change_lifecycles(|state, lifecycles| {
            let missing = || RootError::IndexNotFound(index.to_owned());
            let meta = state.index_named(index).ok_or_else(missing)?;
            let stands = standing(state, meta, self.cluster.now_ms()).ok_or_else(|| {
                QueryError::illegal(format!(
                    "index [{index}] is not associated with an Index Lifecycle Policy"
                ))
            })?;
            let policy = &stands.policy;
            let kept = stands
                .kept
                .as_ref()
                .ok_or_else(|| QueryError::illegal(format!("policy [{policy}] does not exist")))?;
            let current = stands.step_key();
            if current != request.current {
                return Err(QueryError::illegal(format!(
                    "index [{index}] is not on current step [{}], currently: [{current}]",
                    request.current
                ))
                .into());
            }
            if !read_policy(&kept.declared)?.has_step(&request.next) {
                return Err(QueryError::illegal(format!(
                    "step [{}] for index [{index}] with policy [{policy}] does not exist",
                    request.next
                ))
                .into());
            }
            let moved = &mut lifecycles.moved;
            moved.retain(|uuid, _| state.indices.contains_key(uuid));
            let to = PhaseMove {
                policy: policy.clone(),
                phase: request.next.phase.clone(),
            };
            moved.insert(meta.uuid, to);
            Ok(())
        })
        .await
    }

    /// Takes indices from their policies.
    ///
    /// # Errors
    /// Names that no index bears; indices whose metadata may not be changed.
    pub async fn remove_policies(
        &self,
        expression: &str,
        options: &ResolveOptions,
    ) -> Result<(), RootError> {
        let none = json!({
            "index.lifecycle.name": null,
            "index.lifecycle.rollover_alias": null,
            "index.lifecycle.indexing_complete": null,
        });
        self.change(|state| {
            let mut next = state.clone();
            let mut lifecycles = Lifecycles::clone(&state.lifecycles);
            for found in names::resolve(expression, state, options)? {
                let mut index = (*found.meta).clone();
                let name = index.name.as_str();
                let settings =
                    update_index_settings(&index.settings, &none, name, index.is_closed)?;
                if settings != index.settings {
                    blocks::check(&index, Level::MetadataWrite)?;
                    index.settings = settings;
                    lifecycles.moved.remove(&index.uuid);
                    next.indices.insert(index.uuid, Arc::new(index));
                }
            }
            let is_same = next.indices == state.indices && lifecycles == *state.lifecycles;
            Ok((!is_same).then_some(ClusterState {
                lifecycles: Arc::new(lifecycles),
                ..next
            }))
        })
        .await
        .map(drop)
    }
}
