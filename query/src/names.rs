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
mod catalog;
mod date_math;
mod effort;
mod options;
mod routing;
mod single;
mod streams;

use std::collections::{BTreeMap, HashSet};
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

use catalog::{Catalog, Entry};
use effort::Effort;

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
/// expression that was not given, the empty one, are everything. What is named again counts once.
///
/// # Errors
/// `illegal_argument_exception` for wildcards that would be compared with more than half a million names, all of them
/// together. `invalid_index_name_exception` for an expression of commas and spaces alone: that is no way to ask
/// for everything. The same for a name or wildcard that begins with `_`, whatever the options.
/// `index_not_found_exception`, `index_closed_exception`, or `illegal_argument_exception` for an
/// alias where only indices may stand, as the options have it.
pub fn resolve(
    expression: &str,
    state: &ClusterState,
    options: &ResolveOptions,
) -> Result<Vec<ResolvedIndex>, QueryError> {
    let mut selection = Selection::new(state, options);
    selection.expect_items(expression.bytes().filter(|byte| *byte == b',').count());
    selection.check_effort(std::iter::once(expression))?;
    let found = selection.select(expression)?;
    Ok(found
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
    aliases: BTreeMap<&'a str, (&'a IndexName, &'a Alias)>,
}

impl ReachedIndex<'_> {
    fn into_resolved(self) -> ResolvedIndex {
        let all = |part: &dyn Fn(&Alias) -> Option<Value>| -> Option<Vec<Value>> {
            self.aliases
                .values()
                .map(|(_, alias)| part(alias))
                .collect()
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
            aliases: self
                .aliases
                .into_values()
                .map(|(name, _)| name.clone())
                .collect(),
        }
    }
}

struct Selection<'a> {
    state: &'a ClusterState,
    options: &'a ResolveOptions,
    reached: BTreeMap<&'a IndexName, ReachedIndex<'a>>,
    /// The names of the state, where an expression looks for many.
    catalog: Option<Catalog<'a>>,
    /// What was named since the last exclusion: it adds nothing when it is named again.
    included: HashSet<&'a str>,
    /// What was excluded since anything was named.
    excluded: HashSet<&'a str>,
    effort: Effort,
}

impl<'a> Selection<'a> {
    fn new(state: &'a ClusterState, options: &'a ResolveOptions) -> Self {
        Self {
            state,
            options,
            reached: BTreeMap::new(),
            catalog: None,
            included: HashSet::new(),
            excluded: HashSet::new(),
            effort: Effort::default(),
        }
    }

    /// Gets ready for an expression with so many commas.
    fn expect_items(&mut self, num_commas: usize) {
        self.catalog = Catalog::for_items(num_commas, self.state);
    }

    /// Returns what an expression reaches, beginning anew.
    fn select(
        &mut self,
        expression: &'a str,
    ) -> Result<BTreeMap<&'a IndexName, ReachedIndex<'a>>, QueryError> {
        self.included.clear();
        self.excluded.clear();
        let items = expression.split(',').map(str::trim);
        let mut items = items.filter(|item| !item.is_empty()).peekable();
        if items.peek().is_none() {
            if !expression.is_empty() {
                return Err(QueryError::new(
                    ErrorType::InvalidIndexName,
                    format!("Invalid index name [{expression}], it names no index; all are [_all]"),
                ));
            }
            self.wildcard("*")?;
        }
        let mut has_wildcard = false;
        for item in items {
            if item != "_all" {
                check_start(item)?;
            }
            match item.strip_prefix('-') {
                Some(excluded) if has_wildcard => self.exclude(excluded)?,
                _ => self.include(item)?,
            }
            has_wildcard |= item == "_all" || item.contains('*');
        }
        if self.reached.is_empty() && !self.options.allow_no_indices {
            return Err(not_found(expression));
        }
        Ok(std::mem::take(&mut self.reached))
    }

