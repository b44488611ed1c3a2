//! `rare_terms`, `significant_terms` and `significant_text`.

use serde_json::Value;

use super::{Context, bucket, source, terms};
use crate::aggregation::{
    AggregationKind, RareTermsAggregation, Significance, SignificantTermsAggregation, TextTerms,
    ValueSource,
};
use crate::error::QueryError;
use crate::json::ObjectReader;

/// Most documents of a rare term that can be asked for.
const MOST_RARE: u64 = 100;

/// Reads the body of `rare_terms`.
pub(super) fn read(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("rare_terms", body)?;
    let source = source::read(&mut reader)?;
    let most = source::at_least(&mut reader, "max_doc_count", 1, context)?.unwrap_or(1);
    if most > MOST_RARE {
        return Err(QueryError::illegal(format!(
            "[max_doc_count] must be smaller than or equal to [{MOST_RARE}]. Found [{most}] in [{}]",
            context.name
        )));
    }
    // Counts are exact: there is no filter whose precision could be chosen.
    if let Some(precision) = reader.number("precision")?
        && precision < 0.000_01
    {
        return Err(QueryError::illegal(
            "[precision] must be greater than 0.00001",
        ));
    }
    let include = terms::filter(&mut reader, "include", context)?;
    let exclude = terms::filter(&mut reader, "exclude", context)?;
    terms::check_partition(include.as_ref(), exclude.as_ref())?;
    reader.finish()?;
    Ok(AggregationKind::RareTerms(RareTermsAggregation {
        source,
        max_doc_count: most,
        include,
        exclude,
    }))
}

/// Reads the body of `significant_terms`.
pub(super) fn significant(
    body: &Value,
    context: Context<'_>,
) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("significant_terms", body)?;
    let source = source::read(&mut reader)?;
    comparison(reader, source, None, context)
}

/// Reads the body of `significant_text`.
pub(super) fn significant_text(
    body: &Value,
    context: Context<'_>,
) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("significant_text", body)?;
    let source = ValueSource {
        field: source::field(&mut reader)?,
        value_type: None,
        missing: None,
        format: None,
    };
    if reader.boolean("filter_duplicate_text")? == Some(true) {
        return Err(QueryError::illegal(
            "[significant_text] does not support [filter_duplicate_text]: which of two equal passages is the \
             duplicate depends on the order in which a shard sees its documents",
        ));
    }
    let text = TextTerms {
        source_fields: reader.texts("source_fields")?.unwrap_or_default(),
        compared: None,
    };
    comparison(reader, source, Some(text), context)
}

/// Reads what both say.
fn comparison(
    mut reader: ObjectReader<'_>,
    source: ValueSource,
    text: Option<TextTerms>,
    context: Context<'_>,
) -> Result<AggregationKind, QueryError> {
    reader.unsupported(&["script_heuristic", "p_value"])?;
    let size = terms::size(&mut reader, "size", context)?;
    terms::size_of_shards(&mut reader, context)?;
    reader.ignore(&["execution_hint", "shard_min_doc_count"]);
    let min_doc_count = source::at_least(&mut reader, "min_doc_count", 1, context)?;
    let include = terms::filter(&mut reader, "include", context)?;
    let exclude = terms::filter(&mut reader, "exclude", context)?;
    terms::check_partition(include.as_ref(), exclude.as_ref())?;
    let background = reader.take("background_filter");
    let background = background.map(|query| bucket::query(query, context));
    let background = background.transpose()?;
    let significance = significance(&mut reader, context)?;
    reader.finish()?;
    Ok(AggregationKind::SignificantTerms(
        SignificantTermsAggregation {
            source,
            size: size.unwrap_or(terms::DEFAULT_SIZE),
            min_doc_count: min_doc_count.unwrap_or(3),
            include,
            exclude,
            background,
            significance,
            text,
        },
    ))
}

/// Reads the one way of comparing that is named.
fn significance(
    reader: &mut ObjectReader<'_>,
    context: Context<'_>,
) -> Result<Significance, QueryError> {
    let mut found = None;
    for name in [
        "jlh",
        "chi_square",
        "mutual_information",
        "gnd",
        "percentage",
    ] {
        let Some(body) = reader.take(name) else {
            continue;
        };
        if found.is_some() {
            return Err(QueryError::parsing(format!(
                "[significant_terms] [{}] names more than one way of comparing",
                context.name
            )));
        }
        found = Some(heuristic(name, body)?);
    }
    Ok(found.unwrap_or(Significance::Jlh))
}

fn heuristic(name: &str, body: &Value) -> Result<Significance, QueryError> {
    let mut options = ObjectReader::part(name, body)?;
    let mut flags = |with_negatives: bool| -> Result<(bool, bool), QueryError> {
        let negatives = match with_negatives {
            true => options.boolean("include_negatives")?.unwrap_or(false),
            false => false,
        };
        let superset = options.boolean("background_is_superset")?.unwrap_or(true);
        Ok((negatives, superset))
    };
    let read = match name {
        "chi_square" => {
            let (include_negatives, background_is_superset) = flags(true)?;
            Significance::ChiSquare {
                include_negatives,
                background_is_superset,
            }
        }
        "mutual_information" => {
            let (include_negatives, background_is_superset) = flags(true)?;
            Significance::MutualInformation {
                include_negatives,
                background_is_superset,
            }
        }
        "gnd" => Significance::Gnd {
            background_is_superset: flags(false)?.1,
        },
        "percentage" => Significance::Percentage,
        _ => Significance::Jlh,
    };
    options.finish()?;
    Ok(read)
}
