//! Which keys there are: chosen ones, those within bounds, those of one document.

use gleaner_query::answer::{AggregationResult, AggregationValue, BucketKey, Figure};

use super::*;

fn found(index: &Index, request: &Value) -> AggregationResult {
    let found = index.aggregate(&json!({ "x": request }), &[]);
    found.expect("it is good").remove(0)
}

fn buckets(result: &AggregationResult) -> Vec<(BucketKey, u64)> {
    let AggregationValue::Buckets { buckets, .. } = &result.value else {
        panic!("not buckets: {result:?}");
    };
    let pairs = buckets
        .iter()
        .map(|bucket| (bucket.key.clone(), bucket.doc_count));
    pairs.collect()
}

/// Documents `0..num` with a word each, `n` their number.
fn words(num: usize) -> Documents {
    let source = |i: usize| json!({"tag": format!("t{i:04}"), "n": i, "price": i as f64});
    (0..num).map(|i| (format!("d{i}"), source(i))).collect()
}

#[test]
fn chosen_words_are_found_by_themselves_in_short_lists_and_by_expression() {
    let layout = Layout {
        shards: 2,
        segments: 2,
        has_deletes: true,
    };
    for num in [40, 1_200] {
        let index = Index::new(&fields(), &words(num), layout);
        for (filter, expected) in [
            (json!({"include": ["t0003", "t0031", "none"]}), vec![3, 31]),
            (json!({"include": "t000[1-3]"}), vec![1, 2, 3]),
            (
                json!({"include": "t000.", "exclude": ["t0001", "t0002", "t0007"]}),
                vec![0, 3, 4, 5, 6, 8, 9],
            ),
            (
                json!({"include": ["t0004", "t0005"], "exclude": ".*4"}),
                vec![5],
            ),
        ] {
            let mut terms = json!({"field": "tag", "size": 5000, "order": {"_key": "asc"}});
            let given = filter.as_object().expect("an object").clone();
            terms.as_object_mut().expect("an object").extend(given);
            let all = buckets(&found(&index, &json!({ "terms": terms })));
            let expected: Vec<_> = expected
                .into_iter()
                .map(|n| (BucketKey::Text(format!("t{n:04}")), 1))
                .collect();
            assert_eq!(all, expected, "{filter} of {num}");
        }
        let terms = json!({"field": "tag", "size": 5000, "exclude": ["t0001"]});
        let all = buckets(&found(&index, &json!({ "terms": terms })));
        assert_eq!(all.len(), num - 1);
    }
}

#[test]
fn what_stands_for_values_of_an_unknown_field_is_of_the_type_that_is_named() {
    let layout = Layout {
        shards: 3,
        segments: 2,
        has_deletes: true,
    };
    let index = Index::new(&fields(), &words(30), layout);
    for (value_type, missing, key, typed) in [
        (
            "string",
            json!("a"),
            BucketKey::Text("a".to_owned()),
            "sterms",
        ),
        ("long", json!(3), BucketKey::I64(3), "lterms"),
        ("double", json!(3.5), BucketKey::F64(3.5), "dterms"),
        ("boolean", json!(true), BucketKey::I64(1), "lterms"),
        (
            "date",
            json!("2016-05-11"),
            BucketKey::I64(1_462_924_800_000),
            "lterms",
        ),
        (
            "ip",
            json!("::1"),
            BucketKey::Text("::1".to_owned()),
            "sterms",
        ),
    ] {
        let source = json!({"field": "nothing", "value_type": value_type, "missing": missing});
        let result = found(&index, &json!({ "terms": source }));
        assert_eq!(buckets(&result), [(key, 30)], "{value_type}");
        assert_eq!(result.type_name, typed, "{value_type}");
    }
    // A field that is known has its own type, and without a value for missing ones there are none.
    let known = json!({"terms": {"field": "n", "value_type": "string", "include": [7]}});
    assert_eq!(buckets(&found(&index, &known)), [(BucketKey::I64(7), 1)]);
    let nothing = json!({"terms": {"field": "nothing", "value_type": "long"}});
    assert_eq!(buckets(&found(&index, &nothing)), []);
    let wrong = json!({"x": {"terms": {"field": "nothing", "value_type": "long", "missing": "a"}}});
    assert!(index.aggregate(&wrong, &[]).is_err());
}

