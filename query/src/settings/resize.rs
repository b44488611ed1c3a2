//! Settings of an index that is made from another one with another number of shards.

use gleaner_model::IndexSettings;
use serde_json::Value;

use super::{ANALYSIS, flat, parse_index_settings, wrong};
use crate::error::QueryError;
use crate::json::scalar_text;
use crate::units::parse_bytes;

const NUMBER_OF_SHARDS: &str = "index.number_of_shards";

/// Only an index of one shard may choose it when it is split: its documents have no routing yet.
const NUMBER_OF_ROUTING_SHARDS: &str = "index.number_of_routing_shards";

/// Key of the size that no primary of a smaller index is to be beyond.
pub const MAX_PRIMARY_SHARD_SIZE: &str = "max_primary_shard_size";

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

/// Returns what `given` says, with the number of shards of a smaller index whose primaries have `max_size` at most each:
/// the smallest factor of the source's that is enough for its `num_bytes`, or as many as the source has. Source:
/// Elasticsearch reference, *Shrink index API*, `max_primary_shard_size`.
///
/// # Errors
/// `illegal_argument_exception` for a size that is none above 0, and for a number of shards beside it.
pub fn with_shards_below(
    source: &IndexSettings,
    given: &Value,
    max_size: &Value,
    num_bytes: u64,
) -> Result<Value, QueryError> {
    let mut entries = flat::flatten(given)?;
    let has_number = |value: &Value| !value.is_null();
    if entries.get(NUMBER_OF_SHARDS).is_some_and(has_number) {
        let reason = "Cannot set both index.number_of_shards and max_primary_shard_size for the target index";
        return Err(QueryError::illegal(reason));
    }
    let text = scalar_text(max_size).unwrap_or_else(|| max_size.to_string());
    let max_bytes = parse_bytes(&text, MAX_PRIMARY_SHARD_SIZE)?;
    if max_bytes == 0 {
        return Err(QueryError::illegal(format!(
            "[{MAX_PRIMARY_SHARD_SIZE}] must be greater than 0"
        )));
    }
    let number = shards_below(source.number_of_shards, num_bytes.div_ceil(max_bytes));
    entries.insert(NUMBER_OF_SHARDS.to_owned(), number.to_string().into());
    Ok(Value::Object(entries))
}

/// Returns the smallest factor of `source` that is no less than `min`; `source` where there is none.
fn shards_below(source: u32, min: u64) -> u32 {
    let mut factors = (1..source).filter(|number| source.is_multiple_of(*number));
    factors
        .find(|number| u64::from(*number) >= min)
        .unwrap_or(source)
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
    let routes = entries.get(NUMBER_OF_ROUTING_SHARDS);
    if routes.is_some_and(|value| !value.is_null()) && source.number_of_shards > 1 {
        return Err(wrong(format!(
            "cannot provide {NUMBER_OF_ROUTING_SHARDS} on resize"
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

    #[test]
    fn a_smaller_index_has_as_few_shards_as_have_room() {
        // The source has six.
        for (max_size, num_bytes, expected) in [
            ("1kb", 0, 1),
            ("1kb", 1_024, 1),
            ("1kb", 1_025, 2),
            ("1kb", 3 * 1_024, 3),
            ("1kb", 3 * 1_024 + 1, 6),
            ("1kb", 7 * 1_024, 6),
            ("1b", u64::MAX, 6),
        ] {
            let given = json!({"number_of_replicas": 0});
            let given = with_shards_below(&source(), &given, &json!(max_size), num_bytes);
            let given = given.expect("a good size");
            let made = resized_settings(&source(), &given, Resize::Shrink).expect("made");
            assert_eq!(made.number_of_shards, expected, "{max_size} {num_bytes}");
            assert_eq!(made.number_of_replicas, 0);
        }
        let number = json!({"number_of_shards": 3});
        for (given, max_size, expected) in [
            (&number, json!("1kb"), "Cannot set both"),
            (&Value::Null, json!("0"), "[max_primary_shard_size] must be"),
            (&Value::Null, json!("much"), "[max_primary_shard_size]"),
            (&Value::Null, json!({}), "[max_primary_shard_size]"),
        ] {
            let refused = with_shards_below(&source(), given, &max_size, 1).expect_err("refused");
            assert!(refused.reason.contains(expected), "{refused}");
        }
    }
}
