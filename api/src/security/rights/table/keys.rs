//! What routes of keys and policies need.

use gleaner_model::ClusterPrivilege as OnCluster;

use super::{cluster, plain};
use crate::security::rights::{Needs, Right};

/// In the order of the documentation.
pub(super) static RIGHTS: &[(&str, Right)] = &[
    ("policies.exists", plain("cluster:monitor/main", Needs::Key)),
    (
        "security.create_api_key",
        cluster(
            "cluster:admin/xpack/security/api_key/create",
            OnCluster::ManageOwnApiKey,
        ),
    ),
    (
        "security.update_api_key",
        cluster(
            "cluster:admin/xpack/security/api_key/update",
            OnCluster::ManageOwnApiKey,
        ),
    ),
    (
        "security.query_api_keys",
        plain("cluster:admin/xpack/security/api_key/query", Needs::Key),
    ),
    (
        "security.get_api_key",
        plain("cluster:admin/xpack/security/api_key/get", Needs::Key),
    ),
    (
        "security.invalidate_api_key",
        plain(
            "cluster:admin/xpack/security/api_key/invalidate",
            Needs::Key,
        ),
    ),
    (
        "security.authenticate",
        plain("cluster:admin/xpack/security/user/authenticate", Needs::Key),
    ),
    (
        "security.has_privileges",
        plain(
            "cluster:admin/xpack/security/user/has_privileges",
            Needs::Key,
        ),
    ),
    (
        "security.get_user_privileges",
        plain(
            "cluster:admin/xpack/security/user/list_privileges",
            Needs::Key,
        ),
    ),
];
