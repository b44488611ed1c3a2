//! Mappings put over each other, as JSON: a field of a later one replaces that of an earlier one whole.

use std::collections::HashSet;

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

/// Templates of a later part take the place of those of their names in earlier parts. Two of one name in one part both
/// stay, as they do in a mapping without templates: the first that fits a field applies.
fn put_dynamic_templates(base: &mut Vec<Value>, added: &[Value]) {
    let replaced: HashSet<Option<String>> = added.iter().map(name).collect();
    let mut places: HashSet<Option<String>> = HashSet::new();
    base.retain(|known| !replaced.contains(&name(known)) || places.insert(name(known)));
    for template in added {
        // The place is taken once.
        let name_of_place = places.take(&name(template));
        let place = name_of_place.and_then(|of| base.iter_mut().find(|known| name(known) == of));
        match place {
            Some(known) => *known = template.clone(),
            None => base.push(template.clone()),
        }
    }
}

/// Puts the dynamic templates of a later legacy template before those of earlier ones; of equal names it says what the
/// earlier does not (Elasticsearch, `XContentHelper.mergeDefaults`).
pub(super) fn put_before(base: &mut Vec<Value>, added: &[Value]) {
    let mut all: Vec<Value> = Vec::with_capacity(base.len() + added.len());
    for template in added {
        let earlier = base.iter().find(|known| name(known) == name(template));
        let mut merged = earlier.cloned().unwrap_or(Value::Null);
        deep(&mut merged, template);
        all.push(merged);
    }
    let replaced: HashSet<Option<String>> = added.iter().map(name).collect();
    base.retain(|known| !replaced.contains(&name(known)));
    all.append(base);
    *base = all;
}

/// Returns the name of a dynamic template.
fn name(template: &Value) -> Option<String> {
    let named = template.as_object()?;
    named.keys().next().cloned()
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
