//! Aliases of data streams over HTTP, and indices that come into data streams and leave them.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::{answered, asked};

/// Asks for what is refused with 400; returns the answer's text.
async fn refused(server: &Server, (method, path): (&str, &str), body: &Value) -> Result<String> {
    let answer = answered(server, (method, path), body).await?;
    ensure!(answer.status == 400, "{method} {path}: {}", answer.shown());
    Ok(answer.shown())
}

async fn with_template(data: &std::path::Path, data_stream: &Value) -> Result<Server> {
    let server: Server = Start::on(data).spawn().await?;
    let template = json!({"index_patterns": ["logs-*"], "data_stream": data_stream,
        "template": {"settings": {"number_of_shards": 2, "number_of_replicas": 0},
                     "mappings": {"properties": {"n": {"type": "long"}}},
                     "aliases": {"made": {}}}});
    asked(&server, ("PUT", "/_index_template/logs"), &template).await?;
    Ok(server)
}

fn document(n: u64) -> Value {
    json!({"@timestamp": format!("2026-01-0{n}T00:00:00Z"), "n": n})
}

async fn count(server: &Server, name: &str) -> Result<Value> {
    let path = format!("/{name}/_count");
    Ok(asked(server, ("GET", &path), &Value::Null).await?["count"].clone())
}

/// Returns the names of the indices of the data stream `logs-a`, the oldest first.
async fn indices(server: &Server) -> Result<Vec<String>> {
    let green = "/_cluster/health/logs-a?wait_for_status=green";
    asked(server, ("GET", green), &Value::Null).await?;
    let shown = asked(server, ("GET", "/_data_stream/logs-a"), &Value::Null).await?;
    ensure!(shown["data_streams"][0]["status"] == "GREEN", "{shown}");
    let indices = shown["data_streams"][0]["indices"].as_array().cloned();
    let names = indices.unwrap_or_default().into_iter();
    let names = names.filter_map(|index| index["index_name"].as_str().map(str::to_owned));
    Ok(names.collect())
}

