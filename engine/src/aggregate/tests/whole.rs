//! What orders and numbers of a segment tell of all its documents is what a look at each tells.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use gleaner_model::FieldPath;
use gleaner_model::IndexUuid;
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_partial::{FinalizeContext, merge_encoded};
use gleaner_query::aggregation::queries;
use gleaner_query::answer::AggregationResult;
use gleaner_query::resolved::{Clause, Scalar, ShardQuery};
use serde_json::{Value, json};

use crate::aggregate::testing::{Index, Layout, mapping, parse, query};
use crate::filter_cache::{FilterCache, FilterCacheOptions};
use crate::search::{SearchEnv, Target, search};

/// Returns each request by itself, and all of them beside one that looks at each document.
fn requests() -> Vec<Value> {
    let apart = json!({
        "kinds": {"terms": {"field": "kind"}},
        "numbers": {"terms": {"field": "number", "size": 50}},
        "some": {"terms": {"field": "kind", "include": ["k1", "k3"]}},
        "filled": {"terms": {"field": "few", "missing": 77}},
        "least": {"min": {"field": "number"}},
        "greatest": {"max": {"field": "at"}},
        "spread": {"percentiles": {"field": "wide"}},
        "ranks": {"percentile_ranks": {"field": "number", "values": [10, 500]}},
        "steps": {"histogram": {"field": "number", "interval": 7}},
        "bounded": {"histogram": {"field": "number", "interval": 7, "hard_bounds": {"min": 21, "max": 70}}},
        "months": {"date_histogram": {"field": "at", "calendar_interval": "month", "time_zone": "Europe/Rome"}},
        "sharp": {"date_histogram": {"field": "sharp", "fixed_interval": "10ms"}},
        "ranges": {"range": {"field": "number", "ranges": [{"to": 10}, {"from": 5, "to": 700}, {"from": 3000}, {"from": 9, "to": 2}]}},
        "dates": {"date_range": {"field": "at", "ranges": [{"to": "2024-03-01"}, {"from": "2024-02-01"}]}},
        "matching": {"filters": {"filters": {"a": {"term": {"kind": "k1"}}, "b": {"term": {"kind": "k9"}}}}},
        "one": {"filter": {"term": {"kind": "k2"}}},
        "page": {"composite": {"size": 40, "sources": [{"k": {"terms": {"field": "kind"}}}, {"n": {"terms": {"field": "number", "order": "desc"}}}]}},
        "next": {"composite": {"size": 40, "sources": [{"k": {"terms": {"field": "kind"}}}, {"n": {"terms": {"field": "number"}}}],
            "after": {"k": "k2", "n": 3_000}}},
        "between": {"composite": {"size": 3, "sources": [{"k": {"terms": {"field": "kind", "order": "desc"}}}], "after": {"k": "k2x"}}},
        "falling": {"composite": {"size": 300, "sources": [{"n": {"terms": {"field": "number", "order": "desc"}}},
            {"f": {"terms": {"field": "few", "missing_bucket": true}}}], "after": {"n": 2_000, "f": null}}},
        "daily": {"composite": {"size": 70, "sources": [{"d": {"date_histogram": {"field": "at", "calendar_interval": "day"}}},
            {"k": {"terms": {"field": "kind"}}}], "after": {"d": 1_706_745_600_000_i64, "k": "k3"}}},
        "wide": {"composite": {"size": 10, "sources": [{"w": {"histogram": {"field": "wide", "interval": 1_000, "order": "desc"}}}]}},
        "paged": {"composite": {"size": 5, "sources": [{"n": {"terms": {"field": "number"}}}]}, "aggs": {"mean": {"avg": {"field": "wide"}}}},
        "below": {"terms": {"field": "kind"}, "aggs": {"mean": {"avg": {"field": "number"}}}},
    });
    let apart_one_by_one = apart.as_object().expect("an object").clone();
    let mut requests: Vec<Value> = apart_one_by_one
        .into_iter()
        .map(|(name, request)| json!({name: request}))
        .collect();
    requests.push(apart);
    requests
}

