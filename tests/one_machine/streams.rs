//! Data streams and rollover over HTTP: documents appended, indices replaced, names resolved.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::{answered, asked};

/// Asks for what is refused; returns the answer's text.
async fn refused(server: &Server, (method, path): (&str, &str), body: &Value) -> Result<String> {
    let answer = answered(server, (method, path), body).await?;
    ensure!(
        (400..500).contains(&answer.status),
        "{method} {path}: {}",
        answer.shown()
    );
    Ok(answer.shown())
}

async fn with_template(data: &std::path::Path) -> Result<Server> {
    let server: Server = Start::on(data).spawn().await?;
    let template = json!({"index_patterns": ["logs-*"], "data_stream": {},
        "template": {"settings": {"number_of_shards": 2},
                     "mappings": {"properties": {"n": {"type": "long"}}}}});
    asked(&server, ("PUT", "/_index_template/logs"), &template).await?;
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_appended_and_found_through_all_indices_of_a_stream() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = with_template(&data).await?;
    let document = |n: u64| json!({"@timestamp": format!("2026-01-0{n}T00:00:00Z"), "n": n});
    let first = asked(&server, ("POST", "/logs-a/_doc?refresh=true"), &document(1)).await?;
    let backing = first["_index"].as_str().unwrap_or_default().to_owned();
    ensure!(
        backing.starts_with(".ds-logs-a-") && backing.ends_with("-000001"),
        "{first}"
    );
    let rolled = asked(&server, ("POST", "/logs-a/_rollover"), &Value::Null).await?;
    ensure!(
        rolled["rolled_over"] == true && rolled["old_index"] == backing.as_str(),
        "{rolled}"
    );
    let create = "/logs-a/_create/x?refresh=true";
    let second = asked(&server, ("PUT", create), &document(2)).await?;
    ensure!(second["_index"] == rolled["new_index"], "{second}");
    server.stop().await?;
    let server: Server = Start::on(&data).spawn().await?;
    for path in ["/logs-a/_count", "/logs-*/_count"] {
        let counted = asked(&server, ("GET", path), &Value::Null).await?;
        ensure!(counted["count"] == 2, "{path}: {counted}");
    }
    let shown = asked(&server, ("GET", "/_data_stream/logs-*"), &Value::Null).await?;
    let stream = &shown["data_streams"][0];
    ensure!(
        stream["generation"] == 2 && stream["template"] == "logs",
        "{shown}"
    );
    ensure!(
        stream["indices"].as_array().map(Vec::len) == Some(2),
        "{shown}"
    );
    let stats = asked(
        &server,
        ("GET", "/_data_stream/logs-a/_stats"),
        &Value::Null,
    )
    .await?;
    ensure!(stats["backing_indices"] == 2, "{stats}");
    ensure!(
        stats["data_streams"][0]["maximum_timestamp"] == 1_767_312_000_000_i64,
        "{stats}"
    );
    let aliases = asked(&server, ("GET", "/_alias"), &Value::Null).await?;
    ensure!(
        !aliases.to_string().contains("\"logs-a\""),
        "a stream is no alias: {aliases}"
    );
    let resolved = asked(&server, ("GET", "/_resolve/index/logs*"), &Value::Null).await?;
    ensure!(
        resolved["data_streams"][0]["name"] == "logs-a",
        "{resolved}"
    );
    ensure!(resolved["indices"] == json!([]), "{resolved}");
    asked(&server, ("DELETE", "/_data_stream/logs-a"), &Value::Null).await?;
    let gone = refused(&server, ("GET", &format!("/{backing}")), &Value::Null).await?;
    ensure!(gone.contains("index_not_found_exception"), "{gone}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_break_a_stream_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_template(&folder.path().join("data")).await?;
    asked(&server, ("PUT", "/_data_stream/logs-b"), &Value::Null).await?;
    let shown = asked(&server, ("GET", "/_data_stream/logs-b"), &Value::Null).await?;
    let status = &shown["data_streams"][0]["status"];
    ensure!(*status != "RED", "its first index serves: {shown}");
    let backing = &shown["data_streams"][0]["indices"][0]["index_name"];
    let backing = format!("/{}", backing.as_str().unwrap_or_default());
    let timed = json!({"@timestamp": "2026-01-01"});
    let add = json!({"actions": [{"add": {"index": "other", "alias": "logs-b"}}]});
    let other = json!({"mappings": {}});
    asked(&server, ("PUT", "/other"), &other).await?;
    for (request, body, expected) in [
        (
            ("PUT", "/logs-b/_doc/1"),
            timed.clone(),
            "op_type of create",
        ),
        (
            ("POST", "/logs-b/_doc"),
            json!({"n": 1}),
            "[@timestamp] is missing",
        ),
        (
            ("DELETE", "/logs-b/_doc/1"),
            Value::Null,
            "op_type of create",
        ),
        (
            ("PUT", "/_data_stream/logs-b"),
            Value::Null,
            "already exists",
        ),
        (
            ("PUT", "/_data_stream/none"),
            Value::Null,
            "no matching index template",
        ),
        (
            ("DELETE", &*backing),
            Value::Null,
            "is the write index for data stream",
        ),
        (
            ("DELETE", "/_index_template/logs"),
            Value::Null,
            "in use by a data streams",
        ),
        (("POST", "/_aliases"), add, "is that of a data stream"),
        (
            ("PUT", &*format!("{backing}/_doc/9")),
            timed.clone(),
            "op_type=index and no if_primary_term and if_seq_no set targeting backing indices is disallowed",
        ),
        (
            ("PUT", &*format!("{backing}/_create/9")),
            timed.clone(),
            "op_type=create targeting backing indices is disallowed",
        ),
        (
            ("DELETE", "/_data_stream/none"),
            Value::Null,
            "no such index [none]",
        ),
    ] {
        let answer = refused(&server, request, &body).await?;
        ensure!(answer.contains(expected), "{request:?}: {answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_a_stream_is_changed_by_the_name_of_its_index() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_template(&folder.path().join("data")).await?;
    let timed = json!({"@timestamp": ["2026-01-01"], "n": 1});
    let written = asked(&server, ("POST", "/logs-a/_doc?refresh=true"), &timed).await?;
    let [index, id] = ["_index", "_id"].map(|key| written[key].as_str().unwrap_or_default());
    let path = format!("/{index}/_doc/{id}");
    let known = format!(
        "{path}?if_seq_no={}&if_primary_term={}",
        written["_seq_no"], written["_primary_term"]
    );
    let answer = refused(&server, ("PUT", &known), &json!({"n": 2})).await?;
    ensure!(answer.contains("[@timestamp] is missing"), "{answer}");
    let changed = asked(&server, ("PUT", &known), &timed).await?;
    ensure!(changed["result"] == "updated", "{changed}");
    let update = format!("/{index}/_update/{id}");
    asked(&server, ("POST", &update), &json!({"doc": {"n": 3}})).await?;
    let by_query = "/logs-a/_update_by_query?refresh=true";
    asked(&server, ("POST", "/logs-a/_refresh"), &Value::Null).await?;
    let done = asked(&server, ("POST", by_query), &Value::Null).await?;
    ensure!(done["updated"] == 1, "{done}");
    let deleted = asked(&server, ("DELETE", &path), &Value::Null).await?;
    ensure!(deleted["result"] == "deleted", "{deleted}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_a_stream_is_one_or_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_template(&folder.path().join("data")).await?;
    asked(&server, ("PUT", "/plain"), &json!({"mappings": {}})).await?;
    let timed = json!({"@timestamp": "2026-01-01"});
    for index in ["x", "plain"] {
        let path = format!("/{index}/_doc?require_data_stream=true");
        let answer = refused(&server, ("POST", &path), &timed).await?;
        let expected = format!(
            "no such index [{index}] and [require_data_stream] request flag is [true] and [{index}] is not a data \
             stream"
        );
        ensure!(
            answer.contains(&expected) && answer.contains("index_not_found_exception"),
            "{answer}"
        );
    }
    let path = "/logs-c/_doc?require_data_stream=true";
    for _ in ["made", "there"] {
        asked(&server, ("POST", path), &timed).await?;
    }
    let document = "{\"@timestamp\":\"2026-01-01\"}\n";
    let lines = [
        r#"{"create":{"_index":"x"}}"#,
        r#"{"create":{"_index":"logs-c"}}"#,
        r#"{"create":{"_index":"y","require_data_stream":false}}"#,
    ];
    let body = lines.map(|line| format!("{line}\n{document}")).concat();
    let bulk = Request::ndjson("POST", "/_bulk?require_data_stream=true", body);
    let items = server.send(&bulk).await?.ok()?["items"].clone();
    let told = [0, 1, 2].map(|at: usize| items[at]["create"]["status"].clone());
    ensure!(told == [json!(404), json!(201), json!(201)], "{items}");
    let line = r#"{"create":{"_index":"x","require_data_stream":true}}"#;
    let bulk = Request::ndjson("POST", "/_bulk", format!("{line}\n{document}"));
    let items = server.send(&bulk).await?.ok()?["items"].clone();
    ensure!(items[0]["create"]["status"] == 404, "{items}");
    // Nor is a name for streams that of an index.
    let answer = refused(&server, ("PUT", "/logs-9"), &Value::Null).await?;
    let expected = "cannot create index with name [logs-9], because it matches with template [logs] that creates data \
                    streams only, use create data stream api instead";
    ensure!(answer.contains(expected), "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_goes_on_with_the_next_index_when_it_is_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let aliases = json!({"aliases": {"read": {}, "write": {"is_write_index": true}}});
    asked(&server, ("PUT", "/log-1"), &aliases).await?;
    asked(
        &server,
        ("PUT", "/write/_doc/1?refresh=true"),
        &json!({"n": 1}),
    )
    .await?;
    let due = |docs: u64| json!({"conditions": {"max_docs": docs, "max_age": "7d"}});
    let not_yet = asked(&server, ("POST", "/write/_rollover"), &due(2)).await?;
    ensure!(not_yet["rolled_over"] == false, "{not_yet}");
    ensure!(not_yet["conditions"]["[max_docs: 2]"] == false, "{not_yet}");
    let dry = asked(&server, ("POST", "/write/_rollover?dry_run=true"), &due(1)).await?;
    ensure!(
        dry["new_index"] == "log-000002" && dry["rolled_over"] == false,
        "{dry}"
    );
    // Two who ask at the same time replace it once.
    let body = due(1);
    let (one, other) = tokio::join!(
        asked(&server, ("POST", "/write/_rollover"), &body),
        asked(&server, ("POST", "/write/_rollover"), &body)
    );
    let (one, other) = (one?, other?);
    let num_rolled = [&one, &other]
        .iter()
        .filter(|done| done["rolled_over"] == true)
        .count();
    ensure!(num_rolled == 1, "{one} {other}");
    let put = asked(
        &server,
        ("PUT", "/write/_doc/2?refresh=true"),
        &json!({"n": 2}),
    )
    .await?;
    ensure!(put["_index"] == "log-000002", "{put}");
    let found = asked(&server, ("GET", "/write/_count"), &Value::Null).await?;
    ensure!(found["count"] == 2, "both are searched: {found}");
    // An alias that does not say which index is written to moves whole.
    let moved = asked(&server, ("POST", "/read/_rollover/log-x"), &Value::Null).await?;
    ensure!(
        moved["old_index"] == "log-1" && moved["new_index"] == "log-x",
        "{moved}"
    );
    for (request, expected) in [
        (("POST", "/log-1/_rollover"), "concrete index"),
        (("POST", "/none/_rollover"), "[none] does not exist"),
        (("POST", "/read/_rollover"), "does not match pattern"),
        (("POST", "/read/_rollover/log-1"), "already exists"),
    ] {
        let answer = refused(&server, request, &Value::Null).await?;
        ensure!(answer.contains(expected), "{request:?}: {answer}");
    }
    Ok(())
}
