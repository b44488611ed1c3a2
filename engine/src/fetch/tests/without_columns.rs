//! Fields that have no column, and values that no field takes.

use super::*;

/// Returns the fields that are fetched of one document of a mapping.
fn fetched(properties: &Value, source: Value, spec: &FetchSpec<'_>) -> Result<Value, EngineError> {
    Ok(json!(fetched_of(properties, source, spec)?.fields))
}

#[test]
fn fields_without_doc_values_are_refused_by_name() {
    let properties = json!({
        "k": {"type": "keyword", "doc_values": false},
        "n": {"type": "long", "doc_values": false},
        "b": {"type": "binary"},
    });
    let shown = |field: &str| {
        let asked = formats(&[(field, None)]);
        let spec = FetchSpec {
            docvalue_fields: &asked,
            ..FetchSpec::default()
        };
        let source = json!({"k": "a", "n": 1, "b": "YQ=="});
        fetched(&properties, source, &spec)
    };
    for (field, type_name) in [("k", "keyword"), ("n", "long"), ("b", "binary")] {
        let refused = shown(field).expect_err(field).to_string();
        let reason = format!("Can't load fielddata on [{field}]");
        assert!(refused.contains(&reason), "{refused}");
        assert!(
            refused.contains(&format!("type [{type_name}]")),
            "{refused}"
        );
    }
    assert_eq!(shown("*").expect("nothing is named"), json!({}));
    assert_eq!(shown("unknown").expect("it is passed over"), json!({}));
}

#[test]
fn what_an_object_that_is_not_looked_into_holds_is_unmapped() {
    let properties = json!({"off": {"type": "object", "enabled": false}, "n": {"type": "long"}});
    let asked = vec![FieldFormat {
        field: "*".to_owned(),
        format: None,
        include_unmapped: true,
    }];
    let spec = FetchSpec {
        fields: &asked,
        ..FetchSpec::default()
    };
    for (held, expected) in [
        (json!(5), json!({"n": [1], "off": [5]})),
        (json!([5, "a"]), json!({"n": [1], "off": [5, "a"]})),
        (json!({"x": 5}), json!({"n": [1], "off.x": [5]})),
    ] {
        let source = json!({"n": 1, "off": held});
        let shown = fetched(&properties, source, &spec).expect("it can be read");
        assert_eq!(shown, expected);
    }
}