#[test]
fn hard_bounds_leave_whole_buckets_out() {
    let index = single(&words(30));
    let bounds = json!({"min": 5, "max": 20});
    let histogram = json!({"field": "n", "interval": 10, "hard_bounds": bounds});
    let kept = buckets(&found(&index, &json!({ "histogram": histogram })));
    assert_eq!(
        kept,
        [(BucketKey::F64(10.0), 10), (BucketKey::F64(20.0), 10)]
    );
    // Bounds are those of buckets before they are shifted.
    for (offset, expected) in [
        (-5, vec![(5.0, 10), (15.0, 10)]),
        (5, vec![(15.0, 10), (25.0, 5)]),
        (15, vec![(25.0, 5)]),
    ] {
        let histogram =
            json!({"field": "n", "interval": 10, "offset": offset, "hard_bounds": bounds});
        let kept = buckets(&found(&index, &json!({ "histogram": histogram })));
        let expected = expected
            .into_iter()
            .map(|(key, n)| (BucketKey::F64(key), n));
        assert_eq!(kept, expected.collect::<Vec<_>>(), "{offset}");
    }

    let days = [
        "2020-01-01T01:00:00Z",
        "2020-01-01T12:00:00Z",
        "2020-01-03T12:00:00Z",
    ];
    let documents = days.iter().enumerate();
    let documents = documents.map(|(i, day)| (format!("d{i}"), json!({"when": day})));
    let index = single(&documents.collect());
    let dates = |min: &str, max: &str| {
        let bounds = json!({"min": min, "max": max});
        let request = json!({"field": "when", "fixed_interval": "1d", "hard_bounds": bounds});
        buckets(&found(&index, &json!({ "date_histogram": request })))
    };
    let first = (BucketKey::I64(1_577_836_800_000), 2);
    // The day of the lower bound is wanted as a whole, that of the upper one is not.
    assert_eq!(
        dates("2020-01-01T06:00:00Z", "2020-01-03T18:00:00Z"),
        std::slice::from_ref(&first)
    );
    assert_eq!(dates("2020-01-01", "2020-01-04").len(), 3);
}

