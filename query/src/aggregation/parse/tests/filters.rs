//! `filters`, named and not.

use serde_json::{Value, json};

use super::super::super::AggregationKind;
use super::{kind, reason};

#[test]
fn filters_with_names_may_be_listed() {
    let named = json!({"b": {"match_all": {}}, "a": {}});
    let anonymous = json!([{"match_all": {}}]);
    for (filters, keyed, expected) in [
        (&named, None, (true, false)),
        (&named, Some(true), (true, false)),
        (&named, Some(false), (true, true)),
        (&anonymous, Some(true), (false, false)),
        (&anonymous, Some(false), (false, false)),
    ] {
        let mut body = json!({ "filters": filters });
        if let Some(keyed) = keyed {
            body["keyed"] = json!(keyed);
        }
        let AggregationKind::Filters {
            filters,
            is_keyed,
            is_listed,
            ..
        } = kind(&json!({ "filters": body }))
        else {
            panic!()
        };
        assert_eq!((is_keyed, is_listed), expected, "{body}");
        let keys: Vec<_> = filters.iter().map(|(key, _)| key.as_str()).collect();
        let expected = if is_keyed { vec!["a", "b"] } else { vec!["0"] };
        assert_eq!(keys, expected, "{body}");
    }
}

#[test]
fn no_filter_has_the_key_of_the_other_bucket() {
    let body = |name: &str, other: &Value, keyed: bool| {
        let mut body = json!({"filters": {name: {}}, "keyed": keyed, "other_bucket": true});
        if other.is_string() {
            body["other_bucket_key"] = other.clone();
        }
        json!({ "filters": body })
    };
    for (name, other) in [("rest", json!("rest")), ("_other_", json!(null))] {
        let reason = reason(&json!({"a": body(name, &other, true)}));
        let expected = format!("the key of its other bucket, [{name}]");
        assert!(reason.contains(&expected), "{reason}");
        // In a list both are shown.
        kind(&body(name, &other, false));
        kind(&body("sea", &other, true));
    }
    kind(&json!({"filters": {"filters": [{}], "other_bucket_key": "0"}}));
}
