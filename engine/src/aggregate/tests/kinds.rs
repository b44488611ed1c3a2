//! Aggregations with keys of their own, against loops over the documents and known answers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use gleaner_model::FieldPath;
use gleaner_query::answer::{AggregationResult, AggregationValue, Bucket, BucketKey};
use gleaner_query::resolved::{Clause, Scalar};

use super::*;

pub(super) const SPREAD: Layout = Layout {
    shards: 2,
    segments: 3,
    has_deletes: true,
};

pub(super) fn one(documents: &Documents, request: &Value) -> AggregationResult {
    let index = Index::new(&fields(), documents, SPREAD);
    let found = index.aggregate(&json!({"x": request}), &[]);
    found.expect("it is good").remove(0)
}

pub(super) fn of(sources: &[Value]) -> Documents {
    let named = sources.iter().enumerate();
    named
        .map(|(i, source)| (format!("d{i}"), source.clone()))
        .collect()
}

fn buckets(result: &AggregationResult) -> &[Bucket] {
    match &result.value {
        AggregationValue::Buckets { buckets, .. } => buckets,
        other => panic!("not buckets: {other:?}"),
    }
}

fn beside<'r>(result: &'r AggregationResult, name: &str) -> Option<&'r Value> {
    let AggregationValue::Buckets { beside, .. } = &result.value else {
        panic!("not buckets: {result:?}");
    };
    beside
        .iter()
        .find_map(|(known, value)| (*known == name).then_some(value))
}

pub(super) fn shown(result: &AggregationResult) -> Vec<(Value, u64)> {
    let key = |bucket: &Bucket| match &bucket.key {
        BucketKey::Several { shown, .. } => shown.clone(),
        BucketKey::Text(text) => json!(text),
        BucketKey::I64(number) => json!(number),
        BucketKey::F64(number) => json!(number),
        other => panic!("not expected: {other:?}"),
    };
    let buckets = buckets(result).iter();
    buckets
        .map(|bucket| (key(bucket), bucket.doc_count))
        .collect()
}

