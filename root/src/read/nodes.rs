//! What leaves say of their nodes.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use gleaner_model::NodeId;
use gleaner_model::node_stats::{BudgetStats, NodeStats};
use gleaner_proto::node::NodeFault;
use tokio::time::timeout;

use crate::memory::Accounts;
use crate::read::Reader;

/// Longest wait for what a leaf says of its node, 1 s: it reads some files that are made in memory, and people
/// wait for the table.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a leaf said of its node.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeReport {
    /// All that it knows.
    Told(Box<NodeStats>),
    /// Nothing in time, or nothing that this version understands: its connection stands.
    Silent,
    /// It cannot be reached.
    Gone,
}

impl NodeReport {
    /// Returns the report for an answer; `None` is none in time.
    fn of(answer: Option<Result<NodeStats, NodeFault>>) -> Self {
        match answer {
            Some(Ok(stats)) => Self::Told(Box::new(stats)),
            Some(Err(NodeFault::Unreachable { .. })) => Self::Gone,
            // A leaf of an older version does not know the call.
            Some(Err(NodeFault::Unreadable { .. })) | None => Self::Silent,
        }
    }
}

impl Reader {
    /// Asks every leaf what it says of its node, all at once, and waits a second at most. A leaf that is left
    /// out of searches for its silence is asked too: it may be back.
    pub async fn node_reports(&self) -> BTreeMap<NodeId, NodeReport> {
        let leaves = self.cluster.leaves.all();
        let asked = leaves.iter().map(|located| async {
            let answer = timeout(PATIENCE, located.client.node_stats()).await;
            let report = NodeReport::of(answer.ok());
            if report == NodeReport::Silent {
                tracing::debug!(node = %located.node, "leaf did not tell of its node");
            }
            (located.node.clone(), report)
        });
        join_all(asked).await.into_iter().collect()
    }
}

impl Accounts {
    /// Returns the memory budget of this root's own queries and answers.
    pub fn query_memory(&self) -> BudgetStats {
        BudgetStats {
            held_bytes: self.memory.held_bytes(),
            limit_bytes: self.cluster.options.query_memory_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Fixture, index};

    #[test]
    fn a_leaf_that_cannot_be_reached_is_gone_and_one_that_says_nothing_is_silent() {
        let reason = String::new;
        let stats = NodeStats::default();
        let unreachable = NodeFault::Unreachable { reason: reason() };
        let unreadable = NodeFault::Unreadable { reason: reason() };
        for (answer, expected) in [
            (Some(Ok(stats.clone())), NodeReport::Told(Box::new(stats))),
            (Some(Err(unreachable)), NodeReport::Gone),
            (Some(Err(unreadable)), NodeReport::Silent),
            (None, NodeReport::Silent),
        ] {
            assert_eq!(NodeReport::of(answer), expected);
        }
    }

    #[tokio::test]
    async fn a_leaf_that_does_not_know_the_call_is_silent() {
        let fixture = Fixture::new([index(1, &json!({}))]);
        let reports = fixture.root.reader().node_reports().await;
        let reports: Vec<NodeReport> = reports.into_values().collect();
        assert_eq!(reports, [NodeReport::Silent]);
        let memory = fixture.root.accounts().query_memory();
        assert!(memory.held_bytes < memory.limit_bytes);
    }
}
