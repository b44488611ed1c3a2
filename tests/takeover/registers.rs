//! Documents that hold a number which only grows, read while it is written.
//!
//! One client writes each document, one write after the other. A read returns at least the newest number that was
//! acknowledged, or returned by another read, before it began, and never more than was sent. A search that is not
//! flagged as stale returns at least the newest number that was refreshed before it began.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use gleaner_testkit::http::Request;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::cluster::Cluster;

const NUM_REGISTERS: usize = 4;

/// Readers of each register, beside its writer.
const NUM_READERS: usize = 2;

/// Each so many-th write is refreshed.
const REFRESH_EVERY: u64 = 8;

/// How long a reader waits before it reads again: others are to have the processors too.
const PAUSE: Duration = Duration::from_millis(20);

/// One document.
struct Register {
    id: String,
    root: SocketAddr,
    /// The newest number that was sent.
    sent: AtomicU64,
    /// The newest number that was acknowledged, or read.
    known: AtomicU64,
    /// The newest number that was refreshed on all copies.
    shown: AtomicU64,
}

/// How often the documents were read.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    /// Reads by id that returned a number.
    pub(crate) reads: AtomicU64,
    /// Searches that were not flagged as stale.
    pub(crate) searches: AtomicU64,
}

/// The documents, as clients write and read them.
pub(crate) struct Registers {
    is_over: Arc<AtomicBool>,
    readings: Arc<Readings>,
    clients: JoinSet<Result<()>>,
}

impl Registers {
    /// Makes their index, and begins.
    pub(crate) async fn start(cluster: &Cluster) -> Result<Self> {
        let settings = json!({"number_of_shards": 2, "number_of_replicas": 1});
        let create = Request::json("PUT", "/registers", &json!({"settings": settings}));
        cluster.send(&create).await?.ok()?;
        cluster.until_green().await?;
        let (is_over, readings) = (Arc::<AtomicBool>::default(), Arc::<Readings>::default());
        let mut clients = JoinSet::new();
        for number in 0..NUM_REGISTERS {
            let register = Arc::new(Register {
                id: format!("r{number}"),
                root: cluster.root(),
                sent: AtomicU64::new(0),
                known: AtomicU64::new(0),
                shown: AtomicU64::new(0),
            });
            let (own, over) = (Arc::clone(&register), Arc::clone(&is_over));
            clients.spawn(async move { own.write(&over).await });
            for _ in 0..NUM_READERS {
                let (own, over) = (Arc::clone(&register), Arc::clone(&is_over));
                let readings = Arc::clone(&readings);
                clients.spawn(async move { own.read(&over, &readings).await });
            }
        }
        Ok(Self {
            is_over,
            readings,
            clients,
        })
    }

    /// Ends the clients.
    ///
    /// # Errors
    /// The first reading that was wrong.
    pub(crate) async fn end(mut self) -> Result<Arc<Readings>> {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended??;
        }
        Ok(self.readings)
    }
}

impl Register {
    async fn write(&self, is_over: &AtomicBool) -> Result<()> {
        for number in 1.. {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let is_shown = number % REFRESH_EVERY == 0;
            let path = format!("/registers/_doc/{}?timeout=30s&refresh={is_shown}", self.id);
            self.sent.store(number, Ordering::SeqCst);
            let put = Request::json("PUT", &path, &json!({"number": number}));
            let Ok(Ok(answer)) = put.send(self.root).await.map(|answer| answer.ok()) else {
                // It may have been written or not.
                continue;
            };
            self.known.fetch_max(number, Ordering::SeqCst);
            if is_shown && answer["_shards"]["failed"] == 0 {
                self.shown.fetch_max(number, Ordering::SeqCst);
            }
        }
        Ok(())
    }

    async fn read(&self, is_over: &AtomicBool, readings: &Readings) -> Result<()> {
        while !is_over.load(Ordering::Relaxed) {
            self.get(readings).await?;
            self.search(readings).await?;
            sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn get(&self, readings: &Readings) -> Result<()> {
        let before = self.known.load(Ordering::SeqCst);
        let get = Request::new("GET", &format!("/registers/_doc/{}", self.id));
        let Ok(answer) = get.send(self.root).await else {
            return Ok(());
        };
        let number = match answer.status {
            200 => number_of(&answer.ok()?["_source"]),
            404 => 0,
            _ => return Ok(()),
        };
        let sent = self.sent.load(Ordering::SeqCst);
        ensure!(
            (before..=sent).contains(&number),
            "{} was read as {number}: {before} was known before, {sent} was sent",
            self.id
        );
        self.known.fetch_max(number, Ordering::SeqCst);
        readings.reads.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn search(&self, readings: &Readings) -> Result<()> {
        let before = self.shown.load(Ordering::SeqCst);
        let body = json!({"query": {"ids": {"values": [self.id]}}});
        let search = Request::json("POST", "/registers/_search?request_cache=false", &body);
        let Ok(Ok(answer)) = search.send(self.root).await.map(|answer| answer.ok()) else {
            return Ok(());
        };
        let shards = &answer["_shards"];
        if shards["failed"] != 0 || !shards["stale"].is_null() || answer["timed_out"] == true {
            return Ok(());
        }
        let number = number_of(&answer["hits"]["hits"][0]["_source"]);
        let sent = self.sent.load(Ordering::SeqCst);
        ensure!(
            (before..=sent).contains(&number),
            "{} was found as {number}: {before} was shown before, {sent} was sent: {answer}",
            self.id
        );
        readings.searches.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Returns the number of a document; 0 where there is none.
fn number_of(source: &Value) -> u64 {
    source["number"].as_u64().unwrap_or_default()
}
