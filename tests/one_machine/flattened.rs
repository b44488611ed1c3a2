//! Objects of any keys as one field (`flattened`), the same for any number of shards.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::asking::{LAYOUTS, answer};

fn documents() -> Vec<(&'static str, Value)> {
    vec![
        (
            "a",
            json!({"priority": "urgent", "release": ["v1.2.5", "v1.3.0"], "time": {"created": 123}}),
        ),
        (
            "b",
            json!({"priority": "low", "release": "v1.3.0", "time": {"created": 9, "closed": null}}),
        ),
        (
            "c",
            json!([{"priority": "urgent"}, {"time": {"closed": true}}]),
        ),
        (
            "d",
            json!({"other.dotted": "urgent", "long": "a text that is too long"}),
        ),
        ("e", Value::Null),
    ]
}

async fn start() -> Result<(TempDir, Server)> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    for (index, num_shards) in LAYOUTS {
        let body = json!({
            "settings": {"number_of_shards": num_shards},
            "mappings": {"dynamic": "strict", "properties": {
                "labels": {"type": "flattened", "null_value": "none", "ignore_above": 12, "depth_limit": 2},
                "hidden": {"type": "flattened", "index": false, "doc_values": false},
            }},
        });
        server
            .send(&Request::json("PUT", &format!("/{index}"), &body))
            .await?
            .ok()?;
        for (id, labels) in documents() {
            // Segments of their own, too.
            let path = format!("/{index}/_doc/{id}?refresh=true");
            let write = Request::json("PUT", &path, &json!({"labels": labels}));
            server.send(&write).await?.ok()?;
        }
    }
    Ok((folder, server))
}

