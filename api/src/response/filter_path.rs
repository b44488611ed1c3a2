//! `filter_path`: which parts of an answer are sent.

use gleaner_model::mapping::matches_pattern;
use serde_json::Value;

use super::tree::{Tree, name};

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
        let left = self.left_of(&value.to_string());
        left.and_then(|left| serde_json::from_str(&left).ok())
            .unwrap_or(value)
    }

    /// Returns what is left of an answer, which is JSON, as compact JSON: scalars stay as they are written.
    /// `None` is for what cannot be read.
    pub(crate) fn left_of(&self, text: &str) -> Option<String> {
        let tree = Tree::read(text)?;
        let kept = if self.includes.is_empty() {
            Some(tree)
        } else {
            keep(tree, &rest_of(&self.includes))
        };
        let left = match kept {
            Some(tree) if !self.excludes.is_empty() => leave_out(tree, &rest_of(&self.excludes)),
            other => other,
        };
        let mut out = String::new();
        left.unwrap_or(Tree::Object(Vec::new()))
            .write(None, &mut out);
        Some(out)
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

fn keep<'a>(tree: Tree<'a>, patterns: &[&[String]]) -> Option<Tree<'a>> {
    if is_matched(patterns) {
        return Some(tree);
    }
    match tree {
        _ if patterns.is_empty() => None,
        Tree::Object(entries) => {
            let kept: Vec<(&str, Tree<'a>)> = entries
                .into_iter()
                .filter_map(|(key, value)| {
                    let value = keep(value, &step(patterns, &name(key)))?;
                    Some((key, value))
                })
                .collect();
            (!kept.is_empty()).then_some(Tree::Object(kept))
        }
        Tree::Array(items) => {
            let kept: Vec<Tree<'a>> = items
                .into_iter()
                .filter_map(|item| keep(item, patterns))
                .collect();
            (!kept.is_empty()).then_some(Tree::Array(kept))
        }
        Tree::Scalar(_) => None,
    }
}

fn leave_out<'a>(tree: Tree<'a>, patterns: &[&[String]]) -> Option<Tree<'a>> {
    if is_matched(patterns) {
        return None;
    }
    match tree {
        tree if patterns.is_empty() => Some(tree),
        Tree::Object(entries) => {
            let was_empty = entries.is_empty();
            let kept: Vec<(&str, Tree<'a>)> = entries
                .into_iter()
                .filter_map(|(key, value)| {
                    let value = leave_out(value, &step(patterns, &name(key)))?;
                    Some((key, value))
                })
                .collect();
            (was_empty || !kept.is_empty()).then_some(Tree::Object(kept))
        }
        Tree::Array(items) => {
            let was_empty = items.is_empty();
            let kept: Vec<Tree<'a>> = items
                .into_iter()
                .filter_map(|item| leave_out(item, patterns))
                .collect();
            (was_empty || !kept.is_empty()).then_some(Tree::Array(kept))
        }
        other @ Tree::Scalar(_) => Some(other),
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
    fn names_are_told_by_what_they_stand_for() {
        let answer = r#"{"\u0061":{"b":1.10,"b":1e400},"c":2}"#;
        let left = FilterPath::parse("a.b").left_of(answer);
        assert_eq!(left.as_deref(), Some(r#"{"\u0061":{"b":1.10,"b":1e400}}"#));
    }

    #[test]
    fn nothing_left_is_an_empty_object() {
        assert_eq!(filtered("absent"), json!({}));
    }
}
