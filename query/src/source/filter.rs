//! [`SourcePatterns`]: keeps what `includes` name and `excludes` do not.
//!
//! Patterns are matched by an automaton that goes along with the document's keys, so the cost is that of
//! the document, whatever the patterns are. One that is large is filtered while the caller wants it.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::patterns::{Patterns, State};
use crate::search::SourceFilter;

/// Work after which the caller is asked whether to go on: bytes read, and words of states for bytes of
/// keys; about a millisecond.
const PAUSE: usize = 1 << 20;

/// Why a document was not filtered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// It is no JSON object.
    #[error("a stored `_source` is no JSON object: {0}")]
    Damaged(String),
    /// The caller wants it no more.
    #[error("filtering `_source` was called off")]
    CalledOff,
}

/// What of documents is kept, prepared for many of them.
///
/// A pattern names a path and all below it; `*` stands for any run of characters, dots included, and
/// a key with dots is a path. Elements of arrays have the path of the array.
#[derive(Debug, Clone)]
pub struct SourcePatterns {
    includes: Option<Patterns>,
    excludes: Option<Patterns>,
}

impl SourcePatterns {
    /// Prepares the patterns of `filter`; whether it is enabled is the caller's matter.
    pub fn new(filter: &SourceFilter) -> Self {
        let some = |patterns: &[String]| {
            let is_some = !patterns.is_empty();
            is_some.then(|| Patterns::of_paths(patterns))
        };
        Self {
            includes: some(&filter.includes),
            excludes: some(&filter.excludes),
        }
    }

    /// Returns how many operations a byte of a key costs.
    pub(super) fn num_words(&self) -> usize {
        let both = self.includes.iter().chain(&self.excludes);
        both.map(Patterns::num_words).sum()
    }

    /// Whether documents are kept as they are.
    pub fn keep_all(&self) -> bool {
        self.includes.is_none() && self.excludes.is_none()
    }

    /// Returns `source` with only the paths that the patterns let through; the bytes as they are when all
    /// are. `keep_on` is asked every millisecond or so whether that is still wanted.
    ///
    /// # Errors
    /// [`SourceFault`].
    pub fn filter(&self, source: &Bytes, keep_on: &dyn Fn() -> bool) -> Result<Bytes, SourceFault> {
        if self.keep_all() {
            return Ok(source.clone());
        }
        let damaged = |fault: &dyn fmt::Display| SourceFault::Damaged(fault.to_string());
        let text = std::str::from_utf8(source).map_err(|fault| damaged(&fault))?;
        let rules = Rules {
            patterns: self,
            keep_on,
            work: Cell::new(0),
            is_called_off: Cell::new(false),
        };
        let place = Place {
            included: self.includes.as_ref().map(Patterns::start),
            excluded: self.excludes.as_ref().map(Patterns::start),
        };
        let mut out = String::new();
        let object = Members {
            rules: &rules,
            place: &place,
            is_top: true,
            out: &mut out,
        };
        let mut reader = serde_json::Deserializer::from_str(text);
        match reader.deserialize_map(object) {
            Ok(true) => {}
            Ok(false) => out.push_str("{}"),
            Err(_) if rules.is_called_off.get() => return Err(SourceFault::CalledOff),
            Err(fault) => return Err(damaged(&fault)),
        }
        Ok(Bytes::from(out))
    }
}

/// How far the patterns have matched at a path.
#[derive(Clone)]
struct Place {
    /// `None` where an include covers it, so that everything below is included unless excluded.
    included: Option<State>,
    /// `None` where no exclude can name anything at or below it.
    excluded: Option<State>,
}

struct Rules<'a> {
    patterns: &'a SourcePatterns,
    keep_on: &'a dyn Fn() -> bool,
    work: Cell<usize>,
    is_called_off: Cell<bool>,
}

impl Rules<'_> {
    /// Counts work; an error ends it.
    fn work<E: serde::de::Error>(&self, amount: usize) -> Result<(), E> {
        let done = self.work.get() + amount;
        self.work.set(done);
        if done < PAUSE {
            return Ok(());
        }
        self.work.set(0);
        if (self.keep_on)() {
            return Ok(());
        }
        self.is_called_off.set(true);
        Err(E::custom("called off"))
    }

    /// Returns the place of the member `name` of an object at `place`; `None` where it is left out.
    fn below<E: serde::de::Error>(
        &self,
        place: &Place,
        name: &str,
        is_top: bool,
    ) -> Result<Option<Place>, E> {
        let mut below = place.clone();
        let dot = if is_top { "" } else { "." };
        let step = |patterns: &Patterns, state: &mut State| {
            self.work(patterns.num_words() * (name.len() + 4))?;
            patterns.walk(state, dot);
            Ok(patterns.walk(state, name))
        };
        if let (Some(patterns), Some(state)) = (&self.patterns.excludes, &mut below.excluded) {
            if step(patterns, state)? {
                return Ok(None);
            }
            if !state.is_alive() {
                below.excluded = None;
            }
        }
        if let (Some(patterns), Some(state)) = (&self.patterns.includes, &mut below.included) {
            if step(patterns, state)? {
                below.included = None;
            } else if !state.is_alive() {
                return Ok(None);
            }
        }
        Ok(Some(below))
    }

    /// Writes what is kept of a value at `place`; returns whether anything was written.
    fn value<E: serde::de::Error>(
        &self,
        text: &str,
        place: &Place,
        out: &mut String,
    ) -> Result<bool, E> {
        self.work(text.len())?;
        let is_included = place.included.is_none();
        if is_included && place.excluded.is_none() {
            out.push_str(text);
            return Ok(true);
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let rules = self;
        let written = match text.as_bytes().first() {
            Some(b'{') => reader.deserialize_map(Members {
                rules,
                place,
                is_top: false,
                out,
            }),
            Some(b'[') => reader.deserialize_seq(Elements { rules, place, out }),
            _ if is_included => {
                out.push_str(text);
                Ok(true)
            }
            _ => Ok(false),
        };
        written.map_err(E::custom)
    }
}

