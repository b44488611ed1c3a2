//! Pipeline aggregations, from JSON: what they compute, and of what.

mod ordering;
mod path;
mod script;

use serde_json::Value;

pub(super) use self::ordering::in_order;
use self::path::bucket_path;
use self::script::{moving_function, scripted};
use super::rate::{self, RATE};
use crate::aggregation::{
    BucketPath, BucketSummary, GapPolicy, NormalizeMethod, Pipeline, PipelineKind,
};
use crate::decimal;
use crate::error::{ErrorType, QueryError};
use crate::json::ObjectReader;
use crate::units::parse_time;

/// Pipeline aggregations that we have.
pub(super) const PIPELINES: [&str; 16] = [
    "avg_bucket",
    "bucket_script",
    "bucket_selector",
    "bucket_sort",
    "cumulative_sum",
    "derivative",
    "extended_stats_bucket",
    "max_bucket",
    "min_bucket",
    "moving_fn",
    "normalize",
    "percentiles_bucket",
    "rate",
    "serial_diff",
    "stats_bucket",
    "sum_bucket",
];

/// Largest window of `moving_fn`, lag of `serial_diff` and size of `bucket_sort`.
const MAX_BUCKETS: u64 = 65_536;

/// Percents of `percentiles_bucket` where none are given.
const PERCENTS: [f64; 7] = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0];

/// Reads the pipeline aggregation `name` of the kind `kind`.
pub(super) fn read(
    name: &str,
    kind: &str,
    body: &Value,
    meta: Option<Value>,
) -> Result<Pipeline, QueryError> {
    let mut reader = ObjectReader::part(kind, body)?;
    if kind == RATE {
        reader.unsupported(&["gap_policy", "script"])?;
    }
    let gaps = match reader.text("gap_policy")?.as_deref() {
        None | Some("skip") => GapPolicy::Skip,
        Some("insert_zeros") => GapPolicy::InsertZeros,
        Some("keep_values") => GapPolicy::KeepValues,
        Some(other) => {
            return Err(QueryError::parsing(format!(
                "Invalid gap policy: [{other}], accepted values: [insert_zeros, skip, keep_values]"
            )));
        }
    };
    let format = reader.text("format")?;
    if let Some(pattern) = &format {
        decimal::check(pattern)?;
    }
    let read = match kind {
        "bucket_script" | "bucket_selector" => scripted(kind, &mut reader)?,
        "bucket_sort" => sort(&mut reader)?,
        RATE => rate::read(name, &mut reader)?,
        _ => of_numbers(name, kind, &mut reader)?,
    };
    reader.finish()?;
    let is_share = matches!(
        read,
        PipelineKind::Normalize {
            method: NormalizeMethod::PercentOfSum,
            ..
        }
    );
    Ok(Pipeline {
        name: name.to_owned(),
        kind: read,
        format: format.or_else(|| is_share.then(|| "#,##0.00%".to_owned())),
        gaps,
        meta,
    })
}

fn of_numbers(
    name: &str,
    kind: &str,
    reader: &mut ObjectReader<'_>,
) -> Result<PipelineKind, QueryError> {
    let path = one_path(name, reader)?;
    let summary = match kind {
        "avg_bucket" => BucketSummary::Avg,
        "max_bucket" => BucketSummary::Max,
        "min_bucket" => BucketSummary::Min,
        "sum_bucket" => BucketSummary::Sum,
        "stats_bucket" => BucketSummary::Stats,
        "extended_stats_bucket" => BucketSummary::ExtendedStats {
            sigma: match reader.number("sigma")? {
                Some(sigma) if sigma < 0.0 => {
                    return Err(QueryError::illegal("sigma must be a non-negative double"));
                }
                sigma => sigma.unwrap_or(2.0),
            },
        },
        "percentiles_bucket" => BucketSummary::Percentiles {
            percents: percents(reader)?,
            keyed: reader.boolean("keyed")?.unwrap_or(true),
        },
        _ => return in_buckets(kind, path, reader),
    };
    Ok(PipelineKind::Buckets { summary, path })
}

fn in_buckets(
    kind: &str,
    path: BucketPath,
    reader: &mut ObjectReader<'_>,
) -> Result<PipelineKind, QueryError> {
    Ok(match kind {
        "derivative" => PipelineKind::Derivative {
            path,
            unit: match reader.text("unit")? {
                None => None,
                Some(unit) => Some(derivative_unit(&unit)?),
            },
        },
        "cumulative_sum" => PipelineKind::CumulativeSum { path },
        "serial_diff" => PipelineKind::SerialDifference {
            path,
            lag: positive(reader, "lag")?.unwrap_or(1),
        },
        "normalize" => PipelineKind::Normalize {
            path,
            method: normalize_method(reader)?,
        },
        _ => {
            let (function, fewest) = moving_function(reader)?;
            PipelineKind::MovingFunction {
                path,
                window: positive(reader, "window")?.ok_or_else(|| {
                    QueryError::illegal("[window] must be a positive, non-zero integer.")
                })?,
                shift: reader.integer("shift")?.unwrap_or(0),
                fewest,
                function,
            }
        }
    })
}

