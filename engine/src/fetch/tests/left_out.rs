//! What hits show of values that the index left out.

use super::*;

/// Returns the fields of a document that left out a value, with what they left out, where `asked` are to be shown.
fn ignored_under(properties: &Value, source: Value, asked: &[&str]) -> Value {
    let hit = fetched_under(properties, source, asked);
    let ignored = hit.ignored.iter();
    let ignored = ignored.map(|field| (field.name.clone(), json!(field.values)));
    Value::Object(ignored.collect())
}

#[test]
fn values_left_out_are_shown_of_the_fields_that_are_asked_for() {
    let properties = json!({
        "ki": {"type": "keyword", "ignore_above": 3},
        "ni": {"type": "integer", "ignore_malformed": true,
            "fields": {"k": {"type": "keyword", "ignore_above": 2}}},
        "at": {"type": "geo_point", "ignore_malformed": true},
        "copy": {"type": "keyword", "copy_to": "ki"},
    });
    let source = json!({
        "ki": ["ok", ["long one", null]], "copy": "copied", "ni": ["abc", 7, "", {"a": 1}],
        "at": [[1, 2], "nowhere"],
    });
    let of = |asked: &[&str]| ignored_under(&properties, source.clone(), asked);
    let all = json!({
        "at": ["nowhere"], "ki": ["long one", "copied"], "ni": ["abc", {"a": 1}], "ni.k": ["abc"],
    });
    assert_eq!(of(&["*"]), all);
    let one = json!({"at": [], "ki": ["long one", "copied"], "ni": [], "ni.k": []});
    assert_eq!(of(&["k*"]), one);
    let none = json!({"at": [], "ki": [], "ni": [], "ni.k": []});
    assert_eq!(of(&[]), none);
}
