//! All routes, one file per noun of the URL.

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
pub(crate) use index::{change_defaults, metadata_defaults};
pub(crate) use msearch::{Header, read_kept};
pub(crate) use search::check_search_type;
pub use tasks::read_task_id;

use crate::route::Route;

/// The tables of all routes, in the order of the documentation.
pub(crate) static TABLES: &[&[Route]] = &[
    info::ROUTES,
    licence::ROUTES,
    search::ROUTES,
    msearch::ROUTES,
    count::ROUTES,
    scroll::ROUTES,
    point_in_time::ROUTES,
    explain::ROUTES,
    validate::ROUTES,
    search_shards::ROUTES,
    field_caps::ROUTES,
    terms_enum::ROUTES,
    rank_eval::ROUTES,
    bulk::ROUTES,
    document::ROUTES,
    update::ROUTES,
    mget::ROUTES,
    term_vectors::ROUTES,
    by_query::ROUTES,
    index::ROUTES,
    mapping::ROUTES,
    settings::ROUTES,
    template::ROUTES,
    alias::ROUTES,
    analyze::ROUTES,
    maintenance::ROUTES,
    synced_flush::ROUTES,
    cluster::ROUTES,
    cluster::VOTING_ROUTES,
    nodes::ROUTES,
    stats::ROUTES,
    segments::ROUTES,
    recovery::ROUTES,
    tasks::ROUTES,
    security::ROUTES,
    rollover::ROUTES,
    resize::ROUTES,
    data_stream::ROUTES,
    data_stream::LIFECYCLE_ROUTES,
    lifecycle::ROUTES,
    lifecycle::STEP_ROUTES,
    resolve::ROUTES,
    cat::ROUTES,
    refused::ROUTES,
    refused_features::ROUTES,
];
