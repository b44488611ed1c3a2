//! Mappings put over each other, as JSON: a field of a later one replaces that of an earlier one whole.

use serde_json::{Map, Value};

/// Puts the mapping `added` over `base`, both in the dialect's JSON.
pub(super) fn put_over(base: &mut Map<String, Value>, added: &Map<String, Value>) {
    for (key, value) in added {
        match (key.as_str(), value) {
            ("properties", Value::Object(added)) => {
                let fields = base.entry(key).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(fields) = fields {
                    put_fields(fields, added);
                }
            }
            ("dynamic_templates", Value::Array(added)) => {
                let templates = base.entry(key).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(templates) = templates {
                    put_dynamic_templates(templates, added);
                }
            }
            ("_meta", added) => deep(base.entry(key).or_insert(Value::Null), added),
            (_, value) => drop(base.insert(key.clone(), value.clone())),
        }
    }
}

/// Puts the objects of `added` over those of `base`, at any depth; anything else replaces.
pub(super) fn deep(base: &mut Value, added: &Value) {
    match (base, added) {
        (Value::Object(base), Value::Object(added)) => {
            for (key, value) in added {
                deep(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, added) => *base = added.clone(),
    }
}

/// A later template of a name takes the place of an earlier one.
fn put_dynamic_templates(base: &mut Vec<Value>, added: &[Value]) {
    let name = |template: &Value| {
        let named = template.as_object()?;
        named.keys().next().cloned()
    };
    for template in added {
        match base.iter_mut().find(|known| name(known) == name(template)) {
            Some(known) => *known = template.clone(),
            None => base.push(template.clone()),
        }
    }
}

fn put_fields(base: &mut Map<String, Value>, added: &Map<String, Value>) {
    for (path, field) in added {
        // A dot in a name stands for an object.
        match path.split_once('.') {
            Some((first, rest)) if !first.is_empty() && !rest.is_empty() => {
                let mut inner = Map::new();
                inner.insert(rest.to_owned(), field.clone());
                put_object(base, first, &inner);
            }
            _ => put_field(base, path, field),
        }
    }
}

/// Puts fields into the object called `name`, which replaces what is no object.
fn put_object(base: &mut Map<String, Value>, name: &str, fields: &Map<String, Value>) {
    let mut object = Map::new();
    object.insert("properties".to_owned(), Value::Object(fields.clone()));
    put_field(base, name, &Value::Object(object));
}

fn put_field(base: &mut Map<String, Value>, name: &str, field: &Value) {
    let known = base.get_mut(name).and_then(Value::as_object_mut);
    match (known, field) {
        (Some(known), Value::Object(added)) if is_object(known) && is_object(added) => {
            put_over(known, added);
        }
        // Its own dots are put in order too.
        (_, Value::Object(added)) if is_object(added) => {
            let mut object = Map::new();
            put_over(&mut object, added);
            base.insert(name.to_owned(), Value::Object(object));
        }
        (_, field) => drop(base.insert(name.to_owned(), field.clone())),
    }
}

/// Returns whether a field is an object with fields of its own.
fn is_object(field: &Map<String, Value>) -> bool {
    match field.get("type").and_then(Value::as_str) {
        None | Some("object" | "nested") => true,
        Some(_) => false,
    }
}
