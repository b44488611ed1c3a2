//! Bulk loads, and reading everything back.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use gleaner_datasets::Random;
use gleaner_testkit::http::{Request, Response};
use serde_json::{Value, json};

use crate::ledger::Ledger;

/// The index that is loaded.
pub(crate) const INDEX: &str = "load";
/// Writes of a bulk request.
pub(crate) const BATCH: u64 = 40;

/// One client with documents of its own, so that it knows the order of its writes.
pub(crate) struct Client {
    name: String,
    /// Writes of a request.
    batch: u64,
    random: Random,
    next: u64,
    /// Numbers of documents that were deleted.
    dead: BTreeSet<u64>,
    pub(crate) ledger: Ledger,
}

impl Client {
    /// Returns a client whose requests are of `batch` writes at most.
    pub(crate) fn new(number: u64, seed: u64, batch: u64) -> Self {
        Self {
            name: format!("c{number}"),
            batch,
            random: Random::stream(seed, number),
            next: 0,
            dead: BTreeSet::new(),
            ledger: Ledger::default(),
        }
    }

    /// Sends one bulk request of new documents, updates and deletes; returns how many were acknowledged.
    ///
    /// # Errors
    /// When no answer came: then its writes are pending. Wrong answers panic, they are the failure
    /// that the test is there to find.
    pub(crate) async fn send_bulk(&mut self, address: SocketAddr) -> Result<usize> {
        let (mut body, mut ids) = self.draw_bulk();
        while ids.is_empty() {
            (body, ids) = self.draw_bulk();
        }
        let path = format!("/{INDEX}/_bulk");
        let answer = Request::ndjson("POST", &path, body).send(address).await?;
        let answer = answer.ok().expect("a bulk request is accepted");
        let items = answer["items"].as_array().expect("a bulk answer has items");
        assert_eq!(items.len(), ids.len());
        for (id, item) in ids.iter().zip(items) {
            let (_, outcome) = item
                .as_object()
                .and_then(|o| o.iter().next())
                .expect("an outcome");
            assert_eq!(outcome["_id"], json!(id));
            let status = outcome["status"].as_u64().unwrap_or_default();
            assert!((200..300).contains(&status), "{outcome}");
            let version = outcome["_version"].as_u64().expect("a version");
            self.ledger
                .acknowledge(id, version)
                .expect("as acknowledged before");
        }
        Ok(ids.len())
    }

    fn draw_bulk(&mut self) -> (String, Vec<String>) {
        let mut body = String::new();
        let mut ids = Vec::new();
        let mut written = BTreeSet::new();
        for _ in 0..self.batch {
            let is_old = self.next > 0 && self.random.chance(1, 3);
            let number = if is_old {
                self.random.below(self.next)
            } else {
                self.next
            };
            let id = format!("{}-{number}", self.name);
            // Twice in one request would be fine for the server; the ledger keeps one write only.
            // What was deleted does not come back: its version would be forgotten some day.
            if self.dead.contains(&number) || !written.insert(number) {
                continue;
            }
            self.next = self.next.max(number + 1);
            let dies = is_old && number % 20 == 0 && self.ledger.is_live(&id);
            let value = (!dies).then(|| self.random.below(1 << 40));
            if value.is_none() {
                self.dead.insert(number);
            }
            self.ledger.send(&id, value);
            match value {
                Some(value) => {
                    let text = "what others scattered ".repeat(1 + (value % 30) as usize);
                    let source = json!({"value": value, "text": text});
                    body.push_str(&format!("{{\"index\":{{\"_id\":\"{id}\"}}}}\n{source}\n"));
                }
                None => body.push_str(&format!("{{\"delete\":{{\"_id\":\"{id}\"}}}}\n")),
            }
            ids.push(id);
        }
        (body, ids)
    }
}

/// Makes the index, of several shards.
pub(crate) async fn create_index(address: SocketAddr) -> Result<()> {
    let body = json!({"settings": {"number_of_shards": 3}});
    let request = Request::json("PUT", &format!("/{INDEX}"), &body);
    request.send(address).await?.ok()?;
    Ok(())
}

/// Returns every document there is, with version, by a scroll; `_count` must agree.
pub(crate) async fn read_all(address: SocketAddr) -> Result<Vec<Value>> {
    send(address, "POST", &format!("/{INDEX}/_refresh"), None)
        .await?
        .ok()?;
    let body = json!({"size": 1_000, "version": true, "sort": ["_doc"]});
    let path = format!("/{INDEX}/_search?scroll=1m");
    let mut page = send(address, "POST", &path, Some(&body)).await?.ok()?;
    let mut hits = Vec::new();
    loop {
        ensure!(page["_shards"]["failed"] == 0, "{}", page["_shards"]);
        let found = page["hits"]["hits"].as_array().context("a page has hits")?;
        if found.is_empty() {
            break;
        }
        hits.extend(found.iter().cloned());
        let body = json!({"scroll": "1m", "scroll_id": page["_scroll_id"]});
        page = send(address, "POST", "/_search/scroll", Some(&body))
            .await?
            .ok()?;
    }
    let count = send(address, "GET", &format!("/{INDEX}/_count"), None)
        .await?
        .ok()?;
    ensure!(
        count["count"] == json!(hits.len()),
        "{} hits, {count}",
        hits.len()
    );
    Ok(hits)
}

async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Response> {
    let request = match body {
        Some(body) => Request::json(method, path, body),
        None => Request::new(method, path),
    };
    request.send(address).await
}
