//! What of `_source` an index shows, as its mapping says under `_source`.
//!
//! Documents are kept whole all the same: updates, copies, highlighting and `fields` read all of them.
//! What a mapping leaves out is in no `_source` of an answer.

use bytes::Bytes;
use gleaner_model::Mapping;
use serde_json::Value;

use super::filter_source;
use crate::error::QueryError;
use crate::search::SourceFilter;

/// Returns what the mapping lets be shown.
pub fn kept_source(mapping: &Mapping) -> SourceFilter {
    let declared = mapping.declared.get("_source");
    let paths = |key: &str| -> Vec<String> {
        let listed = declared.and_then(|declared| declared.get(key)?.as_array());
        let texts = listed.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    SourceFilter {
        enabled: mapping.source_enabled,
        includes: paths("includes"),
        excludes: paths("excludes"),
    }
}

/// Returns what is asked for of a document in an index that keeps `kept`; `None` where that is nothing.
///
/// # Errors
/// As [`filter_source`].
pub fn show_source(
    source: &Bytes,
    asked: &SourceFilter,
    kept: &SourceFilter,
) -> Result<Option<Bytes>, QueryError> {
    if !asked.enabled || !kept.enabled {
        return Ok(None);
    }
    let kept = filter_source(source, kept)?;
    filter_source(&kept, asked).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mapping::{MappingRules, parse_mapping};

    fn shown(of_mapping: &Value, asked: &SourceFilter) -> Option<Bytes> {
        let mapping = json!({"_source": of_mapping});
        let mapping = parse_mapping(&mapping, None, &MappingRules::default()).unwrap();
        let source = Bytes::from(r#"{"a":1,"b":{"c":2,"d":3}}"#);
        show_source(&source, asked, &kept_source(&mapping)).unwrap()
    }

    #[test]
    fn what_a_mapping_leaves_out_is_not_shown() {
        let all = SourceFilter::default();
        for (of_mapping, expected) in [
            (json!({}), r#"{"a":1,"b":{"c":2,"d":3}}"#),
            (json!({"excludes": ["b.c"]}), r#"{"a":1,"b":{"d":3}}"#),
            (json!({"includes": "b.*"}), r#"{"b":{"c":2,"d":3}}"#),
            (json!({"includes": ""}), r#"{"a":1,"b":{"c":2,"d":3}}"#),
        ] {
            assert_eq!(shown(&of_mapping, &all).unwrap(), expected, "{of_mapping}");
        }
        assert_eq!(shown(&json!({"enabled": false}), &all), None);
        let asked = SourceFilter {
            includes: vec!["b".to_owned()],
            ..all.clone()
        };
        let of_mapping = json!({"excludes": ["*.d"]});
        assert_eq!(shown(&of_mapping, &asked).unwrap(), r#"{"b":{"c":2}}"#);
        let nothing = SourceFilter {
            enabled: false,
            ..all
        };
        assert_eq!(shown(&json!({}), &nothing), None);
    }
}
