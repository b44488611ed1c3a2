//! What an action on aliases names: ordinary indices, and data streams.
//!
//! An alias of a data stream is borne by each of its indices, and by none of them alone.
//! Source: Elasticsearch, `TransportIndicesAliasesAction`.

use gleaner_model::{Alias, ClusterState, DataStream, IndexName, IndexUuid};

use crate::error::QueryError;
use crate::names::{self, ExpandWildcards, ResolveOptions};

/// The indices and data streams that an action names.
#[derive(Debug)]
pub(super) struct Targets<'a> {
    /// Indices that are of no data stream.
    pub(super) indices: Vec<IndexUuid>,
    /// Data streams.
    pub(super) streams: Vec<&'a DataStream>,
}

impl<'a> Targets<'a> {
    /// Returns what `expressions` name; aliases do not count.
    ///
    /// # Errors
    /// `index_not_found_exception`; `illegal_argument_exception` for aliases, and for an index of a data stream where no
    /// data stream is named.
    pub(super) fn named(
        expressions: &[String],
        state: &'a ClusterState,
    ) -> Result<Self, QueryError> {
        let mut targets = Self {
            indices: Vec::new(),
            streams: Vec::new(),
        };
        let mut names: Vec<IndexName> = Vec::new();
        let mut owner = None;
        let options = ResolveOptions {
            includes_streams: true,
            ..indices_alone(true)
        };
        for found in resolve(expressions, state, &options)? {
            let Some(stream) = found.meta.stream_name() else {
                targets.indices.push(found.meta.uuid);
                continue;
            };
            if found.aliases.contains(stream) && !names.contains(stream) {
                names.push(stream.clone());
            }
            owner.get_or_insert_with(|| stream.clone());
        }
        if let Some(owner) = owner.filter(|_| names.is_empty()) {
            return Err(QueryError::illegal(format!(
                "The provided expressions [{}] match a backing index belonging to data stream [{owner}]. Data stream \
                 backing indices don't support aliases.",
                expressions.join(",")
            )));
        }
        let streams = names.iter().filter_map(|name| state.data_streams.get(name));
        targets.streams.extend(streams);
        Ok(targets)
    }

    /// Refuses to give data streams an alias that they cannot have, or the same as ordinary indices.
    ///
    /// # Errors
    /// `illegal_argument_exception`.
    pub(super) fn check_addition(
        &self,
        alias: &Alias,
        expressions: &[String],
    ) -> Result<(), QueryError> {
        if self.streams.is_empty() {
            return Ok(());
        }
        check_of_stream(alias)?;
        if self.indices.is_empty() {
            return Ok(());
        }
        Err(QueryError::illegal(format!(
            "expressions [{}] that match with both data streams and regular indices are disallowed",
            expressions.join(", ")
        )))
    }

    /// Returns the indices that bear what the action gives.
    pub(super) fn bearers(&self) -> impl Iterator<Item = &IndexUuid> {
        let of_streams = self.streams.iter().flat_map(|stream| &stream.indices);
        self.indices.iter().chain(of_streams)
    }
}

/// Refuses what aliases of data streams do not have.
///
/// # Errors
/// `illegal_argument_exception` naming the key.
pub fn check_of_stream(alias: &Alias) -> Result<(), QueryError> {
    let given = [
        ("index_routing", alias.index_routing.is_some()),
        ("search_routing", alias.search_routing.is_some()),
        ("is_hidden", alias.is_hidden.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((key, _)) => Err(QueryError::illegal(format!(
            "aliases that point to data streams don't support {key}"
        ))),
    }
}

/// Returns the indices named; aliases and data streams do not count.
pub(super) fn indices(
    expressions: &[String],
    state: &ClusterState,
    must_exist: bool,
) -> Result<Vec<IndexUuid>, QueryError> {
    let found = resolve(expressions, state, &indices_alone(must_exist))?;
    Ok(found.into_iter().map(|index| index.meta.uuid).collect())
}

fn indices_alone(must_exist: bool) -> ResolveOptions {
    ResolveOptions {
        ignore_unavailable: !must_exist,
        allow_no_indices: !must_exist,
        expand_wildcards: ExpandWildcards::ALL,
        allow_closed: true,
        ignore_aliases: true,
        includes_streams: false,
    }
}

fn resolve(
    expressions: &[String],
    state: &ClusterState,
    options: &ResolveOptions,
) -> Result<Vec<names::ResolvedIndex>, QueryError> {
    let expression = expressions.join(",");
    if expression.is_empty() {
        return Err(QueryError::illegal("[index] can't be empty string"));
    }
    names::resolve(&expression, state, options)
}
