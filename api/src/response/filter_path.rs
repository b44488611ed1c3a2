//! `filter_path`: which parts of an answer are sent.
//!
//! The patterns are one automaton that goes along with the answer's keys: what a step costs depends on how
//! long they are, not on what they are.

use gleaner_query::patterns::{Patterns, State};
use serde_json::Value;

use super::tree::{MAX_LEVELS, Nothing, Out, Reader, Unwritten, name};
use crate::error::ApiError;

/// Longest list of patterns, in bytes: twice of what fits into the first line of a request to Elasticsearch.
const MAX_BYTES: usize = 8 << 10;

/// Patterns of paths to keep and, with a `-` in front, to leave out.
#[derive(Debug, Clone)]
pub(crate) struct FilterPath {
    /// `None` keeps all.
    includes: Option<Patterns>,
    excludes: Option<Patterns>,
}

impl FilterPath {
    /// Reads a comma-separated list of patterns: names with `*` between dots, `**` for any number
    /// of levels, `\.` for a dot in a name.
    ///
    /// # Errors
    /// 400 for a list that is too long.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        if text.len() > MAX_BYTES {
            return Err(ApiError::illegal(format!(
                "[filter_path] takes [{}] bytes, at most [{MAX_BYTES}] are allowed; use fewer patterns",
                text.len()
            )));
        }
        let (mut includes, mut excludes) = (Vec::new(), Vec::new());
        for pattern in text.split(',').map(str::trim) {
            match pattern.strip_prefix('-') {
                _ if pattern.is_empty() => {}
                Some("") => {}
                Some(excluded) => excludes.push(parts(excluded)),
                None => includes.push(parts(pattern)),
            }
        }
        let some = |patterns: Vec<Vec<String>>| {
            let is_some = !patterns.is_empty();
            is_some.then(|| Patterns::of_levels(&patterns))
        };
        Ok(Self {
            includes: some(includes),
            excludes: some(excludes),
        })
    }

    /// Whether there is nothing to filter by.
    pub(crate) fn is_empty(&self) -> bool {
        self.includes.is_none() && self.excludes.is_none()
    }

    /// Returns how many operations a byte of an answer's keys costs.
    pub(crate) fn num_words(&self) -> usize {
        let both = self.includes.iter().chain(&self.excludes);
        both.map(Patterns::num_words).sum()
    }

    /// Returns how much of what stands under `key` at the top can be left.
    pub(crate) fn share_of(&self, key: &str) -> Share {
        let Some(place) = self.below(&self.start(), key) else {
            return Share::Nothing;
        };
        let excludes = self.excludes.as_ref().zip(place.excluded.as_ref());
        let may_exclude = excludes.is_some_and(|(all, state)| all.may_match_below(state));
        let includes = self.includes.as_ref().zip(place.included.as_ref());
        match includes {
            Some((all, state)) if !all.may_match_below(state) => Share::Nothing,
            Some(_) => Share::Part,
            None if may_exclude => Share::Part,
            None => Share::Whole,
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
        let mut out = String::new();
        self.write_left(text, &mut out).ok()?;
        Some(out)
    }

    /// Writes what is left of an answer, as [`FilterPath::left_of`] returns it.
    pub(super) fn write_left(&self, text: &str, out: &mut impl Out) -> Result<(), Unwritten> {
        let mut reader = Reader::new(text);
        if !self.value(&mut reader, MAX_LEVELS, &self.start(), out)? {
            out.push("{}")?;
        }
        reader.end()
    }

    fn start(&self) -> Place {
        Place {
            included: self.includes.as_ref().map(Patterns::start),
            excluded: self.excludes.as_ref().map(Patterns::start),
        }
    }

    /// Returns the place of the member `name`; `None` where it is left out.
    fn below(&self, place: &Place, name: &str) -> Option<Place> {
        let mut below = place.clone();
        if let (Some(patterns), Some(state)) = (&self.excludes, &mut below.excluded) {
            patterns.enter(state, name);
            if patterns.is_matched(state) {
                return None;
            }
            if !state.is_alive() {
                below.excluded = None;
            }
        }
        if let (Some(patterns), Some(state)) = (&self.includes, &mut below.included) {
            patterns.enter(state, name);
            if patterns.is_matched(state) {
                below.included = None;
            } else if !state.is_alive() {
                return None;
            }
        }
        Some(below)
    }

    /// Passes over a value and writes what is left of it; returns whether that is anything.
    fn value(
        &self,
        reader: &mut Reader<'_>,
        levels: usize,
        place: &Place,
        out: &mut impl Out,
    ) -> Result<bool, Unwritten> {
        if place.included.is_none() && place.excluded.is_none() {
            reader.copy(levels, None, out)?;
            return Ok(true);
        }
        let brackets = match reader.peek() {
            Some(b'{') => ["{", "}"],
            Some(b'[') => ["[", "]"],
            _ => {
                let scalar = reader.scalar()?;
                let is_kept = place.included.is_none();
                if is_kept {
                    out.push(scalar)?;
                }
                return Ok(is_kept);
            }
        };
        let levels = reader.enter(levels)?;
        let start = out.len();
        out.push(brackets[0])?;
        let (mut is_first, mut is_empty) = (true, true);
        while reader.goes_on(is_first, brackets[1])? {
            is_first = false;
            let before = out.len();
            if !is_empty {
                out.push(",")?;
            }
            let is_kept = match brackets[0] {
                "{" => self.member(reader, levels, place, out)?,
                _ => self.value(reader, levels, place, out)?,
            };
            match is_kept {
                true => is_empty = false,
                false => out.truncate(before),
            }
        }
        let was_kept_empty = is_first && place.included.is_none();
        if is_empty && !was_kept_empty {
            out.truncate(start);
            return Ok(false);
        }
        out.push(brackets[1])?;
        Ok(true)
    }

    fn member(
        &self,
        reader: &mut Reader<'_>,
        levels: usize,
        place: &Place,
        out: &mut impl Out,
    ) -> Result<bool, Unwritten> {
        let key = reader.key()?;
        let Some(below) = self.below(place, &name(key)) else {
            reader.copy(levels, None, &mut Nothing)?;
            return Ok(false);
        };
        out.push(key)?;
        out.push(":")?;
        self.value(reader, levels, &below, out)
    }
}