fn targets(layout: Layout) -> Vec<Target> {
    let mapping = mapping(&json!({
        "kind": {"type": "keyword"}, "number": {"type": "long"}, "few": {"type": "integer"},
        "wide": {"type": "double"}, "at": {"type": "date"}, "sharp": {"type": "date_nanos"},
    }));
    let documents = (0..12_000_u64).map(|i| {
        let drawn = i.wrapping_mul(6_364_136_223_846_793_005).rotate_left(17);
        let source = json!({
            "kind": format!("k{}", drawn % 5), "number": drawn % 4_001, "few": (drawn % 3 > 0).then_some(drawn % 4),
            "wide": (drawn % 1_000_003) as f64 / 7.0 - 30_000.0, "at": 1_704_067_200_000_u64 + drawn % 9_000_000_000,
            "sharp": format!("2024-01-01T00:00:00.{:09}Z", drawn % 1_000_000_000),
        });
        (format!("d{i}"), source)
    });
    Index::new(&mapping, &documents.collect(), layout).targets()
}

/// Returns how many documents match, and the results.
fn results(targets: &[Target], query: &ShardQuery) -> (u64, Vec<AggregationResult>) {
    let control = Arc::new(Control::unlimited());
    let env = SearchEnv {
        control: &control,
        filters: &Arc::new(FilterCache::new(FilterCacheOptions::default())),
        memory: &MemoryAccount::root("test", 1 << 30),
        pool: None,
    };
    let answers = search(targets, query, &env).into_iter();
    let mut total = 0;
    let encoded = answers.map(|answer| {
        let answer = answer.expect("it is evaluated");
        total += answer.total;
        answer.aggregations.expect("they were asked for")
    });
    let merged = merge_encoded(&encoded.collect::<Vec<_>>()).expect("they are alike");
    let names = BTreeMap::from([(IndexUuid([1; 16]), "library".to_owned())]);
    let finished = merged.finalize(&query.aggregations, &FinalizeContext::new(&names));
    (total, finished.expect("they are whole"))
}

/// Returns a range of a field.
fn between(field: &str, lower: Scalar, upper: Scalar) -> Clause {
    Clause::Range {
        field: FieldPath::new(field),
        lower: Bound::Included(lower),
        upper: Bound::Excluded(upper),
    }
}

fn assert_same(layout: Layout, clause: &Clause) {
    let targets = targets(layout);
    for request in requests() {
        let aggregations = parse(&request);
        let filters = queries(&aggregations).len();
        let kinds = ["k1", "k9", "k2"];
        let kinds = if request.get("one").is_some() && filters == 1 {
            &kinds[2..]
        } else {
            &kinds[..]
        };
        let filters = kinds.iter().take(filters).map(|kind| Clause::Term {
            field: FieldPath::new("kind"),
            term: (*kind).to_owned(),
        });
        let asked = ShardQuery {
            query: clause.clone(),
            ..query(aggregations, filters.collect())
        };
        // It has to look at every document to know when to stop.
        let looked_at = ShardQuery {
            terminate_after: Some(u64::MAX),
            ..asked.clone()
        };
        let expected = results(&targets, &looked_at);
        for _ in 0..3 {
            assert_eq!(results(&targets, &asked), expected, "{request}");
        }
    }
    let segments = targets.iter().flat_map(|target| target.view.segments());
    let num_made: Vec<usize> = segments
        .map(|segment| segment.orders().num_made())
        .collect();
    assert!(
        num_made.iter().all(|&made| made >= 5),
        "orders are there: {num_made:?}"
    );
}

#[test]
fn whole_segments_are_counted_by_their_orders() {
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    let in_two = Layout {
        shards: 2,
        ..layout
    };
    assert_same(layout, &Clause::MatchAll);
    assert_same(in_two, &Clause::MatchAll);
    let instant = |days: i64| Scalar::Date(1_704_067_200_000 + days * 86_400_000);
    assert_same(layout, &between("at", instant(7), instant(95)));
    assert_same(in_two, &between("at", instant(-3), instant(1)));
    let numbers = between("number", Scalar::I64(15), Scalar::I64(3_500));
    assert_same(layout, &Clause::Constant(Box::new(numbers)));
    let none = between("number", Scalar::I64(9_000), Scalar::I64(9_001));
    assert_same(layout, &none);
}
