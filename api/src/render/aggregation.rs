//! Results of aggregations as the dialect writes them.

mod metric;

use gleaner_query::answer::{
    AggregationResult, AggregationValue, Bucket, BucketKey, Hit, TermsTotals,
};
use serde_json::{Map, Value, json};

use super::hit::{HitBody, HitForm};

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
    pub(crate) fn results(self, results: &[AggregationResult]) -> Map<String, Value> {
        let mut object = Map::new();
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

    fn result(self, result: &AggregationResult) -> Value {
        let mut object = Map::new();
        if let Some(meta) = &result.meta {
            object.insert("meta".to_owned(), meta.clone());
        }
        match &result.value {
            AggregationValue::Buckets {
                buckets,
                keyed,
                terms,
            } => {
                if let Some(totals) = terms {
                    object.insert(
                        "doc_count_error_upper_bound".to_owned(),
                        totals.error_upper_bound.into(),
                    );
                    object.insert("sum_other_doc_count".to_owned(), totals.sum_other.into());
                }
                let kind = Kind {
                    type_name: result.type_name,
                    is_keyed: *keyed,
                    terms: *terms,
                };
                object.insert("buckets".to_owned(), self.buckets(buckets, kind));
            }
            AggregationValue::Single { doc_count, sub } => {
                object.insert("doc_count".to_owned(), (*doc_count).into());
                object.extend(self.results(sub));
            }
            AggregationValue::Number { value, as_string } => {
                metric::number(result.type_name, *value, as_string.as_deref(), &mut object);
            }
            AggregationValue::Stats(stats) => metric::stats(stats, &mut object),
            AggregationValue::Percentiles {
                values,
                as_strings,
                keyed,
            } => {
                let shown = metric::percentiles(values, as_strings.as_deref(), *keyed);
                object.insert("values".to_owned(), shown);
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
        Value::Object(object)
    }

    fn buckets(self, buckets: &[Bucket], kind: Kind) -> Value {
        if !kind.is_keyed {
            return buckets
                .iter()
                .map(|bucket| Value::Object(self.bucket(bucket, kind)))
                .collect();
        }
        let keyed = buckets.iter().map(|bucket| {
            let name = bucket
                .key_as_string
                .clone()
                .unwrap_or_else(|| key_text(&bucket.key));
            (name, Value::Object(self.bucket(bucket, kind)))
        });
        Value::Object(keyed.collect())
    }

    fn bucket(self, bucket: &Bucket, kind: Kind) -> Map<String, Value> {
        let mut object = Map::new();
        match &bucket.key {
            BucketKey::Range { key, from, to } => {
                if !kind.is_keyed {
                    object.insert("key".to_owned(), key.as_str().into());
                }
                bound("from", from.as_ref(), &mut object);
                bound("to", to.as_ref(), &mut object);
            }
            // Filters show no key: named ones stand under theirs, the others have none.
            _ if kind.type_name == "filters" => {}
            key => {
                if let Some(text) = &bucket.key_as_string {
                    object.insert("key_as_string".to_owned(), text.as_str().into());
                }
                object.insert("key".to_owned(), key_value(key));
            }
        }
        object.insert("doc_count".to_owned(), bucket.doc_count.into());
        if let Some(totals) = kind.terms.filter(|totals| totals.show_error) {
            let bound = totals.error_upper_bound.into();
            object.insert("doc_count_error_upper_bound".to_owned(), bound);
        }
        object.extend(self.results(&bucket.sub));
        object
    }

    fn top_hits(
        self,
        total: u64,
        max_score: Option<f32>,
        (hits, form): (&[Hit], &HitForm),
    ) -> Value {
        let shown: Vec<Value> = hits
            .iter()
            .filter_map(|hit| serde_json::to_value(HitBody::new(hit, form, None)).ok())
            .collect();
        let total = if self.has_plain_totals {
            json!(total)
        } else {
            json!({"value": total, "relation": "eq"})
        };
        json!({"total": total, "max_score": max_score.map(shortest), "hits": shown})
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

fn bound(name: &str, bound: Option<&(f64, Option<String>)>, object: &mut Map<String, Value>) {
    let Some((number, text)) = bound else { return };
    object.insert(name.to_owned(), (*number).into());
    if let Some(text) = text {
        object.insert(format!("{name}_as_string"), text.as_str().into());
    }
}

fn key_value(key: &BucketKey) -> Value {
    match key {
        BucketKey::Text(text) | BucketKey::Range { key: text, .. } => text.as_str().into(),
        BucketKey::I64(number) => (*number).into(),
        BucketKey::U64(number) => (*number).into(),
        BucketKey::F64(number) => (*number).into(),
    }
}

fn key_text(key: &BucketKey) -> String {
    match key_value(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