fn derivative_unit(unit: &str) -> Result<std::time::Duration, QueryError> {
    const DAY_S: u64 = 86_400;
    // As long as in the mean, as in Elasticsearch: of 400 years.
    const YEAR_S: u64 = 31_556_952;
    let seconds = match unit {
        "second" | "1s" => 1,
        "minute" | "1m" => 60,
        "hour" | "1h" => 3_600,
        "day" | "1d" => DAY_S,
        "week" | "1w" => 7 * DAY_S,
        "month" | "1M" => YEAR_S / 12,
        "quarter" | "1q" => YEAR_S / 4,
        "year" | "1y" => YEAR_S,
        other => {
            let unit = parse_time(other, "unit")?;
            return unit
                .filter(|unit| !unit.is_zero())
                .ok_or_else(|| QueryError::illegal("[unit] must be longer than 0"));
        }
    };
    Ok(std::time::Duration::from_secs(seconds))
}

fn positive(reader: &mut ObjectReader<'_>, key: &'static str) -> Result<Option<usize>, QueryError> {
    match reader.count(key)? {
        None => Ok(None),
        Some(number @ 1..=MAX_BUCKETS) => Ok(Some(number as usize)),
        Some(number) => Err(QueryError::illegal(format!(
            "[{key}] must be a positive, non-zero integer of at most [{MAX_BUCKETS}], but was [{number}]"
        ))),
    }
}

fn percents(reader: &mut ObjectReader<'_>) -> Result<Vec<f64>, QueryError> {
    let Some(value) = reader.take("percents") else {
        return Ok(PERCENTS.to_vec());
    };
    let numbers = value.as_array().map(|items| {
        let numbers = items.iter().map(Value::as_f64);
        numbers.collect::<Option<Vec<f64>>>()
    });
    match numbers.flatten() {
        Some(percents)
            if percents.len() <= 1_024
                && percents
                    .iter()
                    .all(|percent| (0.0..=100.0).contains(percent)) =>
        {
            Ok(percents)
        }
        _ => Err(QueryError::illegal(
            "[percents] must be numbers between 0 and 100",
        )),
    }
}

fn normalize_method(reader: &mut ObjectReader<'_>) -> Result<NormalizeMethod, QueryError> {
    match reader.text("method")?.as_deref() {
        Some("rescale_0_1") => Ok(NormalizeMethod::Rescale01),
        Some("rescale_0_100") => Ok(NormalizeMethod::Rescale0100),
        Some("percent_of_sum") => Ok(NormalizeMethod::PercentOfSum),
        Some("mean") => Ok(NormalizeMethod::Mean),
        Some("z-score") => Ok(NormalizeMethod::ZScore),
        Some("softmax") => Ok(NormalizeMethod::Softmax),
        given => Err(QueryError::illegal(format!(
            "invalid method [{}]",
            given.unwrap_or_default()
        ))),
    }
}

fn sort(reader: &mut ObjectReader<'_>) -> Result<PipelineKind, QueryError> {
    let keys = match reader.take("sort") {
        None => Vec::new(),
        Some(value) => crate::search::parse_sort(value)?
            .into_iter()
            .map(|key| {
                let name = match key.target {
                    crate::search::SortTarget::Field(name) => name,
                    other => {
                        return Err(QueryError::illegal(format!(
                            "[bucket_sort] cannot sort by [{other:?}]"
                        )));
                    }
                };
                Ok((bucket_path(&name)?, key.descending))
            })
            .collect::<Result<Vec<_>, QueryError>>()?,
    };
    Ok(PipelineKind::Sort {
        keys,
        from: reader.count("from")?.unwrap_or(0) as usize,
        size: positive(reader, "size")?,
    })
}

fn one_path(name: &str, reader: &mut ObjectReader<'_>) -> Result<BucketPath, QueryError> {
    let paths = reader.texts("buckets_path")?.unwrap_or_default();
    match paths.as_slice() {
        [path] => bucket_path(path),
        [] => Err(QueryError::parsing(format!(
            "Missing required field [buckets_path] for aggregation [{name}]"
        ))),
        _ => Err(validation(format!(
            "buckets_path must contain a single entry for aggregation [{name}]"
        ))),
    }
}

fn validation(reason: impl std::fmt::Display) -> QueryError {
    QueryError::new(
        ErrorType::Validation,
        format!("Validation Failed: 1: {reason};"),
    )
}
