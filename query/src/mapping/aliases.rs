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
        let invalid = |reason: &str| {
            QueryError::illegal(format!(
                "Invalid [path] value [{path}] for field alias [{name}]: {reason}"
            ))
        };
        let reason = match mapping.fields.get(path).map(|field| &field.kind) {
            _ if name == path => "an alias cannot refer to itself.",
            Some(FieldKind::Alias { .. }) => "an alias cannot refer to another alias.",
            None | Some(FieldKind::Object { .. }) => {
                "an alias must refer to an existing field in the mappings."
            }
            Some(_) => match other_scope(mapping, name.as_str(), path.as_str()) {
                Some(reason) => return Err(invalid(&reason)),
                None => continue,
            },
        };
        return Err(invalid(reason));
    }
    Ok(())
}

/// Returns why an alias cannot stand for a field that lies in other nested objects; `None` where it does not.
fn other_scope(mapping: &Mapping, alias: &str, path: &str) -> Option<String> {
    let (own, target) = (mapping.nested_parent(alias), mapping.nested_parent(path));
    let own_scope = match own {
        _ if own == target => return None,
        Some(scope) => format!("The alias's nested scope is [{scope}]"),
        None => "The alias is not nested".to_owned(),
    };
    let target_scope = match target {
        Some(scope) => format!("the target's nested scope is [{scope}]."),
        None => "the target is not nested.".to_owned(),
    };
    Some(format!(
        "an alias must have the same nested scope as its target. {own_scope}, but {target_scope}"
    ))
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
                "n": {"type": "nested", "properties": {"k": {"type": "keyword"}}},
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
            (
                "n.k",
                "The alias is not nested, but the target's nested scope is [n].",
            ),
        ] {
            let refused = parsed(path).expect_err("refused");
            assert!(refused.contains(reason), "{path}: {refused}");
        }
    }

    #[test]
    fn an_alias_stands_for_a_field_with_its_keys() {
        let mapping = json!({"properties": {
            "o": {"properties": {"labels": {"type": "flattened"}}},
            "tags": {"type": "alias", "path": "o.labels"},
            "ranks": {"type": "rank_features"},
            "topics": {"type": "alias", "path": "ranks"},
            "word": {"type": "keyword"},
            "w": {"type": "alias", "path": "word"},
        }});
        let mapping = parse_mapping(&mapping, None, &MappingRules::default());
        let mapping = mapping.expect("a good mapping");
        for (path, own) in [
            ("tags.env.x", "o.labels.env.x"),
            ("o.labels.env", "o.labels.env"),
            ("topics.ski", "ranks.ski"),
            ("tags", "o.labels"),
            ("w", "word"),
            ("w.env", "w.env"),
            ("unknown", "unknown"),
        ] {
            assert_eq!(mapping.own_path(path).as_str(), own, "{path}");
        }
        let root_and_key = |path| {
            mapping
                .flattened(path)
                .map(|((root, _), key)| (root.as_str(), key))
        };
        assert_eq!(root_and_key("tags.env.x"), Some(("o.labels", "env.x")));
        assert_eq!(root_and_key("topics.ski"), None);
        let feature = mapping.features("topics.ski");
        assert_eq!(
            feature.map(|((root, _), key)| (root.as_str(), key)),
            Some(("ranks", "ski"))
        );
        let field = mapping
            .field("tags.env")
            .map(|field| field.kind.type_name());
        assert_eq!(field, Some("flattened"));
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
            (json!({"type": "constant_keyword"}), "constant_keyword"),
            (
                json!({"type": "token_count", "analyzer": "standard"}),
                "token_count",
            ),
        ] {
            assert_eq!(parsed(field), Ok(name));
        }
        for field in [
            json!({"type": "wildcard", "doc_values": false}),
            json!({"type": "token_count"}),
            json!({"type": "alias"}),
            json!({"type": "keyword", "fields": {"g": {"type": "alias", "path": "f"}}}),
        ] {
            assert!(parsed(field.clone()).is_err(), "{field}");
        }
    }
}
