//! Field names and patterns → fields of the mapping.

use std::collections::{BTreeSet, HashMap};

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
    let mut places = HashMap::new();
    for (pattern, boost) in wanted {
        let from_pattern = pattern.contains('*');
        let paths = match from_pattern {
            true => searchable(index, pattern),
            false => BTreeSet::from([FieldPath::new(pattern.as_str())]),
        };
        for path in paths {
            let field = SearchField {
                path,
                boost: *boost,
                from_pattern: from_pattern || is_open,
            };
            let place = *places.entry(field.path.clone()).or_insert(fields.len());
            match fields.get_mut(place) {
                Some(known) => known.boost *= field.boost,
                None => fields.push(field),
            }
        }
    }
    fields
}

/// Returns the fields that a pattern matches and that can be searched, each once: an alias stands for its field.
fn searchable(index: &IndexMeta, pattern: &str) -> BTreeSet<FieldPath> {
    let matching = index.mapping.matching(pattern);
    let fields = matching.filter_map(|(path, _)| index.mapping.resolved(path.as_str()));
    let fields = fields.filter(|(_, field)| is_searchable(field));
    fields.map(|(path, _)| path.clone()).collect()
}

fn is_searchable(field: &Field) -> bool {
    let is_hidden = matches!(field.kind, FieldKind::Object { .. }) || field.kind.is_keyed();
    field.kind.is_indexed() && !is_hidden
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::index;

    #[test]
    fn a_factor_applies_once_to_each_field_that_a_pattern_matches() {
        let mapping = json!({"properties": {
            "text": {"type": "text"},
            "tale": {"type": "alias", "path": "text"},
            "title": {"type": "text"},
            "other": {"type": "text"},
            "theme": {"type": "alias", "path": "other"},
        }});
        let index = index(1, &mapping);
        let found = |wanted: &[(&str, f32)]| {
            let wanted: Vec<(String, f32)> = wanted
                .iter()
                .map(|(name, factor)| ((*name).to_owned(), *factor))
                .collect();
            let fields = search_fields(&index, &wanted);
            let shown = fields.iter().map(|f| format!("{}^{}", f.path, f.boost));
            shown.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found(&[("t*", 3.0)]), "other^3 text^3 title^3");
        assert_eq!(found(&[("text", 2.0), ("te*", 3.0)]), "text^6");
        assert_eq!(
            found(&[("tale", 2.0), ("unknown", 1.0)]),
            "tale^2 unknown^1"
        );
    }
}