/// How far the patterns have matched at a path.
#[derive(Clone)]
struct Place {
    /// `None` where a pattern covers it, or there is none.
    included: Option<State>,
    /// `None` where nothing at or below it is left out.
    excluded: Option<State>,
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
        FilterPath::parse(path).expect("short").apply(answer)
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
            assert_eq!(
                FilterPath::parse(path).expect("short").share_of("hits"),
                share,
                "{path}"
            );
        }
    }

    #[test]
    fn names_are_told_by_what_they_stand_for() {
        let answer = r#"{"\u0061":{"b":1.10,"b":1e400},"c":2}"#;
        let left = FilterPath::parse("a.b").expect("short").left_of(answer);
        assert_eq!(left.as_deref(), Some(r#"{"\u0061":{"b":1.10,"b":1e400}}"#));
    }

    #[test]
    fn nothing_left_is_an_empty_object() {
        assert_eq!(filtered("absent"), json!({}));
    }

    #[test]
    fn levels_of_stars_cost_no_more_than_their_length() {
        let answer =
            |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        let stars = vec!["**"; 100].join(".");
        let filter = FilterPath::parse(&stars).expect("short");
        assert_eq!(filter.left_of(&answer(100)), Some(answer(100)));
        let filter = FilterPath::parse(&format!("{stars}.b,-{stars}.c")).expect("short");
        assert_eq!(filter.left_of(&answer(100)).as_deref(), Some("{}"));
    }

    #[test]
    fn more_patterns_than_a_first_line_has_are_refused() {
        let refused = FilterPath::parse(&"**.".repeat(3_000)).expect_err("long");
        assert_eq!(refused.status, http::StatusCode::BAD_REQUEST);
        assert!(
            refused.reason().contains("at most [8192]"),
            "{}",
            refused.reason()
        );
    }
}
