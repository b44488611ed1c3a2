//! Service at a constant rate while what serves it is restarted, stands still or is killed: what failed, and for how long
//! a write waited.
//!
//! Requests are sent when they are due, whether or not others have been answered, so what waits is seen.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use gleaner_testkit::run;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::cluster::{Cluster, Copy, LEAVES};
use super::{is_without_etcd, started};

/// Requests a second: reduced, for a build that is slow itself, and in full.
const WRITES_PER_SECOND: (usize, usize) = (50, 200);
const SEARCHES_PER_SECOND: (usize, usize) = (20, 50);

/// Writes that show that more are answered: of half a second or two.
const SOME_WRITES: u64 = 100;

/// Restarts of all leaves, one after another: reduced, and in full.
const NUM_ROUNDS: (usize, usize) = (1, 3);

/// Seconds for which the etcd stands still, longer than a lease.
const ETCD_STILL_SECS: (usize, usize) = (5, 60);

/// Kills of the leaf of a primary.
const NUM_KILLS: (usize, usize) = (1, 20);

/// Seconds without any fault.
const IDLE_SECS: (usize, usize) = (0, 900);

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
    fn check_searches(&self) -> Result<()> {
        let failed = &self.searches.failed;
        ensure!(failed.is_empty(), "searches failed: {failed:#?}");
        ensure!(self.searches.num > 0, "nothing was asked");
        Ok(())
    }

    fn check(&self) -> Result<()> {
        self.check_searches()?;
        let failed = &self.writes.failed;
        ensure!(failed.is_empty(), "writes failed: {failed:#?}");
        ensure!(self.writes.num > 0, "nothing was written");
        Ok(())
    }

    fn figures(&self) -> Value {
        json!({"writes": self.writes.figures(), "searches": self.searches.figures()})
    }
}

