//! Failures of the root in the dialect's words.

use gleaner_coordinator::CoordinatorError;
use gleaner_model::IndexUuid;
use gleaner_root::{RootError, ShardFailure};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::ApiError;
use crate::render::uuid_text;

impl From<RootError> for ApiError {
    fn from(error: RootError) -> Self {
        Self::from(&error)
    }
}

impl From<&RootError> for ApiError {
    fn from(error: &RootError) -> Self {
        let reason = error.to_string();
        match error {
            RootError::Query(error) => Self::from(error.clone()),
            RootError::QueryOfIndex {
                index,
                uuid,
                source,
            } => query_of_index(index, uuid, source),
            RootError::TooManyBuckets { limit, .. } => too_many_buckets(*limit, reason),
            RootError::Name(error) => Self::from(error.clone()),
            RootError::IndexNotFound(name) => missing_index(name, reason),
            RootError::IndexExists { name, uuid } => {
                let uuid = shown_uuid(uuid);
                let reason = format!("index [{name}/{uuid}] already exists");
                Self::new(
                    StatusCode::BAD_REQUEST,
                    "resource_already_exists_exception",
                    reason,
                )
                .with("index_uuid", uuid)
                .with("index", name.as_str())
            }
            RootError::IndexClosed(name) => {
                Self::new(StatusCode::BAD_REQUEST, "index_closed_exception", reason)
                    .with("index", name.as_str())
            }
            RootError::Blocked { block, .. } => {
                let status = if block.is_passing {
                    StatusCode::TOO_MANY_REQUESTS
                } else {
                    StatusCode::FORBIDDEN
                };
                Self::new(status, "cluster_block_exception", reason)
            }
            RootError::ResourceNotFound { kind, .. } => {
                Self::new(StatusCode::NOT_FOUND, *kind, reason)
            }
            RootError::AliasMissing(name) => {
                Self::new(StatusCode::NOT_FOUND, "aliases_not_found_exception", reason)
                    .with("resource.type", "aliases")
                    .with("resource.id", name.as_str())
            }
            RootError::AllShardsFailed { phase, failures } => {
                failed_shards(phase, failures, reason)
            }
            RootError::PartialRefused { failures } => failed_shards("query", failures, reason),
            RootError::PageIncomplete { failures } => {
                failed_shards("query", failures, reason).at(StatusCode::SERVICE_UNAVAILABLE)
            }
            RootError::CoverageTooLow {
                wanted,
                share,
                failures,
            } => failed_shards("query", failures, reason)
                .at(StatusCode::SERVICE_UNAVAILABLE)
                .with("min_coverage", *wanted)
                .with("coverage", *share),
            RootError::StaleRefused { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "stale_search_exception",
                reason,
            ),
            RootError::BadToken(_) => Self::illegal(reason),
            RootError::Leaf(fault) => Self::from(fault),
            RootError::Write(fault) => Self::from(fault),
            RootError::Coordinator(error) => coordinator(error, reason),
            RootError::Analysis { kind, .. } => Self::new(StatusCode::BAD_REQUEST, *kind, reason),
            other => {
                let (status, kind) = plain(other);
                Self::new(status, kind, reason)
            }
        }
    }
}

/// Returns status and type of what has nothing to add to its reason.
fn plain(error: &RootError) -> (StatusCode, &'static str) {
    match error {
        RootError::DataStreamExists(_) => {
            (StatusCode::BAD_REQUEST, "resource_already_exists_exception")
        }
        RootError::Remote { status, .. } => (status_of_remote(*status), "status_exception"),
        RootError::ContextMissing(_) => (StatusCode::NOT_FOUND, "search_context_missing_exception"),
        RootError::NoLeaf { .. } | RootError::TooFewCopies(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable_shards_exception",
        ),
        RootError::WrongState(_) => (StatusCode::BAD_REQUEST, "illegal_state_exception"),
        RootError::Late => (StatusCode::SERVICE_UNAVAILABLE, "timeout_exception"),
        RootError::TaskCancelled(_) => (StatusCode::BAD_REQUEST, "task_cancelled_exception"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "exception"),
    }
}

/// What another cluster refuses as the client's mistake keeps its status, as in the dialect.
fn status_of_remote(status: Option<u16>) -> StatusCode {
    let given = status.and_then(|status| StatusCode::from_u16(status).ok());
    let refused = given.filter(StatusCode::is_client_error);
    refused.unwrap_or(StatusCode::BAD_GATEWAY)
}

/// The shards were well; what they found together is too much.
fn too_many_buckets(limit: usize, reason: String) -> ApiError {
    let status = StatusCode::BAD_REQUEST;
    let cause = ApiError::new(status, "too_many_buckets_exception", reason);
    let cause = cause.with("max_buckets", limit);
    ApiError::new(status, "search_phase_execution_exception", "")
        .with("phase", "fetch")
        .with("grouped", true)
        .with("failed_shards", json!([]))
        .rooted_in(vec![cause.clone()])
        .caused_by(cause)
}

