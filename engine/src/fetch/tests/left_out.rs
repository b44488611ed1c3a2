//! What hits show of values that the index left out.

use super::*;

/// Returns the fields of a document that left out a value, with what they left out, where `asked` are to be shown.
fn ignored_under(properties: &Value, source: Value, asked: &[&str]) -> Value {
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    let documents = vec![("d".to_owned(), source)];
    let view = Index::new(&mapping(properties), &documents, layout)
        .views()
        .remove(0);
    let asked: Vec<_> = asked.iter().map(|field| (*field, None)).collect();
    let asked = formats(&asked);
    let spec = FetchSpec {
        fields: &asked,
        ..FetchSpec::default()
    };
    let hits = fetch(&view, &[place(0, 0)], &spec, &Control::unlimited()).expect("it can be read");
    let ignored = hits[0].ignored.iter();
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
