//! Values that documents have without saying them: `constant_keyword`, and points that stand for `null`.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::ok;

async fn put(server: &Server, id: &str, document: &Value) -> Result<()> {
    let path = format!("/logs/_doc/{id}?refresh=true");
    ok(server, "PUT", &path, document).await?;
    Ok(())
}

async fn count(server: &Server, query: &Value) -> Result<Value> {
    let body = json!({"query": query});
    Ok(ok(server, "POST", "/logs/_count", &body).await?["count"].clone())
}

async fn shown_mapping(server: &Server) -> Result<Value> {
    let mapping = server.send(&Request::new("GET", "/logs/_mapping")).await?;
    Ok(mapping.ok()?["logs"]["mappings"]["properties"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_document_that_says_a_constant_sets_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Start::on(&data).spawn().await?;
    let constant = json!({"type": "constant_keyword"});
    let body = json!({
        "settings": {"number_of_shards": 3},
        "mappings": {"dynamic": "strict", "properties": {
            "n": {"type": "long"}, "set": constant, "o": {"properties": {"set": constant}},
        }},
    });
    ok(&server, "PUT", "/logs", &body).await?;
    put(&server, "before", &json!({"n": 0})).await?;
    ensure!(count(&server, &json!({"exists": {"field": "set"}})).await? == 0);
    ensure!(shown_mapping(&server).await?["set"] == constant);

    put(
        &server,
        "first",
        &json!({"n": 1, "set": ["nginx", "nginx"]}),
    )
    .await?;
    for id in ["a", "b", "c", "d"] {
        put(&server, id, &json!({"n": 2})).await?;
    }
    let set = json!({"type": "constant_keyword", "value": "nginx"});
    let shown = shown_mapping(&server).await?;
    ensure!(
        shown["set"] == set && shown["o"]["properties"]["set"] == constant,
        "{shown}"
    );
    ensure!(count(&server, &json!({"term": {"set": "nginx"}})).await? == 6);

    let other = Request::json("PUT", "/logs/_doc/x", &json!({"set": "apache"}));
    let refused = server.send(&other).await?;
    ensure!(refused.status == 400, "{}", refused.shown());
    ensure!(
        refused.shown().contains("but got [apache]"),
        "{}",
        refused.shown()
    );
    let again = json!({"properties": {"set": {"type": "constant_keyword", "value": "apache"}}});
    let refused = server
        .send(&Request::json("PUT", "/logs/_mapping", &again))
        .await?;
    ensure!(refused.status == 400, "{}", refused.shown());
    // A mapping may set it too.
    let given = json!({"properties": {"o": {"properties": {"set": set}}}});
    ok(&server, "PUT", "/logs/_mapping", &given).await?;
    put(&server, "e", &json!({"o": {"set": "nginx"}})).await?;
    ensure!(count(&server, &json!({"term": {"o.set": "nginx"}})).await? == 7);

    let body = json!({"query": {"term": {"n": 0}}, "fields": ["set", "n"]});
    let found = ok(&server, "POST", "/logs/_search", &body).await?;
    let fields = &found["hits"]["hits"][0]["fields"];
    ensure!(*fields == json!({"set": ["nginx"], "n": [0]}), "{found}");
    server.stop().await?;

    let server = Start::on(&data).spawn().await?;
    ensure!(count(&server, &json!({"term": {"set": "nginx"}})).await? == 7);
    Ok(())
}

/// Makes an index in which the last document of a bulk says the constant; a field that stands for it is declared later.
async fn said_last(server: &Server, index: &str, num_shards: u32) -> Result<()> {
    let body = json!({
        "settings": {"number_of_shards": num_shards},
        "mappings": {"properties": {
            "n": {"type": "long"}, "set": {"type": "constant_keyword"}, "other": {"type": "alias", "path": "set"},
            "unset": {"type": "constant_keyword"},
        }},
    });
    ok(server, "PUT", &format!("/{index}"), &body).await?;
    let mut lines = String::new();
    for n in 0..24 {
        let source = match n {
            23 => json!({"n": n, "set": "nginx"}),
            _ => json!({"n": n}),
        };
        let action = json!({"index": {"_id": n.to_string()}});
        lines.push_str(&format!("{action}\n{source}\n"));
    }
    let bulk = Request::ndjson("POST", &format!("/{index}/_bulk?refresh=true"), lines);
    let written = server.send(&bulk).await?.ok()?;
    ensure!(written["errors"] == false, "{written}");
    let declared = json!({"properties": {"late": {"type": "constant_keyword", "value": "x"}}});
    ok(server, "PUT", &format!("/{index}/_mapping"), &declared).await?;
    // Who said it does not matter.
    let gone = format!("/{index}/_doc/23?refresh=true");
    server.send(&Request::new("DELETE", &gone)).await?.ok()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_before_the_one_that_says_a_constant_have_it_in_any_layout() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    for (index, num_shards) in [("one", 1), ("eight", 8)] {
        said_last(&server, index, num_shards).await?;
    }
    let regexp = json!({"regexp": {"set": "ng.*"}});
    let range = json!({"range": {"set": {"gte": "nginx", "lt": "nginy"}}});
    let queries = [
        (json!({"term": {"set": "nginx"}}), 23),
        (json!({"term": {"other": "nginx"}}), 23),
        (json!({"terms": {"set": ["apache", "nginx"]}}), 23),
        (json!({"exists": {"field": "set"}}), 23),
        (json!({"match": {"set": "nginx"}}), 23),
        (json!({"match_phrase": {"set": "nginx"}}), 23),
        (json!({"prefix": {"set": "ngi"}}), 23),
        (json!({"wildcard": {"other": "n*x"}}), 23),
        (json!({"fuzzy": {"set": "ngimx"}}), 23),
        (
            json!({"query_string": {"query": "set:nginx AND n:[0 TO 4]"}}),
            5,
        ),
        (json!({"term": {"late": "x"}}), 23),
        (json!({"term": {"set": "apache"}}), 0),
        (json!({"exists": {"field": "unset"}}), 0),
        (json!({"prefix": {"unset": ""}}), 0),
        (regexp, 23),
        (range, 23),
    ];
    for index in ["one", "eight"] {
        for (query, expected) in &queries {
            let body = json!({"query": query, "size": 1});
            let found = ok(&server, "POST", &format!("/{index}/_search"), &body).await?;
            let hits = &found["hits"];
            ensure!(
                hits["total"]["value"] == *expected,
                "{index} {query}: {found}"
            );
        }
        check_columns(&server, index).await?;
    }
    Ok(())
}

/// Checks sorting, collapsing, aggregations and doc values of constants.
async fn check_columns(server: &Server, index: &str) -> Result<()> {
    let term = json!({"key": "nginx", "doc_count": 23});
    let body = json!({
        "query": {"term": {"set": "nginx"}},
        "sort": [{"set": "desc"}, {"late": "asc"}, {"unset": "asc"}, {"n": "desc"}],
        "docvalue_fields": ["set", "other", "late", "unset"],
        "collapse": {"field": "set"},
        "aggs": {
            "terms": {"terms": {"field": "set"}}, "late": {"terms": {"field": "late"}},
            "missing": {"missing": {"field": "other"}}, "without": {"missing": {"field": "unset"}},
            "cardinality": {"cardinality": {"field": "set"}}, "count": {"value_count": {"field": "set"}},
            "composite": {"composite": {"sources": [{"set": {"terms": {"field": "set"}}}]}},
            "filters": {"filters": {"filters": {"set": {"term": {"set": "nginx"}}}}},
        },
    });
    let found = ok(server, "POST", &format!("/{index}/_search"), &body).await?;
    let hits = found["hits"]["hits"].as_array();
    ensure!(hits.is_some_and(|hits| hits.len() == 1), "{found}");
    let hit = &found["hits"]["hits"][0];
    ensure!(hit["sort"] == json!(["nginx", "x", null, 22]), "{found}");
    let fields = &hit["fields"];
    for (field, value) in [("set", "nginx"), ("other", "nginx"), ("late", "x")] {
        ensure!(fields[field] == json!([value]), "{found}");
    }
    ensure!(fields.get("unset").is_none(), "{found}");
    let aggs = &found["aggregations"];
    ensure!(aggs["terms"]["buckets"] == json!([term]), "{found}");
    let late = &aggs["late"]["buckets"][0];
    ensure!(late["key"] == "x" && late["doc_count"] == 23, "{found}");
    ensure!(aggs["missing"]["doc_count"] == 0, "{found}");
    ensure!(aggs["without"]["doc_count"] == 23, "{found}");
    ensure!(aggs["cardinality"]["value"] == 1, "{found}");
    ensure!(aggs["count"]["value"] == 23, "{found}");
    let group = &aggs["composite"]["buckets"][0];
    ensure!(
        group["doc_count"] == 23 && group["key"] == json!({"set": "nginx"}),
        "{found}"
    );
    ensure!(
        aggs["filters"]["buckets"]["set"]["doc_count"] == 23,
        "{found}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fraction_is_a_constant_however_it_is_written() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let body = json!({"mappings": {"properties": {"set": {"type": "constant_keyword"}}}});
    ok(&server, "PUT", "/logs", &body).await?;
    let values = ["1.50", "1.5", "\"1.5\"", "1.6", "\"1.50\""];
    let lines = values.map(|value| format!("{{\"index\":{{}}}}\n{{\"set\":{value}}}\n"));
    let bulk = Request::ndjson("POST", "/logs/_bulk?refresh=true", lines.concat());
    let written = server.send(&bulk).await?.ok()?;
    let statuses = written["items"].as_array().into_iter().flatten();
    let statuses: Vec<_> = statuses
        .map(|item| item["index"]["status"].clone())
        .collect();
    ensure!(statuses == [201, 201, 201, 400, 400], "{written}");
    ensure!(count(&server, &json!({"term": {"set": "1.5"}})).await? == 3);
    Ok(())
}

/// Checks that all documents, of which there are so many, have the constant at `field`.
async fn check_constant(server: &Server, field: &str, num_documents: u64) -> Result<()> {
    for (query, expected) in [
        (json!({"exists": {"field": field}}), num_documents),
        (json!({"term": {field: "nginx"}}), num_documents),
        (json!({"term": {field: "apache"}}), 0),
    ] {
        let found = count(server, &query).await?;
        ensure!(found == expected, "{query}: {found}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_constant_is_set_through_a_multi_field_and_by_a_copy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let constant = json!({"type": "constant_keyword"});
    let body = json!({
        "settings": {"number_of_shards": 3},
        "mappings": {"properties": {
            "host": {"type": "text", "fields": {"c": constant}, "copy_to": "set"}, "set": constant,
        }},
    });
    ok(&server, "PUT", "/logs", &body).await?;
    put(&server, "null", &json!({"host": null})).await?;
    for field in ["host.c", "set"] {
        let query = json!({"exists": {"field": field}});
        ensure!(count(&server, &query).await? == 0, "{field}");
    }
    let hosts = ["nginx", "apache", "nginx"];
    let lines = hosts.map(|host| format!("{{\"index\":{{}}}}\n{{\"host\":\"{host}\"}}\n"));
    let bulk = Request::ndjson("POST", "/logs/_bulk?refresh=true", lines.concat());
    let written = server.send(&bulk).await?.ok()?;
    let outcome = |at: usize| &written["items"][at]["index"];
    for (at, status) in [201, 400, 201].into_iter().enumerate() {
        ensure!(outcome(at)["status"] == status, "{written}");
    }
    let reason = "[constant_keyword] field [host.c] only accepts values that are equal to the value defined in the \
                  mappings [nginx], but got [apache]";
    ensure!(
        outcome(1)["error"]["caused_by"]["reason"] == reason,
        "{written}"
    );
    let shown = shown_mapping(&server).await?;
    for path in ["/set/value", "/host/fields/c/value"] {
        ensure!(shown.pointer(path) == Some(&json!("nginx")), "{shown}");
    }
    check_constant(&server, "host.c", 3).await?;
    check_constant(&server, "set", 3).await?;

    let other = Request::json("PUT", "/logs/_doc/x", &json!({"set": "apache"}));
    let refused = server.send(&other).await?;
    ensure!(refused.status == 400, "{}", refused.shown());
    put(&server, "same", &json!({"host": "nginx", "set": "nginx"})).await?;
    check_constant(&server, "host.c", 4).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_may_stand_for_null() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let place = json!({"type": "geo_point", "null_value": {"lat": 10, "lon": 20}});
    let body = json!({"mappings": {"properties": {"place": place}}});
    ok(&server, "PUT", "/logs", &body).await?;
    for (id, place) in [
        ("null", json!(null)),
        ("list", json!([null, "50,50"])),
        ("other", json!("50,50")),
    ] {
        put(&server, id, &json!({"place": place})).await?;
    }
    put(&server, "none", &json!({})).await?;
    let near = |lat: i32, lon: i32| {
        let place = json!([lon, lat]);
        json!({"geo_distance": {"distance": "1km", "place": place}})
    };
    ensure!(count(&server, &near(10, 20)).await? == 2);
    ensure!(count(&server, &near(50, 50)).await? == 2);
    ensure!(shown_mapping(&server).await?["place"] == place);
    let wrong = json!({"properties": {"p": {"type": "geo_point", "null_value": [0, 91]}}});
    let refused = server
        .send(&Request::json("PUT", "/logs/_mapping", &wrong))
        .await?;
    ensure!(
        refused.shown().contains("[null_value]"),
        "{}",
        refused.shown()
    );
    Ok(())
}