/// Asks for aliases that point to both kinds, and for what aliases of data streams do not have.
async fn refuse_what_no_alias_can_be(server: &Server) -> Result<()> {
    asked(server, ("PUT", "/plain"), &json!({"aliases": {"own": {}}})).await?;
    let both = "the same name";
    for (request, body, expected) in [
        (("PUT", "/all/_doc/1"), document(1), "op_type of create"),
        (
            ("POST", "/all/_rollover"),
            Value::Null,
            "rollover the data stream itself",
        ),
        (("PUT", "/plain/_alias/all"), Value::Null, both),
        (("PUT", "/logs-a/_alias/own"), Value::Null, both),
        (("PUT", "/other"), json!({"aliases": {"all": {}}}), both),
        (
            ("PUT", "/logs-a/_alias/x"),
            json!({"routing": "1"}),
            "don't support",
        ),
        (
            ("POST", "/own/_rollover/logs-9"),
            Value::Null,
            "creates data streams only",
        ),
        (
            ("POST", "/logs-a/_rollover"),
            json!({"settings": {"number_of_shards": 1}}),
            "may not be specified when rolling over a data stream",
        ),
        (("POST", "/made/_doc"), document(1), "no write index"),
    ] {
        let answer = refused(server, request, &body).await?;
        ensure!(answer.contains(expected), "{request:?}: {answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_of_data_streams_is_searched_and_written_through() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_template(&folder.path().join("data"), &json!({})).await?;
    for (stream, n) in [("logs-a", 1), ("logs-b", 2)] {
        let path = format!("/{stream}/_doc?refresh=true");
        asked(&server, ("POST", &path), &document(n)).await?;
    }
    let actions = json!({"actions": [
        {"add": {"index": "logs-*", "alias": "all"}},
        {"add": {"index": "logs-a", "alias": "all", "is_write_index": true, "filter": {"range": {"n": {"lt": 5}}}}},
    ]});
    asked(&server, ("POST", "/_aliases"), &actions).await?;
    ensure!(count(&server, "all").await? == 2);
    ensure!(count(&server, "made").await? == 2, "as the template says");
    ensure!(
        count(&server, "_all").await? == 2,
        "all are data streams too"
    );
    asked(&server, ("POST", "/logs-a/_rollover"), &Value::Null).await?;
    let written = asked(&server, ("POST", "/all/_doc?refresh=true"), &document(3)).await?;
    let names = indices(&server).await?;
    ensure!(written["_index"] == names[1].as_str(), "{written}");
    asked(&server, ("POST", "/all/_doc?refresh=true"), &document(7)).await?;
    ensure!(
        count(&server, "all").await? == 3,
        "one does not match the filter"
    );
    let shown = asked(&server, ("GET", "/_alias/all,made"), &Value::Null).await?;
    let of_a =
        json!({"all": {"filter": {"range": {"n": {"lt": 5}}}, "is_write_index": true}, "made": {}});
    let expected =
        json!({"logs-a": {"aliases": of_a}, "logs-b": {"aliases": {"all": {}, "made": {}}}});
    ensure!(shown == expected, "{shown}");
    let table = asked(
        &server,
        ("GET", "/_cat/aliases/all?format=json&h=index"),
        &Value::Null,
    )
    .await?;
    ensure!(
        table == json!([{"index": "logs-a"}, {"index": "logs-b"}]),
        "{table}"
    );
    let resolved = asked(&server, ("GET", "/_resolve/index/all"), &Value::Null).await?;
    let reached = resolved["aliases"][0]["indices"].as_array().map(Vec::len);
    ensure!(reached == Some(3), "{resolved}");
    refuse_what_no_alias_can_be(&server).await?;
    asked(&server, ("DELETE", "/logs-*/_alias/all"), &Value::Null).await?;
    let shown = asked(&server, ("GET", "/logs-a/_alias"), &Value::Null).await?;
    ensure!(shown["logs-a"]["aliases"] == json!({"made": {}}), "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn indices_come_into_a_data_stream_and_leave_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_template(&folder.path().join("data"), &json!({})).await?;
    asked(&server, ("POST", "/logs-a/_doc?refresh=true"), &document(1)).await?;
    asked(&server, ("POST", "/logs-a/_rollover"), &Value::Null).await?;
    let timed = json!({"settings": {"number_of_replicas": 0},
                       "mappings": {"properties": {"@timestamp": {"type": "date"}}}});
    asked(&server, ("PUT", "/old"), &timed).await?;
    asked(&server, ("PUT", "/old/_doc/1?refresh=true"), &document(2)).await?;
    let before = indices(&server).await?;
    let action = |kind: &str, index: &str| json!({kind: {"data_stream": "logs-a", "index": index}});
    let modify = ("POST", "/_data_stream/_modify");
    // The second action fails, and so the first changes nothing.
    let actions = [
        action("add_backing_index", "old"),
        action("remove_backing_index", &before[1]),
    ];
    let answer = refused(&server, modify, &json!({"actions": actions})).await?;
    ensure!(answer.contains("because it is the write index"), "{answer}");
    ensure!(indices(&server).await? == before);
    let actions = [
        action("add_backing_index", "old"),
        action("remove_backing_index", &before[0]),
    ];
    asked(&server, modify, &json!({"actions": actions})).await?;
    ensure!(indices(&server).await? == ["old", &*before[1]]);
    ensure!(count(&server, "logs-a").await? == 1);
    let found = asked(&server, ("GET", "/logs-a/_search"), &Value::Null).await?;
    ensure!(found["hits"]["hits"][0]["_index"] == "old", "{found}");
    ensure!(
        count(&server, "made").await? == 1,
        "aliases come and go with it"
    );
    for settings in [
        json!({"mappings": {}}),
        json!({"mappings": {"properties": {"@timestamp": {"type": "long"}}}}),
    ] {
        asked(&server, ("PUT", "/wrong"), &settings).await?;
        let actions = [action("add_backing_index", "wrong")];
        let answer = refused(&server, modify, &json!({"actions": actions})).await?;
        ensure!(answer.contains("timestamp field [@timestamp]"), "{answer}");
        asked(&server, ("DELETE", "/wrong"), &Value::Null).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_routing_is_taken_where_the_template_allows_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_template(&folder.path().join("data"), &json!({})).await?;
    let path = "/logs-a/_doc?routing=r";
    for _ in ["not made", "made"] {
        let answer = refused(&server, ("POST", path), &document(1)).await?;
        ensure!(answer.contains("specifies a custom routing"), "{answer}");
        asked(&server, ("POST", "/logs-a/_doc"), &document(1)).await?;
    }
    let template = json!({"index_patterns": ["logs-*"],
                          "data_stream": {"allow_custom_routing": true}});
    asked(&server, ("PUT", "/_index_template/logs"), &template).await?;
    let written = asked(&server, ("POST", "/logs-b/_doc?routing=r"), &document(1)).await?;
    ensure!(written["result"] == "created", "{written}");
    let shown = asked(&server, ("GET", "/_data_stream/logs-*"), &Value::Null).await?;
    for (at, expected) in [(0, false), (1, true)] {
        let stream = &shown["data_streams"][at];
        ensure!(stream["allow_custom_routing"] == expected, "{shown}");
    }
    let answer = refused(&server, ("POST", "/logs-b/_doc"), &document(1)).await?;
    ensure!(answer.contains("routing_missing_exception"), "{answer}");
    // One that was there takes it over with its next index.
    asked(&server, ("POST", "/logs-a/_rollover"), &Value::Null).await?;
    let written = asked(&server, ("POST", "/logs-a/_doc?routing=r"), &document(1)).await?;
    ensure!(written["result"] == "created", "{written}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lifecycle_of_a_data_stream_is_explained() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_template(&folder.path().join("data"), &json!({})).await?;
    asked(&server, ("POST", "/logs-a/_doc?refresh=true"), &document(1)).await?;
    let lifecycle = json!({"data_retention": "7d"});
    asked(
        &server,
        ("PUT", "/_data_stream/logs-a/_lifecycle"),
        &lifecycle,
    )
    .await?;
    asked(&server, ("POST", "/logs-a/_rollover"), &Value::Null).await?;
    asked(&server, ("PUT", "/plain"), &Value::Null).await?;
    let path = "/logs-a,plain/_lifecycle/explain";
    let shown = asked(&server, ("GET", path), &Value::Null).await?;
    let names = indices(&server).await?;
    let of = |name: &str| shown["indices"][name].clone();
    let (old, new) = (of(&names[0]), of(&names[1]));
    ensure!(old["managed_by_lifecycle"] == true, "{shown}");
    ensure!(old["lifecycle"]["data_retention"] == "7d", "{shown}");
    ensure!(old["rollover_date_millis"].is_i64(), "{shown}");
    ensure!(old["generation_time"].is_string(), "{shown}");
    ensure!(
        new["generation_time"].is_null(),
        "it is written to: {shown}"
    );
    let plain = json!({"index": "plain", "managed_by_lifecycle": false});
    ensure!(of("plain") == plain, "{shown}");
    let path = "/_data_stream/logs-a/_stats?human";
    let stats = asked(&server, ("GET", path), &Value::Null).await?;
    ensure!(stats["total_store_size"].is_string(), "{stats}");
    ensure!(
        stats["data_streams"][0]["store_size"].is_string(),
        "{stats}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_use_of_a_deprecated_template_brings_a_warning() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let part = json!({"template": {}, "deprecated": true});
    asked(&server, ("PUT", "/_component_template/part"), &part).await?;
    let template = |pattern: &str, deprecated: bool, data_stream: Value| {
        json!({"index_patterns": [pattern], "composed_of": ["part"], "deprecated": deprecated,
               "data_stream": data_stream})
    };
    for (path, body, expected) in [
        (
            "/_index_template/new",
            template("new-*", false, Value::Null),
            Some("index template [new] uses deprecated component template [part]"),
        ),
        (
            "/_index_template/old",
            template("old-*", true, Value::Null),
            None,
        ),
        (
            "/_index_template/stream",
            template("stream-*", true, json!({})),
            None,
        ),
        ("/new-1", Value::Null, None),
        (
            "/old-1",
            Value::Null,
            Some("[old-1] is made by the deprecated index template [old]"),
        ),
        (
            "/_data_stream/stream-1",
            Value::Null,
            Some("[stream-1] is made by the deprecated index template [stream]"),
        ),
    ] {
        let request = match &body {
            Value::Null => Request::new("PUT", path),
            body => Request::json("PUT", path, body),
        };
        let answer = server.send(&request).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.shown());
        let warning = answer.header("warning");
        let is_told = match expected {
            None => warning.is_none(),
            Some(expected) => warning.is_some_and(|warning| warning.contains(expected)),
        };
        ensure!(is_told, "{path}: {warning:?}");
    }
    let shown = asked(&server, ("GET", "/_index_template/old"), &Value::Null).await?;
    let template = &shown["index_templates"][0]["index_template"];
    ensure!(template["deprecated"] == true, "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_makes_an_index_by_a_deprecated_template_brings_a_warning() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    for (path, pattern, data_stream) in [
        ("/_index_template/old", "old-*", Value::Null),
        ("/_index_template/stream", "stream-*", json!({})),
    ] {
        let template =
            json!({"index_patterns": [pattern], "deprecated": true, "data_stream": data_stream});
        asked(&server, ("PUT", path), &template).await?;
    }
    let document = json!({"@timestamp": "2024-01-01T00:00:00Z"});
    let lines = "{\"create\":{\"_index\":\"stream-1\"}}\n{\"@timestamp\":\"2024-01-01T00:00:00Z\"}\n\
                 {\"index\":{\"_index\":\"old-2\"}}\n{}\n{\"index\":{\"_index\":\"new-1\"}}\n{}\n";
    let bulk = || Request::ndjson("POST", "/_bulk", lines.to_owned());
    let by = |name: &str, template: &str| {
        format!("[{name}] is made by the deprecated index template [{template}]")
    };
    for (request, expected) in [
        (
            Request::json("POST", "/old-1/_doc", &document),
            Some(by("old-1", "old")),
        ),
        // It is there by now.
        (Request::json("POST", "/old-1/_doc", &document), None),
        (bulk(), Some(by("old-2", "old"))),
        (bulk(), None),
    ] {
        let answer = server.send(&request).await?;
        ensure!(answer.status < 300, "{}", answer.shown());
        let warning = answer.header("warning");
        let is_told = match &expected {
            None => warning.is_none(),
            Some(expected) => warning.is_some_and(|warning| warning.contains(expected)),
        };
        ensure!(is_told, "{expected:?}: {warning:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_and_a_reindex_warn_of_the_template_too() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let mappings = json!({"properties": {"n": {"type": "long"}}});
    let template = json!({"index_patterns": ["old-*"], "deprecated": true, "template": {"mappings": mappings}});
    asked(&server, ("PUT", "/_index_template/old"), &template).await?;
    for (path, n) in [("/good/_doc/1", json!(1)), ("/bad/_doc/1", json!("many"))] {
        let path = format!("{path}?refresh=true");
        asked(&server, ("PUT", &path), &json!({"n": n})).await?;
    }
    let put = |path: &str| Request::json("PUT", path, &json!({"n": "many"}));
    let update = |path: &str| Request::json("POST", path, &json!({"doc": {"n": 1}}));
    let copy = |from: &str, to: &str| {
        let body = json!({"source": {"index": from}, "dest": {"index": to}});
        Request::json("POST", "/_reindex", &body)
    };
    for (request, status, made) in [
        (put("/old-1/_doc/1"), 400, Some("old-1")),
        (put("/old-1/_doc/1"), 400, None),
        (update("/old-2/_update/1"), 404, Some("old-2")),
        (copy("good", "old-3"), 200, Some("old-3")),
        (copy("good", "old-3"), 200, None),
        (copy("bad", "old-4"), 400, Some("old-4")),
    ] {
        let answer = server.send(&request).await?;
        ensure!(answer.status == status, "{made:?}: {}", answer.shown());
        let warning = answer.header("warning").unwrap_or_default();
        let expected = made.map_or_else(String::new, |name| {
            format!("[{name}] is made by the deprecated index template [old]")
        });
        ensure!(warning.contains(&expected), "{made:?}: {warning}");
        ensure!(warning.is_empty() == made.is_none(), "{made:?}: {warning}");
    }
    Ok(())
}
