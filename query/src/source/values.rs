//! Values of `_source` by path: arrays are walked through, an object at the end is no value.

use serde_json::Value;

/// Returns the values at a dotted path of a document, in order; arrays are flattened.
///
/// Keys that contain dots themselves are found too: `{"a.b": 1}` has a value at `a.b`.
pub fn values_at<'v>(source: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = Vec::new();
    walk(source, path, &mut |value| {
        if !value.is_object() {
            found.push(value);
        }
    });
    found
}

/// Returns the objects at a dotted path of a document, in order; arrays are flattened.
pub fn objects_at<'v>(source: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = Vec::new();
    walk(source, path, &mut |value| {
        if value.is_object() {
            found.push(value);
        }
    });
    found
}

/// Returns the values and objects at a dotted path of a document, in order; arrays are flattened.
pub fn all_at<'v>(source: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = Vec::new();
    walk(source, path, &mut |value| found.push(value));
    found
}

/// Returns what stands at a dotted path of a document, in order; arrays at its end are left whole.
pub fn whole_at<'v>(source: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = Vec::new();
    walk_to(source, path, &mut |value| found.push(value));
    found
}

/// Hands what stands at the end of a path to `found`; of arrays there, what is in them.
fn walk<'v>(value: &'v Value, path: &str, found: &mut impl FnMut(&'v Value)) {
    walk_to(value, path, &mut |end| flatten(end, found));
}

fn flatten<'v>(value: &'v Value, found: &mut impl FnMut(&'v Value)) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| flatten(element, found)),
        other => found(other),
    }
}

/// Hands what stands at the end of a path to `found`.
fn walk_to<'v>(value: &'v Value, path: &str, found: &mut impl FnMut(&'v Value)) {
    match value {
        end if path.is_empty() => found(end),
        Value::Array(elements) => elements
            .iter()
            .for_each(|element| walk_to(element, path, found)),
        Value::Object(members) => {
            for (end, _) in path.match_indices('.').chain([(path.len(), "")]) {
                if let Some(member) = members.get(&path[..end]) {
                    walk_to(member, path.get(end + 1..).unwrap_or_default(), found);
                }
            }
        }
        _ => {}
    }
}

/// Returns the paths of all leaves of a document, each once, in order of appearance.
pub fn leaf_paths(source: &Value) -> Vec<String> {
    let mut paths = indexmap::IndexSet::new();
    gather(source, "", &mut paths);
    paths.into_iter().collect()
}

fn gather(value: &Value, path: &str, paths: &mut indexmap::IndexSet<String>) {
    match value {
        Value::Array(elements) => elements
            .iter()
            .for_each(|element| gather(element, path, paths)),
        Value::Object(members) => {
            for (key, member) in members {
                let below = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                gather(member, &below, paths);
            }
        }
        _ => {
            paths.insert(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_found_through_arrays_and_dotted_keys() {
        let source = json!({
            "a": {"b": [1, [2, null]], "c": {}},
            "a.b": 3,
            "list": [{"x": "p"}, {"x": ["q", "r"]}, {"y": 0}],
        });
        assert_eq!(
            values_at(&source, "a.b"),
            [&json!(1), &json!(2), &json!(null), &json!(3)]
        );
        assert_eq!(
            values_at(&source, "list.x"),
            [&json!("p"), &json!("q"), &json!("r")]
        );
        assert_eq!(
            whole_at(&source, "a.b"),
            [&json!([1, [2, null]]), &json!(3)]
        );
        assert_eq!(
            whole_at(&source, "list.x"),
            [&json!("p"), &json!(["q", "r"])]
        );
        assert!(values_at(&source, "a").is_empty());
        assert!(values_at(&source, "list.x.z").is_empty());
        assert_eq!(leaf_paths(&source), ["a.b", "list.x", "list.y"]);
    }
}
