//! `auto_date_histogram` and `variable_width_histogram`: so many buckets at most.

use serde_json::Value;

use super::{Context, source};
use crate::aggregation::{AggregationKind, AutoDateAggregation, VariableWidthAggregation};
use crate::error::QueryError;
use crate::json::ObjectReader;

/// Most buckets of `auto_date_histogram`: Elasticsearch's default limit by its largest step.
const MAX_DATES: u64 = 2_184;
/// Most buckets of `variable_width_histogram`.
const MAX_NUMBERS: u64 = 65_536;
/// Names of units, from the least one on.
const UNITS: [&str; 6] = ["second", "minute", "hour", "day", "month", "year"];

/// Reads the body of `auto_date_histogram`.
pub(super) fn dates(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("auto_date_histogram", body)?;
    let source = source::read(&mut reader)?;
    let buckets = buckets(&mut reader, MAX_DATES, context)?;
    let time_zone = source::time_zone(&mut reader)?;
    let minimum_unit = match reader.text("minimum_interval")? {
        None => 0,
        Some(name) => {
            let unit = UNITS.iter().position(|unit| *unit == name);
            unit.ok_or_else(|| {
                QueryError::illegal(format!(
                    "minimum_interval must be one of [{}]",
                    UNITS.join(", ")
                ))
            })? as u8
        }
    };
    reader.finish()?;
    Ok(AggregationKind::AutoDate(AutoDateAggregation {
        source,
        buckets,
        time_zone,
        minimum_unit,
    }))
}

/// Reads the body of `variable_width_histogram`.
pub(super) fn numbers(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("variable_width_histogram", body)?;
    let source = source::read(&mut reader)?;
    let buckets = buckets(&mut reader, MAX_NUMBERS, context)?;
    // How many values shards look at together has no effect: all are.
    reader.ignore(&["shard_size", "initial_buffer"]);
    reader.finish()?;
    Ok(AggregationKind::VariableWidth(VariableWidthAggregation {
        source,
        buckets,
    }))
}

fn buckets(
    reader: &mut ObjectReader<'_>,
    most: u64,
    context: Context<'_>,
) -> Result<usize, QueryError> {
    match source::at_least(reader, "buckets", 1, context)? {
        None => Ok(10),
        Some(number) if number <= most => Ok(number as usize),
        Some(number) => Err(QueryError::illegal(format!(
            "[buckets] must be less than or equal to {most}. Found [{number}] in [{}]",
            context.name
        ))),
    }
}
