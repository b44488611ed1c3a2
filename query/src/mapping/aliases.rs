//! Aliases of fields: what each stands for must be a field of its own.

use gleaner_model::{FieldKind, Mapping};

use crate::error::QueryError;

/// Refuses an alias of nothing, of an object, of another alias.
///
/// # Errors
/// `illegal_argument_exception` naming alias and path.
pub(super) fn check(mapping: &Mapping) -> Result<(), QueryError> {
    for (name, field) in &mapping.fields {
        let FieldKind::Alias { path } = &field.kind else {
            continue;
        };
        let reason = match mapping.fields.get(path).map(|field| &field.kind) {
            _ if name == path => "an alias cannot refer to itself.",
            Some(FieldKind::Alias { .. }) => "an alias cannot refer to another alias.",
            None | Some(FieldKind::Object { .. }) => {
                "an alias must refer to an existing field in the mappings."
            }
            Some(_) => continue,
        };
        return Err(QueryError::illegal(format!(
            "Invalid [path] value [{path}] for field alias [{name}]: {reason}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::mapping::{MappingRules, parse_mapping};

    #[test]
    fn an_alias_stands_for_a_field_of_its_own() {
        let parsed = |path: &str| {
            let mapping = json!({"properties": {
                "a": {"type": "alias", "path": path},
                "b": {"type": "alias", "path": "o.k"},
                "o": {"properties": {"k": {"type": "keyword"}}},
                "t": {"type": "text", "copy_to": "c"},
            }});
            parse_mapping(&mapping, None, &MappingRules::default()).map_err(|error| error.reason)
        };
        let mapping = parsed("o.k").expect("a good alias");
        assert_eq!(
            mapping.field("a").map(|field| field.kind.type_name()),
            Some("keyword")
        );
        assert_eq!(
            mapping.resolved("b").map(|(path, _)| path.as_str()),
            Some("o.k")
        );
        for (path, reason) in [
            ("a", "an alias cannot refer to itself."),
            ("b", "an alias cannot refer to another alias."),
            ("o", "an alias must refer to an existing field"),
            ("x", "an alias must refer to an existing field"),
        ] {
            let refused = parsed(path).expect_err("refused");
            assert!(refused.contains(reason), "{path}: {refused}");
        }
    }

    #[test]
    fn new_types_are_read_with_their_parameters() {
        let parsed = |field: serde_json::Value| {
            let mapping = json!({"properties": {"f": field}});
            let parsed = parse_mapping(&mapping, None, &MappingRules::default());
            parsed.map(|mapping| mapping.fields["f"].kind.type_name())
        };
        for (field, name) in [
            (json!({"type": "wildcard", "ignore_above": 9}), "wildcard"),
            (
                json!({"type": "constant_keyword", "value": "x"}),
                "constant_keyword",
            ),
            (
                json!({"type": "token_count", "analyzer": "standard"}),
                "token_count",
            ),
        ] {
            assert_eq!(parsed(field), Ok(name));
        }
        for field in [
            json!({"type": "wildcard", "doc_values": false}),
            json!({"type": "constant_keyword"}),
            json!({"type": "token_count"}),
            json!({"type": "alias"}),
            json!({"type": "keyword", "fields": {"g": {"type": "alias", "path": "f"}}}),
        ] {
            assert!(parsed(field.clone()).is_err(), "{field}");
        }
    }
}