/// Clients that write and search at a constant rate.
struct Service {
    tallies: Arc<Mutex<Tallies>>,
    is_over: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Service {
    fn start(root: SocketAddr) -> Self {
        let (tallies, is_over) = (
            Arc::<Mutex<Tallies>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let mut clients = JoinSet::new();
        let books = Arc::clone(&tallies);
        clients.spawn(at_rate(
            run::sized(WRITES_PER_SECOND.0, WRITES_PER_SECOND.1),
            Arc::clone(&is_over),
            move |n, due| {
                let books = Arc::clone(&books);
                async move {
                    let put = format!("/things/_doc/{n}?timeout=30s");
                    let put = Request::json("PUT", &put, &json!({"n": n}));
                    let answer = answered(root, &put, &[200, 201]).await.map(drop);
                    books.lock().writes.note(due, answer);
                }
            },
        ));
        let books = Arc::clone(&tallies);
        clients.spawn(at_rate(
            run::sized(SEARCHES_PER_SECOND.0, SEARCHES_PER_SECOND.1),
            Arc::clone(&is_over),
            move |n, due| {
                let books = Arc::clone(&books);
                async move {
                    let query = json!({"query": {"range": {"n": {"lte": n}}}});
                    let search = Request::json("POST", "/things/_search", &query);
                    let answer = answered(root, &search, &[200]).await.and_then(whole);
                    books.lock().searches.note(due, answer);
                }
            },
        ));
        Self {
            tallies,
            is_over,
            clients,
        }
    }

    /// Returns what was answered since this was last called.
    fn take(&self) -> Tallies {
        std::mem::take(&mut *self.tallies.lock())
    }

    /// Waits until writes are answered that are due from now on.
    async fn until_written(&self) -> Result<()> {
        let before = self.tallies.lock().writes.num;
        let began = Instant::now();
        while self.tallies.lock().writes.num < before + SOME_WRITES {
            ensure!(
                began.elapsed() < super::cluster::PATIENCE,
                "no writes are answered"
            );
            sleep(super::cluster::POLL).await;
        }
        Ok(())
    }

    async fn end(mut self) -> Result<()> {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended?;
        }
        Ok(())
    }
}

/// Begins `request` so many times a second, and waits for all of them at the end.
async fn at_rate<F>(
    per_second: usize,
    is_over: Arc<AtomicBool>,
    request: impl Fn(u64, Instant) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut ticks = interval(Duration::from_secs(1) / per_second as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut open = JoinSet::new();
    for n in 0.. {
        let due = ticks.tick().await;
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        open.spawn(request(n, due));
        while open.try_join_next().is_some() {}
    }
    while open.join_next().await.is_some() {}
}

/// Returns the body of an answer of one of these statuses.
///
/// # Errors
/// What came instead.
async fn answered(root: SocketAddr, request: &Request, good: &[u16]) -> Result<Value, String> {
    let answer = request.send(root).await;
    let answer = answer.map_err(|error| format!("{error:#}"))?;
    match good.contains(&answer.status) {
        true => answer.ok().map_err(|error| format!("{error:#}")),
        false => Err(answer.shown()),
    }
}

fn whole(answer: Value) -> Result<(), String> {
    let shards = &answer["_shards"];
    match shards["failed"] == 0 && answer["timed_out"] == false {
        true => Ok(()),
        false => Err(shards.to_string()),
    }
}

/// Returns the terms of the shards: they grow with each take-over.
async fn terms(cluster: &Cluster) -> Result<Value> {
    let state = Request::new("GET", "/_cluster/state/metadata/things");
    let state = cluster.send(&state).await?.ok()?;
    let terms = &state["metadata"]["indices"]["things"]["primary_terms"];
    ensure!(terms.is_object(), "no terms: {state}");
    Ok(terms.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_that_are_restarted_and_an_etcd_that_stands_still_fail_nothing() -> Result<()> {
    if is_without_etcd("leaves_that_are_restarted_and_an_etcd_that_stands_still_fail_nothing")? {
        return Ok(());
    }
    let mut cluster = started(2).await?;
    let service = Service::start(cluster.root());
    service.until_written().await?;
    service.take().check()?;

    for _ in 0..run::sized(NUM_ROUNDS.0, NUM_ROUNDS.1) {
        for leaf in LEAVES {
            cluster.stop(leaf).await?;
            service.until_written().await?;
            cluster.start_again(leaf)?;
            cluster.until_green().await?;
            service.until_written().await?;
        }
    }
    let rolling = service.take();
    rolling.check()?;

    let before = terms(&cluster).await?;
    cluster.signal_etcd("-STOP")?;
    // How long it stands still is the fault.
    let still = run::sized(ETCD_STILL_SECS.0, ETCD_STILL_SECS.1);
    sleep(Duration::from_secs(still as u64)).await;
    service.until_written().await?;
    cluster.signal_etcd("-CONT")?;
    service.until_written().await?;
    let etcd = service.take();
    etcd.check()?;
    sleep(Duration::from_secs(
        run::sized(IDLE_SECS.0, IDLE_SECS.1) as u64
    ))
    .await;
    let idle = service.take();
    cluster.until_green().await?;
    let after = terms(&cluster).await?;
    ensure!(before == after, "a fail-over: {before}, then {after}");
    service.end().await?;
    run::report(
        "service",
        &json!({"rolling": rolling.figures(), "etcd_still": etcd.figures(), "idle": idle.figures()}),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_that_are_killed_fail_no_search() -> Result<()> {
    if is_without_etcd("leaves_that_are_killed_fail_no_search")? {
        return Ok(());
    }
    let mut cluster = started(1).await?;
    let service = Service::start(cluster.root());
    service.until_written().await?;
    service.take().check()?;
    let mut kills = Vec::new();
    for _ in 0..run::sized(NUM_KILLS.0, NUM_KILLS.1) {
        let primary = cluster.holder(0, Copy::Primary).await?;
        cluster.kill(&primary)?;
        cluster.until_primary_is_not(0, &primary).await?;
        service.until_written().await?;
        cluster.start_again(&primary)?;
        cluster.until_green().await?;
        let tallies = service.take();
        // What became of a write that the killed leaf had is not known to anybody.
        tallies.check_searches()?;
        kills.push(tallies.figures());
    }
    let follower = cluster.holder(0, Copy::Replica).await?;
    cluster.signal(&follower, "-STOP")?;
    service.until_written().await?;
    cluster.signal(&follower, "-CONT")?;
    cluster.until_green().await?;
    let still = service.take();
    still.check_searches()?;
    service.end().await.context("the clients")?;
    run::report(
        "kills",
        &json!({"kills": kills, "follower_still": still.figures()}),
    )
}
