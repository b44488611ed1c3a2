//! The version map of a copy that becomes primary, from its log.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use gleaner_log::ShardLog;
use gleaner_model::{Operation, OperationKind, SeqNo};

use super::versions::{Latest, VersionMap, Written};
use crate::agree::CopyDriver;
use crate::agree::rules::Rule;
use crate::copy::applier::with_causes;
use crate::lifecycle::recovery::PAGE_BYTES;

/// Why writes could not be read from the log.
pub(crate) enum InheritError {
    /// It lacks the operation at this position.
    Gap(SeqNo),
    /// It cannot be read, or holds what is no operation.
    Broken(String),
}

/// Returns the latest writes among those at `positions`, which are all that searches may not see.
pub(crate) async fn inherited_versions(
    log: &Arc<dyn ShardLog>,
    driver: &CopyDriver,
    positions: Range<SeqNo>,
) -> Result<VersionMap, InheritError> {
    let mut versions = VersionMap::default();
    if driver.omits(Rule::InheritVersions) {
        return Ok(versions);
    }
    let mut from = positions.start;
    while from < positions.end {
        let page = log.read(driver.shard, from, PAGE_BYTES).await;
        let page = page.map_err(|error| InheritError::Broken(with_causes(&error)))?;
        if page.first_available > from || page.records.is_empty() {
            return Err(InheritError::Gap(from));
        }
        let wanted = |record: &&gleaner_log::Record| record.seq_no < positions.end;
        for record in page.records.iter().filter(wanted) {
            let operation = Operation::decode(&record.payload);
            let operation = operation.map_err(|error| InheritError::Broken(error.to_string()))?;
            remember(&mut versions, record.seq_no, operation);
        }
        from = page.next;
    }
    Ok(versions)
}

fn remember(versions: &mut VersionMap, seq_no: SeqNo, operation: Operation) {
    let term = operation.term;
    let (id, version, document) = match operation.kind {
        OperationKind::Index { id, version, .. } => (id, version, Written::InLog),
        OperationKind::Delete { id, version, .. } => {
            (id, version, Written::Deleted(Instant::now()))
        }
        OperationKind::Refresh | OperationKind::NoOp => return,
    };
    let latest = Latest {
        seq_no,
        term,
        version,
        document,
    };
    versions.put(id, latest);
}
