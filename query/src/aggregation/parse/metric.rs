//! Metrics, `cardinality`, `percentiles`, `top_hits`.

use serde_json::Value;

use super::{Context, source};
use crate::aggregation::{AggregationKind, Metric, TopHitsAggregation};
use crate::error::QueryError;
use crate::json::ObjectReader;
use crate::search::{
    Highlight, SourceFilter, parse_field_formats, parse_highlight, parse_sort, parse_source_filter,
};

const DEFAULT_PRECISION: u32 = 3_000;
const MAX_PRECISION: u32 = 40_000;
const DEFAULT_PERCENTS: [f64; 7] = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0];
/// Most percents of one aggregation.
const MAX_PERCENTS: usize = 1_024;
/// Most hits per bucket (`index.max_inner_result_window`).
const MAX_TOP_HITS: usize = 100;
/// Width of the bounds of `extended_stats` where a request says nothing, in deviations.
const SIGMA: f64 = 2.0;

/// Returns the metric of that name.
pub(super) fn kind(name: &str) -> Option<Metric> {
    Some(match name {
        "avg" => Metric::Avg,
        "min" => Metric::Min,
        "max" => Metric::Max,
        "sum" => Metric::Sum,
        "value_count" => Metric::ValueCount,
        "stats" => Metric::Stats,
        "extended_stats" => Metric::ExtendedStats { sigma: SIGMA },
        _ => return None,
    })
}

/// Reads the body of a metric.
pub(super) fn read(
    metric: Metric,
    name: &str,
    body: &Value,
    context: Context<'_>,
) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part(name, body)?;
    let source = match metric {
        Metric::ValueCount => source::read_counted(&mut reader)?,
        _ => source::read(&mut reader)?,
    };
    let metric = match metric {
        Metric::ExtendedStats { sigma } => Metric::ExtendedStats {
            sigma: checked_sigma(reader.number("sigma")?.unwrap_or(sigma), context)?,
        },
        other => other,
    };
    reader.finish()?;
    Ok(AggregationKind::Metric(metric, source))
}

fn checked_sigma(sigma: f64, context: Context<'_>) -> Result<f64, QueryError> {
    if sigma < 0.0 {
        return Err(QueryError::illegal(format!(
            "[sigma] must be greater than or equal to 0. Found [{sigma:?}] in [{}]",
            context.name
        )));
    }
    Ok(sigma)
}

/// Reads the body of `cardinality`.
pub(super) fn cardinality(
    body: &Value,
    context: Context<'_>,
) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("cardinality", body)?;
    let source = source::read_counted(&mut reader)?;
    reader.ignore(&["execution_hint", "rehash"]);
    let threshold = source::at_least(&mut reader, "precision_threshold", 0, context)?;
    reader.finish()?;
    let threshold = threshold.map_or(DEFAULT_PRECISION, |threshold| {
        u32::try_from(threshold).unwrap_or(MAX_PRECISION)
    });
    Ok(AggregationKind::Cardinality {
        source,
        precision_threshold: threshold.min(MAX_PRECISION),
    })
}

/// Reads the body of `percentiles`.
pub(super) fn percentiles(
    body: &Value,
    context: Context<'_>,
) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("percentiles", body)?;
    let source = source::read(&mut reader)?;
    let percents = match reader.take("percents") {
        None => DEFAULT_PERCENTS.to_vec(),
        Some(value) => percents(value, context)?,
    };
    let keyed = reader.boolean("keyed")?.unwrap_or(true);
    let hdr_digits = method(&mut reader)?;
    reader.finish()?;
    Ok(AggregationKind::Percentiles {
        source,
        percents,
        keyed,
        hdr_digits,
    })
}

