//! What each route needs: the table. Tables for people have their own, [`cat`], and so have routes of
//! keys, [`keys`], of lifecycles, [`lifecycle`], of nodes, [`nodes`], of tasks, [`tasks`], of templates,
//! [`templates`], and of upkeep, [`upkeep`].

mod cat;
mod keys;
mod lifecycle;
mod nodes;
mod tasks;
mod templates;
mod upkeep;

use gleaner_model::ClusterPrivilege as OnCluster;
use gleaner_model::IndexPrivilege as OnIndex;
use gleaner_query::names::{ExpandWildcards, ResolveOptions};

use super::right::{Needs, Reach, Right};
use crate::parameters::reach::{change_defaults, metadata_defaults};

const fn indices(action: &'static str, privilege: OnIndex, reach: Reach) -> Right {
    let needs = Needs::Indices(privilege, reach);
    Right { action, needs }
}

const fn read(action: &'static str) -> Right {
    indices(action, OnIndex::Read, ResolveOptions::default)
}

const fn metadata(action: &'static str) -> Right {
    indices(action, OnIndex::ViewIndexMetadata, metadata_defaults)
}

const fn document(action: &'static str, privilege: OnIndex) -> Right {
    let needs = Needs::Document(privilege);
    Right { action, needs }
}

const fn items(action: &'static str, privilege: OnIndex) -> Right {
    let needs = Needs::Items(privilege);
    Right { action, needs }
}

const fn cluster(action: &'static str, privilege: OnCluster) -> Right {
    let needs = Needs::Cluster(privilege);
    Right { action, needs }
}

const fn plain(action: &'static str, needs: Needs) -> Right {
    Right { action, needs }
}

/// Everything, open and closed, hidden or not.
fn everything() -> ResolveOptions {
    ResolveOptions {
        expand_wildcards: ExpandWildcards::ALL,
        ..metadata_defaults()
    }
}

/// Open and closed indices that are not hidden.
fn open_and_closed() -> ResolveOptions {
    ResolveOptions {
        allow_no_indices: true,
        ..change_defaults()
    }
}

/// What each route needs.
pub(super) fn rights() -> impl Iterator<Item = &'static (&'static str, Right)> {
    let others = cat::RIGHTS.iter().chain(keys::RIGHTS).chain(tasks::RIGHTS);
    let others = templates::RIGHTS.iter().chain(others);
    let others = nodes::RIGHTS.iter().chain(upkeep::RIGHTS).chain(others);
    RIGHTS.iter().chain(lifecycle::RIGHTS).chain(others)
}

