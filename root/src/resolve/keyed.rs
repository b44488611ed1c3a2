//! Queries on one key of a `flattened` field.
//!
//! The values of all keys are terms of one field below it, each behind its key, so a query on a key is one on terms
//! that begin with it.

use std::ops::Bound;

use gleaner_model::mapping::{KEY_END, KEYED, KeywordKind};
use gleaner_model::{Field, FieldKind, FieldPath};
use gleaner_query::QueryError;
use gleaner_query::resolved::{Clause, Pattern, Scalar};

use super::{Resolver, not_indexed};

/// Comes directly after [`KEY_END`] among characters.
const AFTER_KEY_END: char = '\u{1}';

/// Returns the key that a field of [`Resolver::key`] stands for.
pub(super) fn key_of(kind: &FieldKind) -> Option<&str> {
    match kind {
        FieldKind::Keyword {
            family: KeywordKind::Keyed { key, .. },
            ..
        } => Some(key),
        _ => None,
    }
}

/// Returns the term of a key's value.
pub(super) fn term(key: &str, value: &str) -> String {
    format!("{key}{KEY_END}{value}")
}

/// Closes the open ends of a range, so that it holds values of the key alone.
pub(super) fn within(
    key: &str,
    lower: Bound<Scalar>,
    upper: Bound<Scalar>,
) -> (Bound<Scalar>, Bound<Scalar>) {
    let lower = match lower {
        Bound::Unbounded => Bound::Included(Scalar::Text(term(key, ""))),
        given => given,
    };
    let upper = match upper {
        Bound::Unbounded => Bound::Excluded(Scalar::Text(format!("{key}{AFTER_KEY_END}"))),
        given => given,
    };
    (lower, upper)
}

/// Returns the documents with any value of the key.
pub(super) fn exists(root: &FieldPath, key: &str) -> Clause {
    Clause::Constant(Box::new(Clause::Pattern {
        field: keyed_path(root),
        pattern: Pattern::Prefix {
            prefix: term(key, ""),
            ignore_case: false,
        },
    }))
}

/// Refuses a query whose pattern would have to leave the key alone.
pub(super) fn not_asked_of_keys(query: &str) -> QueryError {
    QueryError::illegal(format!(
        "[{query}] queries are not currently supported on keyed [flattened] fields."
    ))
}

fn keyed_path(root: &FieldPath) -> FieldPath {
    FieldPath::new(format!("{root}.{KEYED}"))
}

impl Resolver<'_> {
    /// Returns the field to search for values of `key` below the `flattened` field at `root`.
    pub(super) fn key(
        &self,
        root: &FieldPath,
        key: &str,
    ) -> Result<Option<(FieldPath, Field)>, QueryError> {
        let path = keyed_path(root);
        let Some(field) = self.mapping().fields.get(&path) else {
            return Ok(None);
        };
        if !field.kind.is_searchable() {
            return Err(not_indexed(&format!("{root}.{key}")));
        }
        let mut field = field.clone();
        if let FieldKind::Keyword {
            family: KeywordKind::Keyed { key: asked, .. },
            ..
        } = &mut field.kind
        {
            key.clone_into(asked);
        }
        Ok(Some((path, field)))
    }
}
