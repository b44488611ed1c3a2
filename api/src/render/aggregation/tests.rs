//! Results of aggregations as the dialect shows them.

use gleaner_model::{DocumentId, PrimaryTerm, SeqNo, Version};
use gleaner_query::answer::{FetchedHit, Figure, Spread, Stats};

use super::*;

fn result(name: &str, type_name: &'static str, value: AggregationValue) -> AggregationResult {
    AggregationResult {
        name: name.to_owned(),
        type_name,
        meta: None,
        value,
    }
}

fn shown(result: AggregationResult) -> Value {
    let results = [result];
    let results = AggregationForm::default().results(&results);
    serde_json::to_value(results).expect("plain data")
}

fn bucket(key: BucketKey, doc_count: u64) -> Bucket {
    Bucket {
        key,
        key_as_string: None,
        doc_count,
        beside: Vec::new(),
        sub: Vec::new(),
    }
}

#[test]
fn terms_show_what_was_left_out() {
    let totals = TermsTotals {
        error_upper_bound: 0,
        sum_other: 4,
        show_error: false,
    };
    let value = AggregationValue::Buckets {
        buckets: vec![bucket(BucketKey::Text("a".to_owned()), 3)],
        keyed: false,
        terms: Some(totals),
        beside: Vec::new(),
    };
    assert_eq!(
        shown(result("tags", "sterms", value)),
        json!({"tags": {
            "doc_count_error_upper_bound": 0,
            "sum_other_doc_count": 4,
            "buckets": [{"key": "a", "doc_count": 3}],
        }})
    );
}

#[test]
fn keyed_ranges_stand_under_their_key() {
    let key = BucketKey::Range {
        key: "*-10.0".to_owned(),
        from: None,
        to: Some((10.0, None)),
    };
    let shown = |keyed| {
        let value = AggregationValue::Buckets {
            buckets: vec![bucket(key.clone(), 2)],
            keyed,
            terms: None,
            beside: Vec::new(),
        };
        shown(result("prices", "range", value))["prices"]["buckets"].clone()
    };
    assert_eq!(shown(true), json!({"*-10.0": {"to": 10.0, "doc_count": 2}}));
    assert_eq!(
        shown(false),
        json!([{"key": "*-10.0", "to": 10.0, "doc_count": 2}])
    );
}

#[test]
fn keyed_numbers_are_named_as_java_writes_them() {
    let keys = [2.5, 1e7, 1e-5].map(BucketKey::F64);
    let value = AggregationValue::Buckets {
        buckets: keys.map(|key| bucket(key, 1)).into(),
        keyed: true,
        terms: None,
        beside: Vec::new(),
    };
    let shown = shown(result("prices", "histogram", value));
    let buckets = shown["prices"]["buckets"].as_object().expect("by name");
    let names: Vec<&String> = buckets.keys().collect();
    assert_eq!(names, ["2.5", "1.0E7", "1.0E-5"]);
    assert_eq!(buckets["1.0E7"], json!({"key": 1e7, "doc_count": 1}));
}

#[test]
fn filters_show_their_key_where_they_stand_in_a_list() {
    let shown = |keys: &[BucketKey], keyed| {
        let buckets = keys.iter().map(|key| bucket(key.clone(), 2)).collect();
        let value = AggregationValue::Buckets {
            buckets,
            keyed,
            terms: None,
            beside: Vec::new(),
        };
        shown(result("f", "filters", value))["f"]["buckets"].clone()
    };
    let named = ["a", "_other_"].map(|key| BucketKey::Text(key.to_owned()));
    let count = json!({"doc_count": 2});
    assert_eq!(shown(&named, true), json!({"a": count, "_other_": count}));
    assert_eq!(
        shown(&named, false),
        json!([{"key": "a", "doc_count": 2}, {"key": "_other_", "doc_count": 2}])
    );
    let unnamed = ["0", "1"].map(|key| BucketKey::Unnamed(key.to_owned()));
    assert_eq!(shown(&unnamed, false), json!([count, count]));
}

