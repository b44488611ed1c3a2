//! The fields of API keys that can be asked for, and their values.

use gleaner_query::QueryError;
use gleaner_query::date::DateReader;
use gleaner_query::json::scalar_text;
use serde_json::Value;

use super::super::username;
use super::Entry;

/// Format of dates where a request names none: as of date fields in the dialect.
pub(super) const DATE_FORMAT: &str = "strict_date_optional_time||epoch_millis";

/// A field of API keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Id,
    Name,
    Username,
    Creation,
    Expiration,
    Invalidated,
}

/// A value of a field; those of one field have one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FieldValue {
    Text(String),
    /// Milliseconds since the epoch.
    Date(i64),
    Flag(bool),
}

impl Field {
    const ALL: [Self; 6] = [
        Self::Id,
        Self::Name,
        Self::Username,
        Self::Creation,
        Self::Expiration,
        Self::Invalidated,
    ];

    /// Returns the field called `name`.
    ///
    /// # Errors
    /// `illegal_argument_exception` for other names.
    pub(super) fn parse(name: &str) -> Result<Self, QueryError> {
        let known = Self::ALL.into_iter().find(|field| field.name() == name);
        known.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(",");
            QueryError::illegal(format!(
                "Field [{name}] is not allowed for querying or sorting API keys, known are [{known}]"
            ))
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "name",
            Self::Username => "username",
            Self::Creation => "creation",
            Self::Expiration => "expiration",
            Self::Invalidated => "invalidated",
        }
    }

    /// Returns the dialect's name of the type of its values.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Id | Self::Name | Self::Username => "keyword",
            Self::Creation | Self::Expiration => "date",
            Self::Invalidated => "boolean",
        }
    }

    pub(super) fn is_text(self) -> bool {
        self.type_name() == "keyword"
    }

    pub(super) fn is_date(self) -> bool {
        self.type_name() == "date"
    }

    /// Returns the text of a key, where the field has texts.
    pub(super) fn text(self, entry: Entry<'_>) -> Option<&str> {
        match self {
            Self::Id => Some(entry.id),
            Self::Name => Some(&entry.key.name),
            Self::Username => Some(username(entry.id, entry.key)),
            Self::Creation | Self::Expiration | Self::Invalidated => None,
        }
    }

    /// Returns the value of a key; `None` where it has none.
    pub(super) fn value(self, entry: Entry<'_>) -> Option<FieldValue> {
        match self {
            Self::Id | Self::Name | Self::Username => {
                let text = self.text(entry)?;
                Some(FieldValue::Text(text.to_owned()))
            }
            Self::Creation => Some(FieldValue::Date(entry.key.created_ms)),
            Self::Expiration => entry.key.expires_ms.map(FieldValue::Date),
            Self::Invalidated => Some(FieldValue::Flag(entry.key.invalidated_ms.is_some())),
        }
    }

    /// Reads a value of a request; a date that leaves out its last parts is the last instant that it names with
    /// `round_up`, else the first.
    ///
    /// # Errors
    /// `illegal_argument_exception` for values of another type, `parse_exception` for dates that cannot be read.
    pub(super) fn read(
        self,
        value: &Value,
        dates: &DateReader<'_>,
        round_up: bool,
    ) -> Result<FieldValue, QueryError> {
        match self.is_date() {
            true => {
                self.read_text(value)?;
                dates.read(value, round_up).map(FieldValue::Date)
            }
            false => self.read_undated(value),
        }
    }

    /// Reads a value of a field that has no dates.
    ///
    /// # Errors
    /// `illegal_argument_exception` for values of another type, and for a field of dates.
    pub(super) fn read_undated(self, value: &Value) -> Result<FieldValue, QueryError> {
        let text = self.read_text(value)?;
        match (self, text.as_str()) {
            (Self::Id | Self::Name | Self::Username, _) => Ok(FieldValue::Text(text)),
            (Self::Invalidated, "true") => Ok(FieldValue::Flag(true)),
            (Self::Invalidated, "false" | "") => Ok(FieldValue::Flag(false)),
            (Self::Invalidated | Self::Creation | Self::Expiration, other) => {
                Err(self.wrong(other))
            }
        }
    }

    /// Reads a value of a request as a text.
    ///
    /// # Errors
    /// `illegal_argument_exception` for objects, arrays and `null`.
    pub(super) fn read_text(self, value: &Value) -> Result<String, QueryError> {
        let text = scalar_text(value);
        text.ok_or_else(|| self.wrong(&value.to_string()))
    }

    fn wrong(self, value: &str) -> QueryError {
        let (name, type_name) = (self.name(), self.type_name());
        QueryError::illegal(format!(
            "[{value}] is no value of the field [{name}] of type [{type_name}]"
        ))
    }
}
