//! Objects that are documents of their own (`nested`): what of them is found, shown and refused, the same for any
//! number of shards.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::asking::{LAYOUTS, answer, ok};

fn user(included: &Value) -> Value {
    let mut user = json!({"type": "nested", "properties": {
        "name": {"type": "keyword", "copy_to": "names"},
        "said": {"type": "text"},
        "visits": {"type": "nested", "include_in_parent": true, "properties": {"page": {"type": "keyword"}}},
    }});
    for (option, value) in included.as_object().into_iter().flatten() {
        user[option] = value.clone();
    }
    user
}

async fn start() -> Result<(TempDir, Server)> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    for (index, num_shards) in LAYOUTS {
        let body = json!({
            "settings": {"number_of_shards": num_shards, "index.mapping.nested_objects.limit": 6},
            "mappings": {"properties": {
                "apart": user(&json!({})),
                "both": user(&json!({"include_in_root": true})),
                "names": {"type": "keyword"},
            }},
        });
        ok(&server, "PUT", &format!("/{index}"), &body).await?;
        for (id, document) in [
            ("1", json!({"apart": [users()[0], users()[1]]})),
            ("2", json!({"both": users()})),
            (
                "3",
                json!({"both": {"said": "hills", "age": 7}, "title": "hills"}),
            ),
        ] {
            let path = format!("/{index}/_doc/{id}?refresh=true");
            ok(&server, "PUT", &path, &document).await?;
        }
    }
    Ok((folder, server))
}

fn users() -> [Value; 3] {
    [
        json!({"name": "ann", "said": "over the hills", "visits": [{"page": "a"}, {"page": "b"}]}),
        json!({"name": "bob", "said": "far away"}),
        json!({"name": "ann"}),
    ]
}

async fn get(server: &Server, path: &str) -> Result<Value> {
    server.send(&Request::new("GET", path)).await?.ok()
}

