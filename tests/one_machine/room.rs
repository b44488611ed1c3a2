//! More writes than there is room for, over HTTP: each is written, or refused with the word when to
//! come again.

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use gleaner_testkit::Server;
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

/// Bulks that are sent at the same time, each of one document of a kilobyte.
const NUM_BULKS: usize = 64;

fn bulk(n: usize) -> Request {
    let action = json!({"index": {"_id": n.to_string()}});
    let document = json!({"text": "word ".repeat(200)});
    Request::ndjson("POST", "/notes/_bulk", format!("{action}\n{document}\n"))
}

/// Returns whether a bulk's only item was refused for want of room; it must say so in full then.
fn is_refused(answer: &Response) -> Result<bool> {
    let body: Value = serde_json::from_slice(&answer.body)?;
    let item = &body["items"][0]["index"];
    if item["status"] == 201 {
        return Ok(false);
    }
    ensure!(item["status"] == 429, "{body}");
    ensure!(
        item["error"]["type"] == "es_rejected_execution_exception",
        "{body}"
    );
    ensure!(item["error"]["code"] == "write_queue_full", "{body}");
    let mut headers = answer.headers.iter();
    let asked = headers.find(|(name, _)| name == "retry-after");
    ensure!(
        asked.is_some_and(|(_, value)| value == "1"),
        "{:?}",
        answer.headers
    );
    Ok(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_beyond_the_room_are_told_when_to_come_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut start = Start::on(&folder.path().join("data"));
    start.arguments = ["--write-queue", "2kb"].map(str::to_owned).to_vec();
    let server: Server = start.spawn().await?;
    let one_shard = json!({"settings": {"number_of_shards": 1}});
    server
        .send(&Request::json("PUT", "/notes", &one_shard))
        .await?
        .ok()?;
    let answers = (0..NUM_BULKS).map(|n| {
        let server = &server;
        async move { server.send(&bulk(n)).await }
    });
    let mut refused = Vec::new();
    for (n, answer) in join_all(answers).await.into_iter().enumerate() {
        if is_refused(&answer?)? {
            refused.push(n);
        }
    }
    ensure!(
        !refused.is_empty(),
        "{NUM_BULKS} bulks at once fit into the room of one"
    );
    for n in refused {
        ensure!(
            !is_refused(&server.send(&bulk(n)).await?)?,
            "{n} was refused again"
        );
    }
    server
        .send(&Request::new("POST", "/notes/_refresh"))
        .await?
        .ok()?;
    let count = server
        .send(&Request::new("GET", "/notes/_count"))
        .await?
        .ok()?;
    let count = count["count"].as_u64().context("a number")?;
    ensure!(count == NUM_BULKS as u64, "{count} documents");
    Ok(())
}
