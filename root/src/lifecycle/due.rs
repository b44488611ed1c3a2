//! Which indices are to be replaced or deleted, by the newest state.

use std::sync::Arc;

use gleaner_model::{ClusterState, DataStream, IndexMeta, IndexName, LifecyclePolicy};
use gleaner_query::lifecycle::{Step, read_policy, retention_of, stream_rollover};
use gleaner_query::names::resolve_write;
use gleaner_query::rollover::RolloverRequest;

use super::ROLLOVER_ALIAS;
use super::{
    INDEXING_COMPLETE, Wait, age, followed_policy, is_skipped, policy_name, progress,
    rollover_alias, setting, standing,
};
use crate::blocks;

/// Returns the aliases and data streams that go on with another index as soon as conditions are met.
pub(crate) fn rollovers(state: &ClusterState, now_ms: i64) -> Vec<(String, RolloverRequest)> {
    if state.lifecycles.is_stopped {
        return Vec::new();
    }
    let by_policies = state
        .indices
        .values()
        .filter_map(|index| by_policy(state, index, now_ms));
    let by_streams = state
        .data_streams
        .iter()
        .filter_map(|(name, stream)| by_stream(state, name, stream));
    by_policies.chain(by_streams).collect()
}

/// Returns whether an alias or a data stream still goes on with another index on these conditions.
pub(crate) fn is_rollover_due(
    state: &ClusterState,
    now_ms: i64,
    target: &str,
    request: &RolloverRequest,
) -> bool {
    if state.lifecycles.is_stopped {
        return false;
    }
    let Ok(Some(written)) = resolve_write(target, state) else {
        return false;
    };
    let due = by_policy(state, &written.meta, now_ms).or_else(|| {
        let (name, stream) = state.data_streams.get_key_value(target)?;
        by_stream(state, name, stream)
    });
    due.is_some_and(|due| due.0 == target && due.1 == *request)
}

fn by_stream(
    state: &ClusterState,
    name: &IndexName,
    stream: &DataStream,
) -> Option<(String, RolloverRequest)> {
    let lifecycle = stream.lifecycle.as_ref().filter(|of| of.is_enabled)?;
    let written = state.indices.get(stream.indices.last()?)?;
    // A policy goes before the lifecycle of the stream, unless the index says otherwise.
    if is_skipped(written) || followed_policy(state, written).is_some() {
        return None;
    }
    let rollover = stream_rollover(retention_of(lifecycle)).ok()?;
    Some((name.to_string(), rollover))
}

fn by_policy(
    state: &ClusterState,
    index: &IndexMeta,
    now_ms: i64,
) -> Option<(String, RolloverRequest)> {
    let policy = followed_policy(state, index).filter(|_| !is_skipped(index))?;
    let kept = state.lifecycles.policies.get(policy)?;
    let policy = read_policy(&kept.declared).ok()?;
    match policy.stand(&progress(state, index, now_ms))? {
        (_, Step::Rollover(request)) => {
            let target = rollover_target(kept, state, index).ok()?;
            Some((target, request.clone()))
        }
        _ => None,
    }
}

/// Returns what goes on with another index when a policy replaces this one.
///
/// # Errors
/// Why nothing does, or which of the two the author of the policy may not manage.
pub(super) fn rollover_target(
    policy: &LifecyclePolicy,
    state: &ClusterState,
    index: &IndexMeta,
) -> Result<String, String> {
    check_scope(policy, state, index)?;
    let target = written_through(state, index)?;
    match policy.may_manage(&target) {
        true => Ok(target),
        false => Err(beyond_scope(index, &format!("rollover target [{target}]"))),
    }
}

/// Refuses to have a policy act on an index that its author may not manage. Who may manage a data stream may manage its
/// indices, as in Elasticsearch.
fn check_scope(
    policy: &LifecyclePolicy,
    state: &ClusterState,
    index: &IndexMeta,
) -> Result<(), String> {
    let stream = state.data_stream_of(&index.uuid);
    let is_covered = policy.may_manage(index.name.as_str())
        || stream.is_some_and(|(name, _)| policy.may_manage(name.as_str()));
    match is_covered {
        true => Ok(()),
        false => Err(beyond_scope(index, &format!("index [{}]", index.name))),
    }
}

/// Says of an index that its policy may not act on `what`.
fn beyond_scope(index: &IndexMeta, what: &str) -> String {
    let policy = policy_name(index).unwrap_or_default();
    format!("the last author of policy [{policy}] may not manage {what}")
}

/// Returns the data stream or the alias whose write index this one is.
fn written_through(state: &ClusterState, index: &IndexMeta) -> Result<String, String> {
    let name = &index.name;
    let target = match state.data_stream_of(&index.uuid) {
        Some((stream, _)) => stream.to_string(),
        None => {
            let alias = rollover_alias(index).ok_or_else(|| {
                format!("setting [{ROLLOVER_ALIAS}] for index [{name}] is empty or not defined")
            })?;
            if !index.aliases.contains_key(alias) {
                return Err(format!(
                    "{ROLLOVER_ALIAS} [{alias}] does not point to index [{name}]"
                ));
            }
            alias.to_owned()
        }
    };
    match resolve_write(&target, state) {
        Ok(Some(written)) if written.meta.uuid == index.uuid => Ok(target),
        _ => Err(format!(
            "index [{name}] is not the write index for alias [{target}]"
        )),
    }
}

/// Returns the indices whose time is over, of which nothing keeps them.
pub(crate) fn expired(state: &ClusterState, now_ms: i64) -> Vec<Arc<IndexMeta>> {
    if state.lifecycles.is_stopped {
        return Vec::new();
    }
    let is_over = |index: &&Arc<IndexMeta>| match standing(state, index, now_ms) {
        // One that is skipped waits for nothing.
        Some(standing) => standing.wait == Wait::Delete && standing.error.is_none(),
        None => {
            is_beyond_retention(state, index, now_ms)
                && !is_skipped(index)
                && check_deletion(state, index).is_ok()
        }
    };
    state.indices.values().filter(is_over).cloned().collect()
}

fn is_beyond_retention(state: &ClusterState, index: &IndexMeta, now_ms: i64) -> bool {
    let stream = state.data_stream_of(&index.uuid);
    let lifecycle = stream.and_then(|(_, stream)| stream.lifecycle.as_ref());
    let retention = lifecycle.filter(|of| of.is_enabled).and_then(retention_of);
    retention.is_some_and(|retention| age(state, index, now_ms) >= retention)
}

/// Says what keeps a policy from deleting an index.
pub(super) fn check_deletion_by(
    policy: &LifecyclePolicy,
    state: &ClusterState,
    index: &IndexMeta,
) -> Result<(), String> {
    check_scope(policy, state, index)?;
    check_deletion(state, index)
}

/// Says what keeps an index from being deleted.
fn check_deletion(state: &ClusterState, index: &IndexMeta) -> Result<(), String> {
    if let Some((name, stream)) = state.data_stream_of(&index.uuid)
        && stream.indices.last() == Some(&index.uuid)
    {
        return Err(format!(
            "index [{}] is the write index for data stream [{name}] and cannot be deleted",
            index.name
        ));
    }
    if let Some(alias) = rollover_alias(index)
        && setting(index, INDEXING_COMPLETE) != Some("true")
        && let Ok(Some(written)) = resolve_write(alias, state)
        && written.meta.uuid == index.uuid
    {
        return Err(format!(
            "index [{}] is the write index for alias [{alias}] and cannot be deleted",
            index.name
        ));
    }
    blocks::check_deletion(index).map_err(|error| error.to_string())
}