#[test]
fn texts_of_listed_percentiles_have_the_names_of_their_kind() {
    for (type_name, name) in [
        ("percentiles_bucket", "50.0_as_string"),
        ("tdigest_percentiles", "value_as_string"),
    ] {
        let value = AggregationValue::Percentiles {
            values: vec![(50.0, Some(375.0))],
            as_strings: Some(vec!["375.00".to_owned()]),
            keyed: false,
        };
        let shown = shown(result("p", type_name, value));
        let expected = json!([{"key": 50.0, "value": 375.0, name: "375.00"}]);
        assert_eq!(shown["p"]["values"], expected);
    }
}

#[test]
fn keyed_histograms_stand_under_what_their_keys_are_shown_as() {
    let shown = |type_name, bucket: Bucket, keyed| {
        let value = AggregationValue::Buckets {
            buckets: vec![bucket],
            keyed,
            terms: None,
            beside: Vec::new(),
        };
        shown(result("h", type_name, value))["h"]["buckets"].clone()
    };
    let number = bucket(BucketKey::F64(5.0), 1);
    let one = json!({"key": 5.0, "doc_count": 1});
    assert_eq!(
        shown("histogram", number.clone(), true),
        json!({"5.0": one})
    );
    assert_eq!(shown("histogram", number, false), json!([one]));
    let date = Bucket {
        key_as_string: Some("1970".to_owned()),
        ..bucket(BucketKey::I64(0), 1)
    };
    let one = json!({"key_as_string": "1970", "key": 0, "doc_count": 1});
    let keyed = shown("date_histogram", date.clone(), true);
    assert_eq!(keyed, json!({"1970": one}));
    assert_eq!(shown("date_histogram", date, false), json!([one]));
}

#[test]
fn counts_are_whole_and_averages_are_not() {
    let number = |value| AggregationValue::Number {
        value: Some(value),
        as_string: None,
    };
    assert_eq!(
        shown(result("n", "value_count", number(3.0))).to_string(),
        r#"{"n":{"value":3}}"#
    );
    assert_eq!(
        shown(result("n", "avg", number(3.0))).to_string(),
        r#"{"n":{"value":3.0}}"#
    );
}

#[test]
fn stats_of_nothing_are_null() {
    let stats = Stats {
        count: 0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        sum: 0.0,
        spread: None,
        as_strings: None,
    };
    assert_eq!(
        shown(result("s", "stats", AggregationValue::Stats(stats))),
        json!({"s": {"count": 0, "min": null, "max": null, "avg": null, "sum": 0.0}})
    );
}

/// Extended statistics of 1 and 3, or of one value, whose sampled spread is no number.
fn extended(count: u64, sampled: f64, format: Option<&str>) -> Stats {
    let figure = |value: f64| Figure {
        value,
        text: format.map(|format| format!("{format}{value}")),
    };
    Stats {
        count,
        min: 1.0,
        max: 3.0,
        sum: 4.0,
        spread: Some(Box::new(Spread {
            sum_of_squares: figure(10.0),
            variance: [figure(1.0), figure(sampled)],
            deviation: [figure(1.0), figure(sampled.sqrt())],
            bounds: [
                [figure(4.0), figure(0.0)],
                [figure(sampled), figure(sampled)],
            ],
        })),
        as_strings: format.map(|format| ["1", "3", "2", "4"].map(|n| format!("{format}{n}"))),
    }
}

