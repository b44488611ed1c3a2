//! A thousand equal requests at once for an answer that nobody has.

use std::sync::Barrier;
use std::thread::scope;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::site::{Cluster, Site};
use crate::client::Client;
use crate::report::{Section, Table};

/// Clients that ask at the same time, each several times.
const CLIENTS: usize = 100;
const PER_CLIENT: usize = 10;

/// Returns how many shards were searched since the leaf began.
fn searched(root: &mut Client) -> Result<u64> {
    let stats: Value = serde_json::from_slice(root.expect("GET", "/notes/_stats", b"")?)?;
    let searched = stats.pointer("/_all/total/search/query_total");
    searched
        .and_then(Value::as_u64)
        .context("a number of queries")
}

/// Returns a question that nobody has asked before.
fn question(number: usize) -> Vec<u8> {
    let query = json!({"query": {"match": {"text": "tea water"}}, "from": number});
    query.to_string().into_bytes()
}

pub(super) fn measure(site: &Site) -> Result<Section> {
    let counts = [
        "--leaves", "1", "--copies", "1", "--roots", "1", "--fronts", "3",
    ];
    let cluster = Cluster::start(site, "cold", &counts)?;
    site.index(None, &cluster.url())?;
    let fronts: Vec<String> = cluster
        .of("front")
        .into_iter()
        .map(|(address, _)| address)
        .collect();
    let mut root = Client::connect(&cluster.of("root").remove(0).0)?;
    let mut one = Client::connect(&fronts[0])?;
    let mut table = Table::new(["round", "requests", "shards searched", "by one evaluation"]);
    for round in 0..site.options.sized(3, 5) {
        let begun = searched(&mut root)?;
        one.expect("POST", "/notes/_search", &question(100 + round))?;
        let before = searched(&mut root)?;
        let (together, body) = (Barrier::new(CLIENTS), question(round));
        scope(|scope| {
            let clients = (0..CLIENTS).map(|client| {
                let (front, together, body) = (&fronts[client % fronts.len()], &together, &body);
                scope.spawn(move || -> Result<()> {
                    let mut client = Client::connect(front)?;
                    together.wait();
                    (0..PER_CLIENT)
                        .try_for_each(|_| client.expect("POST", "/notes/_search", body).map(drop))
                })
            });
            let clients: Vec<_> = clients.collect();
            let mut clients = clients.into_iter();
            clients.try_for_each(|client| client.join().expect("no panic"))
        })?;
        let after = searched(&mut root)?;
        table.row([
            (round + 1).to_string(),
            (CLIENTS * PER_CLIENT).to_string(),
            (after - before).to_string(),
            (before - begun).to_string(),
        ]);
    }
    Ok(Section {
        title: "Equal requests at once",
        method: format!(
            "{} equal requests through three fronts to one root, {CLIENTS} at the same time; how many shards the leaf \
             searched for them.",
            CLIENTS * PER_CLIENT
        ),
        tables: vec![table],
        remarks: vec![
            "Each front asks the root that owns the question once, which evaluates it once."
                .to_owned(),
        ],
    })
}
