//! Reading an object key by key, so that what nobody asked for is refused by name.

use serde_json::{Map, Value};

use super::{did_you_mean, scalar_text, token_name};
use crate::error::{ErrorType, QueryError};

/// Characters of a value that an error message shows.
const SHOWN_CHARS: usize = 80;

/// Keys up to which an object is looked through instead of hashed.
const FEW_KEYS: usize = 8;

/// Hands out the values of an object and remembers what was asked for.
///
/// Numbers and booleans may also be given as strings (`"10"`, `"true"`), as Elasticsearch allows.
/// Call [`ObjectReader::finish`] last: it refuses every key that was not asked for.
#[derive(Debug)]
pub struct ObjectReader<'a> {
    name: &'a str,
    entries: &'a Map<String, Value>,
    asked: Vec<&'static str>,
    is_query: bool,
}

impl<'a> ObjectReader<'a> {
    /// Reads the body of the query called `name`.
    ///
    /// # Errors
    /// `parsing_exception` when `value` is not an object.
    pub fn query(name: &'a str, value: &'a Value) -> Result<Self, QueryError> {
        let entries = value.as_object().ok_or_else(|| {
            QueryError::parsing(format!(
                "[{name}] query malformed, no start_object after query name, but [{}]",
                token_name(value)
            ))
        })?;
        Ok(Self::new(name, entries, true))
    }

    /// Reads the part of a body called `name`, for example `highlight`.
    ///
    /// # Errors
    /// `parsing_exception` when `value` is not an object.
    pub fn part(name: &'a str, value: &'a Value) -> Result<Self, QueryError> {
        let entries = value.as_object().ok_or_else(|| {
            QueryError::parsing(format!(
                "[{name}] expected an object but found [{}]{}",
                token_name(value),
                shown(value)
            ))
        })?;
        Ok(Self::new(name, entries, false))
    }

    fn new(name: &'a str, entries: &'a Map<String, Value>, is_query: bool) -> Self {
        Self {
            name,
            entries,
            asked: Vec::with_capacity(16),
            is_query,
        }
    }