#[test]
fn extended_stats_have_spread() {
    let shown = |stats| {
        let stats = AggregationValue::Stats(stats);
        shown(result("s", "extended_stats", stats))["s"].clone()
    };
    let two = shown(extended(2, 2.0, None));
    assert_eq!(two["variance"], json!(1.0));
    assert_eq!(two["variance_sampling"], json!(2.0));
    assert_eq!(two["std_deviation_bounds"]["upper"], json!(4.0));
    assert_eq!(two.get("sum_of_squares_as_string"), None);
    let one = shown(extended(1, f64::NAN, Some("$")));
    assert_eq!(one["variance_sampling"], json!("NaN"));
    assert_eq!(one["std_deviation_bounds"]["lower_sampling"], json!("NaN"));
    assert_eq!(one["variance_as_string"], json!("$1"));
    assert_eq!(one["std_deviation_sampling_as_string"], json!("$NaN"));
    assert_eq!(
        one["std_deviation_bounds_as_string"]["upper_population"],
        json!("$4")
    );
    assert_eq!(one["sum_as_string"], json!("$4"));
    let none = shown(extended(0, f64::NAN, Some("$")));
    assert_eq!(none["variance"], json!(null));
    assert_eq!(none["std_deviation_bounds"]["upper"], json!(null));
    assert_eq!(none.get("variance_as_string"), None);
}

#[test]
fn numbers_that_json_lacks_are_told_as_text() {
    let sum = AggregationValue::Number {
        value: Some(f64::NEG_INFINITY),
        as_string: None,
    };
    assert_eq!(
        shown(result("s", "sum", sum)),
        json!({"s": {"value": "-Infinity"}})
    );
}

#[test]
fn typed_keys_carry_the_type() {
    let form = AggregationForm {
        has_typed_keys: true,
        ..AggregationForm::default()
    };
    let value = AggregationValue::Single {
        doc_count: 1,
        sub: Vec::new(),
    };
    let results = [result("f", "filter", value)];
    let shown = form.results(&results);
    let shown = serde_json::to_value(shown).expect("plain data");
    assert_eq!(shown, json!({"filter#f": {"doc_count": 1}}));
}

fn hit() -> Hit {
    Hit {
        index: "books".to_owned(),
        score: None,
        sort: Vec::new(),
        content: FetchedHit {
            ignored: Vec::new(),
            ignored_values: Default::default(),
            matched_queries: Vec::new(),
            id: DocumentId::parse("a").expect("a good id"),
            routing: None,
            seq_no: SeqNo(7),
            term: PrimaryTerm(2),
            version: Version(3),
            source: Default::default(),
            fields: Default::default(),
            highlight: Default::default(),
            explanation: None,
        },
        source: None,
        shard: 0,
        group: None,
        is_group_of_nanos: false,
        inner_hits: IndexMap::new(),
    }
}

#[test]
fn top_hits_show_sources_and_scores_as_they_are() {
    let sources = [
        r#"{"long":12345678901234567890123,"twice":1,"twice":2.10}"#,
        r#"{"large":1e400}"#,
        r#"{"half":"\ud800"}"#,
    ];
    let hits = sources.map(|source| Hit {
        score: Some(0.1),
        source: Some(bytes::Bytes::from(source)),
        ..hit()
    });
    let value = AggregationValue::TopHits {
        total: 3,
        max_score: Some(0.1),
        hits: hits.to_vec(),
        has_version: false,
        has_seq_no: false,
        is_bare: false,
    };
    let results = [result("t", "top_hits", value)];
    let results = AggregationForm::default().results(&results);
    let written = serde_json::to_string(&results).expect("it is written");
    for source in sources {
        let shown = format!(r#""_score":0.1,"_source":{source}"#);
        assert!(written.contains(&shown), "{written}");
    }
}

#[test]
fn top_hits_show_versions_and_sequence_numbers_when_asked() {
    let hit = hit();
    let shown = |has_version, has_seq_no| {
        let value = AggregationValue::TopHits {
            total: 1,
            max_score: None,
            hits: vec![hit.clone()],
            has_version,
            has_seq_no,
            is_bare: false,
        };
        shown(result("t", "top_hits", value))["t"]["hits"]["hits"][0].clone()
    };
    let bare = json!({"_index": "books", "_id": "a", "_score": null});
    assert_eq!(shown(false, false), bare);
    assert_eq!(
        shown(true, false),
        json!({"_index": "books", "_id": "a", "_version": 3, "_score": null})
    );
    assert_eq!(
        shown(false, true),
        json!({"_index": "books", "_id": "a", "_seq_no": 7, "_primary_term": 2, "_score": null})
    );
}
