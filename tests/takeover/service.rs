//! Service at a constant rate while what serves it is restarted, stands still or is killed: what failed, what is there
//! afterwards, and for how long a write waited.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use gleaner_testkit::rate::at_rate;
use gleaner_testkit::run;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::clients::found;
use super::cluster::{Cluster, Copy, LEAVES, PATIENCE};
use super::{is_without_etcd, started};

/// How much of something there is.
struct Size {
    /// For a build that is slow itself.
    reduced: usize,
    full: usize,
}

impl Size {
    const fn new(reduced: usize, full: usize) -> Self {
        Self { reduced, full }
    }

    /// Returns the size that is asked for.
    fn asked(&self) -> u32 {
        run::sized(self.reduced, self.full) as u32
    }
}

/// Requests a second: reduced, for a build that is slow itself, and in full.
const WRITES_PER_SECOND: Size = Size::new(50, 200);
const SEARCHES_PER_SECOND: Size = Size::new(20, 50);

/// Writes that show that more are answered: of half a second or two.
const SOME_WRITES: u64 = 100;

/// Restarts of all leaves, one after another: reduced, and in full.
const NUM_ROUNDS: Size = Size::new(1, 3);

/// Seconds for which the etcd stands still, longer than a lease.
const ETCD_STILL_SECS: Size = Size::new(5, 60);

/// Kills of the leaf of a primary.
const NUM_KILLS: Size = Size::new(1, 20);

/// Seconds without any fault.
const IDLE_SECS: Size = Size::new(0, 900);

/// How many requests of a kind were answered since they were last counted.
#[derive(Debug, Default)]
struct Tally {
    num: u64,
    /// What was answered instead.
    failed: Vec<String>,
    slowest: Duration,
}

impl Tally {
    fn note(&mut self, due: Instant, answer: Result<(), String>) {
        self.num += 1;
        self.failed.extend(answer.err());
        self.slowest = self.slowest.max(due.elapsed());
    }

    fn check(&self, what: &str) -> Result<()> {
        ensure!(self.failed.is_empty(), "{what} failed: {:#?}", self.failed);
        ensure!(self.num > 0, "there were no {what}");
        Ok(())
    }

    fn figures(&self) -> Value {
        json!({"num": self.num, "failed": self.failed.len(), "slowest_ms": self.slowest.as_millis()})
    }
}

/// What was answered.
#[derive(Debug, Default)]
struct Tallies {
    writes: Tally,
    searches: Tally,
}

impl Tallies {
    /// Refuses any failure.
    fn check(&self) -> Result<()> {
        self.searches.check("searches")?;
        self.writes.check("writes")
    }

    /// Refuses failures but writes that the leaf had which was killed: nobody knows what became of them.
    fn check_but_unknown(&self) -> Result<()> {
        self.searches.check("searches")?;
        let mut failed = self.writes.failed.iter();
        let known = failed.find(|failure| !failure.contains("outcome of the write is unknown"));
        ensure!(known.is_none(), "a write failed: {known:?}");
        Ok(())
    }

    fn figures(&self) -> Value {
        json!({"writes": self.writes.figures(), "searches": self.searches.figures()})
    }
}

/// What clients know.
#[derive(Default)]
struct Books {
    tallies: Mutex<Tallies>,
    /// Documents that were acknowledged.
    acknowledged: Mutex<Vec<String>>,
    /// How many those are.
    num_acknowledged: watch::Sender<u64>,
    num_unknown: Mutex<usize>,
}

impl Books {
    /// Writes a document of its own.
    async fn write(&self, root: SocketAddr, n: u64, due: Instant) {
        let put = format!("/things/_doc/{n}?timeout=30s");
        let put = Request::json("PUT", &put, &json!({"n": n}));
        let answer = answered(root, &put, 201).await.map(drop);
        match answer {
            Ok(()) => {
                self.acknowledged.lock().push(n.to_string());
                self.num_acknowledged.send_modify(|num| *num += 1);
            }
            Err(_) => *self.num_unknown.lock() += 1,
        }
        self.tallies.lock().writes.note(due, answer);
    }

    async fn search(&self, root: SocketAddr, n: u64, due: Instant) {
        let query = json!({"query": {"range": {"n": {"lte": n}}}});
        let search = Request::json("POST", "/things/_search", &query);
        let answer = answered(root, &search, 200).await;
        let answer = answer.and_then(|answer| whole(&answer));
        self.tallies.lock().searches.note(due, answer);
    }
}

/// Returns the body of an answer of this status.
///
/// # Errors
/// What came instead.
async fn answered(root: SocketAddr, request: &Request, status: u16) -> Result<Value, String> {
    let answer = request.send(root).await;
    let answer = answer.map_err(|error| format!("{error:#}"))?;
    match answer.status == status {
        true => answer.ok().map_err(|error| format!("{error:#}")),
        false => Err(answer.shown()),
    }
}

fn whole(answer: &Value) -> Result<(), String> {
    let shards = &answer["_shards"];
    match shards["failed"] == 0 && answer["timed_out"] == false {
        true => Ok(()),
        false => Err(shards.to_string()),
    }
}

