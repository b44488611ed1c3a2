//! Collapsed hits: what stands in their `inner_hits`.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use serde_json::json;

use super::asking::ok;

#[tokio::test(flavor = "multi_thread")]
async fn inner_hits_have_one_sort_value_a_key() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    let body = json!({
        "settings": {"number_of_shards": 3},
        "mappings": {"properties": {"user": {"type": "keyword"}, "ts": {"type": "date"}}},
    });
    ok(&server, "PUT", "/c", &body).await?;
    for (id, day) in [("1", 1), ("2", 2)] {
        let document = json!({"user": "ann", "ts": format!("2024-01-0{day}")});
        let path = format!("/c/_doc/{id}?refresh=true");
        ok(&server, "PUT", &path, &document).await?;
    }
    let collapse = json!({"field": "user", "inner_hits": [
        {"name": "first", "sort": [{"ts": "asc"}]},
        {"name": "best", "sort": ["_score"]},
        {"name": "any"},
    ]});
    let mut body = json!({"sort": [{"ts": "desc"}], "collapse": collapse});
    let found = ok(&server, "POST", "/c/_search", &body).await?;
    let hit = &found["hits"]["hits"][0];
    ensure!(hit["sort"] == json!([1_704_153_600_000_i64]), "{found}");
    let first = &hit["inner_hits"]["first"]["hits"]["hits"];
    let days = [1_704_067_200_000_i64, 1_704_153_600_000];
    for (at, ms) in days.iter().enumerate() {
        ensure!(first[at]["sort"] == json!([ms]), "{found}");
    }
    for name in ["best", "any"] {
        let inner = &hit["inner_hits"][name]["hits"]["hits"][0];
        ensure!(inner["_source"]["user"] == "ann", "{found}");
        ensure!(inner.get("sort").is_none(), "{found}");
    }

    // A walk over a point in time goes on by the tie-break, which hits show there.
    let open = Request::new("POST", "/c/_pit?keep_alive=1m");
    let pit = server.send(&open).await?.ok()?;
    body["pit"] = json!({"id": pit["id"]});
    let found = ok(&server, "POST", "/_search", &body).await?;
    let hit = &found["hits"]["hits"][0];
    let first = &hit["inner_hits"]["first"]["hits"]["hits"][0];
    for hit in [hit, first] {
        ensure!(hit["sort"].as_array().map(Vec::len) == Some(2), "{found}");
    }
    Ok(())
}