#[test]
fn ranges_count_up_to_hard_bounds() {
    let documents = [
        json!({"stay": {"gte": "2020-01-01", "lte": "2020-03-10"}}),
        json!({"span": {"gte": 0, "lte": 50}}),
    ];
    let documents = documents.into_iter().enumerate();
    let index = single(
        &documents
            .map(|(i, source)| (format!("d{i}"), source))
            .collect(),
    );
    let months = |min: &str, max: &str| {
        let bounds = json!({"min": min, "max": max});
        let request = json!({"field": "stay", "calendar_interval": "month", "hard_bounds": bounds});
        let kept = buckets(&found(&index, &json!({ "date_histogram": request })));
        kept.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    // The first days of January, February and March.
    let first_days = [1_577_836_800_000, 1_580_515_200_000, 1_583_020_800_000].map(BucketKey::I64);
    assert_eq!(months("2020-01-01", "2020-03-01"), first_days);
    assert_eq!(months("2020-01-01", "2020-02-29"), first_days[..2]);
    assert_eq!(months("2020-01-15", "2020-02-01"), first_days[..2]);
    let bounds = json!({"min": 15, "max": 30});
    let request = json!({"field": "span", "interval": 10, "hard_bounds": bounds});
    let kept = buckets(&found(&index, &json!({ "histogram": request })));
    let expected = [10.0, 20.0, 30.0].map(|key| (BucketKey::F64(key), 1));
    assert_eq!(kept, expected);
}

#[test]
fn pages_go_on_after_keys_in_a_format() {
    let days = ["2020-01-02", "2020-02-01", "2020-02-03"];
    let documents = days.into_iter().zip([999, 1_000, 20_000]).enumerate();
    let documents = documents.map(|(i, (day, n))| (format!("d{i}"), json!({"when": day, "n": n})));
    let index = single(&documents.collect());
    let months = json!({"date_histogram": {"field": "when", "calendar_interval": "month", "format": "yyyy-MM"}});
    let numbers = json!({"terms": {"field": "n", "format": "#,##0"}});
    let thousands = json!({"histogram": {"field": "n", "interval": 1_000, "format": "#,##0"}});
    for (source, expected) in [
        (&months, vec!["2020-01", "2020-02"]),
        (&numbers, vec!["999", "1,000", "20,000"]),
        (&thousands, vec!["0", "1,000", "20,000"]),
    ] {
        let mut request = json!({"composite": {"size": 1, "sources": [{"k": source}]}});
        for key in expected {
            let page = buckets(&found(&index, &request));
            let [(BucketKey::Several { shown, .. }, _)] = &page[..] else {
                panic!("not a page of one: {page:?}");
            };
            assert_eq!(shown["k"], key);
            request["composite"]["after"] = shown.clone();
        }
        assert_eq!(buckets(&found(&index, &request)), [], "{source}");
    }
    let days = json!({"date_histogram": {"field": "when", "calendar_interval": "day", "format": "yyyy-MM"}});
    let request = json!({"x": {"composite": {"sources": [{"k": days}]}}});
    let refused = index
        .aggregate(&request, &[])
        .expect_err("refused")
        .to_string();
    assert!(
        refused.contains("Format [yyyy-MM] created output it couldn't parse"),
        "{refused}"
    );
}

#[test]
fn distances_begin_at_0() {
    let documents = vec![("d".to_owned(), json!({"place": "52.374,4.912"}))];
    let request = json!({"geo_distance": {
        "field": "place", "origin": "52.3760,4.894", "unit": "km",
        "ranges": [{"from": 100}, {"to": 100}],
    }});
    let kept = buckets(&found(&single(&documents), &request));
    let range = |key: &str, from: f64, to: Option<f64>| BucketKey::Range {
        key: key.to_owned(),
        from: Some((from, None)),
        to: to.map(|to| (to, None)),
    };
    let expected = [
        (range("*-100.0", 0.0, Some(100.0)), 1),
        (range("100.0-*", 100.0, None), 0),
    ];
    assert_eq!(kept, expected);
}

#[test]
fn extended_bounds_are_inside_hard_bounds() {
    let index = single(&words(3));
    let asked = |extended: Value| {
        let request = json!({
            "field": "when", "fixed_interval": "1d", "extended_bounds": extended,
            "hard_bounds": {"min": "2020-01-02", "max": "2020-01-04"},
        });
        index.aggregate(&json!({"x": {"date_histogram": request}}), &[])
    };
    for (extended, shown) in [
        (
            json!({"min": "2020-01-01", "max": "2020-01-03"}),
            "[1577836800000--1578009600000]",
        ),
        (json!({"min": "2020-01-01"}), "[1577836800000--]"),
        (json!({"max": "2020-01-05"}), "[--1578182400000]"),
    ] {
        let reason = asked(extended).expect_err("it is refused").to_string();
        assert!(
            reason.starts_with("Extended bounds have to be inside"),
            "{reason}"
        );
        assert!(reason.ends_with(shown), "{reason}");
    }
    assert!(asked(json!({"min": "2020-01-02"})).is_ok());
    assert!(asked(json!({"max": "2020-01-04"})).is_ok());
}

#[test]
fn an_address_given_twice_is_one_value() {
    let source = json!({"from": ["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1"], "n": [1, 1]});
    let index = single(&vec![("d".to_owned(), source)]);
    let count = |field: &str| found(&index, &json!({"value_count": {"field": field}})).value;
    let number = |value| AggregationValue::Number {
        value: Some(value),
        as_string: None,
    };
    assert_eq!(count("from"), number(2.0));
    assert_eq!(count("n"), number(2.0));
}

#[test]
fn bounds_of_ranges_are_rounded_as_the_values_of_short_fractions() {
    let types = json!({
        "float": {"type": "float"},
        "half": {"type": "half_float"},
        "double": {"type": "double"},
    });
    let document = |(i, value): (usize, f64)| {
        let source = json!({"float": value, "half": value, "double": value});
        (format!("d{i}"), source)
    };
    let values = [0.1, 0.7, 0.7, 1.1].into_iter().enumerate();
    let documents: Documents = values.map(document).collect();
    let index = Index::new(&mapping(&types), &documents, ONE);
    for field in ["float", "half", "double"] {
        let ranges = json!([{"to": 0.1}, {"from": 0.1, "to": 0.7}, {"from": 0.7}]);
        let request = json!({"range": {"field": field, "ranges": ranges}});
        let shown = buckets(&found(&index, &request));
        let counts: Vec<u64> = shown.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [0, 1, 3], "{field}");
        let is_as_asked = matches!(&shown[2].0, BucketKey::Range { key, .. } if key == "0.7-*");
        assert!(is_as_asked, "{shown:?}");
    }
}

