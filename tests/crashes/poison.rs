//! A document at which process after process ends: its shard is set aside alone, and comes back when somebody asks.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Words of the document, each once: to analyse and index them takes a while.
const NUM_WORDS: usize = 400_000;

/// How long until the server is at the document, on a busy machine.
const AT_WORK_WITHIN: Duration = Duration::from_secs(60);

/// How often it is looked.
const POLL: Duration = Duration::from_millis(1);

/// Bytes of a writer's place in the file of marks, and where in it the operations are. The first place says which process
/// has the file.
const PLACE_BYTES: usize = 128;
const OPERATIONS: [usize; 2] = [24, 64];

/// The file of marks.
struct Marks(Vec<[u8; PLACE_BYTES]>);

impl Marks {
    fn of(data: &Path) -> Self {
        let bytes = fs::read(data.join("indices/applying/marks")).unwrap_or_default();
        Self(bytes.as_chunks::<PLACE_BYTES>().0.to_vec())
    }

    fn process(&self) -> Option<u64> {
        self.0.first().map(|place| number(place, 0))
    }

    /// Returns whether a writer is noted to work on `operation`.
    fn are_at(&self, operation: u64) -> bool {
        let places = self.0.iter().skip(1);
        let mut noted = places.flat_map(|place| OPERATIONS.map(|at| number(place, at)));
        noted.any(|noted| noted == operation + 1)
    }
}

fn number(place: &[u8; PLACE_BYTES], at: usize) -> u64 {
    let bytes = place[at..at + 8].try_into();
    u64::from_ne_bytes(bytes.expect("eight bytes"))
}

/// Kills the server when it works on the operation; `before` is the process before it.
async fn kill_at(
    server: &mut Server,
    data: &Path,
    operation: u64,
    before: Option<u64>,
) -> Result<()> {
    let began = Instant::now();
    loop {
        let marks = Marks::of(data);
        if marks.process() != before && marks.are_at(operation) {
            return server.kill();
        }
        ensure!(
            began.elapsed() < AT_WORK_WITHIN,
            "it never comes to operation {operation}"
        );
        sleep(POLL).await;
    }
}

async fn count(server: &Server, index: &str) -> Result<Value> {
    let path = format!("/{index}/_count");
    server.send(&Request::new("GET", &path)).await?.ok()
}

/// Makes two indices, and has the server killed while it applies the large document of one of them.
async fn killed_at_work(start: &Start) -> Result<()> {
    let mut server = start.spawn().await?;
    let settings = json!({"settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}});
    for index in ["healthy", "poisoned"] {
        let create = Request::json("PUT", &format!("/{index}"), &settings);
        server.send(&create).await?.ok()?;
        let put = Request::json("PUT", &format!("/{index}/_doc/a"), &json!({"text": "a"}));
        server.send(&put).await?.ok()?;
    }
    let words: Vec<String> = (0..NUM_WORDS).map(|n| format!("w{n}")).collect();
    let large = Request::json("PUT", "/poisoned/_doc/b", &json!({"text": words.join(" ")}));
    let address = server.address();
    let writing = tokio::spawn(async move { large.send(address).await });
    kill_at(&mut server, &start.data, 1, None).await?;
    // Whether it was acknowledged or not: it is in the log.
    drop(writing.await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_whose_operation_ended_two_processes_fails_alone_and_comes_back_when_asked()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let start = Start::on(&folder.path().join("data"));
    killed_at_work(&start).await?;
    let before = Marks::of(&start.data).process();
    kill_at(&mut start.begin()?, &start.data, 1, before).await?;
    let server = start.spawn().await?;
    ensure!(
        count(&server, "healthy").await?["count"] == 1,
        "the other index serves"
    );
    let health = server
        .send(&Request::new("GET", "/_cluster/health?level=indices"))
        .await?;
    let health = health.json()?;
    ensure!(health["indices"]["poisoned"]["status"] == "red", "{health}");
    ensure!(health["indices"]["healthy"]["status"] != "red", "{health}");
    let cat =
        "/_cat/shards/poisoned?h=index,state,unassigned.reason,unassigned.details&format=json";
    for told in [
        server.send(&Request::new("GET", cat)).await?.shown(),
        server
            .send(&Request::new("GET", "/_cluster/allocation/explain"))
            .await?
            .shown(),
        server
            .send(&Request::new("GET", "/poisoned/_doc/a"))
            .await?
            .shown(),
        server.printed()?,
    ] {
        let names = told.contains("operation 1:") && told.contains("retry_failed=true");
        ensure!(
            names,
            "the operator is told what it is, and the way out: {told}"
        );
    }
    let retry = Request::new("POST", "/_cluster/reroute?retry_failed=true");
    let retried = server.send(&retry).await?.ok()?;
    ensure!(retried["acknowledged"] == true, "{retried}");
    let both = Request::new("POST", "/poisoned/_refresh");
    server
        .until(&both, |answer| {
            answer
                .ok()
                .is_ok_and(|shown| shown["_shards"]["failed"] == 0)
        })
        .await?;
    ensure!(
        count(&server, "poisoned").await?["count"] == 2,
        "nothing is lost"
    );
    server.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_was_killed_at_work_once_is_opened_as_ever() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let start = Start::on(&folder.path().join("data"));
    killed_at_work(&start).await?;
    let mut server = start.spawn().await?;
    ensure!(
        count(&server, "poisoned").await?["count"] == 2,
        "nothing is lost"
    );
    server.kill()?;
    let server = start.spawn().await?;
    ensure!(
        count(&server, "poisoned").await?["count"] == 2,
        "nothing is lost"
    );
    server.stop().await
}
