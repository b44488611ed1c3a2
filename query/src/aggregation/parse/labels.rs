//! Bounds on what an answer repeats with each bucket: keys, formats and `meta`.

use serde_json::Value;

use crate::error::QueryError;
use crate::limits::{Limits, check_length};

/// Refuses keys and formats that are too long in the body of aggregation `name`.
pub(super) fn check(name: &str, body: &Value) -> Result<(), QueryError> {
    let check = |key: &str, value: Option<&Value>| match value.and_then(Value::as_str) {
        Some(text) => Limits::check_label(&format!("[{key}] of aggregation [{name}]"), text),
        None => Ok(()),
    };
    for key in ["format", "other_bucket_key", "missing", "separator"] {
        check(key, body.get(key))?;
    }
    let ranges = body.get("ranges").and_then(Value::as_array);
    for range in ranges.into_iter().flatten() {
        check("key", range.get("key"))?;
    }
    let filters = body.get("filters").and_then(Value::as_object);
    for key in filters.into_iter().flat_map(|filters| filters.keys()) {
        Limits::check_label(&format!("a key of aggregation [{name}]"), key)?;
    }
    Ok(())
}

/// Refuses a `meta` that is too large.
pub(super) fn check_meta(name: &str, meta: Option<&Value>) -> Result<(), QueryError> {
    let num_bytes = meta.map_or(0, |meta| meta.to_string().len());
    let what = format!("[meta] of aggregation [{name}]");
    check_length(&what, num_bytes, Limits::MAX_META_BYTES)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::parse_aggregations;
    use super::*;

    fn refused(name: &str, body: &Value) -> Option<String> {
        let body = json!({ name: body });
        let parsed = parse_aggregations(&body, &Limits::default());
        parsed.err().map(|error| error.reason)
    }

    #[test]
    fn what_each_bucket_repeats_is_short() {
        let long = "x".repeat(Limits::MAX_LABEL_BYTES + 1);
        let ranges =
            |key: &str| json!({"range": {"field": "n", "ranges": [{"to": 1, "key": key}]}});
        let filters = json!({"filters": {"filters": {long.as_str(): {"match_all": {}}}}});
        let terms = |key: &str| json!({"terms": {"field": "t", key: long}});
        let meta =
            json!({"max": {"field": "n"}, "meta": {"m": "x".repeat(Limits::MAX_META_BYTES)}});
        for (name, body) in [
            (long.as_str(), json!({"max": {"field": "n"}})),
            ("a", ranges(&long)),
            ("a", filters),
            ("a", terms("format")),
            ("a", terms("missing")),
            ("a", meta),
        ] {
            let reason = refused(name, &body).expect("too long");
            assert!(reason.contains("each bucket or hit repeats it"), "{reason}");
        }
        assert_eq!(refused("a", &ranges(&long[1..])), None);
        let meta = json!({"max": {"field": "n"}, "meta": {"m": long}});
        assert_eq!(refused(&long[1..], &meta), None);
    }
}