#[test]
fn terms_of_numbers_without_sign_have_a_type_of_their_own() {
    let documents = vec![("d".to_owned(), json!({"big": u64::MAX}))];
    let result = found(&single(&documents), &json!({"terms": {"field": "big"}}));
    assert_eq!(buckets(&result), [(BucketKey::U64(u64::MAX), 1)]);
    assert_eq!(result.type_name, "ulterms");
}

#[test]
fn the_largest_number_differs_from_none_where_it_is_a_metric() {
    let sources = [json!({"big": u64::MAX, "n": 1}), json!({"n": i64::MAX})];
    let documents = sources.into_iter().enumerate();
    let documents = documents.map(|(i, source)| (format!("d{i}"), source));
    let metrics = json!([{"field": "big"}, {"field": "n"}, {"field": "price"}]);
    let request = json!({"top_metrics": {"metrics": metrics, "sort": {"n": "asc"}, "size": 2}});
    let result = found(&single(&documents.collect()), &request);
    let AggregationValue::TopMetrics { top, .. } = &result.value else {
        panic!("not metrics: {result:?}");
    };
    let expected = [
        json!({"sort": [1], "metrics": {"big": u64::MAX, "n": 1, "price": null}}),
        json!({"sort": [i64::MAX], "metrics": {"big": null, "n": i64::MAX, "price": null}}),
    ];
    assert_eq!(top[..], expected);
}

#[test]
fn all_of_extended_stats_is_formatted() {
    let documents = vec![("d".to_owned(), json!({"price": 1.5}))];
    let request = json!({"extended_stats": {"field": "price", "format": "0.000"}});
    let result = found(&single(&documents), &request);
    let AggregationValue::Stats(stats) = result.value else {
        panic!("not statistics: {result:?}");
    };
    let spread = stats.spread.expect("they are extended");
    let text = |figure: &Figure| figure.text.clone().expect("there is a format");
    assert_eq!(text(&spread.sum_of_squares), "2.250");
    assert_eq!(spread.variance.each_ref().map(text), ["0.000", "NaN"]);
    assert_eq!(spread.deviation.each_ref().map(text), ["0.000", "NaN"]);
    assert_eq!(spread.bounds[0].each_ref().map(text), ["1.500", "1.500"]);
    assert_eq!(spread.bounds[1].each_ref().map(text), ["NaN", "NaN"]);
}

