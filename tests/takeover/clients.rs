//! Clients that write documents, each under an id of its own and once, and know what became of each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, PATIENCE, POLL};

const NUM_CLIENTS: usize = 4;

/// Documents of a bulk.
const BULK: usize = 20;

/// How long a client waits after a bulk, and when nothing was acknowledged.
const PAUSE: Duration = Duration::from_millis(100);

/// Documents that are asked for at once.
const PAGE: usize = 500;

/// What became of documents.
#[derive(Default)]
struct Books {
    acknowledged: BTreeSet<String>,
    /// Nobody knows, with what was answered.
    unknown: BTreeMap<String, String>,
    /// Surely not written.
    refused: BTreeSet<String>,
    /// Said to be there already, though each is written once: a root has sent it twice.
    repeated: BTreeSet<String>,
    /// By client.
    num_acknowledged: Vec<usize>,
}

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// Clients that write one document at a time.
    Single,
    /// As many more that write bulks.
    WithBulks,
}

/// The clients, as they write.
pub(crate) struct Clients {
    books: Arc<Mutex<Books>>,
    is_over: Arc<AtomicBool>,
    writing: JoinSet<()>,
}

impl Clients {
    /// Has clients write single documents at a root.
    pub(crate) fn start(root: SocketAddr) -> Self {
        Self::start_with(root, Load::Single)
    }