    /// Refuses wildcards that stand for too much before the first of them is compared with anything. Those that are named
    /// again after an exclusion are counted when they are.
    fn check_effort<'e>(
        &self,
        expressions: impl Iterator<Item = &'e str>,
    ) -> Result<(), QueryError> {
        let Some(catalog) = &self.catalog else {
            return Ok(());
        };
        let (mut expected, mut seen) = (Effort::default(), HashSet::new());
        for item in expressions.flat_map(|expression| expression.split(',').map(str::trim)) {
            if item.contains('*') && seen.insert(item) {
                let pattern = item.strip_prefix('-').unwrap_or(item);
                expected.spend(catalog.candidates(pattern).len())?;
            }
        }
        Ok(())
    }

    fn add(&mut self, Entry { meta, alias, .. }: Entry<'a>) {
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
                reached.aliases.insert(name.as_str(), (name, alias));
            }
            None => reached.is_direct = true,
        }
    }

    fn include(&mut self, item: &'a str) -> Result<(), QueryError> {
        self.excluded.clear();
        if !self.included.insert(item) {
            return Ok(());
        }
        match item {
            "_all" => self.wildcard("*"),
            _ if item.contains('*') => self.wildcard(item),
            _ => self.name(item),
        }
    }

    fn wildcard(&mut self, pattern: &str) -> Result<(), QueryError> {
        let mut is_found = false;
        match self.catalog.take() {
            None => {
                let has_own_alone = pattern == "*" && self.state.data_streams.is_empty();
                for meta in self.state.indices.values() {
                    let num_names = if has_own_alone {
                        1
                    } else {
                        1 + meta.aliases.len()
                    };
                    self.effort.spend(num_names)?;
                    for entry in catalog::entries_of(meta).take(num_names) {
                        is_found |= self.match_entry(pattern, entry);
                    }
                }
            }
            Some(catalog) => {
                let candidates = catalog.candidates(pattern);
                self.effort.spend(candidates.len())?;
                for entry in candidates {
                    is_found |= self.match_entry(pattern, *entry);
                }
                self.catalog = Some(catalog);
            }
        }
        if !is_found && !self.options.allow_no_indices {
            return Err(not_found(pattern));
        }
        Ok(())
    }

    /// Adds what bears a name if `pattern` stands for it; returns whether it does.
    fn match_entry(&mut self, pattern: &str, entry: Entry<'a>) -> bool {
        let expand = &self.options.expand_wildcards;
        // What must not be named closed is left out here too; who asks refuses it otherwise.
        let skips_closed = self.options.ignore_unavailable && !self.options.allow_closed;
        let is_expanded = match entry.meta.is_closed {
            true => expand.closed && !skips_closed,
            false => expand.open,
        };
        // All are the indices and data streams that are not hidden, whatever else they are called.
        let is_all = pattern == "*";
        let is_hidden = match entry.alias {
            None => entry.meta.settings.hidden,
            Some((_, alias)) if !self.options.allow_alias(alias) => return false,
            Some((_, alias)) if is_all && !alias.is_data_stream => return false,
            Some((_, alias)) => alias.is_hidden.unwrap_or(false),
        };
        // A pattern with a dot asks for names with a dot, hidden or not.
        let is_visible = !is_hidden
            || expand.hidden
            || (pattern.starts_with('.') && entry.name.starts_with('.'));
        let is_found = is_expanded && is_visible && matches_pattern(pattern, entry.name);
        if is_found {
            self.add(entry);
        }
        is_found
    }

    /// Takes out what `pattern` names. A pattern stands for the indices that it would have added, also by
    /// their aliases; a plain name for what is called so.
    fn exclude(&mut self, pattern: &'a str) -> Result<(), QueryError> {
        self.included.clear();
        if !self.excluded.insert(pattern) {
            return Ok(());
        }
        if !pattern.contains('*') {
            self.effort.spend(self.reached.len())?;
            self.reached.retain(|name, reached| {
                reached.aliases.remove(pattern);
                name.as_str() != pattern && (reached.is_direct || !reached.aliases.is_empty())
            });
            return Ok(());
        }
        let matches = |name: &IndexName| matches_pattern(pattern, name.as_str());
        let options = self.options;
        let by_alias =
            |(name, alias): (&IndexName, &Alias)| options.allow_alias(alias) && matches(name);
        for reached in self.reached.values() {
            let num_names = 1 + reached.meta.aliases.len() + reached.aliases.len();
            self.effort.spend(num_names)?;
        }
        self.reached.retain(|name, reached| {
            if matches(name) || reached.meta.aliases.iter().any(by_alias) {
                return false;
            }
            reached.aliases.retain(|_, (alias, _)| !matches(alias));
            reached.is_direct || !reached.aliases.is_empty()
        });
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<(), QueryError> {
        let before = name.split_once(':').map(|(cluster, _)| cluster);
        if let Some(cluster) = before {
            return self.missing(&QueryError::new(
                ErrorType::IndexNotFound,
                format!("no such remote cluster: [{cluster}]"),
            ));
        }
        let bearers = match &self.catalog {
            Some(catalog) => catalog.named(name).to_vec(),
            None => catalog::bearers_in(self.state, name),
        };
        if bearers.is_empty() {
            return self.missing(&not_found(name));
        }
        for entry in bearers {
            if let Some((_, alias)) = entry.alias.filter(|(_, of)| !self.options.allow_alias(of)) {
                let what = match alias.is_data_stream {
                    true => "a data stream",
                    false => "an alias",
                };
                return self.missing(&QueryError::illegal(format!(
                    "The provided expression [{name}] matches {what}, specify the corresponding concrete indices \
                     instead."
                )));
            }
            self.open(entry)?;
        }
        Ok(())
    }

    /// Adds an index that was named, unless it is closed and must not be.
    fn open(&mut self, entry: Entry<'a>) -> Result<(), QueryError> {
        if entry.meta.is_closed && !self.options.allow_closed {
            return self.missing(&QueryError::new(
                ErrorType::IndexClosed,
                format!("closed [{}]", entry.meta.name),
            ));
        }
        self.add(entry);
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
