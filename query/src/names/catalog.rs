//! The names of a cluster state in order, for expressions that look for many of them.
//!
//! Does: find what bears a name, and what a wildcard may stand for, without a look at every name. Does not: say what
//! may be reached. Called by: [`super::resolve`]. It costs a sort of all names, so few names are looked up without it.

use std::sync::Arc;

use gleaner_model::{Alias, ClusterState, IndexMeta, IndexName};

/// Names that are looked at one by one, by all items of an expression together: sorting them would take as long.
const FEW_LOOKS: usize = 16_384;

/// A name, and an index that bears it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) meta: &'a Arc<IndexMeta>,
    /// The alias, where the name is one's.
    pub(super) alias: Option<(&'a IndexName, &'a Alias)>,
}

/// All names of a state, sorted; bearers of one name stand as in the state.
pub(super) struct Catalog<'a>(Vec<Entry<'a>>);

impl<'a> Catalog<'a> {
    /// Returns the names of `state` where so many items and one are worth it.
    pub(super) fn for_items(num_commas: usize, state: &'a ClusterState) -> Option<Self> {
        if num_commas == 0 {
            return None;
        }
        let indices = state.indices.values();
        let num_names: usize = indices.map(|meta| 1 + meta.aliases.len()).sum();
        if num_commas.saturating_mul(num_names) < FEW_LOOKS {
            return None;
        }
        let mut entries = Vec::with_capacity(num_names);
        entries.extend(state.indices.values().flat_map(entries_of));
        entries.sort_by(|a, b| a.name.cmp(b.name));
        Some(Self(entries))
    }

    /// Returns the bearers of a name.
    pub(super) fn named(&self, name: &str) -> &[Entry<'a>] {
        let begin = self.0.partition_point(|entry| entry.name < name);
        let rest = &self.0[begin..];
        &rest[..rest.partition_point(|entry| entry.name == name)]
    }

    /// Returns the entries that a wildcard may stand for: those whose names begin as it does.
    pub(super) fn candidates(&self, pattern: &str) -> &[Entry<'a>] {
        let start = pattern.split('*').next().unwrap_or_default();
        let begin = self.0.partition_point(|entry| entry.name < start);
        let rest = &self.0[begin..];
        &rest[..rest.partition_point(|entry| entry.name.starts_with(start))]
    }
}

/// Returns the names of an index.
pub(super) fn entries_of(meta: &Arc<IndexMeta>) -> impl Iterator<Item = Entry<'_>> {
    let own = Entry {
        name: meta.name.as_str(),
        meta,
        alias: None,
    };
    let aliases = meta.aliases.iter().map(move |(name, alias)| Entry {
        name: name.as_str(),
        meta,
        alias: Some((name, alias)),
    });
    std::iter::once(own).chain(aliases)
}

/// Returns the bearers of a name, looked for in the state itself.
pub(super) fn bearers_in<'a>(state: &'a ClusterState, name: &str) -> Vec<Entry<'a>> {
    if let Some(meta) = state.index_named(name) {
        return entries_of(meta).take(1).collect();
    }
    let bearer = |meta: &'a Arc<IndexMeta>| {
        let (alias_name, alias) = meta.aliases.get_key_value(name)?;
        Some(Entry {
            name: alias_name.as_str(),
            meta,
            alias: Some((alias_name, alias)),
        })
    };
    state.indices.values().filter_map(bearer).collect()
}