/// Writes what is kept of an object, and whether that is anything: one that an include covers is kept
/// even when it is empty.
struct Members<'a, 'r> {
    rules: &'a Rules<'r>,
    place: &'a Place,
    is_top: bool,
    out: &'a mut String,
}

impl<'de> Visitor<'de> for Members<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut written = OpenContainer::begin('{', self.out);
        while let Some(key) = map.next_key::<&RawValue>()? {
            let value: &RawValue = map.next_value()?;
            let name = key_name::<A::Error>(key.get())?;
            let below = self.rules.below(self.place, &name, self.is_top)?;
            let Some(below) = below else {
                continue;
            };
            let before = written.separate();
            written.out.push_str(key.get());
            written.out.push(':');
            let text = value.get().trim();
            let is_kept = self.rules.value(text, &below, written.out)?;
            written.settle(before, is_kept);
        }
        Ok(written.end('}', self.place))
    }
}

/// Writes what is kept of an array, as [`Members`] does.
struct Elements<'a, 'r> {
    rules: &'a Rules<'r>,
    place: &'a Place,
    out: &'a mut String,
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let mut written = OpenContainer::begin('[', self.out);
        while let Some(item) = items.next_element::<&RawValue>()? {
            let before = written.separate();
            let text = item.get().trim();
            let is_kept = self.rules.value(text, self.place, written.out)?;
            written.settle(before, is_kept);
        }
        Ok(written.end(']', self.place))
    }
}

/// An object or array that is being written.
struct OpenContainer<'a> {
    out: &'a mut String,
    start: usize,
    is_empty: bool,
}

impl<'a> OpenContainer<'a> {
    fn begin(bracket: char, out: &'a mut String) -> Self {
        let start = out.len();
        out.push(bracket);
        Self {
            out,
            start,
            is_empty: true,
        }
    }

    /// Makes room for another part; returns where to go back to when nothing of it is kept.
    fn separate(&mut self) -> usize {
        let before = self.out.len();
        if !self.is_empty {
            self.out.push(',');
        }
        before
    }

    fn settle(&mut self, before: usize, is_kept: bool) {
        if is_kept {
            self.is_empty = false;
        } else {
            self.out.truncate(before);
        }
    }

    /// Ends what stands at `place`; returns whether anything is left of it.
    fn end(self, bracket: char, place: &Place) -> bool {
        if self.is_empty && place.included.is_some() {
            self.out.truncate(self.start);
            return false;
        }
        self.out.push(bracket);
        true
    }
}

/// Returns the name a quoted key stands for.
fn key_name<E: serde::de::Error>(key: &str) -> Result<Cow<'_, str>, E> {
    let inner = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        _ => serde_json::from_str::<String>(key)
            .map(Cow::Owned)
            .map_err(E::custom),
    }
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
        let source = Bytes::copy_from_slice(source.as_bytes());
        let kept = SourcePatterns::new(&filter).filter(&source, &|| true);
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
        let patterns = SourcePatterns::new(&filter);
        for bad in ["", "[1]", "{", "\u{1}"] {
            let filtered = patterns.filter(&Bytes::from_static(bad.as_bytes()), &|| true);
            assert!(matches!(filtered, Err(SourceFault::Damaged(_))), "{bad}");
        }
    }

    #[test]
    fn a_document_that_nobody_wants_any_more_is_not_filtered_to_its_end() {
        let source = format!(r#"{{"a":{{"b":[{}"x"]}}}}"#, r#""text","#.repeat(1 << 18));
        let filter = SourceFilter {
            includes: vec!["a.b.c*d".to_owned()],
            ..SourceFilter::default()
        };
        let num_asked = Cell::new(0);
        let keep_on = || {
            num_asked.set(num_asked.get() + 1);
            num_asked.get() < 3
        };
        let filtered = SourcePatterns::new(&filter).filter(&Bytes::from(source), &keep_on);
        assert_eq!(filtered, Err(SourceFault::CalledOff));
        assert_eq!(num_asked.get(), 3);
    }

    #[test]
    fn many_patterns_of_many_stars_cost_what_their_length_does() {
        let stars = "*a*b".repeat(1 << 10);
        let filter = SourceFilter {
            excludes: vec![stars.clone() + "x", stars.clone() + "y", stars + "z"],
            ..SourceFilter::default()
        };
        let key = "ab".repeat(2_000);
        let source = Bytes::from(format!(r#"{{"{key}":{{"{key}":1}}}}"#));
        let kept = SourcePatterns::new(&filter).filter(&source, &|| true);
        assert_eq!(kept, Ok(source));
    }
}
