//! Changes of policies and of lifecycles of data streams, and the deletions that they bring.

use std::collections::BTreeSet;
use std::sync::Arc;

use gleaner_coordinator::size;
use gleaner_model::{
    ClusterState, IndexMeta, IndexUuid, LifecyclePolicy, Lifecycles, PolicyScope, StreamLifecycle,
};
use gleaner_query::QueryError;
use gleaner_query::names::{ExpandWildcards, resolve_streams};
use serde_json::Value;

use super::Admin;
use crate::RootError;
use crate::lifecycle::{expired, policy_name};

/// Policies at most: they are kept with the cluster state, and sent to every node with it.
const MAX_POLICIES: usize = 200;

/// Bytes of one policy as JSON at most.
const MAX_POLICY_BYTES: usize = 16 << 10;

/// Bytes of all policies as JSON at most: they are changed as one.
const MAX_POLICIES_BYTES: usize = 256 << 10;

/// Indices that one change deletes, at most: what keeps the state takes only so much in one.
const MAX_DELETED: usize = 64;

impl Admin {
    /// Puts a policy, as it was checked, in the place of the one of that name. From then on it acts within `scope`, that
    /// of its author, whatever that of the author before was.
    ///
    /// # Errors
    /// Too many policies, or one that is too large, or all together.
    pub async fn put_policy(
        &self,
        name: &str,
        declared: &Value,
        scope: Option<&PolicyScope>,
    ) -> Result<(), RootError> {
        let num_bytes = declared.to_string().len();
        if num_bytes > MAX_POLICY_BYTES {
            return Err(QueryError::illegal(format!(
                "policy [{name}] has [{num_bytes}] bytes, more than [{MAX_POLICY_BYTES}]"
            ))
            .into());
        }
        self.change_lifecycles(|_, lifecycles| {
            let known = lifecycles.policies.get(name);
            let is_same = |known: &LifecyclePolicy| {
                known.declared == *declared && known.scope.as_ref() == scope
            };
            if known.is_some_and(is_same) {
                return Ok(());
            }
            if known.is_none() && lifecycles.policies.len() >= MAX_POLICIES {
                return Err(QueryError::illegal(format!(
                    "there are [{MAX_POLICIES}] policies, and no more can be put"
                ))
                .into());
            }
            check_total(lifecycles, name, bytes_of(declared, scope))?;
            let policy = LifecyclePolicy {
                version: known.map_or(0, |known| known.version) + 1,
                modified_ms: self.cluster.now_ms(),
                declared: declared.clone(),
                scope: scope.cloned(),
            };
            lifecycles.policies.insert(name.to_owned(), policy);
            Ok(())
        })
        .await
    }

    /// Deletes a policy that no index names.
    ///
    /// # Errors
    /// [`RootError::ResourceNotFound`]; a policy that is in use.
    pub async fn delete_policy(&self, name: &str) -> Result<(), RootError> {
        self.change_lifecycles(|state, lifecycles| {
            if lifecycles.policies.remove(name).is_none() {
                return Err(RootError::ResourceNotFound {
                    kind: "resource_not_found_exception",
                    reason: format!("Lifecycle policy not found: {name}"),
                });
            }
            let users = state
                .indices
                .values()
                .filter(|index| policy_name(index) == Some(name));
            let users: Vec<&str> = users.map(|index| index.name.as_str()).collect();
            if users.is_empty() {
                // Another policy of this name is not the one that indices were moved in.
                lifecycles.moved.retain(|_, moved| moved.policy != name);
                return Ok(());
            }
            Err(QueryError::illegal(format!(
                "Cannot delete policy [{name}]. It is in use by one or more indices: [{}]",
                users.join(", ")
            ))
            .into())
        })
        .await
    }

    /// Has lifecycles carried out, or not until they are again.
    ///
    /// # Errors
    /// [`RootError::Coordinator`].
    pub async fn set_lifecycles_stopped(&self, is_stopped: bool) -> Result<(), RootError> {
        self.change_lifecycles(|_, lifecycles| {
            lifecycles.is_stopped = is_stopped;
            Ok(())
        })
        .await
    }

    pub(super) async fn change_lifecycles(
        &self,
        apply: impl Fn(&ClusterState, &mut Lifecycles) -> Result<(), RootError>,
    ) -> Result<(), RootError> {
        self.change(|state| {
            let mut lifecycles = Lifecycles::clone(&state.lifecycles);
            apply(state, &mut lifecycles)?;
            if lifecycles == *state.lifecycles {
                return Ok(None);
            }
            Ok(Some(ClusterState {
                lifecycles: Arc::new(lifecycles),
                ..state.clone()
            }))
        })
        .await
        .map(drop)
    }

    /// Gives the data streams that names and wildcards stand for a lifecycle, or takes theirs. `expand` says which of
    /// them wildcards stand for.
    ///
    /// # Errors
    /// `index_not_found_exception` for a name that no data stream bears.
    pub async fn put_stream_lifecycle(
        &self,
        names: &str,
        expand: ExpandWildcards,
        lifecycle: Option<&StreamLifecycle>,
    ) -> Result<(), RootError> {
        self.change(|state| {
            let mut next = state.clone();
            for (name, _) in resolve_streams(names, state, expand)? {
                if let Some(stream) = next.data_streams.get_mut(name) {
                    stream.lifecycle = lifecycle.cloned();
                }
            }
            Ok((next.data_streams != state.data_streams).then_some(next))
        })
        .await
        .map(drop)
    }

    /// Deletes those of `confirmed` whose time is over in the newest state.
    ///
    /// # Errors
    /// [`RootError::Coordinator`].
    pub(crate) async fn delete_expired(
        &self,
        confirmed: &BTreeSet<IndexUuid>,
    ) -> Result<(), RootError> {
        loop {
            let mut deleted: Vec<Arc<IndexMeta>> = Vec::new();
            self.change(|state| {
                deleted = expired(state, self.cluster.now_ms());
                deleted.retain(|index| confirmed.contains(&index.uuid));
                deleted.truncate(MAX_DELETED);
                if deleted.is_empty() {
                    return Ok(None);
                }
                let mut next = state.clone();
                for index in &deleted {
                    next.delete_index(&index.uuid);
                }
                Ok(Some(next))
            })
            .await?;
            for index in &deleted {
                tracing::info!(index = %index.name, "an index was deleted by its lifecycle");
            }
            if deleted.len() < MAX_DELETED {
                return Ok(());
            }
        }
    }
}

/// Returns the bytes of a policy as they count among those of all.
fn bytes_of(declared: &Value, scope: Option<&PolicyScope>) -> usize {
    declared.to_string().len() + scope.map_or(0, size::bytes_of)
}

/// Refuses a policy with which all have too many bytes, unless it has fewer than before.
fn check_total(lifecycles: &Lifecycles, name: &str, num_bytes: usize) -> Result<(), RootError> {
    let kept = |policy: &LifecyclePolicy| bytes_of(&policy.declared, policy.scope.as_ref());
    let before = lifecycles.policies.get(name).map_or(0, kept);
    let all: usize = lifecycles.policies.values().map(kept).sum();
    let total = all - before + num_bytes;
    if total > MAX_POLICIES_BYTES && num_bytes >= before {
        return Err(QueryError::illegal(format!(
            "with policy [{name}] all policies have [{total}] bytes, more than [{MAX_POLICIES_BYTES}]"
        ))
        .into());
    }
    Ok(())
}
