//! How many aliases there may be, and how much of one request: all nodes hold all of them.
//!
//! Does: count, before anything is copied. Does not: know of the other parts of an index's metadata, whose
//! bytes are bounded where the cluster state is kept.

use gleaner_model::{Alias, ClusterState};

use super::AliasAction;
use crate::error::QueryError;

/// Names and patterns in the actions of one request.
const MAX_NAMES: usize = 10_000;
/// Actions of one request: each looks its indices up.
const MAX_ACTIONS: usize = 10_000;
/// Patterns among those that are taken away, and among those of indices: each is held against all aliases.
const MAX_PATTERNS: usize = 1_000;
/// Aliases of one index.
const MAX_OF_INDEX: usize = 10_000;
/// Aliases of all indices together; one that five indices bear counts five times.
const MAX_OF_CLUSTER: usize = 50_000;
/// Bytes of conditions that one request may add: of an alias for each index that gets it.
const MAX_ADDED_BYTES: usize = 16 << 20;

/// Refuses a request of too many actions, before any is read.
///
/// # Errors
/// `illegal_argument_exception` with the number and the limit.
pub(super) fn check_number_of_actions(num_actions: usize) -> Result<(), QueryError> {
    match num_actions <= MAX_ACTIONS {
        true => Ok(()),
        false => Err(QueryError::illegal(format!(
            "there are [{num_actions}] actions, more than [{MAX_ACTIONS}] in a request"
        ))),
    }
}

/// Refuses requests of too many names.
///
/// # Errors
/// `illegal_argument_exception` with the number and the limit.
pub(super) fn check_actions(actions: &[AliasAction]) -> Result<(), QueryError> {
    let (mut num_names, mut num_patterns) = (0, 0);
    let mut num_index_patterns = 0;
    for action in actions {
        let (AliasAction::Add { indices, .. }
        | AliasAction::Remove { indices, .. }
        | AliasAction::RemoveIndex { indices, .. }) = action;
        num_index_patterns += indices.iter().filter(|name| is_pattern(name)).count();
        match action {
            AliasAction::Add { aliases, .. } => num_names += aliases.len(),
            AliasAction::Remove { aliases, .. } => {
                num_names += aliases.len();
                num_patterns += aliases.iter().filter(|name| is_pattern(name)).count();
            }
            AliasAction::RemoveIndex { .. } => {}
        }
    }
    if num_index_patterns > MAX_PATTERNS {
        return Err(QueryError::illegal(format!(
            "the actions name indices by [{num_index_patterns}] patterns, more than [{MAX_PATTERNS}] in a \
             request"
        )));
    }
    if num_patterns > MAX_PATTERNS {
        return Err(QueryError::illegal(format!(
            "the actions take away [{num_patterns}] patterns of aliases, more than [{MAX_PATTERNS}] in a \
             request"
        )));
    }
    if num_names > MAX_NAMES {
        return Err(QueryError::illegal(format!(
            "the actions name [{num_names}] aliases, more than [{MAX_NAMES}] in a request"
        )));
    }
    Ok(())
}

pub(super) fn is_pattern(name: &str) -> bool {
    name.contains('*') || name == "_all"
}

/// What a request may still add.
pub(super) struct Room {
    entries: usize,
    bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            entries: MAX_OF_CLUSTER,
            bytes: MAX_ADDED_BYTES,
        }
    }
}

impl Room {
    /// Takes room for `alias`, given `num_times`.
    ///
    /// # Errors
    /// `illegal_argument_exception` when there is none.
    pub(super) fn take(&mut self, alias: &Alias, num_times: usize) -> Result<(), QueryError> {
        let bytes = size_of(alias).saturating_mul(num_times);
        if num_times > self.entries {
            return Err(QueryError::illegal(format!(
                "the actions give more than [{MAX_OF_CLUSTER}] aliases to indices"
            )));
        }
        if bytes > self.bytes {
            return Err(QueryError::illegal(format!(
                "the filters and routings of the aliases have more than [{MAX_ADDED_BYTES}] bytes, \
                 counted for each index"
            )));
        }
        self.entries -= num_times;
        self.bytes -= bytes;
        Ok(())
    }
}

fn size_of(alias: &Alias) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let filter = alias.filter.as_ref();
    filter.map_or(0, |filter| filter.to_string().len())
        + text(&alias.index_routing)
        + text(&alias.search_routing)
}

/// Refuses more aliases than an index, or the cluster, may have. Where there are too many already, fewer
/// are taken.
///
/// # Errors
/// `illegal_argument_exception` with the number and the limit.
pub(super) fn check_numbers(before: &ClusterState, next: &ClusterState) -> Result<(), QueryError> {
    let total = |state: &ClusterState| -> usize {
        let indices = state.indices.values();
        indices.map(|index| index.aliases.len()).sum()
    };
    let (num_before, num_next) = (total(before), total(next));
    if num_next <= num_before {
        return Ok(());
    }
    if num_next > MAX_OF_CLUSTER {
        return Err(QueryError::illegal(format!(
            "the cluster would have [{num_next}] aliases, counted for each index, more than \
             [{MAX_OF_CLUSTER}]: delete some that are not needed"
        )));
    }
    let mut indices = next.indices.values();
    let Some(index) = indices.find(|index| index.aliases.len() > MAX_OF_INDEX) else {
        return Ok(());
    };
    Err(QueryError::illegal(format!(
        "index [{}] would have [{}] aliases, more than [{MAX_OF_INDEX}]: delete some that are not needed",
        index.name,
        index.aliases.len()
    )))
}
