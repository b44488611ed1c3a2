//! Results of aggregations as the dialect writes them.

mod metric;

use gleaner_query::answer::{
    AggregationResult, AggregationValue, Bucket, BucketKey, Hit, TermsTotals,
};
use gleaner_query::double::java_text;
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::hit::{HitBody, HitForm};

/// Results by name, in the order of the request.
pub(crate) type Results = IndexMap<String, Shown>;

/// A part of results. Hits stand in it as they are written: a `_source` may have numbers and texts that no
/// [`Value`] holds.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Plain(Value),
    Written(Box<RawValue>),
    List(Vec<Shown>),
    Object(Results),
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
    pub(crate) fn results(self, results: &[AggregationResult]) -> Results {
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

    fn result(self, result: &AggregationResult) -> Shown {
        let mut object = Results::new();
        if let Some(meta) = &result.meta {
            put("meta", meta.clone(), &mut object);
        }
        match &result.value {
            AggregationValue::Buckets {
                buckets,
                keyed,
                terms,
            } => {
                if let Some(totals) = terms {
                    put(
                        "doc_count_error_upper_bound",
                        totals.error_upper_bound,
                        &mut object,
                    );
                    put("sum_other_doc_count", totals.sum_other, &mut object);
                }
                let kind = Kind {
                    type_name: result.type_name,
                    is_keyed: *keyed,
                    terms: *terms,
                };
                object.insert("buckets".to_owned(), self.buckets(buckets, kind));
            }
            AggregationValue::Single { doc_count, sub } => {
                put("doc_count", *doc_count, &mut object);
                object.extend(self.results(sub));
            }
            AggregationValue::Number { value, as_string } => {
                let mut numbers = Map::new();
                metric::number(result.type_name, *value, as_string.as_deref(), &mut numbers);
                object.extend(plain(numbers));
            }
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
                let shown = metric::percentiles(values, as_strings.as_deref(), *keyed);
                put("values", shown, &mut object);
            }
            AggregationValue::TopHits {
                total,
                max_score,
                hits,
                has_version,
                has_seq_no,
            } => {
                let form = HitForm {
                    has_version: *has_version,
                    has_seq_no: *has_seq_no,
                    ..HitForm::default()
                };
                let shown = self.top_hits(*total, *max_score, (hits, &form));
                object.insert("hits".to_owned(), shown);
            }
        }
        Shown::Object(object)
    }

    fn buckets(self, buckets: &[Bucket], kind: Kind) -> Shown {
        if !kind.is_keyed {
            let listed = buckets
                .iter()
                .map(|bucket| Shown::Object(self.bucket(bucket, kind)));
            return Shown::List(listed.collect());
        }
        let keyed = buckets.iter().map(|bucket| {
            let name = bucket
                .key_as_string
                .clone()
                .unwrap_or_else(|| key_text(&bucket.key));
            (name, Shown::Object(self.bucket(bucket, kind)))
        });
        Shown::Object(keyed.collect())
    }

    fn bucket(self, bucket: &Bucket, kind: Kind) -> Results {
        let mut object = Results::new();
        match &bucket.key {
            BucketKey::Range { key, from, to } => {
                if !kind.is_keyed {
                    put("key", key.as_str(), &mut object);
                }
                bound("from", from.as_ref(), &mut object);
                bound("to", to.as_ref(), &mut object);
            }
            BucketKey::Unnamed => {}
            // A filter that stands under its key does not repeat it.
            _ if kind.is_keyed && kind.type_name == "filters" => {}
            key => {
                if let Some(text) = &bucket.key_as_string {
                    put("key_as_string", text.as_str(), &mut object);
                }
                put("key", key_value(key), &mut object);
            }
        }
        put("doc_count", bucket.doc_count, &mut object);
        if let Some(totals) = kind.terms.filter(|totals| totals.show_error) {
            let bound = totals.error_upper_bound;
            put("doc_count_error_upper_bound", bound, &mut object);
        }
        object.extend(self.results(&bucket.sub));
        object
    }

    fn top_hits(
        self,
        total: u64,
        max_score: Option<f32>,
        (hits, form): (&[Hit], &HitForm),
    ) -> Shown {
        let shown = hits
            .iter()
            .filter_map(|hit| to_raw_value(&HitBody::new(hit, form, None)).ok())
            .map(Shown::Written)
            .collect();
        let total = if self.has_plain_totals {
            json!(total)
        } else {
            json!({"value": total, "relation": "eq"})
        };
        let mut object = Results::new();
        put("total", total, &mut object);
        put("max_score", max_score.and_then(shortest), &mut object);
        object.insert("hits".to_owned(), Shown::List(shown));
        Shown::Object(object)
    }
}

/// What the buckets of one aggregation have in common.
#[derive(Clone, Copy)]
struct Kind {
    type_name: &'static str,
    is_keyed: bool,
    terms: Option<TermsTotals>,
}

/// Returns the double whose shortest text is that of `score`, so that both print alike.
fn shortest(score: f32) -> Option<f64> {
    score.to_string().parse().ok()
}

fn bound(name: &str, bound: Option<&(f64, Option<String>)>, object: &mut Results) {
    let Some((number, text)) = bound else { return };
    put(name, *number, object);
    if let Some(text) = text {
        put(&format!("{name}_as_string"), text.as_str(), object);
    }
}

fn put(name: &str, value: impl Into<Value>, object: &mut Results) {
    object.insert(name.to_owned(), Shown::Plain(value.into()));
}

fn plain(values: Map<String, Value>) -> impl Iterator<Item = (String, Shown)> {
    let shown = |(name, value)| (name, Shown::Plain(value));
    values.into_iter().map(shown)
}

fn key_value(key: &BucketKey) -> Value {
    match key {
        BucketKey::Text(text) | BucketKey::Range { key: text, .. } => text.as_str().into(),
        BucketKey::I64(number) => (*number).into(),
        BucketKey::U64(number) => (*number).into(),
        BucketKey::F64(number) => (*number).into(),
        BucketKey::Unnamed => Value::Null,
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
