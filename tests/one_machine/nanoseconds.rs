//! `date_nanos`: queries and orders distinguish values that differ by a nanosecond, and they are shown as they were
//! written, whatever the layout.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::asking::{LAYOUTS, answer, asked, ok};

/// By id; a nanosecond lies between the first two, and one between the last and the end of its day.
const INSTANTS: [(&str, &str); 5] = [
    ("a", "2024-05-06T07:08:09.123456788Z"),
    ("b", "2024-05-06T07:08:09.123456789Z"),
    ("c", "2024-05-06T07:08:09.123999999Z"),
    ("d", "2024-05-06T07:08:09.124Z"),
    ("e", "2024-05-06T23:59:59.999999999Z"),
];

/// Nanoseconds of `a` since the epoch.
const A: i64 = 1_714_979_289_123_456_788;

async fn start() -> Result<(TempDir, Server)> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    for (index, num_shards) in LAYOUTS {
        let properties = json!({"at": {"type": "date_nanos"}, "ms": {"type": "date"}});
        let body = json!({
            "settings": {"number_of_shards": num_shards},
            "mappings": {"properties": properties},
        });
        ok(&server, "PUT", &format!("/{index}"), &body).await?;
        let mut lines = String::new();
        for (id, at) in INSTANTS {
            let document = json!({"at": at, "ms": at});
            lines += &format!("{}\n{document}\n", json!({"index": {"_id": id}}));
        }
        let bulk = Request::ndjson("POST", &format!("/{index}/_bulk?refresh=true"), lines);
        let written = server.send(&bulk).await?.ok()?;
        ensure!(written["errors"] == false, "{written}");
    }
    Ok((folder, server))
}

/// Returns the ids of the hits, in their order.
async fn ids(server: &Server, body: &Value) -> Result<String> {
    let found = answer(server, body).await?;
    let hits = found["hits"]["hits"].as_array().context("hits")?;
    let ids = hits.iter().filter_map(|hit| hit["_id"].as_str());
    Ok(ids.collect())
}

