//! Faults of leaves and of single writes in the dialect's words.

use gleaner_proto::LeafFault;
use gleaner_proto::write::WriteFault;
use http::StatusCode;

use super::ApiError;

impl From<&LeafFault> for ApiError {
    fn from(fault: &LeafFault) -> Self {
        let (status, kind) = match fault {
            LeafFault::NotHere { .. }
            | LeafFault::Unreachable { .. }
            | LeafFault::Behind { .. }
            | LeafFault::Recovering { .. }
            | LeafFault::Unsupported { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "no_shard_available_action_exception",
            ),
            LeafFault::NotAgreed { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "master_not_discovered_exception",
            ),
            LeafFault::Stopped { .. } | LeafFault::Fenced { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable_shards_exception",
            ),
            LeafFault::Indeterminate { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable_shards_exception",
            ),
            LeafFault::DeadlinePassed { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "timeout_exception")
            }
            LeafFault::Rejected { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "es_rejected_execution_exception",
            ),
            LeafFault::Memory { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "circuit_breaking_exception")
            }
            LeafFault::DiskFull { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "cluster_block_exception")
            }
            LeafFault::ViewMissing { .. } => {
                (StatusCode::NOT_FOUND, "search_context_missing_exception")
            }
            LeafFault::BadQuery { kind, .. } => {
                let reason = fault.to_string();
                return Self::new(StatusCode::BAD_REQUEST, kind.clone(), reason);
            }
            LeafFault::TooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "content_too_long_exception")
            }
            LeafFault::Internal { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "exception"),
        };
        let made = Self::new(status, kind, fault.to_string());
        match fault {
            LeafFault::Memory {
                wanted_bytes,
                limit_bytes,
                ..
            } => made
                .with("bytes_wanted", *wanted_bytes)
                .with("bytes_limit", *limit_bytes)
                .with(
                    "durability",
                    match fault.is_permanent() {
                        true => "PERMANENT",
                        false => "TRANSIENT",
                    },
                ),
            LeafFault::Rejected { queue, .. } => {
                made.with("code", format!("{}_queue_full", queue.replace(' ', "_")))
            }
            _ => made,
        }
    }
}

impl From<&WriteFault> for ApiError {
    fn from(fault: &WriteFault) -> Self {
        let reason = fault.to_string();
        match fault {
            WriteFault::VersionConflict { .. } => Self::new(
                StatusCode::CONFLICT,
                "version_conflict_engine_exception",
                reason,
            ),
            WriteFault::DocumentMissing { .. } => {
                Self::new(StatusCode::NOT_FOUND, "document_missing_exception", reason)
            }
            WriteFault::Document { kind, cause, .. } => {
                let made = Self::new(StatusCode::BAD_REQUEST, kind.clone(), reason);
                match cause {
                    Some((kind, reason)) => made.caused_by(Self::new(
                        StatusCode::BAD_REQUEST,
                        kind.clone(),
                        reason.as_str(),
                    )),
                    None => made,
                }
            }
            WriteFault::Rejected { code, .. } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "es_rejected_execution_exception",
                reason,
            )
            .with("code", code.to_string()),
            // A root agrees on the fields and sends the item again.
            WriteFault::Unagreed { .. } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "es_rejected_execution_exception",
                reason,
            )
            .with("code", "fields_not_agreed"),
            WriteFault::Blocked { .. } => {
                Self::new(StatusCode::FORBIDDEN, "cluster_block_exception", reason)
            }
            WriteFault::Shard(fault) => Self::from(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use gleaner_model::DocumentId;

    use super::*;

    #[test]
    fn a_conflict_is_409_and_a_full_queue_429() {
        let id = DocumentId::parse("1").expect("an id");
        let conflict = WriteFault::VersionConflict {
            id,
            reason: "required".to_owned(),
        };
        assert_eq!(ApiError::from(&conflict).status, StatusCode::CONFLICT);
        let full = LeafFault::Rejected {
            queue: "search".into(),
            capacity: 1,
        };
        let error = ApiError::from(&WriteFault::Shard(full));
        assert_eq!(
            (error.status, error.kind()),
            (
                StatusCode::TOO_MANY_REQUESTS,
                "es_rejected_execution_exception",
            )
        );
    }
}
