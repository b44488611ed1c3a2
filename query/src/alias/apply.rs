//! Actions on aliases, all or none, against one cluster state.

use std::collections::{BTreeMap, BTreeSet};

use gleaner_model::mapping::matches_pattern;
use gleaner_model::{Alias, ClusterState, DataStream, IndexName, IndexUuid};

use super::AliasAction;
use super::bounds::{Room, check_actions, is_pattern};
use super::targets::{self, Targets};
use crate::error::{ErrorType, QueryError};

/// What a list of actions comes to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AliasChanges {
    /// All aliases of each index that changes.
    pub aliases: BTreeMap<IndexUuid, BTreeMap<IndexName, Alias>>,
    /// Indices to delete.
    pub removed: BTreeSet<IndexUuid>,
}

/// Works out what `actions` change, in order; nothing changes on an error.
///
/// # Errors
/// `index_not_found_exception`, `aliases_not_found_exception`, `invalid_alias_name_exception` for
/// an alias with an index's name, `illegal_argument_exception` for indices of data streams, for what aliases of data
/// streams do not have, and for more than a request may name or add.
pub fn apply_alias_actions(
    actions: &[AliasAction],
    state: &ClusterState,
) -> Result<AliasChanges, QueryError> {
    check_actions(actions)?;
    let mut room = Room::default();
    let mut changes = AliasChanges::default();
    // Indices go first, so that an alias may take the name of one deleted in the same request.
    for action in actions {
        if let AliasAction::RemoveIndex {
            indices,
            must_exist,
        } = action
        {
            let found = targets::indices(indices, state, *must_exist)?;
            changes.removed.extend(found);
        }
    }
    // Removing what is not there is an error only where nothing else is done.
    let mut is_any_done = false;
    let mut missing = Vec::new();
    for action in actions {
        match action {
            AliasAction::Add {
                indices,
                aliases,
                alias,
            } => {
                let targets = Targets::named(indices, state)?;
                targets.check_addition(alias, indices)?;
                let num_bearers = targets.bearers().count();
                room.take(alias, num_bearers.saturating_mul(aliases.len()))?;
                add(&mut changes, state, &targets, aliases, alias)?;
                is_any_done = true;
            }
            AliasAction::Remove {
                indices,
                aliases,
                must_exist,
            } => {
                let unborne = remove(&mut changes, state, indices, aliases)?;
                if *must_exist == Some(true) && !unborne.is_empty() {
                    return Err(aliases_missing(&unborne));
                }
                is_any_done |= *must_exist == Some(false) || unborne.len() < aliases.len();
                missing.extend(unborne);
            }
            AliasAction::RemoveIndex { .. } => is_any_done = true,
        }
    }
    if !is_any_done && !missing.is_empty() {
        return Err(aliases_missing(&missing));
    }
    Ok(changes)
}

fn aliases_missing(names: &[&str]) -> QueryError {
    let reason = format!("aliases [{}] missing", names.join(", "));
    QueryError::new(ErrorType::AliasesNotFound, reason)
}

/// Refuses an alias of an index that is to be made when it has its name, or that of another index.
///
/// # Errors
/// `invalid_alias_name_exception`.
pub fn check_free(
    alias: &IndexName,
    index: &IndexName,
    state: &ClusterState,
) -> Result<(), QueryError> {
    match alias == index || state.index_named(alias.as_str()).is_some() {
        true => Err(taken(alias)),
        false => Ok(()),
    }
}

fn taken(name: &IndexName) -> QueryError {
    let reason = format!(
        "Invalid alias name [{name}]: an index or data stream exists with the same name as the alias"
    );
    QueryError::new(ErrorType::InvalidAliasName, reason)
}

fn add(
    changes: &mut AliasChanges,
    state: &ClusterState,
    targets: &Targets<'_>,
    names: &[IndexName],
    alias: &Alias,
) -> Result<(), QueryError> {
    for name in names {
        let same = state.index_named(name.as_str());
        if same.is_some_and(|index| !changes.removed.contains(&index.uuid)) {
            return Err(taken(name));
        }
    }
    for uuid in &targets.indices {
        if changes.removed.contains(uuid) {
            continue;
        }
        let aliases = entry(changes, state, *uuid);
        for name in names {
            aliases.insert(name.clone(), alias.clone());
        }
    }
    for stream in &targets.streams {
        for name in names {
            add_to_stream(changes, state, stream, name, alias);
        }
    }
    Ok(())
}

/// Gives an alias to all indices of a data stream. What `alias` does not say stays as it is; another data stream gives
/// up the writes that this one takes.
fn add_to_stream(
    changes: &mut AliasChanges,
    state: &ClusterState,
    stream: &DataStream,
    name: &IndexName,
    alias: &Alias,
) {
    let Some(newest) = stream.indices.last() else {
        return;
    };
    let before = entry(changes, state, *newest).get(name).cloned();
    let before = before.unwrap_or_default();
    let is_written = before.is_write_index == Some(true);
    let takes_writes = alias.is_write_index.unwrap_or(is_written);
    if takes_writes && !is_written {
        for (uuid, index) in &state.indices {
            let aliases = changes.aliases.get(uuid).unwrap_or(&index.aliases);
            let is_write_index =
                |alias: &Alias| index.stream_name().is_some() && alias.is_write_index == Some(true);
            if aliases.get(name).is_some_and(is_write_index)
                && let Some(alias) = entry(changes, state, *uuid).get_mut(name)
            {
                alias.is_write_index = Some(false);
            }
        }
    }
    let filter = alias.filter.clone().or(before.filter);
    for uuid in &stream.indices {
        let of_index = Alias {
            filter: filter.clone(),
            is_write_index: Some(takes_writes && uuid == newest),
            ..Alias::default()
        };
        entry(changes, state, *uuid).insert(name.clone(), of_index);
    }
}

/// Takes aliases from indices; returns the names and patterns that none of them bears.
fn remove<'a>(
    changes: &mut AliasChanges,
    state: &ClusterState,
    indices: &[String],
    patterns: &'a [String],
) -> Result<Vec<&'a str>, QueryError> {
    let targets = Targets::named(indices, state)?;
    let mut unborne = Vec::new();
    for pattern in patterns {
        let text = if pattern == "_all" { "*" } else { pattern };
        let mut is_found = false;
        for uuid in targets.bearers() {
            let aliases = entry(changes, state, *uuid);
            let before = aliases.len();
            // The name of a data stream is none of its aliases.
            if is_pattern(pattern) {
                aliases.retain(|name, alias| {
                    alias.is_data_stream || !matches_pattern(text, name.as_str())
                });
            } else if aliases
                .get(pattern.as_str())
                .is_some_and(|alias| !alias.is_data_stream)
            {
                aliases.remove(pattern.as_str());
            }
            is_found |= aliases.len() < before;
        }
        if !is_found {
            unborne.push(pattern.as_str());
        }
    }
    Ok(unborne)
}

/// Returns the aliases of an index as they are so far.
fn entry<'a>(
    changes: &'a mut AliasChanges,
    state: &ClusterState,
    uuid: IndexUuid,
) -> &'a mut BTreeMap<IndexName, Alias> {
    changes.aliases.entry(uuid).or_insert_with(|| {
        let index = state.indices.get(&uuid);
        index.map(|index| index.aliases.clone()).unwrap_or_default()
    })
}
