//! Hits sorted by how far their points are (`_geo_distance`), the same for any number of shards.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use serde_json::{Value, json};

use crate::nearness::start;

/// The Brandenburg Gate.
const GATE: [f64; 2] = [13.3777, 52.5163];

/// Returns ids with what they were sorted by, in order; they are the same in both indices.
async fn sorted(server: &Server, body: &Value) -> Result<Vec<(String, Value)>> {
    let mut found = Vec::new();
    for index in ["one", "five"] {
        let search = Request::json("POST", &format!("/{index}/_search"), body);
        let answer = server.send(&search).await?.ok()?;
        ensure!(answer["_shards"]["failed"] == 0, "{answer}");
        let hits = answer["hits"]["hits"].as_array().context("hits")?.clone();
        let pair = |hit: &Value| {
            (
                hit["_id"].as_str().unwrap_or_default().to_owned(),
                hit["sort"][0].clone(),
            )
        };
        found.push(hits.iter().map(pair).collect::<Vec<_>>());
    }
    ensure!(found[0] == found[1], "{found:?}");
    Ok(found.remove(0))
}

fn by_distance(options: &Value) -> Value {
    let mut options = options.clone();
    options["unit"] = json!("km");
    json!({"sort": [{"_geo_distance": options}, {"name": {"missing": "_first"}}]})
}

fn ids(found: &[(String, Value)]) -> Vec<&str> {
    found.iter().map(|(id, _)| id.as_str()).collect()
}

fn distance(found: &[(String, Value)], id: &str) -> f64 {
    let hit = found.iter().find(|(found, _)| found == id);
    hit.and_then(|(_, value)| value.as_f64())
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_come_by_their_distance_which_is_shown() -> Result<()> {
    let (_folder, server) = start().await?;
    let found = sorted(&server, &by_distance(&json!({"place": GATE}))).await?;
    let near = [
        "two", "berlin", "potsdam", "hamburg", "paris", "tokyo", "suva", "nowhere",
    ];
    ensure!(ids(&found) == near, "{found:?}");
    // Some 25.5 and 255 km.
    ensure!(
        (distance(&found, "potsdam") - 25.5).abs() < 0.5,
        "{found:?}"
    );
    ensure!(
        (distance(&found, "hamburg") - 255.0).abs() < 2.0,
        "{found:?}"
    );
    ensure!(found[7].1 == "Infinity", "{found:?}");

    // The farthest point of a document counts, and what has none is farther than any.
    let options = json!({"place": GATE, "order": "desc"});
    let found = sorted(&server, &by_distance(&options)).await?;
    let far = [
        "nowhere", "suva", "two", "tokyo", "paris", "hamburg", "potsdam", "berlin",
    ];
    ensure!(ids(&found) == far && found[0].1 == "Infinity", "{found:?}");

    let body = json!({
        "size": 0,
        "aggs": {"near": {"top_hits": {"size": 2, "sort": [{"_geo_distance": {"place": GATE}}, "name"]}}},
    });
    let search = Request::json("POST", "/five/_search", &body);
    let answer = server.send(&search).await?.ok()?;
    let nearest = &answer["aggregations"]["near"]["hits"]["hits"][0];
    ensure!(nearest["_id"] == "berlin", "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_distances_counts() -> Result<()> {
    let (_folder, server) = start().await?;
    let both = json!([{"lat": 52.52, "lon": 13.405}, "35.676,139.65"]);
    let mut of_mode = Vec::new();
    for mode in ["min", "max", "avg", "median"] {
        let options = json!({"place": both, "mode": mode});
        let found = sorted(&server, &by_distance(&options)).await?;
        of_mode.push(["two", "paris"].map(|id| distance(&found, id)));
    }
    let [min, max, avg, median] = of_mode[..] else {
        unreachable!("one for each mode");
    };
    ensure!(min[0] < 0.001 && max[0] > 8_000.0, "{of_mode:?}");
    // Two of the four are nothing.
    ensure!((avg[0] - max[0] / 2.0).abs() < 0.001, "{of_mode:?}");
    ensure!((median[0] - max[0] / 2.0).abs() < 0.001, "{of_mode:?}");
    ensure!(min[1] > 800.0 && max[1] > 9_000.0, "{of_mode:?}");
    ensure!(
        (avg[1] - f64::midpoint(min[1], max[1])).abs() < 0.001,
        "{of_mode:?}"
    );

    let plane = json!({"place": GATE, "distance_type": "plane"});
    let found = sorted(&server, &by_distance(&plane)).await?;
    ensure!(
        (distance(&found, "potsdam") - 25.5).abs() < 0.5,
        "{found:?}"
    );
    ensure!(distance(&found, "tokyo") > 9_500.0, "{found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_after_a_distance() -> Result<()> {
    let (_folder, server) = start().await?;
    for order in ["asc", "desc"] {
        let body = by_distance(&json!({"place": GATE, "order": order}));
        let whole = sorted(&server, &body).await?;
        let mut page = body.clone();
        page["size"] = json!(1);
        let mut found = Vec::new();
        while found.len() < whole.len() {
            let search = Request::json("POST", "/five/_search", &page);
            let answer = server.send(&search).await?.ok()?;
            let hit = &answer["hits"]["hits"][0];
            found.push(hit["_id"].as_str().context("a hit")?.to_owned());
            page["search_after"] = json!([hit["sort"][0], hit["sort"][1]]);
        }
        ensure!(found == ids(&whole), "{found:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_without_points_is_refused_unless_it_is_to_be_ignored() -> Result<()> {
    let (_folder, server) = start().await?;
    for (options, reason) in [
        (
            json!({"away": GATE}),
            "failed to find mapper for [away] for geo distance based sort",
        ),
        (
            json!({"name": GATE}),
            "unable to apply geo distance sort on field [name]",
        ),
    ] {
        let search = Request::json("POST", "/five/_search", &by_distance(&options));
        let answer = server.send(&search).await?;
        ensure!(answer.status == 400, "{options}: {}", answer.shown());
        ensure!(
            answer.shown().contains(reason),
            "{options}: {}",
            answer.shown()
        );
    }
    let ignored = json!({"away": GATE, "ignore_unmapped": true});
    let found = sorted(&server, &by_distance(&ignored)).await?;
    ensure!(
        found.len() == 8 && found.iter().all(|(_, value)| value == "Infinity"),
        "{found:?}"
    );
    Ok(())
}
