//! Limits on queries, and which indices a write makes, are settings of the cluster, and hold from the next request on.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

/// Changes a setting; `null` takes it back.
async fn set(server: &Server, key: &str, value: &Value) -> Result<()> {
    let body = json!({"persistent": {key: value}});
    let put = Request::json("PUT", "/_cluster/settings", &body);
    server.send(&put).await?.ok().map(|_| ())
}

/// Returns how many documents a body finds, or the reason why it was refused.
async fn found(server: &Server, body: &Value) -> Result<std::result::Result<u64, String>> {
    let request = Request::json("POST", "/notes/_search", body);
    let answer = server.send(&request).await?;
    if answer.status == 400 {
        return Ok(Err(answer.json()?["error"]["root_cause"].to_string()));
    }
    let total = answer.ok()?["hits"]["total"]["value"].clone();
    Ok(Ok(total.as_u64().unwrap_or_default()))
}

/// Queries, groups of a query string and aggregations, each of `levels` levels.
fn nested(levels: usize) -> [Value; 4] {
    let wrapped =
        |inner: Value, wrap: fn(Value) -> Value| (1..levels).fold(inner, |inner, _| wrap(inner));
    let term = json!({"match": {"text": "gleaned"}});
    let groups = format!("{}gleaned{}", "(".repeat(levels), ")".repeat(levels));
    let by_text = json!({"filter": {"match": {"text": "gleaned"}}});
    [
        json!({"query": wrapped(term.clone(), |inner| json!({"bool": {"must": inner}}))}),
        json!({"query": wrapped(term, |inner| json!({"constant_score": {"filter": inner}}))}),
        json!({"query": {"query_string": {"query": groups}}}),
        json!({"aggs": {"a": wrapped(by_text, |inner| json!({
            "filter": {"match_all": {}}, "aggs": {"a": inner}
        }))}}),
    ]
}

