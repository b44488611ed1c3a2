//! `matrix_stats`.

use serde_json::{Map, Value};

use super::Context;
use crate::aggregation::{AggregationKind, MatrixStatsAggregation, ValueSource};
use crate::error::QueryError;
use crate::json::ObjectReader;
use crate::mapping::is_metadata;
use crate::search::SortMode;

/// Most fields of one aggregation: each pair of them has a sum.
const MAX_FIELDS: usize = 32;

/// Reads the body of `matrix_stats`.
pub(super) fn read(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let name = context.name;
    let mut reader = ObjectReader::part("matrix_stats", body)?;
    reader.unsupported(&["script"])?;
    let fields = reader.texts("fields")?.unwrap_or_default();
    if fields.is_empty() || fields.len() > MAX_FIELDS {
        return Err(QueryError::illegal(format!(
            "[fields] must hold 1 to {MAX_FIELDS} fields: [{name}]"
        )));
    }
    let missing = missing(&mut reader, &fields)?;
    let mode = mode(&mut reader)?;
    reader.finish()?;
    let mut sources: Vec<ValueSource> = Vec::with_capacity(fields.len());
    for field in fields {
        if field.is_empty() || is_metadata(&field) {
            return Err(QueryError::illegal(format!(
                "[fields] of [{name}] cannot hold [{field}]"
            )));
        }
        if sources.iter().any(|known| known.field == field) {
            return Err(QueryError::illegal(format!(
                "[fields] of [{name}] holds [{field}] twice"
            )));
        }
        sources.push(ValueSource {
            missing: missing.and_then(|missing| missing.get(&field)).cloned(),
            field,
            value_type: None,
            format: None,
        });
    }
    Ok(AggregationKind::MatrixStats(MatrixStatsAggregation {
        sources,
        mode,
    }))
}

/// Reads what stands for the missing values of each field.
fn missing<'a>(
    reader: &mut ObjectReader<'a>,
    fields: &[String],
) -> Result<Option<&'a Map<String, Value>>, QueryError> {
    let Some(given) = reader.take("missing").filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let Some(by_field) = given.as_object() else {
        return Err(reader.wrong("missing", "an object of values by field", given));
    };
    for (field, value) in by_field {
        if !value.is_number() && !value.is_string() && !value.is_boolean() {
            return Err(reader.wrong("missing", "a value for each field", value));
        }
        if !fields.contains(field) {
            return Err(QueryError::illegal(format!(
                "[missing] names [{field}], which is not among [fields]"
            )));
        }
    }
    Ok(Some(by_field))
}

/// Reads which of several values of a document counts.
fn mode(reader: &mut ObjectReader<'_>) -> Result<SortMode, QueryError> {
    let Some(mode) = reader.text("mode")? else {
        return Ok(SortMode::Avg);
    };
    Ok(match mode.to_ascii_lowercase().as_str() {
        "avg" => SortMode::Avg,
        "min" => SortMode::Min,
        "max" => SortMode::Max,
        "sum" => SortMode::Sum,
        "median" => SortMode::Median,
        _ => {
            return Err(QueryError::illegal(format!(
                "Illegal value for mode: [{mode}]: it is one of [avg], [min], [max], [sum], [median]"
            )));
        }
    })
}
