//! `terms`.

use serde_json::Value;

use super::{Context, order, source};
use crate::aggregation::{AggregationKind, BucketOrder, TermsAggregation, TermsFilter};
use crate::error::QueryError;
use crate::json::ObjectReader;

const DEFAULT_SIZE: usize = 10;
/// Largest number of buckets or candidates that can be asked for.
const MAX_SIZE: u64 = i32::MAX as u64;

/// Reads the body of `terms`.
pub(super) fn read(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("terms", body)?;
    let source = source::read(&mut reader)?;
    let size = size(&mut reader, "size", context)?.unwrap_or(DEFAULT_SIZE);
    let shard_size = size_of_shards(&mut reader, context)?;
    // Counts are exact: how candidates are found and how many, has no effect.
    reader.ignore(&["execution_hint", "collect_mode", "shard_min_doc_count"]);
    let min_doc_count = source::at_least(&mut reader, "min_doc_count", 0, context)?;
    let order = order::read(&mut reader)?;
    let include = filter(&mut reader, "include", context)?;
    let exclude = filter(&mut reader, "exclude", context)?;
    let show_term_doc_count_error = reader.boolean("show_term_doc_count_error")?;
    reader.finish()?;
    Ok(AggregationKind::Terms(TermsAggregation {
        source,
        size,
        shard_size,
        min_doc_count: min_doc_count.unwrap_or(1),
        order: order.unwrap_or_else(|| vec![(BucketOrder::Count, true)]),
        include,
        exclude,
        show_term_doc_count_error: show_term_doc_count_error.unwrap_or(false),
    }))
}

fn size_of_shards(
    reader: &mut ObjectReader<'_>,
    context: Context<'_>,
) -> Result<Option<usize>, QueryError> {
    // -1 asks for the default.
    if reader
        .integer("shard_size")
        .is_ok_and(|size| size == Some(-1))
    {
        return Ok(None);
    }
    size(reader, "shard_size", context)
}

fn size(
    reader: &mut ObjectReader<'_>,
    key: &'static str,
    context: Context<'_>,
) -> Result<Option<usize>, QueryError> {
    let size = source::at_least(reader, key, 1, context)?;
    // How many buckets there may be in truth is up to the request's budget.
    match size {
        Some(size) if size > MAX_SIZE => Err(QueryError::illegal(format!(
            "[{key}] must be at most [{MAX_SIZE}]. Found [{size}] in [{}]",
            context.name
        ))),
        size => Ok(size.map(|size| size as usize)),
    }
}

fn filter(
    reader: &mut ObjectReader<'_>,
    key: &'static str,
    context: Context<'_>,
) -> Result<Option<TermsFilter>, QueryError> {
    match reader.take(key) {
        None => Ok(None),
        Some(Value::String(regex)) => {
            let (length, most) = (regex.chars().count(), context.limits.regexp_chars);
            if length > most {
                return Err(QueryError::illegal(format!(
                    "The length of regex [{length}] used in the request has exceeded the allowed \
                     maximum of [{most}]. This maximum can be set by changing the \
                     [index.max_regex_length] index level setting."
                )));
            }
            Ok(Some(TermsFilter::Regex(regex.clone())))
        }
        Some(Value::Array(values)) => {
            if values.len() > context.limits.terms {
                return Err(QueryError::illegal(format!(
                    "The number of values [{}] in [{key}] has exceeded the allowed maximum of [{}]",
                    values.len(),
                    context.limits.terms
                )));
            }
            match values
                .iter()
                .find(|value| value.is_null() || value.is_array() || value.is_object())
            {
                None => Ok(Some(TermsFilter::Values(values.clone()))),
                Some(wrong) => Err(reader.wrong(key, "values", wrong)),
            }
        }
        Some(Value::Object(_)) => Err(QueryError::parsing(format!(
            "[terms] partitions in [{key}] are not supported"
        ))),
        Some(value) => Err(reader.wrong(key, "a regular expression or a list of values", value)),
    }
}