/// Returns the ids that a query finds, sorted, without a space between them.
async fn ids(server: &Server, query: &Value) -> Result<String> {
    let answer = answer(server, &json!({"query": query})).await?;
    let hits = answer["hits"]["hits"].as_array().context("hits")?;
    let mut ids: Vec<&str> = hits.iter().filter_map(|hit| hit["_id"].as_str()).collect();
    ids.sort_unstable();
    Ok(ids.concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_found_under_any_key_and_under_one() -> Result<()> {
    let (_folder, server) = start().await?;
    for (query, wanted) in [
        (json!({"term": {"labels": "urgent"}}), "acd"),
        (json!({"term": {"labels.priority": "urgent"}}), "ac"),
        (json!({"term": {"labels.other.dotted": "urgent"}}), "d"),
        (json!({"term": {"labels.none": "urgent"}}), ""),
        (json!({"match": {"labels.release": "v1.3.0"}}), "ab"),
        (json!({"match": {"labels": 123}}), "a"),
        (json!({"terms": {"labels.time.created": ["9", 123]}}), "ab"),
        (json!({"term": {"labels.time.closed": "none"}}), "b"),
        (json!({"term": {"labels.time.closed": true}}), "c"),
        (json!({"prefix": {"labels.release": "v1.2"}}), "a"),
        (json!({"prefix": {"labels": "v1"}}), "ab"),
        (json!({"wildcard": {"labels": "v*5"}}), "a"),
        (json!({"fuzzy": {"labels": "urgant"}}), "acd"),
        // As texts: "123" comes before "9".
        (
            json!({"range": {"labels.time.created": {"gte": "2", "lt": "99"}}}),
            "b",
        ),
        (json!({"range": {"labels.time.created": {"lt": "2"}}}), "a"),
        (json!({"range": {"labels.priority": {"gt": "m"}}}), "ac"),
        (json!({"range": {"labels": {"gte": "v1.3"}}}), "ab"),
        (json!({"exists": {"field": "labels"}}), "abcd"),
        (json!({"exists": {"field": "labels.time.closed"}}), "bc"),
        (json!({"exists": {"field": "labels.time"}}), ""),
        (
            json!({"query_string": {"query": "labels.priority:urgent"}}),
            "ac",
        ),
        (json!({"query_string": {"query": "urgent"}}), "acd"),
        // Too long to be kept.
        (json!({"exists": {"field": "labels.long"}}), ""),
    ] {
        let found = ids(&server, &query).await?;
        ensure!(found == wanted, "{query}: {found}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_sorted_by_and_counted() -> Result<()> {
    let (_folder, server) = start().await?;
    let body = json!({
        "sort": [{"labels.priority": {"order": "desc"}}, {"labels.time.created": "asc"}],
        "docvalue_fields": ["labels", "labels.release"],
        "aggs": {
            "all": {"terms": {"field": "labels"}},
            "releases": {"terms": {"field": "labels.release", "order": {"_key": "asc"}}},
            "without": {"missing": {"field": "labels.priority"}},
            "distinct": {"cardinality": {"field": "labels.time.created"}},
            "none": {"terms": {"field": "labels.never"}},
        },
    });
    let found = answer(&server, &body).await?;
    let hits = found["hits"]["hits"].as_array().context("hits")?;
    let order: Vec<&str> = hits.iter().filter_map(|hit| hit["_id"].as_str()).collect();
    ensure!(order[..3] == ["a", "c", "b"], "{found}");
    ensure!(
        hits[0]["sort"][0] == "urgent" && hits[0]["sort"][1] == "123",
        "{found}"
    );
    ensure!(hits[1]["sort"][1].is_null(), "{found}");
    let fields = &hits[0]["fields"];
    ensure!(
        fields["labels"] == json!(["123", "urgent", "v1.2.5", "v1.3.0"]),
        "{found}"
    );
    ensure!(
        fields["labels.release"] == json!(["v1.2.5", "v1.3.0"]),
        "{found}"
    );
    let aggs = &found["aggs"];
    let first = &aggs["all"]["buckets"][0];
    ensure!(
        *first == json!({"key": "urgent", "doc_count": 3}),
        "{found}"
    );
    let releases = json!([
        {"key": "v1.2.5", "doc_count": 1},
        {"key": "v1.3.0", "doc_count": 2},
    ]);
    ensure!(aggs["releases"]["buckets"] == releases, "{found}");
    ensure!(aggs["without"]["doc_count"] == 2, "{found}");
    ensure!(aggs["distinct"]["value"] == 2, "{found}");
    ensure!(aggs["none"]["buckets"] == json!([]), "{found}");

    let collapsed = json!({"query": {"exists": {"field": "labels.priority"}}, "collapse": {"field": "labels.priority"}});
    let found = answer(&server, &collapsed).await?;
    ensure!(
        found["hits"]["hits"].as_array().map(Vec::len) == Some(2),
        "{found}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_object_is_shown_as_it_was_written() -> Result<()> {
    let (_folder, server) = start().await?;
    let body = json!({"query": {"ids": {"values": ["a"]}}, "fields": ["lab*", "labels.release", "labels.time.*"]});
    let found = answer(&server, &body).await?;
    let hit = &found["hits"]["hits"][0];
    let (_, labels) = &documents()[0];
    ensure!(hit["_source"] == json!({"labels": labels}), "{found}");
    let shown = json!({"labels": [labels], "labels.release": ["v1.2.5", "v1.3.0"]});
    ensure!(hit["fields"] == shown, "{found}");

    let mapping = server
        .send(&Request::new("GET", "/four/_mapping"))
        .await?
        .ok()?;
    let declared = &mapping["four"]["mappings"]["properties"];
    ensure!(declared["labels"]["depth_limit"] == 2, "{mapping}");
    ensure!(declared["labels"].get("fields").is_none(), "{mapping}");
    let caps = server
        .send(&Request::new("GET", "/four/_field_caps?fields=lab*"))
        .await?
        .ok()?;
    let fields = caps["fields"].as_object().context("fields")?;
    ensure!(fields.len() == 1, "{caps}");
    let caps = &fields["labels"]["flattened"];
    ensure!(
        caps["searchable"] == true && caps["aggregatable"] == true,
        "{caps}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_of_keys_is_refused_by_name() -> Result<()> {
    let (_folder, server) = start().await?;
    for (body, reason) in [
        (
            json!({"query": {"wildcard": {"labels.priority": "u*"}}}),
            "[wildcard] queries are not currently supported on keyed",
        ),
        (
            json!({"query": {"term": {"labels.priority": {"value": "URGENT", "case_insensitive": true}}}}),
            "[case insensitive term] queries are not currently supported on keyed",
        ),
        (
            json!({"query": {"prefix": {"labels.priority": {"value": "U", "case_insensitive": true}}}}),
            "[case insensitive prefix] queries are not currently supported on keyed",
        ),
        (
            json!({"query": {"regexp": {"labels.priority": "u.*"}}}),
            "[regexp] queries are not currently supported on keyed",
        ),
        (
            json!({"query": {"fuzzy": {"labels.priority": "urgant"}}}),
            "[fuzzy] queries are not currently supported on keyed",
        ),
        (
            json!({"query": {"term": {"hidden.a": "b"}}}),
            "Cannot search on field [hidden.a] since it is not indexed",
        ),
        (json!({"sort": "hidden.a"}), "without doc values"),
        (
            json!({"aggs": {"a": {"sum": {"field": "labels.time.created"}}}}),
            "is not supported for aggregation [sum]",
        ),
    ] {
        let answer = server
            .send(&Request::json("POST", "/four/_search", &body))
            .await?;
        ensure!(answer.status == 400, "{body}: {}", answer.shown());
        ensure!(
            answer.shown().contains(reason),
            "{body}: {}",
            answer.shown()
        );
    }
    for (document, reason) in [
        (json!({"labels": "text"}), "Failed to parse object"),
        (
            json!({"labels": {"a": {"b": {"c": 1}}}}),
            "exceeds the maximum depth limit of [2]",
        ),
        (
            json!({"labels": {"a\u{0}b": 1}}),
            "cannot contain the reserved character",
        ),
        (json!({"labels.a": 1}), "labels"),
    ] {
        let answer = server
            .send(&Request::json("PUT", "/four/_doc/x", &document))
            .await?;
        ensure!(answer.status == 400, "{document}: {}", answer.shown());
        ensure!(
            answer.shown().contains(reason),
            "{document}: {}",
            answer.shown()
        );
    }
    for field in [
        json!({"type": "flattened", "split_queries_on_whitespace": true}),
        json!({"type": "flattened", "depth_limit": 0}),
        json!({"type": "flattened", "copy_to": "other"}),
        json!({"type": "flattened", "fields": {"a": {"type": "keyword"}}}),
        json!({"type": "text", "fields": {"a": {"type": "flattened"}}}),
    ] {
        let body = json!({"properties": {"new": field}});
        let answer = server
            .send(&Request::json("PUT", "/four/_mapping", &body))
            .await?;
        ensure!(answer.status == 400, "{field}: {}", answer.shown());
    }
    Ok(())
}