    /// Has clients write at a root.
    pub(crate) fn start_with(root: SocketAddr, load: Load) -> Self {
        let (books, is_over) = (Arc::<Mutex<Books>>::default(), Arc::<AtomicBool>::default());
        let num_bulks = match load {
            Load::Single => 0,
            Load::WithBulks => NUM_CLIENTS,
        };
        books.lock().num_acknowledged = vec![0; NUM_CLIENTS + num_bulks];
        let mut writing = JoinSet::new();
        for client in 0..NUM_CLIENTS + num_bulks {
            let (books, is_over) = (Arc::clone(&books), Arc::clone(&is_over));
            writing.spawn(async move {
                for n in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let before = books.lock().num_acknowledged[client];
                    match client < NUM_CLIENTS {
                        true => write(root, client, n, &books).await,
                        false => write_bulk(root, client, n, &books).await,
                    }
                    let is_good = books.lock().num_acknowledged[client] > before;
                    let pause = match is_good && client < NUM_CLIENTS {
                        true => Duration::from_millis(2),
                        false => PAUSE,
                    };
                    sleep(pause).await;
                }
            });
        }
        Self {
            books,
            is_over,
            writing,
        }
    }

    /// Waits until so many documents are acknowledged.
    pub(crate) async fn until_acknowledged(&self, num: usize) -> Result<()> {
        self.until(|books| books.acknowledged.len() >= num).await
    }

    /// Waits until each client has had some more documents acknowledged from now on, on whichever shard they are.
    pub(crate) async fn until_all_acknowledge(&self) -> Result<()> {
        let before = self.books.lock().num_acknowledged.clone();
        self.until(|books| {
            let mut each = books.num_acknowledged.iter().zip(&before);
            each.all(|(now, before)| *now >= *before + 20)
        })
        .await
    }

    async fn until(&self, is_reached: impl Fn(&Books) -> bool) -> Result<()> {
        let began = Instant::now();
        while !is_reached(&self.books.lock()) {
            let told = || {
                let books = self.books.lock();
                let num = (books.acknowledged.len(), books.unknown.len());
                format!("no more writes are acknowledged: {num:?}")
            };
            ensure!(began.elapsed() < PATIENCE, "{}", told());
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Returns how many documents are acknowledged.
    pub(crate) fn num_acknowledged(&self) -> usize {
        self.books.lock().acknowledged.len()
    }

    /// Returns how many documents nobody knows of.
    pub(crate) fn num_unknown(&self) -> usize {
        self.books.lock().unknown.len()
    }

    /// Refuses writes of which nobody knows.
    pub(crate) fn check_certain(&self) -> Result<()> {
        let unknown = &self.books.lock().unknown;
        ensure!(unknown.is_empty(), "nobody knows of {unknown:#?}");
        Ok(())
    }

    /// Ends the clients, and holds what is there against what they were told.
    pub(crate) async fn end(mut self, cluster: &Cluster) -> Result<()> {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.writing.join_next().await {
            ended?;
        }
        let books = std::mem::take(&mut *self.books.lock());
        cluster.until_refreshed().await?;
        let there = |ids: &BTreeSet<String>| found(cluster, ids.iter().cloned().collect());
        let acknowledged = there(&books.acknowledged).await?;
        let lost = books.acknowledged.len() - acknowledged;
        ensure!(
            lost == 0,
            "{lost} acknowledged documents of {} are lost",
            books.acknowledged.len()
        );
        let repeated = &books.repeated;
        ensure!(repeated.is_empty(), "written a second time: {repeated:?}");
        let phantoms = there(&books.refused).await?;
        ensure!(phantoms == 0, "{phantoms} refused documents are there");
        let unknown = there(&books.unknown.keys().cloned().collect()).await?;
        let count = cluster
            .send(&Request::new("GET", "/things/_count"))
            .await?
            .ok()?;
        let wanted = json!(acknowledged + unknown);
        ensure!(
            count["count"] == wanted,
            "{count}, wanted {wanted}: each once"
        );
        Ok(())
    }
}

async fn write(root: SocketAddr, client: usize, n: usize, books: &Mutex<Books>) {
    let id = format!("{client}-{n}");
    let create = format!("/things/_create/{id}?timeout=30s");
    let create = Request::json("PUT", &create, &json!({"client": client, "n": n}));
    let answer = create.send(root).await;
    let status = answer.as_ref().ok().map(|answer| answer.status);
    let told = || answer.map_or_else(|error| format!("{error:#}"), |answer| answer.shown());
    books.lock().note(client, id, status, told);
}

/// Writes a bulk, and notes what became of each document in it.
async fn write_bulk(root: SocketAddr, client: usize, n: usize, books: &Mutex<Books>) {
    let ids = (0..BULK).map(|at| format!("{client}-{n}-{at}"));
    let ids: Vec<String> = ids.collect();
    let lines = ids.iter().map(|id| {
        let (action, document) = (
            json!({"create": {"_id": id}}),
            json!({"client": client, "n": n}),
        );
        format!("{action}\n{document}\n")
    });
    let bulk = Request::ndjson(
        "POST",
        "/things/_bulk?timeout=30s",
        lines.collect::<String>(),
    );
    let answer = bulk.send(root).await.and_then(|answer| answer.ok());
    let mut books = books.lock();
    for (at, id) in ids.into_iter().enumerate() {
        let item = answer.as_ref().map(|answer| &answer["items"][at]["create"]);
        let status = item.as_ref().ok().and_then(|item| item["status"].as_u64());
        let told = || item.map_or_else(|error| format!("{error:#}"), Value::to_string);
        books.note(client, id, status.map(|status| status as u16), told);
    }
}

impl Books {
    /// Notes what became of a document that a client has sent once.
    fn note(
        &mut self,
        client: usize,
        id: String,
        status: Option<u16>,
        told: impl FnOnce() -> String,
    ) {
        match status {
            Some(201) => {
                self.acknowledged.insert(id);
                self.num_acknowledged[client] += 1;
            }
            Some(429) => drop(self.refused.insert(id)),
            Some(409) => drop(self.repeated.insert(id)),
            _ => drop(self.unknown.insert(id, told())),
        }
    }
}

/// Returns how many of the documents are there.
pub(crate) async fn found(cluster: &Cluster, ids: Vec<String>) -> Result<usize> {
    let mut num_found = 0;
    for ids in ids.chunks(PAGE) {
        let get = Request::json("POST", "/things/_mget", &json!({"ids": ids}));
        let answer = cluster.send(&get).await?.ok()?;
        let documents = answer["docs"].as_array().context("documents")?;
        let is_found = |document: &&Value| document["found"] == json!(true);
        num_found += documents.iter().filter(is_found).count();
    }
    Ok(num_found)
}
