//! Nested objects: what of them the document itself has, how many there may be, and what they refuse.

use super::*;

fn declared(options: Value) -> Value {
    let mut outer = options;
    outer["type"] = json!("nested");
    outer["properties"] = json!({
        "k": {"type": "keyword", "null_value": "none", "copy_to": "all", "fields": {"t": {"type": "text"}}},
        "n": {"type": "long", "ignore_malformed": true},
        "o": {"type": "flattened"},
        "inner": {"type": "nested", "include_in_parent": true, "properties": {"k": {"type": "keyword"}}},
        "apart": {"type": "nested", "include_in_root": true, "properties": {"k": {"type": "keyword"}}},
    });
    json!({"properties": {"a": outer, "all": {"type": "keyword"}}})
}

fn document() -> Value {
    json!({"a": [
        {"k": "x", "n": 1, "o": {"p": "q"}, "inner": {"k": "i"}},
        {"k": null, "apart": [{"k": "r"}, {"k": "s"}]},
    ]})
}

#[test]
fn a_document_has_values_of_nested_objects_where_they_are_included() {
    let hidden = values(&declared(json!({})), &document());
    assert_eq!(hidden, ["all=x", "a.apart.k=r", "a.apart.k=s"]);
    for option in ["include_in_parent", "include_in_root"] {
        let shown = values(&declared(json!({option: true})), &document());
        let expected = [
            "a.k=x",
            "a.k.t=x",
            "all=x",
            "a.n=1",
            "a.o._keyed=p\0q",
            "a.o=q",
            "a.inner.k=i",
            "a.k=none",
            "a.apart.k=r",
            "a.apart.k=s",
        ];
        assert_eq!(shown, expected, "{option}");
    }
}

#[test]
fn hidden_values_are_checked_as_others_are() {
    let declared = declared(json!({}));
    let refused = refusal(&declared, r#"{"a": {"n": {}, "k": {"x": 1}}}"#);
    assert!(
        matches!(&refused, DocumentError::Malformed { field, .. } if field == "a.k"),
        "{refused}"
    );
    let refused = refusal(&declared, r#"{"a": 1}"#);
    assert!(
        matches!(&refused, DocumentError::NotAnObject { field, .. } if field == "a"),
        "{refused}"
    );
    let text =
        json!({"properties": {"a": {"type": "nested", "properties": {"t": {"type": "text"}}}}});
    let immense = json!({"a": {"t": "x".repeat(MAX_TERM_BYTES + 1)}});
    let keeps = json!({"properties": {"a": {"type": "nested", "properties": {
        "t": {"type": "text", "analyzer": "keyword"},
    }}}});
    assert!(values(&text, &immense).is_empty(), "it is cut into terms");
    let refused = refusal(&keeps, &immense.to_string());
    assert!(
        matches!(refused, DocumentError::ImmenseTerm { .. }),
        "{refused}"
    );
}

#[test]
fn nested_objects_are_counted_wherever_they_stand() {
    let declared = declared(json!({}));
    let parser = parser(&declared);
    for (document, num_nested) in [
        (json!({"a": [{}, {}, null, []]}), 2),
        (json!({"a": [{"inner": [{}, {}]}, {"apart": {}}]}), 5),
        (json!({"a.k": "x", "a.inner.k": "y"}), 3),
        (json!({"all": ["x", "y"]}), 0),
    ] {
        let source = document.to_string();
        let read = |most: usize| parser.within(most).parse("1", source.as_bytes()).map(drop);
        assert_eq!(read(num_nested), Ok(()), "{document}");
        if let Some(limit) = num_nested.checked_sub(1) {
            let refused = read(limit).expect_err("one too many");
            assert_eq!(
                refused,
                DocumentError::TooManyNested { limit },
                "{document}"
            );
        }
    }
}

#[test]
fn new_fields_in_nested_objects_are_wanted() {
    let declared = json!({"properties": {
        "a": {"type": "nested"}, "b": {"type": "nested", "dynamic": false}, "c": {"type": "nested", "enabled": false},
    }});
    let wants = |document: Value| {
        let source = document.to_string();
        let parsed = parser(&declared).parse("1", source.as_bytes());
        parsed.expect("a good document").has_new_fields
    };
    assert!(wants(json!({"a": [{"new": 1}]})));
    assert!(!wants(json!({"b": [{"new": 1}], "c": [{"new": 1}, 5]})));
}
