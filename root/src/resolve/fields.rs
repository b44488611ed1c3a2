//! Field names and patterns → fields of the mapping.

use gleaner_model::{Field, FieldKind, FieldPath, IndexMeta};
use gleaner_query::dsl::parse_field_factor;

/// A field to search with its factor; `from_pattern` says that the client did not name it.
#[derive(Debug, Clone)]
pub(crate) struct SearchField {
    pub(crate) path: FieldPath,
    pub(crate) boost: f32,
    pub(crate) from_pattern: bool,
}

/// Returns the fields that `wanted` names, in order, each once with the product of its factors.
///
/// Empty `wanted` stands for the index's default fields. Patterns leave out objects and fields that
/// cannot be searched; names that the mapping does not know are kept (they match nothing).
pub(crate) fn search_fields(index: &IndexMeta, wanted: &[(String, f32)]) -> Vec<SearchField> {
    let defaults: Vec<(String, f32)>;
    let wanted = if wanted.is_empty() {
        defaults = index
            .settings
            .default_fields
            .iter()
            .map(|field| {
                let read = parse_field_factor(field, "index.query.default_field");
                // What is no factor belongs to the name, which then stands for no field.
                read.unwrap_or_else(|_| (field.clone(), 1.0))
            })
            .collect();
        &defaults
    } else {
        wanted
    };
    // Beside all fields none is named: some of them cannot hold the text.
    let is_open = wanted.iter().any(|(pattern, _)| pattern == "*");
    let mut fields: Vec<SearchField> = Vec::new();
    for (pattern, boost) in wanted {
        if !pattern.contains('*') {
            let path = FieldPath::new(pattern.as_str());
            push(
                &mut fields,
                SearchField {
                    path,
                    boost: *boost,
                    from_pattern: is_open,
                },
            );
            continue;
        }
        for (path, _) in index.mapping.matching(pattern) {
            // An alias beside its field is no second one.
            let Some((path, field)) = index.mapping.resolved(path.as_str()) else {
                continue;
            };
            let is_known = fields
                .iter()
                .any(|known| known.path == *path && known.from_pattern);
            if is_searchable(field) && !(is_known && *boost == 1.0) {
                let path = path.clone();
                push(
                    &mut fields,
                    SearchField {
                        path,
                        boost: *boost,
                        from_pattern: true,
                    },
                );
            }
        }
    }
    fields
}

fn push(fields: &mut Vec<SearchField>, field: SearchField) {
    match fields.iter_mut().find(|known| known.path == field.path) {
        Some(known) => known.boost *= field.boost,
        None => fields.push(field),
    }
}

fn is_searchable(field: &Field) -> bool {
    field.kind.is_indexed() && !matches!(field.kind, FieldKind::Object { .. })
}

/// Returns the paths that `pattern` matches in the mapping, objects left out.
pub fn expand_fields(index: &IndexMeta, pattern: &str) -> Vec<FieldPath> {
    index
        .mapping
        .matching(pattern)
        .filter(|(_, field)| !matches!(field.kind, FieldKind::Object { .. }))
        .map(|(path, _)| path.clone())
        .collect()
}
