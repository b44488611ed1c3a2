//! `sampler` and `diversified_sampler`.

use serde_json::Value;

use super::{Context, source};
use crate::aggregation::{AggregationKind, Diversity, SamplerAggregation};
use crate::error::QueryError;
use crate::json::ObjectReader;

const DEFAULT_SIZE: u64 = 100;

/// Ways in which Elasticsearch keeps track of values; there is one here.
const EXECUTION_HINTS: [&str; 3] = ["map", "global_ordinals", "bytes_hash"];

/// Reads the body of `sampler`.
pub(super) fn read(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("sampler", body)?;
    let size = size(&mut reader, context)?;
    reader.finish()?;
    Ok(AggregationKind::Sampler(SamplerAggregation {
        size,
        diversity: None,
    }))
}

/// Reads the body of `diversified_sampler`.
pub(super) fn diversified(
    body: &Value,
    context: Context<'_>,
) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("diversified_sampler", body)?;
    let source = source::read(&mut reader)?;
    let size = size(&mut reader, context)?;
    let most = source::at_least(&mut reader, "max_docs_per_value", 1, context)?;
    if let Some(hint) = reader.text("execution_hint")?
        && !EXECUTION_HINTS.contains(&hint.as_str())
    {
        return Err(QueryError::illegal(format!(
            "Unknown `execution_hint`: [{hint}], expected any of [map, global_ordinals, bytes_hash]"
        )));
    }
    reader.finish()?;
    Ok(AggregationKind::Sampler(SamplerAggregation {
        size,
        diversity: Some(Diversity {
            source,
            max_docs_per_value: most.map_or(1, |most| usize::try_from(most).unwrap_or(usize::MAX)),
        }),
    }))
}

fn size(reader: &mut ObjectReader<'_>, context: Context<'_>) -> Result<usize, QueryError> {
    let size = source::at_least(reader, "shard_size", 1, context)?.unwrap_or(DEFAULT_SIZE);
    if size > SamplerAggregation::MAX_SIZE {
        return Err(QueryError::illegal(format!(
            "[shard_size] must be less than or equal to [{}]. Found [{size}] in [{}]",
            SamplerAggregation::MAX_SIZE,
            context.name
        )));
    }
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}
