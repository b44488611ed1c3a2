//! `_shards`: what an answer covers.

use std::collections::BTreeSet;

use gleaner_model::{ClusterState, ShardKey};
use gleaner_root::term_vectors::ShardReads;
use gleaner_root::visibility::CopyOutcome;
use gleaner_root::{Coverage, ShardFailure, ShardSummary};
use serde_json::{Value, json};

use crate::error::{ApiError, shard_failure};

/// Returns the summary of a search.
pub(crate) fn of_search(summary: &ShardSummary) -> Value {
    let mut shown = json!({
        "total": summary.total,
        "successful": summary.successful,
        "skipped": summary.skipped,
        "failed": summary.failures.len(),
    });
    // Ours: clients of the dialect pass over it.
    if summary.stale > 0 {
        shown["stale"] = summary.stale.into();
    }
    if !summary.failures.is_empty() {
        let failures: Vec<Value> = summary
            .failures
            .iter()
            .map(|failure| shard_failure(failure, &ApiError::from(&failure.fault)))
            .collect();
        shown["failures"] = Value::Array(failures);
    }
    shown
}

/// How many of the shards that an answer is made of may lack acknowledged writes, since their copies are
/// without their primaries.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Staleness {
    num_stale: u32,
    num_shards: u32,
}

impl Staleness {
    /// Returns the staleness of a search.
    pub(crate) fn of_search(summary: &ShardSummary) -> Self {
        Self {
            num_stale: summary.stale,
            num_shards: summary.total,
        }
    }

    /// Returns the staleness of one document, which one shard holds.
    pub(crate) fn of_document(may_be_stale: bool) -> Self {
        Self {
            num_stale: u32::from(may_be_stale),
            num_shards: 1,
        }
    }

    /// Returns the staleness of documents that were read from several shards.
    pub(crate) fn of_reads(reads: ShardReads) -> Self {
        Self {
            num_stale: reads.stale,
            num_shards: reads.total,
        }
    }

    /// Adds that of another part of the answer.
    pub(crate) fn add(&mut self, other: Self) {
        self.num_stale += other.num_stale;
        self.num_shards += other.num_shards;
    }

    /// Returns what the answer is to warn of: one text, or none.
    pub(crate) fn warnings(self) -> Vec<String> {
        let Self {
            num_stale,
            num_shards,
        } = self;
        let text =
            || format!("{num_stale} of {num_shards} shards may be old: their primaries are away");
        (num_stale > 0).then(text).into_iter().collect()
    }
}

/// Returns what an answer has seen of what was asked: our own object.
pub(crate) fn coverage(coverage: &Coverage) -> Value {
    json!({
        "share": coverage.share(),
        "documents": {
            "seen": coverage.documents_seen,
            "cut_short": coverage.documents_cut,
            "total": coverage.documents_total,
        },
        "shards": {
            "seen": coverage.shards_seen,
            "cut_short": coverage.shards_cut,
            "missing": coverage.shards_missing,
        },
    })
}

/// Returns the summary of an operation on shards: `total` counts the copies that should be, and those
/// that took no part are neither successful nor failed.
pub(crate) fn of_operation(outcomes: &[CopyOutcome], state: &ClusterState) -> Value {
    let shards: BTreeSet<ShardKey> = outcomes.iter().map(|copy| copy.shard).collect();
    let copies_of = |shard: &ShardKey| {
        let index = state.indices.get(&shard.index);
        1 + index.map_or(0, |index| index.settings.number_of_replicas)
    };
    let failures = failures(outcomes, state);
    let mut shown = json!({
        "total": shards.iter().map(copies_of).sum::<u32>(),
        "successful": outcomes.len() - failures.len(),
        "failed": failures.len(),
    });
    if !failures.is_empty() {
        shown["failures"] = Value::Array(failures);
    }
    shown
}

/// Returns an entry of `failures` for each copy that failed.
pub(crate) fn failures(outcomes: &[CopyOutcome], state: &ClusterState) -> Vec<Value> {
    let failed = outcomes.iter().filter_map(|copy| {
        let fault = copy.outcome.as_ref().err()?;
        let index = state.indices.get(&copy.shard.index);
        let failure = ShardFailure {
            index: index.map_or_else(String::new, |index| index.name.to_string()),
            shard: copy.shard,
            node: copy.node.clone(),
            fault: fault.clone(),
        };
        Some(shard_failure(&failure, &ApiError::from(fault)))
    });
    failed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_without_their_primaries_are_shown_and_warned_of_where_there_are_any() {
        let mut summary = ShardSummary {
            total: 4,
            successful: 4,
            ..ShardSummary::default()
        };
        assert_eq!(of_search(&summary).get("stale"), None);
        assert_eq!(Staleness::of_search(&summary).warnings().len(), 0);
        summary.stale = 1;
        let shown = of_search(&summary);
        assert_eq!((&shown["stale"], &shown["failed"]), (&json!(1), &json!(0)));
        let mut all = Staleness::of_search(&summary);
        all.add(Staleness::of_search(&summary));
        let expected = "2 of 8 shards may be old: their primaries are away";
        assert_eq!(all.warnings(), [expected]);
        assert_eq!(Staleness::of_document(true).warnings().len(), 1);
        assert_eq!(Staleness::of_document(false).warnings().len(), 0);
    }
}
