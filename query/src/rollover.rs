//! `_rollover`: the body, its conditions, and the name of the next index.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::{ErrorType, QueryError};
use crate::json::{ObjectReader, scalar_text};
use crate::limits::Limits;
use crate::settings::parse_part_of_index;
use crate::units::{parse_bytes, parse_time};

/// What is to become of an index that documents are appended to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RolloverRequest {
    /// When it is replaced: always where there is no condition.
    pub conditions: Vec<RolloverCondition>,
    /// What the next index gets beside what templates say: the body that creates an index.
    pub next: Value,
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloverCondition {
    /// Its name in the dialect, for example `max_docs`.
    pub name: &'static str,
    /// The value as given.
    pub given: String,
    /// What it is held against.
    measure: Measure,
    /// What that must reach: milliseconds, bytes or documents.
    bound: u64,
}

/// What of an index a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Age,
    Documents,
    Bytes,
    LargestShardBytes,
    LargestShardDocuments,
}

/// What an index is, for conditions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measures {
    /// Since it was created.
    pub age: Duration,
    /// Documents that searches see.
    pub documents: u64,
    /// Bytes of its primaries on disk.
    pub bytes: u64,
    /// Bytes of the largest of them.
    pub largest_shard_bytes: u64,
    /// Documents of the shard that has most.
    pub largest_shard_documents: u64,
}

/// The conditions that there are.
const CONDITIONS: [(&str, Measure); 10] = [
    ("max_age", Measure::Age),
    ("max_docs", Measure::Documents),
    ("max_size", Measure::Bytes),
    ("max_primary_shard_size", Measure::LargestShardBytes),
    ("max_primary_shard_docs", Measure::LargestShardDocuments),
    ("min_age", Measure::Age),
    ("min_docs", Measure::Documents),
    ("min_size", Measure::Bytes),
    ("min_primary_shard_size", Measure::LargestShardBytes),
    ("min_primary_shard_docs", Measure::LargestShardDocuments),
];

impl RolloverCondition {
    /// Returns whether an index meets it.
    pub fn is_met(&self, measures: &Measures) -> bool {
        let measured = match self.measure {
            Measure::Age => u64::try_from(measures.age.as_millis()).unwrap_or(u64::MAX),
            Measure::Documents => measures.documents,
            Measure::Bytes => measures.bytes,
            Measure::LargestShardBytes => measures.largest_shard_bytes,
            Measure::LargestShardDocuments => measures.largest_shard_documents,
        };
        measured >= self.bound
    }

    fn is_required(&self) -> bool {
        self.name.starts_with("min_")
    }
}

impl RolloverRequest {
    /// Returns whether an index is replaced: it meets one of the `max_` conditions, and all of the `min_` ones.
    pub fn is_due(&self, measures: &Measures) -> bool {
        let (required, others): (Vec<_>, Vec<_>) = self
            .conditions
            .iter()
            .partition(|condition| condition.is_required());
        let is_met = |condition: &&RolloverCondition| condition.is_met(measures);
        required.iter().all(is_met) && (self.conditions.is_empty() || others.iter().any(is_met))
    }
}

/// Reads the body; an empty one has no conditions.
///
/// # Errors
/// A key or condition that is unknown, and what settings, mappings and aliases refuse.
pub fn parse_rollover(body: &Value, limits: &Limits) -> Result<RolloverRequest, QueryError> {
    if body.is_null() {
        return Ok(RolloverRequest::default());
    }
    let mut reader = ObjectReader::part("rollover", body)?;
    let mut next = Map::new();
    for key in ["settings", "mappings", "aliases"] {
        if let Some(value) = reader.take(key) {
            next.insert(key.to_owned(), value.clone());
        }
    }
    let conditions = match reader.take("conditions") {
        None | Some(Value::Null) => Vec::new(),
        Some(value) => read_conditions(value)?,
    };
    reader.finish()?;
    let next = Value::Object(next);
    parse_part_of_index(&next, limits)?;
    Ok(RolloverRequest { conditions, next })
}

fn read_conditions(value: &Value) -> Result<Vec<RolloverCondition>, QueryError> {
    let Some(entries) = value.as_object() else {
        return Err(QueryError::parsing("[conditions] must be an object"));
    };
    let conditions: Vec<RolloverCondition> = entries
        .iter()
        .map(|(key, value)| read_condition(key, value))
        .collect::<Result<_, _>>()?;
    if !conditions.is_empty() && conditions.iter().all(RolloverCondition::is_required) {
        let reason = "Validation Failed: 1: at least one max_* rollover condition must be set when using \
                      min_* conditions;";
        return Err(QueryError::new(ErrorType::Validation, reason));
    }
    Ok(conditions)
}

