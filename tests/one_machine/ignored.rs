//! `_ignored`: which fields left out a value, in hits and to search by; and other metadata that has no values.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

async fn hits(server: &Server, query: &Value) -> Result<Vec<Value>> {
    let body = json!({"query": query, "sort": ["n.k"]});
    let request = Request::json("POST", "/notes/_search", &body);
    let answer = server.send(&request).await?.ok()?;
    Ok(answer["hits"]["hits"]
        .as_array()
        .cloned()
        .unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_fields_are_shown_and_found_also_after_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server: Server = Start::on(&data).spawn().await?;
    let mapping = json!({"settings": {"number_of_shards": 2}, "mappings": {"properties": {
        "n": {"type": "integer", "ignore_malformed": true,
            "fields": {"k": {"type": "keyword", "ignore_above": 4}}},
        "day": {"type": "date", "ignore_malformed": true},
    }}});
    server
        .send(&Request::json("PUT", "/notes", &mapping))
        .await?
        .ok()?;
    let bulk = [
        json!({"n": 7}),
        json!({"n": "seven"}),
        json!({"n": "x", "day": "never"}),
        json!({"n": 12_345, "day": ""}),
    ];
    let lines = bulk.iter().enumerate().map(|(id, document)| {
        format!(
            "{}\n{document}\n",
            json!({"index": {"_id": id.to_string()}})
        )
    });
    let lines: String = lines.collect();
    let request = Request::ndjson("POST", "/notes/_bulk?refresh=true", lines);
    let answer = server.send(&request).await?.ok()?;
    ensure!(answer["errors"] == false, "{answer}");
    check(&server).await?;
    server.stop().await?;
    let server = Start::on(&data).spawn().await?;
    check(&server).await
}

async fn check(server: &Server) -> Result<()> {
    let shown = |hits: &[Value]| -> Vec<(String, Value)> {
        let of = |hit: &Value| {
            let id = hit["_id"].as_str().unwrap_or_default();
            (id.to_owned(), hit["_ignored"].clone())
        };
        let mut shown: Vec<_> = hits.iter().map(of).collect();
        shown.sort_by(|a, b| a.0.cmp(&b.0));
        shown
    };
    let of = |id: &str, names: Value| (id.to_owned(), names);
    let (one, two) = (of("1", json!(["n", "n.k"])), of("2", json!(["day", "n"])));
    let three = of("3", json!(["day", "n.k"]));
    for (query, expected) in [
        (
            json!({"match_all": {}}),
            vec![
                of("0", Value::Null),
                one.clone(),
                two.clone(),
                three.clone(),
            ],
        ),
        (
            json!({"exists": {"field": "_ignored"}}),
            vec![one.clone(), two.clone(), three.clone()],
        ),
        (
            json!({"term": {"_ignored": "n"}}),
            vec![one.clone(), two.clone()],
        ),
        (
            json!({"terms": {"_ignored": ["n.k", "nowhere"]}}),
            vec![one, three],
        ),
        (json!({"match": {"_ignored": "nowhere"}}), vec![]),
    ] {
        let found = shown(&hits(server, &query).await?);
        ensure!(found == expected, "{query}: {found:?}");
    }
    let fields = json!(["n*", "_id", "_index", "_version", "_ignored"]);
    let body = json!({"query": {"ids": {"values": ["2"]}}, "fields": fields, "_source": false});
    let request = Request::json("POST", "/notes/_search", &body);
    let answer = server.send(&request).await?.ok()?;
    let expected = json!({
        "_index": "notes", "_id": "2", "_score": 1.0, "_ignored": ["day", "n"],
        "fields": {"n.k": ["x"], "_id": ["2"], "_index": ["notes"], "_version": [1]},
        "ignored_field_values": {"n": ["x"]},
    });
    ensure!(answer["hits"]["hits"] == json!([expected]), "{answer}");
    check_reads(server).await
}

/// Documents that are read by their ids tell it too, whatever else is shown of them.
async fn check_reads(server: &Server) -> Result<()> {
    let get = async |path: &str| server.send(&Request::new("GET", path)).await?.ok();
    for (id, expected) in [
        ("0", Value::Null),
        ("1", json!(["n", "n.k"])),
        ("2", json!(["day", "n"])),
        ("3", json!(["day", "n.k"])),
    ] {
        for options in ["", "?_source=false", "?realtime=false", "?stored_fields=n"] {
            let shown = get(&format!("/notes/_doc/{id}{options}")).await?;
            ensure!(shown["_ignored"] == expected, "{options}: {shown}");
        }
        let body = json!({"docs": [{"_id": id}, {"_id": id, "_source": false}]});
        let request = Request::json("POST", "/notes/_mget", &body);
        let answer = server.send(&request).await?.ok()?;
        for at in [0, 1] {
            let shown = &answer["docs"][at];
            ensure!(shown["_ignored"] == expected, "{shown}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_searches_do_not_see_yet_is_read_with_what_it_ignored() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let long = "x".repeat(300);
    for document in [
        json!({"tag": "short"}),
        json!({"tag": long, "other": [long, "y"]}),
    ] {
        let put = Request::json("PUT", "/notes/_doc/1", &document);
        server.send(&put).await?.ok()?;
        let shown = server.send(&Request::new("GET", "/notes/_doc/1")).await?;
        let shown = shown.ok()?;
        let expected = match document["tag"] == "short" {
            true => Value::Null,
            false => json!(["other.keyword", "tag.keyword"]),
        };
        ensure!(shown["_ignored"] == expected, "{shown}");
    }
    server.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_served_or_refused_and_never_empty() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let mapping =
        json!({"mappings": {"properties": {"n": {"type": "long", "ignore_malformed": true}}}});
    let create = Request::json("PUT", "/notes", &mapping);
    server.send(&create).await?.ok()?;
    let put = Request::json("PUT", "/notes/_doc/1?refresh=true", &json!({"n": "none"}));
    server.send(&put).await?.ok()?;
    let asked = |path: &str, body: Value| {
        let request = Request::json("POST", path, &body);
        let server = &server;
        async move { server.send(&request).await }
    };
    for name in [
        "_ignored",
        "_field_names",
        "_doc_count",
        "_nested_path",
        "_tier",
        "_type",
        "_routing",
        "_source",
    ] {
        let shown = json!({"size": 1, "docvalue_fields": [name]});
        let mut refused = vec![
            (
                "/notes/_search",
                json!({"aggs": {"x": {"terms": {"field": name}}}}),
            ),
            (
                "/notes/_search",
                json!({"aggs": {"x": {"value_count": {"field": name}}}}),
            ),
            (
                "/notes/_search",
                json!({"aggs": {"x": {"composite": {"sources": [{"k": {"terms": {"field": name}}}]}}}}),
            ),
            (
                "/notes/_search",
                json!({"aggs": {"x": {"matrix_stats": {"fields": ["n", name]}}}}),
            ),
            (
                "/notes/_search",
                json!({"aggs": {"x": {"top_hits": {"sort": [{name: {"unmapped_type": "long"}}]}}}}),
            ),
            (
                "/notes/_search",
                json!({"sort": [{name: {"unmapped_type": "long"}}]}),
            ),
            ("/notes/_search", json!({"sort": [name]})),
            ("/notes/_terms_enum", json!({"field": name})),
        ];
        if name != "_ignored" {
            refused.push(("/notes/_search", shown.clone()));
            refused.push((
                "/notes/_search",
                json!({"aggs": {"x": {"top_hits": {"docvalue_fields": [name]}}}}),
            ));
        }
        for (path, body) in refused {
            let answer = asked(path, body.clone()).await?;
            let told = answer.json()?.to_string();
            ensure!(
                answer.status == 400 && told.contains(name),
                "{path} {body}: {told}"
            );
        }
    }
    let fields = json!(["_ignored", "_index", "_seq_no", "_version"]);
    let expected = json!({"_ignored": ["n"], "_index": ["notes"], "_seq_no": [0], "_version": [1]});
    let body = json!({"docvalue_fields": fields, "aggs": {"x": {"top_hits": {"docvalue_fields": fields}}}});
    let found = asked("/notes/_search", body).await?.ok()?;
    ensure!(found["hits"]["hits"][0]["fields"] == expected, "{found}");
    let in_bucket = &found["aggregations"]["x"]["hits"]["hits"][0];
    ensure!(in_bucket["fields"] == expected, "{found}");
    server.stop().await
}
