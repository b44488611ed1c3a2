//! What routes of templates need.

use gleaner_model::ClusterPrivilege as OnCluster;

use super::cluster;
use crate::security::rights::Right;

/// In the order of the documentation.
pub(super) static RIGHTS: &[(&str, Right)] = &[
    (
        "cluster.put_component_template",
        cluster(
            "cluster:admin/component_template/put",
            OnCluster::ManageIndexTemplates,
        ),
    ),
    (
        "cluster.get_component_template",
        cluster(
            "cluster:admin/component_template/get",
            OnCluster::ViewIndexTemplates,
        ),
    ),
    (
        "cluster.exists_component_template",
        cluster(
            "cluster:admin/component_template/get",
            OnCluster::ViewIndexTemplates,
        ),
    ),
    (
        "cluster.delete_component_template",
        cluster(
            "cluster:admin/component_template/delete",
            OnCluster::ManageIndexTemplates,
        ),
    ),
    (
        "indices.put_index_template",
        cluster(
            "indices:admin/index_template/put",
            OnCluster::ManageIndexTemplates,
        ),
    ),
    (
        "indices.get_index_template",
        cluster(
            "indices:admin/index_template/get",
            OnCluster::ViewIndexTemplates,
        ),
    ),
    (
        "indices.exists_index_template",
        cluster(
            "indices:admin/index_template/get",
            OnCluster::ViewIndexTemplates,
        ),
    ),
    (
        "indices.delete_index_template",
        cluster(
            "indices:admin/index_template/delete",
            OnCluster::ManageIndexTemplates,
        ),
    ),
    (
        "indices.put_template",
        cluster(
            "indices:admin/template/put",
            OnCluster::ManageIndexTemplates,
        ),
    ),
    (
        "indices.get_template",
        cluster("indices:admin/template/get", OnCluster::ViewIndexTemplates),
    ),
    (
        "indices.exists_template",
        cluster("indices:admin/template/get", OnCluster::ViewIndexTemplates),
    ),
    (
        "indices.delete_template",
        cluster(
            "indices:admin/template/delete",
            OnCluster::ManageIndexTemplates,
        ),
    ),
    (
        "indices.simulate_index_template",
        cluster(
            "indices:admin/index_template/simulate_index",
            OnCluster::ViewIndexTemplates,
        ),
    ),
    (
        "indices.simulate_template",
        cluster(
            "indices:admin/index_template/simulate",
            OnCluster::ViewIndexTemplates,
        ),
    ),
];
