//! What tests of single requests ask alike.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::{Request, Response};
use serde_json::{Value, json};

/// Indices of the same documents, and how many shards each has.
pub(crate) const LAYOUTS: [(&str, u32); 2] = [("one", 1), ("four", 4)];

/// Returns what a request is answered, which may be no error.
pub(crate) async fn ok(server: &Server, method: &str, path: &str, body: &Value) -> Result<Value> {
    server.send(&Request::json(method, path, body)).await?.ok()
}

/// Returns the answer to a method and a path, with a body unless it is null.
pub(crate) async fn answered(
    server: &Server,
    (method, path): (&str, &str),
    body: &Value,
) -> Result<Response> {
    let request = match body {
        Value::Null => Request::new(method, path),
        body => Request::json(method, path, body),
    };
    server.send(&request).await
}

/// As [`answered`], which may be no error.
pub(crate) async fn asked(server: &Server, request: (&str, &str), body: &Value) -> Result<Value> {
    answered(server, request, body).await?.ok()
}

/// Returns what a search finds, which is the same in all layouts.
pub(crate) async fn answer(server: &Server, body: &Value) -> Result<Value> {
    let mut answers: Vec<Value> = Vec::new();
    for (index, _) in LAYOUTS {
        let mut answer = ok(server, "POST", &format!("/{index}/_search"), body).await?;
        ensure!(answer["_shards"]["failed"] == 0, "{answer}");
        let hits = answer["hits"]["hits"].as_array_mut().context("hits")?;
        for hit in hits.iter_mut() {
            hit.as_object_mut().context("a hit")?.shift_remove("_index");
        }
        answers.push(json!({"hits": answer["hits"], "aggs": answer["aggregations"]}));
    }
    ensure!(answers[0] == answers[1], "{body}: {answers:?}");
    Ok(answers.remove(0))
}
