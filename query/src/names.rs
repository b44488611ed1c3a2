//! Index expressions → indices: names, aliases, wildcards, exclusions, date math names.
//!
//! Does: resolve what a request names against one cluster state ([`resolve`] for searches,
//! [`resolve_write`] and [`resolve_single`] for documents, [`resolve_streams`] for data streams), put dates into names
//! ([`expand_date_math`], once per request, before the others), say what routing comes of a request
//! and an alias ([`single_routing`], [`search_routing`]), and which factors indices have ([`IndexBoosts`]).
//! [`Access`] narrows an expression to what somebody has a right to, before all of these.
//! Does not: create indices, look at blocks.
//! Source: Elasticsearch reference, *Multi-target syntax* and *Date math support in index names*.

mod authorized;
mod boosts;
mod date_math;
mod options;
mod routing;
mod single;
mod streams;

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_model::mapping::matches_pattern;
use gleaner_model::{Alias, ClusterState, IndexMeta, IndexName};
use serde_json::Value;

pub use authorized::{Access, Denial};
pub use boosts::IndexBoosts;
pub use date_math::{NewName, expand_date_math};
pub use options::{ExpandWildcards, ResolveOptions};
pub use routing::{search_routing, single_routing};
pub use single::{SingleIndex, resolve_single, resolve_write};
pub use streams::resolve_streams;

use crate::error::{ErrorType, QueryError};

/// An index that an expression names.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedIndex {
    /// The index.
    pub meta: Arc<IndexMeta>,
    /// Filters of the aliases it was reached through: a hit must match one of them; none where it
    /// was also named itself or through an alias without a filter.
    pub filters: Vec<Value>,
    /// Search routing of those aliases, comma-separated; none under the same conditions.
    pub search_routing: Option<String>,
    /// The aliases it was reached through, whether it was also named itself or not.
    pub aliases: Vec<IndexName>,
}

/// Returns the indices that `expression` names, by name.
///
/// Names and wildcards (`*`) are separated by commas; `-name` takes away after a wildcard; `_all` and an
/// expression that was not given, the empty one, are everything.
///
/// # Errors
/// `invalid_index_name_exception` for an expression of commas and spaces alone: that is no way to ask
/// for everything. The same for a name or wildcard that begins with `_`, whatever the options.
/// `index_not_found_exception`, `index_closed_exception`, or `illegal_argument_exception` for an
/// alias where only indices may stand, as the options have it.
pub fn resolve(
    expression: &str,
    state: &ClusterState,
    options: &ResolveOptions,
) -> Result<Vec<ResolvedIndex>, QueryError> {
    let mut selection = Selection {
        state,
        options,
        reached: BTreeMap::new(),
    };
    let items = expression.split(',').map(str::trim);
    let mut items = items.filter(|item| !item.is_empty()).peekable();
    if items.peek().is_none() {
        if !expression.is_empty() {
            return Err(QueryError::new(
                ErrorType::InvalidIndexName,
                format!("Invalid index name [{expression}], it names no index; all are [_all]"),
            ));
        }
        selection.wildcard("*")?;
    }
    let mut has_wildcard = false;
    for item in items {
        if item != "_all" {
            check_start(item)?;
        }
        match item.strip_prefix('-') {
            Some(excluded) if has_wildcard => selection.exclude(excluded),
            _ if item == "_all" => selection.wildcard("*")?,
            _ if item.contains('*') => selection.wildcard(item)?,
            _ => selection.name(item)?,
        }
        has_wildcard |= item == "_all" || item.contains('*');
    }
    if selection.reached.is_empty() && !options.allow_no_indices {
        return Err(not_found(expression));
    }
    Ok(selection
        .reached
        .into_values()
        .map(ReachedIndex::into_resolved)
        .collect())
}

/// Refuses a name that begins as those of interfaces do: who sends one has asked for an interface that
/// is not there.
fn check_start(name: &str) -> Result<(), QueryError> {
    match name.starts_with('_') {
        true => Err(QueryError::new(
            ErrorType::InvalidIndexName,
            format!("Invalid index name [{name}], must not start with '_'."),
        )),
        false => Ok(()),
    }
}

/// Returns an `index_not_found_exception`.
pub fn not_found(name: &str) -> QueryError {
    let name = if name.is_empty() { "_all" } else { name };
    QueryError::new(ErrorType::IndexNotFound, format!("no such index [{name}]"))
}

/// How an index was reached.
struct ReachedIndex<'a> {
    meta: &'a Arc<IndexMeta>,
    /// By its own name.
    is_direct: bool,
    aliases: BTreeMap<&'a IndexName, &'a Alias>,
}

impl ReachedIndex<'_> {
    fn into_resolved(self) -> ResolvedIndex {
        let all = |part: &dyn Fn(&Alias) -> Option<Value>| -> Option<Vec<Value>> {
            self.aliases.values().map(|alias| part(alias)).collect()
        };
        let (mut filters, mut search_routing) = (Vec::new(), None);
        if !self.is_direct {
            // One alias without a filter opens the whole index, and so for routing.
            filters = all(&|alias| alias.filter.clone()).unwrap_or_default();
            let routing = all(&|alias| alias.search_routing.clone().map(Value::from));
            search_routing = routing.map(|values| {
                let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                texts.join(",")
            });
        }
        ResolvedIndex {
            meta: Arc::clone(self.meta),
            filters,
            search_routing,
            aliases: self.aliases.into_keys().cloned().collect(),
        }
    }
}

