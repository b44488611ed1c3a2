//! What dates count.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::DateFormat;

/// Nanoseconds of a millisecond.
pub const NANOS_PER_MILLI: i64 = 1_000_000;

/// What the values of a field of dates count since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolution {
    /// Milliseconds: `date`.
    #[default]
    Millis,
    /// Milliseconds, though it is called `date_nanos`: indices that were made by earlier versions keep what they have.
    MillisOfNanos,
    /// Nanoseconds, of the years 1970 to 2262: `date_nanos`.
    Nanos,
}

impl Resolution {
    /// Default format of `date_nanos` fields.
    pub const NANOS_FORMAT: &'static str = "strict_date_optional_time_nanos||epoch_millis";

    /// Returns the dialect's name of the type.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Millis => "date",
            Self::MillisOfNanos | Self::Nanos => "date_nanos",
        }
    }

    /// Returns whether values count nanoseconds.
    pub fn is_nanos(self) -> bool {
        self == Self::Nanos
    }

    /// Returns the format of fields that give none.
    pub fn default_format(self) -> &'static str {
        match self {
            Self::Millis | Self::MillisOfNanos => DateFormat::DEFAULT,
            Self::Nanos => Self::NANOS_FORMAT,
        }
    }

    pub(super) fn is_of_dates(&self) -> bool {
        *self == Self::Millis
    }
}

/// As it is stored: a boolean by versions that knew milliseconds alone, text since.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Declared(bool),
    Kept(Kept),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Nanos,
}

impl Serialize for Resolution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = match self {
            Self::Millis => Stored::Declared(false),
            Self::MillisOfNanos => Stored::Declared(true),
            Self::Nanos => Stored::Kept(Kept::Nanos),
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Resolution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Stored::deserialize(deserializer)? {
            Stored::Declared(false) => Self::Millis,
            Stored::Declared(true) => Self::MillisOfNanos,
            Stored::Kept(Kept::Nanos) => Self::Nanos,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_earlier_versions_stored_keeps_its_milliseconds() {
        for (stored, resolution) in [
            (json!(false), Resolution::Millis),
            (json!(true), Resolution::MillisOfNanos),
            (json!("nanos"), Resolution::Nanos),
        ] {
            let read: Resolution = serde_json::from_value(stored.clone()).expect("it is read");
            assert_eq!(read, resolution);
            assert_eq!(serde_json::to_value(read).expect("it is written"), stored);
        }
        assert!(serde_json::from_value::<Resolution>(json!("micros")).is_err());
    }
}
