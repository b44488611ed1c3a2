//! Types of fields beside the plain ones: `alias`, `wildcard`, `constant_keyword`, `token_count`, `search_as_you_type`.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::ok;

async fn started(folder: &tempfile::TempDir) -> Result<Server> {
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let body = json!({
        "settings": {"number_of_shards": 3},
        "mappings": {"properties": {
            "text": {"type": "text", "fields": {
                "length": {"type": "token_count", "analyzer": "standard"},
                "kept": {"type": "token_count", "analyzer": "stop", "enable_position_increments": false},
                "places": {"type": "token_count", "analyzer": "stop"},
                "typed": {"type": "search_as_you_type"},
            }},
            "says": {"type": "alias", "path": "text"},
            "message": {"type": "wildcard"},
            "level": {"type": "constant_keyword", "value": "debug"},
            "owner": {"properties": {"id": {"type": "keyword"}}},
            "who": {"type": "alias", "path": "owner.id"},
            "number": {"type": "long"},
            "n": {"type": "alias", "path": "number"},
        }},
    });
    ok(&server, "PUT", "/t", &body).await?;
    for (id, text, message, owner, number) in [
        ("1", "over the hills", "GET /a/b?x=1", "ann", 3),
        ("2", "far and away and over", "PUT /a/c", "bob", 1),
        ("3", "hills", "POST /d", "ann", 2),
    ] {
        let document =
            json!({"text": text, "message": message, "owner": {"id": owner}, "number": number});
        ok(
            &server,
            "PUT",
            &format!("/t/_doc/{id}?refresh=true"),
            &document,
        )
        .await?;
    }
    Ok(server)
}

