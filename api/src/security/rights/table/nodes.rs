//! What routes about nodes need.

use gleaner_model::ClusterPrivilege as OnCluster;

use super::cluster;
use crate::security::rights::Right;

/// In the order of the documentation.
pub(super) static RIGHTS: &[(&str, Right)] = &[
    (
        "nodes.info",
        cluster("cluster:monitor/nodes/info", OnCluster::Monitor),
    ),
    (
        "nodes.stats",
        cluster("cluster:monitor/nodes/stats", OnCluster::Monitor),
    ),
    (
        "nodes.hot_threads",
        cluster("cluster:monitor/nodes/hot_threads", OnCluster::Monitor),
    ),
    (
        "nodes.usage",
        cluster("cluster:monitor/nodes/usage", OnCluster::Monitor),
    ),
];