async fn notes(folder: &tempfile::TempDir) -> Result<Server> {
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    for (id, text) in [(1, "gleaned after the reapers"), (2, "glean glean")] {
        let path = format!("/notes/_doc/{id}?refresh=true");
        let put = Request::json("PUT", &path, &json!({"text": text}));
        server.send(&put).await?.ok()?;
    }
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deepest_queries_that_can_be_allowed_are_answered() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = notes(&folder).await?;
    const DEPTH: &str = "indices.query.bool.max_nested_depth";
    for most in [30, 2, 50] {
        set(&server, DEPTH, &json!(most)).await?;
        for (within, beyond) in nested(most).into_iter().zip(nested(most + 1)) {
            let num_found = found(&server, &within).await?;
            ensure!(num_found.is_ok_and(|n| n > 0), "{most} levels of {within}");
            let refused = found(&server, &beyond).await?;
            let reason = refused.err().unwrap_or_default();
            // 31 levels of aggregations are more JSON than a body may have, which is told first.
            let is_long = most == 30 && beyond.get("aggs").is_some();
            let told = match is_long {
                true => "document depth exceeds the maximum of [64]".to_owned(),
                false => format!("[{most}]"),
            };
            let is_named = reason.contains("depth") && reason.contains(&told);
            ensure!(is_named, "{reason}: {beyond}");
        }
    }
    let refused = set(&server, DEPTH, &json!(51)).await;
    ensure!(refused.is_err(), "51 levels have no room");
    set(&server, DEPTH, &Value::Null).await?;
    let again = found(&server, &nested(31)[0]).await?;
    ensure!(again.is_err(), "the default is 30 levels");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clauses_expansions_and_query_strings_are_bounded_by_settings() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = notes(&folder).await?;
    let either = |n: usize| {
        let terms: Vec<Value> = (0..n)
            .map(|_| json!({"match": {"text": "glean"}}))
            .collect();
        json!({"query": {"bool": {"should": terms}}})
    };
    let key = "indices.query.bool.max_clause_count";
    ensure!(found(&server, &either(1_100)).await?.is_err());
    set(&server, key, &json!(1_200)).await?;
    ensure!(found(&server, &either(1_100)).await? == Ok(1));
    set(&server, key, &json!(3)).await?;
    let refused = found(&server, &either(3)).await?.err();
    let reason = refused.unwrap_or_default();
    ensure!(reason.contains("maxClauseCount is set to 3"), "{reason}");

    let fuzzy = json!({"query": {"fuzzy": {"text": {"value": "gleanee", "fuzziness": 2}}}});
    ensure!(found(&server, &fuzzy).await? == Ok(2));
    set(&server, "indices.query.max_expansions", &json!(1)).await?;
    ensure!(found(&server, &fuzzy).await? == Ok(1));

    let long = json!({"query": {"query_string": {"query": "glean glean glean"}}});
    set(&server, key, &Value::Null).await?;
    ensure!(found(&server, &long).await?.is_ok());
    set(&server, "search.query.max_query_string_length", &json!(10)).await?;
    let reason = found(&server, &long).await?.err().unwrap_or_default();
    ensure!(
        reason.contains("Query string length exceeds max allowed length [10]"),
        "{reason}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_may_not_make_an_index_is_told_why() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = notes(&folder).await?;
    const AUTO: &str = "action.auto_create_index";
    let template = json!({"index_patterns": ["foo*", "fox"], "allow_auto_create": false});
    let template = Request::json("PUT", "/_index_template/foo", &template);
    server.send(&template).await?.ok()?;
    for (value, name, why) in [
        (
            Value::Null,
            "foo1",
            "composable template [foo*, fox] forbids index auto creation",
        ),
        (
            json!("-noauto*,+auto*"),
            "noauto1",
            "[action.auto_create_index] contains [-noauto*] which forbids automatic creation of the index",
        ),
        (
            json!("-noauto*,+auto*"),
            "other",
            "[action.auto_create_index] ([-noauto*,+auto*]) doesn't match",
        ),
        (
            json!(false),
            "other",
            "[action.auto_create_index] is [false]",
        ),
    ] {
        set(&server, AUTO, &value).await?;
        let put = Request::json("PUT", &format!("/{name}/_doc/1"), &json!({"n": 1}));
        let answer = server.send(&put).await?;
        ensure!(answer.status == 404, "{}", answer.shown());
        let shown = answer.json()?;
        let error = &shown["error"];
        ensure!(error["type"] == "index_not_found_exception", "{error}");
        ensure!(error["index"] == name, "{error}");
        let reason = format!("no such index [{name}] and {why}");
        ensure!(error["reason"] == reason.as_str(), "{error}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_makes_the_indices_that_the_cluster_lets_it_make() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = notes(&folder).await?;
    const AUTO: &str = "action.auto_create_index";
    let template = json!({"index_patterns": ["own-*"], "allow_auto_create": true});
    let template = Request::json("PUT", "/_index_template/own", &template);
    server.send(&template).await?.ok()?;
    let status = async |name: &str| {
        let put = Request::json("PUT", &format!("/{name}/_doc/1"), &json!({"n": 1}));
        anyhow::Ok(server.send(&put).await?.status)
    };
    set(&server, AUTO, &json!("-logs-old-*,+logs-*")).await?;
    ensure!(status("logs-old-1").await? == 404 && status("logs-1").await? == 201);
    ensure!(status("own-1").await? == 201, "its template says so");
    let bulk = "{\"index\":{\"_index\":\"x\"}}\n{\"n\":1}\n{\"index\":{\"_index\":\"logs-2\"}}\n{\"n\":1}\n";
    let bulk = Request::ndjson("POST", "/_bulk", bulk);
    let items = server.send(&bulk).await?.ok()?["items"].clone();
    let told = [0, 1].map(|at: usize| items[at]["index"]["status"].clone());
    ensure!(told == [json!(404), json!(201)], "{items}");
    set(&server, AUTO, &json!(false)).await?;
    ensure!(status("logs-3").await? == 404);
    ensure!(status("notes").await? == 200, "it is there");
    set(&server, AUTO, &Value::Null).await?;
    ensure!(status("logs-3").await? == 201, "as the node says");
    let bad = json!({"transient": {AUTO: "a,,b"}});
    let refused = server
        .send(&Request::json("PUT", "/_cluster/settings", &bad))
        .await?;
    ensure!(refused.status == 400, "{}", refused.shown());
    let unknown = json!({"transient": {"nope.setting": 1}});
    let refused = server
        .send(&Request::json("PUT", "/_cluster/settings", &unknown))
        .await?;
    ensure!(
        refused
            .shown()
            .contains("transient setting [nope.setting], not recognized"),
        "{}",
        refused.shown()
    );
    Ok(())
}
