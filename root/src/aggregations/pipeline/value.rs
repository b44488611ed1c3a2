//! Where the numbers of pipelines are: paths through results.

use gleaner_partial::EvaluationError;
use gleaner_query::aggregation::{BucketPath, GapPolicy, PathStep, Pipeline};
use gleaner_query::answer::{
    AggregationResult, AggregationValue, Bucket, BucketKey, Spread, Stats,
};
use gleaner_query::decimal;
use gleaner_query::double::java_text;
use serde_json::Value;

/// The numbers in some buckets, in their order; NaN where there is none.
pub(super) struct Numbers(pub(super) Vec<f64>);

impl Numbers {
    /// Returns the numbers at `path` in each bucket.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] where the path leads to no number.
    pub(super) fn of(
        buckets: &[Bucket],
        path: &BucketPath,
        gaps: GapPolicy,
    ) -> Result<Self, EvaluationError> {
        let numbers = buckets.iter().map(|bucket| in_bucket(bucket, path, gaps));
        Ok(Self(numbers.collect::<Result<_, _>>()?))
    }

    /// Returns those that are numbers.
    pub(super) fn known(&self) -> Vec<f64> {
        let numbers = self.0.iter().copied();
        numbers.filter(|number| !number.is_nan()).collect()
    }
}

/// Returns the number at `path` in a bucket; NaN where it has none.
pub(super) fn in_bucket(
    bucket: &Bucket,
    path: &BucketPath,
    gaps: GapPolicy,
) -> Result<f64, EvaluationError> {
    let below = path.property.as_deref();
    let below = below.filter(|name| bucket.sub.iter().any(|result| result.name == **name));
    if path.steps.is_empty()
        && let Some(name) = below
    {
        // `tags.sales` is `tags>sales`.
        let step = PathStep {
            name: name.to_owned(),
            bucket: None,
        };
        let path = BucketPath {
            text: path.text.clone(),
            steps: vec![step],
            property: None,
        };
        return in_bucket(bucket, &path, gaps);
    }
    if path.steps.is_empty() {
        return match path.property.as_deref() {
            Some("_count") => Ok(bucket.doc_count as f64),
            Some("_key") => Ok(key_number(&bucket.key)),
            _ => Err(refused(path, "names no aggregation")),
        };
    }
    let number = in_results(&bucket.sub, &path.steps, path)?;
    let is_gap = !number.is_finite() || (bucket.doc_count == 0 && gaps != GapPolicy::KeepValues);
    Ok(match (is_gap, gaps) {
        (false, _) => number,
        (true, GapPolicy::InsertZeros) => 0.0,
        (true, GapPolicy::Skip | GapPolicy::KeepValues) => f64::NAN,
    })
}

/// Returns whether there is a result at `path` in a bucket: a pipeline may have made none.
pub(super) fn is_there(bucket: &Bucket, path: &BucketPath) -> bool {
    let mut results = &bucket.sub[..];
    for step in &path.steps {
        let Some(found) = results.iter().find(|result| result.name == step.name) else {
            return false;
        };
        results = match (&found.value, &step.bucket) {
            (AggregationValue::Single { sub, .. }, _) => sub,
            (AggregationValue::Buckets { buckets, .. }, Some(key)) => {
                match bucket_of_key(buckets, key) {
                    Some(bucket) => &bucket.sub,
                    None => return false,
                }
            }
            _ => return true,
        };
    }
    true
}

/// Follows the steps of a path through results; NaN where there is no number.
fn in_results(
    results: &[AggregationResult],
    steps: &[PathStep],
    path: &BucketPath,
) -> Result<f64, EvaluationError> {
    let Some((step, rest)) = steps.split_first() else {
        return Err(refused(path, "names no aggregation"));
    };
    // A pipeline that had no number for this bucket added nothing.
    let Some(result) = results.iter().find(|result| result.name == step.name) else {
        return Ok(f64::NAN);
    };
    match (&result.value, &step.bucket) {
        (AggregationValue::Buckets { buckets, .. }, Some(key)) => {
            match bucket_of_key(buckets, key) {
                Some(bucket) => inside(bucket.doc_count, &bucket.sub, rest, path),
                None => Ok(f64::NAN),
            }
        }
        (AggregationValue::Buckets { buckets, .. }, None)
            if path.property.as_deref() == Some("_bucket_count") && rest.is_empty() =>
        {
            Ok(buckets.len() as f64)
        }
        (AggregationValue::Buckets { .. }, None) => Err(refused(
            path,
            "goes through an aggregation of several buckets, which must be at its beginning",
        )),
        (AggregationValue::Single { doc_count, sub }, _) => inside(*doc_count, sub, rest, path),
        (metric, _) if rest.is_empty() => of_metric(metric, path),
        _ => Err(refused(path, "goes on beyond a metric")),
    }
}

