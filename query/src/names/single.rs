//! Names that must mean one index: where a write goes, where a document is read.

use std::sync::Arc;

use gleaner_model::{ClusterState, IndexMeta};

use crate::error::QueryError;

/// The index of a single document.
#[derive(Debug, Clone, PartialEq)]
pub struct SingleIndex {
    /// The index.
    pub meta: Arc<IndexMeta>,
    /// Routing that the alias gives to documents named by it.
    pub index_routing: Option<String>,
}

/// Returns the index that a write through `name` goes to; `None` where nothing bears the name.
///
/// # Errors
/// `illegal_argument_exception` for an alias without a write index, or with several.
pub fn resolve_write(name: &str, state: &ClusterState) -> Result<Option<SingleIndex>, QueryError> {
    if let Some(meta) = state.index_named(name) {
        return Ok(Some(SingleIndex {
            meta: Arc::clone(meta),
            index_routing: None,
        }));
    }
    let aliased: Vec<_> = state.aliased(name).collect();
    let chosen = match aliased.as_slice() {
        [] => return Ok(None),
        [only] if only.1.is_write_index != Some(false) => Some(only),
        several => {
            let mut writers = several
                .iter()
                .filter(|(_, alias)| alias.is_write_index == Some(true));
            // Of two, from an earlier version, neither is meant.
            writers.next().filter(|_| writers.next().is_none())
        }
    };
    let Some((meta, alias)) = chosen else {
        return Err(QueryError::illegal(format!(
            "no write index is defined for alias [{name}]. The write index may be explicitly \
             disabled using is_write_index=false or the alias points to multiple indices without \
             one being designated as a write index"
        )));
    };
    Ok(Some(SingleIndex {
        meta: Arc::clone(meta),
        index_routing: alias.index_routing.clone(),
    }))
}

/// Returns the one index that `name` means to an operation on a document; `None` where nothing
/// bears the name. The alias's filter is not part of it: single documents are not filtered.
///
/// # Errors
/// `illegal_argument_exception` for an alias of several indices, `invalid_index_name_exception` for a
/// name that begins with `_`.
pub fn resolve_single(name: &str, state: &ClusterState) -> Result<Option<SingleIndex>, QueryError> {
    super::check_start(name)?;
    let found = |meta: &Arc<IndexMeta>, index_routing| SingleIndex {
        meta: Arc::clone(meta),
        index_routing,
    };
    if let Some(meta) = state.index_named(name) {
        return Ok(Some(found(meta, None)));
    }
    let aliased: Vec<_> = state.aliased(name).collect();
    match aliased.as_slice() {
        [] => Ok(None),
        [(meta, alias)] => Ok(Some(found(meta, alias.index_routing.clone()))),
        several => {
            let mut names: Vec<&str> = several.iter().map(|(meta, _)| meta.name.as_str()).collect();
            names.sort_unstable();
            Err(QueryError::illegal(format!(
                "alias [{name}] has more than one index associated with it [{}], can't execute a \
                 single index op",
                names.join(", ")
            )))
        }
    }
}
