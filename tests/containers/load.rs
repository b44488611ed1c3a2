//! Searches and writes that go on while leaves fail.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use gleaner_testkit::http::Request;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::asked::{self, Shown};

/// Index of the documents written.
pub(crate) const LEDGER: &str = "ledger";

/// How long some rounds of searches may take.
const ROUNDS_WITHIN: Duration = Duration::from_secs(60);

/// Documents written at most.
const MAX_WRITTEN: u64 = 5_000;

/// Searches without pause, and writes one after the other.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    rounds: watch::Receiver<u64>,
    acknowledged: watch::Receiver<u64>,
    searching: JoinHandle<Result<()>>,
    writing: JoinHandle<Vec<u64>>,
}

impl Load {
    /// Starts; every search must answer as `expected`.
    pub(crate) fn start(root: SocketAddr, expected: Arc<Vec<Shown>>) -> Self {
        let (stop, stopping) = watch::channel(false);
        let (counted, rounds) = watch::channel(0);
        let (noted, acknowledged) = watch::channel(0);
        Self {
            stop,
            rounds,
            acknowledged,
            searching: tokio::spawn(search(root, expected, stopping.clone(), counted)),
            writing: tokio::spawn(write(root, stopping, noted)),
        }
    }

    /// Waits until every search was answered `number` times more.
    pub(crate) async fn rounds(&mut self, number: u64) -> Result<()> {
        // The round under way may have begun before.
        let until = *self.rounds.borrow() + number + 1;
        let passed = self.rounds.wait_for(|rounds| *rounds >= until);
        // The channel closes when a search fails; `finish` tells which.
        drop(
            timeout(ROUNDS_WITHIN, passed)
                .await
                .context("searches hang")?,
        );
        Ok(())
    }

    /// Waits until `number` more documents were acknowledged.
    pub(crate) async fn acknowledged(&mut self, number: u64) -> Result<()> {
        let until = *self.acknowledged.borrow() + number;
        let passed = self.acknowledged.wait_for(|noted| *noted >= until);
        timeout(ROUNDS_WITHIN, passed)
            .await
            .context("writes hang")??;
        Ok(())
    }

    /// Stops; returns the numbers of the documents that were acknowledged.
    ///
    /// # Errors
    /// The first search that failed or had another answer.
    pub(crate) async fn finish(self) -> Result<Vec<u64>> {
        self.stop.send_replace(true);
        self.searching.await??;
        Ok(self.writing.await?)
    }
}

async fn search(
    root: SocketAddr,
    expected: Arc<Vec<Shown>>,
    stopping: watch::Receiver<bool>,
    counted: watch::Sender<u64>,
) -> Result<()> {
    while !*stopping.borrow() {
        asked::same(root, &expected).await?;
        counted.send_modify(|rounds| *rounds += 1);
    }
    Ok(())
}

/// Writes numbered documents; a write that is refused or not answered counts as nothing.
async fn write(
    root: SocketAddr,
    stopping: watch::Receiver<bool>,
    noted: watch::Sender<u64>,
) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    for number in 0..MAX_WRITTEN {
        if *stopping.borrow() {
            break;
        }
        let path = format!("/{LEDGER}/_doc/{number}?timeout=1s");
        let request = Request::json("PUT", &path, &json!({"number": number}));
        if request
            .send(root)
            .await
            .is_ok_and(|answer| answer.ok().is_ok())
        {
            acknowledged.push(number);
            noted.send_modify(|noted| *noted += 1);
        }
    }
    acknowledged
}
