//! What routes about nodes and the licence need.

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
    (
        "cluster.post_voting_config_exclusions",
        cluster(
            "cluster:admin/voting_config/add_exclusions",
            OnCluster::Manage,
        ),
    ),
    (
        "cluster.delete_voting_config_exclusions",
        cluster(
            "cluster:admin/voting_config/clear_exclusions",
            OnCluster::Manage,
        ),
    ),
    (
        "license.get_trial_status",
        cluster(
            "cluster:admin/xpack/license/trial_status",
            OnCluster::Monitor,
        ),
    ),
    (
        "license.get_basic_status",
        cluster(
            "cluster:admin/xpack/license/basic_status",
            OnCluster::Monitor,
        ),
    ),
];
