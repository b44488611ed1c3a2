//! Templates: their bodies, and what an index of a name gets from them.
//!
//! Does: read the bodies ([`parse_index_template`], [`parse_component_template`], [`parse_legacy_template`]); find
//! the template of a name and put its parts together ([`compose`], [`index_template_of`]); say which templates
//! stand in each other's way ([`overlap`]), and which are deprecated ([`deprecated_use`], [`deprecated_parts`]).
//! Does not: keep templates (`model::Templates` is in the cluster state), know which analyzers exist.
//! Source: Elasticsearch reference, *Index templates*; settings and aliases of a later part replace those of an
//! earlier one by their keys, mappings field by field.

mod compose;
mod deprecated;
mod mappings;
mod overlap;
mod parse;

use gleaner_model::mapping::matches_pattern;

pub use compose::{Composed, ComposedFrom, check_no_stream, compose, index_template_of};
pub use deprecated::{deprecated_parts, deprecated_use};
pub use overlap::{
    Patterns, check_legacy, check_priority, ignored_legacy, overlapping, overlapping_legacy,
};
pub use parse::{parse_component_template, parse_index_template, parse_legacy_template};

/// Returns whether one of `patterns` stands for `name`.
fn any_matches(patterns: &[String], name: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| matches_pattern(pattern, name))
}

#[cfg(test)]
mod tests;
