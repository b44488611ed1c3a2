//! Results of aggregations as the dialect writes them.

mod metric;

use gleaner_query::answer::{
    AggregationResult, AggregationValue, Bucket, BucketKey, Hit, TermsTotals,
};
use gleaner_query::double::java_text;
use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::hit::{HitBody, HitForm};

/// Results by name, in the order of the request.
pub(crate) type Results<'a> = IndexMap<String, AggregationBody<'a>>;

/// A part of results. Buckets and hits become one by one while they are written: there may be many.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum AggregationBody<'a> {
    Plain(Value),
    Meta(&'a Value),
    Buckets(Buckets<'a>),
    Hits(Hits<'a>),
    Object(Results<'a>),
}

/// The buckets of one result.
#[derive(Debug)]
pub(crate) struct Buckets<'a> {
    form: AggregationForm,
    buckets: &'a [Bucket],
    kind: Kind,
}

impl Serialize for Buckets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = |bucket| self.form.bucket(bucket, self.kind);
        if !self.kind.is_keyed {
            return serializer.collect_seq(self.buckets.iter().map(shown));
        }
        let name = |bucket: &Bucket| match &bucket.key_as_string {
            Some(text) => text.clone(),
            None => key_text(&bucket.key),
        };
        let keyed = self.buckets.iter().map(|bucket| (name(bucket), bucket));
        let keyed: IndexMap<String, &Bucket> = keyed.collect();
        serializer.collect_map(
            keyed
                .into_iter()
                .map(|(name, bucket)| (name, shown(bucket))),
        )
    }
}

/// The hits of a `top_hits`. They stand as they are written: a `_source` may have numbers and texts that no
/// [`Value`] holds.
#[derive(Debug)]
pub(crate) struct Hits<'a> {
    hits: &'a [Hit],
    form: HitForm,
}

impl Serialize for Hits<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hits = self.hits.iter();
        serializer.collect_seq(hits.map(|hit| HitBody::new(hit, &self.form, None)))
    }
}

/// How results are named and counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AggregationForm {
    /// Whether names carry the type: `sterms#tags`.
    pub(crate) has_typed_keys: bool,
    /// Whether totals of `top_hits` are bare numbers.
    pub(crate) has_plain_totals: bool,
}

impl AggregationForm {
    /// Returns the object of results by name.
    pub(crate) fn results(self, results: &[AggregationResult]) -> Results<'_> {
        let mut object = Results::new();
        for result in results {
            let name = if self.has_typed_keys {
                format!("{}#{}", result.type_name, result.name)
            } else {
                result.name.clone()
            };
            object.insert(name, self.result(result));
        }
        object
    }

    fn result(self, result: &AggregationResult) -> AggregationBody<'_> {
        let mut object = Results::new();
        if let Some(meta) = &result.meta {
            object.insert("meta".to_owned(), AggregationBody::Meta(meta));
        }
        match &result.value {
            AggregationValue::Buckets {
                buckets,
                keyed,
                terms,
                beside,
            } => {
                put_all(beside, &mut object);
                put_totals(terms.as_ref(), &mut object);
                let kind = Kind {
                    type_name: result.type_name,
                    is_keyed: *keyed,
                    terms: *terms,
                };
                let shown = Buckets {
                    form: self,
                    buckets,
                    kind,
                };
                object.insert("buckets".to_owned(), AggregationBody::Buckets(shown));
            }
            AggregationValue::Single { doc_count, sub } => {
                put("doc_count", *doc_count, &mut object);
                object.extend(self.results(sub));
            }
            AggregationValue::Number { .. }
            | AggregationValue::OfBuckets { .. }
            | AggregationValue::Derivative { .. } => put_number(result, &mut object),
            AggregationValue::Stats(stats) => {
                let mut numbers = Map::new();
                metric::stats(stats, &mut numbers);
                object.extend(plain(numbers));
            }
            AggregationValue::Percentiles {
                values,
                as_strings,
                keyed,
            } => {
                let texts = as_strings.as_deref();
                let shown = metric::percentiles(result.type_name, values, texts, *keyed);
                put("values", shown, &mut object);
            }
            AggregationValue::TopHits {
                total,
                max_score,
                hits,
                has_version,
                has_seq_no,
                is_bare,
            } => {
                let form = HitForm {
                    has_version: *has_version,
                    has_seq_no: *has_seq_no,
                    is_bare: *is_bare,
                    ..HitForm::default()
                };
                let shown = self.top_hits(*total, *max_score, Hits { hits, form });
                object.insert("hits".to_owned(), shown);
            }
            AggregationValue::TopMetrics { top, .. } => put("top", top.clone(), &mut object),
            AggregationValue::Shown(values) => put_all(values, &mut object),
        }
        AggregationBody::Object(object)
    }

    fn bucket(self, bucket: &Bucket, kind: Kind) -> Results<'_> {
        let mut object = Results::new();
        match &bucket.key {
            BucketKey::Range { key, from, to } => {
                if !kind.is_keyed {
                    put("key", key.as_str(), &mut object);
                }
                bound("from", from.as_ref(), &mut object);
                bound("to", to.as_ref(), &mut object);
            }
            BucketKey::Unnamed(_) => {}
            // What stands under its key does not repeat it.
            _ if kind.is_keyed
                && matches!(kind.type_name, "filters" | "ip_range" | "ip_prefix") => {}
            key => {
                if let Some(text) = &bucket.key_as_string {
                    put("key_as_string", text.as_str(), &mut object);
                }
                put("key", key_value(key), &mut object);
            }
        }
        put("doc_count", bucket.doc_count, &mut object);
        put_all(&bucket.beside, &mut object);
        if let Some(totals) = kind.terms.filter(|totals| totals.show_error) {
            let bound = totals.error_upper_bound;
            put("doc_count_error_upper_bound", bound, &mut object);
        }
        object.extend(self.results(&bucket.sub));
        object
    }

    fn top_hits<'a>(
        self,
        total: u64,
        max_score: Option<f32>,
        hits: Hits<'a>,
    ) -> AggregationBody<'a> {
        let total = if self.has_plain_totals {
            json!(total)
        } else {
            json!({"value": total, "relation": "eq"})
        };
        let mut object = Results::new();
        put("total", total, &mut object);
        put("max_score", max_score.and_then(shortest), &mut object);
        object.insert("hits".to_owned(), AggregationBody::Hits(hits));
        AggregationBody::Object(object)
    }
}

