//! A setting as given, read as the type its place wants; errors name key and value.

use std::str::FromStr;

use serde_json::Value;

use super::wrong;
use crate::error::QueryError;
use crate::json::scalar_text;

/// One setting as given.
pub(super) struct GivenSetting<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a Value,
}

impl GivenSetting<'_> {
    /// Reads a scalar as text.
    pub(super) fn text(&self) -> Result<String, QueryError> {
        scalar_text(self.value).ok_or_else(|| {
            wrong(format!(
                "Failed to parse value [{}] for setting [{}]",
                self.value, self.key
            ))
        })
    }

    /// Reads a whole number between `low` and `high`.
    pub(super) fn number(&self, low: u64, high: u64) -> Result<u64, QueryError> {
        let text = self.text()?;
        let refuse = |bound: String| {
            wrong(format!(
                "Failed to parse value [{text}] for setting [{}]{bound}",
                self.key
            ))
        };
        let number: i128 = text.parse().map_err(|_| refuse(String::new()))?;
        if number < i128::from(low) {
            return Err(refuse(format!(" must be >= {low}")));
        }
        if number > i128::from(high) {
            return Err(refuse(format!(" must be <= {high}")));
        }
        Ok(number as u64)
    }

    /// Reads a whole number that counts something in memory, up to 2³¹ − 1.
    pub(super) fn count(&self, low: u64) -> Result<usize, QueryError> {
        Ok(self.number(low, i32::MAX as u64)? as usize)
    }

    /// Reads a text of a form of its own.
    pub(super) fn parsed<T: FromStr>(&self) -> Result<T, QueryError> {
        let text = self.text()?;
        let refused = |_| {
            wrong(format!(
                "Failed to parse value [{text}] for setting [{}]",
                self.key
            ))
        };
        text.parse().map_err(refused)
    }

    /// Reads `true` or `false`.
    pub(super) fn flag(&self) -> Result<bool, QueryError> {
        let text = self.text()?;
        text.parse().map_err(|_| {
            wrong(format!(
                "Failed to parse value [{text}] as only [true] or [false] are allowed. Setting \
                 [{}]",
                self.key
            ))
        })
    }

    /// Reads one text, a comma-separated one, or a list.
    pub(super) fn texts(&self) -> Result<Vec<String>, QueryError> {
        if let Value::Array(items) = self.value {
            let read = |item| {
                GivenSetting {
                    value: item,
                    ..*self
                }
                .text()
            };
            return items.iter().map(read).collect();
        }
        let text = self.text()?;
        Ok(text.split(',').map(|part| part.trim().to_owned()).collect())
    }
}
