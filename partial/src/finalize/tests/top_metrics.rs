//! What `top_metrics` shows, and buckets in its order.

use gleaner_model::{ShardKey, ShardNumber};
use gleaner_query::answer::SortValue;
use gleaner_query::mapping::{MappingRules, parse_mapping};
use gleaner_query::resolved::TieBreak;

use super::*;
use crate::top_hits::{TopHit, TopHits};

const INDEX: IndexUuid = IndexUuid([1; 16]);

/// The hits of an aggregation named `tm`: of each its sort values.
fn hits(kind: &AggregationKind, keys: Vec<Vec<SortValue>>) -> Partial {
    let AggregationKind::TopMetrics(request) = kind else {
        panic!("not metrics: {kind:?}");
    };
    let mut hits = TopHits::new(&request.hits);
    for keys in keys {
        hits.insert(TopHit {
            score: None,
            keys,
            tie: TieBreak { hash: 0, id: None },
            shard: ShardKey {
                index: INDEX,
                shard: ShardNumber(0),
            },
            place: 0,
            content: None,
        });
    }
    Partial::TopHits(hits)
}

#[test]
fn dates_are_shown_in_the_format_of_their_field() {
    let mapping = json!({"properties": {
        "at": {"type": "date"},
        "day": {"type": "date", "format": "yyyy/MM/dd"},
        "n": {"type": "long"},
    }});
    let mapping = parse_mapping(&mapping, None, &MappingRules::default()).expect("a mapping");
    let names = BTreeMap::new();
    let context = FinalizeContext {
        mappings: BTreeMap::from([(INDEX, Arc::new(mapping))]),
        ..FinalizeContext::new(&names)
    };
    let metrics = json!([{"field": "day"}, {"field": "n"}]);
    let asked = parse(&json!({"tm": {"top_metrics": {"metrics": metrics, "sort": "at"}}}));
    let keys = vec![
        SortValue::I64(0),
        SortValue::I64(86_400_000),
        SortValue::I64(7),
    ];
    let partials = Aggregations(vec![hits(&asked[0].kind, vec![keys])]);
    let found = partials.finalize(&asked, &context).expect("it is good");
    let AggregationValue::TopMetrics { top, numbers } = &found[0].value else {
        panic!("not metrics: {found:?}");
    };
    let shown =
        json!({"sort": ["1970-01-01T00:00:00.000Z"], "metrics": {"day": "1970/01/02", "n": 7}});
    assert_eq!(top[..], [shown]);
    let expected = [("day", 86_400_000.0), ("n", 7.0)];
    let expected = expected.map(|(name, number)| (name.to_owned(), Some(number)));
    assert_eq!(numbers[..], expected);
}

#[test]
fn buckets_are_ordered_by_a_metric_of_their_first_hit() {
    let names = BTreeMap::new();
    let context = FinalizeContext::new(&names);
    for (order, expected) in [("tm.n", ["b", "a", "c"]), ("tm[n]", ["b", "a", "c"])] {
        let asked = parse(&json!({"x": {
            "terms": {"field": "f", "order": {order: "desc"}},
            "aggs": {"tm": {"top_metrics": {"metrics": {"field": "n"}, "sort": "at"}}},
        }}));
        let bucket = |key: &str, metric: SortValue| {
            let hits = hits(&asked[0].sub[0].kind, vec![vec![SortValue::I64(0), metric]]);
            let bucket = TermBucket {
                bucket: Bucket {
                    doc_count: 1,
                    sub: Aggregations(vec![hits]),
                },
                error: 0,
            };
            (Key::Text(key.to_owned()), bucket)
        };
        let terms = Partial::Terms(Terms {
            format: ValueFormat::default(),
            buckets: [
                bucket("a", SortValue::F64(1.5)),
                bucket("b", SortValue::F64(2.5)),
                bucket("c", SortValue::Missing),
            ]
            .into(),
            ..Terms::default()
        });
        let found = Aggregations(vec![terms]).finalize(&asked, &context);
        let found = keys_and_counts(found.expect("it is good").remove(0));
        let keys: Vec<String> = found.into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, expected, "{order}");
    }
}

#[test]
fn the_largest_number_is_a_metric_and_a_missing_one_is_null() {
    let names = BTreeMap::new();
    let context = FinalizeContext::new(&names);
    let metrics = json!([{"field": "a"}, {"field": "b"}]);
    let asked = parse(&json!({"tm": {"top_metrics": {"metrics": metrics, "sort": "at"}}}));
    let keys = vec![
        SortValue::I64(0),
        SortValue::U64(u64::MAX),
        SortValue::Missing,
    ];
    let partials = Aggregations(vec![hits(&asked[0].kind, vec![keys])]);
    let found = partials.finalize(&asked, &context).expect("it is good");
    let AggregationValue::TopMetrics { top, .. } = &found[0].value else {
        panic!("not metrics: {found:?}");
    };
    assert_eq!(top[0]["metrics"], json!({"a": u64::MAX, "b": null}));
}