/// What each route needs that is no table for people, in the order of the documentation.
static RIGHTS: &[(&str, Right)] = &[
    ("info", plain("cluster:monitor/main", Needs::Key)),
    (
        "health.live",
        plain("cluster:monitor/health", Needs::Nothing),
    ),
    (
        "health.ready",
        plain("cluster:monitor/health", Needs::Nothing),
    ),
    (
        "metrics",
        cluster("cluster:monitor/metrics", OnCluster::Monitor),
    ),
    ("openapi", plain("cluster:monitor/openapi", Needs::Key)),
    ("openapi.page", plain("cluster:monitor/openapi", Needs::Key)),
    ("topz", cluster("cluster:monitor/topz", OnCluster::Monitor)),
    (
        "license.get",
        plain("cluster:monitor/xpack/license/get", Needs::Key),
    ),
    (
        "xpack.info",
        plain("cluster:monitor/xpack/info", Needs::Key),
    ),
    (
        "xpack.usage",
        cluster("cluster:monitor/xpack/usage", OnCluster::Monitor),
    ),
    ("search", read("indices:data/read/search")),
    ("msearch", items("indices:data/read/search", OnIndex::Read)),
    ("count", read("indices:data/read/search")),
    ("scroll", plain("indices:data/read/scroll", Needs::Context)),
    (
        "clear_scroll",
        plain("indices:data/read/scroll/clear", Needs::Context),
    ),
    (
        "open_point_in_time",
        read("indices:data/read/open_point_in_time"),
    ),
    (
        "close_point_in_time",
        plain("indices:data/read/close_point_in_time", Needs::Context),
    ),
    ("create_pit", read("indices:data/read/open_point_in_time")),
    (
        "delete_pit",
        plain("indices:data/read/close_point_in_time", Needs::Context),
    ),
    (
        "delete_all_pits",
        cluster("cluster:admin/point_in_time/delete", OnCluster::Manage),
    ),
    (
        "get_all_pits",
        cluster("cluster:admin/point_in_time/read", OnCluster::Manage),
    ),
    (
        "explain",
        document("indices:data/read/explain", OnIndex::Read),
    ),
    (
        "indices.validate_query",
        read("indices:admin/validate/query"),
    ),
    (
        "search_shards",
        indices(
            "indices:admin/shards/search_shards",
            OnIndex::ViewIndexMetadata,
            ResolveOptions::default,
        ),
    ),
    ("field_caps", read("indices:data/read/field_caps")),
    ("terms_enum", read("indices:data/read/xpack/termsenum/list")),
    ("rank_eval", read("indices:data/read/rank_eval")),
    ("bulk", items("indices:data/write/bulk", OnIndex::Index)),
    (
        "index",
        document("indices:data/write/index", OnIndex::Index),
    ),
    (
        "index (made id)",
        document("indices:data/write/index", OnIndex::CreateDoc),
    ),
    (
        "create",
        document("indices:data/write/index", OnIndex::CreateDoc),
    ),
    (
        "delete",
        document("indices:data/write/delete", OnIndex::Delete),
    ),
    (
        "get, exists",
        document("indices:data/read/get", OnIndex::Read),
    ),
    (
        "get_source, exists_source",
        document("indices:data/read/get", OnIndex::Read),
    ),
    (
        "update",
        document("indices:data/write/update", OnIndex::Index),
    ),
    ("mget", items("indices:data/read/mget", OnIndex::Read)),
    (
        "termvectors",
        document("indices:data/read/tv", OnIndex::Read),
    ),
    (
        "mtermvectors",
        items("indices:data/read/mtv", OnIndex::Read),
    ),
    (
        "delete_by_query",
        indices(
            "indices:data/write/delete/byquery",
            OnIndex::Delete,
            ResolveOptions::default,
        ),
    ),
    (
        "update_by_query",
        indices(
            "indices:data/write/update/byquery",
            OnIndex::Index,
            ResolveOptions::default,
        ),
    ),
    // Of what it reads; the route checks what it writes.
    ("reindex", items("indices:data/read/search", OnIndex::Read)),
    (
        "indices.create",
        document("indices:admin/create", OnIndex::CreateIndex),
    ),
    ("indices.get", metadata("indices:admin/get")),
    ("indices.exists", metadata("indices:admin/get")),
    (
        "indices.delete",
        indices(
            "indices:admin/delete",
            OnIndex::DeleteIndex,
            open_and_closed,
        ),
    ),
    (
        "indices.open",
        plain(
            "indices:admin/open",
            Needs::Named(OnIndex::Manage, open_and_closed),
        ),
    ),
    (
        "indices.close",
        plain(
            "indices:admin/close",
            Needs::Named(OnIndex::Manage, open_and_closed),
        ),
    ),
    (
        "indices.add_block",
        indices(
            "indices:admin/block/add",
            OnIndex::Manage,
            metadata_defaults,
        ),
    ),
    (
        "indices.put_mapping",
        indices(
            "indices:admin/mapping/put",
            OnIndex::Manage,
            change_defaults,
        ),
    ),
    (
        "indices.get_mapping",
        metadata("indices:admin/mappings/get"),
    ),
    (
        "indices.get_field_mapping",
        metadata("indices:admin/mappings/fields/get"),
    ),
    (
        "indices.get_settings",
        indices(
            "indices:monitor/settings/get",
            OnIndex::ViewIndexMetadata,
            open_and_closed,
        ),
    ),
    (
        "indices.put_settings",
        indices(
            "indices:admin/settings/update",
            OnIndex::Manage,
            change_defaults,
        ),
    ),
    (
        "indices.update_aliases",
        items("indices:admin/aliases", OnIndex::Manage),
    ),
    (
        "indices.get_alias",
        indices(
            "indices:admin/aliases/get",
            OnIndex::ViewIndexMetadata,
            everything,
        ),
    ),
    (
        "indices.exists_alias",
        indices(
            "indices:admin/aliases/get",
            OnIndex::ViewIndexMetadata,
            everything,
        ),
    ),
    (
        "indices.put_alias",
        items("indices:admin/aliases", OnIndex::Manage),
    ),
    (
        "indices.delete_alias",
        items("indices:admin/aliases", OnIndex::Manage),
    ),
    (
        "indices.analyze",
        plain(
            "indices:admin/analyze",
            Needs::DocumentOrCluster(OnIndex::Analyze, OnCluster::Monitor),
        ),
    ),
    (
        "cluster.health",
        cluster("cluster:monitor/health", OnCluster::Monitor),
    ),
    (
        "health_report",
        cluster("cluster:monitor/health_api", OnCluster::Monitor),
    ),
    (
        "cluster.get_settings",
        cluster("cluster:monitor/settings", OnCluster::Monitor),
    ),
    (
        "cluster.put_settings",
        cluster("cluster:admin/settings/update", OnCluster::Manage),
    ),
    (
        "cluster.state",
        cluster("cluster:monitor/state", OnCluster::Monitor),
    ),
    (
        "cluster.stats",
        cluster("cluster:monitor/stats", OnCluster::Monitor),
    ),
    (
        "indices.stats",
        indices("indices:monitor/stats", OnIndex::Monitor, metadata_defaults),
    ),
    (
        "cluster.pending_tasks",
        cluster("cluster:monitor/task", OnCluster::Monitor),
    ),
    (
        "cluster.allocation_explain",
        cluster("cluster:monitor/allocation/explain", OnCluster::Monitor),
    ),
    (
        "cluster.reroute",
        cluster("cluster:admin/reroute", OnCluster::Manage),
    ),
    (
        "cluster.recover",
        cluster("cluster:admin/recover", OnCluster::Manage),
    ),
    (
        "cluster.remote_info",
        cluster("cluster:monitor/remote/info", OnCluster::Monitor),
    ),
    (
        "indices.segments",
        indices(
            "indices:monitor/segments",
            OnIndex::Monitor,
            ResolveOptions::default,
        ),
    ),
    (
        "indices.recovery",
        indices("indices:monitor/recovery", OnIndex::Monitor, everything),
    ),
    (
        "indices.create_data_stream",
        cluster("indices:admin/data_stream/create", OnCluster::Manage),
    ),
    (
        "indices.get_data_stream",
        cluster("indices:admin/data_stream/get", OnCluster::Monitor),
    ),
    (
        "indices.delete_data_stream",
        cluster("indices:admin/data_stream/delete", OnCluster::Manage),
    ),
    (
        "indices.modify_data_stream",
        cluster("indices:admin/data_stream/modify", OnCluster::Manage),
    ),
    (
        "indices.data_streams_stats",
        cluster("indices:monitor/data_stream/stats", OnCluster::Monitor),
    ),
    (
        "indices.rollover",
        document("indices:admin/rollover", OnIndex::Manage),
    ),
    (
        "indices.split",
        document("indices:admin/resize", OnIndex::Manage),
    ),
    (
        "indices.shrink",
        document("indices:admin/resize", OnIndex::Manage),
    ),
    (
        "indices.clone",
        document("indices:admin/resize", OnIndex::Manage),
    ),
    (
        "indices.resolve_index",
        cluster("indices:admin/resolve/index", OnCluster::Monitor),
    ),
];
