//! What one client does to the others: a stranger that sends fifty times what it may, and one that asks dear questions at
//! the limit of its cost.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::misses::quantiles;
use super::paced::{Answers, PacedClient, UNCACHED, send_all};
use super::processes::{Running, free_port, is_ready, until};
use super::site::{Cluster, QUESTION, Site};
use crate::process::cpu_of;
use crate::report::{Section, Table};

/// Requests a second of one address.
const MAY_SEND: f64 = 50.0;

/// Search CPU a second of one address, in milliseconds.
const MAY_COST_MS: f64 = 200.0;

const NUM_DOCUMENTS: usize = 40_000;

/// Clients that keep to what they may, and how often each asks.
const NUM_OTHERS: usize = 4;
const RATE_OF_OTHERS: f64 = 30.0;

const HEAVY: &str = "{\"size\":0,\"aggs\":{\"each\":{\"histogram\":{\"field\":\"n\",\"interval\":50},\
                     \"aggs\":{\"values\":{\"cardinality\":{\"field\":\"n\"}}}}}}";

/// A front with limits ahead of a cluster.
struct Limited {
    cluster: Cluster,
    address: String,
    _front: Running,
}

impl Limited {
    fn start(site: &Site) -> Result<Self> {
        let counts = ["--leaves", "1", "--copies", "1", "--roots", "1"];
        let cluster = Cluster::start(site, "abuse", &counts)?;
        site.index_many(None, &cluster.url(), NUM_DOCUMENTS)?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let members = cluster.with_front(&address)?;
        let mut command = Command::new(&site.options.server);
        command.args(["front", "--node-name", "limited", "--listen", &address]);
        command.arg("--cluster").arg(members);
        command.args(["--trusted-proxies", "127.0.0.1/32"]);
        command.args(["--limit-strangers", &format!("{MAY_SEND}/s")]);
        command.args(["--limit-cost", &format!("{MAY_COST_MS}ms/s")]);
        let front = Running::start(&mut command, &site.folder.path().join("limited.log"))?;
        until("the front", || is_ready(&address))?;
        Ok(Self {
            cluster,
            address,
            _front: front,
        })
    }

    fn others(&self) -> Vec<PacedClient<'_>> {
        let of = |n| PacedClient {
            to: &self.address,
            // Each in a network of its own.
            address: format!("198.51.{n}.7"),
            rate: RATE_OF_OTHERS,
            path: UNCACHED,
            body: QUESTION,
        };
        (0..NUM_OTHERS).map(of).collect()
    }

    /// Connections of one address that send `rate` requests a second together.
    fn one(&self, rate: f64, connections: usize, body: &'static str) -> Vec<PacedClient<'_>> {
        let client = PacedClient {
            to: &self.address,
            address: "203.0.113.9".to_owned(),
            rate: rate / connections as f64,
            path: UNCACHED,
            body,
        };
        vec![client; connections]
    }
}

/// What was found in rounds with one client more, and in those without it.
#[derive(Default)]
struct Found {
    quiet: Answers,
    beside: Answers,
    one: Answers,
}

/// Has the others send alone and beside `one`, in turns.
fn in_turns(site: &Site, limited: &Limited, one: &[PacedClient<'_>]) -> Result<Found> {
    let rounds = site.options.sized(2, 6);
    let span = Duration::from_secs(site.options.sized(2, 10));
    let others = limited.others();
    let all = [others.clone(), one.to_vec()].concat();
    let mut found = Found::default();
    for round in 0..=rounds {
        let quiet = send_all(&others, span)?;
        let mut beside = send_all(&all, span)?;
        // The first round warms up.
        if round == 0 {
            continue;
        }
        let ones = beside.split_off(others.len());
        found.quiet.add(quiet);
        found.beside.add(beside);
        found.one.add(ones);
    }
    Ok(found)
}

/// Adds what was found beside the client `name`; returns by how much the others' 99th of a hundred grew.
fn add_rows(table: &mut Table, name: &str, found: &Found) -> f64 {
    let mut row = |client: String, answers: &Answers| {
        let [p50, p99] = quantiles(answers.times.clone()).map(|time| time.as_secs_f64() * 1e3);
        let [num, num_failed] = answers.counts();
        let times = [p50, p99].map(|ms| format!("{ms:.2}"));
        let [shown_p50, shown_p99] = times;
        table.row([client, num, num_failed, shown_p50, shown_p99]);
        p99
    };
    let quiet = row(format!("the others, without {name}"), &found.quiet);
    let beside = row(format!("the others, beside {name}"), &found.beside);
    row(name.to_owned(), &found.one);
    beside / quiet
}

/// Returns the CPU that processes take while `job` runs, in milliseconds a second, and what that returns.
fn cpu_during<T>(pids: &[u32], job: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let all = || {
        pids.iter()
            .map(|pid| cpu_of(*pid))
            .sum::<Result<Duration>>()
    };
    let (before, begun) = (all()?, Instant::now());
    let done = job()?;
    let used = all()? - before;
    Ok((
        used.as_secs_f64() * 1e3 / begun.elapsed().as_secs_f64(),
        done,
    ))
}

#[expect(
    clippy::disallowed_methods,
    reason = "what a process does by itself in a time is looked at"
)]
fn pause(span: Duration) {
    std::thread::sleep(span);
}

pub(super) fn measure(site: &Site) -> Result<Section> {
    let limited = Limited::start(site)?;
    let mut table = Table::new([
        "client",
        "requests",
        "not answered 200",
        "p50, ms",
        "p99, ms",
    ]);
    let stranger = limited.one(50.0 * MAY_SEND, 4, QUESTION);
    let found = in_turns(site, &limited, &stranger)?;
    let by_stranger = add_rows(&mut table, "a stranger", &found);
    let heavy = limited.one(0.9 * MAY_SEND, 2, HEAVY);
    let found = in_turns(site, &limited, &heavy)?;
    let by_heavy = add_rows(&mut table, "dear questions", &found);
    let nodes = ["leaf", "root"]
        .map(|role| limited.cluster.of(role))
        .concat();
    ensure!(nodes.len() == 2, "a leaf and a root: {nodes:?}");
    let nodes: Vec<u32> = nodes.into_iter().map(|(_, pid)| pid).collect();
    let span = Duration::from_secs(site.options.sized(5, 30));
    // What it had saved is spent before.
    send_all(&heavy, span / 5)?;
    let (used, alone) = cpu_during(&nodes, || send_all(&heavy, span))?;
    let (idle, ()) = cpu_during(&nodes, || {
        pause(span / 3);
        Ok(())
    })?;
    let used = used - idle;
    let answered: usize = alone.iter().map(|answers| answers.times.len()).sum();
    Ok(Section {
        title: "One client and the others",
        method: format!(
            "{NUM_OTHERS} clients of addresses of their own send {RATE_OF_OTHERS} searches a second each over {NUM_DOCUMENTS} \
             documents, alone and beside one more client, in turns; nothing is kept. An address may send {MAY_SEND} requests a \
             second at {MAY_COST_MS} ms of search CPU. The stranger sends 50 times as many; the dear questions are histograms \
             with a cardinality in each bucket."
        ),
        tables: vec![table],
        remarks: vec![
            format!(
                "The others' p99 is {by_stranger:.2} × beside the stranger, {by_heavy:.2} × beside the dear questions."
            ),
            format!(
                "The dear questions alone, for {} s: {answered} answered; leaf and root used {used:.0} ms of CPU a second more than \
                 idle ({idle:.0}), of {MAY_COST_MS} allowed.",
                span.as_secs()
            ),
        ],
    })
}
