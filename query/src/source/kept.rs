//! What of `_source` an index shows, as its mapping says under `_source`.
//!
//! Documents are kept whole all the same: updates, copies, highlighting and `fields` read all of them.
//! What a mapping leaves out is in no `_source` of an answer.

use bytes::Bytes;
use gleaner_model::Mapping;
use serde_json::Value;

use super::{SourceFault, SourcePatterns};
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

/// What is asked for of documents in an index: what its mapping keeps, and of that what a request names.
#[derive(Debug, Clone)]
pub struct ShownSource {
    is_enabled: bool,
    kept: SourcePatterns,
    asked: SourcePatterns,
}

impl ShownSource {
    /// Returns what shows what is `asked` for in an index that keeps `kept`.
    pub fn new(asked: &SourceFilter, kept: &SourceFilter) -> Self {
        Self {
            is_enabled: asked.enabled && kept.enabled,
            kept: SourcePatterns::new(kept),
            asked: SourcePatterns::new(asked),
        }
    }

    /// Whether documents are shown as they are, or not at all: then it costs nothing.
    pub fn is_free(&self) -> bool {
        !self.is_enabled || (self.kept.keep_all() && self.asked.keep_all())
    }

    /// Returns what it costs to show a document: in steps of some nanoseconds, at most.
    pub fn num_steps(&self, source: &Bytes) -> usize {
        match self.is_free() {
            true => 0,
            false => source.len() * (1 + self.kept.num_words() + self.asked.num_words()),
        }
    }

    /// Returns what is shown of a document; `None` where that is nothing. `keep_on` is asked now and then.
    ///
    /// # Errors
    /// As [`SourcePatterns::filter`].
    pub fn of(
        &self,
        source: &Bytes,
        keep_on: &dyn Fn() -> bool,
    ) -> Result<Option<Bytes>, SourceFault> {
        if !self.is_enabled {
            return Ok(None);
        }
        let kept = self.kept.filter(source, keep_on)?;
        self.asked.filter(&kept, keep_on).map(Some)
    }
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
        ShownSource::new(asked, &kept_source(&mapping))
            .of(&source, &|| true)
            .unwrap()
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
