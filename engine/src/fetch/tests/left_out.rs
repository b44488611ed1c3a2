//! What hits show of values that the index left out.

use super::*;

/// Returns which fields of a document left out a value, and what was left out by those that are asked for.
fn ignored_under(properties: &Value, source: Value, asked: &[&str]) -> (Vec<String>, Value) {
    let hit = fetched_under(properties, source, asked);
    (hit.ignored, json!(hit.ignored_values))
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
    for (asked, expected) in [
        (
            &["*"][..],
            json!({
                "at": ["nowhere"], "ki": ["long one", "copied"], "ni": ["abc", {"a": 1}], "ni.k": ["abc"],
            }),
        ),
        (&["k*"], json!({"ki": ["long one", "copied"]})),
        (&[], json!({})),
    ] {
        let (fields, values) = ignored_under(&properties, source.clone(), asked);
        assert_eq!(fields, ["at", "ki", "ni", "ni.k"], "{asked:?}");
        assert_eq!(values, expected, "{asked:?}");
    }
}

#[test]
fn values_left_out_are_shown_under_the_alias_that_is_asked_for() {
    let properties = json!({
        "n": {"type": "integer", "ignore_malformed": true},
        "number": {"type": "alias", "path": "n"},
        "good": {"type": "keyword"},
        "fine": {"type": "alias", "path": "good"},
    });
    let source = json!({"n": ["seven", 7], "good": "yes"});
    for (asked, expected) in [
        (&["number", "fine"][..], json!({"number": ["seven"]})),
        (&["n*"], json!({"n": ["seven"], "number": ["seven"]})),
    ] {
        let (fields, values) = ignored_under(&properties, source.clone(), asked);
        assert_eq!(
            fields,
            ["n"],
            "{asked:?}: the alias has no values of its own"
        );
        assert_eq!(values, expected, "{asked:?}");
    }
}
