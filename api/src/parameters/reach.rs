//! What the names of a request stand for where its parameters do not say it.

use gleaner_query::names::{ExpandWildcards, ResolveOptions};

/// What readings of metadata may name: closed indices too.
pub(crate) fn metadata_defaults() -> ResolveOptions {
    ResolveOptions {
        allow_closed: true,
        ..ResolveOptions::default()
    }
}

/// What changes of mappings and settings may name: closed indices too, also by wildcards, and some index
/// at least.
pub(crate) fn change_defaults() -> ResolveOptions {
    ResolveOptions {
        allow_no_indices: false,
        expand_wildcards: ExpandWildcards {
            open: true,
            closed: true,
            hidden: false,
        },
        ..metadata_defaults()
    }
}
