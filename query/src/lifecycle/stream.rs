//! Lifecycles of data streams: how long documents are kept, and when the next index is begun for it.

use std::time::Duration;

use gleaner_model::StreamLifecycle;
use serde_json::{Value, json};

use crate::error::QueryError;
use crate::json::ObjectReader;
use crate::limits::Limits;
use crate::rollover::{RolloverRequest, parse_rollover};
use crate::units::parse_time;

/// Largest primary of an index of a data stream (`cluster.lifecycle.default.rollover` of Elasticsearch).
const MAX_SHARD: &str = "50gb";

/// Most documents of its largest shard.
const MAX_SHARD_DOCUMENTS: u64 = 200_000_000;

/// Ages at which the next index is begun: of streams that keep documents no longer than the first, the second.
/// They are those of Elasticsearch for `max_age=auto`.
const MAX_AGES: [(Duration, &str); 3] = [
    (Duration::from_secs(86_400), "1h"),
    (Duration::from_secs(14 * 86_400), "1d"),
    (Duration::from_secs(90 * 86_400), "7d"),
];

/// The age where documents are kept longer than any of [`MAX_AGES`] says, or for ever.
const LONGEST_MAX_AGE: &str = "30d";

/// Reads the body that gives a data stream its lifecycle; an empty one keeps all.
///
/// # Errors
/// A retention that is no time above 0; `downsampling`, which is refused.
pub fn parse_stream_lifecycle(body: &Value) -> Result<StreamLifecycle, QueryError> {
    if body.is_null() {
        return Ok(StreamLifecycle {
            is_enabled: true,
            retention: None,
        });
    }
    let mut reader = ObjectReader::part("data_stream_lifecycle", body)?;
    reader.unsupported_unless_empty(&["downsampling", "downsampling_method"])?;
    let lifecycle = StreamLifecycle {
        is_enabled: reader.boolean("enabled")?.unwrap_or(true),
        retention: reader.text("data_retention")?,
    };
    reader.finish()?;
    if let Some(given) = &lifecycle.retention {
        let time = parse_time(given, "data_retention")?;
        if time.is_none_or(|time| time.is_zero()) {
            return Err(QueryError::illegal(format!(
                "[data_retention] must be above [0ms], got [{given}]"
            )));
        }
    }
    Ok(lifecycle)
}

/// Returns how long documents are kept; `None` for ever.
pub fn retention_of(lifecycle: &StreamLifecycle) -> Option<Duration> {
    parse_time(lifecycle.retention.as_deref()?, "data_retention").ok()?
}

/// Returns when a stream that keeps documents for `retention` goes on with its next index.
///
/// # Errors
/// None: the conditions are those of this file.
pub fn stream_rollover(retention: Option<Duration>) -> Result<RolloverRequest, QueryError> {
    let fitting = MAX_AGES
        .iter()
        .find(|(longest, _)| retention.is_some_and(|kept| kept <= *longest));
    let max_age = fitting.map_or(LONGEST_MAX_AGE, |(_, age)| age);
    let conditions = json!({
        "max_age": max_age,
        "max_primary_shard_size": MAX_SHARD,
        "max_primary_shard_docs": MAX_SHARD_DOCUMENTS,
        "min_docs": 1,
    });
    parse_rollover(&json!({"conditions": conditions}), &Limits::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollover::Measures;

    #[test]
    fn the_shorter_documents_are_kept_the_sooner_comes_the_next_index() {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        for (retention, due) in [
            (Some(hours(1)), hours(1)),
            (Some(hours(24)), hours(1)),
            (Some(hours(24 * 7)), hours(24)),
            (Some(hours(24 * 90)), hours(24 * 7)),
            (Some(hours(24 * 91)), hours(24 * 30)),
            (None, hours(24 * 30)),
        ] {
            let rollover = stream_rollover(retention).expect("good");
            let measures = |age: Duration, documents| Measures {
                age,
                documents,
                ..Measures::default()
            };
            let just_before = due - Duration::from_secs(1);
            assert!(rollover.is_due(&measures(due, 1)), "{retention:?}");
            assert!(!rollover.is_due(&measures(just_before, 1)), "{retention:?}");
            assert!(
                !rollover.is_due(&measures(due, 0)),
                "nothing would be replaced"
            );
        }
    }

    #[test]
    fn a_lifecycle_without_a_retention_keeps_all() {
        let read = |body: &Value| parse_stream_lifecycle(body);
        let kept = read(&json!({})).expect("good");
        assert!(kept.is_enabled && retention_of(&kept).is_none());
        let week = read(&json!({"data_retention": "7d", "enabled": false})).expect("good");
        assert_eq!(retention_of(&week), Some(Duration::from_secs(7 * 86_400)));
        assert!(!week.is_enabled);
        for wrong in [
            json!({"data_retention": "0s"}),
            json!({"data_retention": "long"}),
            json!({"downsampling": [{"after": "1d"}]}),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }
}
