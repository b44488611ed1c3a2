//! Names of privileges in requests of `_has_privileges`, with those of features that are not there.
//!
//! Does: read a name as the privilege that a key needs for it. Does not: hold it against rights, or read roles: a key
//! cannot be given most of these. Called by: `privileges`, as it reads a body. Read first: [`parse_index_privilege`].
//! Source: Elasticsearch reference, *Security privileges*.

use gleaner_model::security::UnknownPrivilege;
use gleaner_model::{ClusterPrivilege, IndexPrivilege};
use gleaner_query::QueryError;

/// Privileges on the cluster of features that are not there. Who has [`ClusterPrivilege::All`] has them.
pub(super) const FOREIGN_ON_CLUSTER: &[&str] = &[
    "cancel_task",
    "create_snapshot",
    "cross_cluster_replication",
    "cross_cluster_search",
    "delegate_pki",
    "grant_api_key",
    "manage_autoscaling",
    "manage_behavioral_analytics",
    "manage_ccr",
    "manage_connector",
    "manage_data_frame_transforms",
    "manage_data_stream_global_retention",
    "manage_enrich",
    "manage_inference",
    "manage_ingest_pipelines",
    "manage_logstash_pipelines",
    "manage_ml",
    "manage_oidc",
    "manage_pipeline",
    "manage_rollup",
    "manage_saml",
    "manage_search_application",
    "manage_search_query_rules",
    "manage_search_synonyms",
    "manage_service_account",
    "manage_slm",
    "manage_token",
    "manage_transform",
    "manage_user_profile",
    "manage_watcher",
    "monitor_connector",
    "monitor_data_frame_transforms",
    "monitor_data_stream_global_retention",
    "monitor_enrich",
    "monitor_esql",
    "monitor_inference",
    "monitor_ml",
    "monitor_rollup",
    "monitor_snapshot",
    "monitor_stats",
    "monitor_text_structure",
    "monitor_transform",
    "monitor_watcher",
    "post_behavioral_analytics_event",
    "read_ccr",
    "read_connector_secrets",
    "read_fleet_secrets",
    "read_pipeline",
    "read_security",
    "read_slm",
    "transport_client",
    "write_connector_secrets",
    "write_fleet_secrets",
];

/// Privileges on indices of features that are not there. Who has [`IndexPrivilege::All`] on a name has them there.
pub(super) const FOREIGN_ON_INDICES: &[&str] = &[
    "cross_cluster_replication",
    "cross_cluster_replication_internal",
    "manage_data_stream_lifecycle",
    "manage_failure_store",
    "manage_follow_index",
    "manage_leader_index",
    "read_cross_cluster",
    "read_failure_store",
];

/// The dialect's word for no privilege: everybody has it.
const NONE: &str = "none";

/// Returns the privilege on the cluster that a key needs to have the one called `name`: [`ClusterPrivilege::All`] for
/// those of features that are not there, `None` for `none`.
///
/// # Errors
/// `illegal_argument_exception` for a name that the dialect does not know.
pub(super) fn parse_cluster_privilege(name: &str) -> Result<Option<ClusterPrivilege>, QueryError> {
    if name == NONE {
        return Ok(None);
    }
    match name.parse::<ClusterPrivilege>() {
        Ok(privilege) => Ok(Some(privilege)),
        Err(_) if FOREIGN_ON_CLUSTER.contains(&name) => Ok(Some(ClusterPrivilege::All)),
        Err(unknown) => Err(unknown_privilege(&unknown)),
    }
}

/// Returns the privilege on indices that a key needs to have the one called `name`: [`IndexPrivilege::All`] for those of
/// features that are not there, `None` for `none`.
///
/// # Errors
/// `illegal_argument_exception` for a name that the dialect does not know.
pub(super) fn parse_index_privilege(name: &str) -> Result<Option<IndexPrivilege>, QueryError> {
    if name == NONE {
        return Ok(None);
    }
    match name.parse::<IndexPrivilege>() {
        Ok(privilege) => Ok(Some(privilege)),
        Err(_) if FOREIGN_ON_INDICES.contains(&name) => Ok(Some(IndexPrivilege::All)),
        Err(unknown) => Err(unknown_privilege(&unknown)),
    }
}

fn unknown_privilege(unknown: &UnknownPrivilege) -> QueryError {
    QueryError::illegal(unknown.to_string())
}