struct Selection<'a> {
    state: &'a ClusterState,
    options: &'a ResolveOptions,
    reached: BTreeMap<&'a IndexName, ReachedIndex<'a>>,
}

impl<'a> Selection<'a> {
    fn add(&mut self, meta: &'a Arc<IndexMeta>, alias: Option<(&'a IndexName, &'a Alias)>) {
        let reached = self
            .reached
            .entry(&meta.name)
            .or_insert_with(|| ReachedIndex {
                meta,
                is_direct: false,
                aliases: BTreeMap::new(),
            });
        match alias {
            Some((name, alias)) => {
                reached.aliases.insert(name, alias);
            }
            None => reached.is_direct = true,
        }
    }

    fn wildcard(&mut self, pattern: &str) -> Result<(), QueryError> {
        let expand = &self.options.expand_wildcards;
        // What must not be named closed is left out here too; who asks refuses it otherwise.
        let skips_closed = self.options.ignore_unavailable && !self.options.allow_closed;
        let mut is_found = false;
        for meta in self.state.indices.values() {
            if !(if meta.is_closed {
                expand.closed && !skips_closed
            } else {
                expand.open
            }) {
                continue;
            }
            let matches = |name: &IndexName, is_hidden: bool| {
                // A pattern with a dot asks for names with a dot, hidden or not.
                let is_visible = !is_hidden
                    || expand.hidden
                    || (pattern.starts_with('.') && name.as_str().starts_with('.'));
                is_visible && matches_pattern(pattern, name.as_str())
            };
            if matches(&meta.name, meta.settings.hidden) {
                is_found = true;
                self.add(meta, None);
            }
            // All are the indices and data streams that are not hidden, whatever else they are called.
            let is_all = pattern == "*";
            if is_all && self.state.data_streams.is_empty() {
                continue;
            }
            for (name, alias) in &meta.aliases {
                if !self.options.allow_alias(alias) || (is_all && !alias.is_data_stream) {
                    continue;
                }
                if matches(name, alias.is_hidden.unwrap_or(false)) {
                    is_found = true;
                    self.add(meta, Some((name, alias)));
                }
            }
        }
        if !is_found && !self.options.allow_no_indices {
            return Err(not_found(pattern));
        }
        Ok(())
    }

    /// Takes out what `pattern` names. A pattern stands for the indices that it would have added, also by
    /// their aliases; a plain name for what is called so.
    fn exclude(&mut self, pattern: &str) {
        let matches = |name: &IndexName| matches_pattern(pattern, name.as_str());
        let is_pattern = pattern.contains('*');
        let options = self.options;
        let by_alias = |(name, alias): (&IndexName, &Alias)| {
            is_pattern && options.allow_alias(alias) && matches(name)
        };
        self.reached.retain(|name, reached| {
            if matches(name) || reached.meta.aliases.iter().any(by_alias) {
                return false;
            }
            reached.aliases.retain(|alias, _| !matches(alias));
            reached.is_direct || !reached.aliases.is_empty()
        });
    }

    fn name(&mut self, name: &str) -> Result<(), QueryError> {
        let before = name.split_once(':').map(|(cluster, _)| cluster);
        if let Some(cluster) = before {
            return self.missing(&QueryError::new(
                ErrorType::IndexNotFound,
                format!("no such remote cluster: [{cluster}]"),
            ));
        }
        if let Some(meta) = self.state.index_named(name) {
            return self.open(meta, None);
        }
        let mut is_found = false;
        for meta in self.state.indices.values() {
            let Some((alias_name, alias)) = meta.aliases.get_key_value(name) else {
                continue;
            };
            if !self.options.allow_alias(alias) {
                let what = match alias.is_data_stream {
                    true => "a data stream",
                    false => "an alias",
                };
                return self.missing(&QueryError::illegal(format!(
                    "The provided expression [{name}] matches {what}, specify the corresponding concrete indices \
                     instead."
                )));
            }
            is_found = true;
            self.open(meta, Some((alias_name, alias)))?;
        }
        if is_found {
            return Ok(());
        }
        self.missing(&not_found(name))
    }

    /// Adds an index that was named, unless it is closed and must not be.
    fn open(
        &mut self,
        meta: &'a Arc<IndexMeta>,
        alias: Option<(&'a IndexName, &'a Alias)>,
    ) -> Result<(), QueryError> {
        if meta.is_closed && !self.options.allow_closed {
            return self.missing(&QueryError::new(
                ErrorType::IndexClosed,
                format!("closed [{}]", meta.name),
            ));
        }
        self.add(meta, alias);
        Ok(())
    }

    fn missing(&self, fault: &QueryError) -> Result<(), QueryError> {
        if self.options.ignore_unavailable {
            return Ok(());
        }
        Err(fault.clone())
    }
}

#[cfg(test)]
mod tests;
