//! `slice`: one of the disjoint parts that a scroll or a point in time is read in.

use serde_json::Value;

use crate::error::QueryError;
use crate::json::ObjectReader;
use crate::search::Slice;

/// Reads `{"id": 0, "max": 2}`, with `"field": "_id"` if need be.
pub(super) fn parse_slice(value: &Value) -> Result<Slice, QueryError> {
    let mut reader = ObjectReader::part("slice", value)?;
    let id = reader.integer("id")?;
    let max = reader.integer("max")?;
    let field = reader.text("field")?;
    reader.finish()?;
    let id = id.ok_or_else(|| missing("id"))?;
    let max = max.ok_or_else(|| missing("max"))?;
    if let Some(field) = field.filter(|field| field != "_id") {
        return Err(QueryError::illegal(format!(
            "[slice] by the field [{field}] is not supported: documents are sliced by [_id]"
        )));
    }
    if id < 0 {
        return Err(QueryError::illegal("id must be greater than or equal to 0"));
    }
    if max <= 1 {
        return Err(QueryError::illegal("max must be greater than 1"));
    }
    if id >= max {
        return Err(QueryError::illegal("max must be greater than id"));
    }
    match (u32::try_from(id), u32::try_from(max)) {
        // How many an index allows is a setting of it.
        (Ok(id), Ok(max)) => Ok(Slice { id, max }),
        _ => Err(QueryError::illegal(format!(
            "The number of slices [{max}] is too large. It must be at most [{}].",
            u32::MAX
        ))),
    }
}

fn missing(key: &str) -> QueryError {
    QueryError::illegal(format!("[slice] [{key}] is not provided"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::ErrorType;

    #[test]
    fn a_slice_is_a_number_below_how_many_there_are() {
        for (value, id, max) in [
            (json!({"id": 0, "max": 2}), 0, 2),
            (json!({"id": "3", "max": 4, "field": "_id"}), 3, 4),
            (json!({"id": 1_023, "max": 1_024}), 1_023, 1_024),
        ] {
            assert_eq!(parse_slice(&value), Ok(Slice { id, max }), "{value}");
        }
    }

    #[test]
    fn what_is_no_slice_is_refused_by_name() {
        for (value, expected) in [
            (json!({"max": 2}), "[slice] [id] is not provided"),
            (json!({"id": 0}), "[slice] [max] is not provided"),
            (
                json!({"id": -1, "max": 2}),
                "id must be greater than or equal to 0",
            ),
            (json!({"id": 0, "max": 1}), "max must be greater than 1"),
            (json!({"id": 0, "max": -1}), "max must be greater than 1"),
            (json!({"id": 2, "max": 2}), "max must be greater than id"),
            (
                json!({"id": 0, "max": 5_000_000_000_i64}),
                "The number of slices [5000000000] is too large. It must be at most [4294967295].",
            ),
            (
                json!({"id": 0, "max": 2, "field": "year"}),
                "[slice] by the field [year] is not supported: documents are sliced by [_id]",
            ),
        ] {
            let fault = parse_slice(&value).expect_err("no slice");
            assert_eq!(fault.kind, ErrorType::IllegalArgument, "{value}");
            assert_eq!(fault.reason, expected, "{value}");
        }
        for (value, expected) in [
            (json!(null), "[slice] expected an object"),
            (json!({"id": 0.5, "max": 2}), "[slice] failed to parse [id]"),
            (
                json!({"id": 0, "max": "x"}),
                "[slice] failed to parse [max]",
            ),
            (
                json!({"id": 0, "max": 2, "maxx": 3}),
                "[slice] unknown field [maxx]",
            ),
        ] {
            let reason = parse_slice(&value).expect_err("no slice").reason;
            assert!(reason.starts_with(expected), "{reason}");
        }
    }
}