async fn found(server: &Server, query: &Value) -> Result<String> {
    ids(server, &json!({"query": query, "sort": "at"})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_tell_nanoseconds_apart() -> Result<()> {
    let (_folder, server) = start().await?;
    let range = |bounds: Value| json!({"range": {"at": bounds}});
    let b = INSTANTS[1].1;
    for (query, expected) in [
        (range(json!({"gt": INSTANTS[0].1})), "bcde"),
        (range(json!({"gte": b, "lt": INSTANTS[2].1})), "b"),
        // What the text leaves open ends with the last nanosecond.
        (range(json!({"lte": "2024-05-06T07:08:09.123Z"})), ""),
        (range(json!({"lte": "2024-05-06T07:08:09"})), "abcd"),
        (range(json!({"lte": "2024-05-06"})), "abcde"),
        (range(json!({"gt": "2024-05-06||/d"})), ""),
        (
            range(
                json!({"gte": "2024-05-06T07:08:09.123456789Z||+1m-1m", "lt": "2024-05-06||+1d/d"}),
            ),
            "bcde",
        ),
        (range(json!({"gte": 1_714_979_289_124_i64})), "de"),
        // All values lie beyond the bound, or none does.
        (
            range(json!({"gt": "1960-01-01", "lt": "2300-01-01"})),
            "abcde",
        ),
        (range(json!({"gt": "2300-01-01"})), ""),
        (range(json!({"lt": "1960-01-01"})), ""),
        (json!({"term": {"at": b}}), "b"),
        (json!({"term": {"at": "2024-05-06"}}), "abcde"),
        (json!({"term": {"at": "1960-01-01"}}), ""),
        (
            json!({"terms": {"at": [INSTANTS[0].1, INSTANTS[3].1]}}),
            "ad",
        ),
        (
            json!({"query_string": {"query": "at:[2024-05-06T07:08:09.123456789Z TO 2024-05-06T07:08:09.123999998Z]"}}),
            "b",
        ),
        // Milliseconds tell the first three from none.
        (json!({"range": {"ms": {"gt": INSTANTS[0].1}}}), "de"),
    ] {
        assert_eq!(found(&server, &query).await?, expected, "{query}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_and_pages_tell_nanoseconds_apart() -> Result<()> {
    let (_folder, server) = start().await?;
    assert_eq!(
        ids(&server, &json!({"sort": {"at": "desc"}})).await?,
        "edcba"
    );
    let first = answer(&server, &json!({"sort": "at", "size": 1})).await?;
    assert_eq!(first["hits"]["hits"][0]["sort"], json!([A]));
    for (after, expected) in [
        (json!(A), "bcde"),
        (json!(A + 1), "cde"),
        (json!(INSTANTS[0].1), "bcde"),
        (json!("1960-01-01"), "abcde"),
    ] {
        let body = json!({"sort": "at", "search_after": [after]});
        assert_eq!(ids(&server, &body).await?, expected, "{after}");
    }
    let format = json!({"at": {"order": "asc", "format": "strict_date_optional_time_nanos"}});
    let shown = answer(&server, &json!({"sort": format, "size": 4})).await?;
    let sort = |at: usize| shown["hits"]["hits"][at]["sort"][0].clone();
    assert_eq!(
        [sort(1), sort(3)],
        [INSTANTS[1].1, "2024-05-06T07:08:09.124Z"]
    );
    // Dates of both kinds have one order where a key takes one unit for them.
    for (unit, expected) in [
        ("date_nanos", json!([A, A + 1])),
        ("date", json!([A / 1_000_000, A / 1_000_000])),
    ] {
        let key = json!([{"at": {"numeric_type": unit}}, {"ms": {"numeric_type": unit}}]);
        let found = answer(&server, &json!({"sort": key, "size": 2})).await?;
        let sort = |at: usize| found["hits"]["hits"][at]["sort"][0].clone();
        assert_eq!(json!([sort(0), sort(1)]), expected, "{unit}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn means_of_instants_are_exact() -> Result<()> {
    let (_folder, server) = start().await?;
    let several = json!({"at": [INSTANTS[0].1, INSTANTS[1].1, INSTANTS[1].1]});
    for (index, _) in LAYOUTS {
        asked(
            &server,
            ("PUT", &format!("/{index}/_doc/m?refresh=true")),
            &several,
        )
        .await?;
    }
    let query = json!({"ids": {"values": ["a", "m"]}});
    for (mode, mean) in [("avg", A + 1), ("median", A + 1), ("min", A)] {
        let sort = json!([{"at": {"mode": mode}}]);
        let found = answer(&server, &json!({"query": query, "sort": sort})).await?;
        let sort = |at: usize| found["hits"]["hits"][at]["sort"][0].clone();
        assert_eq!([sort(0), sort(1)], [json!(A), json!(mean)], "{mode}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_are_put_together_by_the_nanosecond() -> Result<()> {
    let (_folder, server) = start().await?;
    let again = json!({"at": INSTANTS[1].1, "ms": INSTANTS[1].1});
    for (index, _) in LAYOUTS {
        asked(
            &server,
            ("PUT", &format!("/{index}/_doc/z?refresh=true")),
            &again,
        )
        .await?;
    }
    for (field, expected) in [("at", [1, 2, 1, 1, 1].as_slice()), ("ms", &[4, 1, 1])] {
        let inner = json!({"name": "all", "size": 0});
        let body = json!({"sort": field, "collapse": {"field": field, "inner_hits": inner}});
        let found = answer(&server, &body).await?;
        let hits = found["hits"]["hits"].as_array().context("hits")?;
        let totals = hits
            .iter()
            .map(|hit| &hit["inner_hits"]["all"]["hits"]["total"]["value"]);
        let totals: Vec<_> = totals.filter_map(Value::as_u64).collect();
        assert_eq!(totals, expected, "{field}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_before_1970_keep_their_order_in_nanoseconds() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    let years = [1950, 1955, 1969, 1970, 1980];
    for (index, num_shards) in LAYOUTS {
        let body = json!({
            "settings": {"number_of_shards": num_shards},
            "mappings": {"properties": {"at": {"type": "date"}}},
        });
        ok(&server, "PUT", &format!("/{index}"), &body).await?;
        for year in years {
            let document = json!({"at": format!("{year}-03-04")});
            let path = format!("/{index}/_doc/{year}?refresh=true");
            asked(&server, ("PUT", &path), &document).await?;
        }
    }
    let format = "strict_date_optional_time_nanos";
    for order in ["asc", "desc"] {
        let key = json!({"at": {"order": order, "numeric_type": "date_nanos", "format": format}});
        let (mut seen, mut after) = (Vec::new(), None);
        while seen.len() <= years.len() {
            let mut body = json!({"size": 1, "sort": [key]});
            if let Some(after) = after {
                body["search_after"] = after;
            }
            let found = answer(&server, &body).await?;
            let Some(hit) = found["hits"]["hits"].get(0) else {
                break;
            };
            seen.push(hit["_id"].clone());
            after = Some(hit["sort"].clone());
        }
        if order == "desc" {
            seen.reverse();
        }
        assert_eq!(
            json!(seen),
            json!(years.map(|year| year.to_string())),
            "{order}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_shown_to_the_nanosecond_and_aggregated_by_milliseconds() -> Result<()> {
    let (_folder, server) = start().await?;
    let body = json!({
        "query": {"ids": {"values": ["b"]}},
        "fields": ["at", {"field": "ms", "format": "epoch_millis"}],
        "docvalue_fields": [
            "at", {"field": "ms"}, {"field": "at", "format": "yyyy.SSSSSSSSS"},
        ],
    });
    let shown = answer(&server, &body).await?;
    let fields = &shown["hits"]["hits"][0]["fields"];
    assert_eq!(fields["at"], json!([INSTANTS[1].1]), "{fields}");
    let body = json!({
        "query": {"ids": {"values": ["b"]}},
        "docvalue_fields": [{"field": "at", "format": "epoch_millis"}],
    });
    let shown = answer(&server, &body).await?;
    let epoch = &shown["hits"]["hits"][0]["fields"]["at"];
    assert_eq!(*epoch, json!(["1714979289123.456789"]));
    let aggs = json!({
        "by_second": {"date_histogram": {"field": "at", "fixed_interval": "1ms", "min_doc_count": 1}},
        "first": {"min": {"field": "at"}},
        "each": {"terms": {"field": "at"}},
        "different": {"cardinality": {"field": "at"}},
    });
    let counted = answer(&server, &json!({"size": 0, "aggs": aggs})).await?;
    let aggs = &counted["aggs"];
    let buckets = &aggs["by_second"]["buckets"];
    let (key, text) = (&buckets[0]["key"], &buckets[0]["key_as_string"]);
    assert_eq!(
        (key, text),
        (&json!(A / 1_000_000), &json!("2024-05-06T07:08:09.123Z"))
    );
    assert_eq!(buckets[0]["doc_count"], 3, "{buckets}");
    assert_eq!(aggs["first"]["value"], json!(1_714_979_289_123.0));
    assert_eq!(aggs["each"]["buckets"][0]["doc_count"], 3, "{aggs}");
    assert_eq!(aggs["different"]["value"], 3, "{aggs}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn distances_are_of_nanoseconds() -> Result<()> {
    let (_folder, server) = start().await?;
    let near = json!({"field": "at", "origin": INSTANTS[1].1, "pivot": "1nanos"});
    let query = json!({"distance_feature": near});
    let found = answer(&server, &json!({"query": query, "size": 2})).await?;
    let hits = found["hits"]["hits"].as_array().context("hits")?;
    let scores: Vec<_> = hits
        .iter()
        .map(|hit| (&hit["_id"], &hit["_score"]))
        .collect();
    assert_eq!(
        scores,
        [(&json!("b"), &json!(1.0)), (&json!("a"), &json!(0.5))]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_that_64_bits_do_not_count_are_refused() -> Result<()> {
    let (_folder, server) = start().await?;
    for (at, reason) in [
        ("1969-12-31T23:59:59.999Z", "is before the epoch in 1970"),
        (
            "2262-04-11T23:47:16.854775808Z",
            "is after 2262-04-11T23:47:16.854775807",
        ),
    ] {
        let write = Request::json("PUT", "/four/_doc/x", &json!({"at": at}));
        let refused = server.send(&write).await?;
        assert_eq!(refused.status, 400, "{}", refused.shown());
        assert!(refused.shown().contains(reason), "{}", refused.shown());
        let null =
            json!({"mappings": {"properties": {"at": {"type": "date_nanos", "null_value": at}}}});
        let create = server.send(&Request::json("PUT", "/other", &null)).await?;
        assert_eq!(create.status, 400, "{}", create.shown());
        assert!(create.shown().contains(reason), "{}", create.shown());
    }
    let last = json!({"at": "2262-04-11T23:47:16.854775807Z"});
    asked(&server, ("PUT", "/four/_doc/x?refresh=true"), &last).await?;
    let late = json!({"query": {"range": {"at": {"gte": last["at"]}}}, "sort": "at"});
    let found = ok(&server, "POST", "/four/_search", &late).await?;
    assert_eq!(
        found["hits"]["hits"][0]["sort"],
        json!([i64::MAX]),
        "{found}"
    );
    Ok(())
}
