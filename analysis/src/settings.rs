//! One definition out of an index's `analysis` settings, read leniently as the dialect does:
//! numbers and booleans may be strings, a list may be one string with commas. Keys that nothing reads
//! are ignored, as the dialect does, and named to the caller; those that the dialect has and we do not are
//! refused.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::error::{AnalysisError, Component};

/// Settings of the dialect that change what is found and are not supported, beside all that name a file.
const UNSUPPORTED: [&str; 3] = ["synonyms_set", "tokenizer_factory", "unicode_set_filter"];

/// Settings that nothing reads, each as a sentence that names it.
pub(crate) type UnusedSettings = RefCell<BTreeSet<String>>;

/// The parameters of one building block.
#[derive(Debug)]
pub(crate) struct Params<'a> {
    pub(crate) component: Component,
    pub(crate) name: &'a str,
    map: Option<&'a Map<String, Value>>,
    read: RefCell<Vec<String>>,
}

impl<'a> Params<'a> {
    /// Returns the parameters of a definition; `None` for a building block named without one.
    pub(crate) fn new(
        component: Component,
        name: &'a str,
        map: Option<&'a Map<String, Value>>,
    ) -> Self {
        // `type` is read by the registry; `version` is accepted, and means nothing, everywhere.
        let read = RefCell::new(vec!["type".to_owned(), "version".to_owned()]);
        Self {
            component,
            name,
            map,
            read,
        }
    }

    /// False for a building block that is named without a definition.
    pub(crate) fn has_definition(&self) -> bool {
        self.map.is_some()
    }

    /// Returns the raw value; a JSON null counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.read.borrow_mut().push(key.to_owned());
        self.map?.get(key).filter(|value| !value.is_null())
    }

    /// Returns an integer from 0 to 2^32 - 1.
    pub(crate) fn count(&self, key: &str, default: usize) -> Result<usize, AnalysisError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        let number = match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse::<u64>().ok(),
            _ => None,
        };
        match number.filter(|&number| number <= u64::from(u32::MAX)) {
            Some(number) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
            None => Err(self.bad(key, format!("must be a number from 0, but was [{value}]"))),
        }
    }

    /// Returns an integer of at least 1.
    pub(crate) fn positive(&self, key: &str, default: usize) -> Result<usize, AnalysisError> {
        match self.count(key, default)? {
            0 => Err(self.bad(key, "must be at least 1, but was [0]".to_owned())),
            number => Ok(number),
        }
    }

    /// Returns a boolean.
    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, AnalysisError> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(value) => {
                Err(self.bad(key, format!("must be [true] or [false], but was [{value}]")))
            }
        }
    }

    /// Returns a string; numbers and booleans are taken as their text.
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, AnalysisError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match scalar_text(value) {
                Some(text) => Ok(Some(text)),
                None => Err(self.bad(key, "must be a string".to_owned())),
            },
        }
    }

    /// Returns a list of strings; one string is split at commas.
    pub(crate) fn list(&self, key: &str) -> Result<Option<Vec<String>>, AnalysisError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(
                text.split(',')
                    .map(|part| part.trim().to_owned())
                    .filter(|part| !part.is_empty())
                    .collect(),
            )),
            Some(_) => self.lines(key),
        }
    }

    /// Returns a list of strings; one string stands for itself, commas and all.
    pub(crate) fn lines(&self, key: &str) -> Result<Option<Vec<String>>, AnalysisError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(vec![text.clone()])),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| {
                    scalar_text(item)
                        .ok_or_else(|| self.bad(key, "must be a list of strings".to_owned()))
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(self.bad(key, "must be a list of strings".to_owned())),
        }
    }

    /// Returns the error for a setting of the wrong form.
    pub(crate) fn bad(&self, key: &str, reason: impl Into<String>) -> AnalysisError {
        AnalysisError::BadSetting {
            component: self.component,
            name: self.name.to_owned(),
            key: key.to_owned(),
            reason: reason.into(),
        }
    }

    /// Returns the error for a type that exists in the dialect but not here.
    pub(crate) fn unsupported(&self, kind: &str) -> AnalysisError {
        AnalysisError::Unsupported {
            component: self.component,
            kind: kind.to_owned(),
            name: self.name.to_owned(),
        }
    }

    /// Adds to `ignored` what names each key that nothing asked for; refuses those that the dialect has.
    pub(crate) fn finish(&self, ignored: &UnusedSettings) -> Result<(), AnalysisError> {
        let read = self.read.borrow();
        let keys = self.map.into_iter().flat_map(Map::keys);
        for key in keys.filter(|key| !read.contains(key)) {
            if key.ends_with("_path") || UNSUPPORTED.contains(&key.as_str()) {
                return Err(AnalysisError::UnsupportedSetting {
                    component: self.component,
                    name: self.name.to_owned(),
                    key: key.clone(),
                });
            }
            let (component, name) = (self.component, self.name);
            let text = format!("unknown setting [{key}] of {component} [{name}] was ignored");
            ignored.borrow_mut().insert(text);
        }
        Ok(())
    }
}

fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Resolves `\n`, `\t`, `\r`, `\b`, `\f` and `\uXXXX`; any other character after a backslash stands for itself.
/// Returns `None` for an escape that is none.
pub(crate) fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{C}',
            'u' => {
                let rest = chars.as_str();
                let digits = rest.get(..4)?;
                chars = rest[4..].chars();
                char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
            }
            other => other,
        });
    }
    Some(out)
}