async fn ids(server: &Server, query: &Value) -> Result<String> {
    let answer = answer(server, &json!({"query": query})).await?;
    let hits = answer["hits"]["hits"].as_array().context("hits")?;
    let mut ids: Vec<&str> = hits.iter().filter_map(|hit| hit["_id"].as_str()).collect();
    ids.sort_unstable();
    Ok(ids.concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_find_what_the_document_itself_has() -> Result<()> {
    let (_folder, server) = start().await?;
    for (query, found) in [
        (json!({"term": {"apart.name": "ann"}}), ""),
        (json!({"match": {"apart.said": "hills"}}), ""),
        (json!({"term": {"apart.visits.page": "a"}}), ""),
        (json!({"exists": {"field": "apart"}}), ""),
        (json!({"term": {"both.name": "ann"}}), "2"),
        (json!({"term": {"both.name": "bob"}}), "2"),
        (json!({"match": {"both.said": "hills"}}), "23"),
        (json!({"term": {"both.visits.page": "b"}}), "2"),
        (json!({"range": {"both.age": {"gte": 7}}}), "3"),
        (json!({"exists": {"field": "both"}}), "23"),
        // Copied out of the objects.
        (json!({"term": {"names": "bob"}}), "12"),
        (json!({"query_string": {"query": "hills"}}), "23"),
        (
            json!({"bool": {"must_not": {"exists": {"field": "apart.name"}}}}),
            "123",
        ),
    ] {
        let ids = ids(&server, &query).await?;
        ensure!(ids == found, "{query} found {ids}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_counted_sorted_and_shown_as_they_are_included() -> Result<()> {
    let (_folder, server) = start().await?;
    let body = json!({
        "sort": [{"both.name": {"order": "desc", "missing": "_last"}}, {"apart.name": "asc"}],
        "fields": ["both.*", "apart.name", "apart.visits.page"],
        "_source": false,
        "aggs": {
            "apart": {"terms": {"field": "apart.name"}},
            "both": {"terms": {"field": "both.name"}},
        },
    });
    let answer = answer(&server, &body).await?;
    ensure!(answer["aggs"]["apart"]["buckets"] == json!([]), "{answer}");
    // A document counts once, however many of its objects have the value.
    let buckets = json!([{"key": "ann", "doc_count": 1}, {"key": "bob", "doc_count": 1}]);
    ensure!(answer["aggs"]["both"]["buckets"] == buckets, "{answer}");
    let hits = answer["hits"]["hits"].as_array().context("hits")?;
    ensure!(hits[0]["_id"] == "2", "{answer}");
    ensure!(hits[0]["sort"].get(1) == Some(&Value::Null), "{answer}");
    let of = |id: &str| {
        let hit = hits.iter().find(|hit| hit["_id"] == id);
        hit.map(|hit| hit["fields"].clone()).context("a hit")
    };
    let apart = json!({"apart": [
        {"name": ["ann"], "visits": [{"page": ["a"]}, {"page": ["b"]}]},
        {"name": ["bob"]},
    ]});
    ensure!(of("1")? == apart, "{answer}");
    let both = json!({"both": [{"age": [7], "said": ["hills"]}]});
    ensure!(of("3")? == both, "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mappings_and_capabilities_show_them() -> Result<()> {
    let (_folder, server) = start().await?;
    let mapping = get(&server, "/one/_mapping").await?;
    let both = &mapping["one"]["mappings"]["properties"]["both"];
    ensure!(
        both["type"] == "nested" && both["include_in_root"] == true,
        "{mapping}"
    );
    ensure!(both["properties"]["age"]["type"] == "long", "{mapping}");
    let caps = get(&server, "/one/_field_caps?fields=apart*").await?;
    let caps = &caps["fields"];
    ensure!(caps["apart"]["nested"]["searchable"] == false, "{caps}");
    ensure!(
        caps["apart.name"]["keyword"]["aggregatable"] == true,
        "{caps}"
    );
    let path = "/one/_field_caps?fields=*&filters=-nested,-metadata";
    let caps = get(&server, path).await?;
    let names: Vec<&String> = caps["fields"]
        .as_object()
        .context("fields")?
        .keys()
        .collect();
    ensure!(names == ["names", "title", "title.keyword"], "{names:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_or_asked_is_refused_by_name() -> Result<()> {
    let (_folder, server) = start().await?;
    let many = json!({"apart": [{}, {}, {}], "both": [{}, {}, {}, {}]});
    let page = json!({"visits": {"page": {"x": 1}}});
    let asked = |body: Value| ("/four/_search", body);
    for ((path, body), reason) in [
        (
            ("/four/_doc/9", many),
            "The number of nested documents has exceeded the allowed limit of [6]. This limit can be set by changing \
             the [index.mapping.nested_objects.limit] index level setting.",
        ),
        (
            ("/four/_doc/9", json!({"apart": [page]})),
            "[apart.visits.page] of type [keyword]",
        ),
        (
            ("/four/_doc/9", json!({"apart": "x"})),
            "but found a concrete value",
        ),
        (
            asked(json!({"query": {"nested": {"path": "apart", "query": {"match_all": {}}}}})),
            "[nested]",
        ),
        (
            asked(json!({"sort": {"apart.name": {"nested": {"path": "apart"}}}})),
            "[nested]",
        ),
        (
            asked(json!({"aggs": {"a": {"nested": {"path": "apart"}}}})),
            "[nested]",
        ),
    ] {
        let answer = server.send(&Request::json("POST", path, &body)).await?;
        let told = answer.json()?["error"]["reason"].to_string();
        ensure!(
            answer.status == 400 && told.contains(reason),
            "{body}: {told}"
        );
    }
    // The limit is the one in force.
    let limit = json!({"index.mapping.nested_objects.limit": 7});
    ok(&server, "PUT", "/four/_settings", &limit).await?;
    let seven = json!({"apart": [{}, {}, {}], "both": [{}, {}, {}, {}]});
    ok(&server, "PUT", "/four/_doc/9", &seven).await?;
    Ok(())
}
