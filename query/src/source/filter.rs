//! [`filter_source`]: keeps what `includes` name and `excludes` do not.

use std::borrow::Cow;

use bytes::Bytes;
use gleaner_model::mapping::matches_pattern;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{ErrorType, QueryError};
use crate::search::SourceFilter;

/// Returns `source` with only the paths that `filter` lets through; the bytes as they are when it
/// lets all through.
///
/// A pattern names a path and all below it; `*` stands for any run of characters, dots included, and
/// a key with dots is a path.
/// Elements of arrays have the path of the array. `filter.enabled` is the caller's matter.
///
/// # Errors
/// `parsing_exception` when `source` is not a JSON object.
pub fn filter_source(source: &Bytes, filter: &SourceFilter) -> Result<Bytes, QueryError> {
    if filter.includes.is_empty() && filter.excludes.is_empty() {
        return Ok(source.clone());
    }
    let text = std::str::from_utf8(source).map_err(|error| damaged(&error.to_string()))?;
    let mut out = String::with_capacity(text.len());
    let rules = Rules { filter };
    if !rules.object(text, "", Reach::of(filter), &mut out)? {
        out.push_str("{}");
    }
    Ok(Bytes::from(out))
}

/// Whether an include already covers a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Everything below is included unless excluded.
    Included,
    /// Only what is named below.
    Searching,
}

impl Reach {
    fn of(filter: &SourceFilter) -> Self {
        if filter.includes.is_empty() {
            Self::Included
        } else {
            Self::Searching
        }
    }
}

struct Rules<'a> {
    filter: &'a SourceFilter,
}

impl Rules<'_> {
    /// Writes what is kept of an object; returns whether anything was written.
    ///
    /// An object that an include covers is kept even when it is empty.
    fn object(
        &self,
        text: &str,
        path: &str,
        reach: Reach,
        out: &mut String,
    ) -> Result<bool, QueryError> {
        let start = out.len();
        out.push('{');
        let mut is_first = true;
        for (key, value) in entries(text)? {
            let name: Cow<'_, str> = key_name(key)?;
            let full = if path.is_empty() {
                name.into_owned()
            } else {
                format!("{path}.{name}")
            };
            let before = out.len();
            if !is_first {
                out.push(',');
            }
            out.push_str(key);
            out.push(':');
            if self.value(value.trim(), &full, reach, out)? {
                is_first = false;
            } else {
                out.truncate(before);
            }
        }
        if is_first && reach == Reach::Searching {
            out.truncate(start);
            return Ok(false);
        }
        out.push('}');
        Ok(true)
    }

    fn value(
        &self,
        text: &str,
        path: &str,
        reach: Reach,
        out: &mut String,
    ) -> Result<bool, QueryError> {
        if self.is_excluded(path) {
            return Ok(false);
        }
        let reach = if reach == Reach::Included || self.is_included(path) {
            Reach::Included
        } else {
            Reach::Searching
        };
        if reach == Reach::Included && !self.may_exclude_below(path) {
            out.push_str(text);
            return Ok(true);
        }
        self.inside(text, path, reach, out)
    }

    /// Writes what is kept of a value whose parts must be looked at.
    fn inside(
        &self,
        text: &str,
        path: &str,
        reach: Reach,
        out: &mut String,
    ) -> Result<bool, QueryError> {
        match text.as_bytes().first() {
            Some(b'{') => self.object(text, path, reach, out),
            Some(b'[') => self.array(text, path, reach, out),
            _ if reach == Reach::Included => {
                out.push_str(text);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn array(
        &self,
        text: &str,
        path: &str,
        reach: Reach,
        out: &mut String,
    ) -> Result<bool, QueryError> {
        let elements: Vec<&RawValue> =
            serde_json::from_str(text).map_err(|error| damaged(&error.to_string()))?;
        let start = out.len();
        out.push('[');
        let mut is_first = true;
        for element in elements {
            let before = out.len();
            if !is_first {
                out.push(',');
            }
            if self.inside(element.get().trim(), path, reach, out)? {
                is_first = false;
            } else {
                out.truncate(before);
            }
        }
        if is_first && reach == Reach::Searching {
            out.truncate(start);
            return Ok(false);
        }
        out.push(']');
        Ok(true)
    }

    fn is_included(&self, path: &str) -> bool {
        let mut patterns = self.filter.includes.iter();
        patterns.any(|pattern| is_at_or_below(pattern, path))
    }

    fn is_excluded(&self, path: &str) -> bool {
        let mut patterns = self.filter.excludes.iter();
        patterns.any(|pattern| is_at_or_below(pattern, path))
    }

    /// Whether an exclude may name something below `path`; true when in doubt.
    fn may_exclude_below(&self, path: &str) -> bool {
        self.filter.excludes.iter().any(|pattern| {
            let fixed = pattern.split('*').next().unwrap_or_default();
            if fixed.len() < pattern.len() && path.starts_with(fixed) {
                return true;
            }
            fixed
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('.'))
        })
    }
}

/// Returns whether `pattern` names `path` or what it is in: a key with dots is a path by itself, so
/// its beginning may be nowhere in the document as an object.
fn is_at_or_below(pattern: &str, path: &str) -> bool {
    let ends = path.match_indices('.').map(|(end, _)| end);
    ends.chain([path.len()])
        .any(|end| matches_pattern(pattern, &path[..end]))
}

/// Returns the members of an object as text, in order; the key with its quotes.
fn entries(text: &str) -> Result<Vec<(&str, &str)>, QueryError> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(&'de str, &'de str)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(key) = map.next_key::<&RawValue>()? {
                let value: &RawValue = map.next_value()?;
                members.push((key.get(), value.get()));
            }
            Ok(members)
        }
    }

    let mut reader = serde_json::Deserializer::from_str(text);
    reader
        .deserialize_map(Members)
        .map_err(|error| damaged(&error.to_string()))
}

