//! What an alias points to: data streams, or indices that are of none.
//!
//! Source: Elasticsearch, `Metadata`: no alias points to both.

use std::collections::BTreeMap;

use gleaner_model::{ClusterState, IndexName};

use crate::error::QueryError;

/// Which of both an alias points to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bearers {
    has_index: bool,
    has_stream: bool,
}

impl Bearers {
    fn are_of_both(self) -> bool {
        self.has_index && self.has_stream
    }
}

/// Refuses an alias that comes to point to data streams and to other indices. One that does already, from an earlier
/// version, may stay.
///
/// # Errors
/// `illegal_argument_exception` naming the alias.
pub(super) fn check_kinds(before: &ClusterState, next: &ClusterState) -> Result<(), QueryError> {
    if next.data_streams.is_empty() {
        return Ok(());
    }
    check_names(before, next)?;
    let found = mixed(next);
    if found.is_empty() {
        return Ok(());
    }
    let known = mixed(before);
    match found.iter().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => Err(QueryError::illegal(format!(
            "data stream alias and indices alias have the same name ({name}): an alias points to data streams or to \
             indices, not to both"
        ))),
    }
}

/// Refuses an alias of an index that comes to have the name of a data stream.
fn check_names(before: &ClusterState, next: &ClusterState) -> Result<(), QueryError> {
    for (uuid, index) in &next.indices {
        for name in index.aliases.iter().filter_map(|(name, of)| {
            let is_taken = !of.is_data_stream && next.data_streams.contains_key(name);
            is_taken.then_some(name)
        }) {
            let known = before.indices.get(uuid);
            if known.is_none_or(|index| !index.aliases.contains_key(name)) {
                return Err(QueryError::illegal(format!(
                    "the name [{name}] is that of a data stream: aliases of that name cannot be added, changed or removed"
                )));
            }
        }
    }
    Ok(())
}

/// Returns the aliases of both.
fn mixed(state: &ClusterState) -> Vec<&IndexName> {
    let mut all: BTreeMap<&IndexName, Bearers> = BTreeMap::new();
    for index in state.indices.values() {
        let is_of_stream = index.stream_name().is_some();
        for (name, _) in index.aliases.iter().filter(|(_, of)| !of.is_data_stream) {
            let bearers = all.entry(name).or_default();
            bearers.has_stream |= is_of_stream;
            bearers.has_index |= !is_of_stream;
        }
    }
    all.retain(|_, bearers| bearers.are_of_both());
    all.into_keys().collect()
}
