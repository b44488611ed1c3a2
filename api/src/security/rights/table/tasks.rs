//! What routes of tasks need.

use gleaner_model::ClusterPrivilege as OnCluster;

use crate::security::rights::{Needs, Right};

/// Every key reaches its own tasks; those of all need a privilege.
pub(super) const fn tasks(action: &'static str, privilege: OnCluster) -> Right {
    let needs = Needs::Tasks(privilege);
    Right { action, needs }
}

/// In the order of the documentation.
pub(super) static RIGHTS: &[(&str, Right)] = &[
    (
        "rethrottle",
        tasks("cluster:admin/reindex/rethrottle", OnCluster::Manage),
    ),
    (
        "tasks.list",
        tasks("cluster:monitor/tasks/lists", OnCluster::Monitor),
    ),
    (
        "tasks.get",
        tasks("cluster:monitor/task/get", OnCluster::Monitor),
    ),
    (
        "tasks.cancel",
        tasks("cluster:admin/tasks/cancel", OnCluster::Manage),
    ),
];