    /// Returns the name errors speak of.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Returns the value of `key` and counts it as known.
    pub fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.asked.push(key);
        self.find(key)
    }

    /// Returns the value of `key`. A body has a few of the many keys that could be in it, and hashing each
    /// of those costs more than looking at what is there.
    fn find(&self, key: &str) -> Option<&'a Value> {
        if self.entries.len() > FEW_KEYS {
            return self.entries.get(key);
        }
        let mut entries = self.entries.iter();
        entries.find_map(|(known, value)| (known == key).then_some(value))
    }

    /// Returns the value of the first of `keys` that is present; all count as known.
    pub fn take_any(&mut self, keys: &[&'static str]) -> Option<&'a Value> {
        self.asked.extend(keys);
        keys.iter().find_map(|key| self.find(key))
    }

    /// Counts `keys` as known and ignores their values.
    pub fn ignore(&mut self, keys: &[&'static str]) {
        self.asked.extend(keys);
    }

    /// Refuses `keys` by name where they are present: known to the dialect, not supported here.
    ///
    /// # Errors
    /// `parsing_exception` naming the first of them.
    pub fn unsupported(&self, keys: &[&'static str]) -> Result<(), QueryError> {
        match keys.iter().find(|key| self.find(key).is_some()) {
            None => Ok(()),
            Some(key) => Err(QueryError::parsing(format!(
                "[{}] [{key}] is not supported",
                self.name
            ))),
        }
    }

    /// Refuses `keys` by name where they ask for something: `null`, `{}` and `[]` ask for nothing, and
    /// programs that build bodies out of parts leave them there.
    ///
    /// # Errors
    /// As [`ObjectReader::unsupported`].
    pub fn unsupported_unless_empty(&mut self, keys: &[&'static str]) -> Result<(), QueryError> {
        let asks = |key: &&&'static str| !self.find(key).is_none_or(is_empty);
        if let Some(key) = keys.iter().find(asks) {
            return self.unsupported(&[key]);
        }
        self.ignore(keys);
        Ok(())
    }

    /// Returns the keys not asked for so far with their values, and counts them as known.
    pub fn rest(self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let asked = self.asked;
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .filter(move |(key, _)| !asked.contains(key))
    }

    /// Reads a boolean.
    ///
    /// # Errors
    /// When it is something else, as [`ObjectReader::wrong`].
    pub fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, QueryError> {
        self.read(key, "a boolean", |value| match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => text.parse().ok(),
            _ => None,
        })
    }

    /// Reads a string; numbers and booleans give their text.
    ///
    /// # Errors
    /// When it is something else, as [`ObjectReader::wrong`].
    pub fn text(&mut self, key: &'static str) -> Result<Option<String>, QueryError> {
        self.read(key, "a string", scalar_text)
    }

    /// Reads a whole number ≥ 0.
    ///
    /// # Errors
    /// When it is something else, as [`ObjectReader::wrong`].
    pub fn count(&mut self, key: &'static str) -> Result<Option<u64>, QueryError> {
        self.read(key, "a whole number, 0 or more", |value| {
            whole(value).and_then(|number| u64::try_from(number).ok())
        })
    }

    /// Reads a whole number from 0 to 2³² − 1.
    ///
    /// # Errors
    /// When it is something else, as [`ObjectReader::wrong`].
    pub fn small_count(&mut self, key: &'static str) -> Result<Option<u32>, QueryError> {
        self.read(key, "a whole number, 0 or more", |value| {
            whole(value).and_then(|number| u32::try_from(number).ok())
        })
    }

    /// Reads a whole number of either sign.
    ///
    /// # Errors
    /// When it is something else, as [`ObjectReader::wrong`].
    pub fn integer(&mut self, key: &'static str) -> Result<Option<i64>, QueryError> {
        self.read(key, "a whole number", whole)
    }

    /// Reads a finite number.
    ///
    /// # Errors
    /// When it is something else, as [`ObjectReader::wrong`].
    pub fn number(&mut self, key: &'static str) -> Result<Option<f64>, QueryError> {
        self.read(key, "a number", |value| {
            let number = match value {
                Value::Number(number) => number.as_f64(),
                Value::String(text) => text.parse().ok(),
                _ => None,
            };
            number.filter(|number| number.is_finite())
        })
    }

    /// Reads a factor: a finite number ≥ 0 that a 32-bit float holds.
    ///
    /// # Errors
    /// [`ObjectReader::wrong`] when it is no number, `illegal_argument_exception` when it is negative
    /// or too large.
    pub fn factor(&mut self, key: &'static str) -> Result<Option<f32>, QueryError> {
        let Some(number) = self.number(key)? else {
            return Ok(None);
        };
        let factor = number as f32;
        if factor < 0.0 {
            return Err(QueryError::illegal(format!(
                "negative [{key}] are not allowed in [{}], use a value between 0 and 1 to deboost",
                self.name
            )));
        }
        if !factor.is_finite() {
            return Err(QueryError::illegal(format!(
                "[{}] [{key}] must be a finite number, but was [{number}]",
                self.name
            )));
        }
        Ok(Some(factor))
    }

    /// Reads `boost`; 1 when absent.
    ///
    /// # Errors
    /// See [`ObjectReader::factor`].
    pub fn boost(&mut self) -> Result<f32, QueryError> {
        Ok(self.factor("boost")?.unwrap_or(1.0))
    }

    /// Reads a string or an array of strings; empty when absent.
    ///
    /// # Errors
    /// When it is something else, as [`ObjectReader::wrong`].
    pub fn texts(&mut self, key: &'static str) -> Result<Option<Vec<String>>, QueryError> {
        self.read(
            key,
            "a string or an array of strings",
            |value| match value {
                Value::Array(items) => items.iter().map(scalar_text).collect(),
                single => scalar_text(single).map(|text| vec![text]),
            },
        )
    }

    /// Refuses the first key that was not asked for.
    ///
    /// # Errors
    /// `parsing_exception` naming key and place, with the closest known key when there is one.
    pub fn finish(self) -> Result<(), QueryError> {
        let unknown = self
            .entries
            .keys()
            .find(|key| !self.asked.contains(&key.as_str()));
        let Some(key) = unknown else {
            return Ok(());
        };
        let hint = did_you_mean(key, self.asked.iter().copied());
        Err(if self.is_query {
            QueryError::parsing(format!(
                "[{}] query does not support [{key}]{hint}",
                self.name
            ))
        } else {
            QueryError::new(
                ErrorType::XContentParse,
                format!("[{}] unknown field [{key}]{hint}", self.name),
            )
        })
    }

    /// Returns the error for a value of `key` that is not what is `wanted`: a `parsing_exception` in a query, an
    /// `x_content_parse_exception` elsewhere.
    pub fn wrong(&self, key: &str, wanted: &str, value: &Value) -> QueryError {
        let kind = match self.is_query {
            true => ErrorType::Parsing,
            false => ErrorType::XContentParse,
        };
        let reason = format!(
            "[{}] failed to parse [{key}]: expected {wanted} but found [{}]{}",
            self.name,
            token_name(value),
            shown(value)
        );
        QueryError::new(kind, reason)
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, QueryError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        convert(value)
            .map(Some)
            .ok_or_else(|| self.wrong(key, wanted, value))
    }
}

/// Returns whether a value holds nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(entries) => entries.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Reads a whole number, also from a string or a fraction without a fractional part.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let number = number.as_f64()?;
            // 2^53: above it a double no longer holds every whole number.
            (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0)
                .then_some(number as i64)
        }),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Shows the start of a scalar in brackets, with a space before.
fn shown(value: &Value) -> String {
    scalar_text(value).map_or_else(String::new, |text| {
        let start: String = text.chars().take(SHOWN_CHARS).collect();
        format!(" [{start}]")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_keys_are_refused_by_name_and_place() {
        let body = json!({"query": "x", "operater": "and"});
        let mut reader = ObjectReader::query("match", &body).expect("object");
        reader.ignore(&["query", "operator"]);
        assert_eq!(
            reader.finish().expect_err("unknown").reason,
            "[match] query does not support [operater] did you mean [operator]?"
        );
        let mut reader = ObjectReader::part("pit", &body).expect("object");
        reader.ignore(&["query"]);
        assert_eq!(
            reader.finish().expect_err("unknown").reason,
            "[pit] unknown field [operater]"
        );
    }

    #[test]
    fn numbers_and_booleans_may_be_strings() {
        let body = json!({"a": "10", "b": "true", "c": 3.0, "d": -1, "e": [1, "x"]});
        let mut reader = ObjectReader::part("x", &body).expect("object");
        assert_eq!(reader.count("a"), Ok(Some(10)));
        assert_eq!(reader.boolean("b"), Ok(Some(true)));
        assert_eq!(reader.small_count("c"), Ok(Some(3)));
        assert!(reader.count("d").is_err());
        assert_eq!(reader.integer("d"), Ok(Some(-1)));
        assert_eq!(
            reader.texts("e"),
            Ok(Some(vec!["1".to_owned(), "x".to_owned()]))
        );
        assert!(reader.finish().is_ok());
    }

    #[test]
    fn wrong_values_are_shown() {
        let body = json!({"boost": "high", "slop": -1, "factor": -2});
        let mut reader = ObjectReader::query("match", &body).expect("object");
        assert_eq!(
            reader.boost().expect_err("text").reason,
            "[match] failed to parse [boost]: expected a number but found [VALUE_STRING] [high]"
        );
        let body = json!({"sigma": "high"});
        let mut part = ObjectReader::part("stats", &body).expect("object");
        let wrong = part.number("sigma").expect_err("text");
        assert_eq!(wrong.kind, ErrorType::XContentParse);
        let negative = reader.factor("factor").expect_err("negative");
        assert_eq!(negative.kind, ErrorType::IllegalArgument);
    }
}
