//! `_reindex` from a cluster elsewhere that has no room at times, at a rate at which its scroll must be kept for long.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::server::Start;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::asking::asked;

/// Answers of the other cluster, the last first, and the requests that it got: request line and body.
#[derive(Default)]
struct Elsewhere {
    answers: Mutex<Vec<(u16, Value)>>,
    requests: Mutex<Vec<(String, String)>>,
}

impl Elsewhere {
    /// Answers one request, and closes the connection.
    async fn answer(&self, connection: TcpStream) -> Result<()> {
        let mut connection = BufReader::new(connection);
        let mut head = String::new();
        let mut num_bytes = 0;
        while !head.ends_with("\r\n\r\n") {
            let begun = head.len();
            connection.read_line(&mut head).await?;
            let line = head[begun..].to_ascii_lowercase();
            if let Some(length) = line.strip_prefix("content-length:") {
                num_bytes = length.trim().parse()?;
            }
        }
        let mut body = vec![0; num_bytes];
        connection.read_exact(&mut body).await?;
        let line = head.lines().next().unwrap_or_default().to_owned();
        let body = String::from_utf8(body)?;
        self.requests.lock().push((line, body));
        let (status, answer) = self.answers.lock().pop().unwrap_or((200, json!({})));
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            answer.len()
        );
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(answer.as_bytes()).await?;
        connection.shutdown().await.context("closing")
    }
}

fn page(ids: &[&str]) -> Value {
    let hits = ids
        .iter()
        .map(|id| json!({"_index": "books", "_id": id, "_version": 1, "_source": {"id": id}}));
    json!({"_scroll_id": "scrolled", "timed_out": false, "_shards": {"failed": 0},
           "hits": {"total": {"value": 2}, "hits": hits.collect::<Vec<Value>>()}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_refused_is_asked_for_again_and_a_scroll_is_kept_for_the_rate() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let elsewhere = Arc::new(Elsewhere::default());
    let busy = (
        429,
        json!({"error": {"type": "es_rejected_execution_exception"}}),
    );
    let answers = [
        busy.clone(),
        (200, page(&["a"])),
        busy,
        (200, page(&["b"])),
        (200, page(&[])),
    ];
    elsewhere.answers.lock().extend(answers.into_iter().rev());
    let answering = Arc::clone(&elsewhere);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            answering.answer(connection).await.ok();
        }
    });
    let start = Start {
        arguments: vec![format!("--reindex-remote-whitelist={address}")],
        ..Start::on(&folder.path().join("data"))
    };
    let server: Server = start.spawn().await?;
    let remote = json!({"host": format!("http://{address}")});
    let body = json!({"source": {"remote": remote, "index": "books", "size": 10},
                      "dest": {"index": "copy"}});
    let path = "/_reindex?requests_per_second=100&refresh=true&scroll=1m";
    let report = asked(&server, ("POST", path), &body).await?;
    ensure!(
        report["created"] == 2 && report["retries"]["search"] == 2,
        "{report}"
    );
    let requests = elsewhere.requests.lock().clone();
    let (first, _) = &requests[0];
    // A page of ten at a hundred a second takes a tenth of a second.
    ensure!(
        first.starts_with("POST /books/_search?scroll=60100ms "),
        "{first}"
    );
    let (next, body) = &requests[2];
    let body: Value = serde_json::from_str(body)?;
    ensure!(next.starts_with("POST /_search/scroll "), "{next}");
    ensure!(
        body == json!({"scroll": "60100ms", "scroll_id": "scrolled"}),
        "{body}"
    );
    Ok(())
}
