//! Keys that no field of a document can have.

use super::*;

#[test]
fn keys_below_a_plain_field_are_refused_and_applied_without_them() {
    let declared = json!({"properties": {
        "user": {"type": "keyword"},
        "t": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "o": {"properties": {"n": {"type": "long"}}},
    }});
    for (document, field, parent, kind) in [
        (r#"{"user.name": "kim"}"#, "user.name", "user", "keyword"),
        (r#"{"t": "x", "t.raw": "x"}"#, "t.raw", "t", "text"),
        (r#"{"o": {"n.m.l": 1}}"#, "o.n.m.l", "o.n", "long"),
        (r#"{"o.n.m": null}"#, "o.n.m", "o.n", "long"),
    ] {
        let error = refusal(&declared, document);
        let expected = format!(
            "Could not dynamically add mapping for field [{field}]. Existing mapping for \
             [{parent}] must be of type object but found [{kind}]."
        );
        assert_eq!(
            (error.to_string(), error.kind()),
            (expected, "document_parsing_exception")
        );
    }
    let parser = parser(&declared);
    let logged = br#"{"user.name": "kim", "user": "lee"}"#;
    let applied = walk::leniently(&parser.plan, logged).values;
    let values: Vec<_> = applied.iter().map(|(_, value)| shown(value)).collect();
    assert_eq!(values, ["lee"]);
}

#[test]
fn metadata_that_is_kept_for_a_document_is_no_field_of_it() {
    let declared = json!({});
    for name in [
        "_id",
        "_doc_count",
        "_ignored",
        "_field_names",
        "_nested_path",
    ] {
        let error = refusal(&declared, &json!({name: 5}).to_string());
        let (kind, reason) = error.cause().expect("it says why");
        assert_eq!(kind, "mapper_parsing_exception");
        assert!(
            reason.contains(&format!("Field [{name}] is a metadata field")),
            "{reason}"
        );
        let within = json!({"o": {name: 5}}).to_string();
        assert!(parser(&declared).parse("1", within.as_bytes()).is_ok());
    }
    // A record that was taken is applied as it was taken.
    let stored = parser(&json!({"properties": {"n": {"type": "long"}}}));
    let logged = br#"{"_doc_count": 5, "n": 1}"#;
    assert_eq!(walk::leniently(&stored.plan, logged).values.len(), 1);
}