/// Follows a path into one bucket.
fn inside(
    doc_count: u64,
    sub: &[AggregationResult],
    rest: &[PathStep],
    path: &BucketPath,
) -> Result<f64, EvaluationError> {
    match (rest, path.property.as_deref()) {
        ([], None | Some("_count")) => Ok(doc_count as f64),
        ([], Some(_)) => Err(refused(path, "names no number of a bucket")),
        _ => in_results(sub, rest, path),
    }
}

fn of_metric(metric: &AggregationValue, path: &BucketPath) -> Result<f64, EvaluationError> {
    let property = path.property.as_deref();
    let number = match metric {
        AggregationValue::Number { value, .. } | AggregationValue::OfBuckets { value, .. } => {
            match property {
                None | Some("value") => Some(value.unwrap_or(f64::NAN)),
                Some(_) => None,
            }
        }
        AggregationValue::Derivative {
            value, normalized, ..
        } => match property {
            None | Some("value") => Some(value.unwrap_or(f64::NAN)),
            Some("normalized_value") => Some(normalized.unwrap_or(f64::NAN)),
            Some(_) => None,
        },
        AggregationValue::Stats(stats) => property.and_then(|name| of_stats(stats, name)),
        AggregationValue::TopMetrics { numbers, .. } => {
            let mut numbers = numbers.iter();
            let found = numbers.find(|(name, _)| Some(name.as_str()) == property);
            found.and_then(|(_, number)| *number)
        }
        // A single value needs no name.
        AggregationValue::Percentiles { values, .. } if property.is_none() => {
            let only = values.first().filter(|_| values.len() == 1);
            only.map(|(_, value)| value.unwrap_or(f64::NAN))
        }
        AggregationValue::Percentiles { values, .. } => {
            let percent = property.and_then(|percent| percent.parse::<f64>().ok());
            let mut values = values.iter();
            let found = values.find(|(other, _)| Some(*other) == percent);
            found.map(|(_, value)| value.unwrap_or(f64::NAN))
        }
        _ => None,
    };
    number.ok_or_else(|| {
        refused(
            path,
            "must reference either a number value or a single value numeric metric aggregation",
        )
    })
}

/// Returns a number of `stats`; `None` for other names.
fn of_stats(stats: &Stats, name: &str) -> Option<f64> {
    let spread = |of: fn(&Spread) -> f64| stats.spread.as_deref().map(of);
    match name {
        "count" => Some(stats.count as f64),
        "min" => Some(stats.min),
        "max" => Some(stats.max),
        "sum" => Some(stats.sum),
        "avg" => Some(stats.sum / stats.count as f64),
        "sum_of_squares" => spread(|spread| spread.sum_of_squares.value),
        "variance" | "variance_population" => spread(|spread| spread.variance[0].value),
        "variance_sampling" => spread(|spread| spread.variance[1].value),
        "std_deviation" | "std_deviation_population" => spread(|spread| spread.deviation[0].value),
        "std_deviation_sampling" => spread(|spread| spread.deviation[1].value),
        "std_upper" | "std_upper_population" => spread(|spread| spread.bounds[0][0].value),
        "std_lower" | "std_lower_population" => spread(|spread| spread.bounds[0][1].value),
        "std_upper_sampling" => spread(|spread| spread.bounds[1][0].value),
        "std_lower_sampling" => spread(|spread| spread.bounds[1][1].value),
        _ => None,
    }
}

/// Returns the bucket that a path names by its key.
pub(super) fn bucket_of_key<'a>(buckets: &'a [Bucket], key: &str) -> Option<&'a Bucket> {
    buckets.iter().find(|bucket| key_text(bucket) == key)
}

/// Returns the key of a bucket as paths and `keys` have it.
pub(super) fn key_text(bucket: &Bucket) -> String {
    if let Some(text) = &bucket.key_as_string {
        return text.clone();
    }
    match &bucket.key {
        BucketKey::Text(text) | BucketKey::Unnamed(text) | BucketKey::Range { key: text, .. } => {
            text.clone()
        }
        BucketKey::I64(number) => number.to_string(),
        BucketKey::U64(number) => number.to_string(),
        BucketKey::F64(number) => java_text(*number),
        BucketKey::Several { shown, .. } => map_text(shown),
    }
}

