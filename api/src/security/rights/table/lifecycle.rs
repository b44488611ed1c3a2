//! What routes of policies and of lifecycles of data streams need.

use gleaner_model::ClusterPrivilege as OnCluster;
use gleaner_model::IndexPrivilege as OnIndex;

use super::{cluster, indices, metadata};
use crate::parameters::reach::metadata_defaults;
use crate::security::rights::Right;

/// In the order of the documentation.
pub(super) static RIGHTS: &[(&str, Right)] = &[
    (
        "indices.put_data_lifecycle",
        cluster("indices:admin/data_stream/lifecycle/put", OnCluster::Manage),
    ),
    (
        "indices.get_data_lifecycle",
        cluster(
            "indices:admin/data_stream/lifecycle/get",
            OnCluster::Monitor,
        ),
    ),
    (
        "indices.delete_data_lifecycle",
        cluster(
            "indices:admin/data_stream/lifecycle/delete",
            OnCluster::Manage,
        ),
    ),
    (
        "indices.explain_data_lifecycle",
        metadata("indices:admin/data_stream/lifecycle/explain"),
    ),
    (
        "ilm.put_lifecycle",
        cluster("cluster:admin/ilm/put", OnCluster::ManageIlm),
    ),
    (
        "ilm.get_lifecycle",
        cluster("cluster:admin/ilm/get", OnCluster::ReadIlm),
    ),
    (
        "ilm.delete_lifecycle",
        cluster("cluster:admin/ilm/delete", OnCluster::ManageIlm),
    ),
    (
        "ilm.explain_lifecycle",
        indices(
            "indices:admin/ilm/explain",
            OnIndex::ExplainIlm,
            metadata_defaults,
        ),
    ),
    (
        "ilm.move_to_step",
        cluster("cluster:admin/ilm/_move/post", OnCluster::Manage),
    ),
    (
        "ilm.retry",
        indices(
            "indices:admin/ilm/retry",
            OnIndex::ManageIlm,
            metadata_defaults,
        ),
    ),
    (
        "ilm.remove_policy",
        indices(
            "indices:admin/ilm/remove_policy",
            OnIndex::ManageIlm,
            metadata_defaults,
        ),
    ),
    (
        "ilm.get_status",
        cluster("cluster:admin/ilm/operation_mode/get", OnCluster::ReadIlm),
    ),
    (
        "ilm.start",
        cluster("cluster:admin/ilm/start", OnCluster::Manage),
    ),
    (
        "ilm.stop",
        cluster("cluster:admin/ilm/stop", OnCluster::Manage),
    ),
];
