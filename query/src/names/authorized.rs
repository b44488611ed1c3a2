//! Index expressions under rights: what a request names, narrowed to what its sender may reach.
//!
//! Does: refuse names without a right by name, and put the names that rights allow in the place of wildcards, so that
//! what comes after sees no others. Does not: say which right a request needs, or who sent it.
//! Source: Elasticsearch reference, *Security privileges* and *Granting privileges for data streams and aliases*: a right
//! is on a name as it is used, so one on an alias is none on the indices behind it.

use std::collections::{BTreeSet, HashSet};

use gleaner_model::mapping::matches_pattern;
use gleaner_model::{ClusterState, IndexMeta, IndexPrivilege, Rights};

use super::effort::Effort;
use super::{ResolveOptions, not_found};
use crate::error::QueryError;

/// An expression that names nothing.
const NOTHING: &str = "*,-*";

/// What a request must have a right to.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// What its sender may do.
    pub rights: &'a Rights,
    /// The privilege it needs on each name.
    pub privilege: IndexPrivilege,
    /// Whether it reaches documents that the filter of an alias would hide. A right to such an alias is not enough then:
    /// one to the indices behind it is needed as well.
    pub ignores_filters: bool,
    /// The cluster.
    pub state: &'a ClusterState,
}

/// Why an expression may not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// There is no right to these names, at least one.
    #[error("no privilege [{privilege}] on indices [{}]", names.join(","))]
    Denied {
        /// The names as the request has them.
        names: Vec<String>,
        /// The privilege that is missing.
        privilege: IndexPrivilege,
    },
    /// Nothing that may be reached bears the name, and the request wants something.
    #[error(transparent)]
    Missing(#[from] QueryError),
}

impl Access<'_> {
    /// Returns `expression` with the names that rights allow in the place of its wildcards; `None` where it was not given
    /// and all indices may be reached.
    ///
    /// # Errors
    /// [`Denial::Denied`] for names without a right, whether they exist or not, and for wildcards where there is no such right
    /// to any name; [`Denial::Missing`] where nothing is left
    /// and `options` do not allow that, and for wildcards that stand for too much, as [`super::resolve`].
    pub fn narrow(
        &self,
        expression: Option<&str>,
        options: &ResolveOptions,
    ) -> Result<Option<String>, Denial> {
        if self.rights.allow_every_index(self.privilege) {
            return Ok(expression.map(str::to_owned));
        }
        let given = expression.unwrap_or_default();
        let items = given.split(',').map(str::trim);
        let mut items: Vec<&str> = items.filter(|item| !item.is_empty()).collect();
        if items.is_empty() {
            items.push("_all");
        }
        if !self.rights.allow_some_index(self.privilege) {
            return Err(self.denial(items.into_iter().map(str::to_owned).collect()));
        }
        let (mut kept, mut denied) = (Vec::new(), Vec::new());
        let (mut has_wildcard, mut has_exclusion) = (false, false);
        // What was named since the last exclusion: it adds nothing when it is named again.
        let (mut seen, mut effort) = (HashSet::new(), Effort::default());
        for item in items {
            if has_wildcard && item.starts_with('-') {
                has_exclusion = true;
                seen.clear();
                kept.push(item.to_owned());
            } else if !seen.insert(item) {
                // It stands there already.
            } else if item == "_all" || (item.contains('*') && !item.starts_with('_')) {
                has_wildcard = true;
                let pattern = if item == "_all" { "*" } else { item };
                let names = self.expand(pattern, options, &mut effort)?;
                let new = names.into_iter().filter(|name| seen.insert(*name));
                kept.extend(new.map(str::to_owned));
            } else if self.allows(item) {
                kept.push(item.to_owned());
            } else {
                denied.push(item.to_owned());
            }
        }
        if !denied.is_empty() {
            return Err(self.denial(denied));
        }
        let is_empty = kept.iter().all(|item| item.starts_with('-'));
        if is_empty && !options.allow_no_indices {
            return Err(not_found(given).into());
        }
        // Exclusions count after a wildcard only: this one leaves nothing, then come the names.
        if is_empty || has_exclusion {
            kept.insert(0, NOTHING.to_owned());
        }
        Ok(Some(kept.join(",")))
    }

    /// Refuses a name of one index or alias without a right to it.
    ///
    /// # Errors
    /// [`Denial::Denied`].
    pub fn check(&self, name: &str) -> Result<(), Denial> {
        match self.rights.allow_every_index(self.privilege) || self.allows(name) {
            true => Ok(()),
            false => Err(self.denial(vec![name.to_owned()])),
        }
    }

    fn denial(&self, names: Vec<String>) -> Denial {
        Denial::Denied {
            names,
            privilege: self.privilege,
        }
    }

    fn allows(&self, name: &str) -> bool {
        let may = |name: &str| self.rights.allow_index(self.privilege, name);
        if !may(name) {
            return false;
        }
        if !self.ignores_filters || self.state.index_named(name).is_some() {
            return true;
        }
        let mut behind = self.state.aliased(name);
        behind.all(|(index, alias)| alias.filter.is_none() || may(index.name.as_str()))
    }

    /// Returns the indices and aliases that `pattern` reaches and rights allow, in order.
    ///
    /// # Errors
    /// As [`Effort::spend`].
    fn expand(
        &self,
        pattern: &str,
        options: &ResolveOptions,
        effort: &mut Effort,
    ) -> Result<BTreeSet<&str>, QueryError> {
        let mut names = BTreeSet::new();
        for index in self.state.indices.values() {
            effort.spend(1 + index.aliases.len())?;
            if !is_reached(index, options) {
                continue;
            }
            let stands_for = |name: &str, is_hidden: bool| {
                let is_visible = !is_hidden
                    || options.expand_wildcards.hidden
                    || (pattern.starts_with('.') && name.starts_with('.'));
                is_visible && matches_pattern(pattern, name)
            };
            if stands_for(index.name.as_str(), index.settings.hidden) {
                names.insert(index.name.as_str());
            }
            for (name, alias) in &index.aliases {
                let is_hidden = alias.is_hidden.unwrap_or(false);
                if options.allow_alias(alias) && stands_for(name.as_str(), is_hidden) {
                    names.insert(name.as_str());
                }
            }
        }
        let may = |name: &str| self.rights.allow_index(self.privilege, name);
        names.retain(|name| may(name));
        if self.ignores_filters {
            self.leave_out_filtered(&mut names);
        }
        Ok(names)
    }

    /// Takes out the aliases whose filters hide documents of indices to which there is no right.
    fn leave_out_filtered(&self, names: &mut BTreeSet<&str>) {
        for index in self.state.indices.values() {
            let aliases = index.aliases.iter();
            let mut filtered = aliases
                .filter(|(_, alias)| alias.filter.is_some())
                .peekable();
            let is_free = filtered.peek().is_none()
                || self.rights.allow_index(self.privilege, index.name.as_str());
            if !is_free {
                filtered.for_each(|(name, _)| {
                    names.remove(name.as_str());
                });
            }
        }
    }
}

/// Do wildcards reach an index in its state, open or closed?
fn is_reached(index: &IndexMeta, options: &ResolveOptions) -> bool {
    let expand = &options.expand_wildcards;
    match index.is_closed {
        true => expand.closed && options.allow_closed,
        false => expand.open,
    }
}

#[cfg(test)]
mod tests;
