//! `copy_to`: where values may be copied.

use gleaner_model::{Field, FieldKind, FieldPath, Mapping};

use crate::error::QueryError;

/// Refuses to copy to an object, an alias or a multi-field, which take no values of their own, and into nested
/// objects from outside. Copies that `existing` has already stay as they are.
///
/// # Errors
/// `illegal_argument_exception` naming the field.
pub(super) fn check(mapping: &Mapping, existing: Option<&Mapping>) -> Result<(), QueryError> {
    let copies = mapping
        .fields
        .iter()
        .flat_map(|(path, field)| field.copy_to.iter().map(move |to| (path, to)));
    for (path, to) in copies {
        let is_kept = existing.is_some_and(|existing| {
            let field = existing.fields.get(path);
            existing.fields.contains_key(to)
                && field.is_some_and(|field| field.copy_to.contains(to))
        });
        let target = mapping.fields.get(to);
        if let Some(FieldKind::Alias { .. }) = target.map(|target| &target.kind) {
            let reason = format!("Cannot copy to a field alias [{to}]");
            return Err(QueryError::illegal(reason));
        }
        if is_kept {
            continue;
        }
        if let Some(target) = target {
            check_target(to, target)?;
        }
        check_scopes(mapping, path, to)?;
    }
    Ok(())
}

fn check_target(to: &FieldPath, target: &Field) -> Result<(), QueryError> {
    let refused = match target.kind {
        FieldKind::Object { .. } => {
            format!("Cannot copy to field [{to}] since it is mapped as an object")
        }
        _ if target.is_multi_field => {
            format!("[copy_to] may not be used to copy to a multi-field: [{to}]")
        }
        _ => return Ok(()),
    };
    Err(QueryError::illegal(refused))
}

/// Refuses copies into a nested object that the field itself does not lie in: of which of the objects there they
/// would be is not known.
fn check_scopes(mapping: &Mapping, from: &FieldPath, to: &FieldPath) -> Result<(), QueryError> {
    let Some(target) = mapping.nested_parent(to.as_str()) else {
        return Ok(());
    };
    let mut around = mapping.nested_around(from.as_str());
    if around.any(|(parent, _)| parent == target) {
        return Ok(());
    }
    let source = mapping.nested_parent(from.as_str());
    let source = source.map_or("null", |parent| parent.as_str());
    Err(QueryError::illegal(format!(
        "Illegal combination of [copy_to] and [nested] mappings: [copy_to] may only copy data to the current nested \
         document or any of its parents, however one [copy_to] directive is trying to copy data from nested object \
         [{source}] to [{target}]"
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::mapping::{MappingRules, parse_mapping};

    #[test]
    fn values_are_copied_out_of_nested_objects_and_not_into_them() {
        let copied = |from: &str, to: &str| {
            let inner = json!({"type": "nested", "properties": {"k": {"type": "keyword"}}});
            let mut mapping = json!({"properties": {
                "k": {"type": "keyword"},
                "a": {"type": "nested", "properties": {"k": {"type": "keyword"}, "b": inner}},
                "c": {"type": "nested", "properties": {"k": {"type": "keyword"}}},
            }});
            let pointer = format!("/properties/{}", from.replace('.', "/properties/"));
            let field = mapping.pointer_mut(&pointer).expect("it is declared");
            field["copy_to"] = json!(to);
            parse_mapping(&mapping, None, &MappingRules::default()).map_err(|error| error.reason)
        };
        for (from, to) in [
            ("a.k", "k"),
            ("a.b.k", "a.k"),
            ("a.b.k", "k"),
            ("a.b.k", "all"),
            ("a.k", "a.all"),
        ] {
            assert!(copied(from, to).is_ok(), "{from} to {to}");
        }
        for (from, to, scopes) in [
            ("k", "a.k", "[null] to [a]"),
            ("a.k", "a.b.k", "[a] to [a.b]"),
            ("a.k", "c.k", "[a] to [c]"),
            ("c.k", "a.b.new", "[c] to [a.b]"),
        ] {
            let reason = copied(from, to).expect_err("refused");
            assert!(reason.ends_with(scopes), "{from} to {to}: {reason}");
        }
    }
}
