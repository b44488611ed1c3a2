//! How deep fields may lie, and fields that are only copied to.

use super::*;

#[test]
fn fields_lie_as_deep_as_the_limit_says_and_no_deeper() {
    let nested = |levels: usize| {
        let mut document = json!({"leaf": 1});
        for _ in 1..levels {
            document = json!({"o": document});
        }
        document
    };
    let mut declared = json!({"type": "long"});
    for _ in 1..20 {
        declared = json!({"properties": {"o": declared}});
    }
    let declare = |inner: &Value| parse(&json!({"properties": {"leaf": inner}}));
    assert!(infer(&json!({}), &nested(20)).is_ok());
    assert!(infer(&json!({}), &nested(21)).is_err());
    assert!(declare(&declared).is_ok());
    assert!(declare(&json!({"properties": {"o": declared}})).is_err());
    let dotted = |levels: usize| json!({vec!["a"; levels].join("."): 1});
    assert!(infer(&json!({}), &dotted(20)).is_ok());
    assert!(infer(&json!({}), &dotted(21)).is_err());
}

#[test]
fn what_is_only_copied_to_is_added_as_if_it_stood_in_the_document() {
    let mapping = json!({"properties": {"a": {"type": "keyword", "copy_to": ["all", "o.all"]}}});
    let added = infer(&mapping, &json!({"a": [null, "x", "y"]}))
        .unwrap()
        .unwrap();
    assert_eq!(added["all"]["type"], "text");
    assert_eq!(added["all"]["fields"]["keyword"]["type"], "keyword");
    assert_eq!(added["o"]["properties"]["all"]["type"], "text");
    assert!(infer(&mapping, &json!({"a": null})).unwrap().is_none());
    let closed =
        json!({"dynamic": false, "properties": {"a": {"type": "keyword", "copy_to": "all"}}});
    assert!(infer(&closed, &json!({"a": "x"})).unwrap().is_none());
}
