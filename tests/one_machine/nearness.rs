//! Scores by how near a point is: `distance_feature` and decay functions, the same for any number of shards.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Cities with their latitudes and longitudes.
const CITIES: [(&str, f64, f64); 6] = [
    ("berlin", 52.52, 13.405),
    ("potsdam", 52.39, 13.064),
    ("hamburg", 53.551, 9.994),
    ("paris", 48.857, 2.352),
    ("tokyo", 35.676, 139.65),
    ("suva", -18.141, 178.442),
];

/// From the Brandenburg Gate.
const ORIGIN: &str = "52.5163,13.3777";

pub(crate) async fn start() -> Result<(TempDir, Server)> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    for (index, num_shards) in [("one", 1), ("five", 5)] {
        let body = json!({
            "settings": {"number_of_shards": num_shards},
            "mappings": {"properties": {"place": {"type": "geo_point"}, "name": {"type": "keyword"}}},
        });
        let create = Request::json("PUT", &format!("/{index}"), &body);
        server.send(&create).await?.ok()?;
        let mut lines = String::new();
        for (name, lat, lon) in CITIES {
            let action = json!({"index": {"_id": name}});
            let place = json!({"lat": lat, "lon": lon});
            lines += &format!("{action}\n{}\n", json!({"name": name, "place": place}));
        }
        // One far from the origin and near it, and one nowhere.
        lines +=
            "{\"index\": {\"_id\": \"two\"}}\n{\"place\": [[139.65, 35.676], [13.405, 52.52]]}\n";
        lines += "{\"index\": {\"_id\": \"nowhere\"}}\n{\"name\": \"nowhere\"}\n";
        let bulk = Request::ndjson("POST", &format!("/{index}/_bulk?refresh=true"), lines);
        let written = server.send(&bulk).await?.ok()?;
        ensure!(written["errors"] == false, "{written}");
    }
    Ok((folder, server))
}

/// Returns ids with scores, in order; they are the same in both indices.
async fn scores(server: &Server, query: &Value) -> Result<Vec<(String, f64)>> {
    let mut found = Vec::new();
    for index in ["one", "five"] {
        let search = Request::json(
            "POST",
            &format!("/{index}/_search"),
            &json!({"query": query}),
        );
        let answer = server.send(&search).await?.ok()?;
        ensure!(answer["_shards"]["failed"] == 0, "{answer}");
        let hits = answer["hits"]["hits"].as_array().context("hits")?.clone();
        let pair = |hit: &Value| {
            let id = hit["_id"].as_str().unwrap_or_default().to_owned();
            (id, hit["_score"].as_f64().unwrap_or_default())
        };
        found.push(hits.iter().map(pair).collect::<Vec<_>>());
    }
    ensure!(found[0] == found[1], "{found:?}");
    Ok(found.remove(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn near_points_score_more() -> Result<()> {
    let (_folder, server) = start().await?;
    let feature =
        json!({"distance_feature": {"field": "place", "origin": ORIGIN, "pivot": "100km"}});
    let found = scores(&server, &feature).await?;
    let mut ids: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
    ids[..2].sort_unstable();
    let wanted = [
        "berlin", "two", "potsdam", "hamburg", "paris", "tokyo", "suva",
    ];
    ensure!(ids == wanted, "{found:?}");
    let (_, of_potsdam) = found[2];
    // Some 25.5 km away.
    ensure!((of_potsdam - 100.0 / 125.5).abs() < 0.01, "{found:?}");

    let decay = |scale: &str| {
        let place =
            json!({"origin": {"lat": 52.5163, "lon": 13.3777}, "scale": scale, "offset": "3km"});
        json!({"function_score": {"linear": {"place": place}, "boost_mode": "replace"}})
    };
    let found = scores(&server, &decay("300km")).await?;
    let score = |id: &str| found.iter().find(|(found, _)| found == id).map(|hit| hit.1);
    ensure!(
        score("berlin") == Some(1.0) && score("tokyo") == Some(0.0),
        "{found:?}"
    );
    ensure!(
        score("nowhere") == Some(1.0),
        "nothing is known of it: {found:?}"
    );
    // Some 255 km away, of which 3 count for nothing, and half is lost at 300.
    let of_hamburg = score("hamburg").unwrap_or_default();
    ensure!(
        (of_hamburg - (1.0 - 252.0 / 600.0)).abs() < 0.01,
        "{found:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_point_or_no_distance_is_refused_by_name() -> Result<()> {
    let (_folder, server) = start().await?;
    let feature = |origin: &str, pivot: &str| json!({"distance_feature": {"field": "place", "origin": origin, "pivot": pivot}});
    for (query, told) in [
        (feature("north", "1km"), "north"),
        (feature(ORIGIN, "far"), "far"),
        (feature(ORIGIN, "0km"), "[pivot] must be > 0"),
        (
            json!({"function_score": {"gauss": {"place": {"scale": "2km"}}}}),
            "both [scale] and [origin] must be set",
        ),
    ] {
        let search = Request::json("POST", "/five/_search", &json!({"query": query}));
        let answer = server.send(&search).await?;
        ensure!(answer.status == 400, "{query}: {}", answer.shown());
        ensure!(answer.shown().contains(told), "{query}: {}", answer.shown());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_show_points_in_the_format_asked_for() -> Result<()> {
    let (_folder, server) = start().await?;
    let shown = async |field: Value| {
        let body = json!({"query": {"ids": {"values": ["two"]}}, "fields": [field]});
        let search = Request::json("POST", "/five/_search", &body);
        server.send(&search).await
    };
    let far = json!({"type": "Point", "coordinates": [139.65, 35.676]});
    let near = json!({"type": "Point", "coordinates": [13.405, 52.52]});
    let texts = json!(["POINT (139.65 35.676)", "POINT (13.405 52.52)"]);
    for (field, wanted) in [
        (json!("place"), json!([far, near])),
        (
            json!({"field": "place", "format": "geojson"}),
            json!([far, near]),
        ),
        (json!({"field": "pl*", "format": "wkt"}), texts),
    ] {
        let answer = shown(field).await?.ok()?;
        let fields = &answer["hits"]["hits"][0]["fields"];
        ensure!(*fields == json!({"place": wanted}), "{answer}");
    }
    let answer = shown(json!({"field": "place", "format": "yyyy"})).await?;
    ensure!(answer.status == 400, "{}", answer.shown());
    let told = "Unrecognized geometry format [yyyy].";
    ensure!(answer.shown().contains(told), "{}", answer.shown());
    Ok(())
}