#[test]
fn cells_that_overlap_bounds_have_all_their_points() {
    let places = ["52.37,4.91", "46.0,44.0", "40.0,10.0"]
        .into_iter()
        .enumerate();
    let documents = places.map(|(i, place)| (format!("d{i}"), json!({"place": place})));
    let index = single(&documents.collect());
    let bounds = json!({"top_left": "60,1", "bottom_right": "50,9"});
    let grid = json!({"field": "place", "precision": 1, "bounds": bounds});
    assert_eq!(
        buckets(&found(&index, &json!({ "geohash_grid": grid }))),
        [(BucketKey::Text("u".to_owned()), 2)]
    );
    let tile = json!({"field": "place", "precision": 2, "bounds": bounds});
    let tiles = buckets(&found(&index, &json!({ "geotile_grid": tile })));
    assert_eq!(tiles, [(BucketKey::Text("2/2/1".to_owned()), 3)]);
    let elsewhere = json!({"top_left": "60,-80", "bottom_right": "50,-10"});
    for (bounds, expected) in [(bounds, vec![3]), (elsewhere, vec![])] {
        let source = json!({"field": "place", "precision": 2, "bounds": bounds});
        let composite = json!({"sources": [{"tile": {"geotile_grid": source}}]});
        let pages = buckets(&found(&index, &json!({ "composite": composite })));
        let counts: Vec<u64> = pages.into_iter().map(|(_, count)| count).collect();
        assert_eq!(counts, expected);
    }
}

#[test]
fn the_ranges_of_a_document_count_as_one_value() {
    let low = json!({"gte": 1, "lte": 5});
    let high = json!({"gte": 6, "lt": 10});
    let sources = [
        json!({"span": low}),
        json!({"span": {"gt": 0, "lt": 6}}),
        json!({"span": high}),
        json!({"span": [low, high]}),
        json!({"span": [high, low, high]}),
        json!({"n": 1}),
    ];
    let documents = sources.into_iter().enumerate();
    let documents = documents.map(|(i, source)| (format!("d{i}"), source));
    let layout = Layout {
        shards: 2,
        segments: 2,
        has_deletes: true,
    };
    let index = Index::new(&fields(), &documents.collect(), layout);
    for (kind, expected) in [("value_count", 5.0), ("cardinality", 3.0)] {
        let result = found(&index, &json!({ kind: {"field": "span"} }));
        let AggregationValue::Number { value, .. } = result.value else {
            panic!("not a number: {result:?}");
        };
        assert_eq!(value, Some(expected), "{kind}");
        let missing = json!({"x": {kind: {"field": "span", "missing": 1}}});
        let refused = index.aggregate(&missing, &[]).expect_err("it is refused");
        let reason = refused.to_string();
        assert!(reason.contains("[missing] is not supported"), "{reason}");
    }
}

#[test]
fn points_count_each_and_are_distinct_as_the_index_keeps_them() {
    let sources = [
        json!({"place": ["52.37,4.91", "46.0,44.0", "52.37,4.91"]}),
        json!({"place": "52.37,4.91", "stay": {"gte": 1, "lt": 9}}),
        json!({"place": [4.91, 52.370_000_000_01], "span": {"gte": 1}}),
        json!({"n": 1}),
    ];
    let documents = sources.into_iter().enumerate();
    let documents: Documents = documents
        .map(|(i, source)| (format!("d{i}"), source))
        .collect();
    for shards in [1, 3] {
        let layout = Layout {
            shards,
            segments: 2,
            has_deletes: true,
        };
        let index = Index::new(&fields(), &documents, layout);
        let number = |request: Value| match found(&index, &request).value {
            AggregationValue::Number { value, .. } => value,
            other => panic!("not a number: {other:?}"),
        };
        let without = |field: &str| {
            let result = found(&index, &json!({"missing": {"field": field}}));
            result.value
        };
        for (kind, expected, filled) in [("value_count", 4.0, 5.0), ("cardinality", 2.0, 3.0)] {
            let asked = json!({ kind: {"field": "place"} });
            assert_eq!(number(asked), Some(expected), "{kind}");
            let asked = json!({ kind: {"field": "place", "missing": "1,2"} });
            assert_eq!(number(asked), Some(filled), "{kind}");
            let asked = json!({"x": {kind: {"field": "place", "missing": "nowhere"}}});
            assert!(index.aggregate(&asked, &[]).is_err(), "{kind}");
        }
        for (field, expected) in [("place", 1), ("span", 3), ("stay", 3)] {
            let AggregationValue::Single { doc_count, .. } = without(field) else {
                panic!("not one bucket: {field}");
            };
            assert_eq!(doc_count, expected, "{field}");
        }
    }
}
