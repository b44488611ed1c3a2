//! `filter_path`: which parts of an answer are sent.

use gleaner_model::mapping::matches_pattern;
use serde_json::{Map, Value};

/// Patterns of paths to keep and, with a `-` in front, to leave out.
#[derive(Debug, Default, Clone)]
pub(crate) struct FilterPath {
    includes: Vec<Vec<String>>,
    excludes: Vec<Vec<String>>,
}

impl FilterPath {
    /// Reads a comma-separated list of patterns: names with `*` between dots, `**` for any number
    /// of levels, `\.` for a dot in a name.
    pub(crate) fn parse(text: &str) -> Self {
        let mut filter = Self::default();
        for pattern in text.split(',').map(str::trim) {
            match pattern.strip_prefix('-') {
                _ if pattern.is_empty() => {}
                Some("") => {}
                Some(excluded) => filter.excludes.push(parts(excluded)),
                None => filter.includes.push(parts(pattern)),
            }
        }
        filter
    }

    /// Whether there is nothing to filter by.
    pub(crate) fn is_empty(&self) -> bool {
        self.includes.is_empty() && self.excludes.is_empty()
    }

    /// Returns how much of what stands under `key` at the top can be left.
    pub(crate) fn share_of(&self, key: &str) -> Share {
        let excluded = step(&rest_of(&self.excludes), key);
        let included = step(&rest_of(&self.includes), key);
        let is_included = self.includes.is_empty() || is_matched(&included);
        if is_matched(&excluded) || (included.is_empty() && !is_included) {
            Share::Nothing
        } else if is_included && excluded.is_empty() {
            Share::Whole
        } else {
            Share::Part
        }
    }

    /// Returns what is left of `value`; an empty object when nothing is.
    pub(crate) fn apply(&self, value: Value) -> Value {
        let kept = if self.includes.is_empty() {
            Some(value)
        } else {
            keep(value, &rest_of(&self.includes))
        };
        let left = match kept {
            Some(value) if !self.excludes.is_empty() => leave_out(value, &rest_of(&self.excludes)),
            other => other,
        };
        left.unwrap_or_else(|| Value::Object(Map::new()))
    }
}

/// How much of a part of an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    Whole,
    /// Each element has to be looked at.
    Part,
    Nothing,
}

fn parts(pattern: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek() == Some(&'.') => {
                letters.next();
                parts.last_mut().expect("one part at least").push('.');
            }
            '.' => parts.push(String::new()),
            other => parts.last_mut().expect("one part at least").push(other),
        }
    }
    parts
}

fn rest_of(patterns: &[Vec<String>]) -> Vec<&[String]> {
    patterns.iter().map(Vec::as_slice).collect()
}

/// Returns what the patterns still want below `key`; an empty rest has matched.
fn step<'a>(patterns: &[&'a [String]], key: &str) -> Vec<&'a [String]> {
    let mut next = Vec::new();
    for pattern in patterns {
        advance(pattern, key, &mut next);
    }
    next
}

fn advance<'a>(pattern: &'a [String], key: &str, next: &mut Vec<&'a [String]>) {
    let Some((first, rest)) = pattern.split_first() else {
        return;
    };
    if first == "**" {
        next.push(pattern);
        if rest.is_empty() {
            next.push(rest);
        }
        advance(rest, key, next);
    } else if matches_pattern(first, key) {
        next.push(rest);
    }
}

fn is_matched(patterns: &[&[String]]) -> bool {
    patterns.iter().any(|rest| rest.is_empty())
}

fn keep(value: Value, patterns: &[&[String]]) -> Option<Value> {
    if is_matched(patterns) {
        return Some(value);
    }
    match value {
        _ if patterns.is_empty() => None,
        Value::Object(entries) => {
            let kept: Map<String, Value> = entries
                .into_iter()
                .filter_map(|(key, value)| {
                    let value = keep(value, &step(patterns, &key))?;
                    Some((key, value))
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let kept: Vec<Value> = items
                .into_iter()
                .filter_map(|item| keep(item, patterns))
                .collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => None,
    }
}

fn leave_out(value: Value, patterns: &[&[String]]) -> Option<Value> {
    if is_matched(patterns) {
        return None;
    }
    match value {
        value if patterns.is_empty() => Some(value),
        Value::Object(entries) => {
            let was_empty = entries.is_empty();
            let kept: Map<String, Value> = entries
                .into_iter()
                .filter_map(|(key, value)| {
                    let value = leave_out(value, &step(patterns, &key))?;
                    Some((key, value))
                })
                .collect();
            (was_empty || !kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let was_empty = items.is_empty();
            let kept: Vec<Value> = items
                .into_iter()
                .filter_map(|item| leave_out(item, patterns))
                .collect();
            (was_empty || !kept.is_empty()).then_some(Value::Array(kept))
        }
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filtered(path: &str) -> Value {
        let answer = json!({
            "took": 1,
            "hits": {"total": 2, "hits": [{"_id": "1", "_source": {"a.b": 1, "c": 2}}, {"_id": "2"}]},
            "nodes": {"n1": {"http": {"a": 1}}, "n2": {"name": "x"}},
        });
        FilterPath::parse(path).apply(answer)
    }

    #[test]
    fn paths_pick_parts_through_arrays() {
        assert_eq!(
            filtered("took,hits.hits._id"),
            json!({"took": 1, "hits": {"hits": [{"_id": "1"}, {"_id": "2"}]}})
        );
    }

    #[test]
    fn stars_match_names_and_levels() {
        assert_eq!(
            filtered("nodes.*.ht*"),
            json!({"nodes": {"n1": {"http": {"a": 1}}}})
        );
        assert_eq!(
            filtered("**.c"),
            json!({"hits": {"hits": [{"_source": {"c": 2}}]}})
        );
        assert_eq!(
            filtered("**._source.a\\.b"),
            json!({"hits": {"hits": [{"_source": {"a.b": 1}}]}})
        );
    }

    #[test]
    fn excluded_paths_are_left_out_of_what_is_included() {
        assert_eq!(filtered("-hits,-nodes"), json!({"took": 1}));
        assert_eq!(filtered("nodes.n1,-**.a"), json!({}));
        assert_eq!(filtered("hits,-hits.hits"), json!({"hits": {"total": 2}}));
    }

    #[test]
    fn the_share_of_a_key_is_known_before_the_answer() {
        for (path, share) in [
            ("errors", Share::Nothing),
            ("errors,hits", Share::Whole),
            ("h*s", Share::Whole),
            ("**", Share::Whole),
            ("hits.total", Share::Part),
            ("**.total", Share::Part),
            ("-took", Share::Whole),
            ("-hits", Share::Nothing),
            ("hits,-hits.total", Share::Part),
            ("hits.total,-hits", Share::Nothing),
        ] {
            assert_eq!(FilterPath::parse(path).share_of("hits"), share, "{path}");
        }
    }

    #[test]
    fn nothing_left_is_an_empty_object() {
        assert_eq!(filtered("absent"), json!({}));
    }
}