/// A cluster, and clients that write and search there at a constant rate.
struct Service {
    cluster: Cluster,
    books: Arc<Books>,
    is_over: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Service {
    /// Starts both, and sees that all is answered well.
    async fn start(num_shards: u32) -> Result<Self> {
        let cluster = started(num_shards).await?;
        let (root, books) = (cluster.root(), Arc::<Books>::default());
        let is_over = Arc::<AtomicBool>::default();
        let mut clients = JoinSet::new();
        let writer = Arc::clone(&books);
        let write = move |n, due| {
            let books = Arc::clone(&writer);
            async move { books.write(root, n, due).await }
        };
        clients.spawn(at_rate(
            WRITES_PER_SECOND.asked(),
            Arc::clone(&is_over),
            write,
        ));
        let reader = Arc::clone(&books);
        let search = move |n, due| {
            let books = Arc::clone(&reader);
            async move { books.search(root, n, due).await }
        };
        clients.spawn(at_rate(
            SEARCHES_PER_SECOND.asked(),
            Arc::clone(&is_over),
            search,
        ));
        let service = Self {
            cluster,
            books,
            is_over,
            clients,
        };
        service.until_written().await?;
        service.take().check()?;
        Ok(service)
    }

    /// Returns what was answered since this was last called.
    fn take(&self) -> Tallies {
        std::mem::take(&mut *self.books.tallies.lock())
    }

    /// Waits until some more writes are acknowledged.
    async fn until_written(&self) -> Result<()> {
        let mut acknowledged = self.books.num_acknowledged.subscribe();
        let enough = *acknowledged.borrow() + SOME_WRITES;
        let written = timeout(PATIENCE, acknowledged.wait_for(|num| *num >= enough)).await;
        written.context("no writes are acknowledged")??;
        Ok(())
    }

    /// Returns the terms of the shards: they grow with each take-over.
    async fn terms(&self) -> Result<Value> {
        let state = Request::new("GET", "/_cluster/state/metadata/things");
        let state = self.cluster.send(&state).await?.ok()?;
        let terms = &state["metadata"]["indices"]["things"]["primary_terms"];
        let mut each = terms.as_object().into_iter().flatten();
        let is_taken = |term: &Value| term.as_u64().is_some_and(|term| term > 0);
        ensure!(
            terms.is_object() && each.all(|(_, term)| is_taken(term)),
            "no terms: {state}"
        );
        Ok(terms.clone())
    }

    /// Ends the clients, and holds what is there against what was acknowledged; returns how many documents that is.
    async fn end(mut self) -> Result<usize> {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended?;
        }
        self.cluster.until_refreshed().await?;
        let acknowledged = std::mem::take(&mut *self.books.acknowledged.lock());
        let num = acknowledged.len();
        let lost = num - found(&self.cluster, acknowledged).await?;
        ensure!(lost == 0, "{lost} of {num} acknowledged documents are lost");
        let count = Request::new("GET", "/things/_count");
        let count = self.cluster.send(&count).await?.ok()?["count"].as_u64();
        let count = count.context("a number")? as usize;
        let most = num + *self.books.num_unknown.lock();
        ensure!((num..=most).contains(&count), "{count} of {num} to {most}");
        Ok(num)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_that_are_restarted_and_an_etcd_that_stands_still_fail_nothing() -> Result<()> {
    if is_without_etcd("leaves_that_are_restarted_and_an_etcd_that_stands_still_fail_nothing")? {
        return Ok(());
    }
    let mut service = Service::start(2).await?;
    for _ in 0..NUM_ROUNDS.asked() {
        for leaf in LEAVES {
            service.cluster.stop(leaf).await?;
            service.until_written().await?;
            service.cluster.start_again(leaf)?;
            service.cluster.until_green().await?;
            service.until_written().await?;
        }
    }
    let rolling = service.take();
    rolling.check()?;

    let before = service.terms().await?;
    service.cluster.signal_etcd("-STOP")?;
    // How long it stands still is the fault.
    sleep(Duration::from_secs(ETCD_STILL_SECS.asked().into())).await;
    service.until_written().await?;
    service.cluster.signal_etcd("-CONT")?;
    service.until_written().await?;
    let etcd = service.take();
    etcd.check()?;

    sleep(Duration::from_secs(IDLE_SECS.asked().into())).await;
    service.until_written().await?;
    let idle = service.take();
    idle.check()?;
    service.cluster.until_green().await?;
    let after = service.terms().await?;
    ensure!(before == after, "a fail-over: {before}, then {after}");
    let acknowledged = service.end().await?;
    run::report(
        "service",
        &json!({
            "rolling": rolling.figures(), "etcd_still": etcd.figures(), "idle": idle.figures(),
            "acknowledged": acknowledged,
        }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_that_are_killed_fail_no_search() -> Result<()> {
    if is_without_etcd("leaves_that_are_killed_fail_no_search")? {
        return Ok(());
    }
    let mut service = Service::start(1).await?;
    let mut kills = Vec::new();
    for _ in 0..NUM_KILLS.asked() {
        let primary = service.cluster.holder(0, Copy::Primary).await?;
        service.cluster.kill(&primary).await?;
        service.cluster.until_primary_is_not(0, &primary).await?;
        service.until_written().await?;
        service.cluster.start_again(&primary)?;
        service.cluster.until_green().await?;
        let tallies = service.take();
        tallies.check_but_unknown()?;
        kills.push(tallies.figures());
    }
    let follower = service.cluster.holder(0, Copy::Replica).await?;
    service.cluster.signal(&follower, "-STOP")?;
    service.until_written().await?;
    service.cluster.signal(&follower, "-CONT")?;
    service.cluster.until_green().await?;
    let still = service.take();
    still.check()?;
    let acknowledged = service.end().await?;
    run::report(
        "kills",
        &json!({
            "kills": kills, "follower_still": still.figures(), "acknowledged": acknowledged,
        }),
    )
}