/// Returns the name a quoted key stands for.
fn key_name(key: &str) -> Result<Cow<'_, str>, QueryError> {
    let inner = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        _ => serde_json::from_str::<String>(key)
            .map(Cow::Owned)
            .map_err(|error| damaged(&error.to_string())),
    }
}

fn damaged(why: &str) -> QueryError {
    QueryError::new(
        ErrorType::Parsing,
        format!("Failed to parse content to map: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(source: &str, includes: &[&str], excludes: &[&str]) -> String {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        let filter = SourceFilter {
            enabled: true,
            includes: owned(includes),
            excludes: owned(excludes),
        };
        let kept = filter_source(&Bytes::copy_from_slice(source.as_bytes()), &filter);
        String::from_utf8(kept.expect("it is JSON").to_vec()).expect("it is UTF-8")
    }

    #[test]
    fn numbers_order_and_escapes_stay_as_they_were() {
        let source = r#"{ "z": 1.50, "a": {"big": 123456789012345678901234567890, "t": "\u00e9"}, "m": [1e2, {"x": 1}] }"#;
        assert_eq!(filtered(source, &[], &[]), source);
        assert_eq!(
            filtered(source, &["a", "z"], &[]),
            r#"{"z":1.50,"a":{"big": 123456789012345678901234567890, "t": "\u00e9"}}"#
        );
        assert_eq!(
            filtered(source, &[], &["a.t", "m.x"]),
            r#"{"z":1.50,"a":{"big":123456789012345678901234567890},"m":[1e2,{}]}"#
        );
    }

    #[test]
    fn paths_and_patterns_reach_into_objects_and_arrays() {
        let source =
            r#"{"user":{"name":"a","mail":"b"},"tags":["x"],"items":[{"id":1,"n":2},{"n":3}]}"#;
        for (includes, excludes, expected) in [
            (vec!["user.name"], vec![], r#"{"user":{"name":"a"}}"#),
            (vec!["user.*"], vec!["*.mail"], r#"{"user":{"name":"a"}}"#),
            (vec!["items.id"], vec![], r#"{"items":[{"id":1}]}"#),
            (vec!["ta*"], vec![], r#"{"tags":["x"]}"#),
            (vec!["nothing"], vec![], "{}"),
            (vec!["user"], vec!["user.name"], r#"{"user":{"mail":"b"}}"#),
            (vec![], vec!["user", "items"], r#"{"tags":["x"]}"#),
            (vec![], vec!["*"], "{}"),
            (
                vec!["tags", "items.n"],
                vec![],
                r#"{"tags":["x"],"items":[{"n":2},{"n":3}]}"#,
            ),
        ] {
            assert_eq!(
                filtered(source, &includes, &excludes),
                expected,
                "{includes:?} {excludes:?}"
            );
        }
    }

    #[test]
    fn keys_with_dots_are_paths() {
        let source = r#"{"dot.ted":1,"dotted":2,"a":{"b.c.d":3,"b":4}}"#;
        for (includes, excludes, expected) in [
            (vec!["dot"], vec![], r#"{"dot.ted":1}"#),
            (vec!["dot.ted"], vec![], r#"{"dot.ted":1}"#),
            (vec!["a.b.c"], vec![], r#"{"a":{"b.c.d":3}}"#),
            (vec!["d*t"], vec![], r#"{"dot.ted":1}"#),
            (vec![], vec!["dot"], r#"{"dotted":2,"a":{"b.c.d":3,"b":4}}"#),
            (vec!["a"], vec!["a.b.c"], r#"{"a":{"b":4}}"#),
            (vec!["a.b"], vec!["*.c"], r#"{"a":{"b":4}}"#),
            (vec!["do"], vec![], "{}"),
        ] {
            assert_eq!(
                filtered(source, &includes, &excludes),
                expected,
                "{includes:?} {excludes:?}"
            );
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let filter = SourceFilter {
            includes: vec!["a".to_owned()],
            ..SourceFilter::default()
        };
        for bad in ["", "[1]", "{", "\u{1}"] {
            assert!(
                filter_source(&Bytes::from_static(bad.as_bytes()), &filter).is_err(),
                "{bad}"
            );
        }
    }
}
