//! The parameters of one field, read one by one; what nobody asked for is refused by name.

use serde_json::{Map, Value};

use super::{Declaration, malformed};
use crate::error::QueryError;
use crate::json::scalar_text;

/// Reads the parameters of a field and keeps them, normalised, for echoing.
pub(super) struct Parameters<'a> {
    path: &'a str,
    type_name: &'a str,
    entries: &'a Map<String, Value>,
    declared: Map<String, Value>,
    declaration: Declaration,
}

impl<'a> Parameters<'a> {
    /// Reads `entries`; values without effect are taken as they are where the field was taken before.
    pub(super) fn new(
        path: &'a str,
        type_name: &'a str,
        entries: &'a Map<String, Value>,
        declaration: Declaration,
    ) -> Self {
        let mut declared = Map::new();
        declared.insert("type".to_owned(), Value::from(type_name));
        Self {
            path,
            type_name,
            entries,
            declared,
            declaration,
        }
    }

    /// Checks `key`, which has no effect here, unless the field was taken before.
    pub(super) fn without_effect(
        &mut self,
        key: &str,
        check: impl FnOnce(&mut Self) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        if self.is_kept() {
            self.accept(&[key]);
            return Ok(());
        }
        check(self)
    }

    /// Reads the flag `key`, which has no effect here.
    pub(super) fn flag_without_effect(&mut self, key: &str) -> Result<(), QueryError> {
        self.without_effect(key, |from| from.bool(key, false).map(drop))
    }

    /// Returns whether the field was taken before.
    pub(super) fn is_kept(&self) -> bool {
        self.declaration == Declaration::Kept
    }

    /// Returns the field's path.
    pub(super) fn path(&self) -> &'a str {
        self.path
    }

    /// Returns whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Refuses the keys that were not asked for; returns the others as declared.
    pub(super) fn finish(self) -> Result<Map<String, Value>, QueryError> {
        // Read elsewhere.
        let inner = match self.type_name {
            "object" | "nested" => "properties",
            _ => "fields",
        };
        let is_unknown =
            |key: &&String| key.as_str() != inner && !self.declared.contains_key(key.as_str());
        match self.entries.keys().find(is_unknown) {
            None => Ok(self.declared),
            Some(key) => Err(malformed(format!(
                "unknown parameter [{key}] on mapper [{}] of type [{}]",
                self.path, self.type_name
            ))),
        }
    }

    /// Takes `keys` as they are: they have no effect here.
    pub(super) fn accept(&mut self, keys: &[&str]) {
        for key in keys {
            if let Some(value) = self.entries.get(*key) {
                self.declared.insert((*key).to_owned(), value.clone());
            }
        }
    }

    /// Takes `key` only with the one value that we honour.
    pub(super) fn only(&mut self, key: &str, wanted: &str) -> Result<(), QueryError> {
        match self.string(key)? {
            Some(text) if text != wanted => Err(self.unsupported(key, &text)),
            Some(_) => {
                // Names are no JSON: they stay texts.
                if let Ok(value) = wanted.parse::<Value>() {
                    self.keep(key, value);
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Keeps `value` as what was declared of `key`.
    pub(super) fn keep(&mut self, key: &str, value: Value) {
        self.declared.insert(key.to_owned(), value);
    }

    /// Keeps what a text was read as; a value that was given in a type of its own stays as it is.
    pub(super) fn keep_read(&mut self, key: &str, value: impl Into<Value>) {
        if self.entries.get(key).is_some_and(Value::is_string) {
            self.keep(key, value.into());
        }
    }

    pub(super) fn bool(&mut self, key: &str, default: bool) -> Result<bool, QueryError> {
        let Some(value) = self.entries.get(key) else {
            return Ok(default);
        };
        let flag = match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let flag = flag.ok_or_else(|| {
            malformed(format!(
                "Failed to parse value [{}] as only [true] or [false] are allowed. \
                 Parameter [{key}] on field [{}]",
                scalar_text(value).unwrap_or_default(),
                self.path
            ))
        })?;
        self.keep(key, Value::Bool(flag));
        Ok(flag)
    }

    /// Reads text; numbers and booleans give theirs.
    pub(super) fn string(&mut self, key: &str) -> Result<Option<String>, QueryError> {
        let Some(value) = self.entries.get(key).filter(|value| !value.is_null()) else {
            self.accept(&[key]);
            return Ok(None);
        };
        let Some(text) = scalar_text(value) else {
            return Err(self.wrong(key, "a string"));
        };
        self.declared.insert(key.to_owned(), value.clone());
        Ok(Some(text))
    }

    /// Takes a value of any form; `null` is none.
    pub(super) fn any(&mut self, key: &str) -> Option<&'a Value> {
        self.accept(&[key]);
        self.entries.get(key).filter(|value| !value.is_null())
    }

    /// Reads a whole number ≥ 0.
    pub(super) fn count(&mut self, key: &str) -> Result<Option<u32>, QueryError> {
        let Some(text) = self.string(key)? else {
            return Ok(None);
        };
        let count = text
            .parse::<u32>()
            .map_err(|_| self.wrong(key, "a whole number, 0 or more"))?;
        self.declared.insert(key.to_owned(), Value::from(count));
        Ok(Some(count))
    }

    /// Reads a finite number.
    pub(super) fn number(&mut self, key: &str) -> Result<Option<f64>, QueryError> {
        let Some(text) = self.string(key)? else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        let number = number.ok_or_else(|| self.wrong(key, "a number"))?;
        self.keep_read(key, number);
        Ok(Some(number))
    }

    /// Reads one string or a list of them.
    pub(super) fn strings(&mut self, key: &str) -> Result<Vec<String>, QueryError> {
        let Some(value) = self.entries.get(key) else {
            return Ok(Vec::new());
        };
        let read = |value: &Value| value.as_str().map(str::to_owned);
        let texts = match value {
            Value::Array(items) => items.iter().map(read).collect(),
            _ => read(value).map(|text| vec![text]),
        };
        let texts: Vec<String> = texts.ok_or_else(|| self.wrong(key, "a string or a list"))?;
        self.declared
            .insert(key.to_owned(), Value::from(texts.clone()));
        Ok(texts)
    }

    pub(super) fn unsupported(&self, key: &str, value: &str) -> QueryError {
        malformed(format!(
            "[{key}] of [{value}] on field [{}] is not supported",
            self.path
        ))
    }

    pub(super) fn wrong(&self, key: &str, wanted: &str) -> QueryError {
        malformed(format!(
            "parameter [{key}] on field [{}] of type [{}] must be {wanted}",
            self.path, self.type_name
        ))
    }
}
