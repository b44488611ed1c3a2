//! `terms`.

use serde_json::Value;

use super::{Context, order, source};
use crate::aggregation::{AggregationKind, BucketOrder, TermsAggregation, TermsFilter};
use crate::error::QueryError;
use crate::json::ObjectReader;

/// Buckets returned where a request says nothing.
pub(super) const DEFAULT_SIZE: usize = 10;
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
    check_partition(include.as_ref(), exclude.as_ref())?;
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

/// Reads how many candidates a shard sends.
pub(super) fn size_of_shards(
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

/// Reads a number of buckets.
pub(super) fn size(
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

/// Reads `include` or `exclude`.
pub(super) fn filter(
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
        Some(value @ Value::Object(_)) if key == "include" => partition(value).map(Some),
        Some(value) => Err(reader.wrong(key, "a regular expression or a list of values", value)),
    }
}

/// Reads `{"partition": 0, "num_partitions": 20}`.
fn partition(value: &Value) -> Result<TermsFilter, QueryError> {
    let mut reader = ObjectReader::part("include", value)?;
    let partition = reader.small_count("partition")?;
    let num_partitions = reader.small_count("num_partitions")?;
    reader.finish()?;
    let (Some(partition), Some(num_partitions)) = (partition, num_partitions) else {
        return Err(QueryError::illegal(
            "Missing [partition] or [num_partitions] parameter for partition-based include",
        ));
    };
    if partition >= num_partitions {
        return Err(QueryError::illegal(format!(
            "[partition] must be less than [num_partitions], but was [{partition}] of [{num_partitions}]"
        )));
    }
    Ok(TermsFilter::Partition {
        partition,
        num_partitions,
    })
}

/// Refuses an `exclude` beside a partition.
pub(super) fn check_partition(
    include: Option<&TermsFilter>,
    exclude: Option<&TermsFilter>,
) -> Result<(), QueryError> {
    if matches!(include, Some(TermsFilter::Partition { .. })) && exclude.is_some() {
        return Err(QueryError::illegal(
            "Cannot specify any excludes when using a partition-based include",
        ));
    }
    Ok(())
}
