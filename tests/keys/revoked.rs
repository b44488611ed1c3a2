//! A key that is revoked while the body of its request comes: what came before is written, what comes after is not.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::tenants::Site;

/// More lines than a chunk of a bulk has items.
const NUM_LINES: usize = 1_500;

/// Longest wait for what a test wants.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request whose body is sent in two parts.
struct Halves {
    stream: TcpStream,
    rest: String,
}

impl Halves {
    /// Sends the head and the first part.
    async fn begin(
        site: &Site,
        key: &str,
        path: &str,
        (first, rest): (&str, String),
    ) -> Result<Self> {
        let mut stream = TcpStream::connect(site.address()).await?;
        let length = first.len() + rest.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: ApiKey {key}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(first.as_bytes()).await?;
        stream.flush().await?;
        Ok(Self { stream, rest })
    }

    /// Sends the rest; returns the answer, head and body.
    async fn end(mut self) -> Result<String> {
        // The server may have answered, and closed.
        drop(self.stream.write_all(self.rest.as_bytes()).await);
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, self.stream.read_to_end(&mut answer)).await;
        drop(read.context("no answer")?);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

fn lines(from: usize) -> String {
    let line = |id| format!("{{\"index\":{{\"_id\":\"{id}\"}}}}\n{{\"customer\":\"kim\"}}\n");
    (from..from + NUM_LINES).map(line).collect()
}

/// Makes a key for all of `orders`; returns its id and itself.
async fn writer(site: &Site) -> Result<(String, String)> {
    let grant = json!({"names": ["orders"], "privileges": ["all"]});
    let body = json!({"name": "writer", "role_descriptors": {"r": {"indices": [grant]}}});
    let made = site.admin("POST", "/_security/api_key", &body).await?;
    let text = |name: &str| made[name].as_str().map(str::to_owned);
    let key = text("id").zip(text("encoded"));
    key.context("an id and a key")
}

async fn is_there(site: &Site, key: &str, id: usize) -> Result<bool> {
    let path = format!("/orders/_doc/{id}");
    let (status, _) = site.asked(key, ("GET", &path), &Value::Null).await?;
    Ok(status == 200)
}

async fn until_there(site: &Site, key: &str, id: usize) -> Result<()> {
    let there = async {
        while !is_there(site, key, id).await? {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    timeout(PATIENCE, there)
        .await
        .context("the first part is not written")?
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_goes_on_as_long_as_its_key_is_valid() -> Result<()> {
    let site = Site::start(0).await?;
    let (_, reader) = writer(&site).await?;
    for (round, is_revoked) in [(1, false), (2, true)] {
        let (id, key) = writer(&site).await?;
        let (first, second) = (10_000 * round, 10_000 * round + 5_000);
        let body = (&*lines(first), lines(second));
        let halves = Halves::begin(&site, &key, "/orders/_bulk", body).await?;
        until_there(&site, &reader, first).await?;
        if is_revoked {
            let ids = json!({"ids": [id]});
            site.admin("DELETE", "/_security/api_key", &ids).await?;
        }
        let answer = halves.end().await?;
        let expected = if is_revoked { " 401 " } else { " 200 " };
        ensure!(answer.contains(expected), "{answer:.300}");
        for at in [second, second + NUM_LINES - 1] {
            ensure!(
                is_there(&site, &reader, at).await? != is_revoked,
                "document {at}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_comes_slowly_is_not_written_by_a_key_that_ended() -> Result<()> {
    let site = Site::start(0).await?;
    let (_, reader) = writer(&site).await?;
    let (id, key) = writer(&site).await?;
    let body = ("{\"customer\":", "\"kim\"}".to_owned());
    let halves = Halves::begin(&site, &key, "/orders/_create/77?pretty", body).await?;
    let ids = json!({"ids": [id]});
    site.admin("DELETE", "/_security/api_key", &ids).await?;
    let answer = halves.end().await?;
    ensure!(answer.contains(" 401 "), "{answer:.300}");
    ensure!(!is_there(&site, &reader, 77).await?, "it is written");
    Ok(())
}