fn missing_index(name: &str, reason: String) -> ApiError {
    // The root words some refusals as `name] and [why`: the name ends at the first bracket.
    let named = name.split_once(']').map_or(name, |(named, _)| named);
    let is_worded = |bare: &str| {
        ["is not an alias", "is not a data stream"]
            .iter()
            .any(|end| bare.ends_with(end))
    };
    let reason = match reason.strip_suffix(']') {
        Some(bare) if is_worded(bare) => bare.to_owned(),
        _ => reason,
    };
    ApiError::index_not_found(named).reworded(reason)
}

/// Returns the UUID as the dialect writes it, from its 32 digits.
fn shown_uuid(digits: &str) -> String {
    IndexUuid::parse(digits).map_or_else(|_| digits.to_owned(), |uuid| uuid_text(&uuid))
}

fn query_of_index(index: &str, uuid: &str, source: &gleaner_query::QueryError) -> ApiError {
    let cause = ApiError::from(source.clone())
        .with("index_uuid", shown_uuid(uuid))
        .with("index", index);
    let failed = json!([{"shard": 0, "index": index, "node": null, "reason": cause.to_json()}]);
    ApiError::new(
        cause.status,
        "search_phase_execution_exception",
        "all shards failed",
    )
    .with("phase", "query")
    .with("grouped", true)
    .with("failed_shards", failed)
    .rooted_in(vec![cause.clone()])
    .caused_by(cause)
}

/// One entry per distinct reason and index, as the dialect groups them.
fn failed_shards(phase: &str, failures: &[ShardFailure], reason: String) -> ApiError {
    let mut grouped: Vec<(&ShardFailure, ApiError)> = Vec::new();
    for failure in failures {
        let error = ApiError::from(&failure.fault);
        let is_known = grouped
            .iter()
            .any(|(known, kept)| known.index == failure.index && kept.kind() == error.kind());
        if !is_known {
            // As in the dialect, a wrong argument does not say of which index.
            let error = match error.kind() {
                "illegal_argument_exception" => error,
                _ => error.for_index(&failure.index, &failure.shard.index),
            };
            grouped.push((failure, error));
        }
    }
    let status = grouped.iter().map(|(_, error)| error.status).max();
    let shown: Vec<Value> = grouped
        .iter()
        .map(|(failure, e)| shard_failure(failure, e))
        .collect();
    let failed = ApiError::new(
        status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
        "search_phase_execution_exception",
        reason,
    )
    .with("phase", phase)
    .with("grouped", true)
    .with("failed_shards", shown);
    let causes: Vec<ApiError> = grouped.into_iter().map(|(_, error)| error).collect();
    let failed = match causes.first() {
        Some(first) => failed.caused_by(first.clone()),
        None => failed,
    };
    failed.rooted_in(causes)
}

/// Returns an entry of `failed_shards` or `_shards.failures`.
pub(crate) fn shard_failure(failure: &ShardFailure, error: &ApiError) -> Value {
    let mut object = Map::new();
    object.insert("shard".to_owned(), Value::from(failure.shard.shard.0));
    object.insert("index".to_owned(), Value::from(failure.index.as_str()));
    let node = failure.node.as_ref().map(ToString::to_string);
    object.insert("node".to_owned(), Value::from(node));
    object.insert("reason".to_owned(), error.to_json());
    Value::Object(object)
}

fn coordinator(error: &CoordinatorError, reason: String) -> ApiError {
    match error {
        CoordinatorError::Conflict { .. } | CoordinatorError::Contention { .. } => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "process_cluster_event_timeout_exception",
            reason,
        ),
        CoordinatorError::Unavailable { .. } | CoordinatorError::OutOfQuota { .. } => {
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "master_not_discovered_exception",
                reason,
            )
        }
        CoordinatorError::TooLarge { .. } => ApiError::illegal(reason),
        CoordinatorError::Store { .. } | CoordinatorError::Unreadable { .. } => {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "exception", reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_takes_no_change_now_is_no_fault_of_ours() {
        let reason = "etcd is out of its quota (2.1 of 2 MiB at a:1)";
        let full = CoordinatorError::OutOfQuota {
            reason: reason.to_owned(),
        };
        let shown = ApiError::from(&RootError::from(full));
        assert_eq!(shown.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(shown.reason(), reason);
    }

    #[test]
    fn the_mistake_that_another_cluster_finds_keeps_its_status() {
        for (given, expected) in [
            (Some(404), StatusCode::NOT_FOUND),
            (Some(400), StatusCode::BAD_REQUEST),
            (Some(503), StatusCode::BAD_GATEWAY),
            (None, StatusCode::BAD_GATEWAY),
        ] {
            let reason = "[other:9200]: it failed".to_owned();
            let error = RootError::Remote {
                status: given,
                reason,
            };
            let shown = ApiError::from(&error);
            assert_eq!(shown.status, expected, "{given:?}");
            assert_eq!(shown.reason(), "remote cluster [other:9200]: it failed");
        }
    }
}
