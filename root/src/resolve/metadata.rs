//! Queries on metadata, and `exists`, which is asked of fields and of metadata alike.

use gleaner_model::{Field, FieldKind, FieldPath};
use gleaner_query::QueryError;
use gleaner_query::error::ErrorType;
use gleaner_query::mapping::{ignored_path, is_metadata, may_ignore};
use gleaner_query::resolved::{Clause, Scalar};

use super::{Resolver, ids, keyed, values};

impl Resolver<'_> {
    /// Answers terms on `_id`, `_index`, `_routing` and `_ignored`; `None` for ordinary fields.
    pub(crate) fn system_term(&self, field: &str, wanted: &[serde_json::Value]) -> Option<Clause> {
        let texts: Vec<String> = wanted.iter().map(values::text_of).collect();
        match field {
            "_id" => Some(ids(&texts)),
            "_index" => {
                let name = self.index.name.as_str();
                let aliases = &self.index.aliases;
                let matches = texts.iter().any(|text| {
                    gleaner_model::mapping::matches_pattern(text, name)
                        || aliases.contains_key(text.as_str())
                });
                Some(if matches {
                    Clause::MatchAll
                } else {
                    Clause::MatchNone
                })
            }
            "_routing" => {
                let mut values: Vec<Scalar> = texts.into_iter().map(Scalar::Text).collect();
                values.sort_unstable();
                values.dedup();
                Some(match values.is_empty() {
                    true => Clause::MatchNone,
                    false => Clause::AnyOf {
                        field: FieldPath::new("_routing"),
                        values,
                    },
                })
            }
            "_ignored" => Some(self.ignoring(|path| texts.iter().any(|text| text == path))),
            _ => None,
        }
    }

    /// Returns the documents that have a value which one of the `wanted` fields has ignored.
    fn ignoring(&self, wanted: impl Fn(&str) -> bool) -> Clause {
        let fields = self.mapping().fields.iter();
        let fields =
            fields.filter(|(path, field)| may_ignore(&field.kind) && wanted(path.as_str()));
        let fields: Vec<_> = fields.map(|(path, _)| ignored_path(path)).collect();
        match fields.is_empty() {
            true => Clause::MatchNone,
            false => Clause::Exists { fields },
        }
    }

    /// Returns the documents with a value that can be seen to be there: what is neither indexed nor in
    /// doc values is not, as in Elasticsearch, unless it were stored.
    pub(super) fn exists(&self, field: &str) -> Clause {
        if is_everywhere(field) {
            return Clause::MatchAll;
        }
        if field == "_ignored" {
            return self.ignoring(|_| true);
        }
        if field == "_routing" {
            return Clause::Exists {
                fields: vec![FieldPath::new(field)],
            };
        }
        if let Some((root, key)) = self.mapping().flattened(field) {
            return keyed::exists(root.0, key);
        }
        let resolved = self.mapping().resolved(field);
        let field = resolved.map_or(field, |(own, _)| own.as_str());
        let prefix = format!("{field}.");
        let fields: Vec<FieldPath> = self
            .mapping()
            .fields
            .iter()
            .filter(|(path, found)| {
                let path = path.as_str();
                is_kept(found)
                    && (path == field
                        || gleaner_model::mapping::matches_pattern(field, path)
                        || (path.starts_with(&prefix) && !found.is_multi_field))
            })
            .map(|(path, _)| path.clone())
            .collect();
        match fields.is_empty() {
            true => Clause::MatchNone,
            false => Clause::Exists { fields },
        }
    }
}

/// Returns whether every document has this metadata.
fn is_everywhere(field: &str) -> bool {
    matches!(field, "_id" | "_index" | "_seq_no" | "_version")
}

/// Returns whether an index of Elasticsearch would keep anything of the field's values.
fn is_kept(field: &Field) -> bool {
    let is_stored = |stored: &serde_json::Value| {
        stored.as_bool() == Some(true) || stored.as_str() == Some("true")
    };
    let kind = &field.kind;
    let is_object = matches!(kind, FieldKind::Object { .. });
    let is_searched = kind.is_indexed()
        || kind.has_doc_values()
        || matches!(
            kind,
            FieldKind::Completion | FieldKind::Binary { doc_values: true }
        );
    !is_object && (is_searched || field.declared.get("store").is_some_and(is_stored))
}

pub(super) fn unsearchable(path: &str) -> QueryError {
    let reason = format!(
        "failed to create query: queries of this kind on the metadata field [{path}] are not \
         supported; whole values of [_id], [_index], [_routing] and [_ignored] are found by [term], \
         [terms] and [match], [_index] by [prefix] and [wildcard] too, [_routing] and [_ignored] by \
         [exists]"
    );
    QueryError::new(ErrorType::QueryShard, reason)
}

/// Returns whether `exists` can be asked of a field, which may be metadata.
pub(super) fn can_exist(field: &str) -> bool {
    !is_metadata(field) || is_everywhere(field) || matches!(field, "_ignored" | "_routing")
}
