//! The flat table → the dialect's tree of `properties` and `fields`, as declared.

use gleaner_model::{Field, FieldKind, Mapping};
use serde_json::{Map, Value};

/// Builds the tree of a mapping as the user declared it: root keys, then `properties` by name.
pub fn mapping_tree(mapping: &Mapping) -> Value {
    let mut root = mapping.declared.clone();
    // A parent's path sorts before its children's: its slot exists when they come.
    // What a type brings with it was not declared.
    let is_declared = |field: &Field| !(field.is_multi_field && field.declared.is_empty());
    let fields = mapping.fields.iter();
    for (path, field) in fields.filter(|(_, field)| is_declared(field)) {
        insert(&mut root, mapping, path.as_str(), field);
    }
    Value::Object(root)
}

fn insert(root: &mut Map<String, Value>, mapping: &Mapping, path: &str, field: &Field) {
    let mut at = root;
    let mut end = 0;
    for part in path.split('.') {
        end += part.len();
        let prefix = &path[..end];
        end += 1;
        let is_multi_field = mapping.fields.get(prefix).is_some_and(|f| f.is_multi_field);
        let container = if is_multi_field {
            "fields"
        } else {
            // An object shows its type only while it has no properties.
            if at.get("type").is_some_and(|name| name == "object") {
                at.shift_remove("type");
            }
            "properties"
        };
        let Some(inner) = child(at, container).and_then(|inner| child(inner, part)) else {
            return;
        };
        at = inner;
    }
    at.extend(shown(field));
}

fn child<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    map.entry(key)
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()
}

fn shown(field: &Field) -> Map<String, Value> {
    let mut declared = field.declared.clone();
    if matches!(field.kind, FieldKind::Object { .. }) {
        declared.insert("type".to_owned(), Value::from(field.kind.type_name()));
    }
    declared
}