async fn ids(server: &Server, query: &Value) -> Result<Vec<String>> {
    let body = json!({"query": query});
    let found = ok(server, "POST", "/t/_search", &body).await?;
    ensure!(found["_shards"]["failed"] == 0, "{query}: {found}");
    let hits = found["hits"]["hits"].as_array().into_iter().flatten();
    let mut ids: Vec<String> = hits
        .filter_map(|hit| hit["_id"].as_str().map(str::to_owned))
        .collect();
    ids.sort();
    Ok(ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_found_by_what_their_types_mean() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    for (query, expected) in [
        (json!({"match": {"says": "hills"}}), vec!["1", "3"]),
        (json!({"match_phrase": {"says": "and over"}}), vec!["2"]),
        (json!({"term": {"who": "ann"}}), vec!["1", "3"]),
        (json!({"terms": {"who": ["bob", "eve"]}}), vec!["2"]),
        (json!({"prefix": {"who": "a"}}), vec!["1", "3"]),
        (json!({"range": {"n": {"gte": 2}}}), vec!["1", "3"]),
        (json!({"exists": {"field": "who"}}), vec!["1", "2", "3"]),
        (
            json!({"query_string": {"query": "who:bob OR n:3"}}),
            vec!["1", "2"],
        ),
        (
            json!({"multi_match": {"query": "ann", "fields": ["wh*", "owner.*"]}}),
            vec!["1", "3"],
        ),
        (json!({"wildcard": {"message": "*/a/*"}}), vec!["1", "2"]),
        (
            json!({"regexp": {"message": "P(U|OS)T .*"}}),
            vec!["2", "3"],
        ),
        (json!({"term": {"message": "POST /d"}}), vec!["3"]),
        (
            json!({"terms": {"message": ["POST /d", "PUT /a/c"]}}),
            vec!["2", "3"],
        ),
        (json!({"term": {"level": "debug"}}), vec!["1", "2", "3"]),
        (json!({"term": {"level": "info"}}), vec![]),
        (json!({"wildcard": {"level": "de*"}}), vec!["1", "2", "3"]),
        (json!({"term": {"text.length": 5}}), vec!["2"]),
        (json!({"range": {"text.length": {"lt": 4}}}), vec!["1", "3"]),
        (json!({"term": {"text.places": 3}}), vec!["1"]),
        (json!({"term": {"text.kept": 2}}), vec!["1"]),
        (
            json!({"multi_match": {
                "query": "over th", "type": "bool_prefix", "operator": "and",
                "fields": ["text.typed", "text.typed._2gram", "text.typed._3gram"],
            }}),
            vec!["1"],
        ),
        (
            json!({"match": {"text.typed._2gram": "far and"}}),
            vec!["2"],
        ),
        (
            json!({"match_phrase_prefix": {"text.typed": "away and ov"}}),
            vec!["2"],
        ),
    ] {
        let found = ids(&server, &query).await?;
        ensure!(found == expected, "{query}: {found:?}, not {expected:?}");
    }
    check_shown(&server).await
}

/// Checks sorting, aggregations, what is shown of fields, capabilities.
async fn check_shown(server: &Server) -> Result<()> {
    let body = json!({
        "query": {"match": {"says": "over"}},
        "sort": [{"n": "asc"}],
        "aggs": {
            "who": {"terms": {"field": "who"}}, "sum": {"sum": {"field": "n"}},
            "level": {"terms": {"field": "level"}}, "length": {"max": {"field": "text.length"}},
        },
        "fields": ["who", "says", "text.length"],
        "docvalue_fields": ["n", "level"],
        "highlight": {"fields": {"says": {}}},
    });
    let found = ok(server, "POST", "/t/_search", &body).await?;
    let hit = &found["hits"]["hits"][0];
    ensure!(hit["_id"] == "2" && hit["sort"] == json!([1]), "{found}");
    let fields = json!({
        "who": ["bob"], "says": ["far and away and over"], "text.length": [5], "n": [1], "level": ["debug"],
    });
    ensure!(hit["fields"] == fields, "{found}");
    ensure!(
        hit["highlight"]["says"][0] == "far and away and <em>over</em>",
        "{found}"
    );
    let results = &found["aggregations"];
    ensure!(
        results["sum"]["value"] == 4.0 && results["length"]["value"] == 5.0,
        "{found}"
    );
    ensure!(
        results["who"]["buckets"].as_array().map(Vec::len) == Some(2),
        "{found}"
    );
    ensure!(
        results["level"]["buckets"][0] == json!({"key": "debug", "doc_count": 2}),
        "{found}"
    );
    let path = "/t/_field_caps?fields=who,level,message,text.length";
    let caps = server.send(&Request::new("GET", path)).await?.ok()?;
    for (field, kind) in [
        ("who", "keyword"),
        ("level", "keyword"),
        ("message", "keyword"),
        ("text.length", "token_count"),
    ] {
        ensure!(caps["fields"][field][kind]["searchable"] == true, "{caps}");
    }
    let mapping = server
        .send(&Request::new("GET", "/t/_mapping"))
        .await?
        .ok()?;
    let who = &mapping["t"]["mappings"]["properties"]["who"];
    ensure!(
        *who == json!({"type": "alias", "path": "owner.id"}),
        "{mapping}"
    );
    check_refused(server).await
}

async fn check_refused(server: &Server) -> Result<()> {
    let declared = |field: Value| json!({"properties": {"new": field}});
    for (method, path, body, reason) in [
        (
            "PUT",
            "/t/_doc/9",
            json!({"who": "x"}),
            "Cannot write to a field alias",
        ),
        (
            "PUT",
            "/t/_doc/9",
            json!({"level": "info"}),
            "but got [info]",
        ),
        (
            "PUT",
            "/t/_mapping",
            declared(json!({"type": "alias", "path": "nothing"})),
            "an alias must refer to an existing field in the mappings.",
        ),
        (
            "PUT",
            "/t/_mapping",
            declared(json!({"type": "text", "copy_to": "who"})),
            "Cannot copy to a field alias [who]",
        ),
    ] {
        let answer = server.send(&Request::json(method, path, &body)).await?;
        ensure!(answer.status == 400, "{body}: {}", answer.shown());
        ensure!(
            answer.shown().contains(reason),
            "{body}: {}",
            answer.shown()
        );
    }
    Ok(())
}
