//! Order by fields: addresses as numbers, dates in the format asked for, floats by their own digits, whatever
//! the layout.

use anyhow::Result;
use gleaner_query::answer::{AggregationValue, Hit};
use gleaner_testkit::Node;
use serde_json::{Value, json};

/// Starts a node with one index of `shards` shards; every document is a segment of its own.
async fn node_of(shards: u32, properties: Value, documents: &[Value]) -> Result<Node> {
    let node = Node::start().await?;
    let body = json!({
        "settings": {"number_of_shards": shards},
        "mappings": {"properties": properties},
    });
    node.create("things", &body).await?;
    for (i, source) in documents.iter().enumerate() {
        node.put("things", &[(i.to_string(), source.clone())])
            .await?;
    }
    Ok(node)
}

/// Returns the first sort value of each hit.
fn shown(hits: &[Hit]) -> Vec<Value> {
    hits.iter().map(|hit| hit.sort[0].clone()).collect()
}

async fn sorted(node: &Node, body: &Value) -> Result<Vec<Value>> {
    Ok(shown(&node.search("things", body).await?.hits))
}

/// Walks pages of one hit by the values shown, and returns them.
async fn walked(node: &Node, sort: &Value) -> Result<Vec<Value>> {
    let mut seen = Vec::new();
    loop {
        let mut body = json!({"size": 1, "sort": [sort]});
        if let Some(last) = seen.last() {
            body["search_after"] = json!([last]);
        }
        match node.search("things", &body).await?.hits.first() {
            Some(hit) => seen.push(hit.sort[0].clone()),
            None => return Ok(seen),
        }
    }
}

/// Returns the first sort value of each hit of a `top_hits`.
async fn top_hits(node: &Node, sort: &Value) -> Result<Vec<Value>> {
    let top = json!({"top_hits": {"size": 10, "sort": [sort]}});
    let body = json!({"size": 0, "aggs": {"top": top}});
    let response = node.search("things", &body).await?;
    match &response.aggregations[0].value {
        AggregationValue::TopHits { hits, .. } => Ok(shown(hits)),
        other => anyhow::bail!("{other:?} are no hits"),
    }
}

