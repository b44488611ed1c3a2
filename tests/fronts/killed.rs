//! A root that is killed while clients write and search: it fails what nobody can tell from what it died of, and no more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::{etcd, run, skipped};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::processes::Processes;

/// Clients of each kind at each address.
const NUM_CLIENTS: usize = 3;

/// Searches that are asked again and again.
const NUM_SEARCHES: usize = 8;

/// How many answers each client has before the root is killed, and after.
const NUM_ANSWERS: usize = 40;

/// Longest time for those.
const WITHIN: Duration = Duration::from_secs(120);

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Search,
    Read,
    /// A bulk with an idempotency key.
    KeyedBulk,
    /// A document, without one.
    Write,
}

const KINDS: [Kind; 4] = [Kind::Search, Kind::Read, Kind::KeyedBulk, Kind::Write];

/// A client, which asks one thing after the other.
struct Client {
    kind: Kind,
    address: SocketAddr,
    name: String,
    num_answers: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Client {
    fn request(&self, n: usize) -> Request {
        let name = &self.name;
        match self.kind {
            Kind::Search => {
                let query = json!({"query": {"range": {"n": {"gte": n % NUM_SEARCHES}}}});
                Request::json("POST", "/things/_search", &query)
            }
            Kind::Read => Request::new("GET", &format!("/things/_doc/{name}-{n}")),
            Kind::KeyedBulk => {
                let lines = format!("{{\"index\":{{\"_id\":\"{name}-{n}\"}}}}\n{{\"n\":{n}}}\n");
                let key = format!("{name}-{n}");
                Request::ndjson("POST", "/things/_bulk", lines).with_header("idempotency-key", &key)
            }
            Kind::Write => {
                let path = format!("/things/_doc/{name}-{n}");
                Request::json("PUT", &path, &json!({"n": n}))
            }
        }
    }

    async fn ask(&self, is_over: &AtomicBool) {
        for n in 0.. {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            let answer = self.request(n).send(self.address).await;
            let is_good = answer.as_ref().is_ok_and(|answer| self.is_good(answer));
            if !is_good {
                let told =
                    answer.map_or_else(|error| format!("{error:#}"), |answer| answer.shown());
                self.failures.lock().push(told);
            }
            self.num_answers.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(2)).await;
        }
    }

    fn is_good(&self, answer: &Response) -> bool {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match self.kind {
            Kind::Search => answer.status == 200 && body["_shards"]["failed"] == 0,
            Kind::Read => matches!(answer.status, 200 | 404) && body["found"].is_boolean(),
            Kind::KeyedBulk => answer.status == 200 && body["errors"] == false,
            Kind::Write => matches!(answer.status, 200 | 201),
        }
    }
}

/// Waits until each client has so many answers more.
async fn until_answered(clients: &[Arc<Client>]) -> Result<()> {
    let read = |client: &Arc<Client>| client.num_answers.load(Ordering::Relaxed);
    let before: Vec<usize> = clients.iter().map(read).collect();
    let answered = timeout(WITHIN, async {
        let mut each = clients.iter().zip(&before);
        while !each.all(|(client, before)| read(client) >= before + NUM_ANSWERS) {
            sleep(Duration::from_millis(20)).await;
            each = clients.iter().zip(&before);
        }
    });
    ensure!(answered.await.is_ok(), "clients wait for answers");
    Ok(())
}

/// Checks that all bulks of a client were carried out, none of them twice.
async fn written_once(client: &Client, root: SocketAddr) -> Result<()> {
    let numbers = 0..client.num_answers.load(Ordering::Relaxed);
    let ids: Vec<String> = numbers.map(|n| format!("{}-{n}", client.name)).collect();
    let get = Request::json("POST", "/things/_mget", &json!({"ids": ids}));
    let answer = get.send(root).await?.ok()?;
    let documents = answer["docs"].as_array().context("documents")?;
    let other = documents.iter().find(|document| document["_version"] != 1);
    ensure!(other.is_none(), "{other:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_killed_fails_no_more_than_what_it_may_have_died_of() -> Result<()> {
    if !etcd::is_installed() {
        let test = "fronts::a_root_that_is_killed_fails_no_more_than_what_it_may_have_died_of";
        return skipped(test, etcd::NO_ETCD);
    }
    let processes = Processes::start().await?;
    let other_root = processes.roots().nth(1).and_then(|root| root.http);
    let fronts = processes.fronts.iter().take(2).copied();
    let is_over = Arc::<AtomicBool>::default();
    let (mut clients, mut asking) = (Vec::new(), JoinSet::new());
    for address in fronts.chain(other_root) {
        for (kind, number) in KINDS
            .iter()
            .flat_map(|kind| (0..NUM_CLIENTS).map(move |n| (*kind, n)))
        {
            let client = Arc::new(Client {
                kind,
                address,
                name: format!("{kind:?}-{number}-{}", address.port()),
                num_answers: AtomicUsize::new(0),
                failures: Mutex::default(),
            });
            clients.push(Arc::clone(&client));
            let is_over = Arc::clone(&is_over);
            asking.spawn(async move { client.ask(&is_over).await });
        }
    }
    until_answered(&clients).await?;
    processes.kill_root()?;
    until_answered(&clients).await?;
    is_over.store(true, Ordering::Relaxed);
    while asking.join_next().await.is_some() {}

    let mut num_failed = 0;
    for client in &clients {
        let failures = std::mem::take(&mut *client.failures.lock());
        let most = match client.kind {
            // The one that was under way: it may have been written.
            Kind::Write if Some(client.address) != other_root => 1,
            _ => 0,
        };
        ensure!(failures.len() <= most, "{}: {failures:#?}", client.name);
        num_failed += failures.len();
    }
    let root = other_root.context("another root")?;
    for client in clients
        .iter()
        .filter(|client| client.kind == Kind::KeyedBulk)
    {
        written_once(client, root).await?;
    }
    let answers = clients.iter();
    let num_answers: usize = answers
        .map(|client| client.num_answers.load(Ordering::Relaxed))
        .sum();
    run::report(
        "killed-root",
        &json!({"answers": num_answers, "writes_unknown": num_failed}),
    )
}
