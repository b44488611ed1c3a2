//! Failures of log and engine → faults of a shard.

use gleaner_engine::EngineError;
use gleaner_log::LogError;
use gleaner_model::{PrimaryTerm, ShardKey};
use gleaner_partial::EvaluationError;
use gleaner_proto::LeafFault;

use crate::copy::applier::with_causes;
use crate::copy::shard::Shard;
use crate::read::pool::PoolFault;

/// Returns the fault a failure of the log is.
pub(crate) fn log_fault(shard: ShardKey, error: &LogError) -> LeafFault {
    let reason = with_causes(error);
    match error {
        LogError::Fenced { current } => LeafFault::Fenced {
            shard,
            current: *current,
            asked: PrimaryTerm(0),
        },
        LogError::DiskFull { .. } => LeafFault::DiskFull { shard },
        LogError::Busy => LeafFault::Rejected {
            queue: "log".into(),
            capacity: 0,
        },
        LogError::TooLarge { .. } => LeafFault::BadQuery {
            kind: "illegal_argument_exception".into(),
            reason,
        },
        LogError::Corrupt { .. }
        | LogError::Poisoned { .. }
        | LogError::UnsupportedVersion { .. } => LeafFault::Stopped { shard, reason },
        LogError::SeqMismatch { .. } | LogError::Indeterminate { .. } => {
            LeafFault::Indeterminate { shard, reason }
        }
        _ => LeafFault::Internal { shard, reason },
    }
}

/// Returns the fault a failure of the engine is.
pub(crate) fn engine_fault(shard: ShardKey, error: &EngineError) -> LeafFault {
    let reason = with_causes(error);
    match error {
        EngineError::Evaluation(error) => evaluation_fault(shard, error),
        EngineError::Poisoned
        | EngineError::Corrupt(_)
        | EngineError::Damaged(_)
        | EngineError::Newer { .. } => LeafFault::Stopped { shard, reason },
        _ => LeafFault::Internal { shard, reason },
    }
}

/// Returns the fault a failure to evaluate a query is.
pub(crate) fn evaluation_fault(shard: ShardKey, error: &EvaluationError) -> LeafFault {
    let reason = error.to_string();
    match error {
        EvaluationError::Query(_)
        | EvaluationError::Clause(_)
        | EvaluationError::TooManyBuckets { .. } => LeafFault::BadQuery {
            kind: error.error_type().into(),
            reason,
        },
        EvaluationError::CircuitBreaking {
            what,
            wanted,
            limit,
        } => LeafFault::Memory {
            account: (*what).into(),
            wanted_bytes: *wanted,
            limit_bytes: *limit,
        },
        EvaluationError::DeadlineExceeded => LeafFault::DeadlinePassed { shard },
        _ => LeafFault::Internal { shard, reason },
    }
}

/// Returns the fault a failure of a copy's engine is; where that may come of damaged files, they are
/// checked soon.
pub(crate) fn copy_fault(shard: &Shard, error: &EngineError) -> LeafFault {
    let is_odd = matches!(
        error,
        EngineError::Tantivy(_)
            | EngineError::Corrupt(_)
            | EngineError::Damaged(_)
            | EngineError::Io { .. }
            | EngineError::Evaluation(EvaluationError::Internal(_))
    );
    if is_odd {
        shard.engine().suspect();
    }
    // What failed before says more than that something did.
    match (error, shard.applier.failure()) {
        (EngineError::Poisoned, Some(reason)) => LeafFault::Stopped {
            shard: shard.key,
            reason: reason.to_string(),
        },
        _ => engine_fault(shard.key, error),
    }
}

/// Refuses what was found on a copy one of whose files was cut meanwhile: some of it may come of zeros that nobody wrote.
///
/// # Errors
/// [`LeafFault::Stopped`]: another copy may be asked, and this one is mended.
pub(crate) fn check_uncut(shard: &Shard) -> Result<(), LeafFault> {
    let checked = shard.engine().check_uncut();
    checked.map_err(|error| engine_fault(shard.key, &error))
}

/// Returns the fault of a job on a copy that gave no result; one that panicked may have met damage.
pub(crate) fn job_fault(shard: &Shard, fault: &PoolFault) -> LeafFault {
    if matches!(fault, PoolFault::Panicked) {
        shard.engine().suspect();
    }
    pool_fault(shard.key, fault)
}

/// Returns the fault of a job that gave no result.
fn pool_fault(shard: ShardKey, fault: &PoolFault) -> LeafFault {
    match fault {
        PoolFault::Rejected(fault) => fault.clone(),
        PoolFault::Late => LeafFault::DeadlinePassed { shard },
        PoolFault::Panicked => LeafFault::Internal {
            shard,
            reason: "the evaluation panicked".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use gleaner_model::{IndexUuid, ShardNumber};

    use super::*;

    #[test]
    fn a_fault_says_what_the_system_said() {
        let shard = ShardKey {
            index: IndexUuid([1; 16]),
            shard: ShardNumber(0),
        };
        let error = LogError::Io {
            action: "create",
            path: "log/1".into(),
            source: Arc::new(io::Error::other("Too many open files")),
        };
        let reason = log_fault(shard, &error).to_string();
        assert!(
            reason.ends_with("log could not create `log/1`: Too many open files"),
            "{reason}"
        );
        let failed = EngineError::io("opening")(io::Error::other("Too many open files"));
        let reason = engine_fault(shard, &failed).to_string();
        assert!(reason.ends_with("failed: Too many open files"), "{reason}");
    }
}
