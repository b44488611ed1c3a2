//! Numbers as they are written, copies to fields that nobody declared, values that become no term.

use super::*;

#[test]
fn numbers_are_text_as_they_are_written() {
    for kind in ["keyword", "text"] {
        let declared = one(&json!({"type": kind}));
        for number in ["12345678901234567890123", "1.10", "1e2", "-0", "-7", "1E+2"] {
            let told = format!("x={number}");
            assert_eq!(
                values_of(&declared, &format!("{{\"x\": {number}}}")),
                [told.as_str()]
            );
            let within = format!("{{\"x\": [[{number}], \"a\"]}}");
            assert_eq!(values_of(&declared, &within), [told, "x=a".to_owned()]);
        }
    }
    let declared = json!({"properties": {
        "n": {"type": "double", "fields": {"raw": {"type": "keyword"}}, "copy_to": "all"},
        "m": {"type": "long", "copy_to": "all"},
        "all": {"type": "double", "fields": {"raw": {"type": "keyword"}}},
    }});
    assert_eq!(
        values_of(&declared, r#"{"n": 1.50, "m": 2.0}"#),
        [
            "n=1.5",
            "n.raw=1.50",
            "all=1.5",
            "all.raw=1.50",
            "m=2",
            "all=2.0",
            "all.raw=2.0"
        ]
    );
}

#[test]
fn a_value_for_a_field_that_is_only_copied_to_wants_it() {
    let wanted = |to: &str, dynamic: &str| {
        let declared = json!({"dynamic": dynamic, "properties": {
            "a": {"type": "keyword", "copy_to": to},
            "o": {"dynamic": false, "properties": {}},
        }});
        let parser = parser(&declared);
        let parsed = parser.parse("1", br#"{"a": "x"}"#);
        parsed.map(|parsed| parsed.has_new_fields)
    };
    assert!(matches!(wanted("all", "true"), Ok(true)));
    assert!(matches!(wanted("o.all", "true"), Ok(false)));
    assert!(matches!(wanted("all", "false"), Ok(false)));
    assert!(matches!(
        wanted("all", "strict"),
        Err(DocumentError::Strict { .. })
    ));
}

#[test]
fn a_keyword_that_becomes_no_term_may_be_long() {
    let document = json!({"x": "a".repeat(40_000)}).to_string();
    let off = one(&json!({"type": "keyword", "index": false, "doc_values": false}));
    assert_eq!(values_of(&off, &document).len(), 1);
    let refused = refusal(&one(&json!({"type": "keyword", "index": false})), &document);
    assert!(matches!(refused, DocumentError::ImmenseTerm { .. }));
}