fn read_condition(key: &str, value: &Value) -> Result<RolloverCondition, QueryError> {
    let known = CONDITIONS.iter().find(|(name, _)| *name == key);
    let Some((name, measure)) = known else {
        let reason = format!("[conditions] unknown field [{key}]");
        return Err(QueryError::new(ErrorType::XContentParse, reason));
    };
    let given = scalar_text(value).unwrap_or_default();
    let bound = match measure {
        Measure::Age => parse_time(&given, key)?
            .map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
            .ok_or_else(|| QueryError::illegal(format!("[{key}] must not be [-1]")))?,
        Measure::Bytes | Measure::LargestShardBytes => parse_bytes(&given, key)?,
        Measure::Documents | Measure::LargestShardDocuments => given.parse().map_err(|_| {
            QueryError::illegal(format!(
                "failed to parse [{key}] with value [{given}]: expected a whole number, 0 or more"
            ))
        })?,
    };
    Ok(RolloverCondition {
        name,
        given,
        measure: *measure,
        bound,
    })
}

/// Returns the name of the index that follows the one of the name `given`: its number, from the last `-` on, is one more,
/// in six digits. Date math stays as it is.
///
/// # Errors
/// `illegal_argument_exception` for a name without a number at its end.
pub fn next_name(given: &str) -> Result<String, QueryError> {
    let math = given.strip_prefix('<').and_then(|g| g.strip_suffix('>'));
    let next = match math {
        Some(math) => next_number(math).map(|next| format!("<{next}>")),
        None => next_number(given),
    };
    next.ok_or_else(|| {
        QueryError::illegal(format!(
            "index name [{given}] does not match pattern '^.*-\\d+$'"
        ))
    })
}

fn next_number(name: &str) -> Option<String> {
    let (stem, digits) = name.rsplit_once('-')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number)?;
    Some(format!("{stem}-{:06}", number.checked_add(1)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(conditions: &Value) -> RolloverRequest {
        let body = json!({"conditions": conditions});
        parse_rollover(&body, &Limits::default()).expect("read")
    }

    #[test]
    fn one_of_the_upper_bounds_and_all_of_the_lower_ones_must_be_reached() {
        let measures = Measures {
            age: Duration::from_secs(3_600),
            documents: 10,
            bytes: 2_048,
            largest_shard_bytes: 1_024,
            largest_shard_documents: 6,
        };
        for (conditions, expected) in [
            (json!({}), true),
            (json!({"max_docs": 10}), true),
            (json!({"max_docs": "11"}), false),
            (json!({"max_docs": 11, "max_age": "1h"}), true),
            (json!({"max_size": "2kb"}), true),
            (json!({"max_primary_shard_size": "2kb"}), false),
            (json!({"max_primary_shard_docs": 6, "min_docs": 11}), false),
            (json!({"max_primary_shard_docs": 6, "min_age": "30m"}), true),
        ] {
            assert_eq!(
                request(&conditions).is_due(&measures),
                expected,
                "{conditions}"
            );
        }
    }

    #[test]
    fn conditions_that_cannot_be_read_are_named() {
        for (conditions, expected) in [
            (json!({"max_doc": 1}), "unknown field [max_doc]"),
            (json!({"max_docs": "x"}), "[max_docs]"),
            (json!({"max_age": "7"}), "[max_age]"),
            (json!({"max_size": 7}), "[max_size]"),
            (json!({"min_docs": 1}), "at least one max_*"),
        ] {
            let body = json!({"conditions": conditions});
            let refused = parse_rollover(&body, &Limits::default()).expect_err("refused");
            assert!(refused.reason.contains(expected), "{refused}");
        }
    }

    #[test]
    fn the_next_name_has_the_next_number() {
        assert_eq!(next_name("logs-1").ok().as_deref(), Some("logs-000002"));
        assert_eq!(next_name("a-b-000099").ok().as_deref(), Some("a-b-000100"));
        for name in ["logs", "logs-", "logs-x1", "1", "<logs-{now/d}>"] {
            assert!(next_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_next_name_keeps_its_date_math() {
        for (given, expected) in [
            ("<logs-{now/d}-000001>", "<logs-{now/d}-000002>"),
            (
                "<logs-{now-1M/M{yyyy-MM|+01:00}}-9>",
                "<logs-{now-1M/M{yyyy-MM|+01:00}}-000010>",
            ),
        ] {
            assert_eq!(next_name(given).ok().as_deref(), Some(expected));
        }
    }
}
