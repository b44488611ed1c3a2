//! What routes of upkeep need: what is written made visible, durable, and small.

use gleaner_model::IndexPrivilege as OnIndex;
use gleaner_query::names::ResolveOptions;

use super::indices;
use crate::security::rights::Right;

/// In the order of the documentation.
pub(super) static RIGHTS: &[(&str, Right)] = &[
    (
        "indices.refresh",
        indices(
            "indices:admin/refresh",
            OnIndex::Maintenance,
            ResolveOptions::default,
        ),
    ),
    (
        "indices.flush",
        indices(
            "indices:admin/flush",
            OnIndex::Maintenance,
            ResolveOptions::default,
        ),
    ),
    (
        "indices.flush_synced",
        indices(
            "indices:admin/synced_flush",
            OnIndex::Maintenance,
            ResolveOptions::default,
        ),
    ),
    (
        "indices.forcemerge",
        indices(
            "indices:admin/forcemerge",
            OnIndex::Maintenance,
            ResolveOptions::default,
        ),
    ),
    (
        "indices.clear_cache",
        indices(
            "indices:admin/cache/clear",
            OnIndex::Manage,
            ResolveOptions::default,
        ),
    ),
];