fn percents(value: &Value, context: Context<'_>) -> Result<Vec<f64>, QueryError> {
    let name = context.name;
    let items = match value {
        Value::Array(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    if items.is_empty() || items.len() > MAX_PERCENTS {
        return Err(QueryError::illegal(format!(
            "[percents] must hold 1 to {MAX_PERCENTS} numbers: [{name}]"
        )));
    }
    let mut percents = Vec::with_capacity(items.len());
    for item in items {
        match source::number(item).filter(|percent| (0.0..=100.0).contains(percent)) {
            Some(percent) => percents.push(percent),
            None => {
                return Err(QueryError::illegal(format!(
                    "percent must be in [0,100], got [{item}]: [{name}]"
                )));
            }
        }
    }
    // The answer is by rank, each once.
    percents.sort_by(f64::total_cmp);
    percents.dedup();
    Ok(percents)
}

/// Digits that count of an HDR histogram where a request does not say how many.
const DEFAULT_DIGITS: i64 = 3;

/// Reads how a distribution is kept: `tdigest`, or `hdr`, of which the digits that count are returned.
pub(super) fn method(reader: &mut ObjectReader<'_>) -> Result<Option<u8>, QueryError> {
    let (tdigest, hdr) = (reader.take("tdigest"), reader.take("hdr"));
    if let (Some(_), Some(_)) = (tdigest, hdr) {
        return Err(QueryError::illegal(
            "Only one percentiles method should be declared.",
        ));
    }
    if let Some(options) = tdigest {
        check_tdigest(options)?;
    }
    let Some(options) = hdr else {
        return Ok(None);
    };
    let mut options = ObjectReader::part("hdr", options)?;
    let digits = options.integer("number_of_significant_value_digits")?;
    options.finish()?;
    let digits = digits.unwrap_or(DEFAULT_DIGITS);
    match u8::try_from(digits).ok().filter(|digits| *digits <= 5) {
        Some(digits) => Ok(Some(digits)),
        None => Err(QueryError::illegal(format!(
            "[numberOfSignificantValueDigits] must be between 0 and 5. Found [{digits}]"
        ))),
    }
}

/// Checks the options of the sketch, which has its own error bound here.
fn check_tdigest(value: &Value) -> Result<(), QueryError> {
    let mut reader = ObjectReader::part("tdigest", value)?;
    let compression = reader.number("compression")?.unwrap_or(100.0);
    reader.ignore(&["execution_hint"]);
    reader.finish()?;
    if compression < 0.0 {
        return Err(QueryError::illegal(format!(
            "[compression] must be greater than or equal to 0. Found [{compression:?}]"
        )));
    }
    Ok(())
}

/// Reads `highlight` of `top_hits`, where the search's query alone is marked.
fn highlight(value: &Value, context: Context<'_>) -> Result<Highlight, QueryError> {
    let highlight = parse_highlight(value, context.limits)?;
    let mut fields = highlight.fields.iter();
    if highlight.query.is_some() || fields.any(|(_, options)| options.query.is_some()) {
        return Err(QueryError::parsing(
            "[top_hits] [highlight_query] is not supported",
        ));
    }
    Ok(highlight)
}

/// Returns what of `_source` is shown: with stored fields nothing, unless it is asked for.
fn shown_source(asked: Option<SourceFilter>, stored_fields: Option<&[String]>) -> SourceFilter {
    let names =
        |name: &str| stored_fields.is_some_and(|fields| fields.iter().any(|field| field == name));
    let is_left_out = stored_fields.is_some() && asked.is_none() && !names("_source");
    let mut source = asked.unwrap_or_default();
    source.enabled &= !is_left_out && !names("_none_");
    source
}

/// Reads the body of `top_hits`.
pub(super) fn top_hits(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("top_hits", body)?;
    reader.unsupported(&["script_fields"])?;
    let from = source::at_least(&mut reader, "from", 0, context)?.unwrap_or(0);
    let size = source::at_least(&mut reader, "size", 0, context)?.unwrap_or(3);
    let window = from.saturating_add(size);
    if window > MAX_TOP_HITS as u64 {
        return Err(QueryError::illegal(format!(
            "Top hits result window is too large, the top hits aggregator [{}]'s from + size must \
             be less than or equal to: [{MAX_TOP_HITS}] but was [{window}]. This limit can be set \
             by changing the [index.max_inner_result_window] index level setting.",
            context.name
        )));
    }
    let sort = reader.take("sort").map(parse_sort).transpose()?;
    let source = reader
        .take("_source")
        .map(parse_source_filter)
        .transpose()?;
    let stored_fields = reader.texts("stored_fields")?;
    let mut fields = |key: &'static str| {
        let given = reader.take(key);
        let fields = given.map(|value| parse_field_formats(value, key));
        fields.transpose().map(Option::unwrap_or_default)
    };
    let (docvalue_fields, fields) = (fields("docvalue_fields")?, fields("fields")?);
    let explain = reader.boolean("explain")?.unwrap_or(false);
    let highlight = reader
        .take("highlight")
        .map(|value| highlight(value, context))
        .transpose()?;
    let version = reader.boolean("version")?.unwrap_or(false);
    let seq_no_primary_term = reader.boolean("seq_no_primary_term")?.unwrap_or(false);
    let track_scores = reader.boolean("track_scores")?.unwrap_or(false);
    reader.finish()?;
    Ok(AggregationKind::TopHits(TopHitsAggregation {
        from: from as usize,
        size: size as usize,
        sort: sort.unwrap_or_default(),
        source: shown_source(source, stored_fields.as_deref()),
        docvalue_fields,
        fields,
        stored_fields: stored_fields.unwrap_or_default(),
        explain,
        highlight,
        version,
        seq_no_primary_term,
        track_scores,
    }))
}
