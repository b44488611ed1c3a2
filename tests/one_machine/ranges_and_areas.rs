//! Polygons, fields of ranges and of bytes: which of a few documents are found.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use serde_json::{Value, json};

use super::asking::{LAYOUTS, answer, asked, ok};

/// Makes the indices and writes the same documents to each.
async fn written(server: &Server, properties: &Value, documents: &[(&str, Value)]) -> Result<()> {
    for (index, shards) in LAYOUTS {
        let body = json!({
            "settings": {"number_of_shards": shards},
            "mappings": {"properties": properties},
        });
        ok(server, "PUT", &format!("/{index}"), &body).await?;
        for (id, document) in documents {
            let path = format!("/{index}/_doc/{id}?refresh=true");
            ok(server, "PUT", &path, document).await?;
        }
    }
    Ok(())
}

/// Checks which documents each query finds.
async fn check(server: &Server, cases: &[(Value, &[&str])]) -> Result<()> {
    for (query, expected) in cases {
        let body = json!({"query": query, "size": 20});
        let found = answer(server, &body).await?;
        let hits = found["hits"]["hits"].as_array().context("hits")?.iter();
        let mut ids: Vec<&str> = hits.filter_map(|hit| hit["_id"].as_str()).collect();
        ids.sort_unstable();
        ensure!(ids == *expected, "{query}: {ids:?}, not {expected:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn polygons_hold_what_is_inside_and_on_their_edges() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    let place = |lon: f64, lat: f64| json!({"place": {"lat": lat, "lon": lon}});
    let documents = [
        ("corner", place(10.0, 10.0)),
        ("edge", place(10.0, 5.0)),
        ("hole", place(5.0, 5.0)),
        ("hole_edge", place(4.0, 5.0)),
        ("inside", place(2.0, 7.0)),
        ("north", place(5.0, 10.5)),
        ("outside", place(11.0, 5.0)),
    ];
    let properties = json!({"place": {"type": "geo_point"}});
    written(&server, &properties, &documents).await?;
    let polygon = |points: Value| json!({"geo_polygon": {"place": {"points": points}}});
    let square = polygon(json!([[0, 0], [10, 0], [10, 10], [0, 10]]));
    // The first point again at the end says no more.
    let closed = polygon(json!([[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]));
    // A square in the square, along a cut from one to the other.
    let with_hole = polygon(json!([
        [0, 0],
        [10, 0],
        [10, 10],
        [0, 10],
        [0, 0],
        [4, 4],
        [4, 6],
        [6, 6],
        [6, 4],
        [4, 4]
    ]));
    let triangle = polygon(json!(["3,3", "7,3", {"lat": 5, "lon": 9}]));
    let whole: &[&str] = &["corner", "edge", "hole", "hole_edge", "inside"];
    let cases: [(Value, &[&str]); 4] = [
        (square, whole),
        (closed, whole),
        (with_hole, &["corner", "edge", "hole_edge", "inside"]),
        // Points as texts say the latitude first: at 5 degrees north it reaches from 3 to 9 degrees east.
        (triangle, &["hole", "hole_edge"]),
    ];
    check(&server, &cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_found_by_values_and_by_ranges() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    let properties = json!({
        "ages": {"type": "integer_range"}, "exact": {"type": "long_range"},
        "parts": {"type": "double_range"}, "days": {"type": "date_range"},
        "addresses": {"type": "ip_range"},
    });
    let documents = [
        (
            "1",
            json!({
                "ages": {"gte": 1, "lte": 5},
                "exact": {"gte": 9_007_199_254_740_993_i64, "lte": 9_007_199_254_740_993_i64},
                "parts": {"gte": 0.5, "lt": 1.5},
                "days": {"gte": "2024-01-01", "lte": "2024-01-31"},
                "addresses": "10.0.0.0/30",
            }),
        ),
        (
            "2",
            json!({
                "ages": {"gt": 5, "lte": 9},
                "parts": {"gt": 1.5},
                "days": {"gte": "2024-01-31", "lte": "2024-02-10"},
                "addresses": {"gte": "10.0.0.4", "lt": "10.0.0.8"},
            }),
        ),
        (
            "3",
            json!({
                "ages": {"gte": 20},
                "parts": {"lte": 0.5},
                "days": {"gte": "2024-03-01"},
                "addresses": {"gte": "10.0.0.3", "lte": "10.0.0.4"},
            }),
        ),
    ];
    written(&server, &properties, &documents).await?;
    let term = |field: &str, value: Value| json!({"term": {field: value}});
    let range = |field: &str, bounds: Value| json!({"range": {field: bounds}});
    let cases: [(Value, &[&str]); 17] = [
        (term("ages", json!(5)), &["1"]),
        (term("ages", json!(6)), &["2"]),
        (term("ages", json!(10)), &[]),
        (range("ages", json!({"gte": 4, "lte": 6})), &["1", "2"]),
        (
            range("ages", json!({"gte": 0, "lte": 9, "relation": "within"})),
            &["1", "2"],
        ),
        (
            range("ages", json!({"gte": 2, "lte": 3, "relation": "contains"})),
            &["1"],
        ),
        (
            range("ages", json!({"gte": 25, "relation": "contains"})),
            &["3"],
        ),
        (term("exact", json!(9_007_199_254_740_993_i64)), &["1"]),
        (term("exact", json!(9_007_199_254_740_992_i64)), &[]),
        (term("parts", json!(1.5)), &[]),
        (term("parts", json!(0.5)), &["1", "3"]),
        (term("parts", json!(2)), &["2"]),
        (term("days", json!("2024-01-31T00:00:00Z")), &["1", "2"]),
        (range("days", json!({"gte": "2024-02-11"})), &["3"]),
        (term("addresses", json!("10.0.0.3")), &["1", "3"]),
        (term("addresses", json!("10.0.0.8")), &[]),
        (
            range(
                "addresses",
                json!({"lte": "10.0.0.7", "relation": "within"}),
            ),
            &["1", "2", "3"],
        ),
    ];
    check(&server, &cases).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_kept_as_they_are_and_known_to_be_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    let properties = json!({"bytes": {"type": "binary", "doc_values": true}});
    let documents = [
        ("1", json!({"bytes": "c29tZQ=="})),
        ("2", json!({})),
        ("3", json!({"bytes": "AAAA"})),
    ];
    written(&server, &properties, &documents).await?;
    let exists = json!({"exists": {"field": "bytes"}});
    let lacks = json!({"bool": {"must_not": exists}});
    let cases: [(Value, &[&str]); 2] = [(exists, &["1", "3"]), (lacks, &["2"])];
    check(&server, &cases).await?;
    let source = ("GET", "/one/_source/1");
    let kept = asked(&server, source, &Value::Null).await?;
    ensure!(kept == json!({"bytes": "c29tZQ=="}), "{kept}");
    let wrong = Request::json("PUT", "/one/_doc/4", &json!({"bytes": "no base64!"}));
    let refused = server.send(&wrong).await?;
    ensure!(refused.status == 400, "{}", refused.shown());
    Ok(())
}
