//! All routes, one file per noun of the URL.

mod address;
mod alias;
mod analyze;
mod bulk;
mod by_query;
pub(crate) mod cat;
mod cluster;
mod copies;
pub(crate) mod count;
mod data_stream;
mod document;
mod explain;
mod field_caps;
mod index;
mod index_filter;
mod info;
mod licence;
mod lifecycle;
mod maintenance;
mod mapping;
mod mget;
mod msearch;
mod nodes;
mod point_in_time;
mod rank_eval;
mod recovery;
mod refused;
mod refused_features;
mod resize;
mod resolve;
mod rollover;
mod scroll;
pub(crate) mod search;
mod search_shards;
mod security;
mod segments;
mod settings;
mod stats;
mod synced_flush;
mod tasks;
mod template;
mod term_vectors;
mod terms_enum;
mod update;
mod validate;

pub use bulk::action_shown;
pub(crate) use msearch::{Header, read_kept};
pub(crate) use search::check_search_type;
pub use tasks::read_task_id;

use crate::endpoint::Endpoint;
use crate::route::Route;

/// Returns all routes with their tables of parameters.
pub fn parameter_tables() -> impl Iterator<Item = &'static Route> {
    endpoints().map(|endpoint| &endpoint.route)
}

/// Returns all routes with their handlers.
pub(crate) fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    TABLES.iter().copied().flatten()
}

/// The tables of all endpoints, in the order of the documentation.
static TABLES: &[&[Endpoint]] = &[
    info::ENDPOINTS,
    licence::ENDPOINTS,
    search::ENDPOINTS,
    msearch::ENDPOINTS,
    count::ENDPOINTS,
    scroll::ENDPOINTS,
    point_in_time::ENDPOINTS,
    explain::ENDPOINTS,
    validate::ENDPOINTS,
    search_shards::ENDPOINTS,
    field_caps::ENDPOINTS,
    terms_enum::ENDPOINTS,
    rank_eval::ENDPOINTS,
    bulk::ENDPOINTS,
    document::ENDPOINTS,
    update::ENDPOINTS,
    mget::ENDPOINTS,
    term_vectors::ENDPOINTS,
    by_query::ENDPOINTS,
    index::ENDPOINTS,
    mapping::ENDPOINTS,
    settings::ENDPOINTS,
    template::ENDPOINTS,
    alias::ENDPOINTS,
    analyze::ENDPOINTS,
    maintenance::ENDPOINTS,
    synced_flush::ENDPOINTS,
    cluster::ENDPOINTS,
    cluster::VOTING_ENDPOINTS,
    nodes::ENDPOINTS,
    stats::ENDPOINTS,
    segments::ENDPOINTS,
    recovery::ENDPOINTS,
    tasks::ENDPOINTS,
    security::ENDPOINTS,
    rollover::ENDPOINTS,
    resize::ENDPOINTS,
    data_stream::ENDPOINTS,
    data_stream::LIFECYCLE_ENDPOINTS,
    lifecycle::ENDPOINTS,
    lifecycle::STEP_ENDPOINTS,
    resolve::ENDPOINTS,
    cat::ENDPOINTS,
    refused::ENDPOINTS,
    refused_features::ENDPOINTS,
];