const ADDRESSES: [&str; 5] = ["::1", "9.0.0.1", "10.0.0.2", "192.168.0.1", "2001:db8::1"];

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_sorted_as_numbers() -> Result<()> {
    let documents = [3, 0, 4, 2, 1].map(|at| json!({"ip": ADDRESSES[at]}));
    let mut descending = ADDRESSES;
    descending.reverse();
    for shards in [1, 3] {
        let node = node_of(shards, json!({"ip": {"type": "ip"}}), &documents).await?;
        let ascending_key = json!({"ip": "asc"});
        let all = sorted(&node, &json!({"sort": [ascending_key]})).await?;
        assert_eq!(all, ADDRESSES, "{shards}");
        let all = sorted(&node, &json!({"sort": [{"ip": "desc"}]})).await?;
        assert_eq!(all, descending, "{shards}");
        assert_eq!(walked(&node, &ascending_key).await?, ADDRESSES, "{shards}");
        let top = top_hits(&node, &ascending_key).await?;
        assert_eq!(top, ADDRESSES, "{shards}");
        let between = json!({"sort": [ascending_key], "search_after": ["9.255.0.0"]});
        assert_eq!(sorted(&node, &between).await?, ADDRESSES[2..], "{shards}");
        let none = json!({"sort": [ascending_key], "search_after": ["nowhere"]});
        assert!(node.search("things", &none).await.is_err());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_addresses_and_several_of_one_document_have_their_place() -> Result<()> {
    let documents = [
        json!({"ip": ["10.0.0.2", "9.0.0.1"]}),
        json!({}),
        json!({"ip": "9.0.0.5"}),
    ];
    let node = node_of(2, json!({"ip": {"type": "ip"}}), &documents).await?;
    for (key, expected) in [
        (json!({"mode": "min"}), json!(["9.0.0.1", "9.0.0.5", null])),
        (json!({"mode": "max"}), json!(["9.0.0.5", "10.0.0.2", null])),
        (
            json!({"missing": "_first"}),
            json!([null, "9.0.0.1", "9.0.0.5"]),
        ),
        (
            json!({"order": "desc", "missing": "_last"}),
            json!(["10.0.0.2", "9.0.0.5", null]),
        ),
        (
            json!({"missing": "9.0.0.3"}),
            json!(["9.0.0.1", "9.0.0.3", "9.0.0.5"]),
        ),
    ] {
        let all = sorted(&node, &json!({"sort": [{"ip": key}]})).await?;
        assert_eq!(json!(all), expected, "{key}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_are_shown_in_the_format_asked_for() -> Result<()> {
    let dates = ["2020-01-28", "1969-12-31", "2021-02-01"];
    let documents = dates.map(|date| json!({"d": date, "n": 1}));
    let properties = json!({"d": {"type": "date"}, "n": {"type": "long"}});
    let node = node_of(2, properties, &documents).await?;
    let key = json!({"d": {"order": "asc", "format": "yyyy/MM/dd"}});
    let expected = ["1969/12/31", "2020/01/28", "2021/02/01"];
    assert_eq!(
        sorted(&node, &json!({"sort": [key]})).await?,
        expected,
        "a search"
    );
    assert_eq!(walked(&node, &key).await?, expected, "search_after");
    assert_eq!(top_hits(&node, &key).await?, expected, "top_hits");
    let plain = sorted(&node, &json!({"sort": ["d"], "size": 1})).await?;
    assert_eq!(plain, [json!(-86_400_000)]);
    let number = json!({"sort": [{"n": {"format": "yyyy"}}], "size": 1});
    assert_eq!(sorted(&node, &number).await?, [json!(1)]);
    let refused = json!({"sort": [{"d": {"format": "bbb"}}]});
    assert!(node.search("things", &refused).await.is_err());
    Ok(())
}

/// Fields and formats that give the ends of dates back, and how they show the first end, two days and the last end.
const FORMATS: [(&str, &str, [&str; 4]); 4] = [
    (
        "millis",
        "strict_date_optional_time",
        [
            "-292275055-05-16T16:47:04.192Z",
            "2020-01-28T00:00:00.000Z",
            "2021-02-01T00:00:00.000Z",
            "+292278994-08-17T07:12:55.807Z",
        ],
    ),
    (
        "millis",
        "epoch_millis",
        [
            "-9223372036854775808",
            "1580169600000",
            "1612137600000",
            "9223372036854775807",
        ],
    ),
    (
        "nanos",
        "strict_date_optional_time",
        [
            "1677-09-21T00:12:43.145224192Z",
            "2020-01-28T00:00:00.000Z",
            "2021-02-01T00:00:00.000Z",
            "2262-04-11T23:47:16.854775807Z",
        ],
    ),
    (
        "nanos",
        "epoch_millis",
        [
            "-9223372036854.775808",
            "1580169600000",
            "1612137600000",
            "9223372036854.775807",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn missing_dates_are_shown_in_the_format_and_given_back() -> Result<()> {
    let days = ["2020-01-28", "2021-02-01"];
    let mut documents = days
        .map(|day| json!({"millis": day, "nanos": day}))
        .to_vec();
    documents.insert(1, json!({}));
    let properties = json!({"millis": {"type": "date"}, "nanos": {"type": "date_nanos"}});
    let node = node_of(2, properties, &documents).await?;
    for (field, format, [first, early, late, last]) in FORMATS {
        for (order, missing, expected, (end, number)) in [
            ("asc", "_last", [early, late, last], (last, i64::MAX)),
            ("asc", "_first", [first, early, late], (first, i64::MIN)),
            ("desc", "_last", [late, early, first], (first, i64::MIN)),
            ("desc", "_first", [last, late, early], (last, i64::MAX)),
        ] {
            let key = json!({field: {"order": order, "missing": missing, "format": format}});
            assert_eq!(
                sorted(&node, &json!({"sort": [key]})).await?,
                expected,
                "{key}"
            );
            assert_eq!(walked(&node, &key).await?, expected, "{key}");
            assert_eq!(top_hits(&node, &key).await?, expected, "{key}");
            let rest: Vec<&str> = match missing {
                "_first" => expected[1..].to_vec(),
                _ => Vec::new(),
            };
            for after in [
                json!(end),
                json!(number),
                json!(number.to_string()),
                Value::Null,
            ] {
                let body = json!({"sort": [key], "search_after": [after]});
                assert_eq!(sorted(&node, &body).await?, rest, "{body}");
            }
        }
    }
    let format = "strict_date_optional_time";
    let unmapped = json!({"none": {"unmapped_type": "date", "format": format}});
    let all = sorted(&node, &json!({"sort": [unmapped]})).await?;
    assert_eq!(all, [FORMATS[0].2[3]; 3]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_numbers_are_given_back_as_text_too() -> Result<()> {
    let documents = [json!({"n": 1, "big": 1, "x": 1, "d": 1}), json!({})];
    let properties = json!({
        "n": {"type": "long"}, "big": {"type": "unsigned_long"}, "x": {"type": "double"},
        "d": {"type": "date"}, "year": {"type": "date", "format": "yyyy"},
    });
    let node = node_of(2, properties, &documents).await?;
    let (least, most) = (i64::MIN.to_string(), u64::MAX.to_string());
    for (field, missing, after, num_left) in [
        ("n", "_first", least.as_str(), 1),
        ("n", "_first", "1", 0),
        ("n", "_first", &most, 0),
        ("big", "_first", &least, 2),
        ("big", "_first", "0", 1),
        ("big", "_first", &most, 0),
        ("x", "_first", &least, 1),
        ("x", "_last", &most, 1),
        ("d", "_first", &least, 1),
        ("d", "_last", "1", 1),
        ("year", "_first", &least, 0),
    ] {
        let key = json!({field: {"missing": missing}});
        let body = json!({"sort": [key], "search_after": [after]});
        assert_eq!(sorted(&node, &body).await?.len(), num_left, "{body}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_sorted_as_the_type_asked_for() -> Result<()> {
    let documents = [json!({"n": [1, 2], "x": 2.75}), json!({"n": 3, "x": -1.5})];
    let properties = json!({
        "n": {"type": "long"}, "x": {"type": "double"}, "k": {"type": "keyword"},
        "big": {"type": "unsigned_long"},
    });
    let node = node_of(2, properties, &documents).await?;
    let key = |field: &str, numeric_type: &str, mode: &str| json!({"sort": [{field: {"numeric_type": numeric_type, "mode": mode}}]});
    for (body, expected) in [
        (key("n", "double", "avg"), json!([1.5, 3.0])),
        (key("n", "long", "avg"), json!([2, 3])),
        (key("x", "long", "min"), json!([-1, 2])),
        (key("x", "double", "min"), json!([-1.5, 2.75])),
    ] {
        assert_eq!(json!(sorted(&node, &body).await?), expected, "{body}");
    }
    for (field, numeric_type) in [
        ("k", "long"),
        ("n", "date"),
        ("n", "date_nanos"),
        ("big", "long"),
    ] {
        let refused = node
            .search("things", &key(field, numeric_type, "min"))
            .await;
        assert!(refused.is_err(), "{field} {numeric_type}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn floats_are_shown_and_given_back_by_their_own_digits() -> Result<()> {
    let documents = [
        json!({"f": 0.7, "h": 0.1, "n": 1}),
        json!({"f": [0.1, 0.2], "n": 2}),
        json!({"n": 3}),
    ];
    let properties = json!({
        "f": {"type": "float"}, "h": {"type": "half_float"}, "n": {"type": "integer"},
    });
    let node = node_of(2, properties, &documents).await?;
    let by = |options: Value| json!({"f": options});
    for (key, expected) in [
        (by(json!("asc")), json!([0.1, 0.7, "Infinity"])),
        (by(json!({"order": "desc"})), json!([0.7, 0.2, "-Infinity"])),
        (by(json!({"missing": 0.3})), json!([0.1, 0.3, 0.7])),
        (by(json!({"mode": "sum"})), json!([0.3, 0.7, "Infinity"])),
        (
            by(json!({"numeric_type": "double"})),
            json!([f64::from(0.1_f32), f64::from(0.7_f32), "Infinity"]),
        ),
        (
            json!({"h": "asc"}),
            json!([0.099_975_586, "Infinity", "Infinity"]),
        ),
    ] {
        let all = sorted(&node, &json!({"sort": [key]})).await?;
        assert_eq!(json!(all), expected, "{key}");
        assert_eq!(json!(top_hits(&node, &key).await?), expected, "{key}");
    }
    for key in [
        by(json!({"missing": 0.3})),
        by(json!({"mode": "sum", "missing": 0.2})),
    ] {
        let all = sorted(&node, &json!({"sort": [key]})).await?;
        assert_eq!(walked(&node, &key).await?, all, "{key}");
    }
    // The float nearest to 0.1 is above it, that nearest to 0.7 below.
    for (order, after, expected) in [
        ("asc", json!(0.1), json!([0.7, "Infinity"])),
        ("asc", json!("0.1"), json!([0.7, "Infinity"])),
        ("desc", json!(0.7), json!([0.2, "-Infinity"])),
        ("desc", json!(0.69), json!([0.2, "-Infinity"])),
        ("asc", json!(0.69), json!([0.7, "Infinity"])),
    ] {
        let body = json!({"sort": [by(json!(order))], "search_after": [after]});
        assert_eq!(json!(sorted(&node, &body).await?), expected, "{body}");
    }
    // What stands for a missing value is a float, too: the second key decides.
    let key = by(json!({"order": "desc", "missing": 0.7}));
    let body = json!({"sort": [key, {"n": "asc"}]});
    let hits = node.search("things", &body).await?.hits;
    let order: Vec<_> = hits.iter().map(|hit| hit.sort[1].clone()).collect();
    assert_eq!(json!(order), json!([1, 3, 2]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_are_given_back_as_they_are_shown() -> Result<()> {
    let documents = [1, 2, 3].map(|n| json!({"n": n}));
    let node = node_of(2, json!({"n": {"type": "integer"}}), &documents).await?;
    // The float nearest to 0.7 is below it: in descending order, it would come after it.
    let query = json!({"constant_score": {"filter": {"match_all": {}}, "boost": 0.7}});
    let mut body = json!({"query": query, "sort": ["_score", {"n": "asc"}]});
    let hits = node.search("things", &body).await?.hits;
    assert_eq!(shown(&hits), [0.7, 0.7, 0.7]);
    assert_eq!(hits[0].score, Some(0.7));
    body["search_after"] = json!([0.7, 1]);
    let hits = node.search("things", &body).await?.hits;
    let rest: Vec<_> = hits.iter().map(|hit| hit.sort[1].clone()).collect();
    assert_eq!(json!(rest), json!([2, 3]));
    let alone = json!({"query": query, "sort": ["_score"], "search_after": [0.7]});
    assert!(sorted(&node, &alone).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_score_is_shown_where_it_alone_orders_or_scores_are_tracked() -> Result<()> {
    let documents = [2, 1].map(|n| json!({"text": "red fox", "n": n}));
    let properties = json!({"text": {"type": "text"}, "n": {"type": "integer"}});
    let node = node_of(2, properties, &documents).await?;
    for (sort, track, has_max_score, has_scores) in [
        (json!(["n"]), false, false, false),
        (json!(["n"]), true, true, true),
        (json!(["n", "_score"]), false, false, true),
        (json!(["n", "_score"]), true, true, true),
        (json!(["_score"]), false, true, true),
        (json!([]), false, true, true),
    ] {
        let body = json!({
            "query": {"match": {"text": "fox"}}, "min_score": 0.001,
            "sort": sort, "track_scores": track,
        });
        let response = node.search("things", &body).await?;
        assert_eq!(response.hits.len(), 2);
        assert_eq!(response.max_score.is_some(), has_max_score, "{body}");
        assert!(
            response
                .hits
                .iter()
                .all(|hit| hit.score.is_some() == has_scores)
        );
    }
    Ok(())
}
