//! What the members say of their processes and machines, for `_nodes/stats` and `_cat`.
//!
//! Each leaf speaks for itself, and this process for its root. Roots do not call each other: nothing is known
//! of the others.

use std::collections::BTreeMap;

use gleaner_model::NodeId;
use gleaner_model::node_stats::NodeStats;
use gleaner_root::read::NodeReport;

use super::members::Member;
use crate::request::Request;

/// What was told, by node.
pub(in crate::routes) struct Reports {
    of_leaves: BTreeMap<NodeId, NodeReport>,
    /// Name of this node.
    own_name: String,
    own: NodeStats,
}

impl Reports {
    /// Asks all leaves at once; one that is late is left out.
    pub(in crate::routes) async fn gather(request: &Request) -> Self {
        let options = &request.app.options;
        let probe = std::sync::Arc::clone(&options.probe);
        let reading = tokio::task::spawn_blocking(move || probe.read());
        let of_leaves = request.root().reader().node_reports();
        let (of_leaves, read) = tokio::join!(of_leaves, reading);
        let read = read.unwrap_or_else(|error| {
            tracing::warn!(%error, "this node could not be looked into");
            NodeStats::default()
        });
        Self {
            of_leaves,
            own_name: options.node_name.clone(),
            own: NodeStats {
                query_memory: Some(request.root().accounts().query_memory()),
                ..read
            },
        }
    }

    /// Returns what a member told; `None` where it did not, or was not asked.
    pub(in crate::routes) fn of(&self, member: &Member) -> Option<&NodeStats> {
        match self.of_leaves.get(&NodeId(member.id.as_str().into())) {
            Some(NodeReport::Told(stats)) => Some(stats),
            Some(NodeReport::Silent | NodeReport::Gone) => None,
            None => (member.name == self.own_name).then_some(&self.own),
        }
    }

    /// Returns the leaves that cannot be reached.
    pub(in crate::routes) fn gone(&self) -> Vec<NodeId> {
        let leaves = self.of_leaves.iter();
        let gone = leaves.filter(|(_, report)| **report == NodeReport::Gone);
        gone.map(|(node, _)| node.clone()).collect()
    }
}