/// Returns roughly how many bytes results take, or a number beyond `enough` that is no more than they do.
pub(crate) fn num_bytes_of(results: &[AggregationResult], enough: usize) -> usize {
    let mut sum = 0;
    for result in results {
        sum += RESULT_BYTES + result.name.len();
        match &result.value {
            AggregationValue::Buckets { buckets, .. } => {
                for bucket in buckets {
                    if sum > enough {
                        break;
                    }
                    sum += RESULT_BYTES + num_bytes_of(&bucket.sub, enough - sum);
                }
            }
            AggregationValue::Single { sub, .. } => sum += num_bytes_of(sub, enough),
            AggregationValue::TopHits { hits, .. } => {
                let sources = hits.iter().filter_map(|hit| hit.source.as_ref());
                sum += sources
                    .map(|source| RESULT_BYTES + source.len())
                    .sum::<usize>();
            }
            _ => {}
        }
        if sum > enough {
            break;
        }
    }
    sum
}

/// Bytes of a bucket or a result beside names and keys.
const RESULT_BYTES: usize = 64;

/// What the buckets of one aggregation have in common.
#[derive(Debug, Clone, Copy)]
struct Kind {
    type_name: &'static str,
    is_keyed: bool,
    terms: Option<TermsTotals>,
}

/// Returns the double whose shortest text is that of `score`, so that both print alike.
pub(crate) fn shortest(score: f32) -> Option<f64> {
    score.to_string().parse().ok()
}

fn bound(name: &str, bound: Option<&(f64, Option<String>)>, object: &mut Results<'_>) {
    let Some((number, text)) = bound else { return };
    put(name, *number, object);
    if let Some(text) = text {
        put(&format!("{name}_as_string"), text.as_str(), object);
    }
}

fn put(name: &str, value: impl Into<Value>, object: &mut Results<'_>) {
    object.insert(name.to_owned(), AggregationBody::Plain(value.into()));
}

fn put_all(values: &[(&'static str, Value)], object: &mut Results<'_>) {
    for (name, value) in values {
        put(name, value.clone(), object);
    }
}

/// Shows what a `terms` aggregation left out.
fn put_totals(totals: Option<&TermsTotals>, object: &mut Results<'_>) {
    let Some(totals) = totals else { return };
    put(
        "doc_count_error_upper_bound",
        totals.error_upper_bound,
        object,
    );
    put("sum_other_doc_count", totals.sum_other, object);
}

/// Shows a metric of one number, with what stands beside it.
fn put_number(result: &AggregationResult, object: &mut Results<'_>) {
    match &result.value {
        AggregationValue::Number { value, as_string } => {
            object.extend(number(result, *value, as_string.as_deref()));
        }
        AggregationValue::OfBuckets {
            value,
            as_string,
            keys,
        } => {
            object.extend(number(result, *value, as_string.as_deref()));
            put("keys", keys.clone(), object);
        }
        AggregationValue::Derivative {
            value,
            as_string,
            normalized,
            normalized_as_string,
        } => {
            object.extend(number(result, *value, as_string.as_deref()));
            put("normalized_value", *normalized, object);
            if let Some(text) = normalized_as_string {
                put("normalized_value_as_string", text.as_str(), object);
            }
        }
        _ => {}
    }
}

/// Shows one number of a metric.
fn number<'a>(
    result: &AggregationResult,
    value: Option<f64>,
    as_string: Option<&str>,
) -> impl Iterator<Item = (String, AggregationBody<'a>)> {
    let mut numbers = Map::new();
    metric::number(result.type_name, value, as_string, &mut numbers);
    plain(numbers)
}

fn plain<'a>(values: Map<String, Value>) -> impl Iterator<Item = (String, AggregationBody<'a>)> {
    let shown = |(name, value)| (name, AggregationBody::Plain(value));
    values.into_iter().map(shown)
}

fn key_value(key: &BucketKey) -> Value {
    match key {
        BucketKey::Text(text) | BucketKey::Range { key: text, .. } => text.as_str().into(),
        BucketKey::I64(number) => (*number).into(),
        BucketKey::U64(number) => (*number).into(),
        BucketKey::F64(number) => (*number).into(),
        BucketKey::Several { shown, .. } => shown.clone(),
        BucketKey::Unnamed(_) => Value::Null,
    }
}

fn key_text(key: &BucketKey) -> String {
    match key {
        BucketKey::F64(number) => java_text(*number),
        key => match key_value(key) {
            Value::String(text) => text,
            other => other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests;