fn values(source: &Value, field: &str) -> Vec<Value> {
    gleaner_query::source::values_at(source, field)
        .into_iter()
        .cloned()
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]

    #[test]
    fn pages_lead_to_the_end(documents in documents(0..60), size in 1_usize..9) {
        // A document counts once for each combination of its values, however often they are given.
        let mut expected: BTreeMap<(Option<String>, Option<i64>), u64> = BTreeMap::new();
        for (_, source) in &documents {
            let text = |tag: &Value| Some(tag.as_str().expect("text").to_owned());
            let mut tags: BTreeSet<Option<String>> = values(source, "tag").iter().map(text).collect();
            if tags.is_empty() {
                tags.insert(None);
            }
            let number = |n: &Value| Some(n.as_i64().expect("whole").div_euclid(4) * 4);
            let numbers: BTreeSet<Option<i64>> = values(source, "n").iter().map(number).collect();
            for tag in &tags {
                for number in &numbers {
                    *expected.entry((tag.clone(), *number)).or_default() += 1;
                }
            }
        }
        let expected: Vec<(Value, u64)> = expected
            .into_iter()
            .map(|((tag, number), count)| (json!({"tag": tag, "n": number.map(|n| n as f64)}), count))
            .collect();
        let index = Index::new(&fields(), &documents, SPREAD);
        let mut found: Vec<(Value, u64)> = Vec::new();
        let mut request = json!({"x": {"composite": {"size": size, "sources": [
            {"tag": {"terms": {"field": "tag", "missing_bucket": true}}},
            {"n": {"histogram": {"field": "n", "interval": 4}}},
        ]}}});
        loop {
            let page = index.aggregate(&request, &[]).expect("it is good").remove(0);
            let last = shown(&page).pop().map(|(key, _)| key);
            found.extend(shown(&page));
            prop_assert_eq!(beside(&page, "after_key"), last.as_ref());
            let Some(after) = last else {
                break;
            };
            request["x"]["composite"]["after"] = after;
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn rare_terms_are_those_of_few_documents(documents in documents(0..60)) {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (_, source) in &documents {
            let tags: BTreeSet<String> = values(source, "tag").iter().map(|tag| tag.as_str().expect("text").to_owned()).collect();
            tags.into_iter().for_each(|tag| *counts.entry(tag).or_default() += 1);
        }
        let mut expected: Vec<(String, u64)> = counts.into_iter().filter(|(_, count)| *count <= 4).collect();
        expected.sort_by_key(|(_, count)| *count);
        let expected: Vec<(Value, u64)> = expected.into_iter().map(|(tag, count)| (json!(tag), count)).collect();
        let found = one(&documents, &json!({"rare_terms": {"field": "tag", "max_doc_count": 4}}));
        prop_assert_eq!(shown(&found), expected);
    }

    #[test]
    fn parts_of_terms_make_up_the_whole(documents in documents(0..60)) {
        for field in ["tag", "n", "price", "from"] {
            let request = |include: Value| json!({"terms": {"field": field, "size": 1_000, "include": include, "order": {"_key": "asc"}}});
            let mut parts = 0;
            for partition in 0..3 {
                let found = one(&documents, &request(json!({"partition": partition, "num_partitions": 3})));
                parts += buckets(&found).len();
            }
            let mut whole = request(json!(null));
            whole["terms"].as_object_mut().expect("an object").remove("include");
            prop_assert_eq!(parts, buckets(&one(&documents, &whole)).len());
        }
    }

    #[test]
    fn automatic_dates_hold_all_in_few_buckets(documents in documents(0..60), wanted in 1_usize..40) {
        let found = one(&documents, &json!({"auto_date_histogram": {"field": "when", "buckets": wanted}}));
        let num_dates = documents.iter().filter(|(_, source)| source.get("when").is_some()).count() as u64;
        prop_assert!(buckets(&found).len() <= wanted);
        prop_assert_eq!(buckets(&found).iter().map(|bucket| bucket.doc_count).sum::<u64>(), num_dates);
    }
}

#[test]
fn significant_terms_are_more_frequent_here_than_elsewhere() {
    let classes = [
        ("a", "good"),
        ("a", "good"),
        ("a", "fair"),
        ("b", "fair"),
        ("b", "fair"),
        ("b", "bad"),
    ];
    let sources: Vec<Value> = (0..4)
        .flat_map(|_| classes.map(|(class, word)| json!({"tag": [class, word]})))
        .collect();
    let documents = of(&sources);
    let index = Index::new(&fields(), &documents, SPREAD);
    let request = json!({"classes": {"terms": {"field": "tag", "include": ["a", "b"], "order": {"_key": "asc"}}, "aggs": {
        "words": {"significant_terms": {"field": "tag", "exclude": ["a", "b"]}},
    }}});
    let found = index
        .aggregate(&request, &[])
        .expect("it is good")
        .remove(0);
    let words: Vec<_> = buckets(&found)
        .iter()
        .map(|bucket| &bucket.sub[0])
        .collect();
    assert_eq!(shown(words[0]), [(json!("good"), 8)]);
    assert_eq!(beside(words[0], "doc_count"), Some(&json!(12)));
    assert_eq!(beside(words[0], "bg_count"), Some(&json!(24)));
    let good = &buckets(words[0])[0].beside;
    // 8 of 12 here, 8 of 24 everywhere.
    let (here, there) = (8.0 / 12.0, 8.0 / 24.0);
    assert_eq!(good[0], ("score", json!((here - there) * (here / there))));
    assert_eq!(good[1], ("bg_count", json!(8)));
    assert_eq!(shown(words[1]), [(json!("bad"), 4), (json!("fair"), 8)]);
}

proptest! {
    /// A text with `fielddata` has a column of its terms: to compare these is to compare those of the texts.
    #[test]
    fn significant_text_finds_what_a_column_of_the_terms_holds(
        documents in super::documents(1..40),
        has_deletes in any::<bool>(),
    ) {
        let layout = Layout { has_deletes, ..SPREAD };
        let index = Index::new(&fields(), &documents, layout);
        let background = json!({"range": {"n": {"gte": 0}}});
        let filters = vec![Clause::Range {
            field: FieldPath::new("n"),
            lower: Bound::Included(Scalar::I64(0)),
            upper: Bound::Unbounded,
        }];
        let below = json!({"sum": {"sum": {"field": "price"}}});
        for (options, filters) in [
            (json!({"min_doc_count": 1}), vec![]),
            (json!({"min_doc_count": 3, "exclude": "t1.*", "percentage": {}}), vec![]),
            (json!({"size": 3, "min_doc_count": 1, "background_filter": background}), filters),
        ] {
            let typical = |kind: &str, more: Value| {
                let mut body = options.clone();
                body["field"] = json!("words");
                more.as_object().into_iter().flatten().for_each(|(key, value)| body[key] = value.clone());
                let typical = json!({"typical": {kind: body, "aggs": below}});
                let request = json!({"oks": {"terms": {"field": "ok", "missing": false}, "aggs": {
                    "few": {"sampler": {"shard_size": 9}, "aggs": typical},
                }}});
                index.aggregate(&request, &filters).expect("it is good")
            };
            let expected = typical("significant_terms", json!({}));
            for more in [json!({}), json!({"source_fields": ["tag"]})] {
                prop_assert_eq!(&typical("significant_text", more), &expected);
            }
        }
    }
}

#[test]
fn networks_are_shown_with_their_bounds() {
    let documents = of(&["::1", "192.168.0.1", "192.168.0.7"].map(|from| json!({"from": from})));
    let found = one(
        &documents,
        &json!({"ip_range": {"field": "from", "ranges": [{"mask": "192.168.0.0/16"}, {"mask": "::/24"}, {"from": "192.169.0.0"}]}}),
    );
    let counts: Vec<u64> = buckets(&found)
        .iter()
        .map(|bucket| bucket.doc_count)
        .collect();
    assert_eq!(counts, [3, 2, 0]);
    assert_eq!(buckets(&found)[0].beside, [("to", json!("0:100::"))]);
    assert_eq!(
        buckets(&found)[1].beside,
        [("from", json!("192.168.0.0")), ("to", json!("192.169.0.0"))]
    );
    assert_eq!(shown(&found)[2].0, json!("192.169.0.0-*"));
    let found = one(
        &documents,
        &json!({"ip_prefix": {"field": "from", "prefix_length": 30, "append_prefix_length": true}}),
    );
    assert_eq!(
        shown(&found),
        [(json!("192.168.0.0/30"), 1), (json!("192.168.0.4/30"), 1)]
    );
    assert_eq!(
        buckets(&found)[0].beside[2],
        ("netmask", json!("255.255.255.252"))
    );
}

#[test]
fn pairs_of_filters_have_buckets() {
    let documents = of(&[[1, 2], [2, 3], [3, 4]].map(|n| json!({"n": n, "tag": "t"})));
    let at_least = |n: i64| Clause::Range {
        field: FieldPath::new("n"),
        lower: Bound::Included(Scalar::I64(n)),
        upper: Bound::Unbounded,
    };
    let index = Index::new(&fields(), &documents, SPREAD);
    let query = json!({"match_all": {}});
    let request = |only_pairs: bool| json!({"x": {"adjacency_matrix": {"show_only_intersecting": only_pairs, "separator": "+", "filters": {"a": query, "b": query}}}});
    let filters = [at_least(3), at_least(4)];
    let found = index
        .aggregate(&request(false), &filters)
        .expect("it is good")
        .remove(0);
    assert_eq!(
        shown(&found),
        [(json!("a"), 2), (json!("a+b"), 1), (json!("b"), 1)]
    );
    let found = index
        .aggregate(&request(true), &filters)
        .expect("it is good")
        .remove(0);
    assert_eq!(shown(&found), [(json!("a+b"), 1)]);
}

#[test]
fn points_lie_in_cells_boxes_and_distances() {
    let documents = of(&[
        json!({"place": "52.374081,4.912350", "n": 1}),
        json!({"place": "52.369219,4.901618", "n": 2}),
        json!({"place": "48.861111,2.336389", "n": 3}),
    ]);
    let found = one(
        &documents,
        &json!({"geohash_grid": {"field": "place", "precision": 3}}),
    );
    assert_eq!(shown(&found), [(json!("u17"), 2), (json!("u09"), 1)]);
    let found = one(
        &documents,
        &json!({"geotile_grid": {"field": "place", "precision": 8}}),
    );
    assert_eq!(
        shown(&found),
        [(json!("8/131/84"), 2), (json!("8/129/88"), 1)]
    );
    let found = one(
        &documents,
        &json!({"geo_distance": {"field": "place", "origin": "52.3760, 4.894", "unit": "km", "ranges": [{"to": 100}, {"from": 100}]}}),
    );
    let counts: Vec<u64> = buckets(&found)
        .iter()
        .map(|bucket| bucket.doc_count)
        .collect();
    assert_eq!(counts, [2, 1]);
    let found = one(&documents, &json!({"geo_bounds": {"field": "place"}}));
    let AggregationValue::Shown(shown) = &found.value else {
        panic!("not a box: {found:?}");
    };
    let north = shown[0].1["top_left"]["lat"].as_f64().expect("a number");
    assert!((north - 52.374_081).abs() < 1e-6);
    let found = one(&documents, &json!({"geo_centroid": {"field": "place"}}));
    let AggregationValue::Shown(shown) = &found.value else {
        panic!("not a point: {found:?}");
    };
    let latitude = shown[0].1["lat"].as_f64().expect("a number");
    assert!((latitude - 51.201_470_3).abs() < 1e-6, "{latitude}");
    assert_eq!(shown[1], ("count", json!(3)));
}

#[test]
fn metrics_of_several_fields() {
    let documents = of(&[
        json!({"n": 1, "price": 2.0, "tag": "a"}),
        json!({"n": 2, "price": 1.0, "tag": "b"}),
        json!({"n": 3, "tag": "c"}),
    ]);
    let number = |request: Value| match one(&documents, &request).value {
        AggregationValue::Number { value, .. } => value,
        other => panic!("not a number: {other:?}"),
    };
    let weighted = |missing: Value| json!({"weighted_avg": {"value": {"field": "n"}, "weight": {"field": "price", "missing": missing}}});
    assert_eq!(number(weighted(json!(null))), Some(4.0 / 3.0));
    assert_eq!(number(weighted(json!(1))), Some(7.0 / 4.0));
    assert_eq!(
        number(json!({"median_absolute_deviation": {"field": "n"}})),
        Some(1.0)
    );
    let found = one(
        &documents,
        &json!({"top_metrics": {"metrics": [{"field": "price"}, {"field": "tag"}], "sort": {"n": "desc"}, "size": 2}}),
    );
    let AggregationValue::TopMetrics { top, .. } = &found.value else {
        panic!("not metrics: {found:?}");
    };
    let expected = [
        json!({"sort": [3], "metrics": {"price": null, "tag": "c"}}),
        json!({"sort": [2], "metrics": {"price": 1.0, "tag": "b"}}),
    ];
    assert_eq!(top[..], expected);
}

#[test]
fn dates_are_shown_in_the_coarsest_unit_that_is_fine_enough() {
    let months: Vec<Value> = (1..=12)
        .map(|month| json!({"when": format!("2020-{month:02}-15T10:00:00Z")}))
        .collect();
    let documents = of(&months);
    for (buckets_wanted, interval, number) in
        [(12, "1M", 12), (10, "3M", 4), (3, "1y", 1), (60, "7d", 48)]
    {
        let found = one(
            &documents,
            &json!({"auto_date_histogram": {"field": "when", "buckets": buckets_wanted}}),
        );
        assert_eq!(beside(&found, "interval"), Some(&json!(interval)));
        assert_eq!(buckets(&found).len(), number, "{interval}");
    }
}

#[test]
fn ranges_count_in_all_intervals_that_they_lie_in() {
    let documents = of(&[
        json!({"span": {"lte": 3}}),
        json!({"span": [{"gte": 2, "lt": 4}, {"gte": 3, "lte": 5}]}),
        json!({"stay": {"gte": "2016-01-30", "lt": "2016-03-01"}}),
    ]);
    let bounded =
        json!({"histogram": {"field": "span", "interval": 1, "hard_bounds": {"min": 1, "max": 6}}});
    let found = shown(&one(&documents, &bounded));
    let expected = [(1.0, 1), (2.0, 2), (3.0, 2), (4.0, 1), (5.0, 1)];
    assert_eq!(found, expected.map(|(key, count)| (json!(key), count)));
    let found = shown(&one(
        &documents,
        &json!({"date_histogram": {"field": "stay", "calendar_interval": "month"}}),
    ));
    assert_eq!(
        found.iter().map(|(_, count)| *count).collect::<Vec<_>>(),
        [1, 1]
    );
    let index = Index::new(&fields(), &documents, SPREAD);
    let refused = |request: Value| {
        index
            .aggregate(&json!({ "x": request }), &[])
            .expect_err("refused")
            .to_string()
    };
    let open = refused(json!({"histogram": {"field": "span", "interval": 1}}));
    assert!(open.contains("65536"), "{open}");
    let wrong = refused(json!({"date_histogram": {"field": "span", "calendar_interval": "month"}}));
    assert!(wrong.contains("[long_range] is not supported"), "{wrong}");
    let missing = refused(json!({"histogram": {"field": "span", "interval": 1, "missing": 1}}));
    assert!(missing.contains("[missing] is not supported"), "{missing}");
}

#[test]
fn pages_go_on_between_whole_numbers() {
    let documents = of(&[-4, -3, 3, 4].map(|n| json!({"n": n})));
    for (order, after, expected) in [
        ("asc", -3.5, vec![-3, 3, 4]),
        ("asc", 3.5, vec![4]),
        ("desc", 3.5, vec![3, -3, -4]),
        ("desc", -3.5, vec![-4]),
    ] {
        let found = one(
            &documents,
            &json!({"composite": {"after": {"n": after}, "sources": [{"n": {"terms": {"field": "n", "order": order}}}]}}),
        );
        let keys: Vec<Value> = shown(&found).into_iter().map(|(key, _)| key).collect();
        let expected: Vec<Value> = expected.into_iter().map(|n| json!({ "n": n })).collect();
        assert_eq!(keys, expected, "{order} {after}");
    }
}

#[test]
fn what_stands_for_missing_values_is_one_key_in_all_indices() {
    let other = mapping(&json!({"tag": {"type": "keyword"}}));
    let documents = of(&[json!({"tag": "a"})]);
    let indices = [
        Index::new(&fields(), &documents, ONE),
        Index::new(&other, &documents, ONE),
    ];
    for (field, missing, shown_as) in [
        ("n", json!(3), json!(3)),
        ("price", json!(3), json!(3.0)),
        ("ok", json!(true), json!(true)),
        ("from", json!("::1"), json!("::1")),
        ("when", json!(1_000), json!("1970-01-01T00:00:01.000Z")),
        ("tag", json!("b"), json!("a")),
    ] {
        let request = json!({"x": {"multi_terms": {"terms": [
            {"field": "tag"}, {"field": field, "missing": missing},
        ]}}});
        let aggregations = super::super::testing::parse(&request);
        let partials = indices.each_ref().map(|index| {
            let found = index.partials(&aggregations, &[]);
            found.expect("it is good").remove(0)
        });
        for order in [[0, 1], [1, 0]] {
            let mut merged = partials[order[0]].clone();
            let second = partials[order[1]].clone();
            merged.merge(second).expect("they fit together");
            let names = BTreeMap::new();
            let context = gleaner_partial::FinalizeContext::new(&names);
            let found = merged.finalize(&aggregations, &context);
            let found = found.expect("it is good").remove(0);
            assert_eq!(shown(&found), [(json!(["a", shown_as]), 2)], "{field}");
        }
    }
}

#[test]
fn dates_over_centuries_have_few_long_buckets() {
    let years =
        of(&["1700", "1850", "1950", "2020"].map(|year| json!({"when": format!("{year}-05-01")})));
    let ages = of(&[-1_000_000_000_000_000_i64, 0].map(|ms| json!({"when": ms})));
    for (documents, wanted, interval, counts) in [
        (&years, 33, "10y", None),
        (&years, 4, "100y", Some(vec![1, 1, 1, 1])),
        (&years, 3, "200y", Some(vec![2, 2])),
        (&years, 1, "500y", Some(vec![4])),
        (&ages, 8, "5000y", None),
    ] {
        let request = json!({"auto_date_histogram": {"field": "when", "buckets": wanted}});
        let found = one(documents, &request);
        assert_eq!(beside(&found, "interval"), Some(&json!(interval)));
        assert!(buckets(&found).len() <= wanted, "{interval}");
        if let Some(counts) = counts {
            let found: Vec<u64> = buckets(&found).iter().map(|b| b.doc_count).collect();
            assert_eq!(found, counts, "{interval}");
        }
        for bucket in buckets(&found) {
            let start = bucket.key_as_string.as_deref().unwrap_or_default();
            assert!(start.ends_with("-01-01T00:00:00.000Z"), "{start}");
        }
    }
}
