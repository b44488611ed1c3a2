//! What tables for people (`_cat`) need.

use gleaner_model::ClusterPrivilege as OnCluster;
use gleaner_model::IndexPrivilege as OnIndex;
use gleaner_query::names::ResolveOptions;

use super::tasks::tasks;
use super::{cluster, everything, indices, open_and_closed, plain, read};
use crate::security::rights::{Needs, Right};

/// In the order of the documentation.
pub(super) static RIGHTS: &[(&str, Right)] = &[
    ("cat.help", plain("cluster:monitor/main", Needs::Key)),
    (
        "cat.indices",
        indices("indices:monitor/stats", OnIndex::Monitor, open_and_closed),
    ),
    ("cat.count", read("indices:data/read/search")),
    (
        "cat.health",
        cluster("cluster:monitor/health", OnCluster::Monitor),
    ),
    (
        "cat.shards",
        indices("indices:monitor/stats", OnIndex::Monitor, everything),
    ),
    (
        "cat.allocation",
        cluster("cluster:monitor/nodes/stats", OnCluster::Monitor),
    ),
    (
        "cat.aliases",
        cluster("cluster:monitor/state", OnCluster::Monitor),
    ),
    (
        "cat.nodes",
        cluster("cluster:monitor/nodes/info", OnCluster::Monitor),
    ),
    (
        "cat.master",
        cluster("cluster:monitor/state", OnCluster::Monitor),
    ),
    (
        "cat.templates",
        cluster("indices:admin/template/get", OnCluster::ViewIndexTemplates),
    ),
    (
        "cat.component_templates",
        cluster(
            "cluster:admin/component_template/get",
            OnCluster::ViewIndexTemplates,
        ),
    ),
    (
        "cat.segments",
        indices(
            "indices:monitor/segments",
            OnIndex::Monitor,
            ResolveOptions::default,
        ),
    ),
    (
        "cat.recovery",
        indices("indices:monitor/recovery", OnIndex::Monitor, everything),
    ),
    (
        "cat.tasks",
        tasks("cluster:monitor/tasks/lists", OnCluster::Monitor),
    ),
    (
        "cat.thread_pool",
        cluster("cluster:monitor/nodes/stats", OnCluster::Monitor),
    ),
    (
        "cat.nodeattrs",
        cluster("cluster:monitor/nodes/info", OnCluster::Monitor),
    ),
    (
        "cat.plugins",
        cluster("cluster:monitor/nodes/info", OnCluster::Monitor),
    ),
    (
        "cat.repositories",
        cluster("cluster:admin/repository/get", OnCluster::Monitor),
    ),
    (
        "cat.fielddata",
        cluster("cluster:monitor/nodes/stats", OnCluster::Monitor),
    ),
    (
        "cat.pending_tasks",
        cluster("cluster:monitor/task", OnCluster::Monitor),
    ),
];
