//! Mappings that do not look into documents.

use super::*;

fn declared() -> Value {
    let fields = json!({"n": {"type": "long", "null_value": 1}, "c": {"type": "constant_keyword"}});
    json!({"enabled": false, "dynamic": "strict", "properties": fields})
}

#[test]
fn nothing_is_read_of_documents_that_are_not_looked_into() {
    let parser = parser(&declared());
    for document in [
        "{}",
        r#"{"n": 5, "c": "x", "more": {"": 1}}"#,
        r#"{"n": "many"}"#,
        r#"{"n": null, "_id": 7, "a..b": [[{}]], "n": 1}"#,
        " {\"n\": {}}\n",
    ] {
        for parser in [&parser, &parser.within(1)] {
            let parsed = parser.parse("1", document.as_bytes());
            let parsed = parsed.expect("anything goes");
            assert!(parsed.values.is_empty(), "{document}");
            assert!(!parsed.has_new_fields, "{document}");
        }
        let values = parser.walk_leniently(document.as_bytes()).values;
        assert!(values.is_empty(), "{document}");
        assert!(parser.fields_of(document.as_bytes()).is_empty());
    }
}

#[test]
fn what_is_no_object_is_refused_where_nothing_is_looked_into_too() {
    for document in ["[1]", "7", "", "{\"a\":", "{} {}", "{\"a\": 1,}"] {
        let error = refusal(&declared(), document);
        assert!(
            matches!(error, DocumentError::Json { .. }),
            "{document}: {error}"
        );
    }
    let bytes = parser(&declared()).parse("1", b"{\"a\": \"\xff\"}");
    assert!(matches!(bytes, Err(DocumentError::Json { .. })));
}

#[test]
fn a_mapping_that_looks_into_no_documents_does_not_grow() {
    let before = mapping(&declared());
    // Deeper than a JSON value may be.
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let source = format!("{{\"c\": \"x\", \"more\": {deep}}}");
    for source in [source.as_str(), r#"{"c": "x", "more": 1}"#] {
        let grown = super::growth::grown(source, &before);
        assert!(matches!(grown, Ok(None)), "{source}");
    }
}
