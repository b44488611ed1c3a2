//! `buckets_path`: `agg>agg['key']>metric.property`.

use crate::aggregation::{BucketPath, PathStep};
use crate::error::QueryError;

/// Reads where a number is.
///
/// # Errors
/// `illegal_argument_exception` for what is no path.
pub(super) fn bucket_path(text: &str) -> Result<BucketPath, QueryError> {
    let refuse = || QueryError::illegal(format!("Invalid path element in buckets_path [{text}]"));
    let mut parts: Vec<&str> = text.split('>').map(str::trim).collect();
    let last = parts.pop().unwrap_or_default();
    if last.is_empty() || parts.iter().any(|part| part.is_empty()) {
        return Err(refuse());
    }
    let mut steps = parts
        .into_iter()
        .map(|part| step(part).ok_or_else(refuse))
        .collect::<Result<Vec<_>, _>>()?;
    let property = match last {
        "_count" | "_key" | "_bucket_count" => Some(last.to_owned()),
        _ => {
            let (name, property) = metric(last).ok_or_else(refuse)?;
            steps.push(name);
            property
        }
    };
    Ok(BucketPath {
        text: text.to_owned(),
        steps,
        property,
    })
}

/// Reads the last part: a metric, and what of it; of an aggregation with buckets, which bucket.
fn metric(text: &str) -> Option<(PathStep, Option<String>)> {
    if let Some((name, key)) = text.split_once('[') {
        let (key, rest) = key.rsplit_once(']')?;
        let unquoted = unquoted(key);
        return Some(match (unquoted, rest) {
            (Some(bucket), rest) => {
                let property = rest.strip_prefix('.').map(str::to_owned);
                let bucket = Some(bucket.to_owned());
                (named(name, bucket), property)
            }
            (None, "") => (named(name, None), Some(key.to_owned())),
            (None, _) => return None,
        });
    }
    let (name, property) = match (text.split_once('.'), text.rsplit_once('.')) {
        // `times.99.9` is a percentile; otherwise names of aggregations may have points, properties none.
        (Some((name, percent)), _) if percent.parse::<f64>().is_ok() => (name, percent),
        (_, Some((name, property))) => (name, property),
        _ => return Some((named(text, None), None)),
    };
    if name.is_empty() || property.is_empty() {
        return None;
    }
    Some((named(name, None), Some(property.to_owned())))
}

fn step(text: &str) -> Option<PathStep> {
    match text.split_once('[') {
        None => Some(named(text, None)),
        Some((name, key)) => {
            let key = unquoted(key.strip_suffix(']')?)?;
            Some(named(name, Some(key.to_owned())))
        }
    }
}

fn unquoted(text: &str) -> Option<&str> {
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('\'').or_else(|| inside('"'))
}

fn named(name: &str, bucket: Option<String>) -> PathStep {
    PathStep {
        name: name.to_owned(),
        bucket,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_aggregations_buckets_and_properties() {
        let path = bucket_path("months>tags['red']>price.max").expect("a path");
        let names: Vec<&str> = path.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["months", "tags", "price"]);
        assert_eq!(path.steps[1].bucket.as_deref(), Some("red"));
        assert_eq!(path.property.as_deref(), Some("max"));
        let count = bucket_path("_count").expect("a path");
        assert_eq!(
            (count.steps.len(), count.property.as_deref()),
            (0, Some("_count"))
        );
        let percent = bucket_path("times[99.9]").expect("a path");
        assert_eq!(percent.property.as_deref(), Some("99.9"));
        for (text, name, property) in [
            ("times.99.9", "times", "99.9"),
            ("times.99", "times", "99"),
            ("stats[avg]", "stats", "avg"),
            ("my.stats.avg", "my.stats", "avg"),
        ] {
            let path = bucket_path(text).expect("a path");
            assert_eq!(path.steps[0].name, name, "{text}");
            assert_eq!(path.property.as_deref(), Some(property), "{text}");
        }
        for wrong in ["", "a>", ">b", "a['x>b", "a.", ".b"] {
            assert!(bucket_path(wrong).is_err(), "{wrong}");
        }
    }
}
