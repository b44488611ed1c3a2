//! Settings of an index that is made from another one with another number of shards.

use gleaner_model::IndexSettings;
use serde_json::Value;

use super::{ANALYSIS, flat, parse_index_settings, wrong};
use crate::error::QueryError;

const NUMBER_OF_SHARDS: &str = "index.number_of_shards";

/// How an index is made from another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// With more shards: a multiple.
    Split,
    /// With fewer shards: a factor.
    Shrink,
    /// With as many shards.
    Clone,
}

impl Resize {
    /// Returns the number of shards that `given` asks for, or that which comes of itself.
    fn number(self, source: u32, given: Option<u32>) -> Result<u32, QueryError> {
        let refused = |reason: String| Err(QueryError::illegal(reason));
        let number = match (self, given) {
            (_, Some(0)) => return refused("the number of shards must be positive".to_owned()),
            (_, Some(given)) => given,
            (Self::Shrink, None) => 1,
            (Self::Clone, None) => source,
            (Self::Split, None) => {
                return refused(
                    "index.number_of_shards is required for split operations".to_owned(),
                );
            }
        };
        match self {
            Self::Clone if number != source => refused(format!(
                "the number of target shards ({number}) must be the same as the number of source shards ({source})"
            )),
            Self::Split if number < source => refused(format!(
                "the number of source shards [{source}] must be less that the number of target shards [{number}]"
            )),
            Self::Split if !number.is_multiple_of(source) => refused(format!(
                "the number of source shards [{source}] must be a factor of [{number}]"
            )),
            Self::Shrink if number > source => refused(format!(
                "the number of target shards [{number}] must be less that the number of source shards [{source}]"
            )),
            Self::Shrink if !source.is_multiple_of(number) => refused(format!(
                "the number of source shards [{source}] must be a multiple of [{number}]"
            )),
            _ => Ok(number),
        }
    }
}

/// Returns the settings of an index made from one with settings `source`: all of those, but for what `given` says; null
/// gives a setting its default.
///
/// # Errors
/// `illegal_argument_exception` for a number of shards that does not come of the source's, for analysis settings, and
/// as [`parse_index_settings`].
pub fn resized_settings(
    source: &IndexSettings,
    given: &Value,
    how: Resize,
) -> Result<IndexSettings, QueryError> {
    let entries = flat::flatten(given)?;
    if let Some(key) = entries.keys().find(|key| key.starts_with(ANALYSIS)) {
        return Err(wrong(format!(
            "can't override {key} when resizing an index"
        )));
    }
    let number = entries
        .get(NUMBER_OF_SHARDS)
        .filter(|value| !value.is_null());
    let number = number.map(|value| {
        let text = flat::shown(value);
        let number = text.as_str().and_then(|text| text.parse().ok());
        let refused = || {
            wrong(format!(
                "Failed to parse value [{value}] for setting [{NUMBER_OF_SHARDS}]"
            ))
        };
        number.ok_or_else(refused)
    });
    let number = how.number(source.number_of_shards, number.transpose()?)?;
    let mut declared = source.declared.clone();
    for (key, value) in entries {
        match value.is_null() {
            true => declared.shift_remove(&key),
            false => declared.insert(key, value),
        };
    }
    declared.insert(NUMBER_OF_SHARDS.to_owned(), number.to_string().into());
    let declared = declared.into_iter();
    let declared = declared.filter(|(key, _)| !key.starts_with(ANALYSIS));
    let mut settings = parse_index_settings(&Value::Object(declared.collect()))?;
    settings.analysis = source.analysis.clone();
    for (key, value) in &source.declared {
        if key.starts_with(ANALYSIS) {
            settings.declared.insert(key.clone(), value.clone());
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn source() -> IndexSettings {
        let analysis = json!({"analyzer": {"a": {"type": "standard"}}});
        let given = json!({
            "number_of_shards": 6, "number_of_replicas": 2, "refresh_interval": "5s",
            "blocks.write": true, "analysis": analysis,
        });
        parse_index_settings(&given).expect("good settings")
    }

    #[test]
    fn settings_are_those_of_the_source_but_for_what_is_given() {
        let given = json!({"index.number_of_replicas": 0, "index.blocks.write": null});
        let made = resized_settings(&source(), &given, Resize::Shrink).expect("made");
        assert_eq!((made.number_of_shards, made.number_of_replicas), (1, 0));
        assert_eq!(made.refresh_interval_ms, Some(5_000));
        assert!(!made.blocks.write);
        assert_eq!(made.analysis, source().analysis);
        let same = resized_settings(&source(), &Value::Null, Resize::Clone).expect("made");
        assert_eq!(same, source());
    }

    #[test]
    fn numbers_of_shards_come_of_the_sources() {
        for (how, number, is_taken) in [
            (Resize::Split, Some(12), true),
            (Resize::Split, Some(6), true),
            (Resize::Split, Some(9), false),
            (Resize::Split, Some(3), false),
            (Resize::Split, None, false),
            (Resize::Shrink, Some(3), true),
            (Resize::Shrink, Some(4), false),
            (Resize::Shrink, Some(12), false),
            (Resize::Clone, Some(6), true),
            (Resize::Clone, Some(12), false),
            (Resize::Clone, Some(0), false),
        ] {
            let given = json!({"index.number_of_shards": number});
            let made = resized_settings(&source(), &given, how);
            assert_eq!(made.is_ok(), is_taken, "{how:?} {number:?}");
        }
        let analysis = json!({"index.analysis.analyzer.b.type": "standard"});
        resized_settings(&source(), &analysis, Resize::Clone).expect_err("refused");
    }
}