/// Returns the values of a key by name as Java writes a map: `{k=b, b=false}`.
fn map_text(key: &Value) -> String {
    let part = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}={text}"),
        Value::Number(number) if number.is_f64() => {
            format!("{name}={}", java_text(number.as_f64().unwrap_or(f64::NAN)))
        }
        other => format!("{name}={other}"),
    };
    let parts = key.as_object().into_iter().flatten().map(part);
    format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
}

/// Returns the key as a number; NaN for texts.
pub(super) fn key_number(key: &BucketKey) -> f64 {
    match key {
        BucketKey::I64(number) => *number as f64,
        BucketKey::U64(number) => *number as f64,
        BucketKey::F64(number) => *number,
        BucketKey::Text(_)
        | BucketKey::Range { .. }
        | BucketKey::Several { .. }
        | BucketKey::Unnamed(_) => f64::NAN,
    }
}

/// Returns one of the values of a key as a number; NaN where it is none.
pub(super) fn part_number(key: &BucketKey, at: usize) -> f64 {
    let number = match key {
        BucketKey::Several { numbers, .. } => numbers.get(at).copied().flatten(),
        _ => None,
    };
    number.unwrap_or(f64::NAN)
}

/// Returns the formatted form of a number, where the pipeline has a format.
pub(super) fn text(pipeline: &Pipeline, number: f64) -> Option<String> {
    let format = pipeline.format.as_deref()?;
    Some(decimal::format(format, number))
}

/// Returns the error for a path that leads to no number.
pub(super) fn refused(path: &BucketPath, why: &str) -> EvaluationError {
    EvaluationError::Query(format!("buckets_path [{}] {why}", path.text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn buckets_are_known_by_the_keys_that_java_writes() {
        let key = json!({"k": "b", "b": false, "n": 2, "f": 1e7, "none": null});
        let keys = [
            BucketKey::Several {
                shown: key,
                numbers: Vec::new(),
            },
            BucketKey::Unnamed("0".to_owned()),
            BucketKey::F64(2.0),
        ];
        let buckets = keys.map(|key| Bucket {
            key,
            key_as_string: None,
            doc_count: 1,
            beside: Vec::new(),
            sub: Vec::new(),
        });
        let texts = ["{k=b, b=false, n=2, f=1.0E7, none=null}", "0", "2.0"];
        for (bucket, text) in buckets.iter().zip(texts) {
            assert_eq!(key_text(bucket), text);
            assert_eq!(bucket_of_key(&buckets, text), Some(bucket));
        }
        assert_eq!(bucket_of_key(&buckets, "2"), None);
    }

    #[test]
    fn metrics_of_the_first_hit_are_numbers_by_name() {
        let metrics = AggregationValue::TopMetrics {
            top: Vec::new(),
            numbers: vec![
                ("price".to_owned(), Some(2.5)),
                ("none".to_owned(), Some(f64::NAN)),
                ("tag".to_owned(), None),
            ],
        };
        let of = |property: Option<&str>| {
            let path = BucketPath {
                text: "tm".to_owned(),
                steps: Vec::new(),
                property: property.map(str::to_owned),
            };
            of_metric(&metrics, &path)
        };
        assert_eq!(of(Some("price")).expect("a number"), 2.5);
        assert!(of(Some("none")).expect("a gap").is_nan());
        for property in [Some("tag"), Some("other"), None] {
            let refused = of(property).expect_err("no number").to_string();
            assert!(refused.contains("single value numeric metric"), "{refused}");
        }
    }

    #[test]
    fn a_single_percentile_needs_no_name() {
        let of = |values: &[(f64, Option<f64>)], property: Option<&str>| {
            let percentiles = AggregationValue::Percentiles {
                values: values.to_vec(),
                as_strings: None,
                keyed: true,
            };
            let path = BucketPath {
                text: "p".to_owned(),
                steps: Vec::new(),
                property: property.map(str::to_owned),
            };
            of_metric(&percentiles, &path)
        };
        let single = [(99.0, Some(2.5))];
        assert_eq!(of(&single, None).expect("a number"), 2.5);
        assert_eq!(of(&single, Some("99")).expect("a number"), 2.5);
        assert!(of(&single, Some("50")).is_err());
        assert!(of(&[(99.0, None)], None).expect("a gap").is_nan());
        assert!(of(&[(50.0, Some(1.0)), (99.0, Some(2.5))], None).is_err());
    }
}
