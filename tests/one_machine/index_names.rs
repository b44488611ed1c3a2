//! The metadata of documents as fields: the name of their index is aggregated and sorted by, ids are counted.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::{answered, asked, ok};

/// Makes an index of `shards` shards with a document for each number of `ids`, which is its id too.
async fn filled(
    server: &Server,
    index: &str,
    shards: u32,
    ids: std::ops::Range<u32>,
) -> Result<()> {
    let body = json!({
        "settings": {"number_of_shards": shards}, "aliases": {"all": {}},
        "mappings": {"properties": {"n": {"type": "long"}}},
    });
    ok(server, "PUT", &format!("/{index}"), &body).await?;
    let lines = ids.map(|n| {
        let action = json!({"index": {"_id": n.to_string()}});
        format!("{action}\n{}\n", json!({"n": n}))
    });
    let path = format!("/{index}/_bulk?refresh=true");
    let bulk = Request::ndjson("POST", &path, lines.collect::<String>());
    let written = server.send(&bulk).await?.ok()?;
    ensure!(written["errors"] == false, "{written}");
    Ok(())
}

/// Three documents in one shard and seven in four, one id in both.
async fn started(folder: &tempfile::TempDir) -> Result<Server> {
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    filled(&server, "small", 1, 0..3).await?;
    filled(&server, "large", 4, 2..9).await?;
    Ok(server)
}

async fn found(server: &Server, body: &Value) -> Result<Value> {
    let found = ok(server, "POST", "/all/_search?typed_keys=true", body).await?;
    ensure!(found["_shards"]["failed"] == 0, "{found}");
    Ok(found)
}

fn bucket(key: &str, doc_count: u64) -> Value {
    json!({"key": key, "doc_count": doc_count})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_the_index_is_a_value_of_each_document() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let body = json!({"size": 0, "aggs": {
        "terms": {"terms": {"field": "_index"}},
        "cardinality": {"cardinality": {"field": "_index"}},
        "count": {"value_count": {"field": "_index"}},
        "missing": {"missing": {"field": "_index"}},
        "composite": {"composite": {
            "size": 1, "sources": [{"index": {"terms": {"field": "_index"}}}], "after": {"index": "large"},
        }},
        "of_five": {"filter": {"range": {"n": {"gte": 5}}}, "aggs": {
            "terms": {"terms": {"field": "_index", "min_doc_count": 0}},
        }},
        "ids": {"cardinality": {"field": "_id"}},
        "id_count": {"value_count": {"field": "_id"}},
    }});
    let answer = found(&server, &body).await?;
    let aggs = &answer["aggregations"];
    let names = json!([bucket("large", 7), bucket("small", 3)]);
    ensure!(aggs["sterms#terms"]["buckets"] == names, "{answer}");
    for (name, value) in [
        ("cardinality#cardinality", 2),
        ("value_count#count", 10),
        ("cardinality#ids", 9),
        ("value_count#id_count", 10),
    ] {
        ensure!(aggs[name]["value"] == value, "{name}: {answer}");
    }
    ensure!(aggs["missing#missing"]["doc_count"] == 0, "{answer}");
    let page = json!([{"key": {"index": "small"}, "doc_count": 3}]);
    ensure!(aggs["composite#composite"]["buckets"] == page, "{answer}");
    let of_five = &aggs["filter#of_five"]["sterms#terms"]["buckets"];
    ensure!(
        *of_five == json!([bucket("large", 4), bucket("small", 0)]),
        "{answer}"
    );

    let nothing = json!({"size": 0, "query": {"term": {"n": 100}}, "aggs": {"terms": {"terms": {"field": "_index"}}}});
    let answer = found(&server, &nothing).await?;
    let terms = &answer["aggregations"]["sterms#terms"];
    ensure!(terms["buckets"] == json!([]), "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_are_sorted_by_the_name_of_their_index() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let mut expected: Vec<Value> = (0..3).map(|n| json!(["small", n])).collect();
    expected.extend((2..9).map(|n| json!(["large", n])));
    let mut body = json!({"size": 4, "sort": [{"_index": "desc"}, {"n": "asc"}]});
    let mut seen: Vec<Value> = Vec::new();
    loop {
        let page = found(&server, &body).await?;
        let hits = page["hits"]["hits"].as_array().into_iter().flatten();
        let before = seen.len();
        for hit in hits {
            ensure!(hit["_index"] == hit["sort"][0], "{hit}");
            seen.push(hit["sort"].clone());
        }
        match seen.last() {
            Some(last) if seen.len() > before => body["search_after"] = last.clone(),
            _ => break,
        }
    }
    ensure!(seen == expected, "{seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ids_are_not_good_for_is_refused_with_a_way_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    for body in [
        json!({"sort": "_id"}),
        json!({"aggs": {"ids": {"terms": {"field": "_id"}}}}),
        json!({"aggs": {"top": {"top_hits": {"sort": [{"_id": "desc"}]}}}}),
    ] {
        let refused = answered(&server, ("POST", "/all/_search"), &body).await?;
        ensure!(refused.status == 400, "{}", refused.shown());
        let shown = refused.shown();
        ensure!(
            shown.contains("index a copy of it in a [keyword] field"),
            "{shown}"
        );
    }
    let path = "/all/_field_caps?fields=_index,_id";
    let caps = asked(&server, ("GET", path), &Value::Null).await?;
    for (field, is_aggregatable) in [("_index", true), ("_id", false)] {
        let shown = &caps["fields"][field][field]["aggregatable"];
        ensure!(*shown == is_aggregatable, "{caps}");
    }
    Ok(())
}
